//! Programs people already have: nc, socat, redis-cli, redis-benchmark, redis-py.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::util::{Daemon, bash, encode, python_knows_redis, repository, run, succeeds, tool};

/// One line in, one line out, for each of the commands a script needs. `ask` is how bash sends a line.
#[track_caller]
fn one_line_in_one_line_out(ask: &str) {
    let daemon = Daemon::start(&[]);
    let ask = |line: &str| bash(&daemon, &format!("ask() {{ {ask}; }}\nask '{line}'"));
    for (line, expected) in [
        ("PING", "+PONG"),
        ("GET greeting", "$-1"),
        ("SET greeting \"hello, world\" EX 60", "+OK"),
        ("GET greeting", "+hello, world"),
        ("SET page:1 a", "+OK"),
        ("SET page:2 b", "+OK"),
        ("DELPAT page:*", ":2"),
        ("SET page:1 a", "+OK"),
        ("DELPAT page:_ LIKE", ":1"),
        ("INCR visits", ":1"),
        ("INCR visits EX 60", ":2"),
        ("TTL visits", ":-1"),
        ("TTL nothing", ":-2"),
        ("DEL greeting visits", ":2"),
        ("DEL greeting", ":0"),
        ("SET", "-ERR wrong number of arguments for 'set' command"),
    ] {
        // A test's line may hold double quotes, never single ones: bash gets it in single quotes.
        assert_eq!(ask(line), format!("{expected}\r\n"), "{line}");
    }
    ask("SET short v EX 60");
    let ttl = ask("TTL short");
    assert!([":59\r\n", ":60\r\n"].contains(&ttl.as_str()), "{ttl}");
    let stats = ask("STATS");
    assert_eq!(stats.lines().count(), 1, "{stats}");
    let json = stats.strip_prefix('+').unwrap_or_else(|| panic!("{stats}"));
    assert!(serde_json::from_str::<serde_json::Value>(json).is_ok_and(|value| value.is_object()), "{json}");
    daemon.wait_for_no_other_connection();
}

#[test]
fn nc_gets_one_line_for_one_line() {
    let (Some(_), Some(_)) = (tool("bash"), tool("nc")) else { return };
    one_line_in_one_line_out(r#"printf '%s\n' "$1" | nc -N -U "$SOCK""#);
}

#[test]
fn socat_gets_one_line_for_one_line() {
    let (Some(_), Some(_)) = (tool("bash"), tool("socat")) else { return };
    // -t is how long socat waits for the answer once its input has ended; half a second unless told.
    one_line_in_one_line_out(r#"printf '%s\n' "$1" | socat -t 30 - UNIX-CONNECT:"$SOCK""#);
}

#[test]
fn a_shell_keeps_a_conversation() {
    let (Some(_), Some(_)) = (tool("bash"), tool("nc")) else { return };
    let daemon = Daemon::start(&[]);
    let script = r#"
        coproc larder { nc -U "$SOCK"; }
        nc_pid=$larder_PID
        ask() { printf '%s\n' "$1" >&"${larder[1]}"; IFS= read -r reply <&"${larder[0]}"; echo "${reply%$'\r'}"; }
        ask 'SET k "a value"'
        ask 'GET k'
        ask 'INCR n'
        ask 'INCR n'
        kill "$nc_pid"
    "#;
    assert_eq!(bash(&daemon, script), "+OK\n+a value\n:1\n:2\n");
}

#[test]
fn redis_cli_speaks_to_it() {
    let Some(cli) = tool("redis-cli") else { return };
    let daemon = Daemon::start(&[]);
    let ask = |arguments: &[&str]| {
        let mut command = Command::new(&cli);
        succeeds(command.arg("-s").arg(daemon.socket()).args(arguments).stdin(Stdio::null()))
    };
    assert_eq!(ask(&["SET", "k", "a value", "EX", "60"]), "OK\n");
    assert_eq!(ask(&["GET", "k"]), "a value\n");
    assert_eq!(ask(&["--no-raw", "GET", "nothing"]), "(nil)\n");
    assert_eq!(ask(&["--no-raw", "INCR", "n"]), "(integer) 1\n");
    assert_eq!(ask(&["MGET", "k", "nothing", "n"]), "a value\n\n1\n");
    assert_eq!(ask(&["DELPAT", "k*"]), "1\n");
    assert!(ask(&["NOSUCH"]).starts_with("ERR unknown command 'NOSUCH'"));
    assert!(ask(&["STATS"]).starts_with('{'));
    assert!(ask(&["INFO"]).contains("redis_version:7."));
    assert_eq!(ask(&["-r", "3", "INCR", "n"]), "2\n3\n4\n");
    assert_eq!(ask(&["-n", "0", "PING"]), "PONG\n");

    // As at the prompt, where it asks for COMMAND DOCS first.
    let input = file(daemon.dir(), b"SET prompt \"two words\"\nGET prompt\nDBSIZE\n");
    let mut command = Command::new(&cli);
    let output = succeeds(command.arg("-s").arg(daemon.socket()).stdin(input));
    assert_eq!(output, "OK\ntwo words\n2\n");
}

#[test]
fn redis_cli_pipe_loads_into_it() {
    let Some(cli) = tool("redis-cli") else { return };
    let daemon = Daemon::start(&[]);
    let arrays: Vec<u8> =
        (0..5_000).flat_map(|n| encode(&["SET", &format!("a{n}"), &"x\r\n".repeat(n % 50)])).collect();
    let lines: Vec<u8> = (0..5_000).flat_map(|n| format!("SET l{n} \"line {n}\"\r\n").into_bytes()).collect();
    for load in [arrays, lines] {
        let mut command = Command::new(&cli);
        command.arg("-s").arg(daemon.socket()).arg("--pipe").stdin(file(daemon.dir(), &load));
        let output = succeeds(&mut command);
        assert!(output.contains("errors: 0, replies: 5000"), "{output}");
    }
    let mut client = daemon.client();
    client.check("DBSIZE", ":10000");
    client.check("GET l4999", "=\"line 4999\"");
    client.check("GET a1", "=\"x\\r\\n\"");
}

#[test]
fn redis_benchmark_runs_against_it() {
    let Some(benchmark) = tool("redis-benchmark") else { return };
    let daemon = Daemon::start(&[]);
    let mut command = Command::new(benchmark);
    command.arg("-s").arg(daemon.socket());
    command.args(["-t", "ping,set,get,incr,mset", "-P", "16", "-n", "20000", "-q"]).stdin(Stdio::null());
    let outcome = run(&mut command);
    assert!(outcome.status.success(), "{outcome:?}");
    for test in ["PING_INLINE", "PING_MBULK", "SET", "GET", "INCR", "MSET (10 keys)"] {
        let result = outcome.stdout.split(['\r', '\n']).rfind(|line| line.starts_with(&format!("{test}: ")));
        assert!(result.is_some_and(|line| line.contains("requests per second")), "{test}: {outcome:?}");
    }
    for word in ["rror", "WARNING"] {
        assert!(!outcome.stdout.contains(word) && !outcome.stderr.contains(word), "{outcome:?}");
    }
    daemon.client().check("GET counter:__rand_int__", "=20000");
    daemon.wait_for_no_other_connection();
}

#[test]
fn redis_py_speaks_to_it() {
    let Some(python) = tool("python3").filter(|_| python_knows_redis()) else { return };
    let daemon = Daemon::start(&[]);
    let script = repository("tests/e2e/redis_py.py");
    let output = succeeds(Command::new(python).arg(script).arg(daemon.socket()).stdin(Stdio::null()));
    assert!(output.starts_with("ok: "), "{output}");
    daemon.wait_for_no_other_connection();
}

/// A file with this content, opened to be a program's input.
fn file(dir: &Path, content: &[u8]) -> File {
    let path = dir.join("input");
    fs::write(&path, content).unwrap();
    File::open(path).unwrap()
}
