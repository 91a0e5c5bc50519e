//! One sample: the statistics, and the lists beside them.

use larder_protocol::Snapshot;
use larder_protocol::stream::{
    COMMANDS_MAX, Class, Client, Histogram, Hot, HotEntry, LIST_MAX, Latency, Sample, SlowCommand,
};

use crate::cmd::{Host, REGISTRY};
use crate::hot_keys::Reads;

/// Keys and prefixes listed.
const HOT_LISTED: usize = 20;

/// Slow commands listed.
const SLOW_LISTED: usize = 16;

/// Bytes shown of a name or word.
const WORD_BYTES_MAX: usize = 64;

/// The durations up to now.
pub(super) fn latency(host: &Host) -> Latency {
    let mut latency = Latency::default();
    host.cache.counters(|counters| {
        for class in Class::ALL {
            let histogram = latency.class_mut(class);
            for (us, count) in counters.latencies.class(class).sparse() {
                histogram.record_many(us.saturating_mul(1_000), count);
            }
        }
        let mut most: Vec<(u64, usize)> = counters
            .latencies
            .calls()
            .map(|calls| calls.count)
            .zip(0..)
            .filter(|(count, _)| *count > 0)
            .collect();
        most.sort_unstable_by(|a, b| b.cmp(a));
        for (_, index) in most.into_iter().take(COMMANDS_MAX) {
            let mut histogram = Histogram::default();
            if let Some(runtimes) = counters.latencies.runtimes(index) {
                for (ns, count) in runtimes.sparse() {
                    histogram.record_many(ns, count);
                }
            }
            latency.commands.push((REGISTRY[index].name.to_owned(), histogram));
        }
    });
    latency
}

/// A whole sample.
pub(super) fn sample(host: &Host, stats: Snapshot, latency: Latency) -> Sample {
    let (hot_keys, hot_prefixes) = host.cache.counters(|counters| {
        let hot_keys = &counters.hot_keys;
        let list = |reads: Vec<Reads>| Hot {
            since_ms: hot_keys.since_ms(),
            top: reads.iter().map(hot_entry).collect(),
        };
        (list(hot_keys.keys(HOT_LISTED)), list(hot_keys.prefixes(HOT_LISTED)))
    });
    Sample {
        interval_ms: host.settings().stats_interval.as_millis() as i64,
        stats,
        latency,
        hot_keys,
        hot_prefixes,
        clients: clients(host),
        slow: slow(host),
        ..Sample::default()
    }
}

fn hot_entry(reads: &Reads) -> HotEntry {
    HotEntry {
        name: shown(&reads.name),
        reads: (reads.hits + reads.misses) as i64,
        hits: reads.hits as i64,
        misses: reads.misses as i64,
    }
}

/// The busiest clients.
fn clients(host: &Host) -> Vec<Client> {
    let now_ms = host.cache.now_ms();
    let mut all = host.clients.all();
    all.sort_by_key(|client| std::cmp::Reverse(client.commands.get()));
    all.truncate(LIST_MAX);
    all.iter()
        .map(|client| {
            let (library, version) = (client.library.borrow(), client.library_version.borrow());
            Client {
                id: client.id as i64,
                pid: client.peer.pid.map(i64::from),
                comm: client.program().to_owned(),
                uid: client.peer.tcp.is_none().then(|| i64::from(client.peer.uid)),
                name: client.name.borrow().clone(),
                library: format!("{library} {version}").trim().to_owned(),
                age_ms: now_ms - client.connected_ms,
                idle_ms: now_ms - client.active_ms.get(),
                commands: client.commands.get() as i64,
                input_bytes: client.input_bytes.get() as i64,
                output_bytes: client.output_bytes.get() as i64,
                subscriptions: client.subscriptions.borrow().len() as i64,
                dropped: client.missed() as i64,
            }
        })
        .collect()
}

fn slow(host: &Host) -> Vec<SlowCommand> {
    let slow_log = host.slow_log.borrow();
    slow_log
        .newest(SLOW_LISTED)
        .map(|slow| SlowCommand {
            id: slow.id as i64,
            time_ms: slow.time_ms,
            duration_us: slow.us as i64,
            command: slow.words.iter().map(|word| shown(word)).collect(),
            client: slow.client as i64,
        })
        .collect()
}

fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(WORD_BYTES_MAX)]).into_owned()
}
