//! Deadlines and clean-up: nothing is served late, expired entries go by themselves, and STATS counts them.

use std::thread;
use std::time::{Duration, Instant};

use crate::util::{Client, Daemon, Reply, wait_for_clock, wait_until};

/// The daemon's clock and this process's are read at different moments; a deadline is certain only this far from it.
const SLACK: Duration = Duration::from_millis(5);

#[test]
fn nothing_is_served_past_its_deadline() {
    for arguments in [
        &["--memory-cap", "64MiB", "--merge-interval", "50ms"],
        &["--memory-cap", "0", "--merge-interval", "50ms"],
    ] {
        let daemon = Daemon::start(arguments);
        let mut client = daemon.client();
        for (request, lifetime) in [
            ("SET k v PX 250", 250),
            ("SET k v EX 1", 1_000),
            ("SET k v PX 1500", 1_500),
            ("INCR k PX 200", 200),
        ] {
            let lifetime = Duration::from_millis(lifetime);
            client.cmd("DEL k");
            let sent = Instant::now();
            client.cmd(request);
            let answered = Instant::now();
            // Read without a pause, so that it is as hot as can be when it expires.
            loop {
                let before = Instant::now();
                let reply = client.args(&["GET", "k"]);
                let after = Instant::now();
                if before > answered + lifetime + SLACK {
                    assert_eq!(
                        reply,
                        Reply::Nil,
                        "{request}: served {:?} after its deadline",
                        after - answered
                    );
                    break;
                }
                assert!(
                    reply != Reply::Nil || after + SLACK > sent + lifetime,
                    "{request}: gone before its deadline"
                );
            }
            client.check("PTTL k", ":-2");
            client.check("EXISTS k", ":0");
        }
    }
}

#[test]
fn reading_never_extends_a_deadline() {
    let daemon = Daemon::start(&["--memory-cap", "64MiB", "--merge-interval", "10ms"]);
    let mut client = daemon.client();
    client.check("SET k v EX 1000", "+OK");
    let mut last = 1_000_000;
    wait_until("a hit in memory", || {
        client.check("GET k", "=v");
        let left = client.int("PTTL k");
        assert!((1..=last).contains(&left), "PTTL was {last}, then {left}");
        last = left;
        let stats = client.stats();
        if stats.get("memory_hits") > 0 { Ok(()) } else { Err(format!("{stats:?}")) }
    });
    client.check("PERSIST k", ":1");
    client.check("TTL k", ":-1");
    client.check("GET k", "=v");
}

#[test]
fn the_default_ttl_applies_where_none_is_given() {
    let daemon = Daemon::start(&["--default-ttl", "1000s"]);
    let mut client = daemon.client();
    client.check("SET default v", "+OK");
    client.check("SET own v EX 50", "+OK");
    let (default, own) = (client.int("TTL default"), client.int("TTL own"));
    assert!((900..=1_000).contains(&default) && (1..=50).contains(&own), "{default}, {own}");
    client.check("PERSIST default", ":1");
    client.check("TTL default", ":-1");
}

/// Writes `count` entries that expire and `live` that do not; returns when the former are certain to have expired.
#[track_caller]
fn write_entries(client: &mut Client, count: usize, live: usize, lifetime_ms: u64) -> Instant {
    let lifetime = lifetime_ms.to_string();
    let expiring = (0..count).map(|number| {
        vec!["SET".into(), format!("gone:{number}"), "v".into(), "PX".into(), lifetime.clone()]
    });
    let living = (0..live).map(|number| vec!["SET".into(), format!("live:{number}"), "v".into()]);
    let replies = client.pipeline(&expiring.chain(living).collect::<Vec<_>>()).unwrap();
    assert!(replies.iter().all(|reply| *reply == Reply::ok()), "{replies:?}");
    Instant::now() + Duration::from_millis(lifetime_ms) + SLACK
}

#[test]
fn cleanup_counts_what_it_removes() {
    let daemon = Daemon::start(&["--cleanup-interval", "1h"]);
    let mut client = daemon.client();
    wait_until("the clean-up at start", || {
        let stats = client.stats();
        if stats.get("cleanup_runs") >= 1 { Ok(()) } else { Err(format!("{stats:?}")) }
    });
    let before = client.stats();
    let over = write_entries(&mut client, 100, 50, 400);
    wait_for_clock(over);
    client.check("CLEANUP", ":100");
    let after = client.stats();
    assert_eq!(after.get("expirations") - before.get("expirations"), 100, "{after:?}");
    assert_eq!(after.get("cleanup_runs") - before.get("cleanup_runs"), 1, "{after:?}");
    assert_eq!(after.get("cleanup_rows") - before.get("cleanup_rows"), 100, "{after:?}");
    for (name, expected) in [("entries", 50), ("entries_active", 50), ("entries_expired", 0)] {
        assert_eq!(after.get(name), expected, "{name}: {after:?}");
    }
    client.check("DBSIZE", ":50");
    client.check("CLEANUP", ":0");
    for number in 0..50 {
        client.check(&format!("GET live:{number}"), "=v");
    }
}

#[test]
fn a_new_deadline_or_none_takes_an_entry_out_of_the_next_cleanup() {
    let daemon = Daemon::start(&["--cleanup-interval", "1h"]);
    let mut client = daemon.client();
    let over = write_entries(&mut client, 6, 0, 400);
    client.check("PERSIST gone:0", ":1");
    client.check("EXPIRE gone:1 1000", ":1");
    client.check("SET gone:2 again", "+OK");
    client.check("DEL gone:3", ":1");
    wait_for_clock(over);
    client.check("CLEANUP", ":2");
    client.check("EXISTS gone:0 gone:1 gone:2", ":3");
    client.check("DBSIZE", ":3");
}

#[test]
fn expired_entries_go_by_themselves() {
    let daemon = Daemon::start(&["--cleanup-interval", "200ms"]);
    let mut client = daemon.client();
    write_entries(&mut client, 300, 20, 300);
    // Nobody reads them: only the clean-up can find them.
    wait_until("the clean-up to have removed them", || client.stats().is("entries", 20));
    let stats = client.stats();
    assert_eq!(stats.get("expirations"), 300, "{stats:?}");
    assert_eq!(stats.get("entries_active"), 20, "{stats:?}");
    let runs = stats.get("cleanup_runs");
    wait_until("another run", || {
        let stats = client.stats();
        if stats.get("cleanup_runs") > runs { Ok(()) } else { Err(format!("{stats:?}")) }
    });
    client.check("DBSIZE", ":20");
}

#[test]
fn expired_entries_go_at_the_start() {
    let mut daemon = Daemon::start(&["--cleanup-interval", "1h"]);
    let over = write_entries(&mut daemon.client(), 300, 20, 300);
    daemon.terminate();
    wait_for_clock(over);
    daemon.restart();
    let mut client = daemon.client();
    wait_until("the clean-up at start", || client.stats().is("entries", 20));
    wait_until("its run to be counted", || {
        let stats = client.stats();
        if stats.get("cleanup_runs") >= 1 { Ok(()) } else { Err(format!("{stats:?}")) }
    });
    client.check("CLEANUP", ":0");
    client.check("DBSIZE", ":20");
}

#[test]
fn expired_entries_are_told_from_active_ones() {
    let daemon = Daemon::start(&["--cleanup-interval", "1h"]);
    let mut client = daemon.client();
    let over = write_entries(&mut client, 30, 20, 400);
    wait_for_clock(over);
    let stats = client.stats();
    assert_eq!(stats.get("entries"), stats.get("entries_active") + stats.get("entries_expired"), "{stats:?}");
    client.check("GET gone:0", "nil");
    let after = client.stats();
    assert_eq!(after.get("misses"), stats.get("misses") + 1, "an expired entry is a miss: {after:?}");
    assert_eq!(after.get("hits"), stats.get("hits"), "{after:?}");
}

#[test]
fn many_clean_ups_at_once_count_each_entry_once() {
    let daemon = Daemon::start(&["--cleanup-interval", "1h", "--merge-interval", "10s"]);
    let mut client = daemon.client();
    for batch in 0..4 {
        let requests: Vec<_> = (0..250)
            .map(|key| {
                ["SET".to_owned(), format!("k{batch}:{key}"), "v".into(), "PX".into(), "1".into()].to_vec()
            })
            .collect();
        client.pipeline(&requests).unwrap();
    }
    wait_until("all to expire", || client.stats().is("entries_active", 0));
    let before = client.stats().get("expirations");
    let removed: i64 = thread::scope(|scope| {
        let cleaners: Vec<_> = (0..60)
            .map(|_| {
                let mut client = daemon.client();
                scope.spawn(move || (0..5).map(|_| client.int("CLEANUP")).sum::<i64>())
            })
            .collect();
        let mut writer = daemon.client();
        for number in 0..500 {
            writer.check(&format!("SET other:{number} v"), "+OK");
        }
        cleaners.into_iter().map(|cleaner| cleaner.join().unwrap()).sum()
    });
    let stats = client.stats();
    assert_eq!(before + removed, 1_000, "{stats:?}");
    assert_eq!(stats.get("expirations"), 1_000, "{stats:?}");
    assert_eq!(stats.get("entries"), 500, "{stats:?}");
}
