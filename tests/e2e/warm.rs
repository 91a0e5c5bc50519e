//! Files of commands: `larderd warm`, and `--warm` at a start.

use std::fs;
use std::path::PathBuf;

use crate::offline::{data_of, done, text};
use crate::util::{Daemon, Outcome, larderd, run, wait_until};

/// Runs `larderd warm` with a file of this content; its status and what it printed.
#[track_caller]
fn warm(daemon: &Daemon, content: &[u8]) -> (Option<i32>, Outcome) {
    let file = daemon.dir().join("commands");
    fs::write(&file, content).unwrap();
    let outcome = run(&mut larderd(&["warm", text(&file), "--socket", text(daemon.socket())]));
    (outcome.status.code(), outcome)
}

#[test]
fn a_file_of_commands_is_run_by_a_daemon_that_serves() {
    let daemon = Daemon::start(&[]);
    let (status, outcome) =
        warm(&daemon, b"SET a \"1 2\" EX 100\n\nMSET b 2 c 3\n*2\r\n$4\r\nINCR\r\n$1\r\nn\r\nDEL c\n");
    assert_eq!((status, outcome.stdout.as_str()), (Some(0), "warmed with 4 commands\n"), "{outcome:?}");
    let mut client = daemon.client();
    client.check("MGET a b c n", r#"[="1 2" ="2" nil ="1"]"#);
    assert!(client.int("TTL a") > 90);

    let (status, outcome) = warm(&daemon, b"SET d 4\nINCR a\nSET e 5\n");
    assert_eq!(status, Some(1));
    assert!(outcome.stderr.contains("request 2: value is not an integer"), "{outcome:?}");
    assert!(outcome.stderr.contains("1 command refused, 2 commands run"), "{outcome:?}");
    client.check("MGET d e", r#"[="4" ="5"]"#);

    let (status, outcome) = warm(&daemon, b"SET f 6\nSHUTDOWN\nSET g 7\n");
    assert_eq!(status, Some(1));
    assert!(outcome.stderr.contains("request 2 at byte 8: SHUTDOWN is no command on entries"), "{outcome:?}");
    client.check("MGET f g", r#"[="6" nil]"#);
    let (status, _) = warm(&daemon, b"");
    assert_eq!(status, Some(0));
}

#[test]
fn an_export_of_any_size_warms_another_daemon() {
    let mut daemon = Daemon::start(&[]);
    let mut client = daemon.client();
    for n in 0..200 {
        let pairs: Vec<String> = (0..200).map(|k| format!("k:{n}:{k} {k}")).collect();
        client.check(&format!("MSET {}", pairs.join(" ")), "+OK");
    }
    let large = "x".repeat(3 << 20);
    client.check(&format!("SET large {large} PX 10000000"), "+OK");
    daemon.terminate();
    let exported = done("export", &data_of(&daemon), &[]).stdout;
    let other = Daemon::start(&[]);
    let (status, outcome) = warm(&other, exported.as_bytes());
    assert_eq!((status, outcome.stdout.as_str()), (Some(0), "warmed with 40001 commands\n"), "{outcome:?}");
    let mut client = other.client();
    client.check("DBSIZE", ":40001");
    client.check("GET large", &format!("={large}"));
    // Answers of any size do not hold it up either.
    let reading = "GET large\n".repeat(100);
    let (status, outcome) = warm(&other, reading.as_bytes());
    assert_eq!((status, outcome.stdout.as_str()), (Some(0), "warmed with 100 commands\n"), "{outcome:?}");
}

#[test]
fn without_a_daemon_or_a_file_it_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("none.sock");
    let outcome = run(larderd(&["warm", "--socket", text(&socket)]).arg(dir.path().join("missing")));
    assert!(outcome.stderr.contains("cannot read") && outcome.stderr.contains("missing"), "{outcome:?}");
    let outcome = run(&mut larderd(&["warm", "-", "--socket", text(&socket)]));
    assert_eq!(outcome.status.code(), Some(1));
    assert!(
        outcome.stderr.contains("no daemon can be reached on") && outcome.stderr.contains("larderd import")
    );
}

#[test]
fn a_start_runs_the_file_before_the_first_client_is_served() {
    let dir = tempfile::tempdir().unwrap();
    let file: PathBuf = dir.path().join("commands");
    let mut lines: Vec<String> = (0..30_000).map(|n| format!("SET k:{n} v:{n} NX")).collect();
    lines.extend(["SET last 1\nINCR starts\n".to_owned()]);
    fs::write(&file, lines.join("\n")).unwrap();
    let mut daemon = Daemon::start(&["--warm", text(&file)]);
    // The first answer of all is that to the PING of the start.
    let mut client = daemon.client();
    client.check("MGET k:0 k:29999 last starts", r#"[="v:0" ="v:29999" ="1" ="1"]"#);
    assert!(daemon.output().contains("30002 commands, 0 of them refused"), "{}", daemon.output());
    client.check("SET k:0 newer", "+OK");
    daemon.terminate();
    daemon.restart();
    let mut client = daemon.client();
    client.check("MGET k:0 starts", r#"[="newer" ="2"]"#);
    client.check("CONFIG GET warm", &format!("[=\"warm\" =\"{}\"]", text(&file)));
}

#[test]
fn a_file_that_cannot_be_run_is_told_and_the_daemon_serves() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("commands");
    let daemon = Daemon::start(&["--warm", text(&file)]);
    daemon.check_healthy();
    assert!(daemon.output().contains("cannot run the commands in"), "{}", daemon.output());
    fs::write(&file, "SET a 1\nGET a b\nSET b 2\n").unwrap();
    let daemon = Daemon::start(&["--warm", text(&file)]);
    daemon.client().check("MGET a b", r#"[="1" nil]"#);
    wait_until("the log", || {
        let log = daemon.output();
        let told = log.contains("request 2 at byte 8: ") && log.contains("commands run before it: 1");
        if told { Ok(()) } else { Err(log) }
    });
}
