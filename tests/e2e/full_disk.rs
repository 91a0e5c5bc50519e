//! No room on the disk: reads go on, writes are refused with a clear error, and service returns by itself. In [`copies`], what
//! backups and compacting do about it.
//!
//! On a small file system of its own, which takes root to mount; otherwise the test says that it was skipped.

mod copies;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::util::{Client, Daemon, Dice, Mounted, Reply, journal_pages, wait_until};

#[test]
fn reads_go_on_writes_are_refused_and_both_return() {
    let Some(small) = Mounted::in_memory("16m") else { return };
    let places = tempfile::tempdir().unwrap();
    let socket = places.path().join("s.sock");
    let data = small.path().join("data");
    let arguments = ["--socket", text(&socket), "--data", text(&data), "--merge-interval", "20ms"];
    let daemon =
        Daemon::start_with(places, socket.clone(), arguments.map(str::to_owned).to_vec(), Vec::new());
    let mut client = daemon.client();
    client.check("SET kept before", "+OK");
    for cycle in 0..3 {
        let ballast = small.fill_but_some_pages();
        let mut answered = 0;
        let refused = wait_until("a write to be refused", || {
            match client.args(&["SET", &format!("fill:{cycle}:{answered}"), &"v".repeat(10_000)]) {
                Reply::Error(text) => Ok(text),
                reply => {
                    answered += 1;
                    Err(reply.to_string())
                }
            }
        });
        assert!(refused.starts_with("FULL the write was not stored"), "{refused}");
        client.check("GET kept", "=before");
        let last_write = |client: &mut Client| {
            String::from_utf8_lossy(client.cmd("INFO persistence").bytes()).into_owned()
        };
        assert!(last_write(&mut client).contains("aof_last_write_status:err"));
        fs::remove_file(&ballast).unwrap();
        wait_until("writes to be taken again", || match client.cmd("SET again 1") {
            Reply::Simple(_) => Ok(()),
            reply => Err(reply.to_string()),
        });
        assert!(last_write(&mut client).contains("aof_last_write_status:ok"), "it is of the last write");
        // Merging goes on as well: what was answered reaches the main file, and the journals go.
        wait_until("everything to be merged", || client.stats().is("buffer_entries", 0));
        for number in 0..answered {
            let reply = client.args(&["GET", &format!("fill:{cycle}:{number}")]);
            assert_eq!(reply.bytes().len(), 10_000, "an answered write");
        }
        client.check("FLUSHALL", "+OK");
        client.check("SET kept before", "+OK");
        wait_until("the flush to be merged", || client.stats().is("buffer_entries", 0));
    }
}

#[test]
fn journals_have_small_pages_where_there_is_little_room() {
    let Some(small) = Mounted::in_memory("64m") else { return };
    let ballast = small.path().join("ballast");
    fs::write(&ballast, vec![0; 40 << 20]).unwrap();
    let daemon = daemon_on(&small, &["--merge-interval", "1h"]);
    let data = small.path().join("data");
    let mut client = daemon.client();
    let value = vec![b'v'; 300_000];
    let mut write_and_merge = || {
        assert_eq!(client.args(&[b"SET", b"k".as_slice(), &value]), Reply::ok());
        client.check("CLEANUP", ":0");
    };
    for _ in 0..4 {
        write_and_merge();
        assert!(journal_pages(&data).iter().all(|bytes| *bytes == 2_048), "{:?}", journal_pages(&data));
    }
    // With room the same writes get large ones.
    fs::remove_file(&ballast).unwrap();
    wait_until("large pages", || {
        write_and_merge();
        let pages = journal_pages(&data);
        if pages.contains(&16_384) { Ok(()) } else { Err(format!("{pages:?}")) }
    });
}

/// A daemon on a small file system that merges all the time; extra settings may follow.
fn daemon_on(small: &Mounted, more: &[&str]) -> Daemon {
    let places = tempfile::tempdir().unwrap();
    let socket = places.path().join("s.sock");
    let data = small.path().join("data");
    let mut arguments = vec!["--socket", text(&socket), "--data", text(&data)];
    arguments.extend(["--compress-from", "0"]);
    arguments.extend(if more.contains(&"--merge-interval") {
        &[][..]
    } else {
        &["--merge-interval", "20ms"]
    });
    arguments.extend(more);
    Daemon::start_with(places, socket.clone(), arguments.into_iter().map(str::to_owned).collect(), Vec::new())
}

/// Writes entries until the disk is full; how many were taken.
fn write_until_full(client: &mut Client, prefix: &str, more: &[&str]) -> usize {
    let noise = Dice::new(12).bytes(20_000);
    let mut taken = 0;
    wait_until("the disk to be full", || {
        while taken < 100_000 {
            let key = format!("{prefix}:{taken}");
            let mut arguments = vec![b"SET".as_slice(), key.as_bytes(), &noise[taken % 10_000..][..10_000]];
            arguments.extend(more.iter().map(|argument| argument.as_bytes()));
            match client.args(&arguments) {
                Reply::Error(error) => {
                    assert!(error.starts_with("FULL"), "{error}");
                    break;
                }
                reply => assert_eq!(reply, Reply::ok()),
            }
            taken += 1;
        }
        client.stats().is("disk_full", 1)
    });
    taken
}

/// Waits until a write is taken again, and all that is written is merged.
#[track_caller]
fn wait_for_service(client: &mut Client) {
    wait_until("writes to be taken again", || match client.cmd("SET again 1") {
        Reply::Simple(_) => Ok(()),
        reply => Err(format!("{reply}: {:?}", client.stats())),
    });
    wait_until("the end of it", || client.stats().is("disk_full", 0));
    wait_until("everything to be merged", || client.stats().is("buffer_entries", 0));
}

/// An integer, asked for again where a full disk refused it: the reserve is given up only then.
#[track_caller]
fn deleted(client: &mut Client, request: &str) -> i64 {
    wait_until("a deletion to be taken", || match client.cmd(request) {
        Reply::Integer(number) => Ok(number),
        reply => Err(reply.to_string()),
    })
}

#[test]
fn deletions_work_on_a_disk_that_larder_filled_and_bring_service_back() {
    let Some(small) = Mounted::in_memory("24m") else { return };
    let daemon = daemon_on(&small, &[]);
    let mut client = daemon.client();
    for cycle in 0..3 {
        client.check("SET kept before", "+OK");
        let taken = write_until_full(&mut client, "fill", &[]);
        assert!(taken > 500, "cycle {cycle}: {taken} entries of 10,000 bytes on 24 MiB");
        client.check("GET kept", "=before");
        assert_eq!(client.args(&["GET", "fill:77"]).bytes().len(), 10_000);
        match cycle {
            0 => {
                // Far less than would be worth giving back on a disk with room.
                let gone: i64 =
                    (0..150).map(|number| deleted(&mut client, &format!("DEL fill:{number}"))).sum();
                assert_eq!(gone, 150);
            }
            1 => {
                let gone = deleted(&mut client, "DELPAT fill:*");
                assert!(gone > 0, "{gone} of {taken}");
            }
            _ => wait_until("the flush to be taken", || match client.cmd("FLUSHALL") {
                Reply::Simple(_) => Ok(()),
                reply => Err(reply.to_string()),
            }),
        }
        wait_for_service(&mut client);
        match cycle {
            0 => assert_eq!(client.int("EXISTS fill:149 fill:150"), 1),
            1 => client.check("EXISTS fill:77 fill:150", ":0"),
            _ => client.check("DBSIZE", ":1"),
        }
        deleted(&mut client, "DELPAT fill:*");
        wait_for_service(&mut client);
        // Service is back before all the room is.
        let main = small.path().join("data/larder.db");
        wait_until("the room to be given back", || match fs::metadata(&main).unwrap().len() {
            bytes if bytes < 8 << 20 => Ok(()),
            bytes => Err(format!("{bytes} bytes: {:?}", client.stats())),
        });
    }
}

#[test]
fn clean_up_goes_on_on_a_full_disk_and_brings_service_back() {
    let Some(small) = Mounted::in_memory("24m") else { return };
    let daemon = daemon_on(&small, &["--cleanup-interval", "200ms"]);
    let mut client = daemon.client();
    for _ in 0..3 {
        client.check("SET kept before", "+OK");
        let taken = write_until_full(&mut client, "short", &["PX", "2000"]);
        assert!(taken > 500, "{taken}");
        client.check("GET kept", "=before");
        // Nobody deletes anything.
        wait_for_service(&mut client);
        wait_until("all that expires to be gone", || client.stats().is("entries", 2));
        client.check("GET kept", "=before");
        // Removing it may have taken the reserve once more.
        wait_for_service(&mut client);
    }
}

/// Journals as full as they may be when the disk is: all of it still finds its way into the main file, behind which
/// deletions wait.
#[test]
fn what_is_answered_can_be_merged_however_much_it_is() {
    let Some(small) = Mounted::in_memory("32m") else { return };
    let daemon = daemon_on(&small, &["--merge-interval", "1s", "--cleanup-interval", "1h"]);
    let mut client = daemon.client();
    let noise = Dice::new(12).bytes(20_000);
    for (cycle, bytes) in [10_000, 2_100, 1_000, 300_000].into_iter().enumerate() {
        client.check("SET kept before", "+OK");
        let mut taken = 0;
        wait_until("a write to be refused", || {
            for _ in 0..50 {
                let numbers = taken..taken + (200_000 / bytes).clamp(2, 500);
                let requests = numbers.map(|number| {
                    let value = noise.repeat(bytes / 10_000 + 1)[number % 9_000..][..bytes].to_vec();
                    vec![b"SET".to_vec(), format!("fill:{number}").into_bytes(), value]
                });
                let requests: Vec<_> = requests.collect();
                let replies = client.pipeline(&requests).unwrap();
                let answered = replies.iter().filter(|reply| **reply == Reply::ok()).count();
                taken += answered;
                if answered < replies.len() {
                    return Ok(());
                }
            }
            Err(format!("{taken} are taken"))
        });
        assert!(taken * bytes > 4_000_000, "cycle {cycle}: {taken} of {bytes}");
        client.check("GET kept", "=before");
        deleted(&mut client, "DELPAT fill:*");
        wait_for_service(&mut client);
        client.check("DBSIZE", ":2");
    }
}

#[test]
fn a_start_on_a_full_disk_serves_what_there_is() {
    let Some(small) = Mounted::in_memory("24m") else { return };
    let mut daemon = daemon_on(&small, &[]);
    let mut client = daemon.client();
    let noise = Dice::new(12).bytes(20_000);
    for number in 0..400 {
        let key = format!("k:{number}");
        assert_eq!(client.args(&[b"SET", key.as_bytes(), &noise[number..number + 10_000]]), Reply::ok());
    }
    for cycle in 0..3 {
        // With the reserve, and from the second cycle on without it, to the last byte.
        if cycle > 0 {
            small.fill();
            write_until_full(&mut daemon.client(), "more", &[]);
        }
        if cycle == 1 {
            daemon.kill9();
        } else {
            daemon.terminate();
        }
        let ballast = small.fill();
        daemon.restart();
        let mut client = daemon.client();
        for number in 0..400 {
            let reply = client.args(&["GET", &format!("k:{number}")]);
            assert_eq!(reply.bytes(), &noise[number..number + 10_000], "cycle {cycle}");
        }
        fs::remove_file(&ballast).unwrap();
        let since = Instant::now();
        wait_for_service(&mut client);
        // It looks every 200 ms; this bounds a hang.
        assert!(since.elapsed() < Duration::from_secs(10), "{:?}", since.elapsed());
        deleted(&mut client, "DELPAT more:*");
        wait_for_service(&mut client);
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
