//! Clients that do not read: pipelined GETs whose answers pile up, and subscribers that have stalled. Memory is bounded, the
//! others are served, and what a listener of `larder:stats` has missed is counted exactly.

use std::io::{ErrorKind, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::process::{mib, resident_bytes};
use crate::report::{Plan, Report, Subject, percentile_99_us};
use crate::util::{Client, Daemon, Reply, encode, wait_until};

/// `LARDER_GATE_COUNT` is for how many seconds.
#[test]
fn gate() {
    run(&Subject::larderd(), Plan::from_environment(8)).end();
}

const DEAF: usize = 8;
const STALLED: usize = 100;
const VALUE_BYTES: usize = 4_000;

const SETTINGS: &[&str] = &[
    "--output-limit",
    "1MiB",
    "--buffer-budget",
    "32MiB",
    "--subscriber-buffer",
    "256KiB",
    // Longer than this takes: they are not to be rid of by waiting.
    "--output-stall",
    "1h",
    "--half-request-timeout",
    "1h",
    "--stats-interval",
    "20ms",
];

pub(crate) fn run(subject: &Subject, plan: Plan) -> Report {
    let mut report = Report::new("slow readers", plan);
    let daemon = subject.start(SETTINGS);
    let mut good = daemon.client();
    good.check(&format!("SET big {}", "v".repeat(VALUE_BYTES)), "+OK");
    let before = resident_bytes(daemon.pid());
    let mut calm = latencies(&mut good, Duration::from_millis(500));
    report.count("us the 99th percentile of SET before", percentile_99_us(&mut calm));

    let deaf = pile_up(&daemon, &mut report);
    let mut stalled: Vec<Client> = (0..STALLED).map(|_| daemon.client()).collect();
    for client in &mut stalled {
        client.check("SUBSCRIBE news", "[=subscribe =news :1]");
    }
    let until_ms = Arc::new(AtomicI64::new(i64::MAX));
    let mut awake = daemon.client();
    awake.check("SUBSCRIBE larder:stats", "[=subscribe =larder:stats :1]");
    let awake = thread::spawn({
        let until_ms = Arc::clone(&until_ms);
        move || listen(&mut awake, &until_ms)
    });
    let mut samples = daemon.client();
    samples.check("SUBSCRIBE larder:stats", "[=subscribe =larder:stats :1]");

    serve_beside(&daemon, &mut good, before, plan, &mut report);
    // The one awake goes on for as long as the other has not caught up.
    let caught_up = AtomicI64::new(daemon.stats().get("time_ms") + 100);
    let heard_asleep = listen(&mut samples, &caught_up);
    until_ms.store(heard_asleep.last().map_or(0, |heard| heard.taken_ms), Ordering::Relaxed);
    let heard_awake = awake.join().expect("it says why it cannot go on");
    compare(&heard_asleep, &heard_awake, &mut report);
    drop((deaf, stalled, samples));
    wait_until("all of them to be gone", || good.stats().is("connections", 1));
    daemon.check_healthy();
    report.count("resident afterwards", mib(resident_bytes(daemon.pid())));
    report
}

/// Clients that send GETs for as long as the daemon takes them in, and read no answer.
fn pile_up(daemon: &Daemon, report: &mut Report) -> Vec<Client> {
    let request = encode(&["GET", "big"]);
    let batch = request.repeat(1_000);
    let mut deaf: Vec<Client> = (0..DEAF).map(|_| daemon.client()).collect();
    let mut piled = 0;
    for client in &mut deaf {
        // A million requests, or as many as it takes in before it stops reading.
        client.stream().set_nonblocking(true).unwrap();
        let since = Instant::now();
        let mut sent = 0;
        while sent < 1_000_000 * request.len() && since.elapsed() < Duration::from_millis(300) {
            match client.stream().write(&batch[sent % request.len()..]) {
                Ok(bytes) => sent += bytes,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    thread::sleep(Duration::from_millis(1));
                }
                Err(error) => {
                    report.fail(format!("a client that does not read was cut off: {error}"));
                    break;
                }
            }
        }
        piled += sent / request.len();
    }
    report.count("pipelined GETs sent and not read", piled);
    deaf
}

/// One who reads is served all the while, and memory, which was `before` so large, stays within its bounds.
fn serve_beside(daemon: &Daemon, good: &mut Client, before: u64, plan: Plan, report: &mut Report) {
    let until = Instant::now() + Duration::from_secs(plan.count);
    let message = "m".repeat(2_000);
    let (mut during, mut most, mut published) = (Vec::new(), before, 0_u64);
    while Instant::now() < until {
        during.extend(latencies(good, Duration::from_millis(50)));
        good.args(&["PUBLISH", "news", &message]);
        published += 1;
        most = most.max(resident_bytes(daemon.pid()));
    }
    report.count("us the 99th percentile of SET beside them", percentile_99_us(&mut during));
    report.count("messages to 100 who do not read", published);
    report.count("resident before", mib(before));
    report.count("at most", mib(most));
    // What may pile up together: answers and requests within their budget, unread messages of each subscriber, once shared
    // and once on its way to the socket.
    let allowed = (32 << 20) + STALLED as u64 * 2 * (256 << 10) + (32 << 20);
    if most > before + allowed {
        report.fail(format!("memory grew from {} to {}", mib(before), mib(most)));
    }
    if during.is_empty() {
        report.fail("nobody else was served");
    }
}

/// One sample that a listener got: when it was taken, and how many it missed before it.
#[derive(Clone, Copy, Debug)]
struct Heard {
    taken_ms: i64,
    missed: usize,
}

/// Samples as they come, until one was taken at `until_ms` or later.
fn listen(client: &mut Client, until_ms: &AtomicI64) -> Vec<Heard> {
    let mut heard = Vec::new();
    loop {
        let Reply::Array(items) = client.read().expect("it is never disconnected for being slow") else {
            continue;
        };
        let Some(Reply::Bulk(text)) = items.last() else { continue };
        let Ok(message) = serde_json::from_slice::<serde_json::Value>(text) else { continue };
        let Some(taken_ms) = message.pointer("/stats/time_ms").and_then(serde_json::Value::as_i64) else {
            continue;
        };
        let missed = message.get("dropped").and_then(serde_json::Value::as_u64).unwrap_or(0) as usize;
        heard.push(Heard { taken_ms, missed });
        if taken_ms >= until_ms.load(Ordering::Relaxed) {
            return heard;
        }
    }
}

/// What one who slept was told to have missed is what one who was awake got in between.
fn compare(asleep: &[Heard], awake: &[Heard], report: &mut Report) {
    let place = |taken_ms| awake.iter().position(|heard| heard.taken_ms == taken_ms);
    if awake.iter().any(|heard| heard.missed > 0) {
        report.fail("one who read all along has missed samples");
    }
    let mut missed = 0;
    for pair in asleep.windows(2) {
        missed += pair[1].missed;
        match (place(pair[0].taken_ms), place(pair[1].taken_ms)) {
            (Some(before), Some(after)) if after == before + pair[1].missed + 1 => {}
            places => report.fail(format!("{pair:?}: for one who was awake they were {places:?}")),
        }
    }
    if missed == 0 {
        report.fail("one who slept has missed nothing: it did not sleep long enough");
    }
    report.count("samples", awake.len());
    report.count("heard by one who slept", asleep.len());
    report.count("counted as missed", missed);
}

fn latencies(client: &mut Client, length: Duration) -> Vec<Duration> {
    let until = Instant::now() + length;
    let mut taken = Vec::new();
    while Instant::now() < until {
        let sent = Instant::now();
        client.check("SET mine v", "+OK");
        taken.push(sent.elapsed());
    }
    taken
}
