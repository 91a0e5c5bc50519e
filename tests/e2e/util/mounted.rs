//! File systems of the tests' own, which takes root to mount: in memory, small; and ext4 in a file.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

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

    /// Takes up all the room but some pages with one more file.
    pub(crate) fn fill_but_some_pages(&self) -> PathBuf {
        let ballast = self.path().join("ballast");
        let mut size = 16 << 20;
        while size >= 4_096 {
            let mut bytes = fs::read(&ballast).unwrap_or_default();
            bytes.resize(bytes.len() + size, 0);
            if fs::write(&ballast, &bytes).is_err() {
                // What did not fit was written in part: cut back to what is sure, then try less.
                bytes.truncate(bytes.len() - size);
                fs::write(&ballast, &bytes).unwrap();
                size /= 2;
            }
        }
        let left = fs::metadata(&ballast).unwrap().len().saturating_sub(3 * 4_096);
        OpenOptions::new().write(true).open(&ballast).unwrap().set_len(left).unwrap();
        ballast
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // Where it was unmounted before there is nothing left to do.
        let _ = Command::new("umount").arg("-l").arg(self.path()).output();
    }
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
