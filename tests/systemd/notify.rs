//! What the daemon tells a service manager. The manager here is a socket that the test reads: it runs anywhere.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::util::{Client, HANG, Reply, larderd, missing, repository, tool, wait_until};

/// A daemon whose manager is the test.
struct Managed {
    dir: TempDir,
    manager: UnixDatagram,
    child: Child,
}

impl Managed {
    fn start(environment: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let manager = UnixDatagram::bind(dir.path().join("notify")).unwrap();
        manager.set_read_timeout(Some(HANG)).unwrap();
        let file = dir.path().join("larder.toml");
        fs::write(&file, "default_ttl = \"500s\"\n").unwrap();
        let place = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
        let child = larderd(&[
            "--socket",
            &place("larder.sock"),
            "--data",
            &place("data"),
            "--config",
            file.to_str().unwrap(),
        ])
        .env("NOTIFY_SOCKET", dir.path().join("notify"))
        .envs(environment.iter().copied())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
        Self { dir, manager, child }
    }

    /// The next message.
    #[track_caller]
    fn hear(&self) -> String {
        let mut bytes = [0; 4_096];
        let length = self.manager.recv(&mut bytes).expect("the daemon says something");
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    }

    /// The next message that has `line`, of those that come.
    #[track_caller]
    fn hear_of(&self, line: &str) -> String {
        let give_up = Instant::now() + HANG;
        loop {
            let heard = self.hear();
            if heard.lines().any(|said| said.starts_with(line)) {
                return heard;
            }
            assert!(Instant::now() < give_up, "nothing of {line}");
        }
    }

    fn client(&self) -> Client {
        Client::connect(&self.dir.path().join("larder.sock")).unwrap()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn settings(&self, text: &str) {
        fs::write(self.dir.path().join("larder.toml"), text).unwrap();
    }
}

impl Drop for Managed {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn ready_means_that_clients_are_served() {
    let mut managed = Managed::start(&[]);
    let first = managed.hear();
    assert!(first.starts_with("READY=1\n"), "nothing is said before: {first}");
    assert!(!first.contains("WATCHDOG"), "nobody asked for it: {first}");
    let mut client = managed.client();
    client.check("PING", "+PONG");
    client.check("SET k v", "+OK");
    client.check("GET k", "=v");
    client.check("GET l", "nil");
    let status = wait_until("a status with what was done", || {
        let status = managed.hear_of("STATUS=");
        if status.contains("hit rate 50.0 %") { Ok(status) } else { Err(status) }
    });
    assert!(status.starts_with("STATUS=Serving 1 entry, ") && status.contains("clean-up"), "{status}");

    managed.signal(Signal::TERM);
    managed.hear_of("STOPPING=1");
    assert_eq!(managed.child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_reload_is_told_from_its_beginning_to_its_end() {
    let managed = Managed::start(&[]);
    managed.hear_of("READY=1");
    let mut listener = managed.client();
    listener.send(b"*2\r\n$9\r\nSUBSCRIBE\r\n$13\r\nlarder:events\r\n").unwrap();
    let next_reload = |listener: &mut Client| {
        wait_until("an event", || {
            let event = listener.read().unwrap().to_string();
            if event.contains("\\\"reload\\\"") || event.contains("\"reload\"") {
                Ok(event)
            } else {
                Err(event)
            }
        })
    };
    managed.settings("default_ttl = \"70s\"\nreaders = 3\n");
    managed.signal(Signal::HUP);
    let begun = managed.hear_of("RELOADING=1");
    assert!(begun.lines().any(|line| line.starts_with("MONOTONIC_USEC=")), "{begun}");
    let done = managed.hear_of("READY=1");
    assert!(done.contains("changed: default_ttl; waiting for a restart: readers"), "{done}");
    let event = next_reload(&mut listener);
    assert!(event.contains("default_ttl"), "{event}");

    // What is wrong is not taken over, and the manager is told that the daemon goes on.
    managed.settings("default_ttl = \"soon\"\n");
    managed.signal(Signal::HUP);
    managed.hear_of("RELOADING=1");
    let done = managed.hear_of("READY=1");
    assert!(done.contains("stay as they are"), "{done}");
    let mut client = managed.client();
    client.check("SET k v", "+OK");
    assert!((69..=70).contains(&client.int("TTL k")));
}

#[test]
fn signs_of_life_come_as_long_as_the_store_works() {
    let us = Duration::from_millis(600).as_micros().to_string();
    let managed = Managed::start(&[("WATCHDOG_USEC", &us)]);
    let ready = managed.hear_of("READY=1");
    assert!(ready.contains("WATCHDOG_USEC=600000\n"), "{ready}");
    // In a database without entries nothing is looked up.
    let mut client = managed.client();
    client.check("SET k v", "+OK");
    client.check("CLEANUP", ":0");
    let before = client.stats();
    for _ in 0..3 {
        managed.hear_of("WATCHDOG=1");
    }
    // Of what is written and read for them, nothing is to be seen.
    client.check("DBSIZE", ":1");
    assert_eq!(client.cmd("KEYS *"), Reply::Array(vec![Reply::bulk("k")]));
    let stats = client.stats();
    for counter in ["commits", "disk_reads"] {
        assert!(stats.get(counter) >= before.get(counter) + 2, "{counter}: {stats:?}");
    }
    assert_eq!((stats.get("deletes"), stats.get("misses")), (0, 0));

    // Meant for another process.
    let other = Managed::start(&[("WATCHDOG_USEC", &us), ("WATCHDOG_PID", "1")]);
    assert!(!other.hear_of("READY=1").contains("WATCHDOG"));
}

/// The first thread goes on; the threads that read and write files do not. (Whether PING is answered then depends on where they
/// were stopped: one may hold a lock that the first thread needs.)
#[test]
fn no_signs_of_life_come_from_a_store_that_hangs() {
    let Some(python) = tool("python3") else { return };
    let within = Duration::from_millis(600);
    let managed = Managed::start(&[("WATCHDOG_USEC", &within.as_micros().to_string())]);
    managed.hear_of("READY=1");
    let mut client = managed.client();
    client.check("SET k v", "+OK");
    client.check("CLEANUP", ":0");
    managed.hear_of("WATCHDOG=1");
    let mut holder = Command::new(python)
        .arg(repository("tests/systemd/hold_threads.py"))
        .arg(managed.child.id().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    BufReader::new(holder.stdout.as_mut().unwrap()).read_line(&mut said).unwrap();
    if !said.starts_with("held ") {
        holder.wait().unwrap();
        return missing("leave to trace a process", "run the tests as root");
    }
    // What was on its way is heard; then nothing, for as long as a manager would wait before it acts.
    managed.manager.set_read_timeout(Some(within * 3)).unwrap();
    let until = Instant::now() + HANG;
    while managed.manager.recv(&mut [0; 4_096]).is_ok() {
        assert!(Instant::now() < until, "signs of life while the store hangs");
    }
    drop(holder.stdin.take());
    holder.wait().unwrap();
    managed.manager.set_read_timeout(Some(HANG)).unwrap();
    managed.hear_of("WATCHDOG=1");
    client.check("PING", "+PONG");
}

#[test]
fn a_socket_that_was_there_before_is_served_and_left_alone() {
    let Some(activate) = tool("systemd-socket-activate") else { return };
    let dir = tempfile::tempdir().unwrap();
    let (socket, data) = (dir.path().join("larder.sock"), dir.path().join("data"));
    let start = || {
        let mut daemon = larderd(&["--data", data.to_str().unwrap(), "--socket", "/nonexistent/larder.sock"]);
        let mut command = Command::new(&activate);
        command.args(["--fdname=larder", "--setenv=RUST_BACKTRACE", "--listen", socket.to_str().unwrap()]);
        command.arg(daemon.get_program()).args(daemon.get_args());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        // Whoever runs the tests may have settings of larder's in the environment.
        command.envs(daemon.env_clear().get_envs().filter_map(|(name, value)| Some((name, value?))));
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("LARDER_"))
        {
            command.env_remove(name);
        }
        Killed(command.spawn().unwrap())
    };
    let mut first = start();
    // The connection starts the daemon, and is its first client.
    let mut client = wait_until("the socket", || Client::connect(&socket).map_err(|error| error.to_string()));
    client.check("SET k v", "+OK");
    let stats = client.stats();
    assert_eq!(stats.value("socket"), socket.to_str().unwrap(), "where clients find it, whatever is set");
    kill_process(Pid::from_child(&first.0), Signal::TERM).unwrap();
    assert_eq!(first.0.wait().unwrap().code(), Some(0));
    assert!(socket.exists(), "it is not the daemon's to remove");
    assert!(!dir.path().join("larder.sock.lock").exists(), "nor to lock");

    fs::remove_file(&socket).unwrap();
    let _second = start();
    let mut client = wait_until("the socket", || Client::connect(&socket).map_err(|error| error.to_string()));
    client.check("GET k", "=v");
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn variables_about_sockets_of_somebody_else_are_not_believed() {
    let dir = tempfile::tempdir().unwrap();
    let (socket, data) = (dir.path().join("larder.sock"), dir.path().join("data"));
    let child = larderd(&["--data", data.to_str().unwrap(), "--socket", socket.to_str().unwrap()])
        .envs([("LISTEN_PID", "1"), ("LISTEN_FDS", "1"), ("LISTEN_FDNAMES", "larder")])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _child = Killed(child);
    serves(&socket);
}

#[track_caller]
fn serves(socket: &Path) {
    let mut client = wait_until("the socket", || Client::connect(socket).map_err(|error| error.to_string()));
    client.check("PING", "+PONG");
}

/// A socket is made before the data is read, and nobody may be told that it is served before that.
#[test]
fn whoever_cannot_start_is_never_ready() {
    let dir = tempfile::tempdir().unwrap();
    let manager = UnixDatagram::bind(dir.path().join("notify")).unwrap();
    manager.set_nonblocking(true).unwrap();
    let data = dir.path().join("data");
    fs::create_dir(&data).unwrap();
    fs::create_dir(data.join("larder.db")).unwrap();
    let socket = dir.path().join("larder.sock");
    let status = larderd(&["--data", data.to_str().unwrap(), "--socket", socket.to_str().unwrap()])
        .env("NOTIFY_SOCKET", dir.path().join("notify"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(1));
    let heard = manager.recv(&mut [0; 64]).unwrap_err();
    assert_eq!(heard.kind(), std::io::ErrorKind::WouldBlock);
}
