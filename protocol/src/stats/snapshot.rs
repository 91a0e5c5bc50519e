//! One value for every statistic, and the JSON object that STATS answers.
//!
//! Used by the daemon to write the object and by the dashboard to read it. Knows no row of the table by name except
//! the schema's version.

use serde_json::{Map, Value as Json};
use thiserror::Error;

use super::{Kind, SCHEMA, Section, Stat};

/// The value of one statistic; which of these it is follows from its [`Kind`].
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Of a counter or gauge.
    Int(i64),
    /// Of a ratio; none (and NaN or infinity, which JSON cannot say) is null.
    Ratio(Option<f64>),
    /// Of a text.
    Text(String),
    /// Of a map, in the order it is to be shown.
    Map(Vec<(String, i64)>),
}

impl Value {
    /// What a statistic of this kind has before it is set.
    fn empty(kind: Kind) -> Self {
        match kind {
            Kind::Counter | Kind::Gauge => Self::Int(0),
            Kind::Ratio => Self::Ratio(None),
            Kind::Text => Self::Text(String::new()),
            Kind::Map => Self::Map(Vec::new()),
        }
    }

    fn fits(&self, kind: Kind) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(&Self::empty(kind))
    }

    fn to_json(&self) -> Json {
        match self {
            Self::Int(value) => Json::from(*value),
            Self::Ratio(value) => value.map_or(Json::Null, Json::from),
            Self::Text(text) => Json::from(text.as_str()),
            Self::Map(counts) => {
                counts.iter().map(|(name, count)| (name.clone(), Json::from(*count))).collect()
            }
        }
    }

    fn from_json(kind: Kind, json: Json) -> Option<Self> {
        Some(match (kind, json) {
            (Kind::Counter | Kind::Gauge, json) => Self::Int(json.as_i64()?),
            (Kind::Ratio, Json::Null) => Self::Ratio(None),
            (Kind::Ratio, json) => Self::Ratio(Some(json.as_f64()?)),
            (Kind::Text, Json::String(text)) => Self::Text(text),
            (Kind::Map, Json::Object(counts)) => {
                let counts = counts.into_iter().map(|(name, count)| Some((name, count.as_i64()?)));
                Self::Map(counts.collect::<Option<_>>()?)
            }
            _ => return None,
        })
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<i32> for Value {
    fn from(value: i32) -> Self {
        Self::Int(value.into())
    }
}

impl From<u32> for Value {
    fn from(value: u32) -> Self {
        Self::Int(value.into())
    }
}

/// Counters are kept unsigned; the last bit is out of reach for anything larder counts.
impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Self::Int(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl From<usize> for Value {
    fn from(value: usize) -> Self {
        Self::from(value as u64)
    }
}

impl From<Option<f64>> for Value {
    fn from(value: Option<f64>) -> Self {
        Self::Ratio(value)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Vec<(String, i64)>> for Value {
    fn from(counts: Vec<(String, i64)>) -> Self {
        Self::Map(counts)
    }
}

/// What cannot be read as a snapshot.
#[derive(Debug, Error)]
pub enum SnapshotError {
    /// The text is no JSON object.
    #[error("a snapshot is a JSON object: {0}; is it the answer to STATS?")]
    Json(#[from] serde_json::Error),
    /// A statistic's value is not of its kind.
    #[error("snapshot: {name} is no {kind:?}; is larderd of another version?")]
    Value {
        /// The statistic's name.
        name: &'static str,
        /// What it should be.
        kind: Kind,
    },
}

/// One value for every statistic, taken at one time.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// By `Stat as usize`.
    values: Vec<Value>,
}

impl Default for Snapshot {
    /// Zeros, empty texts and no ratios, with the [`SCHEMA`] of this crate.
    fn default() -> Self {
        let mut snapshot = Self { values: Stat::ALL.iter().map(|stat| Value::empty(stat.kind())).collect() };
        snapshot.set(Stat::Schema, SCHEMA);
        snapshot
    }
}

impl Snapshot {
    /// Sets one statistic.
    ///
    /// # Panics
    /// If the value is not of the statistic's kind.
    pub fn set(&mut self, stat: Stat, value: impl Into<Value>) {
        let value = value.into();
        assert!(value.fits(stat.kind()), "{} is a {:?}, not {value:?}", stat.name(), stat.kind());
        self.values[stat as usize] = value;
    }

    /// The value of one statistic.
    #[must_use]
    pub fn get(&self, stat: Stat) -> &Value {
        &self.values[stat as usize]
    }

    /// The value of a counter or gauge; 0 for other kinds.
    #[must_use]
    pub fn int(&self, stat: Stat) -> i64 {
        if let Value::Int(value) = self.get(stat) { *value } else { 0 }
    }

    /// The value of a text; empty for other kinds.
    #[must_use]
    pub fn text(&self, stat: Stat) -> &str {
        if let Value::Text(text) = self.get(stat) { text } else { "" }
    }

    /// One line of JSON, in the order of the table: all, or those of one section.
    #[must_use]
    pub fn to_json(&self, section: Option<Section>) -> String {
        Json::Object(self.to_object(section)).to_string()
    }

    /// The object that [`to_json`](Self::to_json) writes.
    pub(crate) fn to_object(&self, section: Option<Section>) -> Map<String, Json> {
        Stat::ALL
            .iter()
            .filter(|stat| section.is_none_or(|section| section == stat.section()))
            .map(|&stat| (stat.name().to_owned(), self.get(stat).to_json()))
            .collect()
    }

    /// Reads a snapshot back. What this crate does not know is ignored, and what is missing stays empty, so that a
    /// dashboard reads an older or newer daemon.
    ///
    /// # Errors
    /// If the text is no JSON object, or a known statistic has a value of another kind.
    pub fn from_json(text: &str) -> Result<Self, SnapshotError> {
        Self::from_object(serde_json::from_str(text)?)
    }

    /// What [`from_json`](Self::from_json) does with the object it reads.
    pub(crate) fn from_object(mut object: Map<String, Json>) -> Result<Self, SnapshotError> {
        let mut snapshot = Self::default();
        for &stat in Stat::ALL {
            let (name, kind) = (stat.name(), stat.kind());
            if let Some(json) = object.remove(name) {
                snapshot.values[stat as usize] =
                    Value::from_json(kind, json).ok_or(SnapshotError::Value { name, kind })?;
            }
        }
        Ok(snapshot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Snapshot {
        let mut snapshot = Snapshot::default();
        snapshot.set(Stat::Hits, 3_u64);
        snapshot.set(Stat::Misses, u64::MAX);
        snapshot.set(Stat::Pid, -1);
        snapshot.set(Stat::HitRate, Some(0.75));
        snapshot.set(Stat::Socket, "/run/a \"b\"\n");
        snapshot.set(Stat::CommandsByName, vec![("set".to_owned(), 2), ("get".to_owned(), 1)]);
        snapshot
    }

    #[test]
    fn json_is_one_line_in_the_order_of_the_table() {
        let json = sample().to_json(None);
        assert!(!json.contains('\n'));
        let positions: Vec<_> = Stat::ALL
            .iter()
            .map(|stat| json.find(&format!("\"{}\":", stat.name())).expect("is there"))
            .collect();
        assert!(positions.is_sorted());
        assert!(json.starts_with(r#"{"schema":1,"version":"","pid":-1,"#), "{json}");
        assert!(
            json.contains(r#""hit_rate":0.75,"#) && json.contains(r#""commands_by_name":{"set":2,"get":1}"#)
        );
        assert_eq!(
            sample().to_json(Some(Section::Entries)),
            r#"{"entries":0,"entries_active":0,"entries_expired":0,"entries_ttl":0,"raw_bytes":0,"stored_bytes":0,"damaged_rows":0}"#
        );
        assert!(Snapshot::default().to_json(Some(Section::Reads)).ends_with(r#""hit_rate":null}"#));
    }

    #[test]
    fn json_comes_back_the_same() {
        let snapshot = sample();
        assert_eq!(Snapshot::from_json(&snapshot.to_json(None)).expect("reads its own"), snapshot);
        let other =
            Snapshot::from_json(r#"{"hits":3,"of_the_future":[1],"hit_rate":1}"#).expect("is tolerant");
        assert_eq!((other.int(Stat::Hits), other.int(Stat::Sets)), (3, 0));
        assert_eq!(other.get(Stat::HitRate), &Value::Ratio(Some(1.0)));
        assert_eq!((snapshot.text(Stat::Socket), snapshot.text(Stat::Hits)), ("/run/a \"b\"\n", ""));
    }

    #[test]
    fn json_that_is_no_snapshot_is_refused() {
        for text in
            ["", "[]", "{", r#"{"hits":"3"}"#, r#"{"version":1}"#, r#"{"commands_by_name":{"get":"x"}}"#]
        {
            let error = Snapshot::from_json(text).unwrap_err().to_string();
            assert!(
                error.ends_with("; is it the answer to STATS?") || error.ends_with(" of another version?"),
                "{error}"
            );
        }
    }

    #[test]
    #[should_panic(expected = "hits is a Counter")]
    fn a_value_of_another_kind_is_a_bug() {
        Snapshot::default().set(Stat::Hits, "three");
    }
}
