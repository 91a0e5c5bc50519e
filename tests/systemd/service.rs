//! The system service, installed by the script and run by a real systemd.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use super::machine::{Machine, SOCKET};
use crate::util::{Client, HANG, repository, tool, wait_until};

/// What an administrator is promised about stopping.
const STOP: Duration = Duration::from_secs(5);

/// A watchdog that is not waited for long.
const SHORT_WATCHDOG: &str = "[Service]\nWatchdogSec=2s\n";

#[test]
fn installed_started_by_a_connection_reloaded_and_stopped() {
    if tool("nc").is_none() {
        return;
    }
    let Some(machine) = Machine::boot() else { return };
    let said = machine.install();
    assert!(said.contains("listens on /run/larder/larder.sock"), "{said}");
    assert_eq!(machine.show("larderd.socket", "ActiveState"), "active");
    assert_eq!(machine.show("larderd.service", "ActiveState"), "inactive", "nobody has connected yet");
    assert_eq!(
        machine.show("larderd.service", "FragmentPath"),
        "/usr/local/lib/systemd/system/larderd.service"
    );

    // The first connection starts it, and is answered.
    let mut client = machine.client();
    client.check("SET greeting hello", "+OK");
    client.check("GET greeting", "=hello");
    client.check("GET nothing", "nil");
    assert_eq!(machine.show("larderd.service", "ActiveState"), "active", "{}", machine.log());
    assert_eq!(machine.show("larderd.service", "Type"), "notify");
    machine.wait_for("larderd.service", "StatusText", |text| {
        text.starts_with("Serving 1 entry, hit rate 50.0 %, last clean-up ")
    });
    let journal = machine.succeeds(&["journalctl", "--unit", "larderd.service", "-o", "json", "--no-pager"]);
    let start =
        journal.lines().find(|line| line.contains(" serving ")).unwrap_or_else(|| panic!("{journal}"));
    assert!(start.contains("\"PRIORITY\":\"6\""), "the journal has priorities: {start}");
    assert!(!journal.contains("try:"), "what is for people at a terminal is not for the journal: {journal}");

    // What nobody else may see, nobody else sees.
    let data = "/var/lib/larder";
    for (what, expected) in
        [(data, "700 larder larder"), (SOCKET, "660 root larder"), ("/run/larder", "755 root root")]
    {
        assert_eq!(machine.succeeds(&["stat", "--format", "%a %U %G", what]).trim(), expected, "{what}");
    }
    for filter in [&["-perm", "/077"][..], &["!", "-user", "larder"], &["!", "-group", "larder"]] {
        let mut words = vec!["find", data];
        words.extend(filter);
        assert_eq!(machine.succeeds(&words), "", "{filter:?}");
    }
    assert!(machine.succeeds(&["find", data, "-name", "larder.db"]).contains("larder.db"));
    // Neither root's files nor the network are there for it.
    let status = machine.read(&format!("/proc/{}/status", machine.main_pid()));
    for line in ["CapEff:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"] {
        assert!(status.contains(line), "{line}\n{status}");
    }
    // Members of the group may connect, and nobody else.
    let ping = ["nc", "-NU", SOCKET];
    let as_user = |groups: &str| {
        let mut words = vec!["setpriv", "--reuid", "65534", "--regid", "65534", groups];
        words.extend(["sh", "-c", "printf 'PING\\r\\n' | timeout 20 \"$@\"", "sh"]);
        words.extend(ping);
        machine.run(&words)
    };
    let group = machine.succeeds(&["getent", "group", "larder"]).split(':').nth(2).unwrap().to_owned();
    let member = as_user(&format!("--groups={group}"));
    assert_eq!(member.stdout.trim(), "+PONG", "{}", member.stderr);
    let stranger = as_user("--clear-groups");
    assert!(!stranger.status.success() && stranger.stdout.is_empty(), "{}", stranger.stdout);

    // A reload takes over what may change; where the settings are wrong, it fails and says why.
    machine.write("/etc/larder/larder.toml", "default_ttl = \"70s\"\n");
    machine.succeeds(&["systemctl", "reload", "larderd"]);
    wait_until("the setting", || {
        client.check("SET ttl v", "+OK");
        let ttl = client.int("TTL ttl");
        if (60..=70).contains(&ttl) { Ok(()) } else { Err(format!("{ttl}")) }
    });
    machine.wait_for("larderd.service", "ActiveState", |state| state == "active");
    machine.write("/etc/larder/larder.toml", "default_tll = \"70s\"\n");
    assert!(!machine.run(&["systemctl", "reload", "larderd"]).status.success());
    let why = "did you mean default_ttl? (/etc/larder/larder.toml, line 1)";
    assert!(machine.log().contains(why), "{}", machine.log());
    client.check("GET greeting", "=hello");
    machine.write("/etc/larder/larder.toml", "");
    machine.succeeds(&["systemctl", "kill", "--signal=SIGUSR1", "--kill-who=main", "larderd"]);
    wait_until("the statistics", || {
        let log = machine.log();
        if log.contains("statistics {\"schema\"") { Ok(()) } else { Err(log) }
    });

    // It stops in time, and the next connection starts it with what it had.
    let began = Instant::now();
    machine.succeeds(&["systemctl", "stop", "larderd.service"]);
    assert!(began.elapsed() < STOP, "{:?}\n{}", began.elapsed(), machine.log());
    assert_eq!(machine.show("larderd.service", "Result"), "success");
    client.expect_closed();
    machine.client().check("GET greeting", "=hello");

    // Installing again restarts it and changes nothing; uninstalling leaves what is the administrator's.
    let before = machine.main_pid();
    machine.script(&[]);
    machine.client().check("GET greeting", "=hello");
    assert_ne!(machine.main_pid(), before);
    machine.script(&["--uninstall"]);
    assert!(!machine.path("/usr/local/bin/larderd").exists() && !machine.path(SOCKET).exists());
    let left = machine.succeeds(&["find", "/usr/local", "/etc/systemd", "-iname", "*larder*"]);
    assert_eq!(left, "", "nothing of it is left");
    assert!(machine.path("/var/lib/larder/larder.db").exists() && machine.path("/etc/larder").exists());
    machine.script(&["--uninstall"]);
    machine.script(&[]);
    machine.client().check("GET greeting", "=hello");
}

#[test]
fn a_daemon_that_hangs_is_killed_and_comes_back() {
    let Some(machine) = Machine::boot() else { return };
    machine.write("/etc/systemd/system/larderd.service.d/watchdog.conf", SHORT_WATCHDOG);
    machine.install();
    let mut client = machine.client();
    client.check("SET k v", "+OK");
    let pid = machine.main_pid();
    machine.succeeds(&["kill", "-STOP", &pid]);
    machine.wait_for("larderd.service", "NRestarts", |restarts| restarts == "1");
    machine.wait_for("larderd.service", "ActiveState", |state| state == "active");
    assert_ne!(machine.main_pid(), pid);
    assert!(machine.log().contains("Watchdog timeout"), "{}", machine.log());
    client.expect_closed();
    machine.client().check("GET k", "=v");

    // As long as it works, it is left alone: for three times as long as the watchdog waits.
    let pid = machine.main_pid();
    let until = Instant::now() + Duration::from_secs(6);
    while Instant::now() < until {
        machine.client().check("GET k", "=v");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!((machine.main_pid(), machine.show("larderd.service", "NRestarts")), (pid, "1".into()));
}

#[test]
fn settings_that_are_wrong_are_not_tried_for_ever() {
    let Some(machine) = Machine::boot() else { return };
    machine.write("/etc/larder/larder.toml", "memory_cap = \"lots\"\n");
    machine.install();
    assert!(!machine.run(&["systemctl", "start", "larderd.service"]).status.success());
    machine.wait_for("larderd.service", "ActiveState", |state| state == "failed");
    assert_eq!(machine.show("larderd.service", "ExecMainStatus"), "78");
    assert_eq!(machine.show("larderd.service", "NRestarts"), "0");
    let errors =
        machine.succeeds(&["journalctl", "--unit", "larderd.service", "--priority", "err", "--no-pager"]);
    assert!(errors.contains("memory_cap = \"lots\": not a size"), "{errors}");
    let doctor = machine.run(&["/usr/local/bin/larderd", "doctor"]);
    assert_eq!(doctor.status.code(), Some(78), "{doctor:?}");

    machine.write("/etc/larder/larder.toml", "memory_cap = \"1MiB\"\n");
    machine.succeeds(&["systemctl", "restart", "larderd.socket", "larderd.service"]);
    machine.client().check("PING", "+PONG");
}

#[test]
fn instances_have_places_of_their_own() {
    let Some(machine) = Machine::boot() else { return };
    machine.install();
    for name in ["blue", "green"] {
        machine.write(&format!("/etc/larder/{name}.toml"), "");
        machine.succeeds(&["systemctl", "enable", "--now", "--quiet", &format!("larderd@{name}.socket")]);
    }
    let client = |name: &str| {
        let path = machine.path(&format!("/run/larder/{name}.sock"));
        Client::connect(&path).unwrap()
    };
    client("blue").check("SET k blue", "+OK");
    client("green").check("SET k green", "+OK");
    machine.client().check("GET k", "nil");
    client("blue").check("GET k", "=blue");
    assert_eq!(client("blue").stats().value("socket"), "/run/larder/blue.sock");
    let mode = machine.succeeds(&["stat", "--format", "%a %U", "/var/lib/larder-blue"]);
    assert_eq!(mode.trim(), "700 larder");
    machine.succeeds(&["systemctl", "reload", "larderd@blue"]);
    client("blue").check("GET k", "=blue");
    let found = machine.succeeds(&[
        "/usr/local/bin/larderd",
        "doctor",
        "--config=/etc/larder/blue.toml",
        "--data=/var/lib/larder-blue",
        "--socket=/run/larder/blue.sock",
    ]);
    assert!(
        found.contains("larderd@blue.service is active") && found.ends_with("nothing is wrong\n"),
        "{found}"
    );
    machine.script(&["--uninstall"]);
    assert!(!machine.path("/run/larder/blue.sock").exists(), "instances are stopped as well");
}

#[test]
fn the_doctor_knows_what_is_the_matter() {
    let Some(machine) = Machine::boot() else { return };
    machine.install();
    let doctor = || {
        let outcome = machine.run(&["/usr/local/bin/larderd", "doctor"]);
        (outcome.status.code(), outcome.stdout)
    };
    let check = |code: i32, words: &[&str]| {
        let (status, found) = doctor();
        assert_eq!(status, Some(code), "{found}");
        for word in words {
            assert!(found.contains(word), "{word}\n{found}");
        }
    };
    // It connects, and so it starts the daemon.
    check(0, &["answers PING in", "larderd.socket is active", "/var/lib/larder, mode 0700"]);
    check(
        0,
        &["has /var/lib/larder", "enough for 10000 connections", "larderd.service is active", "Serving 0"],
    );

    let pid = machine.main_pid();
    machine.succeeds(&["kill", "-STOP", &pid]);
    check(1, &["WRONG  socket", "a daemon that hangs is to be restarted"]);
    machine.succeeds(&["kill", "-CONT", &pid]);

    machine.succeeds(&["systemctl", "stop", "larderd.socket", "larderd.service"]);
    check(1, &["nobody answers on /run/larder/larder.sock", "systemctl enable --now larderd.socket"]);
    machine.succeeds(&["systemctl", "start", "larderd.socket"]);
    machine.client().check("PING", "+PONG");
    machine.succeeds(&["chmod", "0755", "/var/lib/larder"]);
    check(0, &["odd    data", "-> chmod 0700 /var/lib/larder"]);
    machine.succeeds(&["chmod", "0777", "/var/lib/larder"]);
    check(1, &["WRONG  data", "can be changed by everyone"]);
    machine.succeeds(&["chmod", "0700", "/var/lib/larder"]);
    machine.succeeds(&["chown", "root", "/var/lib/larder/larder.db"]);
    check(1, &["WRONG  files", "larder.db belongs to root"]);
    machine.succeeds(&["chown", "larder", "/var/lib/larder/larder.db"]);
    let (_, found) = doctor();
    assert!(found.ends_with("nothing is wrong\n"), "{found}");
}

/// TCP and its password come from systemd, and the service has no network of its own all the same.
#[test]
fn tcp_is_for_those_who_give_the_password() {
    if tool("redis-cli").is_none() {
        return;
    }
    let Some(machine) = Machine::boot() else { return };
    // The machine shares the network with this one, where the usual port may be taken.
    let example = fs::read_to_string(repository("systemd/examples/tcp.conf")).unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let drop_in = example.replace("127.0.0.1:6379", &format!("127.0.0.1:{port}"));
    assert_ne!(example, drop_in);
    machine.write("/etc/systemd/system/larderd.socket.d/tcp.conf", &drop_in);
    machine.write("/etc/larder/larder.toml", "password_file = \"/etc/larder/password\"\n");
    // Not there yet: that is wrong, and not tried for ever.
    machine.install();
    assert!(!machine.run(&["systemctl", "start", "larderd.service"]).status.success());
    assert_eq!(machine.show("larderd.service", "ExecMainStatus"), "78", "{}", machine.log());

    // As systemd/README.md has it, on a daemon that serves without.
    machine.write("/etc/larder/larder.toml", "");
    let without = "rm -r /etc/systemd/system/larderd.socket.d; systemctl daemon-reload; \
                   systemctl reset-failed larderd.service larderd.socket; systemctl restart larderd.socket";
    machine.succeeds(&["sh", "-c", without]);
    machine.client().check("CONFIG GET tcp", "[=tcp =\"\"]");
    let page = fs::read_to_string(repository("systemd/README.md")).unwrap();
    let (_, tcp) = page.split_once("## TCP").unwrap();
    let block = tcp.split("```sh\n").nth(1).unwrap().split("```").next().unwrap();
    let example_there = "/usr/local/share/doc/larder/examples/tcp.conf";
    machine.write(example_there, &drop_in);
    let said = machine.succeeds(&["bash", "-e", "-c", &block.replace("6379", &port.to_string())]);
    assert_eq!(said.trim(), "PONG");
    let address = format!("127.0.0.1:{port}");
    assert!(machine.client().cmd("CONFIG GET tcp").to_string().contains(&address));
    let mut tcp = BufReader::new(TcpStream::connect(address).unwrap());
    tcp.get_ref().set_read_timeout(Some(HANG)).unwrap();
    let mut ask = |request: &str| {
        tcp.get_mut().write_all(format!("{request}\n").as_bytes()).unwrap();
        let mut reply = String::new();
        tcp.read_line(&mut reply).unwrap();
        reply.trim_end().to_owned()
    };
    assert!(ask("GET k").starts_with("-NOAUTH "));
    assert!(ask("AUTH \"close sesame\"").starts_with("-WRONGPASS "));
    assert_eq!(ask("AUTH \"open sesame\""), "+OK");
    assert_eq!(ask("SET k v"), "+OK");
    machine.client().check("GET k", "=v");
    let pid = machine.main_pid();
    let own = machine.succeeds(&["readlink", &format!("/proc/{pid}/ns/net"), "/proc/1/ns/net"]);
    assert_ne!(own.lines().next(), own.lines().nth(1), "{own}");

    // Open to all machines, and without a password: that is refused, and not tried for ever.
    machine.succeeds(&["systemctl", "stop", "larderd.socket", "larderd.service"]);
    machine.write(
        "/etc/systemd/system/larderd.socket.d/tcp.conf",
        &format!("[Socket]\nListenStream=0.0.0.0:{port}\n"),
    );
    machine.write("/etc/larder/larder.toml", "");
    machine.succeeds(&["systemctl", "daemon-reload"]);
    assert!(!machine.run(&["systemctl", "start", "larderd.service"]).status.success());
    assert_eq!(machine.show("larderd.service", "ExecMainStatus"), "78", "{}", machine.log());
    assert!(machine.log().contains("is open to other machines"), "{}", machine.log());
}
