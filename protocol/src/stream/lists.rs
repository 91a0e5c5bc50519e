//! The lists of a sample: hot keys and prefixes, clients, slow commands. All bounded by [`LIST_MAX`](super::LIST_MAX).

use serde_json::Value as Json;

use super::fields::{Fields, StreamError, object};

/// Names that are read most, with estimates of how often.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hot {
    /// When counting began, in unix milliseconds; 0 where nothing is counted.
    pub since_ms: i64,
    /// The most read first.
    pub top: Vec<HotEntry>,
}

/// A key, or the beginning that several have in common.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HotEntry {
    /// The key or prefix; U+FFFD stands for bytes that are no UTF-8.
    pub name: String,
    /// Reads, estimated.
    pub reads: i64,
    /// Those answered with a value.
    pub hits: i64,
    /// Those that found nothing.
    pub misses: i64,
}

/// A connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Client {
    /// Its number, as in CLIENT LIST; never used again.
    pub id: i64,
    /// Process id of the peer when it connected; none where the system did not say.
    pub pid: Option<i64>,
    /// Name of the peer's program, or empty.
    pub comm: String,
    /// User id of the peer; none where the system did not say.
    pub uid: Option<i64>,
    /// What it calls itself (CLIENT SETNAME), or empty.
    pub name: String,
    /// Its library and version (CLIENT SETINFO), or empty.
    pub library: String,
    /// Time since it connected.
    pub age_ms: i64,
    /// Time since its last command.
    pub idle_ms: i64,
    /// Commands it has run.
    pub commands: i64,
    /// Bytes read from it.
    pub input_bytes: i64,
    /// Bytes written to it.
    pub output_bytes: i64,
    /// Channels and patterns it listens to.
    pub subscriptions: i64,
    /// Messages it missed because it did not read.
    pub dropped: i64,
}

/// A command that took long.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SlowCommand {
    /// Its number, as in SLOWLOG; never used again.
    pub id: i64,
    /// When it was done, in unix milliseconds.
    pub time_ms: i64,
    /// How long it took, in microseconds.
    pub duration_us: i64,
    /// Its words, shortened as in SLOWLOG; U+FFFD stands for bytes that are no UTF-8.
    pub command: Vec<String>,
    /// The client's number.
    pub client: i64,
}

impl Hot {
    pub(super) fn to_json(&self) -> Json {
        let top = self.top.iter().map(|entry| {
            object([
                ("name", entry.name.as_str().into()),
                ("reads", entry.reads.into()),
                ("hits", entry.hits.into()),
                ("misses", entry.misses.into()),
            ])
        });
        object([("since_ms", self.since_ms.into()), ("top", top.collect())])
    }

    pub(super) fn from_fields(mut fields: Fields) -> Result<Self, StreamError> {
        let top = fields.list("top", |json| {
            let mut fields = Fields::of(json, "top")?;
            Ok(HotEntry {
                name: fields.text("name")?,
                reads: fields.int("reads")?,
                hits: fields.int("hits")?,
                misses: fields.int("misses")?,
            })
        })?;
        Ok(Self { since_ms: fields.int("since_ms")?, top })
    }
}

impl Client {
    pub(super) fn to_json(&self) -> Json {
        object([
            ("id", self.id.into()),
            ("pid", self.pid.into()),
            ("comm", self.comm.as_str().into()),
            ("uid", self.uid.into()),
            ("name", self.name.as_str().into()),
            ("library", self.library.as_str().into()),
            ("age_ms", self.age_ms.into()),
            ("idle_ms", self.idle_ms.into()),
            ("commands", self.commands.into()),
            ("input_bytes", self.input_bytes.into()),
            ("output_bytes", self.output_bytes.into()),
            ("subscriptions", self.subscriptions.into()),
            ("dropped", self.dropped.into()),
        ])
    }

    pub(super) fn from_json(json: Json) -> Result<Self, StreamError> {
        let mut fields = Fields::of(json, "clients")?;
        Ok(Self {
            id: fields.int("id")?,
            pid: fields.maybe_int("pid")?,
            comm: fields.text("comm")?,
            uid: fields.maybe_int("uid")?,
            name: fields.text("name")?,
            library: fields.text("library")?,
            age_ms: fields.int("age_ms")?,
            idle_ms: fields.int("idle_ms")?,
            commands: fields.int("commands")?,
            input_bytes: fields.int("input_bytes")?,
            output_bytes: fields.int("output_bytes")?,
            subscriptions: fields.int("subscriptions")?,
            dropped: fields.int("dropped")?,
        })
    }
}

impl SlowCommand {
    pub(super) fn to_json(&self) -> Json {
        object([
            ("id", self.id.into()),
            ("time_ms", self.time_ms.into()),
            ("duration_us", self.duration_us.into()),
            ("command", self.command.iter().map(String::as_str).collect()),
            ("client", self.client.into()),
        ])
    }

    pub(super) fn from_json(json: Json) -> Result<Self, StreamError> {
        let mut fields = Fields::of(json, "slow")?;
        let command = fields.list("command", |json| match json {
            Json::String(word) => Ok(word),
            _ => Err(StreamError::Field { field: "command", expected: "list of texts" }),
        })?;
        Ok(Self {
            id: fields.int("id")?,
            time_ms: fields.int("time_ms")?,
            duration_us: fields.int("duration_us")?,
            command,
            client: fields.int("client")?,
        })
    }
}
