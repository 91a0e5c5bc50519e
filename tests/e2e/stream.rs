//! What those get who listen to larder's own channels.

use std::thread;
use std::time::Duration;

use larder_protocol::Stat;
use larder_protocol::stream::{Backlog, Class, Event, EventKind, Message, Sample};
use rustix::process::Signal;

use crate::util::{Client, Daemon, Reply, wait_until};

/// The text of the next message of a subscription.
#[track_caller]
fn message(client: &mut Client) -> String {
    let Reply::Array(words) = client.read().unwrap() else { panic!("a message is an array") };
    String::from_utf8(words[2].bytes().to_vec()).unwrap()
}

#[track_caller]
fn sample(client: &mut Client) -> Sample {
    match Message::from_json(&message(client)).unwrap() {
        Message::Sample(sample) => *sample,
        other => panic!("a sample, not {other:?}"),
    }
}

#[track_caller]
fn backlog(client: &mut Client) -> Backlog {
    match Message::from_json(&message(client)).unwrap() {
        Message::Backlog(backlog) => backlog,
        other => panic!("a backlog, not {other:?}"),
    }
}

/// Subscribes and reads the backlog.
#[track_caller]
fn subscribe(client: &mut Client) -> [Backlog; 2] {
    client.check("SUBSCRIBE larder:stats", "[=subscribe =larder:stats :1]");
    [backlog(client), backlog(client)]
}

#[test]
fn samples_say_what_stats_says_and_more() {
    let daemon = Daemon::start(&["--stats-interval", "50ms"]);
    let mut worker = daemon.client();
    worker.check("CLIENT SETNAME worker", "+OK");
    worker.check("SET user:1 v", "+OK");
    let gets = vec![vec!["GET", "user:1"]; 1_000];
    for _ in 0..20 {
        worker.pipeline(&gets).unwrap();
    }
    worker.check("DEBUG SLEEP 0.02", "+OK");
    let (mut listener, mut lines) = (daemon.client(), daemon.lines());
    let [coarse, fine] = subscribe(&mut listener);
    assert_eq!((coarse.step_ms, fine.step_ms), (10_000, 1_000));
    subscribe(&mut lines);
    let first = sample(&mut listener);
    assert_eq!((first.dropped, first.interval_ms), (0, 50));
    assert!(first.stats.int(Stat::Hits) >= 20_000);
    assert_eq!(first.stats.int(Stat::Entries), 1);
    assert!(first.latency.class(Class::Read).count() >= 20_000);
    assert!(first.latency.command("get").is_some_and(|get| get.percentile(0.5) > Some(0)));
    let hot = &first.hot_keys.top[0];
    assert!(hot.name == "user:1" && (10_000..40_000).contains(&hot.hits), "{hot:?}");
    assert_eq!(first.hot_prefixes.top[0].name, "user:");
    let client = first.clients.iter().find(|client| client.name == "worker").expect("it is listed");
    assert_eq!(client.pid, Some(i64::from(std::process::id())));
    assert!(client.commands >= 20_000 && client.input_bytes > 400_000, "{client:?}");
    assert_eq!(first.slow[0].command, ["DEBUG", "SLEEP", "0.02"]);
    // The next one is later, and a line client gets the same.
    let second = sample(&mut listener);
    assert!(second.stats.int(Stat::TimeMs) > first.stats.int(Stat::TimeMs));
    assert!(second.stats.int(Stat::Sequence) >= first.stats.int(Stat::Sequence));
    sample(&mut lines);
    assert_eq!(second.stats.text(Stat::BootId), daemon.stats().value("boot_id").as_str().unwrap());
}

#[test]
fn the_backlog_has_what_was_before() {
    let daemon = Daemon::start(&["--stats-interval", "100ms"]);
    let mut worker = daemon.client();
    wait_until("two steps of a second", || {
        worker.check("SET k v", "+OK");
        let mut listener = daemon.client();
        let [_, fine] = subscribe(&mut listener);
        if fine.points.len() >= 2 { Ok(()) } else { Err(format!("{} steps", fine.points.len())) }
    });
    let [_, fine] = subscribe(&mut daemon.client());
    let sets: i64 = fine.points.iter().map(|point| point.get(larder_protocol::stream::Column::Sets)).sum();
    assert!(sets > 0, "{fine:?}");
    assert!(fine.points.is_sorted_by_key(|point| point.time_ms));
}

#[test]
fn events_are_told_as_they_happen_and_afterwards() {
    let daemon = Daemon::start(&[]);
    let (mut listener, mut worker) = (daemon.client(), daemon.client());
    listener.check("SUBSCRIBE larder:events", "[=subscribe =larder:events :1]");
    let next = |client: &mut Client| Event::from_json(&message(client)).unwrap();
    assert_eq!(next(&mut listener).kind, EventKind::Start);
    worker.check("SET k v", "+OK");
    worker.check("CLEANUP", ":0");
    daemon.signal(Signal::HUP);
    let mut seen = Vec::new();
    while !seen.iter().any(|event: &Event| event.kind == EventKind::Reload)
        || !seen.iter().any(|event| event.kind == EventKind::Cleanup && event.cause == "command")
    {
        seen.push(next(&mut listener));
    }
    assert!(seen.iter().any(|event| event.kind == EventKind::Merge && event.rows == Some(1)), "{seen:?}");
    assert!(seen.is_sorted_by_key(|event| event.sequence));
    // Who comes later gets what there was.
    let mut late = daemon.client();
    late.check("PSUBSCRIBE larder:*", "[=psubscribe =larder:* :1]");
    late.check("SUBSCRIBE larder:events", "[=subscribe =larder:events :2]");
    assert_eq!(next(&mut late).kind, EventKind::Start);
}

/// One that is stopped misses samples and is told how many; nobody else notices, and it is not disconnected.
#[test]
fn one_who_sleeps_misses_samples_and_is_told() {
    let daemon = Daemon::start(&["--stats-interval", "20ms", "--output-stall", "100ms"]);
    let (mut asleep, mut awake) = (daemon.client(), daemon.client());
    subscribe(&mut asleep);
    subscribe(&mut awake);
    // Samples are large while there are many clients to list.
    let crowd: Vec<Client> = (0..100).map(|_| daemon.client()).collect();
    let dropped = wait_until("samples to be missed", || {
        let seen = sample(&mut awake);
        assert_eq!(seen.dropped, 0);
        let dropped = seen.clients.iter().map(|client| client.dropped).max().unwrap_or(0);
        if dropped > 20 { Ok(dropped) } else { Err(format!("{dropped} missed")) }
    });
    drop(crowd);
    let told = wait_until("it to hear of that", || match sample(&mut asleep).dropped {
        0 => Err("nothing yet".to_owned()),
        told => Ok(told),
    });
    assert!(told >= dropped as u64, "{told} of {dropped}");
    // From then on it keeps up.
    thread::sleep(Duration::from_millis(50));
    wait_until("samples without a gap", || match sample(&mut asleep).dropped {
        0 => Ok(()),
        more => Err(format!("{more} more")),
    });
    daemon.check_healthy();
}

#[test]
fn nobody_is_told_who_did_not_ask() {
    let daemon = Daemon::start(&["--stats-interval", "20ms"]);
    let (mut everything, mut speaker) = (daemon.client(), daemon.client());
    everything.check("PSUBSCRIBE *", "[=psubscribe =* :1]");
    thread::sleep(Duration::from_millis(100));
    assert_eq!(speaker.int("PUBLISH mine hello"), 1);
    assert_eq!(
        everything.read().unwrap().to_string(),
        Reply::parse("[=pmessage =* =mine =hello]").unwrap().to_string()
    );
}

#[test]
fn a_listener_that_writes_and_reads_nothing_holds_nobody_up() {
    let daemon = Daemon::start(&["--stats-interval", "20ms"]);
    let (mut worker, mut listener) = (daemon.client(), daemon.client());
    worker.check(&format!("SET big {}", "v".repeat(600_000)), "+OK");
    listener.send(b"*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n").unwrap();
    listener.send(b"*2\r\n$9\r\nSUBSCRIBE\r\n$12\r\nlarder:stats\r\n").unwrap();
    // An answer that does not fit into the socket, and messages that have no place behind it.
    listener.send(b"*2\r\n$3\r\nGET\r\n$3\r\nbig\r\n").unwrap();
    thread::sleep(Duration::from_millis(200));
    for round in 0..3 {
        listener.send(b"*2\r\n$4\r\nINCR\r\n$4\r\nmany\r\n").unwrap();
        wait_until("the write to be done", || match worker.int("INCRBY many 0") {
            done if done == round + 1 => Ok(()),
            other => Err(format!("{other} of {}", round + 1)),
        });
    }
    daemon.check_healthy();
}
