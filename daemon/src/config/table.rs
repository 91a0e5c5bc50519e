//! The table of settings. To add one: a field in [`Settings`](super::Settings), a row here.
//!
//! Used by everything in this module that reads, checks, prints or documents settings, and by whatever else lists them
//! (CONFIG GET, the example file, README's table). Knows values as text and as fields; never where a text came from.

use std::time::Duration;

use larder_protocol::limits;

use super::kind::{Field, Kind};
use super::units::{show_bytes, show_span};

/// One row: a setting with everything that is known about it.
#[derive(Debug)]
pub struct Setting {
    /// The key in the file. The option and the variable derive from it: `memory_cap`, `--memory-cap`,
    /// `LARDER_MEMORY_CAP`.
    pub name: &'static str,
    /// What the help lists it under.
    pub group: Group,
    /// Its type, its range and the field it fills.
    pub kind: Kind,
    /// Its value when no source gives one.
    pub default: Fallback,
    /// Whether a reload changes it, or only a restart.
    pub live: bool,
    /// One sentence or two, starting with what it is. Without a full stop, as the help goes on in brackets.
    pub help: &'static str,
}

/// The headings of the help, in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Where the socket and the data are.
    Places,
    /// How writes reach the disk.
    Durability,
    /// What is kept on disk.
    Disk,
    /// What is kept in memory.
    Memory,
    /// How entries end.
    Expiry,
    /// What one client may ask for, and all together.
    Limits,
    /// What is logged.
    Log,
}

impl Group {
    /// The heading.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Places => "Places",
            Self::Durability => "Durability",
            Self::Disk => "Disk",
            Self::Memory => "Memory",
            Self::Expiry => "Expiry",
            Self::Limits => "Limits",
            Self::Log => "Log",
        }
    }
}

/// A value for a setting that no source mentions.
#[derive(Clone, Copy, Debug)]
pub enum Fallback {
    /// As one would write it.
    Text(&'static str),
    /// Bytes or a count, taken from a constant.
    Number(u64),
    /// Seconds, taken from a constant.
    Secs(u64),
    /// Worked out from the user and the environment; the text describes it.
    PerUser(&'static str),
}

impl Fallback {
    /// The default as text, unless it differs from user to user.
    #[must_use]
    pub fn fixed(self, kind: &Kind) -> Option<String> {
        match self {
            Self::Text(text) => Some(text.to_owned()),
            Self::Number(number) if matches!(kind, Kind::Count(..)) => Some(number.to_string()),
            Self::Number(bytes) => Some(show_bytes(bytes)),
            Self::Secs(secs) => Some(show_span(Duration::from_secs(secs))),
            Self::PerUser(_) => None,
        }
    }

    /// The default as the help shows it.
    #[must_use]
    pub fn describe(self, kind: &Kind) -> String {
        match self {
            Self::PerUser(text) => text.to_owned(),
            _ => self.fixed(kind).unwrap_or_default(),
        }
    }
}

/// Both ways to a field of [`Settings`].
macro_rules! field {
    ($name:ident) => {
        Field { of: |settings| &settings.$name, of_mut: |settings| &mut settings.$name }
    };
}

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const TIB: u64 = 1 << 40;
const MS: Duration = Duration::from_millis(1);
const SEC: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);
/// A century: beyond any cache, and far from where milliseconds since the epoch overflow.
const AGES: Duration = Duration::from_hours(24 * 36_500);

/// All settings, in the order of `--help` and `--print-config`.
pub const SETTINGS: &[Setting] = &[
    Setting {
        name: "socket",
        group: Group::Places,
        kind: Kind::Path(field!(socket)),
        default: Fallback::PerUser("$XDG_RUNTIME_DIR/larder/larder.sock, for root /run/larder/larder.sock"),
        live: false,
        help: "Unix socket to listen on",
    },
    Setting {
        name: "socket_mode",
        group: Group::Places,
        kind: Kind::Mode(field!(socket_mode)),
        default: Fallback::Text("0600"),
        live: false,
        help: "Permission bits of the socket; who may write to it may connect",
    },
    Setting {
        name: "data",
        group: Group::Places,
        kind: Kind::Path(field!(data)),
        default: Fallback::PerUser(
            "$XDG_STATE_HOME/larder or ~/.local/state/larder, for root /var/lib/larder",
        ),
        live: false,
        help: "Directory of the entries; one daemon at a time owns it",
    },
    Setting {
        name: "durability",
        group: Group::Durability,
        kind: Kind::Durability(field!(durability)),
        default: Fallback::Text("commit"),
        live: false,
        help: "When a write is answered: commit, once it survives the daemon's death; fsync, once it survives the \
               machine's; memory, at once",
    },
    Setting {
        name: "sync_interval",
        group: Group::Durability,
        kind: Kind::Span(field!(sync_interval), MS..=SEC),
        default: Fallback::Text("1s"),
        live: false,
        help: "Longest time answered writes wait for the disk, where the machine's death would lose them",
    },
    Setting {
        name: "flush_interval",
        group: Group::Durability,
        kind: Kind::Span(field!(flush_interval), MS..=HOUR),
        default: Fallback::Text("100ms"),
        live: false,
        help: "Longest time answered writes stay in memory alone; only with durability memory",
    },
    Setting {
        name: "journal_limit",
        group: Group::Durability,
        kind: Kind::Bytes(field!(journal_limit_bytes), 64 * KIB..=TIB),
        default: Fallback::Number(160 * MIB),
        live: false,
        help: "Size of the journal at which it is merged and begun anew",
    },
    Setting {
        name: "disk_cap",
        group: Group::Disk,
        kind: Kind::Bytes(field!(disk_cap_bytes), 0..=1024 * TIB),
        default: Fallback::Number(10 * 1024 * MIB),
        live: false,
        help: "Disk space for all of larder's files together; above it the coldest entries go, the expired first; at \
               least 64MiB, 0 for no limit",
    },
    Setting {
        name: "compress_from",
        group: Group::Disk,
        kind: Kind::Length(field!(compress_from_bytes), 0..=512 * MIB),
        default: Fallback::Number(KIB),
        live: false,
        help: "Size from which values are compressed on disk, where it pays; 0 for never",
    },
    Setting {
        name: "compression_level",
        group: Group::Disk,
        kind: Kind::Count(field!(compression_level), 1..=19),
        default: Fallback::Number(3),
        live: false,
        help: "How hard values are compressed, as zstd counts it: higher is smaller and slower",
    },
    Setting {
        name: "memory_cap",
        group: Group::Memory,
        kind: Kind::Bytes(field!(memory_cap_bytes), 0..=64 * TIB),
        default: Fallback::Number(64 * MIB),
        live: false,
        help: "Memory for entries in use; 0 turns the memory tier off",
    },
    Setting {
        name: "hot_keys",
        group: Group::Memory,
        kind: Kind::Count(field!(hot_keys), 0..=1_000_000),
        default: Fallback::Number(100_000),
        live: false,
        help: "Entries in use whose keys are noted on disk, so that a restart brings them back into memory; 0 for none",
    },
    Setting {
        name: "hot_keys_interval",
        group: Group::Memory,
        kind: Kind::Span(field!(hot_keys_interval), MS..=DAY),
        default: Fallback::Text("5m"),
        live: false,
        help: "Time between such notes, for where the daemon does not stop in an orderly way",
    },
    Setting {
        name: "buffer_cap",
        group: Group::Memory,
        kind: Kind::Bytes(field!(buffer_cap_bytes), 64 * KIB..=64 * TIB),
        default: Fallback::Number(256 * MIB),
        live: false,
        help: "Memory for writes that are not merged into the database yet; above it, writers wait",
    },
    Setting {
        name: "merge_interval",
        group: Group::Memory,
        kind: Kind::Span(field!(merge_interval), MS..=DAY),
        default: Fallback::Text("5s"),
        live: false,
        help: "Time between merges of written entries into the database",
    },
    Setting {
        name: "merge_bytes",
        group: Group::Memory,
        kind: Kind::Bytes(field!(merge_bytes), 1..=64 * TIB),
        default: Fallback::Number(128 * MIB),
        live: false,
        help: "Size of the written entries that starts a merge before its time; at most half of buffer_cap",
    },
    Setting {
        name: "readers",
        group: Group::Memory,
        kind: Kind::Count(field!(readers), 1..=64),
        default: Fallback::Number(4),
        live: false,
        help: "Threads, each with a connection, that read the database",
    },
    Setting {
        name: "default_ttl",
        group: Group::Expiry,
        kind: Kind::MaybeSpan(field!(default_ttl), Duration::ZERO..=AGES),
        default: Fallback::Text("0"),
        live: true,
        help: "Time to live of an entry that is set without one; 0 for none",
    },
    Setting {
        name: "cleanup_interval",
        group: Group::Expiry,
        kind: Kind::Span(field!(cleanup_interval), MS..=DAY),
        default: Fallback::Text("1m"),
        live: true,
        help: "Time between removals of expired entries from the disk; they are never served meanwhile",
    },
    Setting {
        name: "cleanup_slice_rows",
        group: Group::Expiry,
        kind: Kind::Count(field!(cleanup_slice_rows), 1..=1_000_000),
        default: Fallback::Number(1000),
        live: false,
        help: "Entries removed in one go, with other work served in between",
    },
    Setting {
        name: "max_connections",
        group: Group::Limits,
        kind: Kind::Count(field!(max_connections), 1..=1_000_000),
        default: Fallback::Number(limits::CONNECTIONS as u64),
        live: true,
        help: "Connections at one time; the next one gets an error and is closed",
    },
    Setting {
        name: "max_line",
        group: Group::Limits,
        kind: Kind::Length(field!(max_line_bytes), 64..=64 * MIB),
        default: Fallback::Number(limits::LINE_BYTES as u64),
        live: false,
        help: "Size of a request that is one line of text",
    },
    Setting {
        name: "max_args",
        group: Group::Limits,
        kind: Kind::Count(field!(max_args), 16..=16 * MIB),
        default: Fallback::Number(limits::ARGS as u64),
        live: false,
        help: "Words of one request",
    },
    Setting {
        name: "max_key",
        group: Group::Limits,
        kind: Kind::Length(field!(max_key_bytes), 1..=MIB),
        default: Fallback::Number(limits::KEY_BYTES as u64),
        live: true,
        help: "Size of a key",
    },
    Setting {
        name: "max_value",
        group: Group::Limits,
        kind: Kind::Length(field!(max_value_bytes), 1..=512 * MIB),
        default: Fallback::Number(limits::VALUE_BYTES as u64),
        live: false,
        help: "Size of a value",
    },
    Setting {
        name: "output_limit",
        group: Group::Limits,
        kind: Kind::Length(field!(output_limit_bytes), KIB..=TIB),
        default: Fallback::Number(limits::OUTPUT_BYTES as u64),
        live: true,
        help: "Unread replies of a connection at which its requests are no longer read",
    },
    Setting {
        name: "output_stall",
        group: Group::Limits,
        kind: Kind::Span(field!(output_stall), MS..=DAY),
        default: Fallback::Secs(limits::OUTPUT_STALL_SECS),
        live: true,
        help: "Time a client may leave replies unread before it is disconnected",
    },
    Setting {
        name: "half_request_timeout",
        group: Group::Limits,
        kind: Kind::Span(field!(half_request_timeout), MS..=DAY),
        default: Fallback::Secs(limits::HALF_REQUEST_SECS),
        live: true,
        help: "Time a client may stop in the middle of a request before it is disconnected",
    },
    Setting {
        name: "buffer_budget",
        group: Group::Limits,
        kind: Kind::Length(field!(buffer_budget_bytes), 64 * KIB..=TIB),
        default: Fallback::Number(limits::BUFFER_BUDGET_BYTES as u64),
        live: false,
        help: "Memory for requests and replies under way, of all connections together",
    },
    Setting {
        name: "subscriber_buffer",
        group: Group::Limits,
        kind: Kind::Length(field!(subscriber_buffer_bytes), KIB..=TIB),
        default: Fallback::Number(limits::SUBSCRIBER_BYTES as u64),
        live: true,
        help: "Unread messages of a subscriber at which it is disconnected",
    },
    Setting {
        name: "log_level",
        group: Group::Log,
        kind: Kind::Level(field!(log_level)),
        default: Fallback::Text("info"),
        live: true,
        help: "Least important event that is logged: error, warn, info or debug",
    },
];

/// The row of the setting called `name`.
#[must_use]
pub fn find(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.name == name)
}

impl Setting {
    /// The option that sets it, without the dashes in front.
    #[must_use]
    pub fn option(&self) -> String {
        self.name.replace('_', "-")
    }

    /// The environment variable that sets it.
    #[must_use]
    pub fn variable(&self) -> String {
        format!("LARDER_{}", self.name.to_ascii_uppercase())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;

    #[test]
    fn names_are_unique_and_plain() {
        for (at, setting) in SETTINGS.iter().enumerate() {
            assert!(setting.name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{}", setting.name);
            assert!(SETTINGS[..at].iter().all(|earlier| earlier.name != setting.name), "{}", setting.name);
            assert!(!setting.help.ends_with('.') && !setting.help.is_empty(), "{}", setting.name);
        }
    }

    #[test]
    fn groups_are_not_scattered() {
        let mut groups: Vec<_> = SETTINGS.iter().map(|setting| setting.group.title()).collect();
        groups.dedup();
        let mut unique = groups.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(groups.len(), unique.len(), "{groups:?}");
    }

    #[test]
    fn each_row_reads_its_default_into_its_own_field_and_shows_it_back() {
        let defaults = Settings::default();
        for setting in SETTINGS {
            let Some(text) = setting.default.fixed(&setting.kind) else { continue };
            let mut settings = defaults.clone();
            setting.kind.read(&mut settings, text.as_ref()).unwrap();
            assert_eq!(settings, defaults, "{}", setting.name);
            assert_eq!(setting.kind.show(&settings), text, "{}", setting.name);
        }
    }

    #[test]
    fn no_two_rows_share_a_field() {
        let other = |kind: &Kind| match kind {
            Kind::Path(_) => "/elsewhere",
            Kind::Mode(_) => "0640",
            Kind::Bytes(..) | Kind::Length(..) => "768KiB",
            Kind::Count(..) => "17",
            Kind::Span(..) | Kind::MaybeSpan(..) => "321ms",
            Kind::Durability(_) => "fsync",
            Kind::Level(_) => "debug",
        };
        for setting in SETTINGS {
            let mut settings = Settings::default();
            setting.kind.read(&mut settings, other(&setting.kind).as_ref()).unwrap();
            for shown in SETTINGS {
                let changed = shown.kind.show(&settings) != shown.kind.show(&Settings::default());
                assert_eq!(changed, shown.name == setting.name, "{} and {}", setting.name, shown.name);
            }
        }
    }
}
