//! Who may connect and do what. Everything that needs other users is tried with real ones, which takes root.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::geteuid;

use crate::util::{Client, Daemon, Reply, binary, missing, wait_for_clock, wait_until};

const ADMIN: u32 = 61_001;
const NORMAL: u32 = 61_002;
const READ_ONLY: u32 = 61_003;
const STRANGER: u32 = 61_004;
const GROUP: u32 = 62_000;
const NOBODY: u32 = 65_534;

/// Says so and is false where other users cannot be tried.
#[track_caller]
fn is_root() -> bool {
    let is_root = geteuid().is_root();
    if !is_root {
        missing("root", "run the tests as root to try other users");
    }
    is_root
}

/// A daemon whose socket every user can reach.
#[track_caller]
fn open_to_all(arguments: &[&str]) -> Daemon {
    Daemon::start_for_all(binary(), Vec::new(), arguments)
}

fn as_user(daemon: &Daemon, uid: u32) -> Client {
    Client::connect_as(daemon.socket(), uid, uid).unwrap()
}

fn refused(reply: &Reply) -> bool {
    reply.to_string().contains("NOPERM")
}

#[test]
fn each_role_may_run_its_classes_and_no_other() {
    if !is_root() {
        return;
    }
    let lists = [ADMIN, READ_ONLY, NORMAL].map(|uid| uid.to_string());
    let daemon = open_to_all(&[
        "--admin-users",
        &lists[0],
        "--read-only-users",
        &lists[1],
        "--allowed-users",
        &lists[2],
        "--admin-groups",
        &GROUP.to_string(),
    ]);
    // What each command needs: 0 to look, 1 to write, 2 to administer.
    let commands = [
        ("GET k", 0),
        ("STATS writes", 0),
        ("CONFIG GET port", 0),
        ("CLIENT LIST", 0),
        ("PING", 0),
        ("SET k v", 1),
        ("INCR n", 1),
        ("DEL k", 1),
        ("DELPAT none*", 1),
        ("CLEANUP", 1),
        ("PUBLISH c m", 1),
        ("CONFIG SET default_ttl 0", 2),
        ("CLIENT KILL ID 999999", 2),
        ("SLOWLOG RESET", 2),
        ("DEBUG OBJECT n", 2),
        ("BACKUP /nowhere/at/all", 2),
        ("FLUSHDB", 2),
        ("FLUSHALL", 2),
    ];
    let users =
        [("read-only", READ_ONLY, READ_ONLY, 0), ("normal", NORMAL, NORMAL, 1), ("admin", ADMIN, ADMIN, 2)];
    let by_group = ("admin", STRANGER, GROUP, 2);
    for (role, uid, gid, may) in users.into_iter().chain([by_group, ("admin", 0, 0, 2)]) {
        let mut client = Client::connect_as(daemon.socket(), uid, gid).unwrap();
        for (command, needs) in commands {
            let reply = client.cmd(command);
            assert_eq!(refused(&reply), needs > may, "{command} by {role} {uid}: {reply}");
            if needs > may {
                let name = command.to_ascii_lowercase();
                let words: Vec<_> = name.split(' ').collect();
                let said = reply.to_string();
                assert!(
                    said.contains("this user has no permissions to run the '") && said.contains(words[0]),
                    "{said}"
                );
            }
        }
        let info = client.cmd("CLIENT INFO").to_string();
        assert!(info.contains(&format!("uid={uid} ")) && info.contains(&format!("role={role}")), "{info}");
    }
    // Nothing of a transaction with a command in it that may not be run.
    let mut client = as_user(&daemon, READ_ONLY);
    client.check("MULTI", "+OK");
    assert!(refused(&client.cmd("SET k v")));
    assert!(client.cmd("EXEC").to_string().contains("EXECABORT"));
    daemon.check_healthy();
}

#[test]
fn who_is_in_no_list_is_told_so_and_disconnected() {
    if !is_root() {
        return;
    }
    let daemon = open_to_all(&["--allowed-groups", &GROUP.to_string()]);
    let mut stranger = as_user(&daemon, STRANGER);
    let reply = stranger.read().unwrap().to_string();
    assert!(
        reply.contains("NOPERM user 61004 may not connect here") && reply.contains("allowed_users"),
        "{reply}"
    );
    stranger.expect_closed();
    Client::connect_as(daemon.socket(), STRANGER, GROUP).unwrap().check("PING", "+PONG");
    assert!(daemon.stats().get("connections_rejected") >= 1);
}

#[test]
fn lists_that_change_count_for_those_who_are_connected_too() {
    if !is_root() {
        return;
    }
    let daemon = open_to_all(&[]);
    let (mut normal, mut stranger) = (as_user(&daemon, NORMAL), as_user(&daemon, STRANGER));
    let mut admin = daemon.client();
    for client in [&mut normal, &mut stranger] {
        client.check("SET k v", "+OK");
    }
    admin.check(&format!("CONFIG SET read_only_users {NORMAL} allowed_users {ADMIN}"), "+OK");
    assert!(refused(&normal.cmd("SET k w")));
    normal.check("GET k", "=v");
    stranger.expect_closed();
    admin.check(&format!("CONFIG SET admin_users {NORMAL}"), "+OK");
    normal.check("FLUSHALL", "+OK");
    let error = admin.cmd("CONFIG SET admin_users no-such-user").to_string();
    assert!(error.contains("no user is called 'no-such-user' on this machine"), "{error}");
    normal.check("FLUSHALL", "+OK");
}

#[test]
fn one_user_cannot_take_all_connections() {
    if !is_root() {
        return;
    }
    let daemon = open_to_all(&["--max-user-connections", "3"]);
    let mut clients: Vec<_> = (0..3).map(|_| as_user(&daemon, NORMAL)).collect();
    for client in &mut clients {
        client.check("PING", "+PONG");
    }
    let mut fourth = as_user(&daemon, NORMAL);
    let reply = fourth.read().unwrap().to_string();
    assert!(
        reply.contains("max number of clients reached for user 61002 (max_user_connections, 3)"),
        "{reply}"
    );
    fourth.expect_closed();
    // Others are not concerned, and administrators never.
    as_user(&daemon, STRANGER).check("PING", "+PONG");
    let mut ours: Vec<_> = (0..5).map(|_| daemon.client()).collect();
    for client in &mut ours {
        client.check("PING", "+PONG");
    }
    // One that goes makes room.
    drop(clients.pop());
    wait_until("room for another", || {
        let mut client = as_user(&daemon, NORMAL);
        // It may have been refused already, and what is sent then does not arrive.
        let reply = client.send(b"PING\n").and_then(|()| client.read()).map_err(|error| error.to_string())?;
        if reply == Reply::Simple(b"PONG".to_vec()) { Ok(()) } else { Err(reply.to_string()) }
    });
}

#[test]
fn the_socket_belongs_to_its_group() {
    if !is_root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o711)).unwrap();
    // Its directory is made by the daemon, and passable by the group.
    let socket = dir.path().join("run/larder.sock");
    let text = |path: PathBuf| path.to_str().unwrap().to_owned();
    let arguments = [
        "--socket".to_owned(),
        text(socket.clone()),
        "--data".to_owned(),
        text(dir.path().join("data")),
        "--socket-mode".to_owned(),
        "0660".to_owned(),
        "--socket-group".to_owned(),
        GROUP.to_string(),
    ];
    let daemon = Daemon::start_with(dir, socket.clone(), arguments.to_vec(), Vec::new());
    let metadata = fs::symlink_metadata(&socket).unwrap();
    assert_eq!((metadata.mode() & 0o777, metadata.gid()), (0o660, GROUP));
    Client::connect_as(&socket, NORMAL, GROUP).unwrap().check("PING", "+PONG");
    let error = Client::connect_as(&socket, NORMAL, NORMAL).err().expect("no way in");
    assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied);
    drop(daemon);
}

/// Every start of a daemon is a moment in which its socket could be wider than its mode.
#[test]
fn nobody_gets_in_while_the_daemon_starts() {
    if !is_root() {
        return;
    }
    let starts: u32 = std::env::var("LARDER_STARTS").map_or(25, |text| text.parse().unwrap());
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o711)).unwrap();
    let (socket, data) = (dir.path().join("larder.sock"), dir.path().join("data"));
    let done = AtomicBool::new(false);
    let (tries, got_in) = thread::scope(|scope| {
        let intruder = scope.spawn(|| {
            let (mut tries, mut got_in) = (0_u64, 0_u64);
            while !done.load(Ordering::Relaxed) {
                tries += 1;
                got_in += u64::from(Client::connect_as(&socket, NOBODY, NOBODY).is_ok());
            }
            (tries, got_in)
        });
        for _ in 0..starts {
            // The umask of whoever starts it would leave everything open.
            let script = format!(
                "umask 000; exec {} --socket {} --data {}",
                crate::util::binary().display(),
                socket.display(),
                data.display()
            );
            let mut command = Command::new("sh");
            let mut child = command
                .args(["-c", &script])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            wait_until("the daemon to serve", || {
                Client::connect(&socket)
                    .map(|mut client| client.check("PING", "+PONG"))
                    .map_err(|e| e.to_string())
            });
            child.kill().unwrap();
            child.wait().unwrap();
        }
        done.store(true, Ordering::Relaxed);
        intruder.join().unwrap()
    });
    assert!(tries > u64::from(starts), "{tries} tries");
    assert_eq!(got_in, 0, "of {tries} tries in {starts} starts");
    for entry in fs::read_dir(&data).unwrap().chain(fs::read_dir(dir.path()).unwrap()) {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().mode();
        assert_eq!(mode & 0o077, 0, "{} has mode {:o}", entry.path().display(), mode);
    }
}

#[test]
fn what_was_queued_with_another_role_is_not_run() {
    if !is_root() {
        return;
    }
    let daemon = open_to_all(&["--admin-users", &ADMIN.to_string()]);
    let mut admin = as_user(&daemon, ADMIN);
    admin.check("SET k v", "+OK");
    admin.check("MULTI", "+OK");
    admin.check("FLUSHALL", "+QUEUED");
    daemon.client().check("CONFIG SET admin_users ''", "+OK");
    let reply = admin.cmd("EXEC").to_string();
    assert!(reply.contains("EXECABORT") && reply.contains("flushall"), "{reply}");
    admin.check("GET k", "=v");
}

#[test]
fn idle_clients_go_where_that_is_wanted() {
    let daemon = Daemon::start(&["--idle-timeout", "300ms"]);
    let (mut idle, mut listening) = (daemon.client(), daemon.lines());
    idle.check("PING", "+PONG");
    listening.send(b"SUBSCRIBE c\n").unwrap();
    listening.read_line().unwrap();
    idle.expect_closed();
    // Who listens is not idle, however long.
    wait_for_clock(Instant::now() + Duration::from_millis(700));
    wait_until("the message to arrive", || {
        let heard = daemon.client().int("PUBLISH c here");
        if heard == 1 { Ok(()) } else { Err(format!("{heard} listen")) }
    });
}
