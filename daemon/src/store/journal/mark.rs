//! Up to where a journal's log has been forced to disk, in a small file beside it.
//!
//! What has not been forced may reach the disk in any order. After a power cut a log may so have a hole with whole commits
//! behind it, and looks as if it had been damaged. The mark tells the two apart: a hole before it is damage, and writes that
//! were promised are gone; one behind it is the last second, which is what a power cut may cost.
//!
//! The mark itself is never forced to disk. It is written after the log was forced, so that whatever of it a power cut
//! leaves, an older one or none, says too little and never too much.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

use crate::store::error::StoreError;

/// The length in bytes, and a checksum of it.
const MARK_BYTES: usize = 16;

/// The mark of a journal that is being written.
#[derive(Debug)]
pub(super) struct Mark(File);

impl Mark {
    /// That of a new journal, of which nothing has been forced.
    pub(super) fn create(journal: &Path) -> Result<Self, StoreError> {
        let path = mark_path(journal);
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(true).mode(0o600).open(&path);
        file.map(Self).map_err(StoreError::io("create", &path))
    }

    /// So many bytes of the log are on the disk. Where that cannot be noted, a start knows of less.
    pub(super) fn set(&self, bytes: u64) {
        let _ = self.0.write_all_at(&encoded(bytes), 0);
    }
}

/// How many bytes of a journal's log were certainly forced to disk.
pub(super) fn forced_bytes(journal: &Path) -> u64 {
    let Ok(mark) = std::fs::read(mark_path(journal)) else { return 0 };
    let bytes = mark.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    if mark == encoded(bytes) { bytes } else { 0 }
}

pub(super) fn mark_path(journal: &Path) -> PathBuf {
    let mut path = journal.as_os_str().to_owned();
    path.push("-forced");
    path.into()
}

fn encoded(bytes: u64) -> [u8; MARK_BYTES] {
    let bytes = bytes.to_le_bytes();
    let mut mark = [0; MARK_BYTES];
    mark[..8].copy_from_slice(&bytes);
    mark[8..].copy_from_slice(&xxh3_64(&bytes).to_le_bytes());
    mark
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_back_and_a_torn_one_says_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let journal = directory.path().join("journal-1.db");
        assert_eq!(forced_bytes(&journal), 0);
        let mark = Mark::create(&journal).unwrap();
        assert_eq!(forced_bytes(&journal), 0);
        for bytes in [4_711, u64::MAX, 32] {
            mark.set(bytes);
            assert_eq!(forced_bytes(&journal), bytes);
        }
        let mut torn = encoded(4_711);
        torn[0] ^= 1;
        std::fs::write(mark_path(&journal), torn).unwrap();
        assert_eq!(forced_bytes(&journal), 0);
        std::fs::write(mark_path(&journal), [7; 3]).unwrap();
        assert_eq!(forced_bytes(&journal), 0);
    }
}
