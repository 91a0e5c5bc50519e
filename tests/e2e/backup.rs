//! Backups: of a directory that no daemon is running on, and of a daemon that serves.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use crate::offline::{data_of, done, furnished, refused, text};
use crate::util::{Client, Daemon, Dice, Reply, encode, larderd, run, wait_until};

/// Puts a backup into an empty data directory and starts a daemon on it.
#[track_caller]
fn restored(backup: &Path) -> Daemon {
    let dir = tempfile::tempdir().unwrap();
    let (data, socket) = (dir.path().join("data"), dir.path().join("larder.sock"));
    fs::create_dir(&data).unwrap();
    fs::set_permissions(&data, fs::Permissions::from_mode(0o700)).unwrap();
    fs::copy(backup, data.join("larder.db")).unwrap();
    assert!(done("check", &data, &[]).stdout.ends_with("\nsound\n"));
    let arguments = ["--socket", text(&socket), "--data", text(&data)].map(str::to_owned).to_vec();
    Daemon::start_with(dir, socket, arguments, Vec::new())
}

/// Nothing but `names` is in `dir`.
#[track_caller]
fn check_holds_only(dir: &Path, names: &[&str]) {
    let mut found: Vec<_> =
        fs::read_dir(dir).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    found.sort();
    assert_eq!(found, names);
}

#[test]
fn a_backup_without_a_daemon_holds_what_was_only_in_a_journal() {
    let mut daemon = furnished();
    daemon.kill9();
    let backups = tempfile::tempdir().unwrap();
    let file = backups.path().join("copy.db");
    let outcome = done("backup", &data_of(&daemon), &[text(&file)]);
    assert!(outcome.stdout.contains(text(&file)) && outcome.stdout.contains("bytes"), "{outcome:?}");
    check_holds_only(backups.path(), &["copy.db"]);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let copy = restored(&file);
    let mut client = copy.client();
    client.check("MGET merged overwritten deleted empty", "[=1 =new nil =\"\"]");
    assert!(client.int("PTTL timed") > 0);
    assert_eq!(client.args(&["GET", "large"]).bytes().len(), 1 << 20);
    // What it is a copy of goes on.
    daemon.restart();
    daemon.client().check("GET overwritten", "=new");
}

const WRITERS: u64 = 4;
const KEYS: u64 = 500;

/// Writes `writer:key` in turn, each with a number that grows, and a pair that always agrees; tells how far it was answered.
fn write_on(writer: u64, client: &mut Client, answered: &AtomicU64, stop: &AtomicBool) {
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        let batch: Vec<_> = (1..=8)
            .map(|ahead| {
                let number = (number + ahead).to_string();
                let key = format!("{writer}:{}", (number.parse::<u64>().unwrap()) % KEYS);
                let pair = [format!("{writer}:left"), format!("{writer}:right")];
                [
                    "MSET".to_owned(),
                    key,
                    number.clone(),
                    pair[0].clone(),
                    number.clone(),
                    pair[1].clone(),
                    number,
                ]
                .to_vec()
            })
            .collect();
        for reply in client.pipeline(&batch).unwrap() {
            assert_eq!(reply, Reply::ok());
            number += 1;
            answered.store(number, Ordering::SeqCst);
        }
    }
}

/// With merges all the time, which are carried over into the copy, and with none but those that backups themselves need.
#[test]
fn a_backup_under_load_holds_everything_answered_before_it_began() {
    for merge_interval in ["20ms", "1h"] {
        back_up_under_load(&Daemon::start(&[
            "--merge-interval",
            merge_interval,
            "--compress-from",
            "0",
            "--cleanup-interval",
            "50ms",
        ]));
    }
}

#[track_caller]
fn back_up_under_load(daemon: &Daemon) {
    let mut client = daemon.client();
    let mut dice = Dice::new(11);
    for number in 0..300 {
        assert_eq!(
            client.args(&[b"SET".as_slice(), format!("ballast:{number}").as_bytes(), &dice.bytes(50_000)]),
            Reply::ok()
        );
    }
    client.check("CLEANUP", ":0");
    let backups = tempfile::tempdir().unwrap();
    let answered: Vec<_> = (0..WRITERS).map(|_| AtomicU64::new(0)).collect();
    let stop = AtomicBool::new(false);
    let mut promised = Vec::new();
    thread::scope(|scope| {
        for (writer, answered) in (0..).zip(&answered) {
            let mut client = daemon.client();
            let stop = &stop;
            scope.spawn(move || write_on(writer, &mut client, answered, stop));
        }
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for round in 0..4 {
                let enough = (round + 1) * KEYS;
                wait_until("enough answered writes", || {
                    let least = answered.iter().map(|count| count.load(Ordering::SeqCst)).min().unwrap();
                    if least >= enough { Ok(()) } else { Err(format!("{least} of {enough}")) }
                });
                // Answered before the request is sent, so before it begins.
                promised.push(answered.iter().map(|count| count.load(Ordering::SeqCst)).collect::<Vec<_>>());
                let file = backups.path().join(format!("{round}.db"));
                let bytes = client.int(&format!("BACKUP {}", text(&file)));
                assert_eq!(fs::metadata(&file).unwrap().len(), bytes as u64);
            }
        }));
        stop.store(true, Ordering::Relaxed);
        if let Err(panic) = ended {
            std::panic::resume_unwind(panic);
        }
    });
    check_holds_only(backups.path(), &["0.db", "1.db", "2.db", "3.db"]);
    let stats = daemon.stats();
    assert_eq!(stats.get("backups"), 4);
    assert!(stats.get("backup_last_time_ms") > 0 && stats.get("backup_last_bytes") > 15_000_000, "{stats:?}");
    for (round, promised) in promised.iter().enumerate() {
        let copy = restored(&backups.path().join(format!("{round}.db")));
        let mut client = copy.client();
        for (writer, &last) in promised.iter().enumerate() {
            for number in last.saturating_sub(KEYS) + 1..=last {
                let key = format!("{writer}:{}", number % KEYS);
                let found = client.args(&["GET", &key]);
                let found: u64 = match &found {
                    Reply::Nil => panic!("round {round}: {key} is missing; {number} was answered"),
                    reply => str::from_utf8(reply.bytes()).unwrap().parse().unwrap(),
                };
                assert!(found >= number, "round {round}: {key} is {found}, {number} was answered");
            }
            // Written together, so there together.
            let left = client.args(&["GET", &format!("{writer}:left")]);
            assert_eq!(left, client.args(&["GET", &format!("{writer}:right")]), "round {round}");
        }
    }
}

#[test]
fn the_subcommand_asks_a_running_daemon() {
    let daemon = furnished();
    let data = data_of(&daemon);
    let backups = tempfile::tempdir().unwrap();
    let socket = ["--socket", text(daemon.socket())];
    // A relative name is relative to whoever asks.
    let mut command = larderd(&["backup", "copy.db", "--data", text(&data)]);
    let outcome = run(command.args(socket).current_dir(backups.path()));
    assert!(outcome.status.success(), "{outcome:?}");
    check_holds_only(backups.path(), &["copy.db"]);
    restored(&backups.path().join("copy.db")).client().check("GET overwritten", "=new");
    // The socket alone is enough.
    let outcome = run(larderd(&["backup", "by-socket.db"]).args(socket).current_dir(backups.path()));
    assert!(outcome.status.success(), "{outcome:?}");

    let taken = refused("backup", &data, &[text(&backups.path().join("copy.db")), socket[0], socket[1]]);
    assert!(taken.contains("copy.db exists already"), "{taken}");
    let nowhere = daemon.dir().join("nowhere.sock");
    let said = refused("backup", &data, &[text(&backups.path().join("x")), "--socket", text(&nowhere)]);
    assert!(said.contains(text(&nowhere)) && said.contains("--socket"), "{said}");
    let other = Daemon::start(&[]);
    let said = refused("backup", &data, &[text(&backups.path().join("x")), "--socket", text(other.socket())]);
    assert!(said.contains("has its data in") && said.contains(text(&data)), "{said}");
    check_holds_only(backups.path(), &["by-socket.db", "copy.db"]);
}

#[test]
fn one_backup_at_a_time_and_a_stop_ends_it() {
    let mut daemon = Daemon::start(&["--compress-from", "0"]);
    let mut client = daemon.client();
    let mut dice = Dice::new(9);
    for number in 0..60 {
        assert_eq!(
            client.args(&[b"SET".as_slice(), format!("key:{number}").as_bytes(), &dice.bytes(1 << 20)]),
            Reply::ok()
        );
    }
    client.check("CLEANUP", ":0");
    let backups = tempfile::tempdir().unwrap();
    let ask = |client: &mut Client, name: &str| {
        client.send(&encode(&["BACKUP", text(&backups.path().join(name))])).unwrap();
    };
    let mut second = daemon.client();
    ask(&mut client, "first.db");
    wait_until("the first to have begun", || {
        if backups.path().join("first.db.part").exists() || backups.path().join("first.db").exists() {
            Ok(())
        } else {
            Err("no file".into())
        }
    });
    ask(&mut second, "second.db");
    match second.read().unwrap() {
        Reply::Error(text) => assert!(text.starts_with("ERR a backup is under way"), "{text}"),
        // The first was faster.
        reply => assert!(matches!(reply, Reply::Integer(_)), "{reply}"),
    }
    assert!(matches!(client.read(), Ok(Reply::Integer(60_000_000..))));
    assert!(!backups.path().join("first.db.part").exists());
    // Whatever the daemon was doing when it was told to stop, there is a whole backup or none.
    ask(&mut client, "stopped.db");
    wait_until("it to have begun", || {
        if backups.path().join("stopped.db.part").exists() || backups.path().join("stopped.db").exists() {
            Ok(())
        } else {
            Err("no file".into())
        }
    });
    assert_eq!(daemon.terminate().code(), Some(0));
    assert!(!backups.path().join("stopped.db.part").exists());
    let whole = backups.path().join("stopped.db");
    if whole.exists() {
        restored(&whole).client().check("DBSIZE", ":60");
    }
    daemon.restart();
    daemon.client().check("DBSIZE", ":60");
}
