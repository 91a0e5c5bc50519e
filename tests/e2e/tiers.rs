//! Write buffer, memory tier, disk: which one answers must not show, except in STATS and in the time it takes.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::basics;
use crate::util::{Client, Daemon, Reply, encode, wait_for_clock, wait_until};

#[test]
fn commands_answer_the_same_without_the_memory_tier() {
    let daemon = Daemon::start(&["--memory-cap", "0", "--merge-interval", "10ms"]);
    basics::replay_all(&daemon);
    let stats = daemon.stats();
    for name in ["memory_hits", "memory_entries", "memory_bytes", "memory_cap_bytes"] {
        assert_eq!(stats.get(name), 0, "{name}: {stats:?}");
    }
}

#[test]
fn commands_answer_the_same_with_a_tiny_memory_tier() {
    basics::replay_all(&Daemon::start(&["--memory-cap", "64KiB", "--merge-interval", "10ms"]));
}

#[test]
fn what_was_merged_is_answered_from_memory() {
    let daemon = Daemon::start(&["--memory-cap", "64MiB", "--merge-interval", "10ms"]);
    let mut client = daemon.client();
    client.check("SET k v", "+OK");
    wait_until("a hit in memory", || {
        client.check("GET k", "=v");
        let stats = client.stats();
        if stats.get("memory_hits") > 0 { Ok(()) } else { Err(format!("{stats:?}")) }
    });
    let stats = client.stats();
    assert_eq!(stats.get("memory_cap_bytes"), 64 << 20, "{stats:?}");
    assert!(stats.get("memory_entries") >= 1 && stats.get("memory_bytes") > 0, "{stats:?}");
}

#[test]
fn what_was_merged_is_answered_from_disk_without_a_memory_tier() {
    let daemon = Daemon::start(&["--memory-cap", "0", "--merge-interval", "10ms"]);
    let mut client = daemon.client();
    client.check("SET k v", "+OK");
    wait_until("a hit on disk", || {
        client.check("GET k", "=v");
        let stats = client.stats();
        if stats.get("disk_hits") > 0 { Ok(()) } else { Err(format!("{stats:?}")) }
    });
}

#[test]
fn commands_whose_keys_are_in_different_tiers_always_come_to_an_end() {
    // While the absent keys are looked up on disk, merges take `a` out of the buffer: it must then be looked up as
    // well, and the others must not have to be looked up again because of that.
    let daemon = Daemon::start(&["--memory-cap", "0", "--merge-interval", "1ms", "--merge-bytes", "1"]);
    thread::scope(|scope| {
        for number in 0..4 {
            let mut client = daemon.client();
            scope.spawn(move || {
                for round in 0..400 {
                    client.check(&format!("SET a{number} {round}"), "+OK");
                    let reply = client.cmd(&format!("MGET a{number} absent1 absent2"));
                    assert_eq!(reply, Reply::parse(&format!("[={round} nil nil]")).unwrap());
                    client.check(&format!("DEL a{number} absent3"), ":1");
                    client.check(&format!("EXISTS a{number} absent4"), ":0");
                }
            });
        }
    });
    daemon.check_healthy();
}

#[test]
fn an_expired_copy_and_an_absent_key_are_found_together() {
    let daemon = Daemon::start(&["--merge-interval", "10s"]);
    let mut client = daemon.client();
    client.check("MSET other 1", "+OK");
    client.check("SET a v PX 1500", "+OK");
    let expired = Instant::now() + Duration::from_millis(1520);
    // In the main file, and a copy in memory, which nobody asks for before it has expired.
    client.check("CLEANUP", ":0");
    client.check("GET a", "=v");
    wait_for_clock(expired);
    client.check("MGET a absent", "[nil nil]");
}

#[test]
fn what_was_flushed_while_it_was_being_read_stays_away() {
    let daemon = Daemon::start(&["--merge-interval", "10s"]);
    let (mut reader, mut flusher, mut busy) = (daemon.client(), daemon.client(), daemon.client());
    let much = b"PING\n".repeat(5_000);
    for round in 0..60 {
        reader.check("SET k old", "+OK");
        reader.check("CLEANUP", ":0");
        // The read waits for the commit of the write before it; the flush falls into that wait where both arrive in one
        // turn of the event loop, as they do while it is busy.
        busy.send(&much).unwrap();
        reader.send(&[encode(&["SET", "x", "1"]), encode(&["GET", "k"])].concat()).unwrap();
        flusher.send(&encode(&["FLUSHALL"])).unwrap();
        assert_eq!(flusher.read().unwrap(), Reply::ok());
        assert_eq!(reader.read().unwrap(), Reply::ok());
        reader.read().unwrap();
        for _ in 0..5_000 {
            busy.read().unwrap();
        }
        reader.check("GET k", "nil");
        // With a row, or nobody would look any further than that there is none.
        reader.check("SET y 1", "+OK");
        reader.check("CLEANUP", ":0");
        assert_eq!(reader.cmd("GET k"), Reply::Nil, "round {round}");
    }
}

#[test]
fn the_count_of_keys_does_not_waver_while_they_are_overwritten() {
    const KEYS: usize = 3_000;
    let daemon = Daemon::start(&["--merge-interval", "5ms"]);
    let requests: Vec<_> =
        (0..KEYS).map(|key| vec!["SET".to_owned(), format!("k{key}"), "v".to_owned()]).collect();
    daemon.client().pipeline(&requests).unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut writer = daemon.client();
            while !done.load(Ordering::Relaxed) {
                for batch in requests.chunks(500) {
                    writer.pipeline(batch).unwrap();
                }
            }
        });
        let mut client = daemon.client();
        let counts: Vec<i64> = (0..200).map(|_| client.int("DBSIZE")).collect();
        done.store(true, Ordering::Relaxed);
        assert!(counts.iter().all(|&count| count == KEYS as i64), "{counts:?}");
    });
}

#[test]
fn memory_stays_under_its_cap_and_nothing_is_lost() {
    const ENTRIES: usize = 3_000;
    const CAP: i64 = 256 << 10;
    let daemon = Daemon::start(&["--memory-cap", "256KiB", "--merge-interval", "10ms"]);
    let mut client = daemon.client();
    let value = |number: usize| format!("{number:01000}");
    let requests: Vec<_> =
        (0..ENTRIES).map(|number| ["SET".into(), format!("k{number}"), value(number)].to_vec()).collect();
    for batch in requests.chunks(200) {
        assert!(client.pipeline(batch).unwrap().iter().all(|reply| *reply == Reply::ok()));
    }
    wait_until("the disk to answer", || {
        for number in 0..ENTRIES {
            let reply = client.args(&["GET", &format!("k{number}")]);
            assert_eq!(reply, Reply::bulk(value(number)), "k{number}");
        }
        let stats = client.stats();
        if stats.get("disk_hits") > 0 { Ok(()) } else { Err(format!("{stats:?}")) }
    });
    wait_until("the memory tier to be under its cap", || {
        let stats = client.stats();
        let (bytes, entries) = (stats.get("memory_bytes"), stats.get("memory_entries"));
        if bytes <= CAP && entries < ENTRIES as i64 / 2 { Ok(()) } else { Err(format!("{stats:?}")) }
    });
    assert!(client.stats().get("evictions") >= 0);
    client.check("DBSIZE", &format!(":{ENTRIES}"));
}

/// What happens to one key: step after step, each either `SET key <step>` or, every so often, `DEL key`.
#[derive(Default)]
struct Register {
    begun: AtomicU64,
    answered: AtomicU64,
    done: AtomicBool,
}

/// Every how many steps the key is deleted.
const DELETED_EVERY: u64 = 37;
const STEPS: u64 = 6_000;
const REGISTERS: usize = 4;

#[test]
fn no_reader_ever_sees_an_older_value() {
    // As little memory as can be, so that entries come and go between all the tiers while they are written.
    readers_never_go_back(&[
        "--memory-cap",
        "64KiB",
        "--cleanup-interval",
        "200ms",
        "--merge-interval",
        "1ms",
    ]);
}

#[test]
fn no_reader_ever_sees_an_older_value_with_plenty_of_memory() {
    readers_never_go_back(&["--memory-cap", "64MiB", "--merge-interval", "1ms"]);
}

#[test]
fn no_reader_ever_sees_an_older_value_without_memory() {
    readers_never_go_back(&["--memory-cap", "0", "--merge-interval", "1ms"]);
}

#[track_caller]
fn readers_never_go_back(arguments: &[&str]) {
    let daemon = Daemon::start(arguments);
    let registers: [Register; REGISTERS] = Default::default();
    let filler = "x".repeat(2_000);
    let mut client = daemon.client();
    for number in 0..200 {
        assert_eq!(client.args(&["SET", &format!("filler:{number}"), &filler]), Reply::ok());
    }
    thread::scope(|scope| {
        for (name, register) in registers.iter().enumerate() {
            let mut writer = daemon.client();
            scope.spawn(move || {
                // Readers stop when the writer does, also where it fails.
                let _done = SetOnDrop(&register.done);
                write(name, register, &mut writer);
            });
            for _ in 0..2 {
                let mut reader = daemon.client();
                scope.spawn(move || read(name, register, &mut reader));
            }
        }
        // Other entries push the registers out of memory.
        let mut other = daemon.client();
        let (registers, filler) = (&registers, &filler);
        scope.spawn(move || {
            let mut number = 0;
            while registers.iter().any(|register| !register.done.load(Ordering::Acquire)) {
                let reply = other.args(&["GET", &format!("filler:{}", number % 200)]);
                assert_eq!(reply, Reply::bulk(filler));
                number += 1;
            }
        });
    });
    let mut client = daemon.client();
    for name in 0..REGISTERS {
        client.check(&format!("GET register:{name}"), &format!("={STEPS}"));
    }
}

fn write(name: usize, register: &Register, client: &mut Client) {
    assert_ne!(STEPS % DELETED_EVERY, 0, "the last step is a value");
    let key = format!("register:{name}");
    for step in 1..=STEPS {
        register.begun.store(step, Ordering::Release);
        let reply = if step % DELETED_EVERY == 0 {
            client.args(&["DEL", &key])
        } else {
            client.args(&["SET", &key, &step.to_string()])
        };
        assert!(reply == Reply::ok() || reply == Reply::Integer(1), "step {step}: {reply}");
        register.answered.store(step, Ordering::Release);
    }
}

fn read(name: usize, register: &Register, client: &mut Client) {
    let key = format!("register:{name}");
    let mut seen = 0;
    while !register.done.load(Ordering::Acquire) {
        let oldest = register.answered.load(Ordering::Acquire).max(seen);
        let reply = client.args(&["GET", &key]);
        let newest = register.begun.load(Ordering::Acquire);
        if let Reply::Nil = reply {
            // Right only if the key was absent at some time between the two.
            let absent = oldest == 0 || newest / DELETED_EVERY * DELETED_EVERY >= oldest;
            assert!(absent, "{key} is missing, though it had step {oldest} and at most {newest} has begun");
        } else {
            seen = str::from_utf8(reply.bytes()).unwrap().parse().unwrap();
            assert!(
                (oldest..=newest).contains(&seen),
                "{key} has step {seen}, though {oldest} was answered or seen before, and {newest} has begun"
            );
        }
    }
}

struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

#[test]
fn memory_usage_is_what_the_entry_takes_where_it_is() {
    // An entry's key and value; the overhead of a copy in the memory tier, and what it takes more for a value of 65 to 128 bytes.
    const COPY: i64 = 1 + 128 + 24 + 340;
    let value = "v".repeat(100);
    for (memory_cap, copied) in [("64MiB", COPY), ("0", 0)] {
        let daemon = Daemon::start(&["--memory-cap", memory_cap, "--merge-interval", "1h"]);
        let mut client = daemon.client();
        client.check(&format!("SET k {value}"), "+OK");
        let waiting = client.int("MEMORY USAGE k");
        assert_eq!(client.stats().get("buffer_bytes"), waiting, "the buffer holds nothing else");
        assert!((100..300).contains(&waiting), "{waiting}");
        client.check("CLEANUP", ":0");
        // From disk, and then from memory.
        for _ in 0..2 {
            assert_eq!(client.int("MEMORY USAGE k"), copied);
        }
        assert!(client.stats().get("memory_bytes") >= copied);
        client.check("MEMORY USAGE absent", "nil");
    }
}

#[test]
fn rows_read_on_the_event_loop_are_counted_among_those_read_on_disk() {
    let daemon = Daemon::start(&["--memory-cap", "0", "--merge-interval", "1h"]);
    let mut client = daemon.client();
    client.check("SET k v", "+OK");
    client.check("CLEANUP", ":0");
    let stats = client.stats();
    assert_eq!((stats.get("disk_reads"), stats.get("disk_reads_at_once")), (0, 0));
    // Once threads have shown that the disk need not be waited for.
    wait_until("a read on the event loop", || {
        client.check("GET k", "=v");
        if client.stats().get("disk_reads_at_once") > 0 { Ok(()) } else { Err("none".into()) }
    });
    let stats = client.stats();
    assert!(
        stats.get("disk_reads") > stats.get("disk_reads_at_once"),
        "the first were read by threads: {stats:?}"
    );
}
