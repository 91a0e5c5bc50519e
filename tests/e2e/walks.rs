//! KEYS, SCAN, DELPAT and RANDOMKEY: all that is there, wherever it is and whatever goes on meanwhile.

use std::collections::HashSet;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::util::{Client, Daemon, Dice, Reply, succeeds, tool, wait_for_clock, wait_until};

type Keys = Vec<String>;

fn texts(reply: &Reply) -> Keys {
    let Reply::Array(keys) = reply else { panic!("expected keys, got {reply}") };
    keys.iter().map(|key| String::from_utf8(key.bytes().to_vec()).unwrap()).collect()
}

/// One page: the cursor to go on with, and the keys.
#[track_caller]
fn page(client: &mut Client, cursor: u64, options: &str) -> (u64, Keys) {
    let reply = client.cmd(&format!("SCAN {cursor} {options}"));
    let Reply::Array(parts) = &reply else { panic!("expected a page, got {reply}") };
    let [cursor, keys] = parts.as_slice() else { panic!("expected cursor and keys, got {reply}") };
    let cursor: u64 = str::from_utf8(cursor.bytes()).unwrap().parse().unwrap();
    assert!(cursor < 1 << 53, "{cursor} is more than a double can hold");
    (cursor, texts(keys))
}

/// Everything, page by page.
#[track_caller]
fn scan(client: &mut Client, options: &str) -> Keys {
    let (mut cursor, mut all) = page(client, 0, options);
    while cursor != 0 {
        let more;
        (cursor, more) = page(client, cursor, options);
        all.extend(more);
    }
    all
}

/// Fails unless `got` is exactly `expected`, each key once, in whatever order.
#[track_caller]
fn same(mut got: Keys, expected: impl IntoIterator<Item = String>) {
    let mut expected: Keys = expected.into_iter().collect();
    got.sort_unstable();
    expected.sort_unstable();
    assert!(got == expected, "{} keys instead of {}: {got:.200?}", got.len(), expected.len());
}

fn set_all(client: &mut Client, keys: impl IntoIterator<Item = String>) {
    let requests: Vec<_> = keys.into_iter().map(|key| vec!["SET".into(), key, "v".into()]).collect();
    for batch in requests.chunks(1_000) {
        assert!(client.pipeline(batch).unwrap().iter().all(|reply| *reply == Reply::ok()));
    }
}

#[test]
fn every_key_is_listed_once_in_whichever_tier_it_is() {
    // Merges only where the test asks for one.
    let daemon = Daemon::start(&["--merge-interval", "1h"]);
    let mut client = daemon.client();
    let key = |number: usize| format!("k:{number:04}");
    // In the main file, then some of them in the write buffer again: overwritten, deleted, expired, renewed; and new ones.
    set_all(&mut client, (0..3_000).map(key));
    client.check("SET k:soon v PX 2500", "+OK");
    client.check("SET k:renewed v PX 2500", "+OK");
    let expired = Instant::now() + Duration::from_millis(2520);
    client.check("CLEANUP", ":0");
    set_all(&mut client, (500..1_000).map(key));
    for number in 1_000..1_500 {
        client.check(&format!("DEL {}", key(number)), ":1");
    }
    client.check("PERSIST k:renewed", ":1");
    client.check("SET k:gone v EXAT 1", "+OK");
    set_all(&mut client, (3_000..4_000).map(key));
    set_all(&mut client, (0..100).map(|number| format!("other:{number}")));
    wait_for_clock(expired);

    let there = || (0..1_000).chain(1_500..4_000).map(key).chain(["k:renewed".into()]);
    let others = || (0..100).map(|number| format!("other:{number}"));
    same(texts(&client.cmd("KEYS *")), there().chain(others()));
    same(texts(&client.cmd("KEYS k:*")), there());
    same(texts(&client.cmd("KEYS *9")), there().chain(others()).filter(|key| key.ends_with('9')));
    same(texts(&client.cmd("KEYS k:0700")), [key(700)]);
    same(texts(&client.cmd("KEYS k:1200")), []);
    same(scan(&mut client, ""), there().chain(others()));
    same(scan(&mut client, "MATCH k:*"), there());
    same(scan(&mut client, "MATCH k:39?? COUNT 20"), (3_900..4_000).map(key));
    same(scan(&mut client, "MATCH other:7 TYPE string"), ["other:7".to_owned()]);
    same(scan(&mut client, "TYPE list"), []);
    client.check("DELPAT k:*", &format!(":{}", there().count()));
    same(texts(&client.cmd("KEYS *")), others());
    client.check("FLUSHALL", "+OK");
    same(texts(&client.cmd("KEYS *")), []);
    client.check("SET after v", "+OK");
    same(scan(&mut client, ""), ["after".to_owned()]);
}

#[test]
fn random_keys_are_live_ones_from_every_tier() {
    // Merges only where the test asks for one.
    let daemon = Daemon::start(&["--merge-interval", "1h"]);
    let mut client = daemon.client();
    client.check("RANDOMKEY", "nil");
    set_all(&mut client, (0..40).map(|number| format!("k:{number}")));
    client.check("SET k:soon v PX 600", "+OK");
    let expired = Instant::now() + Duration::from_millis(620);
    client.check("CLEANUP", ":0");
    // Now in the main file. In the buffer: replaced ones, deleted ones, new ones.
    set_all(&mut client, (0..10).map(|number| format!("k:{number}")));
    for number in 10..20 {
        client.check(&format!("DEL k:{number}"), ":1");
    }
    set_all(&mut client, (0..10).map(|number| format!("new:{number}")));
    wait_for_clock(expired);
    let there: HashSet<String> = (0..10)
        .chain(20..40)
        .map(|number| format!("k:{number}"))
        .chain((0..10).map(|number| format!("new:{number}")))
        .collect();
    let request = vec!["RANDOMKEY".to_owned()];
    let drawn: HashSet<String> = client
        .pipeline(&vec![request; 2_000])
        .unwrap()
        .iter()
        .map(|key| String::from_utf8(key.bytes().to_vec()).unwrap())
        .collect();
    assert_eq!(drawn, there);

    // One that is left among many that are gone.
    client.check("DELPAT k:*", ":30");
    client.check("DELPAT new:*", ":10");
    client.check("RANDOMKEY", "nil");
    client.check("SET left v", "+OK");
    client.check("RANDOMKEY", "=left");
    client.check("FLUSHALL", "+OK");
    client.check("RANDOMKEY", "nil");
}

#[test]
fn a_sealed_generation_is_walked_as_well() {
    let daemon = Daemon::start(&["--merge-interval", "1ms", "--merge-bytes", "1"]);
    let mut client = daemon.client();
    let all: Keys = (0..5_000).map(|number| format!("k{number}")).collect();
    let done = &AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut writer = daemon.client();
            // Overwritten again and again, so that some are always being merged.
            while !done.load(Ordering::Relaxed) {
                set_all(&mut writer, all.iter().cloned());
            }
        });
        wait_until("all keys to be there", || match client.int("DBSIZE") {
            5_000 => Ok(()),
            count => Err(format!("{count} of them")),
        });
        let _done = SetOnDrop(done);
        for _ in 0..20 {
            same(texts(&client.cmd("KEYS *")), all.iter().cloned());
            same(scan(&mut client, ""), all.iter().cloned());
        }
    });
}

#[test]
fn a_key_that_is_merged_while_the_walk_is_on_its_way_is_found_and_a_deleted_one_is_not() {
    let daemon = Daemon::start(&["--merge-interval", "1ms", "--merge-bytes", "1"]);
    let mut client = daemon.client();
    // So many that reading them takes about as long as a merge.
    set_all(&mut client, (0..9_000).map(|number| format!("k{number}")));
    for round in 0..150 {
        client.check(&format!("SET k:fresh{round} v"), "+OK");
        same(texts(&client.cmd("KEYS *fresh*")), [format!("k:fresh{round}")]);
        client.check(&format!("DEL k:fresh{round}"), ":1");
        same(scan(&mut client, "MATCH *fresh*"), []);
    }
}

/// How many keys there are of each kind in the test of SCAN's guarantee.
const KINDS: u64 = 1_500;

#[test]
fn what_is_there_throughout_is_listed_whatever_is_written_meanwhile() {
    let daemon = Daemon::start(&[
        "--merge-interval",
        "1ms",
        "--merge-bytes",
        "1",
        "--memory-cap",
        "64KiB",
        "--cleanup-interval",
        "10ms",
    ]);
    let mut client = daemon.client();
    set_all(&mut client, (0..KINDS).flat_map(|n| [format!("{n:04}:still"), format!("{n:04}:over")]));
    let rounds = AtomicU64::new(0);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let (daemon, done, rounds) = (&daemon, &done, &rounds);
        for seed in 1..=2 {
            scope.spawn(move || disturb(daemon, seed, done));
        }
        scope.spawn(|| renew(daemon, done, rounds));
        let _done = SetOnDrop(done);
        wait_until("the keys that are renewed", || {
            if rounds.load(Ordering::Relaxed) > 0 { Ok(()) } else { Err("not yet".into()) }
        });
        for round in 0..60 {
            let began = Instant::now();
            let options = ["", "MATCH *", "MATCH 0*", "COUNT 1000"][round % 4];
            let keys = if round % 8 == 7 { texts(&client.cmd("KEYS *")) } else { scan(&mut client, options) };
            let listed: HashSet<_> = keys.iter().cloned().collect();
            assert_eq!(listed.len(), keys.len(), "each key once");
            for n in 0..(if options == "MATCH 0*" { 1_000 } else { KINDS }) {
                for kind in ["still", "over", "renewed"] {
                    let key = format!("{n:04}:{kind}");
                    assert!(
                        listed.contains(&key),
                        "round {round}: {key} was there all the time, {:?}",
                        began.elapsed()
                    );
                }
            }
        }
    });
    daemon.check_healthy();
}

/// Overwrites, writes and deletes, at random.
fn disturb(daemon: &Daemon, seed: u64, done: &AtomicBool) {
    let mut client = daemon.client();
    let mut dice = Dice::new(seed);
    while !done.load(Ordering::Relaxed) {
        let requests: Vec<Vec<String>> = (0..50)
            .map(|_| {
                let n = dice.below(KINDS);
                let words = match dice.below(4) {
                    0 => format!("SET {n:04}:over {n}"),
                    1 => format!("SET {n:04}:comes v"),
                    2 => format!("DEL {n:04}:comes"),
                    _ => format!("SET {n:04}:over {n} EX 1000"),
                };
                words.split(' ').map(str::to_owned).collect()
            })
            .collect();
        client.pipeline(&requests).unwrap();
    }
}

/// Keeps keys alive whose every single state soon expires: rows of them are swept all the time.
fn renew(daemon: &Daemon, done: &AtomicBool, rounds: &AtomicU64) {
    let mut client = daemon.client();
    let requests: Vec<Vec<String>> = (0..KINDS)
        .map(|n| ["SET".into(), format!("{n:04}:renewed"), "v".into(), "PX".into(), "2500".into()].into())
        .collect();
    while !done.load(Ordering::Relaxed) {
        for batch in requests.chunks(100) {
            client.pipeline(batch).unwrap();
        }
        rounds.fetch_add(1, Ordering::Relaxed);
        thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn a_flush_ends_what_was_there_and_a_walk_goes_on_with_what_came_after() {
    let daemon = Daemon::start(&["--merge-interval", "1ms", "--merge-bytes", "1"]);
    let mut client = daemon.client();
    for round in 0..30 {
        set_all(&mut client, (0..2_000).map(|number| format!("old{round}:{number}")));
        let (cursor, keys) = page(&mut client, 0, "");
        assert!(cursor != 0 && keys.iter().all(|key| key.starts_with("old")));
        client.check("FLUSHALL", "+OK");
        set_all(&mut client, (0..300).map(|number| format!("new:{number}")));
        let (next, keys) = page(&mut client, cursor, "");
        assert_eq!(next, 0);
        same(keys, (0..300).map(|number| format!("new:{number}")));
        same(texts(&client.cmd("KEYS *")), (0..300).map(|number| format!("new:{number}")));
        client.check("FLUSHALL", "+OK");
    }
}

#[test]
fn cursors_can_be_used_again_and_unknown_ones_begin_anew() {
    let mut daemon = Daemon::start(&[]);
    let mut client = daemon.client();
    let all = || (0..2_000).map(|number| format!("k{number}"));
    set_all(&mut client, all());
    let (first, page_1) = page(&mut client, 0, "COUNT 10");
    assert!((500..1_000).contains(&page_1.len()), "COUNT is a floor, {} keys", page_1.len());
    let (second, page_2) = page(&mut client, first, "COUNT 10");
    assert!(second != 0 && second != first);
    let (_, again) = page(&mut client, first, "COUNT 10");
    assert_eq!(page_2, again);
    let (end, large) = page(&mut client, 0, "COUNT 100000");
    assert_eq!(end, 0);
    same(large, all());
    let (_, anew) = page(&mut client, 12_345, "");
    assert_eq!(anew, page_1);
    daemon.terminate();
    daemon.restart();
    let (_, anew) = page(&mut daemon.client(), first, "");
    assert_eq!(anew, page_1, "a cursor of an earlier run");
}

#[test]
fn a_sparse_pattern_gives_empty_pages_rather_than_long_waits() {
    let daemon = Daemon::start(&["--merge-interval", "1h"]);
    let mut client = daemon.client();
    set_all(&mut client, (0..30_000).map(|number| format!("k{number:05}")));
    for merged in [false, true] {
        if merged {
            client.check("CLEANUP", ":0");
        }
        let (cursor, keys) = page(&mut client, 0, "MATCH *00007");
        assert!(cursor != 0 && keys.is_empty(), "{cursor} {keys:?}");
        same(scan(&mut client, "MATCH *00007"), ["k00007".to_owned()]);
        // With a literal prefix there is no need to look at the others.
        assert_eq!(page(&mut client, 0, "MATCH k00007*"), (0, vec!["k00007".to_owned()]));
    }
}

#[test]
fn an_answer_that_would_be_too_long_points_to_scan() {
    // The limit is max_value and 32 MiB, and a key may be no longer than max_value either.
    let daemon = Daemon::start(&["--max-value", "64KiB"]);
    let mut client = daemon.client();
    let filler = "x".repeat(60_000);
    set_all(&mut client, (0..600).map(|number| format!("{number:03}{filler}")));
    let reply = client.cmd("KEYS *");
    assert!(matches!(&reply, Reply::Error(text) if text.contains("use SCAN")), "{reply}");
    assert_eq!(texts(&client.cmd("KEYS 00*")).len(), 10);
    let (cursor, keys) = page(&mut client, 0, "COUNT 1000");
    assert!(cursor != 0 && keys.len() < 100, "{} keys: a page of long keys is a short one", keys.len());
    assert_eq!(scan(&mut client, "").len(), 600);
}

#[test]
fn others_go_on_while_many_keys_are_walked() {
    const KEYS: usize = 200_000;
    let daemon = Daemon::start(&[]);
    let mut client = daemon.client();
    set_all(&mut client, (0..KEYS).map(|number| format!("key:{:06}", number * 7 % KEYS)));
    let done = &AtomicBool::new(false);
    thread::scope(|scope| {
        let pings = scope.spawn(|| {
            let mut other = daemon.client();
            let (mut count, mut longest) = (0, Duration::ZERO);
            while !done.load(Ordering::Relaxed) {
                let began = Instant::now();
                other.check("PING", "+PONG");
                longest = longest.max(began.elapsed());
                count += 1;
            }
            (count, longest)
        });
        let walked = {
            let _done = SetOnDrop(done);
            let all = || (0..KEYS).map(|number| format!("key:{number:06}"));
            let began = Instant::now();
            same(texts(&client.cmd("KEYS *")), all());
            same(scan(&mut client, ""), all());
            same(scan(&mut client, "COUNT 5000"), all());
            client.check("DELPAT *5", &format!(":{}", KEYS / 10));
            same(texts(&client.cmd("KEYS *")), all().filter(|key| !key.ends_with('5')));
            client.check("DELPAT *", &format!(":{}", KEYS - KEYS / 10));
            same(scan(&mut client, ""), []);
            began.elapsed()
        };
        let (count, longest) = pings.join().unwrap();
        eprintln!("{count} PINGs in {walked:?}, the longest took {longest:?}");
        // Hundreds of steps, and at least one PING between two of most of them. How long one took depends on the machine.
        assert!(count > 200, "{count} PINGs");
    });
}

#[test]
fn redis_cli_scans() {
    let Some(cli) = tool("redis-cli") else { return };
    let daemon = Daemon::start(&[]);
    set_all(&mut daemon.client(), (0..3_000).map(|number| format!("k{number}")));
    let ask = |arguments: &[&str]| {
        let mut command = Command::new(&cli);
        let command = command.arg("-s").arg(daemon.socket()).args(arguments).stdin(Stdio::null());
        succeeds(command).lines().map(str::to_owned).collect::<Keys>()
    };
    same(ask(&["--scan"]), (0..3_000).map(|number| format!("k{number}")));
    same(ask(&["--scan", "--pattern", "k29?9"]), (0..10).map(|number| format!("k29{number}9")));
}

struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}
