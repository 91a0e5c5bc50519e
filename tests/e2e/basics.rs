//! What each command answers. Most of it is in `transcripts/`, one file a command; here is what needs code.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::thread;

use serde_json::Value;

use crate::util::{Client, Daemon, Reply, Transcript, binary, encode, tool, wait_until};

/// Replays every transcript on `daemon` in both dialects; the test about tiers does the same with memory off.
#[track_caller]
pub(crate) fn replay_all(daemon: &Daemon) {
    let mut mistakes = Vec::new();
    for transcript in Transcript::all() {
        transcript.replay(&mut daemon.client(), false, &mut mistakes);
        transcript.replay(&mut daemon.lines(), true, &mut mistakes);
    }
    assert!(mistakes.is_empty(), "{} replies differ:\n{}", mistakes.len(), mistakes.join("\n"));
}

#[test]
fn commands_answer_as_their_transcripts_say() {
    replay_all(&Daemon::start(&[]));
}

#[test]
fn transcripts_are_what_redis_answers() {
    let Some(server) = tool("redis-server") else { return };
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("redis.sock");
    let mut command = Command::new(server);
    command.args(["--port", "0", "--save", "", "--daemonize", "no", "--unixsocket"]).arg(&socket);
    command.current_dir(dir.path()).stdin(Stdio::null()).stdout(Stdio::null());
    let _server = KillOnDrop(command.spawn().unwrap());
    let mut client =
        wait_until("redis-server to listen", || Client::connect(&socket).map_err(|error| error.to_string()));
    let mut mistakes = Vec::new();
    for transcript in Transcript::all() {
        transcript.replay_on_redis(&mut client, &mut mistakes);
    }
    assert!(mistakes.is_empty(), "{} replies differ:\n{}", mistakes.len(), mistakes.join("\n"));
}

#[test]
fn every_command_is_in_a_transcript() {
    let transcripts = Transcript::all();
    let there: BTreeSet<_> = transcripts.iter().flat_map(Transcript::commands).collect();
    let daemon = Daemon::start(&[]);
    let Reply::Array(names) = daemon.client().cmd("COMMAND LIST") else { panic!("a list of names") };
    assert!(names.len() > 90, "{}", names.len());
    for name in names {
        let (Reply::Bulk(name) | Reply::Simple(name)) = name else { panic!("a name: {name}") };
        let name = String::from_utf8(name).unwrap().to_uppercase();
        // What these answer a transcript cannot say.
        if !["HELP", "INFO", "QUIT", "SHUTDOWN", "STATS"].contains(&&*name) {
            assert!(there.contains(&name), "tests/e2e/transcripts/{}.txt is missing", name.to_lowercase());
        }
    }
}

#[test]
fn stats_is_one_flat_json_object_on_one_line() {
    let daemon = Daemon::start(&[]);
    let mut client = daemon.client();
    client.check("SET k v", "+OK");
    client.check("GET k", "=v");
    client.check("GET missing", "nil");
    client.check("DEL k", ":1");

    let Reply::Bulk(text) = client.cmd("STATS") else { panic!("STATS is a bulk string in RESP") };
    assert!(!text.contains(&b'\n'), "{}", text.escape_ascii());
    let stats = client.stats();
    let whole_numbers = "hits misses memory_hits disk_hits buffer_hits sets deletes expirations evictions \
                         cleanup_runs cleanup_rows cleanup_last_ms entries entries_active entries_expired \
                         memory_entries memory_bytes memory_cap_bytes disk_bytes wal_bytes connections commands \
                         uptime_ms sequence";
    for name in whole_numbers.split_whitespace() {
        assert!(stats.get(name) >= 0, "{name}: {stats:?}");
    }
    assert_eq!(stats.value("hit_rate").as_f64(), Some(0.5), "one hit, one miss");
    let boot_id = stats.value("boot_id");
    assert!(!boot_id.is_null(), "{stats:?}");
    assert_eq!(client.stats().value("boot_id"), boot_id, "it stays while the daemon runs");
    for (name, expected) in [("hits", 1), ("misses", 1), ("sets", 1), ("deletes", 1), ("entries", 0)] {
        assert_eq!(stats.get(name), expected, "{name}: {stats:?}");
    }
    assert_eq!(
        stats.get("hits"),
        stats.get("memory_hits") + stats.get("disk_hits") + stats.get("buffer_hits")
    );
    assert_eq!(stats.get("connections"), 1);
    assert!(stats.get("disk_bytes") > 0, "{stats:?}");

    let Value::Object(by_name) = stats.value("commands_by_name") else { panic!("{stats:?}") };
    let count = |wanted: &str| {
        let found = by_name.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        found.and_then(|(_, count)| count.as_i64()).unwrap_or_default()
    };
    assert_eq!((count("get"), count("set"), count("del")), (2, 1, 1), "{by_name:?}");
    assert!(stats.get("commands") >= 5, "{stats:?}");

    // A line client gets the same object as one line.
    let mut lines = daemon.lines();
    lines.send(b"STATS\n").unwrap();
    let line = lines.read_line().unwrap();
    let json = line.strip_prefix('+').unwrap_or_else(|| panic!("STATS in one line, got {line}"));
    assert!(serde_json::from_str::<Value>(json).is_ok_and(|value| value.is_object()), "{json}");
}

#[test]
fn stats_differ_after_a_restart_only_in_what_belongs_to_the_run() {
    let mut daemon = Daemon::start(&[]);
    daemon.client().check("MSET a 1 b 2", "+OK");
    let before = daemon.stats();
    daemon.terminate();
    daemon.restart();
    let after = daemon.stats();
    assert_ne!(before.value("boot_id"), after.value("boot_id"));
    assert_eq!(after.get("entries"), 2, "{after:?}");
}

#[test]
fn help_lists_the_commands_and_explains_one() {
    let daemon = Daemon::start(&[]);
    for mut client in [daemon.client(), daemon.lines()] {
        let all = client.cmd("HELP").to_string().to_uppercase();
        for command in ["GET", "SET", "DEL", "DELPAT", "INCR", "TTL", "STATS"] {
            assert!(all.contains(command), "HELP names {command}: {all}");
        }
        let one = client.cmd("HELP delpat").to_string();
        assert!(one.to_uppercase().contains("LIKE"), "HELP delpat shows its usage: {one}");
        client.check("PING", "+PONG");
    }
}

#[test]
fn quit_says_goodbye_and_closes() {
    let daemon = Daemon::start(&[]);
    for mut client in [daemon.client(), daemon.lines()] {
        client.check("QUIT", "+OK");
        client.expect_closed();
    }
    // What was sent after QUIT is not run.
    let mut client = daemon.client();
    client.send(b"SET before 1\nQUIT\nSET after 1\n").unwrap();
    assert_eq!(client.read_to_end(), b"+OK\r\n+OK\r\n");
    daemon.client().check("EXISTS before after", ":1");
}

#[test]
fn what_clients_ask_when_they_connect_is_answered() {
    let daemon = Daemon::start(&[]);
    let mut client = daemon.client();
    client.check("CLIENT SETINFO LIB-NAME tests", "+OK");
    client.check("CLIENT SETINFO LIB-VER 1", "+OK");
    for setting in ["save", "appendonly"] {
        let reply = client.cmd(&format!("CONFIG GET {setting}"));
        let Reply::Array(pair) = &reply else { panic!("CONFIG GET {setting}: {reply}") };
        assert_eq!(pair.first(), Some(&Reply::bulk(setting)), "{reply}");
        assert_eq!(pair.len(), 2, "{reply}");
    }
    let info = String::from_utf8_lossy(client.cmd("INFO").bytes()).into_owned();
    for field in ["redis_version:7.", "loading:0"] {
        assert!(info.contains(field), "INFO has {field}: {info}");
    }
    for request in ["COMMAND", "COMMAND DOCS", "COMMAND COUNT", "HELLO 2"] {
        let reply = client.cmd(request);
        assert!(matches!(reply, Reply::Array(_) | Reply::Integer(_)), "{request}: {reply}");
    }
    client.check("PING", "+PONG");
}

#[test]
fn the_keys_of_a_request_are_told() {
    let daemon = Daemon::start(&[]);
    let mut client = daemon.client();
    for (request, answer) in [
        ("MSETEX 2 a 1 b 2 EX 5", "[=a =b]"),
        ("MSETNX a 1 b 2", "[=a =b]"),
        ("RENAME a b", "[=a =b]"),
        ("COPY a b DB 0", "[=a =b]"),
        ("TOUCH a b", "[=a =b]"),
        ("DELEX a IFEQ b", "[=a]"),
        ("OBJECT ENCODING a", "[=a]"),
        ("MEMORY USAGE a SAMPLES 5", "[=a]"),
        ("OBJECT HELP", "-ERR The command has no key arguments"),
        ("ECHO a", "-ERR The command has no key arguments"),
        ("MSETEX 0 a 1", "-ERR Invalid arguments specified for command"),
    ] {
        client.check(&format!("COMMAND GETKEYS {request}"), answer);
    }
}

#[test]
fn only_who_asked_debug_to_sleep_waits() {
    let daemon = Daemon::start(&[]);
    let mut sleeper = daemon.client();
    // For longer than the test waits for anything.
    sleeper.send(b"DEBUG SLEEP 3600\nINCR woken\n").unwrap();
    let mut client = daemon.client();
    client.check("SET k v", "+OK");
    client.check("EXISTS k woken", ":1");
    client.check("MULTI", "+OK");
    client.check("DEBUG SLEEP 0", "-ERR Command not allowed inside a transaction");
    client.check("DISCARD", "+OK");
}

#[test]
fn dialects_mix_on_one_connection() {
    let daemon = Daemon::start(&[]);
    let mut client = daemon.client();
    let mut bytes = b"\r\n\nset a 1\r\n  \nGET a\n".to_vec();
    bytes.extend(encode(&["GET", "a"]));
    bytes.extend_from_slice(b"SET b \"x\\r\\ny\" EX 100\nGET b\nMGET a b nothing\nGET nothing\n");
    bytes.extend(encode(&["MGET", "a", "nothing"]));
    bytes.extend_from_slice(b"NOSUCH\nINCR a\nTTL nothing\nquit\n");
    client.send(&bytes).unwrap();
    let expected = "+OK\r\n+1\r\n$1\r\n1\r\n+OK\r\n$4\r\nx\r\ny\r\n*3\r\n+1\r\n$4\r\nx\r\ny\r\n$-1\r\n$-1\r\n\
                    *2\r\n$1\r\n1\r\n$-1\r\n\
                    -ERR unknown command 'NOSUCH', with args beginning with: \r\n:2\r\n:-2\r\n+OK\r\n";
    assert_eq!(
        client.read_to_end().escape_ascii().to_string(),
        expected.as_bytes().escape_ascii().to_string()
    );
}

#[test]
fn requests_may_arrive_byte_by_byte() {
    let daemon = Daemon::start(&[]);
    let mut client = daemon.client();
    let mut bytes = encode(&["SET", "key", "a value\r\nwith a line break"]);
    bytes.extend_from_slice(b"GET \"key\"\r\n");
    bytes.extend(encode(&["STRANGE", ""]));
    bytes.extend_from_slice(b"EXISTS 'key'\n");
    for byte in bytes {
        client.send(&[byte]).unwrap();
        client.stream().flush().unwrap();
        thread::yield_now();
    }
    assert_eq!(client.read().unwrap(), Reply::ok());
    assert_eq!(client.read().unwrap(), Reply::bulk("a value\r\nwith a line break"));
    assert!(matches!(client.read().unwrap(), Reply::Error(_)));
    assert_eq!(client.read().unwrap(), Reply::Integer(1));
}

#[test]
fn replies_keep_the_order_of_a_long_pipeline() {
    const REQUESTS: usize = 30_000;
    let daemon = Daemon::start(&[]);
    let mut client = daemon.client();
    let mut writer = client.stream().try_clone().unwrap();
    thread::scope(|scope| {
        scope.spawn(move || {
            let mut bytes = Vec::new();
            for number in 0..REQUESTS / 3 {
                let (key, value) = (format!("k{}", number % 100), number.to_string());
                bytes.extend(encode(&["SET", &key, &value]));
                bytes.extend_from_slice(format!("GET {key}\n").as_bytes());
                bytes.extend(encode(&["ECHO", &value]));
            }
            writer.write_all(&bytes).unwrap();
        });
        for number in 0..REQUESTS / 3 {
            let value = number.to_string();
            assert_eq!(client.read().unwrap(), Reply::ok());
            assert_eq!(client.read().unwrap(), Reply::Simple(value.clone().into_bytes()));
            assert_eq!(client.read().unwrap(), Reply::bulk(value));
        }
    });
    client.check("DBSIZE", ":100");
}

#[test]
fn values_of_every_size_and_byte_come_back() {
    let daemon = Daemon::start(&[]);
    let mut client = daemon.client();
    let all_bytes: Vec<u8> = (0..=255).collect();
    for length in [0, 1, 255, 256, 4_095, 4_096, 65_536, 1 << 20, 8 << 20] {
        let value: Vec<u8> = all_bytes.iter().copied().cycle().take(length).collect();
        assert_eq!(client.args(&[b"SET", b"k".as_slice(), &value]), Reply::ok());
        assert!(client.args(&["GET", "k"]) == Reply::Bulk(value), "{length} bytes come back as they went");
    }
    let key = "k".repeat(60_000);
    assert_eq!(client.args(&["SET", &key, "long name"]), Reply::ok());
    assert_eq!(client.args(&["GET", &key]), Reply::bulk("long name"));
    assert_eq!(client.args(&["DEL", &key]), Reply::Integer(1));
}

#[test]
fn delpat_finds_exactly_what_matches_among_many() {
    let daemon = Daemon::start(&[]);
    let mut client = daemon.client();
    let keys = || (0..20_000).map(|number| format!("{}:{number:05}", ["a", "b", "ab", "B"][number % 4]));
    for batch in keys().collect::<Vec<_>>().chunks(500) {
        let requests: Vec<_> = batch.iter().map(|key| vec!["SET", key, "x"]).collect();
        assert!(client.pipeline(&requests).unwrap().iter().all(|reply| *reply == Reply::ok()));
    }
    client.check("DELPAT a:*", ":5000");
    client.check("DBSIZE", ":15000");
    client.check("DELPAT *:00??2", ":50");
    client.check("DELPAT b_2% LIKE", ":0");
    client.check("DELPAT b:% LIKE", ":5000");
    client.check("DELPAT [AB]*", ":5000");
    client.check("DELPAT *", ":4950");
    client.check("DBSIZE", ":0");
}

#[test]
fn the_program_says_what_it_is() {
    for option in ["--help", "--version"] {
        let outcome = crate::util::run(&mut crate::util::larderd(&[option]));
        assert!(outcome.status.success(), "{option}: {outcome:?}");
        assert!(outcome.stdout.contains("larderd"), "{option}: {outcome:?}");
    }
    assert!(fs::metadata(binary()).unwrap().is_file());
}

/// Redis, for as long as the test that started it.
struct KillOnDrop(Child);

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        // Ended by itself is fine.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
