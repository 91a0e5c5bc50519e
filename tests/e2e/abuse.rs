//! Bad input, bad clients, too many of them: an error where one can be given, a closed connection where not, and
//! always a daemon that serves the next client.

use std::io::{ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::{fs, thread};

use crate::util::{Client, Daemon, Dice, Reply, encode, split_words, wait_until};

/// What a piece of bad input deserves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    /// An error; the connection goes on.
    GoesOn,
    /// An error, then goodbye.
    Closes,
    /// Nothing but goodbye.
    ClosesSilently,
}

/// Sends `input` on a connection of its own and checks what comes back.
#[track_caller]
fn check(daemon: &Daemon, name: &str, input: &[u8], error: &str, then: Then) {
    let mut client = daemon.client();
    if let Err(failure) = client.send(input) {
        // A daemon that has seen enough may close before it has read everything.
        assert!(is_end(&failure), "{name}: {failure}");
    }
    if then != Then::ClosesSilently {
        match client.read() {
            Ok(Reply::Error(text)) if text.starts_with(error) => {}
            Ok(other) => panic!("{name}: expected -{error}..., got {other}"),
            Err(failure) => panic!("{name}: expected -{error}..., got {failure}"),
        }
    }
    if then == Then::GoesOn {
        client.check("PING", "+PONG");
    } else {
        let rest = client.read_to_end();
        assert!(rest.is_empty(), "{name}: nothing should follow, got {}", rest.escape_ascii());
    }
}

fn is_end(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof)
}

#[test]
fn wrong_arguments_are_errors_and_the_connection_goes_on() {
    let daemon = Daemon::start(&[]);
    daemon.client().check("SET text abc", "+OK");
    for (request, error) in [
        ("GET", "ERR wrong number of arguments for 'get' command"),
        ("SET k", "ERR wrong number of arguments for 'set' command"),
        ("SET k v BOGUS", "ERR syntax error"),
        ("SET k v EX", "ERR syntax error"),
        ("SET k v EX ten", "ERR value is not an integer or out of range"),
        ("SET k v EX -5", "ERR invalid expire time in 'set' command"),
        ("INCR text", "ERR value is not an integer or out of range"),
        ("DELPAT a NOTLIKE", "ERR syntax error"),
        ("STATS a b c d e", "ERR"),
        ("NOSUCH a b", "ERR unknown command 'NOSUCH', with args beginning with: 'a' 'b' "),
        ("\"\"", "ERR unknown command"),
        ("\"\\xff\\x00\\r\\n\"", "ERR unknown command"),
        ("'+OK'", "ERR unknown command"),
    ] {
        let words = split_words(request).unwrap();
        check(&daemon, request, &encode(&words), error, Then::GoesOn);
        check(&daemon, request, format!("{request}\r\n").as_bytes(), error, Then::GoesOn);
    }
    // Long names and many arguments are not repeated at length.
    let mut client = daemon.client();
    let reply = client.args(&["N".repeat(10_000).as_str(), "a".repeat(10_000).as_str()]);
    assert!(matches!(&reply, Reply::Error(text) if text.len() < 1_000), "{reply}");
    drop(client);
    daemon.check_healthy();
    daemon.wait_for_no_other_connection();
}

#[test]
fn broken_frames_are_errors_and_goodbye() {
    let daemon = Daemon::start(&["--max-value", "1MiB"]);
    for (name, input) in [
        ("a string of 2 GiB", &b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$2147483648\r\n"[..]),
        ("a string of 9 EiB", b"*1\r\n$9223372036854775807\r\n"),
        ("a length that is no number", b"*1\r\n$abc\r\n"),
        ("a negative length", b"*1\r\n$-1\r\n"),
        ("a length with digits beyond any integer", b"*1\r\n$99999999999999999999999\r\n"),
        ("1,048,577 arguments", b"*1048577\r\n"),
        ("2^63 arguments", b"*9223372036854775808\r\n"),
        ("a count that is no number", b"*x\r\n"),
        ("an integer where a string belongs", b"*1\r\n:1\r\n"),
        ("a nested array", b"*1\r\n*1\r\n*1\r\n$4\r\nPING\r\n"),
        ("an open double quote", b"SET k \"abc\r\n"),
        ("an open single quote", b"SET k 'abc\n"),
        ("something behind a closing quote", b"SET k \"abc\"def\r\n"),
    ] {
        check(&daemon, name, input, "ERR Protocol error", Then::Closes);
    }
    let mut client = daemon.client();
    client.check("EXISTS k", ":0");
    // Redis ignores empty and null arrays; so does larder.
    client.send(b"*0\r\n*-1\r\n").unwrap();
    client.check("PING", "+PONG");
    drop(client);
    daemon.check_healthy();
    daemon.wait_for_no_other_connection();
}

#[test]
fn over_long_input_is_an_error_that_costs_nothing() {
    let daemon = Daemon::start(&["--max-value", "1MiB", "--max-key", "1KiB", "--max-line", "64KiB"]);
    let line = "x".repeat(70_000);
    check(&daemon, "a line without an end", line.as_bytes(), "ERR", Then::Closes);
    check(&daemon, "a long line", format!("SET k {line}\r\n").as_bytes(), "ERR", Then::Closes);
    check(&daemon, "a long count", &[b"*".as_slice(), line.as_bytes()].concat(), "ERR", Then::Closes);
    check(&daemon, "a long length", &[b"*1\r\n$".as_slice(), line.as_bytes()].concat(), "ERR", Then::Closes);

    // Whether a string that is only too long ends the connection is the daemon's choice; that it is refused is not.
    let (key, value) = ("k".repeat(1_025), "v".repeat((1 << 20) + 1));
    let words = "GET ".to_owned() + &"a ".repeat(1_100);
    for (name, input) in [
        ("a long key", encode(&["SET", &key, "v"])),
        ("a long key to read", encode(&["GET", &key])),
        ("a long value", encode(&["SET", "long", &value])),
        ("a long key in a line", format!("SET {key} v\n").into_bytes()),
        ("a line of too many words", format!("{words}\n").into_bytes()),
    ] {
        let mut client = daemon.client();
        if let Err(failure) = client.send(&input) {
            assert!(is_end(&failure), "{name}: {failure}");
        }
        let reply = client.read().unwrap_or_else(|failure| panic!("{name}: no error but {failure}"));
        assert!(matches!(reply, Reply::Error(_)), "{name}: {reply}");
        let next = client.send(b"PING\n").and_then(|()| client.read());
        assert!(
            next.as_ref().map_or_else(is_end, |reply| reply.bytes() == b"PONG"),
            "{name}, then PING: {next:?}"
        );
    }
    let mut client = daemon.client();
    client.check("DBSIZE", ":0");
    // As long as is allowed.
    let (key, value) = ("k".repeat(1_024), "v".repeat(1 << 20));
    assert_eq!(client.args(&["SET", &key, &value]), Reply::ok());
    assert!(client.args(&["GET", &key]) == Reply::bulk(&value));
    drop(client);
    daemon.check_healthy();
    daemon.wait_for_no_other_connection();
}

#[test]
fn announced_sizes_cost_no_memory() {
    let daemon = Daemon::start(&[]);
    let before = resident_kib(&daemon);
    // 200 headers that promise 32 MiB each, or a million arguments, and bring nothing.
    let clients: Vec<_> = (0..200)
        .map(|number| {
            let mut client = daemon.client();
            let header = if number % 2 == 0 {
                &b"*2\r\n$3\r\nGET\r\n$33554432\r\n"[..]
            } else {
                b"*1048576\r\n$3\r\n"
            };
            client.send(header).unwrap();
            client
        })
        .collect();
    daemon.check_healthy();
    let after = resident_kib(&daemon);
    assert!(after < before + 100 * 1024, "{before} KiB grew to {after} KiB");
    drop(clients);
    daemon.wait_for_no_other_connection();
}

#[test]
fn binary_garbage_hurts_nobody() {
    let daemon = Daemon::start(&[]);
    for seed in 0..60 {
        let mut dice = Dice::new(seed);
        let length = 1 + dice.below(100_000) as usize;
        let mut garbage = dice.bytes(length);
        match seed % 3 {
            0 => garbage[0] = b'*',
            1 => garbage.splice(0..0, *b"*3\r\n$3\r\nSET\r\n$1\r\ng\r\n$").for_each(drop),
            _ => {}
        }
        let mut client = daemon.client();
        let mut writer = client.stream().try_clone().unwrap();
        thread::scope(|scope| {
            scope.spawn(move || {
                // A daemon that closes half-way is right.
                let _ = writer.write_all(&garbage);
                let _ = writer.shutdown(std::net::Shutdown::Write);
            });
            client.read_to_end();
        });
    }
    daemon.check_healthy();
    daemon.wait_for_no_other_connection();
}

#[test]
fn half_a_request_then_close_changes_nothing() {
    let daemon = Daemon::start(&[]);
    let request = encode(&["SET", "half", "a value\r\n"]);
    for length in 1..request.len() {
        let mut client = daemon.client();
        client.send(&request[..length]).unwrap();
        if length % 2 == 0 {
            client.finish_sending();
            client.read_to_end();
        }
    }
    for line in ["S", "SET half", "SET half v", "SET half \"v"] {
        let mut client = daemon.client();
        client.send(line.as_bytes()).unwrap();
        client.finish_sending();
        client.read_to_end();
    }
    daemon.wait_for_no_other_connection();
    daemon.client().check("EXISTS half", ":0");
    daemon.check_healthy();
}

#[test]
fn requests_before_the_end_of_input_are_answered() {
    let daemon = Daemon::start(&[]);
    let mut client = daemon.client();
    client.send(b"SET k v\nGET k\nINCR n\n").unwrap();
    client.finish_sending();
    assert_eq!(client.read_to_end(), b"+OK\r\n+v\r\n:1\r\n");
}

#[test]
fn web_pages_and_tls_are_closed_at_once() {
    let daemon = Daemon::start(&[]);
    let hack = "\r\nSET hacked 1\r\n";
    for (name, input) in [
        ("POST", format!("POST / HTTP/1.1{hack}")),
        ("post", format!("post / HTTP/1.1{hack}")),
        ("Host:", format!("Host: localhost{hack}")),
        ("host:", format!("host: localhost{hack}")),
        ("a TLS hello", format!("\x16\x03\x01\x02\x00\x01\x00\x01{hack}")),
    ] {
        check(&daemon, name, input.as_bytes(), "", Then::ClosesSilently);
    }
    check(
        &daemon,
        "a GET of the web",
        format!("GET / HTTP/1.1\r\nHost: localhost{hack}").as_bytes(),
        "ERR",
        Then::Closes,
    );
    daemon.client().check("EXISTS hacked", ":0");
    daemon.check_healthy();
    daemon.wait_for_no_other_connection();
}

#[test]
fn a_thousand_connections_come_and_go() {
    let daemon = Daemon::start(&[]);
    // In waves: the test itself may not have a thousand file descriptors.
    for wave in 0..5 {
        let streams: Vec<_> = (0..200)
            .map(|number| {
                let mut stream = UnixStream::connect(daemon.socket()).unwrap();
                match number % 4 {
                    0 => stream.write_all(b"*2\r\n$3\r\nGE").unwrap(),
                    1 => stream.write_all(b"GET something\n").unwrap(),
                    2 => stream.write_all(b"SET wave").unwrap(),
                    _ => {}
                }
                stream
            })
            .collect();
        daemon.check_healthy();
        if wave == 4 {
            let mut client = daemon.client();
            wait_until("all of them to be counted", || {
                let stats = client.stats();
                if stats.get("connections") > 200 { Ok(()) } else { Err(format!("{stats:?}")) }
            });
        }
        drop(streams);
    }
    daemon.wait_for_no_other_connection();
    daemon.check_healthy();
}

#[test]
fn connections_beyond_the_limit_are_told_so() {
    let daemon = Daemon::start(&["--max-connections", "10"]);
    wait_until("the connections of the start to be gone", || {
        let mut clients: Vec<Client> = Vec::new();
        for _ in 0..10 {
            let mut client = daemon.client();
            match client.send(b"PING\n").and_then(|()| client.read()) {
                Ok(Reply::Simple(_)) => clients.push(client),
                other => return Err(format!("after {} connections: {other:?}", clients.len())),
            }
        }
        let mut one_more = daemon.client();
        let reply = one_more.read();
        assert!(
            matches!(&reply, Ok(Reply::Error(text)) if text.starts_with("ERR max number of clients")),
            "{reply:?}"
        );
        one_more.expect_closed();
        clients[0].check("PING", "+PONG");
        Ok(())
    });
    wait_until("room for the next client", || {
        let mut client = daemon.client();
        match client.send(b"PING\n").and_then(|()| client.read()) {
            Ok(Reply::Simple(_)) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
}

#[test]
fn a_client_that_never_reads_holds_up_nobody() {
    let daemon = Daemon::start(&[]);
    let mut client = daemon.client();
    let large = "x".repeat(1 << 20);
    assert_eq!(client.args(&["SET", "large", &large]), Reply::ok());
    let before = resident_kib(&daemon);

    // 1,000 requests, 1 GiB of answers, and not one of them is read.
    let mut slow = daemon.client();
    slow.send(&encode(&["GET", "large"]).repeat(1_000)).unwrap();
    for count in 1..=1_000 {
        client.check("SET other v", "+OK");
        client.check("GET other", "=v");
        client.check("INCR counter", &format!(":{count}"));
    }
    let after = resident_kib(&daemon);
    assert!(after < before + 200 * 1024, "unread answers are not kept: {before} KiB grew to {after} KiB");

    // In the end it is dropped, though it never hangs up.
    wait_until("the slow client to be dropped", || client.stats().is("connections", 1));
    drop(slow);
    daemon.check_healthy();
}

/// The daemon's resident memory.
#[track_caller]
fn resident_kib(daemon: &Daemon) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
