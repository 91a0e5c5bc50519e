//! How many commits of a journal have been forced to disk, in a small file beside it.
//!
//! What has not been forced may reach the disk in any order. After a power cut a log may so have a hole with whole commits
//! behind it, and looks as if it had been damaged; or it just ends early, as where somebody cut it off. The mark tells: where
//! fewer commits can be read than were forced, writes that were promised are gone. Otherwise what is missing is the last
//! second, which is what a power cut may cost. Commits are counted and not bytes, because frames of a refused commit are
//! written again in place.
//!
//! The mark itself is never forced to disk. It is written after the log was forced, so that whatever of it a power cut
//! leaves, an older one or none, says too little and never too much.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

use crate::files::with_suffix;
use crate::store::error::StoreError;

/// The number, and a checksum of it.
const MARK_BYTES: usize = 16;

/// The mark of a journal.
#[derive(Debug)]
pub(super) struct Mark(File);

impl Mark {
    /// That of a new journal, of which nothing has been forced.
    pub(super) fn create(journal: &Path) -> Result<Self, StoreError> {
        let path = mark_path(journal);
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(true).mode(0o600).open(&path);
        let mark = Self(file.map_err(StoreError::io("create", &path))?);
        // Now, so that it has its place on a disk that may be full later.
        mark.set(0);
        Ok(mark)
    }

    /// So many commits are on the disk. Where that cannot be noted, a start knows of fewer.
    pub(super) fn set(&self, commits: u64) {
        let _ = self.0.write_all_at(&encoded(commits), 0);
    }
}

/// How many commits of a journal were certainly forced to disk.
pub(super) fn forced_commits(journal: &Path) -> u64 {
    let Ok(mark) = std::fs::read(mark_path(journal)) else { return 0 };
    let commits = mark.first_chunk().map_or(0, |commits| u64::from_le_bytes(*commits));
    if mark == encoded(commits) { commits } else { 0 }
}

pub(super) fn mark_path(journal: &Path) -> PathBuf {
    with_suffix(journal, "-forced")
}

fn encoded(commits: u64) -> [u8; MARK_BYTES] {
    let commits = commits.to_le_bytes();
    let mut mark = [0; MARK_BYTES];
    mark[..8].copy_from_slice(&commits);
    mark[8..].copy_from_slice(&xxh3_64(&commits).to_le_bytes());
    mark
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_back_and_a_torn_one_says_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let journal = directory.path().join("journal-1.db");
        assert_eq!(forced_commits(&journal), 0);
        let mark = Mark::create(&journal).unwrap();
        assert_eq!(forced_commits(&journal), 0);
        for commits in [4_711, u64::MAX, 32] {
            mark.set(commits);
            assert_eq!(forced_commits(&journal), commits);
        }
        let mut torn = encoded(4_711);
        torn[0] ^= 1;
        std::fs::write(mark_path(&journal), torn).unwrap();
        assert_eq!(forced_commits(&journal), 0);
        std::fs::write(mark_path(&journal), [7; 3]).unwrap();
        assert_eq!(forced_commits(&journal), 0);
    }
}
