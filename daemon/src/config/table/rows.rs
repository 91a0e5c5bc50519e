//! The rows of the table of settings.

use std::time::Duration;

use larder_protocol::limits;

use super::Fallback::{Number, PerUser, Secs, Text};
use super::{Group, Setting};
use crate::config::kind::{Field, Kind};
use crate::stream::INTERVAL_MIN;

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

/// Fills [`SETTINGS`]: the rows under their group, each as `"name": Kind(field, range) = default, live or restart, help`.
macro_rules! settings {
    ($($group:ident { $($name:literal: $kind:ident($field:ident $(, $range:expr)?) = $default:expr, $live:ident,
                        $help:expr;)* })*) => {
        /// All settings, in the order of `--help` and `--print-config`.
        pub const SETTINGS: &[Setting] = &[$($(Setting {
            name: $name,
            group: Group::$group,
            kind: Kind::$kind(
                Field { of: |settings| &settings.$field, of_mut: |settings| &mut settings.$field }
                $(, $range)?
            ),
            default: $default,
            live: settings!(@$live),
            help: $help,
        },)*)*];
    };
    (@live) => { true };
    (@restart) => { false };
}

settings! {
    Places {
        "socket": Path(socket) =
            PerUser("larder/larder.sock in $XDG_RUNTIME_DIR or ~/.local/state, for root /run/larder/larder.sock"), restart,
            "Unix socket to listen on";
        "socket_mode": Mode(socket_mode) = Text("0600"), restart,
            "Permission bits of the socket; who may write to it may connect";
        "socket_group": MaybeGroup(socket_group) = Text(""), restart,
            "Group of the socket, by name or number; empty for the daemon's own";
        "data": Path(data) =
            PerUser("$XDG_STATE_HOME/larder or ~/.local/state/larder, for root /var/lib/larder"), restart,
            "Directory of the entries; one daemon at a time owns it";
        "warm": MaybePath(warm) = Text(""), restart,
            "File of commands, as RESP or as lines, to run at each start before the first client is served; a SET \
             with NX leaves alone what is there already";
    }
    Access {
        "admin_users": Users(admin_users) = Text(""), live,
            "Users, by name or number, who may do everything, as root and the daemon's own user always may";
        "admin_groups": Groups(admin_groups) = Text(""), live,
            "Groups whose members may do everything; a user that is in a list of users is not judged by groups";
        "read_only_users": Users(read_only_users) = Text(""), live,
            "Users who may only look and listen";
        "read_only_groups": Groups(read_only_groups) = Text(""), live,
            "Groups whose members may only look and listen";
        "allowed_users": Users(allowed_users) = Text(""), live,
            "Users who may read and write; where this and allowed_groups are empty, everyone the socket's mode lets \
             in";
        "allowed_groups": Groups(allowed_groups) = Text(""), live,
            "Groups whose members may read and write";
        "tcp": MaybeAddress(tcp) = Text(""), restart,
            "Address and port to listen on beside the socket, for clients that cannot use one; empty for none, and \
             only a loopback address without password_file";
        "tcp_role": Role(tcp_role) = Text("normal"), live,
            "What clients of tcp may do, as nobody knows who they are: read-only, normal or admin";
        "password_file": MaybePath(password_file) = Text(""), live,
            "File whose first line clients of tcp have to give by AUTH before anything else; those of the socket \
             need none";
    }
    Durability {
        "durability": Durability(durability) = Text("commit"), restart,
            "When a write is answered: commit, once it survives the daemon's death; fsync, once it survives the \
             machine's; memory, at once";
        "sync_interval": Span(sync_interval, MS..=SEC) = Text("1s"), restart,
            "Longest time answered writes wait for the disk, where the machine's death would lose them";
        "flush_interval": Span(flush_interval, MS..=HOUR) = Text("100ms"), restart,
            "Longest time answered writes stay in memory alone; only with durability memory";
        "journal_limit": Bytes(journal_limit_bytes, 64 * KIB..=TIB) = Number(160 * MIB), restart,
            "Size of the journal at which it is merged and begun anew";
    }
    Disk {
        "disk_cap": Bytes(disk_cap_bytes, 0..=1024 * TIB) = Number(10 * 1024 * MIB), restart,
            "Disk space for all of larder's files together; above it the coldest entries go, the expired first; at \
             least 64MiB, 0 for no limit";
        "compress_from": Length(compress_from_bytes, 0..=512 * MIB) = Number(KIB), restart,
            "Size from which values are compressed on disk, where it pays; 0 for never";
        "compression_level": Count(compression_level, 1..=19) = Number(3), restart,
            "How hard values are compressed, as zstd counts it: higher is smaller and slower";
    }
    Memory {
        "memory_cap": Bytes(memory_cap_bytes, 0..=64 * TIB) = Number(64 * MIB), restart,
            "Memory for entries in use; 0 turns the memory tier off";
        "memory_max_age": MaybeSpan(memory_max_age, Duration::ZERO..=AGES) = Text("0"), restart,
            "Time after which an entry leaves memory even if it is in use, to be read from the disk again; 0 for \
             none";
        "hot_keys": Count(hot_keys, 0..=1_000_000) = Number(100_000), restart,
            "Entries in use whose keys are noted on disk, so that a restart brings them back into memory; 0 for none";
        "hot_keys_interval": Span(hot_keys_interval, MS..=DAY) = Text("5m"), restart,
            "Time between such notes, for where the daemon does not stop in an orderly way";
        "buffer_cap": Bytes(buffer_cap_bytes, 64 * KIB..=64 * TIB) = Number(256 * MIB), restart,
            "Memory for writes that are not merged into the database yet; above it, writers wait";
        "merge_interval": Span(merge_interval, MS..=DAY) = Text("5s"), restart,
            "Time between merges of written entries into the database";
        "merge_bytes": Bytes(merge_bytes, 1..=64 * TIB) = Number(128 * MIB), restart,
            "Size of the written entries that starts a merge before its time; at most half of buffer_cap";
        "readers": Count(readers, 1..=64) = Number(4), restart,
            "Threads, each with a connection, that read the database";
    }
    Expiry {
        "default_ttl": MaybeSpan(default_ttl, Duration::ZERO..=AGES) = Text("0"), live,
            "Time to live of an entry that is set without one; 0 for none";
        "max_ttl": MaybeSpan(max_ttl, Duration::ZERO..=AGES) = Text("0"), live,
            "Longest time to live; what is set for longer or without one gets this; 0 for no limit";
        "ttl_jitter_percent": Count(ttl_jitter_percent, 0..=90) = Number(0), live,
            "Part of its time to live by which a value's may be shorter, each by another, so that what is set \
             together does not expire together; not for SET with a condition or EXAT, nor for EXPIRE and counters";
        "cleanup_interval": Span(cleanup_interval, MS..=DAY) = Text("1m"), live,
            "Time between removals of expired entries from the disk; they are never served meanwhile";
        "cleanup_slice_rows": Count(cleanup_slice_rows, 1..=1_000_000) = Number(1000), restart,
            "Entries removed in one go, with other work served in between";
    }
    Limits {
        "max_connections": Count(max_connections, 1..=1_000_000) = Number(limits::CONNECTIONS as u64), live,
            "Connections at one time; the next one gets an error and is closed";
        "max_user_connections": Count(max_user_connections, 0..=1_000_000) = Number(0), live,
            "Connections of one user at one time, administrators' left aside; 0 for as many as there may be";
        "max_user_buffer": Length(max_user_buffer_bytes, 0..=TIB) = Number(0), restart,
            "Memory for requests and replies under way of one user's connections together, within buffer_budget, and as \
             much again for what is kept for them; 0 for no limit of its own";
        "idle_timeout": MaybeSpan(idle_timeout, Duration::ZERO..=DAY) = Text("0"), live,
            "Time after which a client that sends nothing and listens to nothing is disconnected; 0 for never";
        "max_line": Length(max_line_bytes, 64..=64 * MIB) = Number(limits::LINE_BYTES as u64), restart,
            "Size of a request that is one line of text";
        "max_args": Count(max_args, 16..=16 * MIB) = Number(limits::ARGS as u64), restart,
            "Words of one request";
        "max_key": Length(max_key_bytes, 1..=MIB) = Number(limits::KEY_BYTES as u64), live,
            "Size of a key";
        "max_value": Length(max_value_bytes, 1..=512 * MIB) = Number(limits::VALUE_BYTES as u64), restart,
            "Size of a value";
        "output_limit": Length(output_limit_bytes, KIB..=TIB) = Number(limits::OUTPUT_BYTES as u64), live,
            "Unread replies of a connection at which its requests are no longer read";
        "output_stall": Span(output_stall, MS..=DAY) = Secs(limits::OUTPUT_STALL_SECS), live,
            "Time a client may leave replies unread before it is disconnected";
        "half_request_timeout": Span(half_request_timeout, MS..=DAY) = Secs(limits::HALF_REQUEST_SECS), live,
            "Time a client may stop in the middle of a request before it is disconnected";
        "buffer_budget": Length(buffer_budget_bytes, 64 * KIB..=TIB) =
            Number(limits::BUFFER_BUDGET_BYTES as u64), restart,
            "Memory for requests and replies under way, of all connections together, and as much again for what they \
             have queued, watch and are subscribed to";
        "subscriber_buffer": Length(subscriber_buffer_bytes, KIB..=TIB) =
            Number(limits::SUBSCRIBER_BYTES as u64), live,
            "Unread messages of a subscriber at which it is disconnected";
    }
    Statistics {
        "notify_keyspace_events": Told(notify_keyspace_events) = Text(""), live,
            "Changes of keys that are published, in Redis's letters: K or E for the channels, A for all or g, $, x, \
             e and m";
        "stats_interval": Span(stats_interval, INTERVAL_MIN..=MINUTE) = Text("1s"), live,
            "Time between two samples for those who subscribe to larder:stats";
        "stats_backlog": Span(stats_backlog, Duration::ZERO..=BACKLOG_MAX) = Text("3h"), live,
            "How far back the samples reach that a subscription to larder:stats begins with";
        "slow_command": MaybeSpan(slow_command, Duration::ZERO..=DAY) = Text("10ms"), live,
            "Time from which a command is kept for SLOWLOG, 0 for none";
        "slow_commands_kept": Count(slow_commands_kept, 0..=100_000) = Number(128), live,
            "Slow commands that are kept";
    }
    Log {
        "log_level": Level(log_level) = Text("info"), live,
            "Least important event that is logged: error, warn, info or debug";
        "log_format": Format(log_format) = Text("text"), live,
            "What a line of the log looks like: text, or json for an object with time, level, message and fields";
    }
}
