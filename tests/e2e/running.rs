//! Starting and stopping: places, permissions, configuration, two daemons on one data directory, signals.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;

use crate::util::{Daemon, Outcome, Reply, larderd, run, wait_until};

/// Runs a `larderd` that should refuse to start, and returns what it printed.
#[track_caller]
fn refused(command: &mut Command) -> String {
    let Outcome { status, stdout, stderr } = run(command);
    assert!(!status.success(), "{command:?} should fail; it printed:\n{stdout}{stderr}");
    assert!(status.code().is_some(), "{command:?} should exit, not be killed: {status}");
    assert!(!stderr.contains("panicked"), "{command:?} panicked:\n{stderr}");
    stderr
}

#[track_caller]
fn check_names(message: &str, words: &[&str]) {
    for word in words {
        assert!(message.contains(word), "the message should name {word}:\n{message}");
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

/// A daemon without arguments, whose user keeps everything in one temporary directory.
#[track_caller]
fn start_without_arguments() -> Daemon {
    let dir = tempfile::tempdir().unwrap();
    let (runtime, state, home) =
        (dir.path().join("runtime"), dir.path().join("state"), dir.path().join("home"));
    for made in [&runtime, &home] {
        fs::create_dir(made).unwrap();
        fs::set_permissions(made, fs::Permissions::from_mode(0o700)).unwrap();
    }
    let socket = runtime.join("larder/larder.sock");
    let environment = vec![
        ("XDG_RUNTIME_DIR".to_owned(), runtime),
        // Not there yet: the daemon makes what is missing.
        ("XDG_STATE_HOME".to_owned(), state),
        ("XDG_CONFIG_HOME".to_owned(), home.join("config")),
        ("HOME".to_owned(), home),
    ];
    Daemon::start_with(dir, socket, Vec::new(), environment)
}

#[test]
fn no_arguments_are_needed() {
    let mut daemon = start_without_arguments();
    daemon.check_healthy();
    daemon.client().check("SET k v", "+OK");
    let (runtime, state) = (daemon.dir().join("runtime/larder"), daemon.dir().join("state/larder"));
    assert_eq!(mode(&runtime), 0o700, "{}", runtime.display());
    assert_eq!(mode(&state), 0o700, "{}", state.display());
    assert!(fs::metadata(runtime.join("larder.sock")).unwrap().file_type().is_socket());
    for entry in fs::read_dir(&state).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path) & 0o077, 0, "{} is nobody else's business", path.display());
    }
    // What it prints is enough to try it.
    let output = daemon.output();
    check_names(&output, &[text(daemon.socket())]);
    let tried = ["nc ", "socat ", "redis-cli "].iter().any(|tool| output.contains(tool));
    assert!(tried, "the output has a line to try:\n{output}");

    assert_eq!(daemon.terminate().code(), Some(0));
    daemon.restart();
    daemon.client().check("GET k", "=v");
}

#[test]
fn a_second_daemon_on_the_same_data_is_refused() {
    let daemon = Daemon::start(&[]);
    daemon.client().check("SET k v", "+OK");
    let data = daemon.dir().join("data");
    let other = daemon.dir().join("other.sock");
    for socket in [daemon.socket(), &other] {
        let message = refused(&mut larderd(&["--socket", text(socket), "--data", text(&data)]));
        check_names(&message, &[text(&data)]);
    }
    assert!(!other.exists(), "a refused daemon leaves no socket behind");
    daemon.client().check("GET k", "=v");
    daemon.check_healthy();
}

#[test]
fn a_live_daemons_socket_is_not_taken_over() {
    let daemon = Daemon::start(&[]);
    let data = daemon.dir().join("other");
    let message = refused(&mut larderd(&["--socket", text(daemon.socket()), "--data", text(&data)]));
    check_names(&message, &[text(daemon.socket())]);
    daemon.check_healthy();
}

#[test]
fn a_dead_daemons_socket_is_replaced() {
    let mut daemon = Daemon::start(&[]);
    daemon.client().check("SET k v", "+OK");
    daemon.kill9();
    assert!(daemon.socket().exists(), "SIGKILL leaves the socket behind; otherwise this test shows nothing");
    daemon.restart();
    daemon.client().check("GET k", "=v");

    // A socket that some other program left behind is as dead.
    daemon.terminate();
    if let Err(error) = fs::remove_file(daemon.socket()) {
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }
    drop(UnixListener::bind(daemon.socket()).unwrap());
    daemon.restart();
    daemon.check_healthy();
}

#[test]
fn a_file_in_the_sockets_place_is_not_touched() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("larder.sock");
    fs::write(&socket, "somebody's file").unwrap();
    let message =
        refused(&mut larderd(&["--socket", text(&socket), "--data", text(&dir.path().join("data"))]));
    check_names(&message, &[text(&socket)]);
    assert_eq!(fs::read_to_string(&socket).unwrap(), "somebody's file");
}

/// A directory with a configuration file of this content.
fn configuration(content: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("larder.toml");
    fs::write(&file, content).unwrap();
    (dir, file)
}

#[test]
fn bad_configuration_is_refused_with_file_and_key() {
    for (content, words) in [
        ("memory_capp = \"1MiB\"\n", &["memory_capp", "memory_cap"][..]),
        ("memory_cap = \"lots\"\n", &["memory_cap", "lots"]),
        ("memory_cap = \"-1MiB\"\n", &["memory_cap"]),
        ("memory_cap = [1]\n", &["memory_cap"]),
        ("cleanup_interval = \"soon\"\n", &["cleanup_interval", "soon"]),
        ("max_connections = \"many\"\n", &["max_connections"]),
        ("this is no TOML\n", &[]),
    ] {
        let (dir, file) = configuration(content);
        let socket = dir.path().join("larder.sock");
        let places = ["--socket", text(&socket), "--data", text(&dir.path().join("data"))].map(str::to_owned);
        let message = refused(larderd(&places).args(["--config", text(&file)]));
        check_names(&message, words);
        check_names(&message, &[text(&file)]);
        let message = refused(larderd(&places).env("LARDER_CONFIG", &file));
        check_names(&message, words);
        assert!(
            !socket.exists(),
            "{content:?}: nothing is made before the configuration is known to be good"
        );
    }
}

#[test]
fn a_missing_configuration_file_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (socket, file) = (dir.path().join("larder.sock"), dir.path().join("nowhere.toml"));
    let places = ["--socket", text(&socket), "--data", text(&dir.path().join("data"))].map(str::to_owned);
    check_names(&refused(larderd(&places).args(["--config", text(&file)])), &[text(&file)]);
    check_names(&refused(larderd(&places).env("LARDER_CONFIG", &file)), &[text(&file)]);
}

#[test]
fn bad_options_and_variables_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let (socket, data) = (dir.path().join("larder.sock"), dir.path().join("data"));
    let places = ["--socket", text(&socket), "--data", text(&data)].map(str::to_owned);
    check_names(&refused(larderd(&places).args(["--memory-cap", "lots"])), &["memory-cap", "lots"]);
    check_names(
        &refused(larderd(&places).args(["--memory-capp", "1MiB"])),
        &["--memory-capp", "--memory-cap"],
    );
    check_names(&refused(larderd(&places).args(["surplus"])), &["surplus"]);
    check_names(&refused(larderd(&places).env("LARDER_MEMORY_CAP", "lots")), &["LARDER_MEMORY_CAP", "lots"]);
    check_names(&refused(&mut larderd(&["--socket"])), &["--socket"]);
    // A path that no socket can have.
    let long = dir.path().join("x".repeat(200));
    check_names(&refused(&mut larderd(&["--socket", text(&long), "--data", text(&data)])), &[text(&long)]);
}

#[test]
fn options_go_before_environment_before_file() {
    let (dir, file) = configuration("memory_cap = \"1MiB\"\ndefault_ttl = \"500s\"\nmax_value = \"1KiB\"\n");
    let socket = dir.path().join("larder.sock");
    let arguments = |more: &[&str]| {
        let mut all = vec!["--socket", text(&socket)].into_iter().map(str::to_owned).collect::<Vec<_>>();
        all.extend(["--data".to_owned(), text(&dir.path().join("data")).to_owned()]);
        all.extend(["--config".to_owned(), text(&file).to_owned()]);
        all.extend(more.iter().map(ToString::to_string));
        all
    };
    for (options, environment, expected) in [
        (&[][..], None, 1 << 20),
        (&[][..], Some("2MiB"), 2 << 20),
        (&["--memory-cap", "4MiB"][..], Some("2MiB"), 4 << 20),
        (&["--memory-cap", "4MiB"][..], None, 4 << 20),
    ] {
        let environment = environment.map(|value| ("LARDER_MEMORY_CAP".to_owned(), PathBuf::from(value)));
        let place = tempfile::tempdir().unwrap();
        let mut daemon =
            Daemon::start_with(place, socket.clone(), arguments(options), environment.into_iter().collect());
        assert_eq!(daemon.stats().get("memory_cap_bytes"), expected, "{options:?}");
        // What only the file says holds too.
        let mut client = daemon.client();
        client.check("SET k v", "+OK");
        let ttl = client.int("TTL k");
        assert!((400..=500).contains(&ttl), "{ttl}");
        let reply = client.args(&["SET", "k", &"v".repeat(1_025)]);
        assert!(matches!(reply, Reply::Error(_)), "{reply}");
        assert_eq!(daemon.terminate().code(), Some(0));
    }
}

/// The allocator can only be told by the environment, so the program executes itself: once, before it reads anything.
#[test]
fn memory_is_given_back_at_once_and_settings_may_come_through_a_pipe() {
    let daemon = Daemon::start(&[]);
    let environment = fs::read(format!("/proc/{}/environ", daemon.pid())).unwrap();
    let delays = environment.split(|&byte| byte == 0).filter(|it| it.starts_with(b"MIMALLOC_PURGE_DELAY="));
    assert_eq!(delays.collect::<Vec<_>>(), [b"MIMALLOC_PURGE_DELAY=0"]);
    // Large values are copied by what is fast on this processor.
    let amd = fs::read_to_string("/proc/cpuinfo").unwrap().contains("AuthenticAMD");
    let vectors = environment
        .split(|&byte| byte == 0)
        .any(|it| it.starts_with(b"GLIBC_TUNABLES=glibc.cpu.x86_rep_movsb"));
    assert_eq!(vectors, amd);

    let (settings, mut writer) = std::io::pipe().unwrap();
    writer.write_all(b"readers = 7\n").unwrap();
    drop(writer);
    let printed = run(larderd(&["--config", "/dev/stdin", "--print-config"]).stdin(settings));
    assert!(printed.stdout.contains("readers = 7 "), "{}{}", printed.stdout, printed.stderr);
}

#[test]
fn places_come_from_the_environment_too() {
    let place = tempfile::tempdir().unwrap();
    let (socket, data) = (place.path().join("by-environment.sock"), place.path().join("data-by-environment"));
    let (_dir, file) = configuration("socket = \"/nonexistent/by-file.sock\"\n");
    let environment = vec![
        ("LARDER_SOCKET".to_owned(), socket.clone()),
        ("LARDER_DATA".to_owned(), data.clone()),
        ("LARDER_CONFIG".to_owned(), file),
    ];
    let daemon = Daemon::start_with(place, socket, Vec::new(), environment);
    daemon.check_healthy();
    assert_eq!(mode(&data), 0o700, "{}", data.display());
}

#[test]
fn data_that_cannot_be_written_is_a_clear_error() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a-file");
    fs::write(&file, "no directory").unwrap();
    let socket = dir.path().join("larder.sock");
    let message = refused(&mut larderd(&["--socket", text(&socket), "--data", text(&file)]));
    check_names(&message, &[text(&file)]);
}

#[test]
fn sigterm_and_sigint_stop_while_clients_are_connected() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut daemon = Daemon::start(&[]);
        let mut idle = daemon.client();
        idle.check("SET k v", "+OK");
        let mut half = daemon.client();
        half.send(b"*2\r\n$3\r\nGE").unwrap();
        let silent = daemon.client();
        let status = daemon.stop_by(signal);
        assert_eq!(status.code(), Some(0), "{signal:?}: {}", daemon.output());
        idle.expect_closed();
        half.read_to_end();
        drop(silent);
        daemon.restart();
        daemon.client().check("GET k", "=v");
    }
}

#[test]
fn a_reload_takes_over_what_may_change_and_leaves_bad_settings_alone() {
    let (dir, file) = configuration("default_ttl = \"500s\"\nreaders = 2\n");
    let socket = dir.path().join("s.sock");
    let data = dir.path().join("data");
    let arguments = ["--socket", text(&socket), "--data", text(&data), "--config", text(&file)];
    let arguments = arguments.map(str::to_owned).to_vec();
    let daemon = Daemon::start_with(dir, socket, arguments, Vec::new());
    let mut client = daemon.client();
    client.check("SET k v", "+OK");
    assert!((499..=500).contains(&client.int("TTL k")));

    fs::write(&file, "default_ttl = \"70s\"\nreaders = 3\n").unwrap();
    daemon.signal(Signal::HUP);
    wait_until("the log to say what was reloaded", || {
        let output = daemon.output();
        let says = output.contains("changed: default_ttl; waiting for a restart: readers");
        if says { Ok(()) } else { Err(output) }
    });
    client.check("SET k v", "+OK");
    assert!((69..=70).contains(&client.int("TTL k")));

    fs::write(&file, "default_ttl = \"soon\"\n").unwrap();
    daemon.signal(Signal::HUP);
    wait_until("the log to name the bad setting", || {
        let output = daemon.output();
        if output.contains("stay as they are") && output.contains("soon") { Ok(()) } else { Err(output) }
    });
    client.check("SET k v", "+OK");
    assert!((69..=70).contains(&client.int("TTL k")));
}

#[test]
fn the_log_can_be_json() {
    let daemon = Daemon::start(&["--log-format", "json"]);
    daemon.signal(Signal::USR1);
    let line = wait_until("the statistics", || {
        let output = daemon.output();
        output.lines().find(|line| line.contains("statistics")).map(str::to_owned).ok_or(output.clone())
    });
    let object: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(object["level"], "info");
    let message = object["message"].as_str().unwrap();
    let stats: serde_json::Value =
        serde_json::from_str(message.strip_prefix("statistics ").unwrap()).unwrap();
    assert_eq!(stats["pid"], daemon.pid());
    // It can be changed as any setting can.
    daemon.client().check("CONFIG SET log_format text", "+OK");
    daemon.signal(Signal::USR1);
    wait_until("a line of text", || {
        let output = daemon.output();
        if output.contains("  INFO statistics {") { Ok(()) } else { Err(output) }
    });
}

#[test]
fn the_doctor_says_what_is_wrong_and_what_to_do() {
    let mut daemon = Daemon::start(&[]);
    fs::set_permissions(daemon.dir(), fs::Permissions::from_mode(0o700)).unwrap();
    let places = [daemon.socket().to_owned(), daemon.dir().join("data")];
    let doctor = |options: &[&str]| {
        let mut words = vec!["doctor", "--socket", text(&places[0]), "--data", text(&places[1])];
        words.extend(options);
        run(&mut larderd(&words))
    };
    let well = doctor(&["--disk-cap", "256MiB"]);
    assert_eq!(well.status.code(), Some(0), "{well:?}");
    check_names(
        &well.stdout,
        &["answers PING in", &format!("process {} has", daemon.pid()), "nothing is wrong"],
    );

    // Another daemon's socket is not this one's.
    let other = Daemon::start(&[]);
    let wrong = run(&mut larderd(&["doctor", "--socket", text(other.socket()), "--data", text(&places[1])]));
    assert_eq!(wrong.status.code(), Some(1), "{wrong:?}");
    check_names(&wrong.stdout, &["WRONG  socket", "has its data in", "1 thing is wrong"]);

    daemon.kill9();
    let gone = doctor(&[]);
    assert_eq!(gone.status.code(), Some(1), "{gone:?}");
    check_names(&gone.stdout, &["nobody answers on", "-> start it", "daemon       none has"]);
    fs::write(
        places[1].join("larder.db"),
        "no database, but longer than the hundred bytes of a header".repeat(3),
    )
    .unwrap();
    check_names(&doctor(&[]).stdout, &["WRONG  SQLite", "it is no SQLite database"]);
}
