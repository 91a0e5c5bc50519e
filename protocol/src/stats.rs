//! The statistics table: every number larder reports about itself, in one place.
//!
//! Used by the daemon, which counts into slots indexed by [`Stat`] and answers STATS from a [`Snapshot`], and by the
//! dashboard, which reads the snapshot back. Order, JSON keys, sections and help all derive from the one table below: a
//! new statistic is one row there and one increment in the daemon. Counts nothing itself.
//!
//! Counters only grow for as long as the process (`boot_id`) lives and are never rates: the reader takes differences
//! between two snapshots and divides by the difference of their `time_ms`.

mod snapshot;

pub use snapshot::{Snapshot, SnapshotError, Value};

/// Version of the snapshot's shape, the value of [`Stat::Schema`]. New rows do not change it; a row that changes its
/// meaning, unit or kind does.
pub const SCHEMA: i64 = 1;

/// What sort of value a statistic is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A whole number that only grows while the process lives.
    Counter,
    /// A whole number that goes up and down, or says something about the process.
    Gauge,
    /// A number from 0 to 1, or null where nothing has happened yet to take a ratio of.
    Ratio,
    /// Text.
    Text,
    /// Counters by name: an object of whole numbers.
    Map,
}

/// Turns the table into `Stat` and `Section`.
macro_rules! stats {
    ($(
        $(#[doc = $section_doc:literal])*
        $section:ident $section_name:literal {
            $($stat:ident $name:literal: $kind:ident, $unit:literal, $help:literal;)+
        }
    )+) => {
        /// A statistic; as a number, its place in the table.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(usize)]
        #[expect(clippy::doc_markdown, reason = "the help is also shown as plain text")]
        pub enum Stat {
            $($(#[doc = $help] $stat,)+)+
        }

        impl Stat {
            /// Every statistic, in the order of the table.
            pub const ALL: &[Self] = &[$($(Self::$stat,)+)+];

            /// The row of the table.
            const fn row(self) -> Row {
                match self {
                    $($(Self::$stat => Row {
                        name: $name,
                        kind: Kind::$kind,
                        unit: $unit,
                        section: Section::$section,
                        help: $help,
                    },)+)+
                }
            }
        }

        /// A group of statistics, as `STATS section` selects it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Section {
            $($(#[doc = $section_doc])* $section,)+
        }

        impl Section {
            /// Every section, in the order of the table.
            pub const ALL: &[Self] = &[$(Self::$section,)+];

            /// The lower-case word that selects it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$section => $section_name,)+
                }
            }

            /// What is in it, as a sentence.
            #[must_use]
            pub const fn about(self) -> &'static str {
                match self {
                    $(Self::$section => concat!($($section_doc),*).trim_ascii(),)+
                }
            }
        }
    };
}

/// One row of the table.
struct Row {
    name: &'static str,
    kind: Kind,
    unit: &'static str,
    section: Section,
    help: &'static str,
}

// Variant, JSON key: kind, unit ("1" counts things), help.
stats! {
    /// Which process this is, and when it said so.
    Identity "identity" {
        Schema "schema": Gauge, "1", "version of this object's shape";
        Version "version": Text, "1", "version of larder";
        Pid "pid": Gauge, "1", "process id";
        BootId "boot_id": Text, "1", "random id of this start of the process; counters begin anew with it";
        Sequence "sequence": Counter, "1", "number of this snapshot since the start";
        TimeMs "time_ms": Gauge, "ms", "wall clock when the snapshot was taken, since 1970";
        UptimeMs "uptime_ms": Gauge, "ms", "time since the start";
        Durability "durability": Text, "1", "what a write's answer promises, as configured";
        Socket "socket": Text, "1", "path of the socket";
    }
    /// Key look-ups and where they were answered.
    Reads "reads" {
        Hits "hits": Counter, "1", "reads answered with a value";
        Misses "misses": Counter, "1", "reads of an absent or expired key";
        MemoryHits "memory_hits": Counter, "1", "reads answered from memory";
        DiskHits "disk_hits": Counter, "1", "reads answered from SQLite";
        BufferHits "buffer_hits": Counter, "1", "reads answered from writes on their way to SQLite";
        DiskReads "disk_reads": Counter, "1", "key look-ups that reached SQLite";
        DiskReadsAtOnce "disk_reads_at_once": Counter, "1", "of these, those that took no way to another thread";
        SharedReads "shared_reads": Counter, "1", "reads that waited for another's look-up of the same key";
        HitRate "hit_rate": Ratio, "1", "hits per read since the start, null before the first read";
    }
    /// Changes to entries.
    Writes "writes" {
        Sets "sets": Counter, "1", "values stored";
        Deletes "deletes": Counter, "1", "entries deleted by command";
        Increments "increments": Counter, "1", "values incremented or decremented";
        Expirations "expirations": Counter, "1", "entries removed because their deadline had passed";
        Evictions "evictions": Counter, "1", "entries removed to stay below disk_cap that could still be read";
        EvictedBytes "evicted_bytes": Counter, "bytes", "bytes of these, as stored";
        WriteErrors "write_errors": Counter, "1", "writes answered with an error because storing failed";
    }
    /// The sweep that removes what has expired.
    Cleanup "cleanup" {
        CleanupRuns "cleanup_runs": Counter, "1", "clean-up runs finished";
        CleanupRows "cleanup_rows": Counter, "1", "rows removed by all clean-up runs";
        CleanupLastTimeMs "cleanup_last_time_ms": Gauge, "ms", "wall clock at the end of the last run, 0 before it";
        CleanupLastRows "cleanup_last_rows": Gauge, "1", "rows removed by the last run";
        CleanupLastMs "cleanup_last_ms": Gauge, "ms", "duration of the last run";
        CleanupTotalMs "cleanup_total_ms": Counter, "ms", "duration of all runs together";
    }
    /// What is stored.
    Entries "entries" {
        Entries "entries": Gauge, "1", "entries, the expired included; estimated while over 20,000 writes wait to be merged";
        EntriesActive "entries_active": Gauge, "1", "entries that can be read: entries less entries_expired";
        EntriesExpired "entries_expired": Gauge, "1", "entries past their deadline and not yet removed";
        EntriesTtl "entries_ttl": Gauge, "1", "entries with a deadline";
        RawBytes "raw_bytes": Gauge, "bytes", "bytes of keys and values in the database, as they were sent";
        StoredBytes "stored_bytes": Gauge, "bytes", "bytes of keys and values in the database, as they are stored";
        DamagedRows "damaged_rows": Counter, "1", "entries found with a wrong checksum, and not served";
    }
    /// The memory tier and the write buffer.
    Memory "memory" {
        MemoryEntries "memory_entries": Gauge, "1", "entries held in memory";
        MemoryBytes "memory_bytes": Gauge, "bytes", "bytes of the entries held in memory";
        MemoryCapBytes "memory_cap_bytes": Gauge, "bytes", "bytes that entries in memory may take, as configured";
        BufferEntries "buffer_entries": Gauge, "1", "writes on their way to SQLite";
        BufferBytes "buffer_bytes": Gauge, "bytes", "bytes of the writes on their way to SQLite";
        MemoryEvictions "memory_evictions": Counter, "1", "entries dropped from memory for room, still on disk";
        Preloaded "preloaded": Counter, "1", "entries in use before the start that were brought back into memory";
        HotKeysSaved "hot_keys_saved": Gauge, "1", "keys in the list for the next start, as last saved";
    }
    /// Files, commits and merges.
    Disk "disk" {
        DiskBytes "disk_bytes": Gauge, "bytes", "size of the database, its log, the journals, the reserve and the hot keys";
        DiskCapBytes "disk_cap_bytes": Gauge, "bytes", "bytes these may take together, as configured; 0 for no limit";
        DiskFull "disk_full": Gauge, "1", "1 while the disk is full and only deletions are taken";
        WalBytes "wal_bytes": Gauge, "bytes", "size of SQLite's write-ahead log";
        JournalBytes "journal_bytes": Gauge, "bytes", "size of all journals";
        Commits "commits": Counter, "1", "group commits";
        CommitOps "commit_ops": Counter, "1", "writes committed";
        CommitUsTotal "commit_us_total": Counter, "us", "duration of all group commits together";
        CommitUsP50 "commit_us_p50": Gauge, "us", "duration that half of the group commits did not exceed";
        CommitUsP99 "commit_us_p99": Gauge, "us", "duration that 99 in 100 group commits did not exceed";
        CommitUsMax "commit_us_max": Gauge, "us", "duration of the longest group commit";
        Merges "merges": Counter, "1", "merges of buffered writes into SQLite";
        MergeRows "merge_rows": Counter, "1", "rows written by all merges";
        MergeMsTotal "merge_ms_total": Counter, "ms", "duration of all merges together";
        MergeLastMs "merge_last_ms": Gauge, "ms", "duration of the last merge";
        Checkpoints "checkpoints": Counter, "1", "checkpoints of the write-ahead log";
        VacuumedPages "vacuumed_pages": Counter, "1", "free pages given back to the file system";
        Syncs "syncs": Counter, "1", "times data was forced to disk";
        SyncLastTimeMs "sync_last_time_ms": Gauge, "ms", "wall clock when data was last forced to disk, 0 before it";
        Backups "backups": Counter, "1", "backups written";
        BackupLastTimeMs "backup_last_time_ms": Gauge, "ms", "wall clock at the end of the last backup, 0 before it";
        BackupLastMs "backup_last_ms": Gauge, "ms", "duration of the last backup";
        BackupLastBytes "backup_last_bytes": Gauge, "bytes", "size of the last backup";
    }
    /// Connections, commands and bytes.
    Clients "clients" {
        Connections "connections": Gauge, "1", "connections open";
        ConnectionsTotal "connections_total": Counter, "1", "connections accepted";
        ConnectionsRejected "connections_rejected": Counter, "1", "connections turned away at the limit";
        ConnectionsFailed "connections_failed": Counter, "1", "connections ended by a panic";
        ProtocolErrors "protocol_errors": Counter, "1", "connections ended by a broken frame";
        Commands "commands": Counter, "1", "commands run";
        CommandErrors "command_errors": Counter, "1", "commands answered with an error";
        CommandsByName "commands_by_name": Map, "1", "commands run, by name";
        InputBytes "input_bytes": Counter, "bytes", "bytes read from clients";
        OutputBytes "output_bytes": Counter, "bytes", "bytes written to clients";
    }
}

impl Stat {
    /// How many there are: the length of an array with a slot for each.
    pub const COUNT: usize = Self::ALL.len();

    /// Its key in the JSON object.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.row().name
    }

    /// What sort of value it has.
    #[must_use]
    pub const fn kind(self) -> Kind {
        self.row().kind
    }

    /// Its unit: `"1"` for things counted and for what has none, `"bytes"`, `"ms"`, `"us"` or `"s"`.
    #[must_use]
    pub const fn unit(self) -> &'static str {
        self.row().unit
    }

    /// The section it belongs to.
    #[must_use]
    pub const fn section(self) -> Section {
        self.row().section
    }

    /// What it says, in one line.
    #[must_use]
    pub const fn help(self) -> &'static str {
        self.row().help
    }
}

impl Section {
    /// The section of that name, in any case.
    #[must_use]
    pub fn parse(word: &[u8]) -> Option<Self> {
        Self::ALL.iter().copied().find(|section| section.name().as_bytes().eq_ignore_ascii_case(word))
    }

    /// Its statistics, in the order of the table.
    pub fn stats(self) -> impl Iterator<Item = Stat> {
        Stat::ALL.iter().copied().filter(move |stat| stat.section() == self)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_table_is_sound() {
        let mut names = HashSet::new();
        for (at, &stat) in Stat::ALL.iter().enumerate() {
            let name = stat.name();
            assert_eq!(stat as usize, at, "{name}");
            assert!(names.insert(name), "{name} is there twice");
            // The variant is the key in the other spelling, so either can be guessed from the other.
            let mut snake = String::new();
            for letter in format!("{stat:?}").chars() {
                if letter.is_uppercase() && !snake.is_empty() {
                    snake.push('_');
                }
                snake.extend(letter.to_lowercase());
            }
            assert_eq!(snake, name);
            let unit = stat.unit();
            assert!(["1", "bytes", "ms", "us", "s"].contains(&unit), "{name}");
            for suffix in ["bytes", "ms", "us"] {
                let says = name.split('_').any(|word| word == suffix);
                assert_eq!(says, unit == suffix, "{name} names its unit");
            }
            let help = stat.help();
            assert!(!help.is_empty() && !help.ends_with('.') && help.len() <= 90, "{name}: {help}");
        }
        let by_section: Vec<Stat> = Section::ALL.iter().flat_map(|section| section.stats()).collect();
        assert_eq!(by_section, Stat::ALL, "each section stands together, in order");
    }

    #[test]
    fn sections_are_found_by_name() {
        for &section in Section::ALL {
            assert_eq!(Section::parse(section.name().as_bytes()), Some(section));
            assert_eq!(section.name(), section.name().to_lowercase());
            assert!(
                section.about().ends_with('.') && !section.about().starts_with(' '),
                "{}",
                section.about()
            );
        }
        assert_eq!(Section::parse(b"DISK"), Some(Section::Disk));
        assert_eq!(Section::parse(b"all"), None);
        assert_eq!(Section::parse(b""), None);
    }
}
