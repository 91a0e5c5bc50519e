//! A message of `larder:events`: something that happened, with its figures.

use serde_json::{Map, Value as Json};

use super::SCHEMA;
use super::fields::{Fields, StreamError};

/// Turns the table into `EventKind`.
macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $kind:ident $name:literal;)+) => {
        /// What happened. Each says which figures it has beside `time_ms`.
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub enum EventKind {
            $($(#[doc = $doc])+ $kind,)+
            /// One that this crate does not know, of a newer daemon.
            Other(String),
        }

        impl EventKind {
            /// Every kind that has a name here.
            #[cfg(test)]
            const KNOWN: &[Self] = &[$(Self::$kind,)+];

            /// Its name in JSON.
            #[must_use]
            pub fn name(&self) -> &str {
                match self {
                    $(Self::$kind => $name,)+
                    Self::Other(name) => name,
                }
            }

            fn parse(name: String) -> Self {
                match name.as_str() {
                    $($name => Self::$kind,)+
                    _ => Self::Other(name),
                }
            }
        }
    };
}

kinds! {
    /// The daemon serves. `detail` is its version.
    Start "start";
    /// The daemon is about to stop.
    Stop "stop";
    /// A clean-up run ended: `cause`, `rows` removed, `ms` it took, `bytes` removed.
    Cleanup "cleanup";
    /// Buffered writes were merged into the main file: `rows` written, `ms` it took, `bytes` of the writes.
    Merge "merge";
    /// The write-ahead log was cut back: `ms` it took, `bytes` that were in the log.
    Checkpoint "checkpoint";
    /// Free pages went back to the file system: `ms` it took, `bytes` given back.
    Vacuum "vacuum";
    /// Entries were removed to stay below the cap: `rows`, `bytes`.
    Eviction "eviction";
    /// The configuration was read again. `detail` is what changed.
    Reload "reload";
    /// Only deletions are taken. `cause` is the limit or the system's error.
    DiskFull "disk_full";
    /// All writes are taken again.
    RoomAgain "room_again";
    /// A command took long: `ms`, and `detail` is the command.
    SlowCommand "slow_command";
    /// A backup ended: `bytes` of it, `ms` it took, and `detail` is the file.
    Backup "backup";
    /// A damaged file was repaired, or a damaged row found. `detail` is what.
    Damage "damage";
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Messages of the channel that this subscriber missed before this one.
    pub dropped: u64,
    /// What happened.
    pub kind: EventKind,
    /// [`SCHEMA`] of who wrote it.
    pub schema: i64,
    /// Its number since the start of the process, from 1.
    pub sequence: i64,
    /// When it was over, in unix milliseconds.
    pub time_ms: i64,
    /// Why it happened, in a word such as `timer`, `command` or `start`; or empty.
    pub cause: String,
    /// Rows or entries concerned.
    pub rows: Option<i64>,
    /// How long it took.
    pub ms: Option<i64>,
    /// Bytes written, removed or given back.
    pub bytes: Option<i64>,
    /// Anything else, as text for people; or empty.
    pub detail: String,
}

impl Default for Event {
    /// A start without figures, with the [`SCHEMA`] of this crate.
    fn default() -> Self {
        Self {
            dropped: 0,
            kind: EventKind::Start,
            schema: SCHEMA,
            sequence: 0,
            time_ms: 0,
            cause: String::new(),
            rows: None,
            ms: None,
            bytes: None,
            detail: String::new(),
        }
    }
}

impl Event {
    /// One line of JSON, without the figures it does not have.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut object: Map<String, Json> = Map::new();
        let mut put = |name: &str, json: Json| object.insert(name.to_owned(), json);
        put("dropped", self.dropped.into());
        put("event", self.kind.name().into());
        put("schema", self.schema.into());
        put("sequence", self.sequence.into());
        put("time_ms", self.time_ms.into());
        if !self.cause.is_empty() {
            put("cause", self.cause.as_str().into());
        }
        for (name, figure) in [("rows", self.rows), ("ms", self.ms), ("bytes", self.bytes)] {
            if let Some(figure) = figure {
                put(name, figure.into());
            }
        }
        if !self.detail.is_empty() {
            put("detail", self.detail.as_str().into());
        }
        Json::Object(object).to_string()
    }

    /// Reads an event.
    ///
    /// # Errors
    /// If the text is no JSON object, or a known field has a value of another type.
    pub fn from_json(text: &str) -> Result<Self, StreamError> {
        let mut fields = Fields::parse(text)?;
        Ok(Self {
            dropped: fields.count("dropped")?,
            kind: EventKind::parse(fields.text("event")?),
            schema: fields.int("schema")?,
            sequence: fields.int("sequence")?,
            time_ms: fields.int("time_ms")?,
            cause: fields.text("cause")?,
            rows: fields.maybe_int("rows")?,
            ms: fields.maybe_int("ms")?,
            bytes: fields.maybe_int("bytes")?,
            detail: fields.text("detail")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_kind_comes_back_under_its_own_name() {
        let names: HashSet<_> = EventKind::KNOWN.iter().map(EventKind::name).collect();
        assert_eq!(names.len(), EventKind::KNOWN.len());
        for kind in EventKind::KNOWN {
            let event = Event { kind: kind.clone(), time_ms: 5, rows: Some(0), ..Event::default() };
            assert_eq!(Event::from_json(&event.to_json()).unwrap(), event);
        }
        let cause = "timer".to_owned();
        let event = Event { kind: EventKind::Cleanup, cause, ms: Some(14), ..Event::default() };
        assert_eq!(
            event.to_json(),
            r#"{"dropped":0,"event":"cleanup","schema":1,"sequence":0,"time_ms":0,"cause":"timer","ms":14}"#
        );
    }

    #[test]
    fn events_of_the_future_are_read_and_wrong_types_are_not() {
        let event = Event::from_json(r#"{"event":"moved","time_ms":3,"where":[1]}"#).unwrap();
        assert_eq!((event.kind, event.time_ms), (EventKind::Other("moved".to_owned()), 3));
        for wrong in ["", "1", r#"{"event":3}"#, r#"{"time_ms":"x"}"#, r#"{"rows":1.5}"#] {
            assert!(Event::from_json(wrong).is_err(), "{wrong}");
        }
    }
}
