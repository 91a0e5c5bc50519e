//! The TCP listener: its password, whom it lets in without, and that it cannot be opened to others by accident.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::util::{Daemon, HANG, Reply, larderd, missing, run, wait_until};

/// A connection over TCP that speaks lines.
struct Tcp(BufReader<TcpStream>);

impl Tcp {
    fn connect(port: u16) -> Result<Self, String> {
        let stream = TcpStream::connect(("127.0.0.1", port)).map_err(|error| error.to_string())?;
        Ok(Self(BufReader::new(stream)))
    }

    #[track_caller]
    fn check(&mut self, request: &str, expected: &str) {
        self.0.get_mut().write_all(format!("{request}\n").as_bytes()).unwrap();
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        assert!(line.trim_end().starts_with(expected), "{request}: {line}");
    }
}

/// A port that nobody has, most likely.
fn free_port() -> u16 {
    std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

/// A file with the password, in a directory that goes with the test.
fn password_file() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("password");
    fs::write(&file, "correct horse\n").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    (dir, file)
}

#[test]
fn tcp_asks_for_the_password_and_the_socket_does_not() {
    let (_dir, file) = password_file();
    let port = free_port();
    let address = format!("127.0.0.1:{port}");
    let daemon = Daemon::start(&["--tcp", &address, "--password-file", file.to_str().unwrap()]);
    daemon.client().check("SET k v", "+OK");
    let mut tcp = Tcp::connect(port).unwrap();
    tcp.check("GET k", "-NOAUTH Authentication required.");
    tcp.check("HELLO 3", "-NOAUTH HELLO must be called");
    tcp.check("AUTH wrong-one", "-WRONGPASS invalid username-password pair or user is disabled.");
    tcp.check("AUTH somebody 'correct horse'", "-WRONGPASS");
    tcp.check("GET k", "-NOAUTH");
    tcp.check("AUTH 'correct horse'", "+OK");
    tcp.check("GET k", "+v");
    // Nobody knows who it is, so it is a normal user.
    tcp.check("FLUSHALL", "-NOPERM");
    tcp.check("RESET", "+RESET");
    tcp.check("GET k", "-NOAUTH");
    tcp.check("AUTH default 'correct horse'", "+OK");
    tcp.check("SET k w", "+OK");
    // Before the password a request is short.
    let mut greedy = Tcp::connect(port).unwrap();
    greedy.check("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$20000\r", "-ERR Protocol error");
    // Those of the socket need none, and what they give is checked all the same.
    let mut client = daemon.client();
    client.check("GET k", "=w");
    client.check("AUTH wrong-one", "-WRONGPASS invalid username-password pair or user is disabled.");
    client.check("GET k", "=w");
    // The password is shown nowhere.
    client.check("CONFIG SET slow_command 1ms", "+OK");
    let shown = client.cmd("CONFIG GET *").to_string();
    assert!(shown.contains("password_file") && !shown.contains("correct horse"), "{shown}");
    // A new one is read at a reload; who is in stays in.
    fs::write(&file, "battery staple\n").unwrap();
    daemon.signal(Signal::HUP);
    wait_until("the new password to count", || {
        let mut other = Tcp::connect(port)?;
        other.0.get_mut().write_all(b"AUTH 'battery staple'\n").unwrap();
        let mut line = String::new();
        other.0.read_line(&mut line).unwrap();
        if line == "+OK\r\n" { Ok(()) } else { Err(line) }
    });
    tcp.check("GET k", "+w");
}

#[test]
fn tcp_without_a_password_is_for_this_machine_alone() {
    let port = free_port();
    let daemon = Daemon::start(&["--tcp", &format!("localhost:{port}"), "--tcp-role", "read-only"]);
    daemon.client().check("SET k v", "+OK");
    let mut tcp = Tcp::connect(port).unwrap();
    tcp.check("GET k", "+v");
    tcp.check("SET k w", "-NOPERM");
    // Nobody knows whose it is.
    let mut listener = daemon.client();
    listener.check("SUBSCRIBE larder:stats", "[=subscribe =larder:stats :1]");
    let users: Vec<_> = wait_until("a sample", || {
        let Reply::Array(words) = listener.read().unwrap() else { panic!("a message is an array") };
        let message: serde_json::Value = serde_json::from_slice(words[2].bytes()).unwrap();
        let clients = message["clients"].as_array().ok_or("no sample")?;
        Ok(clients.iter().map(|client| client["uid"].as_u64()).collect())
    });
    let ours = u64::from(rustix::process::getuid().as_raw());
    assert!(users.contains(&None) && users.contains(&Some(ours)) && users.len() == 2, "{users:?}");
    tcp.check("AUTH some", "-ERR AUTH <password> called without any password configured");
    let list = daemon.client().cmd("CLIENT LIST").to_string();
    assert!(list.contains(&format!("laddr=127.0.0.1:{port} ")) && list.contains("role=read-only"), "{list}");
    // Anything else needs a password.
    let outcome = run(&mut larderd(&["--tcp", "0.0.0.0:6379", "--check-config"]));
    assert_eq!(outcome.status.code(), Some(78), "{}", outcome.stderr);
    assert!(
        outcome.stderr.contains("is open to other machines") && outcome.stderr.contains("password_file"),
        "{}",
        outcome.stderr
    );
    // A taken address is named.
    let dir = tempfile::tempdir().unwrap();
    let place = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let address = format!("127.0.0.1:{port}");
    let outcome = run(&mut larderd(&["--socket", &place("s"), "--data", &place("d"), "--tcp", &address]));
    assert!(!outcome.status.success() && outcome.stderr.contains(&address), "{}", outcome.stderr);
}

#[test]
fn a_listener_for_other_machines_never_loses_its_password() {
    let (_dir, file) = password_file();
    let port = free_port();
    let daemon =
        Daemon::start(&["--tcp", &format!("0.0.0.0:{port}"), "--password-file", file.to_str().unwrap()]);
    let mut client = daemon.client();
    for (set, why) in [
        ("CONFIG SET password_file ''", "open to other machines"),
        ("CONFIG SET password_file somewhere", "is not an absolute path"),
        ("CONFIG SET password_file /nowhere/at/all", "cannot be read"),
    ] {
        let reply = client.cmd(set).to_string();
        assert!(reply.contains(why), "{set}: {reply}");
        let mut tcp = Tcp::connect(port).unwrap();
        tcp.check("GET k", "-NOAUTH");
        tcp.check("AUTH 'correct horse'", "+OK");
    }
    // Other settings do not depend on the file.
    fs::remove_file(&file).unwrap();
    client.check("CONFIG SET default_ttl 1h", "+OK");
    Tcp::connect(port).unwrap().check("AUTH 'correct horse'", "+OK");
}

#[test]
fn who_does_not_give_the_password_does_not_stay() {
    let (_dir, file) = password_file();
    let port = free_port();
    let daemon =
        Daemon::start(&["--tcp", &format!("[::1]:{port}"), "--password-file", file.to_str().unwrap()]);
    let connect = || TcpStream::connect(("::1", port)).map_err(|error| error.to_string());
    let Ok(mut silent) = connect() else { return missing("IPv6", "give the loopback interface ::1") };
    let mut known = Tcp(BufReader::new(connect().unwrap()));
    known.check("AUTH 'correct horse'", "+OK");
    // Half a request now and then does not prolong it.
    silent.write_all(b"*2\r\n").unwrap();
    silent.set_read_timeout(Some(HANG)).unwrap();
    assert_eq!(silent.read(&mut [0; 64]).unwrap(), 0, "it is closed");
    known.check("PING", "+PONG");
    daemon.check_healthy();
}

#[test]
fn who_does_not_give_the_password_does_not_stay_by_not_reading_what_it_is_told() {
    let (_dir, file) = password_file();
    let port = free_port();
    let daemon = Daemon::start(&[
        "--tcp",
        &format!("127.0.0.1:{port}"),
        "--password-file",
        file.to_str().unwrap(),
        "--output-stall",
        "1h",
    ]);
    let mut deaf = TcpStream::connect(("127.0.0.1", port)).unwrap();
    // More answers than the system and the daemon take at once.
    deaf.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
    let requests = b"PING\r\n".repeat(10_000);
    while deaf.write(&requests).is_ok() {}
    let list = daemon.client().cmd("CLIENT LIST").to_string();
    assert!(list.contains(&format!("laddr=127.0.0.1:{port} ")), "it was closed too early: {list}");
    daemon.wait_for_no_other_connection();
    drop(deaf);
}
