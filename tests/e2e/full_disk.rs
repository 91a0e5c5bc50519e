//! No room on the disk: reads go on, writes are refused with a clear error, and service returns by itself.
//!
//! On a small file system of its own, which takes root to mount; otherwise the test says that it was skipped.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::util::{Daemon, Reply, wait_until};

/// A small file system in memory, gone with the value.
struct Small {
    dir: tempfile::TempDir,
}

impl Small {
    fn mount(size: &str) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size},mode=0700"), "tmpfs"])
            .arg(dir.path())
            .output()
            .unwrap();
        if !mounted.status.success() {
            println!("skipped: needs the right to mount a tmpfs (run as root)");
            return None;
        }
        Some(Self { dir })
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").args(["-l"]).arg(self.path()).status();
    }
}

#[test]
fn reads_go_on_writes_are_refused_and_both_return() {
    let Some(small) = Small::mount("16m") else { return };
    let places = tempfile::tempdir().unwrap();
    let socket = places.path().join("s.sock");
    let data = small.path().join("data");
    let arguments = ["--socket", text(&socket), "--data", text(&data), "--merge-interval", "20ms"];
    let daemon =
        Daemon::start_with(places, socket.clone(), arguments.map(str::to_owned).to_vec(), Vec::new());
    let mut client = daemon.client();
    client.check("SET kept before", "+OK");
    let ballast: PathBuf = small.path().join("ballast");
    for cycle in 0..3 {
        fill(&ballast);
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
        fs::remove_file(&ballast).unwrap();
        wait_until("writes to be taken again", || match client.cmd("SET again 1") {
            Reply::Simple(_) => Ok(()),
            reply => Err(reply.to_string()),
        });
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

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Takes up all the room but some pages.
fn fill(ballast: &Path) {
    let mut size = 16 << 20;
    while size >= 4_096 {
        let mut bytes = fs::read(ballast).unwrap_or_default();
        bytes.resize(bytes.len() + size, 0);
        if fs::write(ballast, &bytes).is_err() {
            // What did not fit was written in part: cut back to what is sure, then try less.
            bytes.truncate(bytes.len() - size);
            fs::write(ballast, &bytes).unwrap();
            size /= 2;
        }
    }
    let left = fs::metadata(ballast).unwrap().len().saturating_sub(3 * 4_096);
    fs::OpenOptions::new().write(true).open(ballast).unwrap().set_len(left).unwrap();
}
