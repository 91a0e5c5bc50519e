//! The journal: an append-only SQLite file that makes writes durable long before they reach the main file.
//!
//! One row per commit, holding every write of one turn of the event loop ([`batch`](super::batch)). Each generation of
//! the write buffer has its own journal file; once the generation is merged the whole file is deleted, so nothing is
//! ever deleted or checkpointed inside one. All rows live in the file's write-ahead log: a commit appends to one file
//! and returns, which is what makes it cheap.
//!
//! The event loop owns the journal being written; the keeper thread creates spares and deletes merged ones.

mod found;
mod mark;
mod page;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::error::StoreError;
use super::{main_file, sql};
use crate::files::{self, with_suffix};
pub use found::{Found, Replayed};
use mark::{Mark, mark_path};
pub use page::PageSize;

/// How much may be added to the log before its length is looked at again: asking for it after each commit took a system
/// call of 0.4 us, beside commits of 7 us.
const UNMEASURED_BYTES: u64 = 64 << 10;

/// How far an answered write has gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sync {
    /// Each commit reaches the operating system; someone else forces the file to disk now and then.
    Deferred,
    /// Each commit is forced to disk before it returns.
    EveryCommit,
}

/// An open journal file that takes batches.
#[derive(Debug)]
pub struct Journal {
    generation: u64,
    path: PathBuf,
    connection: Connection,
    sync: Sync,
    log: Arc<Log>,
    rows: i64,
    page: PageSize,
    /// Bytes of all batches.
    batch_bytes: u64,
    /// The log's length when it was last looked at, and about what has been added since.
    measured_bytes: u64,
    unmeasured_bytes: u64,
}

/// A journal's write-ahead log, for forcing it to disk from another thread. Nothing else may be done with it.
#[derive(Debug)]
pub struct Log {
    file: File,
    /// Commits so far. The file's length would not tell: after a refused commit, frames are written again in place.
    commits: AtomicU64,
    /// How many of them have been forced to disk, for the next start.
    mark: Mark,
}

impl Log {
    /// Commits that the log holds.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.commits.load(Ordering::Acquire)
    }

    /// Forces to disk what has been committed.
    ///
    /// # Errors
    /// Where the disk fails; what the system still held for it may be lost then.
    pub fn sync(&self) -> std::io::Result<()> {
        let commits = self.commits();
        self.file.sync_data()?;
        self.mark.set(commits);
        Ok(())
    }
}

impl Journal {
    /// Creates the journal of `generation` in `dir`, with pages for small commits.
    ///
    /// # Errors
    /// Where the file cannot be created; nothing of it is left then.
    pub fn create(dir: &Path, generation: u64, sync: Sync) -> Result<Self, StoreError> {
        Self::create_with_pages(dir, generation, sync, PageSize::default())
    }

    /// As [`create`](Self::create), with pages of this size.
    ///
    /// # Errors
    /// As there.
    pub fn create_with_pages(
        dir: &Path,
        generation: u64,
        sync: Sync,
        page: PageSize,
    ) -> Result<Self, StoreError> {
        let path = path_of(dir, generation);
        remove_files(&path)?;
        Self::create_at(&path, generation, sync, page).inspect_err(|_| {
            // Best effort: a half-made journal is empty and the next start removes it.
            let _ = remove_files(&path);
        })
    }

    fn create_at(path: &Path, generation: u64, sync: Sync, page: PageSize) -> Result<Self, StoreError> {
        let sqlite = || StoreError::sqlite("create journal", path);
        let connection = open(path, OpenFlags::SQLITE_OPEN_CREATE)?;
        let (page_bytes, synchronous) = (page.bytes(), synchronous(sync));
        connection
            .execute_batch(&format!(
                "PRAGMA page_size = {page_bytes};
                 PRAGMA journal_mode = WAL;
                 PRAGMA wal_autocheckpoint = 0;
                 PRAGMA synchronous = {synchronous};
                 {};
                 PRAGMA wal_checkpoint(TRUNCATE);",
                sql::JOURNAL_SCHEMA
            ))
            .map_err(sqlite())?;
        // The file itself is now complete on disk; its name is made durable too, or a power cut could take it away.
        main_file::sync_directory(path.parent().unwrap_or(Path::new(".")))?;
        Self::ready(path, connection, generation, sync, page)
    }

    /// An empty journal that an earlier run had prepared, as it is: for a disk without room for another.
    pub(super) fn reuse(found: &Found, sync: Sync) -> Result<Self, StoreError> {
        let connection = open(&found.path, OpenFlags::empty())?;
        connection
            .execute_batch(&format!(
                "PRAGMA wal_autocheckpoint = 0; PRAGMA synchronous = {};",
                synchronous(sync)
            ))
            .map_err(StoreError::sqlite("open journal", &found.path))?;
        Self::ready(&found.path, connection, found.generation, sync, found.page().unwrap_or_default())
    }

    fn ready(
        path: &Path,
        connection: Connection,
        generation: u64,
        sync: Sync,
        page: PageSize,
    ) -> Result<Self, StoreError> {
        // Writes the log's header, so that the log exists and can be forced to disk by whoever holds this handle.
        connection
            .execute_batch("BEGIN IMMEDIATE; ROLLBACK")
            .map_err(StoreError::sqlite("create journal", path))?;
        let wal_path = wal_path(path);
        let wal = File::open(&wal_path).map_err(StoreError::io("open journal log", &wal_path))?;
        let log = Arc::new(Log { file: wal, commits: AtomicU64::new(0), mark: Mark::create(path)? });
        Ok(Self {
            generation,
            path: path.to_owned(),
            connection,
            sync,
            log,
            rows: 0,
            page,
            batch_bytes: 0,
            measured_bytes: 0,
            unmeasured_bytes: 0,
        })
    }

    /// The generation whose writes this journal holds.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Commits one batch: when this returns `Ok` the batch survives the death of the process.
    ///
    /// # Errors
    /// [`CommitError::Refused`] where nothing was written and the next commit may work again (disk full),
    /// [`CommitError::Unknown`] where the batch may or may not be found at the next start.
    pub fn commit(&mut self, batch: &[u8]) -> Result<(), CommitError> {
        let appended = self
            .connection
            .prepare_cached(sql::JOURNAL_APPEND)
            .and_then(|mut append| append.execute((self.rows + 1, batch)));
        match appended {
            Ok(_) => {
                self.rows += 1;
                self.log.commits.store(self.rows as u64, Ordering::Release);
                if self.sync == Sync::EveryCommit {
                    self.log.mark.set(self.rows as u64);
                }
                self.batch_bytes += batch.len() as u64;
                self.unmeasured_bytes += batch.len() as u64 + self.page.bytes();
                if self.unmeasured_bytes > UNMEASURED_BYTES {
                    self.measured_bytes = self.bytes();
                    self.unmeasured_bytes = 0;
                }
                Ok(())
            }
            Err(source) => {
                let error = StoreError::sqlite("append to journal", &self.path)(source);
                Err(if error.is_refusal() {
                    CommitError::Refused(error)
                } else {
                    CommitError::Unknown(error)
                })
            }
        }
    }

    /// What a batch fails with that is not even tried, because there is too little room on the disk.
    #[must_use]
    pub fn no_room(&self) -> StoreError {
        StoreError::full("append to journal", &self.path)
    }

    /// Size of the journal's log.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.log.file.metadata().map_or(0, |wal| wal.len())
    }

    /// The same without asking the system for it each time; some ten pages off at most.
    #[must_use]
    pub fn bytes_about(&self) -> u64 {
        self.measured_bytes + self.unmeasured_bytes
    }

    /// What pages would have suited its commits so far.
    #[must_use]
    pub fn suitable_page(&self) -> PageSize {
        PageSize::for_commits_of(self.batch_bytes / (self.rows as u64).max(1))
    }

    /// The log, for the syncer.
    #[must_use]
    pub fn log(&self) -> Arc<Log> {
        Arc::clone(&self.log)
    }

    /// Closes and deletes the file. Only once everything in it is in the main file and on disk there.
    ///
    /// # Errors
    /// Where a file cannot be deleted; it is then skipped and deleted at the next start.
    pub fn delete(self) -> Result<(), StoreError> {
        let Self { path, connection, .. } = self;
        drop(connection);
        remove_files(&path)
    }
}

/// A commit that failed.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// Nothing was written; later commits may work.
    #[error(transparent)]
    Refused(StoreError),
    /// Nobody can tell whether it was written. The process must not answer reads from its own memory after this.
    #[error("outcome unknown: {0}")]
    Unknown(StoreError),
}

fn synchronous(sync: Sync) -> &'static str {
    match sync {
        Sync::Deferred => "NORMAL",
        Sync::EveryCommit => "FULL",
    }
}

fn open(path: &Path, extra: OpenFlags) -> Result<Connection, StoreError> {
    let sqlite = || StoreError::sqlite("open journal", path);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | extra;
    let connection = Connection::open_with_flags(path, flags).map_err(sqlite())?;
    // Exclusive from the first access on: the log's index then lives on the heap, not in a shared memory file.
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE").map_err(sqlite())?;
    // Closing must never checkpoint: a merged journal is deleted, a replayed one is read again after a crash.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map_err(sqlite())?;
    Ok(connection)
}

fn path_of(dir: &Path, generation: u64) -> PathBuf {
    dir.join(format!("journal-{generation:012}.db"))
}

fn wal_path(path: &Path) -> PathBuf {
    with_suffix(path, "-wal")
}

/// The database file goes last: while it stands, the next start still finds the rest.
fn remove_files(path: &Path) -> Result<(), StoreError> {
    for file in [wal_path(path), mark_path(path), path.to_owned()] {
        files::remove(&file).map_err(StoreError::io("delete journal", &file))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
