//! `INFO [section ...]`: the statistics in the form and under the names that Redis's tools and exporters read.

use std::fmt::Write as _;

use larder_protocol::{Reply, Request, Snapshot, Stat, stream};

use super::config::POLICY;
use super::host::{REDIS_VERSION, VERSION};
use super::{Class, Group, Host, Job, Keys, REGISTRY, Run, Spec};
use crate::cache::Count;
use crate::error::CommandError;
use crate::latency::Calls;
use crate::process::Usage;

pub(super) static SPEC: Spec = Spec {
    name: "info",
    usage: "[section [section ...]]",
    arity: -1,
    class: Class::Read,
    group: Group::Server,
    keys: Keys::NONE,
    summary: "Gives statistics in the form Redis has",
    run: Run::Job(run),
};

type Section = (&'static str, fn(&Host, &Snapshot) -> String);

const SECTIONS: [Section; 14] = [
    ("Server", server),
    ("Clients", clients),
    ("Memory", memory),
    ("Persistence", persistence),
    ("Stats", stats),
    ("Replication", replication),
    ("CPU", cpu),
    ("Modules", |_, _| String::new()),
    ("Commandstats", command_stats),
    ("Latencystats", latency_stats),
    ("Errorstats", error_stats),
    ("Cluster", |_, _| fields([("cluster_enabled", "0".into())])),
    ("Keyspace", keyspace),
    ("Larder", larder),
];

/// Sections that only their own name, `all` or `everything` brings up, as in Redis.
const NOT_BY_DEFAULT: [&str; 2] = ["Commandstats", "Latencystats"];

#[expect(clippy::unnecessary_wraps, reason = "the signature of every job")]
fn run<'a>(request: Request<'_>, host: &'a Host) -> Result<Job<'a>, CommandError> {
    let asked: Vec<String> =
        request.args().map(|word| crate::error::shown(word).to_ascii_lowercase()).collect();
    let all = asked.iter().any(|word| word == "all" || word == "everything");
    let default = asked.is_empty() || asked.iter().any(|word| word == "default");
    let wanted: Vec<Section> = SECTIONS
        .into_iter()
        .filter(|(name, _)| {
            all || default && !NOT_BY_DEFAULT.contains(name)
                || asked.iter().any(|word| name.eq_ignore_ascii_case(word))
        })
        .collect();
    Ok(Box::pin(async move {
        let snapshot = host.snapshot().await?;
        let sections: Vec<_> = wanted
            .into_iter()
            .map(|(name, fields)| format!("# {name}\r\n{}", fields(host, &snapshot)))
            .collect();
        Ok(Reply::text(sections.join("\r\n")))
    }))
}

fn fields<const N: usize>(fields: [(&str, String); N]) -> String {
    fields.into_iter().fold(String::new(), |mut text, (name, value)| {
        let _ = write!(text, "{name}:{value}\r\n");
        text
    })
}

fn int(snapshot: &Snapshot, stat: Stat) -> i64 {
    snapshot.int(stat)
}

fn server(host: &Host, snapshot: &Snapshot) -> String {
    let uptime_s = int(snapshot, Stat::UptimeMs) / 1_000;
    let now_ms = int(snapshot, Stat::TimeMs);
    let file = host.settings_file.as_ref().map_or_else(String::new, |path| path.display().to_string());
    let program = std::env::current_exe().map(|path| path.display().to_string()).unwrap_or_default();
    fields([
        ("redis_version", REDIS_VERSION.into()),
        ("server_name", "larder".into()),
        ("larder_version", VERSION.into()),
        ("redis_git_sha1", "00000000".into()),
        ("redis_git_dirty", "0".into()),
        ("redis_build_id", "0".into()),
        ("redis_mode", "standalone".into()),
        ("os", std::env::consts::OS.into()),
        ("arch_bits", usize::BITS.to_string()),
        ("monotonic_clock", "POSIX clock_gettime".into()),
        ("multiplexing_api", "epoll".into()),
        ("process_id", std::process::id().to_string()),
        ("process_supervised", "no".into()),
        ("run_id", host.boot_id.clone()),
        ("tcp_port", host.settings().tcp.map_or(0, |tcp| tcp.port()).to_string()),
        ("server_time_usec", (now_ms * 1_000).to_string()),
        ("uptime_in_seconds", uptime_s.to_string()),
        ("uptime_in_days", (uptime_s / 86_400).to_string()),
        ("hz", "10".into()),
        ("configured_hz", "10".into()),
        ("lru_clock", ((now_ms / 1_000) & 0xff_ffff).to_string()),
        ("executable", program),
        ("config_file", file),
        ("io_threads_active", "0".into()),
    ])
}

fn clients(host: &Host, snapshot: &Snapshot) -> String {
    let all = host.clients.all();
    let listening = all.iter().filter(|client| !client.subscriptions.borrow().is_empty()).count();
    let watching = all.iter().filter(|client| client.watch.borrow().is_some()).count();
    let watched = all.iter().filter_map(|client| client.watch.borrow().as_ref().map(|watch| watch.len()));
    fields([
        ("connected_clients", int(snapshot, Stat::Connections).to_string()),
        ("cluster_connections", "0".into()),
        ("maxclients", host.settings().max_connections.to_string()),
        ("client_recent_max_input_buffer", "0".into()),
        ("client_recent_max_output_buffer", "0".into()),
        ("blocked_clients", "0".into()),
        ("tracking_clients", "0".into()),
        ("pubsub_clients", listening.to_string()),
        ("watching_clients", watching.to_string()),
        ("clients_in_timeout_table", "0".into()),
        ("total_watched_keys", watched.sum::<usize>().to_string()),
        ("total_blocking_keys", "0".into()),
        ("total_blocking_keys_on_nokey", "0".into()),
    ])
}

/// Redis counts what it has allocated; here that is what entries take, in memory and in the write buffer. What the system
/// has given the process is `used_memory_rss`.
fn memory(_: &Host, snapshot: &Snapshot) -> String {
    let used = int(snapshot, Stat::MemoryBytes) + int(snapshot, Stat::BufferBytes);
    let cap = int(snapshot, Stat::MemoryCapBytes);
    let usage = Usage::now();
    let ratio = usage.resident_bytes as f64 / used.max(1) as f64;
    fields([
        ("used_memory", used.to_string()),
        ("used_memory_human", human(used as u64)),
        ("used_memory_rss", usage.resident_bytes.to_string()),
        ("used_memory_rss_human", human(usage.resident_bytes)),
        ("used_memory_peak", usage.peak_bytes.to_string()),
        ("used_memory_peak_human", human(usage.peak_bytes)),
        ("used_memory_dataset", used.to_string()),
        ("used_memory_lua", "0".into()),
        ("used_memory_vm_total", "0".into()),
        ("used_memory_functions", "0".into()),
        ("number_of_cached_scripts", "0".into()),
        ("number_of_functions", "0".into()),
        ("maxmemory", cap.to_string()),
        ("maxmemory_human", human(cap as u64)),
        ("maxmemory_policy", POLICY.into()),
        ("mem_fragmentation_ratio", format!("{ratio:.2}")),
        ("mem_fragmentation_bytes", (usage.resident_bytes as i64 - used).to_string()),
        ("mem_not_counted_for_evict", "0".into()),
        ("mem_replication_backlog", "0".into()),
        ("mem_clients_slaves", "0".into()),
        ("mem_cluster_links", "0".into()),
        ("mem_allocator", "mimalloc".into()),
        ("active_defrag_running", "0".into()),
        ("lazyfree_pending_objects", "0".into()),
        ("lazyfreed_objects", "0".into()),
    ])
}

/// As Redis shortens a size.
fn human(bytes: u64) -> String {
    const UNITS: [(f64, &str); 4] = [
        ((1_u64 << 40) as f64, "T"),
        ((1_u64 << 30) as f64, "G"),
        ((1_u64 << 20) as f64, "M"),
        ((1_u64 << 10) as f64, "K"),
    ];
    let size = bytes as f64;
    let unit = UNITS.iter().find(|(factor, _)| size >= *factor);
    unit.map_or_else(|| format!("{bytes}B"), |(factor, unit)| format!("{:.2}{unit}", size / factor))
}

fn persistence(_: &Host, snapshot: &Snapshot) -> String {
    // Of the writes now, as with Redis, and not of any before: who watches it would be told for ever.
    let failed = int(snapshot, Stat::DiskFull) != 0;
    let last_s = int(snapshot, Stat::SyncLastTimeMs) / 1_000;
    fields([
        ("loading", "0".into()),
        ("async_loading", "0".into()),
        ("rdb_changes_since_last_save", int(snapshot, Stat::BufferEntries).to_string()),
        ("rdb_bgsave_in_progress", "0".into()),
        ("rdb_last_save_time", last_s.to_string()),
        ("rdb_last_bgsave_status", "ok".into()),
        ("rdb_last_bgsave_time_sec", "0".into()),
        ("rdb_current_bgsave_time_sec", "-1".into()),
        ("aof_enabled", "1".into()),
        ("aof_rewrite_in_progress", "0".into()),
        ("aof_rewrite_scheduled", "0".into()),
        ("aof_last_rewrite_time_sec", (int(snapshot, Stat::MergeLastMs) / 1_000).to_string()),
        ("aof_current_rewrite_time_sec", "-1".into()),
        ("aof_last_bgrewrite_status", "ok".into()),
        ("aof_last_write_status", if failed { "err" } else { "ok" }.into()),
        ("aof_current_size", int(snapshot, Stat::JournalBytes).to_string()),
        ("aof_base_size", "0".into()),
        ("aof_pending_rewrite", "0".into()),
        ("aof_pending_bio_fsync", "0".into()),
        ("aof_delayed_fsync", "0".into()),
    ])
}

fn stats(host: &Host, snapshot: &Snapshot) -> String {
    let stat = |stat| int(snapshot, stat).to_string();
    fields([
        ("total_connections_received", stat(Stat::ConnectionsTotal)),
        ("total_commands_processed", stat(Stat::Commands)),
        ("total_net_input_bytes", stat(Stat::InputBytes)),
        ("total_net_output_bytes", stat(Stat::OutputBytes)),
        ("rejected_connections", stat(Stat::ConnectionsRejected)),
        ("sync_full", "0".into()),
        ("sync_partial_ok", "0".into()),
        ("sync_partial_err", "0".into()),
        ("expired_keys", stat(Stat::Expirations)),
        ("expired_stale_perc", "0.00".into()),
        ("expired_time_cap_reached_count", "0".into()),
        ("evicted_keys", stat(Stat::Evictions)),
        ("keyspace_hits", stat(Stat::Hits)),
        ("keyspace_misses", stat(Stat::Misses)),
        ("pubsub_channels", host.channels.names(None).len().to_string()),
        ("pubsub_patterns", host.channels.patterns().to_string()),
        ("latest_fork_usec", "0".into()),
        ("migrate_cached_sockets", "0".into()),
        ("slave_expires_tracked_keys", "0".into()),
        ("total_net_repl_input_bytes", "0".into()),
        ("total_net_repl_output_bytes", "0".into()),
        ("evicted_clients", "0".into()),
        ("current_eviction_exceeded_time", "0".into()),
        ("total_eviction_exceeded_time", "0".into()),
        ("pubsubshard_channels", "0".into()),
        ("active_defrag_hits", "0".into()),
        ("active_defrag_misses", "0".into()),
        ("active_defrag_key_hits", "0".into()),
        ("active_defrag_key_misses", "0".into()),
        ("tracking_total_keys", "0".into()),
        ("tracking_total_items", "0".into()),
        ("tracking_total_prefixes", "0".into()),
        ("acl_access_denied_auth", "0".into()),
        ("acl_access_denied_cmd", "0".into()),
        ("acl_access_denied_key", "0".into()),
        ("acl_access_denied_channel", "0".into()),
        ("unexpected_error_replies", "0".into()),
        ("total_error_replies", stat(Stat::CommandErrors)),
        ("dump_payload_sanitizations", "0".into()),
    ])
}

fn replication(_: &Host, _: &Snapshot) -> String {
    fields([
        ("role", "master".into()),
        ("connected_slaves", "0".into()),
        ("master_failover_state", "no-failover".into()),
        ("master_repl_offset", "0".into()),
        ("second_repl_offset", "-1".into()),
        ("repl_backlog_active", "0".into()),
        ("repl_backlog_size", "0".into()),
        ("repl_backlog_first_byte_offset", "0".into()),
        ("repl_backlog_histlen", "0".into()),
    ])
}

fn cpu(_: &Host, _: &Snapshot) -> String {
    let usage = Usage::now();
    fields([
        ("used_cpu_sys", format!("{:.6}", usage.system_s)),
        ("used_cpu_user", format!("{:.6}", usage.user_s)),
        ("used_cpu_sys_children", "0.000000".into()),
        ("used_cpu_user_children", "0.000000".into()),
    ])
}

fn command_stats(host: &Host, _: &Snapshot) -> String {
    host.cache.counters(|counters| {
        let all = REGISTRY.iter().zip(counters.latencies.calls()).filter(|(_, calls)| **calls != Calls::default());
        all.fold(String::new(), |mut text, (spec, Calls { count, failed, rejected, ns })| {
            let us = ns / 1_000;
            let each = us as f64 / (*count).max(1) as f64;
            let _ = write!(
                text,
                "cmdstat_{}:calls={count},usec={us},usec_per_call={each:.2},rejected_calls={rejected},failed_calls={failed}\r\n",
                spec.name
            );
            text
        })
    })
}

fn latency_stats(host: &Host, _: &Snapshot) -> String {
    host.cache.counters(|counters| {
        let all = REGISTRY.iter().zip(0..).filter_map(|(spec, index)| {
            let runtimes = counters.latencies.runtimes(index)?;
            let us = |percent| runtimes.at(percent) as f64 / 1_000.0;
            let (half, most, nearly_all) = (us(50.0), us(99.0), us(99.9));
            let name = spec.name;
            Some(format!(
                "latency_percentiles_usec_{name}:p50={half:.3},p99={most:.3},p99.9={nearly_all:.3}\r\n"
            ))
        });
        all.collect()
    })
}

fn error_stats(host: &Host, _: &Snapshot) -> String {
    host.errors().iter().fold(String::new(), |mut text, (code, count)| {
        let _ = write!(text, "errorstat_{code}:count={count}\r\n");
        text
    })
}

/// What Redis has no field for; everything is in STATS.
fn larder(host: &Host, snapshot: &Snapshot) -> String {
    let stats = [
        Stat::DiskBytes,
        Stat::DiskCapBytes,
        Stat::DiskFull,
        Stat::WalBytes,
        Stat::Commits,
        Stat::CommitUsP99,
        Stat::Merges,
        Stat::CleanupRuns,
        Stat::CleanupRows,
        Stat::MemoryHits,
        Stat::DiskHits,
        Stat::BufferHits,
    ];
    let stats = stats.map(|stat| format!("{}:{}\r\n", stat.name(), int(snapshot, stat)));
    let answers = host.cache.counters(|counters| {
        stream::Class::ALL.map(|class| {
            let us = |percent| counters.latencies.class(class).at(percent);
            let (half, most, nearly_all) = (us(50.0), us(99.0), us(99.9));
            format!("answer_us_{}:p50={half},p99={most},p99.9={nearly_all}\r\n", class.name())
        })
    });
    stats.concat() + &answers.concat()
}

fn keyspace(_: &Host, snapshot: &Snapshot) -> String {
    let count = Count {
        entries: int(snapshot, Stat::Entries) as u64,
        expired: int(snapshot, Stat::EntriesExpired) as u64,
        ttl: int(snapshot, Stat::EntriesTtl) as u64,
    };
    match count.active() {
        0 => String::new(),
        keys => fields([("db0", format!("keys={keys},expires={},avg_ttl=0", count.ttl))]),
    }
}
