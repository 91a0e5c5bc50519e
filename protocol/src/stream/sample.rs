//! A message of `larder:stats`, and the one that comes every interval: the statistics and the lists beside them.

use serde_json::{Map, Value as Json};

use super::backlog::Backlog;
use super::fields::{Fields, StreamError};
use super::latency::Latency;
use super::lists::{Client, Hot, SlowCommand};
use super::{SCHEMA, fields};
use crate::stats::Snapshot;

/// A message of `larder:stats`.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// What is, now.
    Sample(Box<Sample>),
    /// What was, before the subscription.
    Backlog(Backlog),
    /// A kind that this crate does not know, of a newer daemon.
    Unknown(String),
}

/// The state of the daemon at `stats.time_ms`.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Messages of the channel that this subscriber missed before this one.
    pub dropped: u64,
    /// [`SCHEMA`] of who wrote it.
    pub schema: i64,
    /// Time between samples, as configured.
    pub interval_ms: i64,
    /// What STATS answers.
    pub stats: Snapshot,
    /// How long commands took, since the start.
    pub latency: Latency,
    /// Keys read most.
    pub hot_keys: Hot,
    /// Beginnings of keys read most.
    pub hot_prefixes: Hot,
    /// Connections; where there are more than the list may have, those with the most commands.
    pub clients: Vec<Client>,
    /// The last commands that took long, the newest first.
    pub slow: Vec<SlowCommand>,
}

impl Default for Sample {
    /// Zeros and empty lists, with the [`SCHEMA`] of this crate and an interval of a second.
    fn default() -> Self {
        Self {
            dropped: 0,
            schema: SCHEMA,
            interval_ms: 1_000,
            stats: Snapshot::default(),
            latency: Latency::default(),
            hot_keys: Hot::default(),
            hot_prefixes: Hot::default(),
            clients: Vec::new(),
            slow: Vec::new(),
        }
    }
}

impl Message {
    /// Reads a message.
    ///
    /// # Errors
    /// If the text is no JSON object, or a known field has a value of another type.
    pub fn from_json(text: &str) -> Result<Self, StreamError> {
        let mut fields = Fields::parse(text)?;
        let kind = fields.text("kind")?;
        Ok(match kind.as_str() {
            "sample" => Self::Sample(Box::new(Sample::from_fields(fields)?)),
            "backlog" => Self::Backlog(Backlog::from_fields(fields)?),
            _ => Self::Unknown(kind),
        })
    }
}

impl Sample {
    /// One line of JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        fields::object([
            ("dropped", self.dropped.into()),
            ("kind", "sample".into()),
            ("schema", self.schema.into()),
            ("interval_ms", self.interval_ms.into()),
            ("stats", Json::Object(self.stats.to_object(None))),
            ("latency", self.latency.to_json()),
            ("hot_keys", self.hot_keys.to_json()),
            ("hot_prefixes", self.hot_prefixes.to_json()),
            ("clients", self.clients.iter().map(Client::to_json).collect()),
            ("slow", self.slow.iter().map(SlowCommand::to_json).collect()),
        ])
        .to_string()
    }

    fn from_fields(mut fields: Fields) -> Result<Self, StreamError> {
        let stats: Map<String, Json> = fields.object("stats")?.rest();
        Ok(Self {
            dropped: fields.count("dropped")?,
            schema: fields.int("schema")?,
            interval_ms: fields.int("interval_ms")?,
            stats: Snapshot::from_object(stats)?,
            latency: Latency::from_fields(fields.object("latency")?)?,
            hot_keys: Hot::from_fields(fields.object("hot_keys")?)?,
            hot_prefixes: Hot::from_fields(fields.object("hot_prefixes")?)?,
            clients: fields.list("clients", Client::from_json)?,
            slow: fields.list("slow", SlowCommand::from_json)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Class, HotEntry};
    use super::*;
    use crate::stats::Stat;

    fn sample() -> Sample {
        let mut sample = Sample { interval_ms: 500, dropped: 2, ..Sample::default() };
        sample.stats.set(Stat::Hits, 7_u64);
        sample.latency.class_mut(Class::Write).record(90_000);
        let entry = HotEntry { name: "user:\"7\"\n".to_owned(), reads: 10, hits: 9, misses: 1 };
        sample.hot_keys = Hot { since_ms: 5, top: vec![entry.clone(), entry] };
        sample.hot_prefixes = Hot { since_ms: 6, top: Vec::new() };
        sample.clients = vec![
            Client { id: 1, pid: Some(2), comm: "a".to_owned(), uid: Some(0), ..Client::default() },
            Client { id: 2, age_ms: 3, input_bytes: 4, dropped: 5, ..Client::default() },
        ];
        let command = vec!["SET".to_owned(), "k\u{fffd}".to_owned()];
        sample.slow = vec![SlowCommand { id: 3, time_ms: 1, duration_us: 2, command, client: 1 }];
        sample
    }

    #[test]
    fn a_sample_is_one_line_and_comes_back_the_same() {
        let json = sample().to_json();
        assert!(!json.contains('\n'));
        assert!(
            json.starts_with(
                r#"{"dropped":2,"kind":"sample","schema":1,"interval_ms":500,"stats":{"schema":"#
            )
        );
        assert_eq!(Message::from_json(&json).unwrap(), Message::Sample(Box::new(sample())));
    }

    #[test]
    fn a_newer_daemon_is_read_as_far_as_it_is_known() {
        let json = r#"{"kind":"sample","schema":2,"of_the_future":{},"stats":{"hits":1,"new":[]},"clients":[{"id":1,"x":2}]}"#;
        let Message::Sample(sample) = Message::from_json(json).unwrap() else { panic!() };
        assert_eq!((sample.schema, sample.stats.int(Stat::Hits), sample.clients[0].id), (2, 1, 1));
        assert_eq!(Message::from_json(r#"{"kind":"map"}"#).unwrap(), Message::Unknown("map".to_owned()));
    }

    #[test]
    fn fields_of_another_type_are_errors() {
        for wrong in [
            "",
            "[]",
            r#"{"kind":1}"#,
            r#"{"kind":"sample","dropped":-1}"#,
            r#"{"kind":"sample","stats":[]}"#,
            r#"{"kind":"sample","stats":{"hits":"x"}}"#,
            r#"{"kind":"sample","latency":{"read":[]}}"#,
            r#"{"kind":"sample","hot_keys":{"top":[1]}}"#,
            r#"{"kind":"sample","clients":[{"comm":1}]}"#,
            r#"{"kind":"sample","slow":[{"command":[1]}]}"#,
        ] {
            assert!(Message::from_json(wrong).is_err(), "{wrong}");
        }
    }
}
