//! What survives the end of the process. An answered write does, however the daemon ended.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::util::load::Load;
use crate::util::{Daemon, Dice, Reply, journal_pages, wait_for_clock, wait_until};

#[test]
fn entries_survive_sigterm() {
    survive(|daemon| {
        let status = daemon.terminate();
        assert_eq!(status.code(), Some(0), "{}", daemon.output());
    });
}

#[test]
fn entries_survive_sigkill() {
    survive(Daemon::kill9);
}

#[test]
fn large_values_have_journals_of_large_pages_which_survive_as_well() {
    let mut daemon = Daemon::start(&["--merge-interval", "1h"]);
    let value = |number: u8| vec![b'a' + number; 300_000];
    let set = |daemon: &Daemon, number: u8| {
        let key = format!("key:{number}");
        assert_eq!(daemon.client().args(&[b"SET", key.as_bytes(), &value(number)]), Reply::ok());
    };
    let pages = |daemon: &Daemon| journal_pages(&daemon.data());
    set(&daemon, 0);
    assert_eq!(pages(&daemon), [2_048, 2_048], "the active one and the next");
    for number in 1..=2 {
        daemon.client().check("CLEANUP", ":0");
        set(&daemon, number);
    }
    wait_until("the third journal", || match &pages(&daemon)[..] {
        [16_384, 16_384] => Ok(()),
        other => Err(format!("{other:?}")),
    });
    set(&daemon, 3);
    for _ in 0..2 {
        daemon.kill9();
        daemon.restart();
        for number in 0..=3 {
            let key = format!("key:{number}");
            assert_eq!(daemon.client().args(&["GET", &key]).bytes(), value(number), "{key}");
        }
    }
    // Back to small ones, as commits are now.
    for _ in 0..2 {
        daemon.client().check("CLEANUP", ":0");
        daemon.client().check("SET small v", "+OK");
    }
    wait_until("small pages again", || match &pages(&daemon)[..] {
        [2_048, 2_048] => Ok(()),
        other => Err(format!("{other:?}")),
    });
}

#[track_caller]
fn survive(mut stop: impl FnMut(&mut Daemon)) {
    let mut daemon = Daemon::start(&["--cleanup-interval", "1h"]);
    let binary: Vec<u8> = (0..=255).collect();
    let large = Dice::new(1).bytes(3 << 20);
    let mut client = daemon.client();
    client.check("SET plain v", "+OK");
    client.check("SET overwritten old", "+OK");
    client.check("SET overwritten new", "+OK");
    client.check("SET deleted v", "+OK");
    client.check("DEL deleted", ":1");
    client.check("MSET group:1 a group:2 b group:30 c", "+OK");
    client.check("DELPAT group:?", ":2");
    client.check("SET timed v EX 1000", "+OK");
    client.check("SET persisted v EX 1000", "+OK");
    client.check("PERSIST persisted", ":1");
    client.check("SET later v", "+OK");
    client.check("EXPIRE later 1000", ":1");
    client.check("INCR counter", ":1");
    client.check("INCRBY counter 41", ":42");
    client.check("INCR window EX 1000", ":1");
    assert_eq!(client.args(&[b"SET", b"binary".as_slice(), &binary]), Reply::ok());
    assert_eq!(client.args(&[b"SET", b"large".as_slice(), &large]), Reply::ok());
    client.check("SET short v PX 300", "+OK");
    let short_is_over = Instant::now() + Duration::from_millis(305);
    client.check("SET again v", "+OK");
    client.check("DEL again", ":1");
    client.check("SET again v2", "+OK");

    // Twice: the second time from what the first start has made of it.
    for round in 1..=2 {
        stop(&mut daemon);
        daemon.restart();
        let mut client = daemon.client();
        client.check("GET plain", "=v");
        client.check("GET overwritten", "=new");
        client.check("GET deleted", "nil");
        client.check("MGET group:1 group:2 group:30", "[nil nil =c]");
        for timed in ["timed", "later", "window"] {
            let left = client.int(&format!("PTTL {timed}"));
            assert!((1..=1_000_000).contains(&left), "round {round}: PTTL {timed} is {left}");
        }
        client.check("TTL persisted", ":-1");
        client.check("GET again", "=v2");
        client.check("TTL plain", ":-1");
        client.check("GET counter", if round == 1 { "=42" } else { "=43" });
        client.check("INCR counter", if round == 1 { ":43" } else { ":44" });
        assert_eq!(client.args(&["GET", "binary"]), Reply::bulk(&binary));
        assert!(client.args(&["GET", "large"]) == Reply::bulk(&large), "round {round}: the large value");
        wait_for_clock(short_is_over);
        client.check("GET short", "nil");
    }
}

#[test]
fn flushed_entries_stay_away() {
    let mut daemon = Daemon::start(&[]);
    let mut client = daemon.client();
    client.check("MSET a 1 b 2 c 3", "+OK");
    client.check("FLUSHALL", "+OK");
    client.check("SET d 4", "+OK");
    daemon.kill9();
    daemon.restart();
    let mut client = daemon.client();
    client.check("DBSIZE", ":1");
    client.check("MGET a b c d", "[nil nil nil =4]");
}

#[test]
fn a_deadline_goes_on_while_the_daemon_is_down() {
    let mut daemon = Daemon::start(&["--cleanup-interval", "1h"]);
    daemon.client().check("SET k v PX 200", "+OK");
    let over = Instant::now() + Duration::from_millis(205);
    daemon.kill9();
    wait_for_clock(over);
    daemon.restart();
    daemon.client().check("GET k", "nil");
    daemon.client().check("PTTL k", ":-2");
}

const CLIENTS: u64 = 8;

#[test]
fn answered_writes_of_many_clients_survive_sigkill_under_load() {
    // Merges, clean-up and new journals all the time, so that some of the kills hit them.
    let mut daemon =
        Daemon::start(&["--cleanup-interval", "20ms", "--merge-interval", "5ms", "--journal-limit", "64KiB"]);
    let mut loads: Vec<_> = (0..CLIENTS).map(|name| Load::new(name, name)).collect();
    for cycle in 1..=5 {
        let answered = AtomicU64::new(0);
        let enough = 3_000 * cycle + 777;
        thread::scope(|scope| {
            for load in &mut loads {
                let mut client = daemon.client();
                let answered = &answered;
                scope.spawn(move || load.write_until_killed(&mut client, answered));
            }
            // Killed here whatever happens, so that the clients end and a failure is shown instead of a hang.
            let reached = std::panic::catch_unwind(|| {
                wait_until("enough answered writes", || {
                    let so_far = answered.load(Ordering::Relaxed);
                    if so_far >= enough { Ok(()) } else { Err(format!("{so_far} of {enough}")) }
                });
            });
            daemon.kill9();
            if let Err(panic) = reached {
                std::panic::resume_unwind(panic);
            }
        });
        daemon.restart();
        let mut client = daemon.client();
        for load in &mut loads {
            assert_eq!(load.compare(&mut client), [""; 0], "cycle {cycle}");
        }
        let live =
            loads.iter().flat_map(|load| load.promised.values()).filter(|value| value.is_some()).count();
        assert_eq!(client.int("DBSIZE"), live as i64, "cycle {cycle}: nothing else came back");
    }
}
