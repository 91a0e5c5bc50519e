//! Several commands as one: MULTI, EXEC, WATCH.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use crate::util::{Client, Daemon, Reply, wait_until};

/// Sends `requests` as one transaction and returns what EXEC answers.
#[track_caller]
fn transact(client: &mut Client, requests: &[&str]) -> Reply {
    client.check("MULTI", "+OK");
    for request in requests {
        client.check(request, "+QUEUED");
    }
    client.cmd("EXEC")
}

#[track_caller]
fn check(client: &mut Client, requests: &[&str], expected: &str) {
    let got = transact(client, requests);
    assert_eq!(got.to_string(), Reply::parse(expected).unwrap().to_string(), "{requests:?}");
}

#[test]
fn commands_see_what_those_before_them_did() {
    let daemon = Daemon::start(&[]);
    let mut client = daemon.client();
    check(
        &mut client,
        &["SET k 1", "INCR k", "GET k", "DEL k", "EXISTS k", "PING"],
        "[+OK :2 =2 :1 :0 +PONG]",
    );
    check(&mut client, &[], "[]");
    // An error at run time concerns only its own command.
    check(
        &mut client,
        &["SET word x", "INCR word", "SET after 1"],
        "[+OK \"-ERR value is not an integer or out of range\" +OK]",
    );
    // With commands that take several turns in between, which see what is not committed yet.
    check(
        &mut client,
        &[
            "FLUSHALL",
            "SET a 1",
            "KEYS *",
            "DBSIZE",
            "DEL a",
            "SET b 1",
            "KEYS *",
            "DELPAT b*",
            "SCAN 0",
            "DBSIZE",
        ],
        "[+OK +OK \"[=a]\" :1 :1 +OK \"[=b]\" :1 \"[=0 []]\" :0]",
    );
    client.check("DBSIZE", ":0");
}

#[test]
fn nothing_runs_where_a_command_could_not_be_queued() {
    let daemon = Daemon::start(&["--max-value", "1KiB"]);
    let mut client = daemon.client();
    for (request, refused) in [
        ("NOPE", "-ERR unknown command"),
        ("GET", "-ERR wrong number of arguments for 'get' command"),
        ("CLEANUP", "-ERR Command not allowed inside a transaction"),
    ] {
        client.check("MULTI", "+OK");
        client.check("SET k v", "+QUEUED");
        let reply = client.cmd(request).to_string();
        assert!(reply.starts_with(refused), "{request}: {reply}");
        client.check("EXEC", "-EXECABORT Transaction discarded because of previous errors.");
        client.check("GET k", "nil");
    }
    client.check("EXEC", "-ERR EXEC without MULTI");
    client.check("DISCARD", "-ERR DISCARD without MULTI");
    client.check("MULTI", "+OK");
    client.check("MULTI", "-ERR MULTI calls can not be nested");
    client.check("WATCH k", "-ERR WATCH inside MULTI is not allowed");
    client.check("SET k v", "+QUEUED");
    client.check("DISCARD", "+OK");
    client.check("GET k", "nil");
    // What is queued is bounded: about 32 MiB here.
    let value = "v".repeat(1_000);
    client.check("MULTI", "+OK");
    let batch = vec![vec!["SET", "k", &value]; 1_000];
    let too_large = (0..100).find_map(|_| {
        let replies = client.pipeline(&batch).unwrap();
        replies.into_iter().find(|reply| matches!(reply, Reply::Error(_)))
    });
    let error = too_large.expect("the queue is bounded").to_string();
    assert!(error.contains("since MULTI"), "{error}");
    client.check("EXEC", "-EXECABORT Transaction discarded because of previous errors.");
    daemon.check_healthy();
}

#[test]
fn short_commands_that_do_much_have_a_bound_together() {
    // A request may have 33 MiB then, and what a transaction writes or answers twice as much.
    let daemon = Daemon::start(&["--max-value", "1MiB"]);
    let mut client = daemon.client();
    let far: Vec<_> = (0..80).map(|number| format!("SETRANGE k{number} 1048575 x")).collect();
    let reads = vec!["GET k0".to_owned(); 80];
    for (requests, what) in [(far, "written"), (reads, "answered")] {
        // DBSIZE works over several turns, so all of them do.
        for more in [None, Some("DBSIZE".to_owned())] {
            let requests: Vec<_> = requests.iter().chain(&more).map(String::as_str).collect();
            let Reply::Array(answers) = transact(&mut client, &requests) else {
                panic!("EXEC answers a list")
            };
            let refused = answers.iter().take(80).filter(|answer| matches!(answer, Reply::Error(_)));
            let refused: Vec<_> = refused.map(ToString::to_string).collect();
            assert!((10..=20).contains(&refused.len()), "{what}: {}", refused.len());
            assert!(refused[0].contains("take more than 69206016 bytes"), "{}", refused[0]);
        }
    }
    assert_eq!(client.int("STRLEN k0"), 1 << 20);
}

#[test]
fn a_watched_key_that_changes_ends_the_transaction() {
    let daemon = Daemon::start(&[]);
    let (mut client, mut other) = (daemon.client(), daemon.client());
    // Watched, what another client does, whether that breaks the watch.
    for (watched, change, breaks) in [
        ("there", "GET there", false),
        ("there", "SET there 2", true),
        ("there", "SET there 1 NX", false),
        ("there", "SET elsewhere 1", false),
        ("there absent", "SET absent 1", true),
        ("there", "DEL there", true),
        ("absent", "DEL absent", false),
        ("there", "EXPIRE there 100", true),
        ("there", "DELPAT th*", true),
        ("absent", "DELPAT ab*", false),
        ("there", "FLUSHALL", true),
        ("absent", "FLUSHALL", false),
        ("there", "INCR there", true),
    ] {
        other.check("FLUSHALL", "+OK");
        other.check("SET there 1", "+OK");
        client.check(&format!("WATCH {watched}"), "+OK");
        let _ = other.cmd(change);
        let expected = if breaks { "nil" } else { "[+OK]" };
        check(&mut client, &["SET done 1"], expected);
        // EXEC has ended the watch, whatever it answered.
        let _ = other.cmd(change);
        check(&mut client, &["SET done 1"], "[+OK]");
        client.check(&format!("WATCH {watched}"), "+OK");
        let _ = other.cmd(change);
        client.check("UNWATCH", "+OK");
        check(&mut client, &["DBSIZE", "SET done 1"], &format!("[:{} +OK]", other.int("DBSIZE")));
    }
    // A client's own write counts as well.
    client.check("WATCH there", "+OK");
    client.check("SET there 3", "+OK");
    check(&mut client, &["GET there"], "nil");
}

#[test]
fn a_watched_key_that_expires_ends_the_transaction() {
    let daemon = Daemon::start(&[]);
    let (mut client, mut other) = (daemon.client(), daemon.client());
    client.check("SET mortal 1 PX 300", "+OK");
    client.check("WATCH mortal", "+OK");
    wait_until("it to expire", || match other.int("EXISTS mortal") {
        0 => Ok(()),
        _ => Err("still there".into()),
    });
    check(&mut client, &["SET done 1"], "nil");
    // What had expired before it was watched has not changed since.
    client.check("WATCH mortal", "+OK");
    check(&mut client, &["SET done 1"], "[+OK]");
}

#[test]
fn nothing_expires_between_two_commands() {
    let daemon = Daemon::start(&[]);
    let mut client = daemon.client();
    // Looking so often takes longer than the entry lives.
    let mut requests = vec![vec!["MULTI"], vec!["SET", "mortal", "v", "PX", "1"]];
    requests.resize(100_000, vec!["GET", "mortal"]);
    requests.push(vec!["EXEC"]);
    let replies = client.pipeline(&requests).unwrap();
    let Some(Reply::Array(replies)) = replies.last() else { panic!("{:?}", replies.last()) };
    let found = replies[1..].iter().filter(|reply| **reply == Reply::bulk("v")).count();
    assert_eq!(found, replies.len() - 1);
}

#[test]
fn keys_on_disk_are_loaded_first() {
    let mut daemon = Daemon::start(&["--memory-cap", "0"]);
    let mut client = daemon.client();
    let keys = 300;
    for key in 0..keys {
        client.check(&format!("SET k{key} {key}"), "+OK");
    }
    daemon.terminate();
    daemon.restart();
    let mut client = daemon.client();
    let requests: Vec<String> = (0..keys).map(|key| format!("INCR k{key}")).collect();
    let requests: Vec<&str> = requests.iter().map(String::as_str).collect();
    client.check("WATCH k5", "+OK");
    let expected: Vec<String> = (0..keys).map(|key| format!(":{}", key + 1)).collect();
    check(&mut client, &requests, &format!("[{}]", expected.join(" ")));
    client.check("WATCH k5", "+OK");
    daemon.client().check("INCR k5", ":7");
    check(&mut client, &["INCR k5"], "nil");
}

/// Transactions that set three keys to the same number, with readers that must never see two, and SIGKILL in the middle.
#[test]
fn they_are_seen_and_kept_whole() {
    let mut daemon = Daemon::start(&["--merge-interval", "20ms"]);
    let numbers = AtomicU64::new(1);
    for _ in 0..3 {
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            for writer in 0..3 {
                let (mut client, numbers) = (daemon.client(), &numbers);
                scope.spawn(move || {
                    loop {
                        let number = numbers.fetch_add(1, Ordering::Relaxed).to_string();
                        let set = |key| vec!["SET", key, &number];
                        let mut requests = vec![vec!["MULTI"], set("x"), set("y"), set("z"), vec!["EXEC"]];
                        if writer == 0 {
                            // This one takes several turns, with writes before and after.
                            requests.insert(2, vec!["KEYS", "*"]);
                        }
                        let Ok(replies) = client.pipeline(&requests) else { return };
                        assert!(matches!(replies.last(), Some(Reply::Array(_))), "{replies:?}");
                    }
                });
            }
            let (mut reader, stopped) = (daemon.client(), &stop);
            scope.spawn(move || {
                while !stopped.load(Ordering::Relaxed) {
                    let Ok(replies) = reader.pipeline(&[vec!["MGET", "x", "y", "z"]]) else { return };
                    check_equal(&replies[0]);
                }
            });
            let before = numbers.load(Ordering::Relaxed);
            wait_until("some hundred transactions", || {
                let done = numbers.load(Ordering::Relaxed) - before;
                if done > 600 { Ok(()) } else { Err(format!("{done}")) }
            });
            daemon.kill9();
            stop.store(true, Ordering::Relaxed);
        });
        daemon.restart();
        check_equal(&daemon.client().cmd("MGET x y z"));
    }
}

#[track_caller]
fn check_equal(reply: &Reply) {
    let Reply::Array(values) = reply else { panic!("{reply}") };
    assert!(values.iter().all(|value| value == &values[0]), "torn: {reply}");
}

/// A transaction that works on and on does not let others' commands in, and what they see is before or after it.
#[test]
fn others_wait_for_one_that_takes_several_turns() {
    let daemon = Daemon::start(&[]);
    let mut client = daemon.client();
    for part in 0..20 {
        let pairs: Vec<String> = (0..500).flat_map(|key| [format!("k{part}:{key}"), "v".into()]).collect();
        let request: Vec<&str> = std::iter::once("MSET").chain(pairs.iter().map(String::as_str)).collect();
        assert_eq!(client.args(&request), Reply::ok());
    }
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let (mut other, stopped) = (daemon.client(), &stop);
        scope.spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                let seen = other.cmd("MGET first last");
                check_equal(&seen);
            }
        });
        for round in 0..20 {
            let (first, last) = (format!("SET first {round}"), format!("SET last {round}"));
            let replies = transact(&mut client, &[&first, "KEYS k1*", "DBSIZE", &last]);
            let Reply::Array(replies) = replies else { panic!("{replies}") };
            let Reply::Array(keys) = &replies[1] else { panic!("{replies:?}") };
            // k1: and k10: to k19: are eleven of the twenty parts.
            assert_eq!(
                (keys.len(), &replies[2]),
                (5_500, &Reply::Integer(if round == 0 { 10_001 } else { 10_002 }))
            );
        }
        stop.store(true, Ordering::Relaxed);
    });
}
