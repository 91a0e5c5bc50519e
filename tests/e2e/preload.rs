//! What was in memory before a restart is there again after it, without having been asked for; and nothing else is.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::util::{Client, Daemon, Reply, wait_for_clock, wait_until};

const KEYS: i64 = 1_000;

/// No merge or clean-up but what a test asks for.
const QUIET: &[&str] = &["--merge-interval", "1h", "--cleanup-interval", "1h"];

fn start(arguments: &[&str]) -> Daemon {
    Daemon::start(&[QUIET, arguments].concat())
}

fn list(daemon: &Daemon) -> PathBuf {
    daemon.dir().join("data/larder.hot")
}

/// Writes and reads `count` keys.
fn write(client: &mut Client, count: i64, value: &str) {
    let requests: Vec<_> =
        (0..count).map(|number| vec!["SET".into(), format!("k{number}"), value.to_owned()]).collect();
    for batch in requests.chunks(500) {
        assert!(client.pipeline(batch).unwrap().iter().all(|reply| *reply == Reply::ok()));
    }
}

#[track_caller]
fn read(client: &mut Client, count: i64, value: &str) {
    for number in 0..count {
        assert_eq!(client.args(&["GET", &format!("k{number}")]), Reply::bulk(value), "k{number}");
    }
}

/// Waits for the log line that says how preloading has ended: how many were brought back, of how many.
#[track_caller]
fn preloaded(daemon: &Daemon) -> (i64, i64) {
    wait_until("preloading to end", || {
        let output = daemon.output();
        let (_, line) = output.split_once("preloaded ").ok_or("no line")?;
        let words: Vec<_> = line.split_whitespace().take(3).collect();
        let [brought, "of", listed] = words[..] else { return Err(line.to_owned()) };
        Ok((brought.parse().unwrap(), listed.parse().unwrap()))
    })
}

/// Fails unless all keys are answered from memory.
#[track_caller]
fn read_from_memory(daemon: &Daemon, value: &str) {
    let mut client = daemon.client();
    let stats = client.stats();
    assert_eq!((stats.get("hits"), stats.get("misses")), (0, 0), "preloading counts as neither");
    assert_eq!(stats.get("preloaded"), KEYS, "{stats:?}");
    read(&mut client, KEYS, value);
    let stats = client.stats();
    assert_eq!(stats.get("memory_hits"), KEYS, "{stats:?}");
    assert_eq!((stats.get("disk_hits"), stats.get("buffer_hits"), stats.get("misses")), (0, 0, 0));
}

#[test]
fn what_was_read_is_in_memory_again_after_a_stop() {
    let mut daemon = start(&[]);
    let mut client = daemon.client();
    write(&mut client, KEYS, "v");
    client.check("CLEANUP", ":0");
    client.check("SET cold v", "+OK");
    read(&mut client, KEYS, "v");
    daemon.terminate();
    let mode = fs::metadata(list(&daemon)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // Twice: the second time from what the first has preloaded.
    for _ in 0..2 {
        daemon.restart();
        assert_eq!(preloaded(&daemon), (KEYS, KEYS));
        read_from_memory(&daemon, "v");
        daemon.terminate();
    }
}

#[test]
fn what_was_read_before_it_was_merged_is_in_memory_after_a_stop() {
    let mut daemon = start(&[]);
    let mut client = daemon.client();
    write(&mut client, KEYS, "v");
    read(&mut client, KEYS, "v");
    client.check("SET cold v", "+OK");
    daemon.terminate();
    daemon.restart();
    assert_eq!(preloaded(&daemon), (KEYS, KEYS));
    read_from_memory(&daemon, "v");
}

#[test]
fn after_sigkill_the_last_list_is_used() {
    for merged in [true, false] {
        let mut daemon = start(&["--hot-keys-interval", "20ms"]);
        let mut client = daemon.client();
        write(&mut client, KEYS, "v");
        if merged {
            client.check("CLEANUP", ":0");
        }
        read(&mut client, KEYS, "v");
        wait_until("the list to be saved", || client.stats().is("hot_keys_saved", KEYS));
        assert!(client.stats().get("disk_bytes") > 0);
        daemon.kill9();
        // Without a merge, all of them are in the journal that the start begins to merge.
        daemon.restart();
        assert_eq!(preloaded(&daemon), (KEYS, KEYS), "merged: {merged}");
        read_from_memory(&daemon, "v");
    }
}

#[test]
fn what_has_changed_since_the_list_was_saved_is_as_it_was_left() {
    let mut daemon = start(&["--hot-keys-interval", "20ms"]);
    let mut client = daemon.client();
    client.check("MSET kept old overwritten old deleted old expired old replaced old", "+OK");
    client.check("CLEANUP", ":0");
    client.check("MGET kept overwritten deleted expired replaced", "[=old =old =old =old =old]");
    wait_until("the list to be saved", || client.stats().is("hot_keys_saved", 5));
    // Kept from being saved again.
    daemon.kill9();
    let saved = fs::read(list(&daemon)).unwrap();
    daemon.restart();
    preloaded(&daemon);
    let mut client = daemon.client();
    client.check("SET overwritten new", "+OK");
    client.check("DEL deleted replaced", ":2");
    client.check("PEXPIRE expired 50", ":1");
    let expired = Instant::now() + Duration::from_millis(60);
    client.check("SET replaced new", "+OK");
    daemon.kill9();
    fs::write(list(&daemon), saved).unwrap();
    wait_for_clock(expired);
    daemon.restart();
    assert_eq!(preloaded(&daemon), (3, 5));
    let all = "MGET kept overwritten deleted expired replaced";
    let mut client = daemon.client();
    client.check(all, "[=old =new nil nil =new]");
    client.check("CLEANUP", ":0");
    client.check(all, "[=old =new nil nil =new]");
}

#[test]
fn writes_right_after_the_start_win_over_what_is_preloaded() {
    let mut daemon = start(&[]);
    let mut client = daemon.client();
    write(&mut client, KEYS, "old");
    read(&mut client, KEYS, "old");
    for round in 0..3 {
        daemon.terminate();
        daemon.restart();
        let (mut client, value) = (daemon.client(), format!("new{round}"));
        write(&mut client, KEYS, &value);
        client.check("DEL k7", ":1");
        client.check("CLEANUP", ":0");
        client.check("SET k7 again", "+OK");
        client.check("DEL k7", ":1");
        client.check("CLEANUP", ":0");
        preloaded(&daemon);
        client.check("GET k7", "nil");
        client.check(&format!("SET k7 {value}"), "+OK");
        read(&mut client, KEYS, &value);
    }
}

#[test]
fn what_was_flushed_stays_away() {
    let mut daemon = start(&[]);
    let mut client = daemon.client();
    write(&mut client, KEYS, "v");
    read(&mut client, KEYS, "v");
    daemon.terminate();
    let saved = fs::read(list(&daemon)).unwrap();
    daemon.restart();
    preloaded(&daemon);
    let mut client = daemon.client();
    client.check("FLUSHALL", "+OK");
    client.check("SET x 1", "+OK");
    daemon.kill9();
    fs::write(list(&daemon), saved).unwrap();
    daemon.restart();
    assert_eq!(preloaded(&daemon), (0, KEYS));
    let mut client = daemon.client();
    client.check("CLEANUP", ":0");
    client.check("MGET k0 k1 x", "[nil nil =1]");
}

#[test]
fn a_list_larger_than_the_memory_tier_stops_short_of_its_cap() {
    const MANY: i64 = 5_000;
    let places = tempfile::tempdir().unwrap();
    let file = places.path().join("larder.toml");
    let config = |memory_cap: &str| {
        fs::write(&file, format!("memory_cap = \"{memory_cap}\"\n")).unwrap();
    };
    config("64MiB");
    let value = "v".repeat(1_000);
    let mut daemon = start(&["--config", file.to_str().unwrap()]);
    let mut client = daemon.client();
    write(&mut client, MANY, &value);
    read(&mut client, MANY, &value);
    daemon.terminate();
    config("4MiB");
    daemon.restart();
    let (brought, listed) = preloaded(&daemon);
    assert_eq!(listed, MANY);
    // Some 1,350 bytes each.
    assert!((2_500..3_100).contains(&brought), "{brought}");
    let stats = daemon.stats();
    assert_eq!(stats.get("memory_evictions"), 0, "{stats:?}");
    let (bytes, cap) = (stats.get("memory_bytes"), stats.get("memory_cap_bytes"));
    assert!(bytes <= cap && bytes > cap * 3 / 4, "{bytes} of {cap}");
    read(&mut daemon.client(), MANY, &value);
}

#[test]
fn values_too_large_for_one_read_are_all_brought_back() {
    let mut daemon = start(&[]);
    let mut client = daemon.client();
    let value = "v".repeat(1 << 20);
    write(&mut client, 20, &value);
    read(&mut client, 20, &value);
    daemon.terminate();
    daemon.restart();
    assert_eq!(preloaded(&daemon), (20, 20));
}

#[test]
fn hot_keys_bounds_the_list_and_0_switches_it_off() {
    let places = tempfile::tempdir().unwrap();
    let file = places.path().join("larder.toml");
    let config = |hot_keys: &str| fs::write(&file, format!("hot_keys = {hot_keys}\n")).unwrap();
    config("100");
    let mut daemon = start(&["--config", file.to_str().unwrap()]);
    let mut client = daemon.client();
    write(&mut client, KEYS, "v");
    read(&mut client, KEYS, "v");
    daemon.terminate();
    daemon.restart();
    assert_eq!(preloaded(&daemon), (100, 100));
    daemon.terminate();
    config("0");
    daemon.restart();
    wait_until("the list to be gone", || if list(&daemon).exists() { Err("there".into()) } else { Ok(()) });
    let mut client = daemon.client();
    client.check("GET k1", "=v");
    assert_eq!(client.stats().get("preloaded"), 0);
    daemon.terminate();
    assert!(!list(&daemon).exists());
}

#[test]
fn a_list_that_cannot_be_read_is_ignored() {
    let mut daemon = start(&[]);
    let mut client = daemon.client();
    write(&mut client, KEYS, "v");
    read(&mut client, KEYS, "v");
    daemon.terminate();
    let saved = fs::read(list(&daemon)).unwrap();
    let mut flipped = saved.clone();
    flipped[saved.len() / 2] ^= 1;
    for garbage in [&b""[..], b"not a list at all", &saved[..saved.len() - 1], &flipped, &vec![b'L'; 9 << 20]]
    {
        fs::write(list(&daemon), garbage).unwrap();
        daemon.restart();
        wait_until("the log to say so", || {
            let output = daemon.output();
            if output.contains("is ignored: it") { Ok(()) } else { Err(output) }
        });
        daemon.check_healthy();
        assert_eq!(daemon.stats().get("preloaded"), 0);
        daemon.client().check("GET k1", "=v");
        assert_eq!(daemon.terminate().code(), Some(0));
    }
    // Replaced by what was in use meanwhile.
    daemon.restart();
    assert_eq!(preloaded(&daemon), (1, 1));
}

#[test]
fn a_list_that_cannot_be_saved_costs_a_warning_and_nothing_else() {
    let mut daemon = start(&["--hot-keys-interval", "5ms"]);
    fs::create_dir(list(&daemon)).unwrap();
    let mut client = daemon.client();
    write(&mut client, 10, "v");
    read(&mut client, 10, "v");
    wait_until("a warning", || {
        let output = daemon.output();
        if output.contains("the list of hot keys is not saved") { Ok(()) } else { Err(output) }
    });
    daemon.check_healthy();
    assert_eq!(daemon.terminate().code(), Some(0));
    let warnings = daemon.output().matches("the list of hot keys is not saved").count();
    assert_eq!(warnings, 1, "{}", daemon.output());
}

#[test]
fn preloading_delays_neither_readiness_nor_a_stop_and_survives_one_in_the_middle() {
    const MANY: i64 = 20_000;
    let mut daemon = start(&[]);
    let mut client = daemon.client();
    write(&mut client, MANY, "v");
    for batch in
        (0..MANY).map(|number| vec!["GET".into(), format!("k{number}")]).collect::<Vec<_>>().chunks(500)
    {
        client.pipeline(batch).unwrap();
    }
    daemon.terminate();
    let mut stopped_in_the_middle = 0;
    // Some of these stops come before the list has been read.
    for _ in 0..8 {
        daemon.restart();
        assert_eq!(daemon.terminate().code(), Some(0));
        stopped_in_the_middle += usize::from(!daemon.output().contains(&format!("preloaded {MANY}")));
    }
    assert!(stopped_in_the_middle > 0, "answering PING and stopping takes less time than preloading");
    daemon.restart();
    assert_eq!(preloaded(&daemon), (MANY, MANY));
    let output = daemon.output();
    let line_of = |text: &str| output.lines().position(|line| line.contains(text));
    let ready = line_of(" serving ").unwrap_or_else(|| panic!("{output}"));
    assert!(ready < line_of("preloaded").unwrap(), "{output}");
}
