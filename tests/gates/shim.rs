//! The library that is preloaded into the daemon, `shim.c`: compiled where there is a C compiler, told what to do, and asked
//! what it has counted.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::util::{PRELOADED, compile};

/// Kinds of calls, in the order of the shim's counters.
pub(crate) const KINDS: [&str; 4] = ["write", "sync", "truncate", "open"];

pub(crate) struct Shim {
    dir: TempDir,
    library: PathBuf,
    state: File,
}

impl Shim {
    /// `None`, with a note, where it cannot be compiled.
    pub(crate) fn compile() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let library = dir.path().join("shim.so");
        if !compile("tests/gates/shim.c", PRELOADED, &library) {
            return None;
        }
        let path = dir.path().join("state");
        fs::write(&path, [0; 16 * 8]).unwrap();
        let state = OpenOptions::new().read(true).write(true).open(&path).unwrap();
        Some(Self { dir, library, state })
    }

    /// What has to stand in the daemon's environment, `fault` being one as shim.c describes it.
    pub(crate) fn environment(&self, data: &Path, fault: Option<&str>) -> Vec<(String, PathBuf)> {
        let mut environment = vec![
            ("LD_PRELOAD".into(), self.library.clone()),
            ("LARDERD_SHIM_DIR".into(), data.to_owned()),
            ("LARDERD_SHIM_STATE".into(), self.dir.path().join("state")),
        ];
        environment.extend(fault.map(|fault| ("LARDERD_SHIM_FAULT".into(), fault.into())));
        environment
    }

    /// Calls so far, by kind.
    pub(crate) fn calls(&self) -> [u64; 4] {
        [1, 2, 3, 4].map(|at| self.number(at) as u64)
    }

    /// Has the next write be that one: for faults that are to begin, or to end, at a moment of the test's choice.
    pub(crate) fn count_writes_from(&self, number: i64) {
        self.state.write_all_at(&(number - 1).to_ne_bytes(), 8).unwrap();
    }

    /// Calls that have failed so far.
    pub(crate) fn faults(&self) -> u64 {
        self.number(5) as u64
    }

    /// Counts from 0 again.
    pub(crate) fn reset(&self) {
        self.state.write_all_at(&[0; 16 * 8], 0).unwrap();
    }

    /// Moves the wall clock of whoever has it loaded, in whole seconds.
    pub(crate) fn shift_clock(&self, ms: i64) {
        self.state.write_all_at(&ms.to_ne_bytes(), 0).unwrap();
    }

    fn number(&self, at: u64) -> i64 {
        let mut bytes = [0; 8];
        self.state.read_exact_at(&mut bytes, at * 8).unwrap();
        i64::from_ne_bytes(bytes)
    }
}
