//! What the gates need of file systems beside [`Mounted`](crate::util::Mounted): an ext4 in a file that can be cut off, and how much
//! there is in a directory.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::util::{compile, missing};

/// An empty ext4 in a file. `None`, with a note, where it cannot be made.
pub(crate) fn ext4_image(path: &Path, mib: u64) -> Option<()> {
    File::create(path).unwrap().set_len(mib << 20).unwrap();
    // `mkfs.ext4` is often out of the way of those who are not root.
    let made = Command::new("mkfs.ext4")
        .env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin")
        .args(["-q", "-F"])
        .arg(path)
        .output();
    let Ok(output) = made else {
        missing("mkfs.ext4", "apt-get install e2fsprogs");
        return None;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(())
}

/// The program that cuts a file system off, compiled into `dir`. `None`, with a note, where it cannot be.
pub(crate) fn cutter(dir: &Path) -> Option<PathBuf> {
    let program = dir.join("cut");
    compile("tests/gates/cut.c", &[], &program).then_some(program)
}

/// Bytes of all files in `dir`. `None` where looking at them took so long that their sizes are not of one moment: one that was
/// merged and deleted meanwhile would be counted with those that came after it.
pub(crate) fn bytes_in(dir: &Path) -> Option<u64> {
    let began = Instant::now();
    let files = fs::read_dir(dir).unwrap().filter_map(|entry| entry.ok()?.metadata().ok());
    let bytes = files.map(|file| file.len()).sum();
    (began.elapsed() < Duration::from_millis(2)).then_some(bytes)
}
