//! What the storage engine does for itself: room given back to the file system, compression, logs that stay bounded, and
//! when data is forced to disk.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::util::{Client, Daemon, Dice, Reply, Stats, wait_for_clock, wait_until};

const MIB: u64 = 1 << 20;

/// Writes `count` entries of `bytes` incompressible bytes each, and waits until all are in the main file.
#[track_caller]
fn furnish(client: &mut Client, count: u64, bytes: usize) {
    let noise = Dice::new(5).bytes(2 * bytes);
    for number in 0..count {
        let from = number as usize * 31 % bytes;
        let key = format!("key:{number:05}");
        assert_eq!(client.args(&[b"SET", key.as_bytes(), &noise[from..from + bytes]]), Reply::ok());
    }
    client.check("CLEANUP", ":0");
}

fn main_bytes(daemon: &Daemon) -> u64 {
    fs::metadata(daemon.data().join("larder.db")).unwrap().len()
}

#[track_caller]
fn wait_for_size(daemon: &Daemon, at_most: u64) {
    wait_until("the main file to shrink", || match main_bytes(daemon) {
        bytes if bytes <= at_most => Ok(()),
        bytes => Err(format!("{bytes} bytes, which should be at most {at_most}")),
    });
}

#[test]
fn deleting_most_entries_gives_their_room_back() {
    let daemon = Daemon::start(&["--merge-interval", "50ms"]);
    let mut client = daemon.client();
    furnish(&mut client, 1_000, 50_000);
    client.check("DELPAT key:0?[1-9]??", ":900");
    // 100 entries of 13 pages, and less than a quarter of the file free.
    wait_for_size(&daemon, 10 * MIB);
    assert!(client.stats().get("vacuumed_pages") > 9_000, "{:?}", client.stats());
    client.check("DBSIZE", ":100");
    for number in (0..1_000).filter(|number| number / 100 % 10 == 0) {
        assert_eq!(client.args(&["GET", &format!("key:{number:05}")]).bytes().len(), 50_000);
    }
}

#[test]
fn flushing_gives_all_room_back() {
    let daemon = Daemon::start(&["--merge-interval", "50ms"]);
    let mut client = daemon.client();
    furnish(&mut client, 400, 50_000);
    client.check("FLUSHALL", "+OK");
    wait_for_size(&daemon, 5 * MIB);
    client.check("DBSIZE", ":0");
}

#[test]
fn values_are_compressed_where_it_pays_and_come_back_the_same() {
    let mut daemon = Daemon::start(&["--memory-cap", "0", "--merge-interval", "20ms"]);
    let mut client = daemon.client();
    let text = |number: usize| format!("entry {number} says the same again and again; ").repeat(500);
    let noise = Dice::new(8).bytes(20_000);
    for number in 0..50 {
        assert_eq!(client.args(&["SET", &format!("text:{number}"), &text(number)]), Reply::ok());
    }
    // Below the size from which values are compressed.
    assert_eq!(client.args(&["SET", "short", &"a".repeat(1_000)]), Reply::ok());
    client.check("CLEANUP", ":0");
    let stats = client.stats();
    let (raw, stored) = (stats.get("raw_bytes"), stats.get("stored_bytes"));
    assert!(raw > 900_000 && stored < raw / 10 && stored > 1_000, "{stats:?}");
    assert_eq!(client.args(&[b"SET", b"noise".as_slice(), &noise]), Reply::ok());
    client.check("CLEANUP", ":0");
    let after = client.stats();
    let grown = |name| after.get(name) - stats.get(name);
    assert_eq!((grown("raw_bytes"), grown("stored_bytes")), (20_005, 20_005), "noise is stored as it is");
    for _ in 0..2 {
        let mut client = daemon.client();
        for number in 0..50 {
            let reply = client.args(&["GET", &format!("text:{number}")]);
            assert!(reply == Reply::bulk(text(number)), "text:{number} is {reply}");
        }
        assert!(client.args(&["GET", "noise"]) == Reply::bulk(&noise));
        assert_eq!(client.args(&["GET", "short"]), Reply::bulk("a".repeat(1_000)));
        assert!(client.stats().get("disk_hits") > 0);
        daemon.terminate();
        daemon.restart();
    }
    let stats = daemon.stats();
    assert_eq!(
        (stats.get("raw_bytes"), stats.get("stored_bytes")),
        (after.get("raw_bytes"), after.get("stored_bytes"))
    );
}

#[test]
fn commits_are_forced_to_disk_within_the_interval() {
    let daemon = Daemon::start(&["--durability", "commit"]);
    let mut client = daemon.client();
    let before = client.stats().get("syncs");
    let began = Instant::now();
    wait_until("two syncs", || {
        client.check("SET k v", "+OK");
        match client.stats().get("syncs") {
            syncs if syncs >= before + 2 => Ok(()),
            syncs => Err(format!("{syncs} syncs, {before} before")),
        }
    });
    // The first may come at once, the second an interval later; many a second would be another promise.
    assert!(began.elapsed() > Duration::from_millis(500), "{:?}", began.elapsed());
    let stats = client.stats();
    assert!(stats.get("commits") > stats.get("syncs"), "{stats:?}");
}

#[test]
fn with_durability_memory_the_answer_comes_first_and_the_commit_soon() {
    let mut daemon = Daemon::start(&["--durability", "memory", "--flush-interval", "10s"]);
    let mut client = daemon.client();
    for number in 0..100 {
        client.check(&format!("SET k{number} {number}"), "+OK");
    }
    client.check("GET k7", "=7");
    // What asks for statistics commits; so many answers did not wait for as many commits.
    assert!(client.stats().get("commits") <= 1, "{:?}", client.stats());
    assert_eq!(daemon.terminate().code(), Some(0));
    daemon.restart();
    let mut client = daemon.client();
    for number in 0..100 {
        client.check(&format!("GET k{number}"), &format!("={number}"));
    }
}

#[test]
fn logs_stay_bounded_beside_clients_that_keep_reading() {
    // Of a cap of 256 MiB the log has 8 MiB, and half as much again for the slice that is written; where readers are in
    // the way of cutting it back, twice. Journals have 32 MiB each, and there are two.
    const WAL_MAX: i64 = (2 * 8 + 8) << 20;
    const JOURNALS_MAX: i64 = 64 << 20;
    let daemon = Daemon::start(&[
        "--disk-cap",
        "256MiB",
        "--max-value",
        "4MiB",
        "--merge-interval",
        "2ms",
        "--merge-bytes",
        "64KiB",
        "--memory-cap",
        "1MiB",
    ]);
    let over = Instant::now() + Duration::from_secs(4);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let stop = &stop;
        let mut readers = Vec::new();
        for request in ["DBSIZE", "KEYS *7", "SCAN 0 COUNT 100", "STATS"] {
            let mut client = daemon.client();
            readers.push(scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let reply = client.cmd(request);
                    assert!(!matches!(reply, Reply::Error(_)), "{request}: {reply}");
                }
            }));
        }
        for name in 0..2 {
            let mut client = daemon.client();
            readers.push(scope.spawn(move || {
                let mut dice = Dice::new(name);
                let noise = dice.bytes(4_000);
                while !stop.load(Ordering::Relaxed) {
                    let requests: Vec<_> = (0..50)
                        .map(|_| {
                            let key = format!("{name}:{}", dice.below(20_000));
                            vec![
                                b"SET".to_vec(),
                                key.into_bytes(),
                                noise[..dice.below(4_000) as usize].to_vec(),
                            ]
                        })
                        .collect();
                    let replies = client.pipeline(&requests).unwrap();
                    assert!(replies.iter().all(|reply| *reply == Reply::ok()), "{replies:?}");
                }
            }));
        }
        let mut client = daemon.client();
        let watching = scope.spawn(move || {
            let mut most = (0, 0);
            while !stop.load(Ordering::Relaxed) {
                let stats = client.stats();
                most.0 = most.0.max(stats.get("wal_bytes"));
                most.1 = most.1.max(stats.get("journal_bytes"));
            }
            most
        });
        wait_for_clock(over);
        // On a busy machine it takes longer until there is a log to cut back.
        let worked = |stats: &Stats| stats.get("merges") > 3 && stats.get("checkpoints") > 0;
        while !worked(&daemon.stats()) && over.elapsed() < Duration::from_mins(1) {
            thread::sleep(Duration::from_millis(20));
        }
        stop.store(true, Ordering::Relaxed);
        for reader in readers {
            reader.join().unwrap();
        }
        let (wal, journals) = watching.join().unwrap();
        assert!(worked(&daemon.stats()), "{:?}", daemon.stats());
        println!("at most {wal} bytes of log and {journals} of journals");
        assert!(wal <= WAL_MAX && journals <= JOURNALS_MAX, "{wal} bytes of log, {journals} of journals");
    });
}
