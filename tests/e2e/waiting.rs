//! What takes others their time, a directory service or a disk, and what does not wait for it: everything else.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::{CWD, FileType, Mode, OFlags};
use rustix::process::{Signal, geteuid};
use tempfile::TempDir;

use crate::util::{Client, Daemon, Hold, Reply, binary, missing, tool, wait_until};

/// Has the database change, so that whoever reads it has to look at the file.
fn change(client: &mut Client) {
    client.check("SET k v", "+OK");
    client.cmd("CLEANUP");
}

#[test]
fn changes_of_keys_are_told_while_a_sample_waits_for_the_disk() {
    let Some(hold) = Hold::compile() else { return };
    let daemon = hold.daemon(&["--stats-interval", "20ms", "--notify-keyspace-events", "E$"]);
    let (mut client, mut listener) = (daemon.client(), daemon.client());
    listener.check("SUBSCRIBE __keyevent@0__:set", "[=subscribe =__keyevent@0__:set :1]");
    hold.begin();
    wait_until("a sample to wait", || {
        change(&mut client);
        hold.waits()
    });
    client.check("SET last v", "+OK");
    let told = |key: &str| Reply::parse(&format!("[=message =__keyevent@0__:set ={key}]")).unwrap();
    loop {
        let message = listener.read().expect("it is told");
        if message == told("last") {
            break;
        }
        assert_eq!(message, told("k"));
    }
    hold.end();
}

#[test]
fn connections_are_accepted_while_a_report_waits_for_the_disk() {
    let Some(hold) = Hold::compile() else { return };
    let daemon = hold.daemon(&["--stats-interval", "1m"]);
    let mut client = daemon.client();
    hold.begin();
    change(&mut client);
    daemon.signal(Signal::USR1);
    wait_until("the report to wait", || hold.waits());
    daemon.client().check("PING", "+PONG");
    assert!(!daemon.output().contains("statistics {"), "{}", daemon.output());
    hold.end();
    wait_until("the report", || {
        let output = daemon.output();
        if output.contains("statistics {") { Ok(()) } else { Err(output) }
    });
}

/// A system that says who its users are when the test wants it to: before it looks for one it reads where to look, and that is a
/// pipe, for one daemon alone.
struct SlowUsers {
    dir: TempDir,
}

impl SlowUsers {
    /// `None`, with a note, where that takes rights or a program that are missing.
    fn new() -> Option<Self> {
        if !geteuid().is_root() {
            missing("root", "run the tests as root to have users looked up slowly");
            return None;
        }
        tool("unshare")?;
        let mounts = Command::new("unshare").args(["-m", "true"]).status();
        if !mounts.is_ok_and(|status| status.success()) {
            missing("mounts of one's own", "run the tests where root may have them");
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("nsswitch.conf");
        rustix::fs::mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let script = format!(
            "#!/bin/sh\nexec unshare -m sh -c 'mount --bind {} /etc/nsswitch.conf && exec {} \"$@\"' sh \"$@\"\n",
            pipe.display(),
            binary().display()
        );
        fs::write(dir.path().join("larderd"), script).unwrap();
        fs::set_permissions(dir.path().join("larderd"), fs::Permissions::from_mode(0o755)).unwrap();
        Some(Self { dir })
    }

    /// What starts the daemon.
    fn binary(&self) -> PathBuf {
        self.dir.path().join("larderd")
    }

    /// Waits until somebody looks for a user, and then waits for what is written.
    #[track_caller]
    fn asked(&self) -> File {
        wait_until("the users to be asked for", || {
            let opened = OpenOptions::new()
                .write(true)
                .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
                .open(self.dir.path().join("nsswitch.conf"));
            match opened {
                Ok(pipe) => Ok(pipe),
                Err(error) if error.raw_os_error() == Some(rustix::io::Errno::NXIO.raw_os_error()) => {
                    Err("nobody asks".into())
                }
                Err(error) => panic!("{error}"),
            }
        })
    }
}

/// In the usual files.
fn answer(mut asked: File) {
    asked.write_all(b"passwd: files\ngroup: files\n").unwrap();
}

fn setting(client: &mut Client, name: &str, value: &str) {
    client.check(&format!("CONFIG GET {name}"), &format!("[={name} ={value}]"));
}

#[test]
fn nobody_waits_while_users_are_looked_up_for_config_set() {
    let Some(users) = SlowUsers::new() else { return };
    let daemon = Daemon::start_other(users.binary(), Vec::new(), &[]);
    let (mut admin, mut other) = (daemon.client(), daemon.client());
    admin.send(b"CONFIG SET read_only_users root default_ttl 90s\r\n").unwrap();
    let asked = users.asked();
    // All of it or nothing, and what others set meanwhile stays.
    setting(&mut other, "default_ttl", "0");
    other.check("CONFIG SET slow_command 33ms", "+OK");
    daemon.client().check("SET k v", "+OK");
    // It would hold up everybody in a transaction.
    other.check("MULTI", "+OK");
    let refused = other.cmd("CONFIG SET read_only_users root").to_string();
    assert!(refused.contains("Command not allowed inside a transaction"), "{refused}");
    other.check("DISCARD", "+OK");
    answer(asked);
    assert_eq!(admin.read().unwrap().to_string(), "+OK");
    for (name, value) in [("default_ttl", "90s"), ("slow_command", "33ms"), ("read_only_users", "root")] {
        setting(&mut other, name, value);
    }
    // A stop does not wait for an answer that does not come.
    admin.send(b"CONFIG SET read_only_users root\r\n").unwrap();
    let _asked = users.asked();
    let mut daemon = daemon;
    assert!(daemon.terminate().success());
}

#[test]
fn nobody_waits_while_users_are_looked_up_for_a_reload() {
    let Some(users) = SlowUsers::new() else { return };
    let file = users.dir.path().join("larder.toml");
    fs::write(&file, "").unwrap();
    let daemon = Daemon::start_other(users.binary(), Vec::new(), &["--config", path_text(&file)]);
    let mut client = daemon.client();
    fs::write(&file, "read_only_users = \"root\"\ndefault_ttl = \"1h\"\nslow_command = \"77ms\"\n").unwrap();
    daemon.signal(Signal::HUP);
    let asked = users.asked();
    daemon.client().check("SET k v", "+OK");
    // What is set during the reading comes after it.
    client.check("CONFIG SET slow_command 33ms", "+OK");
    // A second reload is one of its own: the first has read the file already.
    fs::write(&file, "read_only_users = \"root\"\ndefault_ttl = \"2h\"\nslow_command = \"77ms\"\n").unwrap();
    daemon.signal(Signal::HUP);
    client.check("PING", "+PONG");
    answer(asked);
    wait_until("the first reload", || is_set(&mut client, "default_ttl", "1h"));
    setting(&mut client, "slow_command", "33ms");
    setting(&mut client, "read_only_users", "root");
    answer(users.asked());
    wait_until("the second reload", || is_set(&mut client, "default_ttl", "2h"));
    setting(&mut client, "slow_command", "77ms");
}

fn is_set(client: &mut Client, name: &str, value: &str) -> Result<(), String> {
    let reply = client.cmd(&format!("CONFIG GET {name}"));
    let wanted = Reply::parse(&format!("[={name} ={value}]")).unwrap();
    if reply == wanted { Ok(()) } else { Err(reply.to_string()) }
}

fn path_text(path: &Path) -> &str {
    path.to_str().expect("temporary directories have plain names")
}
