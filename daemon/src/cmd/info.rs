//! `INFO [section ...]`: the statistics in the form and under the names that Redis's tools and exporters read.

use std::fmt::Write as _;

use larder_protocol::{Reply, Request, Snapshot, Stat, Value};

use super::host::{REDIS_VERSION, VERSION};
use super::{Class, Group, Host, Job, Keys, Run, Spec};
use crate::cache::Count;
use crate::error::CommandError;

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

const SECTIONS: [Section; 8] = [
    ("Server", server),
    ("Clients", clients),
    ("Memory", memory),
    ("Persistence", persistence),
    ("Stats", stats),
    ("Replication", replication),
    ("Commandstats", command_stats),
    ("Keyspace", keyspace),
];

/// Sections that only their own name, `all` or `everything` brings up, as in Redis.
const NOT_BY_DEFAULT: [&str; 1] = ["Commandstats"];

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
    fields([
        ("redis_version", REDIS_VERSION.into()),
        ("server_name", "larder".into()),
        ("larder_version", VERSION.into()),
        ("redis_mode", "standalone".into()),
        ("os", std::env::consts::OS.into()),
        ("arch_bits", usize::BITS.to_string()),
        ("process_id", std::process::id().to_string()),
        ("run_id", host.boot_id.clone()),
        ("tcp_port", "0".into()),
        ("uptime_in_seconds", (int(snapshot, Stat::UptimeMs) / 1_000).to_string()),
        ("uptime_in_days", (int(snapshot, Stat::UptimeMs) / 86_400_000).to_string()),
    ])
}

fn clients(host: &Host, snapshot: &Snapshot) -> String {
    fields([
        ("connected_clients", int(snapshot, Stat::Connections).to_string()),
        ("maxclients", host.settings().max_connections.to_string()),
        ("blocked_clients", "0".into()),
    ])
}

fn memory(_: &Host, snapshot: &Snapshot) -> String {
    let used = int(snapshot, Stat::MemoryBytes) + int(snapshot, Stat::BufferBytes);
    fields([
        ("used_memory", used.to_string()),
        ("maxmemory", int(snapshot, Stat::MemoryCapBytes).to_string()),
        ("maxmemory_policy", "allkeys-lfu".into()),
    ])
}

fn persistence(_: &Host, snapshot: &Snapshot) -> String {
    let failed = int(snapshot, Stat::WriteErrors) > 0;
    fields([
        ("loading", "0".into()),
        ("rdb_changes_since_last_save", "0".into()),
        ("rdb_bgsave_in_progress", "0".into()),
        ("rdb_last_bgsave_status", "ok".into()),
        ("aof_enabled", "1".into()),
        ("aof_rewrite_in_progress", "0".into()),
        ("aof_last_write_status", if failed { "err" } else { "ok" }.into()),
        ("aof_current_size", int(snapshot, Stat::JournalBytes).to_string()),
    ])
}

fn stats(_: &Host, snapshot: &Snapshot) -> String {
    let stat = |stat| int(snapshot, stat).to_string();
    fields([
        ("total_connections_received", stat(Stat::ConnectionsTotal)),
        ("total_commands_processed", stat(Stat::Commands)),
        ("total_net_input_bytes", stat(Stat::InputBytes)),
        ("total_net_output_bytes", stat(Stat::OutputBytes)),
        ("rejected_connections", stat(Stat::ConnectionsRejected)),
        ("expired_keys", stat(Stat::Expirations)),
        ("evicted_keys", stat(Stat::Evictions)),
        ("keyspace_hits", stat(Stat::Hits)),
        ("keyspace_misses", stat(Stat::Misses)),
        ("total_error_replies", stat(Stat::CommandErrors)),
    ])
}

fn replication(_: &Host, _: &Snapshot) -> String {
    fields([("role", "master".into()), ("connected_slaves", "0".into())])
}

fn command_stats(_: &Host, snapshot: &Snapshot) -> String {
    let Value::Map(calls) = snapshot.get(Stat::CommandsByName) else { return String::new() };
    calls.iter().fold(String::new(), |mut text, (name, calls)| {
        let _ = write!(text, "cmdstat_{name}:calls={calls}\r\n");
        text
    })
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
