//! What was before the subscription: the figures that charts need, a column for each and a place for each step.
//!
//! Used by the daemon, which keeps [`Point`]s, and by the dashboard, which makes the same points from samples. How a
//! point follows from two states is here, once ([`Point::between`]).

use serde_json::{Map, Value as Json};

use super::SCHEMA;
use super::fields::{Fields, StreamError, object};
use super::latency::{Class, Latency};
use crate::stats::{Snapshot, Stat};

/// What a column says of a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Source {
    /// How much a counter grew.
    Growth(Stat),
    /// A gauge as it was at the end.
    Gauge(Stat),
    /// Commands of a class that ran.
    Calls(Class),
    /// The duration in nanoseconds that this share of a class's commands did not exceed; 0 where none ran.
    Percentile(Class, f64),
}

/// Turns the table into `Column`.
macro_rules! columns {
    ($($column:ident $name:literal: $source:expr;)+) => {
        /// A column of the backlog; as a number, its place in the table.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(usize)]
        #[expect(missing_docs, reason = "the row of the table says it, and Source what it means")]
        pub enum Column {
            $($column,)+
        }

        impl Column {
            /// Every column, in the order of the table.
            pub const ALL: &[Self] = &[$(Self::$column,)+];

            /// Its key in JSON: the statistic's name, where it is one.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$column => $name,)+
                }
            }

            /// What it says.
            #[must_use]
            pub const fn source(self) -> Source {
                match self {
                    $(Self::$column => $source,)+
                }
            }
        }
    };
}

columns! {
    Hits "hits": Source::Growth(Stat::Hits);
    Misses "misses": Source::Growth(Stat::Misses);
    MemoryHits "memory_hits": Source::Growth(Stat::MemoryHits);
    DiskHits "disk_hits": Source::Growth(Stat::DiskHits);
    BufferHits "buffer_hits": Source::Growth(Stat::BufferHits);
    Sets "sets": Source::Growth(Stat::Sets);
    Deletes "deletes": Source::Growth(Stat::Deletes);
    Expirations "expirations": Source::Growth(Stat::Expirations);
    Evictions "evictions": Source::Growth(Stat::Evictions);
    MemoryEvictions "memory_evictions": Source::Growth(Stat::MemoryEvictions);
    CleanupRuns "cleanup_runs": Source::Growth(Stat::CleanupRuns);
    CleanupRows "cleanup_rows": Source::Growth(Stat::CleanupRows);
    CleanupTotalMs "cleanup_total_ms": Source::Growth(Stat::CleanupTotalMs);
    Merges "merges": Source::Growth(Stat::Merges);
    MergeRows "merge_rows": Source::Growth(Stat::MergeRows);
    MergeMsTotal "merge_ms_total": Source::Growth(Stat::MergeMsTotal);
    Checkpoints "checkpoints": Source::Growth(Stat::Checkpoints);
    Commands "commands": Source::Growth(Stat::Commands);
    CommandErrors "command_errors": Source::Growth(Stat::CommandErrors);
    InputBytes "input_bytes": Source::Growth(Stat::InputBytes);
    OutputBytes "output_bytes": Source::Growth(Stat::OutputBytes);
    Entries "entries": Source::Gauge(Stat::Entries);
    EntriesTtl "entries_ttl": Source::Gauge(Stat::EntriesTtl);
    EntriesExpired "entries_expired": Source::Gauge(Stat::EntriesExpired);
    MemoryBytes "memory_bytes": Source::Gauge(Stat::MemoryBytes);
    BufferBytes "buffer_bytes": Source::Gauge(Stat::BufferBytes);
    DiskBytes "disk_bytes": Source::Gauge(Stat::DiskBytes);
    JournalBytes "journal_bytes": Source::Gauge(Stat::JournalBytes);
    WalBytes "wal_bytes": Source::Gauge(Stat::WalBytes);
    Connections "connections": Source::Gauge(Stat::Connections);
    ReadCalls "read_calls": Source::Calls(Class::Read);
    WriteCalls "write_calls": Source::Calls(Class::Write);
    DeleteCalls "delete_calls": Source::Calls(Class::Delete);
    OtherCalls "other_calls": Source::Calls(Class::Other);
    ReadP50Ns "read_p50_ns": Source::Percentile(Class::Read, 0.5);
    ReadP99Ns "read_p99_ns": Source::Percentile(Class::Read, 0.99);
    ReadP999Ns "read_p999_ns": Source::Percentile(Class::Read, 0.999);
    WriteP50Ns "write_p50_ns": Source::Percentile(Class::Write, 0.5);
    WriteP99Ns "write_p99_ns": Source::Percentile(Class::Write, 0.99);
    WriteP999Ns "write_p999_ns": Source::Percentile(Class::Write, 0.999);
    DeleteP50Ns "delete_p50_ns": Source::Percentile(Class::Delete, 0.5);
    DeleteP99Ns "delete_p99_ns": Source::Percentile(Class::Delete, 0.99);
    DeleteP999Ns "delete_p999_ns": Source::Percentile(Class::Delete, 0.999);
}

impl Column {
    /// How many there are.
    pub const COUNT: usize = Self::ALL.len();
}

/// The figures of one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Point {
    /// Wall clock at its end, in unix milliseconds.
    pub time_ms: i64,
    /// By `Column as usize`.
    values: [i64; Column::COUNT],
}

impl Point {
    /// A point of zeros.
    #[must_use]
    pub const fn new(time_ms: i64) -> Self {
        Self { time_ms, values: [0; Column::COUNT] }
    }

    /// What one column says.
    #[must_use]
    pub const fn get(&self, column: Column) -> i64 {
        self.values[column as usize]
    }

    /// Sets what one column says.
    pub const fn set(&mut self, column: Column, value: i64) {
        self.values[column as usize] = value;
    }

    /// The step from an earlier state of the same process to a later one.
    #[must_use]
    pub fn between(earlier: (&Snapshot, &Latency), later: (&Snapshot, &Latency)) -> Self {
        let latency = later.1.since(earlier.1);
        let mut point = Self::new(later.0.int(Stat::TimeMs));
        for &column in Column::ALL {
            point.values[column as usize] = match column.source() {
                Source::Growth(stat) => (later.0.int(stat) - earlier.0.int(stat)).max(0),
                Source::Gauge(stat) => later.0.int(stat),
                Source::Calls(class) => saturated(latency.class(class).count()),
                Source::Percentile(class, share) => {
                    saturated(latency.class(class).percentile(share).unwrap_or(0))
                }
            };
        }
        point
    }
}

fn saturated(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A message with the last steps of one length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backlog {
    /// Messages of the channel that this subscriber missed before this one.
    pub dropped: u64,
    /// [`SCHEMA`] of who wrote it.
    pub schema: i64,
    /// The process that these are of, as in STATS.
    pub boot_id: String,
    /// Length of a step in milliseconds.
    pub step_ms: i64,
    /// The oldest first.
    pub points: Vec<Point>,
}

impl Default for Backlog {
    /// Nothing, in steps of a second, with the [`SCHEMA`] of this crate.
    fn default() -> Self {
        Self { dropped: 0, schema: SCHEMA, boot_id: String::new(), step_ms: 1_000, points: Vec::new() }
    }
}

impl Backlog {
    /// One line of JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        let columns = Column::ALL.iter().map(|&column| {
            (column.name().to_owned(), self.points.iter().map(|point| point.get(column)).collect())
        });
        object([
            ("dropped", self.dropped.into()),
            ("kind", "backlog".into()),
            ("schema", self.schema.into()),
            ("boot_id", self.boot_id.as_str().into()),
            ("step_ms", self.step_ms.into()),
            ("time_ms", self.points.iter().map(|point| point.time_ms).collect()),
            ("columns", Json::Object(columns.collect::<Map<_, _>>())),
        ])
        .to_string()
    }

    pub(super) fn from_fields(mut fields: Fields) -> Result<Self, StreamError> {
        let mut points: Vec<Point> = fields.ints("time_ms")?.into_iter().map(Point::new).collect();
        let mut columns = fields.object("columns")?;
        for &column in Column::ALL {
            let values = columns.ints(column.name())?;
            if !values.is_empty() && values.len() != points.len() {
                return Err(StreamError::Field {
                    field: column.name(),
                    expected: "column as long as time_ms",
                });
            }
            for (point, value) in points.iter_mut().zip(values) {
                point.set(column, value);
            }
        }
        Ok(Self {
            dropped: fields.count("dropped")?,
            schema: fields.int("schema")?,
            boot_id: fields.text("boot_id")?,
            step_ms: fields.int("step_ms")?,
            points,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::Message;
    use super::*;
    use crate::stats::Kind;

    #[test]
    fn the_table_names_columns_after_statistics() {
        for (at, &column) in Column::ALL.iter().enumerate() {
            assert_eq!(column as usize, at);
            let name = match column.source() {
                Source::Growth(stat) | Source::Gauge(stat) => stat.name().to_owned(),
                Source::Calls(class) => format!("{}_calls", class.name()),
                Source::Percentile(class, share) => {
                    let digits = share.to_string().split_off(2);
                    format!("{}_p{}_ns", class.name(), if digits == "5" { "50" } else { &digits })
                }
            };
            assert_eq!(column.name(), name);
            if let Source::Growth(stat) = column.source() {
                assert_eq!(stat.kind(), Kind::Counter);
            } else if let Source::Gauge(stat) = column.source() {
                assert_eq!(stat.kind(), Kind::Gauge);
            }
        }
    }

    #[test]
    fn a_point_is_what_happened_between_two_states() {
        let (mut then, mut now) = (Snapshot::default(), Snapshot::default());
        then.set(Stat::Hits, 5_u64);
        then.set(Stat::Entries, 100_u64);
        then.set(Stat::Misses, 9_u64);
        now.set(Stat::Hits, 25_u64);
        now.set(Stat::Entries, 90_u64);
        now.set(Stat::TimeMs, 2_000_u64);
        let mut latency = Latency::default();
        latency.class_mut(Class::Write).record(1);
        let earlier = latency.clone();
        latency.class_mut(Class::Read).record(20);
        latency.class_mut(Class::Read).record(30);
        let point = Point::between((&then, &earlier), (&now, &latency));
        let figures = [Column::Hits, Column::Misses, Column::Entries, Column::ReadCalls, Column::WriteCalls];
        assert_eq!(figures.map(|column| point.get(column)), [20, 0, 90, 2, 0]);
        let percentiles = [Column::ReadP50Ns, Column::ReadP99Ns, Column::WriteP50Ns];
        assert_eq!(percentiles.map(|column| point.get(column)), [20, 30, 0]);
        assert_eq!(point.time_ms, 2_000);
    }

    #[test]
    fn a_backlog_is_one_line_and_comes_back_the_same() {
        let mut backlog = Backlog { boot_id: "b".to_owned(), step_ms: 10_000, ..Backlog::default() };
        for at in 0..3 {
            let mut point = Point::new(at * 10_000);
            for &column in Column::ALL {
                point.set(column, at * 100 + column as i64);
            }
            backlog.points.push(point);
        }
        let json = backlog.to_json();
        assert!(!json.contains('\n') && json.starts_with(r#"{"dropped":0,"kind":"backlog","#), "{json}");
        assert_eq!(Message::from_json(&json).unwrap(), Message::Backlog(backlog));
    }

    #[test]
    fn columns_may_be_missing_but_not_of_another_length() {
        let json = r#"{"kind":"backlog","time_ms":[1,2],"columns":{"hits":[3,4],"new":["x"]}}"#;
        let Message::Backlog(backlog) = Message::from_json(json).unwrap() else { panic!() };
        let hits: Vec<_> = backlog.points.iter().map(|point| point.get(Column::Hits)).collect();
        assert_eq!((hits, backlog.points[0].get(Column::Entries)), (vec![3, 4], 0));
        for wrong in [
            r#"{"kind":"backlog","time_ms":[1,2],"columns":{"hits":[3]}}"#,
            r#"{"kind":"backlog","time_ms":[1,"2"]}"#,
            r#"{"kind":"backlog","time_ms":[1],"columns":{"hits":["3"]}}"#,
            r#"{"kind":"backlog","columns":[]}"#,
        ] {
            assert!(Message::from_json(wrong).is_err(), "{wrong}");
        }
    }
}
