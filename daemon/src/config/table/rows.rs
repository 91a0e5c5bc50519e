//! The rows of the table of settings.

use std::time::Duration;

use larder_protocol::limits;

use super::{Fallback, Group, Setting};
use crate::config::kind::{Field, Kind};
use crate::stream::INTERVAL_MIN;

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
const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);
/// A century: beyond any cache, and far from where milliseconds since the epoch overflow.
const AGES: Duration = Duration::from_hours(24 * 36_500);

/// How long the samples are kept that draw the charts of a new listener.
const BACKLOG_MAX: Duration = Duration::from_hours(3);

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
        name: "socket_group",
        group: Group::Places,
        kind: Kind::MaybeGroup(field!(socket_group)),
        default: Fallback::Text(""),
        live: false,
        help: "Group of the socket, by name or number; empty for the daemon's own",
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
        name: "admin_users",
        group: Group::Access,
        kind: Kind::Users(field!(admin_users)),
        default: Fallback::Text(""),
        live: true,
        help: "Users, by name or number, who may do everything, as root and the daemon's own user always may",
    },
    Setting {
        name: "admin_groups",
        group: Group::Access,
        kind: Kind::Groups(field!(admin_groups)),
        default: Fallback::Text(""),
        live: true,
        help: "Groups whose members may do everything; a user that is in a list of users is not judged by groups",
    },
    Setting {
        name: "read_only_users",
        group: Group::Access,
        kind: Kind::Users(field!(read_only_users)),
        default: Fallback::Text(""),
        live: true,
        help: "Users who may only look and listen",
    },
    Setting {
        name: "read_only_groups",
        group: Group::Access,
        kind: Kind::Groups(field!(read_only_groups)),
        default: Fallback::Text(""),
        live: true,
        help: "Groups whose members may only look and listen",
    },
    Setting {
        name: "allowed_users",
        group: Group::Access,
        kind: Kind::Users(field!(allowed_users)),
        default: Fallback::Text(""),
        live: true,
        help: "Users who may read and write; where this and allowed_groups are empty, everyone the socket's mode lets in",
    },
    Setting {
        name: "allowed_groups",
        group: Group::Access,
        kind: Kind::Groups(field!(allowed_groups)),
        default: Fallback::Text(""),
        live: true,
        help: "Groups whose members may read and write",
    },
    Setting {
        name: "tcp",
        group: Group::Access,
        kind: Kind::MaybeAddress(field!(tcp)),
        default: Fallback::Text(""),
        live: false,
        help: "Address and port to listen on beside the socket, for clients that cannot use one; empty for none, and \
               only a loopback address without password_file",
    },
    Setting {
        name: "tcp_role",
        group: Group::Access,
        kind: Kind::Role(field!(tcp_role)),
        default: Fallback::Text("normal"),
        live: true,
        help: "What clients of tcp may do, as nobody knows who they are: read-only, normal or admin",
    },
    Setting {
        name: "password_file",
        group: Group::Access,
        kind: Kind::MaybePath(field!(password_file)),
        default: Fallback::Text(""),
        live: true,
        help: "File whose first line clients of tcp have to give by AUTH before anything else; those of the socket need \
               none",
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
        name: "memory_max_age",
        group: Group::Memory,
        kind: Kind::MaybeSpan(field!(memory_max_age), Duration::ZERO..=AGES),
        default: Fallback::Text("0"),
        live: false,
        help: "Time after which an entry leaves memory even if it is in use, to be read from the disk again; 0 for none",
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
        name: "max_ttl",
        group: Group::Expiry,
        kind: Kind::MaybeSpan(field!(max_ttl), Duration::ZERO..=AGES),
        default: Fallback::Text("0"),
        live: true,
        help: "Longest time to live; what is set for longer or without one gets this; 0 for no limit",
    },
    Setting {
        name: "ttl_jitter_percent",
        group: Group::Expiry,
        kind: Kind::Count(field!(ttl_jitter_percent), 0..=90),
        default: Fallback::Number(0),
        live: true,
        help: "Part of its time to live by which a value's may be shorter, each by another, so that what is set together \
               does not expire together; not for NX and EXAT, nor for EXPIRE and counters",
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
        name: "max_user_connections",
        group: Group::Limits,
        kind: Kind::Count(field!(max_user_connections), 0..=1_000_000),
        default: Fallback::Number(0),
        live: true,
        help: "Connections of one user at one time, administrators' left aside; 0 for as many as there may be",
    },
    Setting {
        name: "max_user_buffer",
        group: Group::Limits,
        kind: Kind::Length(field!(max_user_buffer_bytes), 0..=TIB),
        default: Fallback::Number(0),
        live: false,
        help: "Memory for requests and replies under way of one user's connections together, within buffer_budget; 0 for \
               no limit of its own",
    },
    Setting {
        name: "idle_timeout",
        group: Group::Limits,
        kind: Kind::MaybeSpan(field!(idle_timeout), Duration::ZERO..=DAY),
        default: Fallback::Text("0"),
        live: true,
        help: "Time after which a client that sends nothing and listens to nothing is disconnected; 0 for never",
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
        name: "notify_keyspace_events",
        group: Group::Log,
        kind: Kind::Told(field!(notify_keyspace_events)),
        default: Fallback::Text(""),
        live: true,
        help: "Changes of keys that are published, in Redis's letters: K or E for the channels, A for all or g, $, x, e and m",
    },
    Setting {
        name: "stats_interval",
        group: Group::Log,
        kind: Kind::Span(field!(stats_interval), INTERVAL_MIN..=MINUTE),
        default: Fallback::Text("1s"),
        live: true,
        help: "Time between two samples for those who subscribe to larder:stats",
    },
    Setting {
        name: "stats_backlog",
        group: Group::Log,
        kind: Kind::Span(field!(stats_backlog), Duration::ZERO..=BACKLOG_MAX),
        default: Fallback::Text("3h"),
        live: true,
        help: "How far back the samples reach that a subscription to larder:stats begins with",
    },
    Setting {
        name: "slow_command",
        group: Group::Log,
        kind: Kind::MaybeSpan(field!(slow_command), Duration::ZERO..=DAY),
        default: Fallback::Text("10ms"),
        live: true,
        help: "Time from which a command is kept for SLOWLOG, 0 for none",
    },
    Setting {
        name: "slow_commands_kept",
        group: Group::Log,
        kind: Kind::Count(field!(slow_commands_kept), 0..=100_000),
        default: Fallback::Number(128),
        live: true,
        help: "Slow commands that are kept",
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
