//! Random work for as long as one likes, with caps far below what is written: the files stay below theirs at every sample,
//! the memory tier below its own, logs are bounded even with walks that stop half way, and resident memory does not grow.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::process::{mib, resident_bytes};
use crate::report::{Plan, Report, Subject};
use crate::space::bytes_in;
use crate::util::{Client, Dice};

const DISK_CAP: u64 = 96 << 20;
const MEMORY_CAP: i64 = 8 << 20;
const BUFFER_CAP: i64 = 16 << 20;

/// `LARDER_GATE_COUNT` is for how many seconds.
#[test]
fn gate() {
    run(&Subject::larderd(), Plan::from_environment(20)).end();
}

pub(crate) fn run(subject: &Subject, plan: Plan) -> Report {
    let mut report = Report::new("size", plan);
    let mut daemon = subject.start(&[
        "--disk-cap",
        "96MiB",
        "--memory-cap",
        "8MiB",
        "--buffer-cap",
        "16MiB",
        "--merge-bytes",
        "4MiB",
        "--max-value",
        "256KiB",
        "--merge-interval",
        "200ms",
        "--cleanup-interval",
        "1s",
    ]);
    let (done, writes) = (AtomicBool::new(false), AtomicU64::new(0));
    let (mut disk, mut wal, mut journals, mut memory, mut buffer) = (0, 0, 0, 0, 0);
    let (mut interrupted, mut counted) = (0, 0);
    let mut resident: Vec<u64> = Vec::new();
    thread::scope(|scope| {
        for number in 0..3 {
            let mut client = daemon.client();
            let (done, writes) = (&done, &writes);
            let dice = Dice::new(plan.seed * 31 + number);
            scope.spawn(move || work(&mut client, dice, done, writes));
        }
        let until = Instant::now() + Duration::from_secs(plan.count);
        let mut client = daemon.client();
        let mut walker = daemon.client();
        while Instant::now() < until {
            match bytes_in(&daemon.data()) {
                Some(bytes) => disk = disk.max(bytes),
                None => interrupted += 1,
            }
            let stats = client.stats();
            counted = counted.max(stats.get("disk_bytes"));
            wal = wal.max(stats.get("wal_bytes"));
            journals = journals.max(stats.get("journal_bytes"));
            memory = memory.max(stats.get("memory_bytes"));
            buffer = buffer.max(stats.get("buffer_bytes"));
            resident.push(resident_bytes(daemon.pid()));
            // A walk that is never finished.
            walker.cmd("SCAN 0 COUNT 10");
            thread::sleep(Duration::from_millis(10));
        }
        done.store(true, Ordering::Relaxed);
    });
    report.count("writes", writes.into_inner());
    report.count("samples", resident.len());
    report.count("of them with files in motion", interrupted);
    if 2 * interrupted > resident.len() {
        report.fail("most looks at the files were interrupted: too little was seen of them");
    }
    for (what, most, cap) in [
        ("the files at most", disk, DISK_CAP),
        ("as the daemon counts them", counted as u64, DISK_CAP),
        ("the memory tier", memory as u64, MEMORY_CAP as u64),
        ("the write buffer", buffer as u64, BUFFER_CAP as u64),
    ] {
        report.count(what, format!("{} of {}", mib(most), mib(cap)));
        if most > cap {
            report.fail(format!("{what}: {most} bytes of {cap}"));
        }
    }
    report.count("SQLite's log", mib(wal as u64));
    report.count("journals", mib(journals as u64));
    let stats = daemon.stats();
    report.count("evictions", stats.get("evictions"));
    if stats.get("evictions") == 0 && plan.count >= 20 {
        report.fail("nothing was evicted: the caps were never reached");
    }
    flat(&resident, &mut report);
    let end = daemon.terminate();
    if !end.success() {
        report.fail(format!("it ended with {end}: {}", daemon.output()));
    }
    report
}

/// Of long runs, the last third takes hardly more than the second.
fn flat(resident: &[u64], report: &mut Report) {
    let third = resident.len() / 3;
    let most = |part: &[u64]| part.iter().copied().max().unwrap_or_default();
    let (middle, last) = (most(&resident[third..2 * third]), most(&resident[2 * third..]));
    report.count("resident at most in the second third", mib(middle));
    report.count("in the last", mib(last));
    // In a short one memory is still growing towards its caps.
    if resident.len() > 3_000 && last > middle + middle / 4 + (8 << 20) {
        report.fail(format!("memory grows: {} and then {}", mib(middle), mib(last)));
    }
}

fn work(client: &mut Client, mut dice: Dice, done: &AtomicBool, writes: &AtomicU64) {
    while !done.load(Ordering::Relaxed) {
        let mut requests = Vec::new();
        for _ in 0..16 {
            let key = format!("key:{}", dice.below(60_000)).into_bytes();
            let length = match dice.below(40) {
                0 => 20_000 + dice.below(100_000),
                1..10 => 4_000,
                _ => dice.below(800),
            } as usize;
            requests.push(match dice.below(10) {
                0 => vec![b"DEL".to_vec(), key],
                1 => vec![b"GET".to_vec(), key],
                2 => vec![b"SET".to_vec(), key, dice.bytes(length), b"PX".to_vec(), b"1500".to_vec()],
                _ => vec![b"SET".to_vec(), key, dice.bytes(length)],
            });
        }
        client.pipeline(&requests).expect("it serves all along");
        writes.fetch_add(15, Ordering::Relaxed);
    }
}
