//! Daemons that are held at some point, `hold.c` says which, from a moment on and up to another.

use std::fs::{self, File};
use std::path::PathBuf;

use tempfile::TempDir;

use super::{Daemon, PRELOADED, binary, compile};

/// What holds them.
pub(crate) struct Hold {
    dir: TempDir,
}

impl Hold {
    /// `None`, with a note, where the library cannot be compiled.
    pub(crate) fn compile() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let library = dir.path().join("hold.so");
        compile("tests/e2e/util/hold.c", PRELOADED, &library).then_some(Self { dir })
    }

    /// A daemon that can be held.
    #[track_caller]
    pub(crate) fn daemon(&self, arguments: &[&str]) -> Daemon {
        Daemon::start_other(binary(), self.environment(), arguments)
    }

    /// What has to stand in the environment of one.
    pub(crate) fn environment(&self) -> Vec<(String, PathBuf)> {
        vec![
            ("LD_PRELOAD".into(), self.dir.path().join("hold.so")),
            ("LARDERD_HOLD".into(), self.dir.path().join("hold")),
        ]
    }

    /// From now on.
    pub(crate) fn begin(&self) {
        File::create(self.dir.path().join("hold")).unwrap();
    }

    /// Up to now.
    pub(crate) fn end(&self) {
        fs::remove_file(self.dir.path().join("hold")).unwrap();
    }

    /// `Ok` where something is held, or was.
    pub(crate) fn waits(&self) -> Result<(), String> {
        let waits = self.dir.path().join("hold.waits").exists();
        waits.then_some(()).ok_or_else(|| "nothing waits".into())
    }
}
