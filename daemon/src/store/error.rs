//! What can go wrong with the files, sorted by what the daemon has to do about it. Used by the store and the cache.

use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

use super::batch::BatchError;

/// A failed operation on larder's files: what was being done, to which file, and why it failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite refused or failed.
    #[error("cannot {action} {}: {source}", path.display())]
    Sqlite {
        /// What was being done.
        action: &'static str,
        /// The file it was done to.
        path: PathBuf,
        /// SQLite's own words.
        source: rusqlite::Error,
    },
    /// The file system refused or failed.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was being done.
        action: &'static str,
        /// The file or directory it was done to.
        path: PathBuf,
        /// The system's own words.
        source: std::io::Error,
    },
    /// A journal row does not follow its format, or follows one that is not known yet.
    #[error("journal {} cannot be replayed: {source}", path.display())]
    Journal {
        /// The journal file.
        path: PathBuf,
        /// Where and what.
        source: BatchError,
    },
    /// The main file was written by a newer larder; it is left untouched.
    #[error("{} has schema version {found}, this larderd knows up to {known}: use a newer larderd or another --data directory", path.display())]
    NewerSchema {
        /// The main file.
        path: PathBuf,
        /// Its `user_version`.
        found: i64,
        /// The newest known here.
        known: i64,
    },
    /// The main file was written by an older larder, and whoever looks at it may not change it.
    #[error("{} has schema version {found}: a start of larderd takes it to version {known}; start it once, then try again", path.display())]
    OlderSchema {
        /// The main file.
        path: PathBuf,
        /// Its `user_version`.
        found: i64,
        /// The one needed here.
        known: i64,
    },
    /// SQLite did not take a setting that durability rests on.
    #[error("{}: PRAGMA {pragma} should be {wanted} and is {found}; is the file on a file system without locks?", path.display())]
    Setting {
        /// The file.
        path: PathBuf,
        /// The setting.
        pragma: &'static str,
        /// What was asked for.
        wanted: &'static str,
        /// What there is.
        found: String,
    },
    /// The linked SQLite has a known bug that can lose commits.
    #[error(
        "SQLite {found} can lose commits in WAL mode, and {needed} or later is needed; build larderd with the SQLite it brings along"
    )]
    SqliteTooOld {
        /// The linked version.
        found: &'static str,
        /// The first version without the bug.
        needed: &'static str,
    },
    /// Every connection for reading stayed busy.
    #[error(
        "no connection for reading larder.db became free within {waited_s} s: the disk is slow, or raise 'readers'"
    )]
    NoReader {
        /// How long the read waited.
        waited_s: u64,
    },
    /// There is something where a backup should go.
    #[error("{} exists already: name another file, or move it away first", path.display())]
    Exists {
        /// What is there.
        path: PathBuf,
    },
    /// A backup to the same file is under way.
    #[error("another backup is being written to {}; wait for it, or name another file", path.display())]
    BackupUnderWay {
        /// Where to.
        path: PathBuf,
    },
    /// Something large would not fit; nothing was begun.
    #[error("no room for {what} in {}: {needed_bytes} bytes are needed and {free_bytes} are free; make room there first", directory.display())]
    NoRoom {
        /// What does not fit.
        what: &'static str,
        /// Where it should have gone.
        directory: PathBuf,
        /// How much has to be free.
        needed_bytes: u64,
        /// How much is.
        free_bytes: u64,
    },
    /// A journal holds commits that SQLite does not come to, or fewer than were forced to disk.
    #[error("{} lacks writes that had been forced to disk, or holds some behind a damaged place", path.display())]
    CutShort {
        /// The file.
        path: PathBuf,
    },
    /// The main file is damaged; the next start repairs it.
    #[error("larder.db is damaged ({0}): starting over to repair it")]
    Damaged(String),
    /// Something a start of the daemon would put right or give up, so that nothing else should touch it before.
    #[error("{0}; larderd check says more, and a start of larderd keeps what can be kept")]
    Unsound(String),
    /// The thread that owns the main file has more to do than it should ever be given.
    #[error("the storage thread is busy; try again in a moment")]
    KeeperBusy,
    /// The thread that owns the main file has ended.
    #[error("the storage thread has ended; larderd is stopping, or its log says why")]
    KeeperGone,
}

impl StoreError {
    /// Whether room on the disk would cure it.
    #[must_use]
    pub fn is_full(&self) -> bool {
        match self {
            Self::Sqlite { source, .. } => source.sqlite_error_code() == Some(ErrorCode::DiskFull),
            Self::Io { source, .. } => source.kind() == std::io::ErrorKind::StorageFull,
            _ => false,
        }
    }

    /// Whether the file itself is at fault, rather than the disk, its room, or who may open it.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Journal { source, .. } => !matches!(source, BatchError::Newer { .. }),
            Self::CutShort { .. } | Self::Damaged(_) => true,
            Self::Sqlite { source, .. } if reads_past_the_end(source) => true,
            Self::Sqlite { source, .. } => match source.sqlite_error_code() {
                // A plain error is SQL that does not fit the schema, so the schema is not ours any more.
                Some(code) => {
                    matches!(code, ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::Unknown)
                }
                // No row of accounting, or a column that holds what it cannot.
                None => true,
            },
            _ => false,
        }
    }

    /// Whether nothing was written, and other writes may work: the disk is full, or the batch is beyond SQLite's limits.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        let too_big = matches!(self, Self::Sqlite { source, .. }
            if source.sqlite_error_code() == Some(ErrorCode::TooBig));
        too_big || self.is_full()
    }

    /// For `map_err`: names what was being done to which file.
    pub(super) fn sqlite(action: &'static str, path: &Path) -> impl FnOnce(rusqlite::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Sqlite { action, path, source }
    }

    /// As [`sqlite`](Self::sqlite), for the file system.
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }

    /// What was not even tried, because there is too little room on the disk.
    pub(super) fn full(action: &'static str, path: &Path) -> Self {
        Self::Io { action, path: path.to_owned(), source: std::io::ErrorKind::StorageFull.into() }
    }
}

/// Of a value that takes several pages, SQLite reports those behind the end of the file as a failure of the disk, not of the
/// file. No disk gives less than was asked for.
fn reads_past_the_end(error: &rusqlite::Error) -> bool {
    matches!(error, rusqlite::Error::SqliteFailure(failure, _)
        if failure.extended_code == rusqlite::ffi::SQLITE_IOERR_SHORT_READ)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_say_what_to_do() {
        let path = || PathBuf::from("/d/larder.db");
        for (error, advice) in [
            (StoreError::OlderSchema { path: path(), found: 1, known: 2 }, "; start it once, then try again"),
            (
                StoreError::SqliteTooOld { found: "3.7.0", needed: "3.51.3" },
                "; build larderd with the SQLite it brings along",
            ),
            (StoreError::BackupUnderWay { path: path() }, "; wait for it, or name another file"),
            (
                StoreError::NoRoom {
                    what: "the backup",
                    directory: "/d".into(),
                    needed_bytes: 2,
                    free_bytes: 1,
                },
                "; make room there first",
            ),
            (StoreError::KeeperBusy, "; try again in a moment"),
            (StoreError::KeeperGone, "; larderd is stopping, or its log says why"),
        ] {
            let said = error.to_string();
            assert!(said.ends_with(advice), "{said}");
        }
    }
}
