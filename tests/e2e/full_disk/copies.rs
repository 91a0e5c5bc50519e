//! No room for a copy of all entries: backups and compacting say so, leave nothing, and never take the daemon's own.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::{deleted, text};
use crate::util::{Daemon, Dice, Mounted, Reply, larderd, run, wait_until};

/// A daemon on a small file system, with 8 MiB of entries merged.
fn furnished(small: &Mounted) -> Daemon {
    let places = tempfile::tempdir().unwrap();
    let socket = places.path().join("s.sock");
    let data = small.path().join("data");
    let arguments = ["--socket", text(&socket), "--data", text(&data), "--compress-from", "0"];
    let daemon =
        Daemon::start_with(places, socket.clone(), arguments.map(str::to_owned).to_vec(), Vec::new());
    let mut client = daemon.client();
    let mut dice = Dice::new(6);
    for number in 0..160 {
        let reply =
            client.args(&[b"SET".as_slice(), format!("key:{number}").as_bytes(), &dice.bytes(50_000)]);
        assert_eq!(reply, Reply::ok());
        if number % 40 == 39 {
            client.check("CLEANUP", ":0");
        }
    }
    daemon
}

/// The error that BACKUP answers.
#[track_caller]
fn no_backup(daemon: &Daemon, target: &Path) -> String {
    match daemon.client().args(&["BACKUP", text(target)]) {
        Reply::Error(error) => error,
        reply => panic!("a backup without room: {reply}"),
    }
}

#[test]
fn a_backup_without_room_is_refused_and_harms_nothing() {
    let (Some(small), Some(other)) = (Mounted::in_memory("48m"), Mounted::in_memory("4m")) else { return };
    let daemon = furnished(&small);
    // Where the room is the daemon's own, it keeps what it needs for itself.
    let beside = small.path().join("beside.db");
    let ballast = small.fill_but_some_pages();
    let most = fs::metadata(&ballast).unwrap().len();
    fs::OpenOptions::new().write(true).open(&ballast).unwrap().set_len(most - (9 << 20)).unwrap();
    for target in [&beside, &other.path().join("elsewhere.db")] {
        let error = no_backup(&daemon, target);
        assert!(error.starts_with("ERR no backup was written: no room for the backup in "), "{error}");
        assert!(error.contains("bytes are needed and "), "{error}");
        assert!(!target.exists() && !target.with_extension("db.part").exists());
    }
    daemon.check_healthy();
    assert_eq!(daemon.stats().get("disk_full"), 0);
    fs::remove_file(&ballast).unwrap();
    assert!(daemon.client().int(&format!("BACKUP {}", text(&beside))) > 8_000_000);
}

#[test]
fn a_backup_whose_room_goes_away_meanwhile_leaves_nothing() {
    let (Some(small), Some(other)) = (Mounted::in_memory("48m"), Mounted::in_memory("12m")) else { return };
    let daemon = furnished(&small);
    let ballast = other.path().join("ballast");
    let mut failed = 0;
    // Whichever is faster: there is a whole backup or none.
    for round in 0..20 {
        let target = other.path().join("copy.db");
        let part = other.path().join("copy.db.part");
        let mut client = daemon.client();
        client.send(format!("BACKUP {}\n", text(&target)).as_bytes()).unwrap();
        wait_until("the backup to begin", || {
            if part.exists() || target.exists() { Ok(()) } else { Err("no file".to_owned()) }
        });
        // All the room at once; what does not fit is not written.
        let _ = fs::write(&ballast, vec![0; (10 << 20) - round * (100 << 10)]);
        match client.read().unwrap() {
            Reply::Integer(bytes) => {
                assert_eq!(fs::metadata(&target).unwrap().len(), bytes as u64);
                fs::remove_file(&target).unwrap();
            }
            Reply::Error(error) => {
                // Found before the first page or at some later one.
                let why = error.strip_prefix("ERR no backup was written: ").expect("so it begins");
                assert!(why.contains("disk is full") || why.starts_with("no room for"), "{error}");
                assert!(!target.exists());
                failed += 1;
            }
            reply => panic!("{reply}"),
        }
        assert!(!part.exists());
        fs::remove_file(&ballast).unwrap();
        daemon.check_healthy();
    }
    println!("{failed} of 20 backups found the disk full");
}

#[test]
fn a_backup_gives_way_to_the_daemon_on_the_same_disk() {
    let Some(small) = Mounted::in_memory("48m") else { return };
    let daemon = furnished(&small);
    let (target, part) = (small.path().join("copy.db"), small.path().join("copy.db.part"));
    let ballast = small.path().join("ballast");
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let mut writer = daemon.client();
        let stop = &stop;
        scope.spawn(move || {
            // Some of these are refused.
            let value = "v".repeat(2_000);
            for number in 0.. {
                writer.args(&["SET", &format!("more:{}", number % 500), &value]);
                if stop.load(Ordering::Relaxed) {
                    break;
                }
            }
        });
        let ended = std::panic::catch_unwind(|| {
            for round in 0..10 {
                let mut client = daemon.client();
                client.send(format!("BACKUP {}\n", text(&target)).as_bytes()).unwrap();
                wait_until("the backup to begin", || {
                    if part.exists() || target.exists() { Ok(()) } else { Err("no file".to_owned()) }
                });
                let _ = fs::write(&ballast, vec![0; 48 << 20]);
                match client.read().unwrap() {
                    Reply::Integer(bytes) => {
                        assert_eq!(fs::metadata(&target).unwrap().len(), bytes as u64);
                        fs::remove_file(&target).unwrap();
                    }
                    Reply::Error(error) => assert!(error.contains("no backup was written"), "{error}"),
                    reply => panic!("{reply}"),
                }
                assert!(!part.exists(), "round {round}");
                fs::remove_file(&ballast).unwrap();
                wait_until("writes to be taken again", || match daemon.client().cmd("SET again 1") {
                    Reply::Simple(_) => Ok(()),
                    reply => Err(reply.to_string()),
                });
                // A backup begins with a merge, which needs room for the next journal.
                deleted(&mut daemon.client(), "CLEANUP");
            }
        });
        stop.store(true, Ordering::Relaxed);
        if let Err(panic) = ended {
            std::panic::resume_unwind(panic);
        }
    });
    assert_eq!(daemon.client().args(&["GET", "key:7"]).bytes().len(), 50_000);
    daemon.check_healthy();
}

#[test]
fn compacting_without_room_says_how_much_is_missing() {
    let Some(small) = Mounted::in_memory("48m") else { return };
    let mut daemon = furnished(&small);
    daemon.client().check("DELPAT key:?", ":10");
    daemon.terminate();
    let data = small.path().join("data");
    let ballast = small.fill_but_some_pages();
    // Enough for a merge, and not for a second database.
    let most = fs::metadata(&ballast).unwrap().len();
    fs::OpenOptions::new().write(true).open(&ballast).unwrap().set_len(most - (4 << 20)).unwrap();
    let outcome = run(&mut larderd(&["compact", "--data", text(&data)]));
    assert_eq!(outcome.status.code(), Some(1), "{outcome:?}");
    assert!(outcome.stderr.contains("no room for the compacted database in "), "{outcome:?}");
    assert!(!data.join("larder.db.new").exists());
    fs::remove_file(&ballast).unwrap();
    let outcome = run(&mut larderd(&["compact", "--data", text(&data)]));
    assert!(outcome.status.success(), "{outcome:?}");
    daemon.restart();
    daemon.client().check("DBSIZE", ":150");
}
