//! File systems of the gates' own, which takes root to mount: in memory, small; and ext4 in a file, which can be cut off.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::util::{missing, repository};

/// A mounted file system, gone with the value.
pub(crate) struct Mounted {
    dir: TempDir,
}

impl Mounted {
    /// In memory, of a size such as `16m`. `None`, with a note, where that is not allowed.
    pub(crate) fn in_memory(size: &str) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let options = format!("size={size},mode=0700");
        mounts(
            Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(dir.path()),
            "a tmpfs",
        )
        .then_some(Self { dir })
    }

    /// The ext4 in a file. Its own flushing comes so late that it is the daemon's that counts.
    pub(crate) fn image(image: &Path) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        mounts(
            Command::new("mount").args(["-o", "loop,commit=300"]).arg(image).arg(dir.path()),
            "an ext4 in a file (loop devices)",
        )
        .then_some(Self { dir })
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Unmounts it; what is lost by then is lost.
    #[track_caller]
    pub(crate) fn unmount(self) {
        let output = Command::new("umount").arg(self.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Takes up all the room there is with one more file.
    pub(crate) fn fill(&self) -> PathBuf {
        let ballast = self.path().join("ballast");
        let mut file = OpenOptions::new().append(true).create(true).open(&ballast).unwrap();
        for piece in [1 << 20, 4_096, 1] {
            while file.write_all(&vec![0; piece]).is_ok() {}
        }
        ballast
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // Where it was unmounted before there is nothing left to do.
        let _ = Command::new("umount").arg("-l").arg(self.path()).output();
    }
}

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
    let source = repository("tests/gates/cut.c");
    let Ok(output) = Command::new("cc").args(["-O1", "-Wall", "-o"]).arg(&program).arg(source).output()
    else {
        missing("cc", "apt-get install gcc libc6-dev");
        return None;
    };
    assert!(output.status.success(), "cut.c: {}", String::from_utf8_lossy(&output.stderr));
    Some(program)
}

/// Whether it was mounted. What the machine does not allow is no missing program: it is noted, and never a failure.
fn mounts(command: &mut Command, what: &str) -> bool {
    let why = match command.output() {
        Ok(output) if output.status.success() => return true,
        Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        Err(error) => error.to_string(),
    };
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    let _ = writeln!(io::stderr(), "{test}: skipped: needs the right to mount {what}, as root has it: {why}");
    false
}

/// Bytes of all files in `dir`. `None` where looking at them took so long that their sizes are not of one moment: one that was
/// merged and deleted meanwhile would be counted with those that came after it.
pub(crate) fn bytes_in(dir: &Path) -> Option<u64> {
    let began = Instant::now();
    let files = fs::read_dir(dir).unwrap().filter_map(|entry| entry.ok()?.metadata().ok());
    let bytes = files.map(|file| file.len()).sum();
    (began.elapsed() < Duration::from_millis(2)).then_some(bytes)
}
