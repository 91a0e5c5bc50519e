//! The journal: an append-only SQLite file that makes writes durable long before they reach the main file.
//!
//! One row per commit, holding every write of one turn of the event loop ([`batch`](super::batch)). Each generation of
//! the write buffer has its own journal file; once the generation is merged the whole file is deleted, so nothing is
//! ever deleted or checkpointed inside one. All rows live in the file's write-ahead log: a commit appends to one file
//! and returns, which is what makes it cheap.
//!
//! The event loop owns the journal being written; the keeper thread creates spares and deletes merged ones.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::batch::{self, Write};
use super::error::StoreError;
use super::{main_file, sql};

/// A commit appends at least one page, a large one as many as it fills, with two write calls each. Measured with commits of
/// 5 and of 400 writes of 64 bytes: 4 KiB pages 13 and 87 us and 5.2 KB of log for the small one, 2 KiB 11 and 94 us and
/// 3.1 KB, 1 KiB 9 and 133 us and 1.9 KB.
const PAGE_BYTES: u32 = 2048;

/// How much may be added to the log before its length is looked at again: asking for it after each commit took a system
/// call of 0.4 us, beside commits of 7 us.
const UNMEASURED_BYTES: u64 = 64 << 10;

/// What a write of a short key and value takes in the log; most take more.
const WRITE_BYTES_ABOUT: usize = 100;

/// Batches decoded ahead of where they are needed.
const BATCHES_AHEAD: usize = 64;

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
    log: Arc<Log>,
    rows: i64,
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
        self.file.sync_data()
    }
}

impl Journal {
    /// Creates the journal of `generation` in `dir`.
    ///
    /// # Errors
    /// Where the file cannot be created; nothing of it is left then.
    pub fn create(dir: &Path, generation: u64, sync: Sync) -> Result<Self, StoreError> {
        let path = path_of(dir, generation);
        remove_files(&path)?;
        Self::create_at(&path, generation, sync).inspect_err(|_| {
            // Best effort: a half-made journal is empty and the next start removes it.
            let _ = remove_files(&path);
        })
    }

    fn create_at(path: &Path, generation: u64, sync: Sync) -> Result<Self, StoreError> {
        let sqlite = || StoreError::sqlite("create journal", path);
        let connection = open(path, OpenFlags::SQLITE_OPEN_CREATE)?;
        let synchronous = synchronous(sync);
        connection
            .execute_batch(&format!(
                "PRAGMA page_size = {PAGE_BYTES};
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
        Self::ready(path, connection, generation)
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
        Self::ready(&found.path, connection, found.generation)
    }

    fn ready(path: &Path, connection: Connection, generation: u64) -> Result<Self, StoreError> {
        // Writes the log's header, so that the log exists and can be forced to disk by whoever holds this handle.
        connection
            .execute_batch("BEGIN IMMEDIATE; ROLLBACK")
            .map_err(StoreError::sqlite("create journal", path))?;
        let wal_path = wal_path(path);
        let wal = File::open(&wal_path).map_err(StoreError::io("open journal log", &wal_path))?;
        let log = Arc::new(Log { file: wal, commits: AtomicU64::new(0) });
        Ok(Self {
            generation,
            path: path.to_owned(),
            connection,
            log,
            rows: 0,
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
                self.unmeasured_bytes += batch.len() as u64 + u64::from(PAGE_BYTES);
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

/// A journal found at start.
#[derive(Debug)]
pub struct Found {
    /// The generation it belongs to.
    pub generation: u64,
    path: PathBuf,
}

impl Found {
    /// The journals in `dir`, oldest first.
    ///
    /// # Errors
    /// Where the directory cannot be read.
    pub fn all(dir: &Path) -> Result<Vec<Self>, StoreError> {
        let io = || StoreError::io("list data directory", dir);
        let mut found = Vec::new();
        for entry in std::fs::read_dir(dir).map_err(io())? {
            let path = entry.map_err(io())?.path();
            let name = path.file_name().and_then(|name| name.to_str());
            let number =
                name.and_then(|name| name.strip_prefix("journal-")?.strip_suffix(".db")?.parse().ok());
            if let Some(generation) = number {
                found.push(Self { generation, path });
            }
        }
        found.sort_by_key(|journal| journal.generation);
        Ok(found)
    }

    /// Whether it was completed and nothing was written to it.
    pub(super) fn is_unused(&self) -> bool {
        let complete = self.path.metadata().is_ok_and(|file| file.len() == 2 * u64::from(PAGE_BYTES));
        complete && log_frames(&self.path, 0).next().is_none()
    }

    /// About how many writes there are, from the size of the log: at least as many as would have their memory grow.
    #[must_use]
    pub fn writes_about(&self) -> usize {
        let bytes = wal_path(&self.path).metadata().map_or(0, |log| log.len());
        bytes as usize / WRITE_BYTES_ABOUT
    }

    /// Calls `each` with the writes of every batch, oldest first. Another thread reads and decodes meanwhile: a start after a crash waits
    /// for nothing else.
    ///
    /// # Errors
    /// Where the file cannot be read or a batch is damaged; what came before was handed out.
    pub fn replay(&self, mut each: impl FnMut(Vec<Write>)) -> Result<(), StoreError> {
        let (batches, decoded) = sync_channel(BATCHES_AHEAD);
        std::thread::scope(|scope| {
            let reader = scope.spawn(move || self.read(&batches));
            decoded.into_iter().for_each(&mut each);
            reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Reads and decodes every batch; the writes of one that is damaged are handed over up to there.
    fn read(&self, batches: &SyncSender<Vec<Write>>) -> Result<(), StoreError> {
        let sqlite = || StoreError::sqlite("replay journal", &self.path);
        if self.path.metadata().is_ok_and(|file| file.len() == 0)
            && log_frames(&self.path, 0).next().is_some()
        {
            // Of a database without a page SQLite deletes the log.
            return Err(StoreError::CutShort { path: self.path.clone() });
        }
        let connection = open(&self.path, OpenFlags::empty())?;
        // Frames of the log that SQLite takes for whole.
        let frames: i64 =
            connection.query_row("PRAGMA wal_checkpoint(NOOP)", (), |row| row.get(1)).map_err(sqlite())?;
        let has_table: bool = connection
            .query_row("SELECT count(*) FROM sqlite_schema WHERE name = 'batches'", (), |row| row.get(0))
            .map_err(sqlite())?;
        let frames = frames.max(0) as u64;
        // A refused commit leaves frames behind, but never the last one of a commit, which says so. A power cut leaves
        // the log short. Where commits stand behind the place up to which SQLite reads, that place is damaged.
        let committed_behind = log_frames(&self.path, frames).any(|ends_commit| ends_commit);
        if committed_behind || (!has_table && frames > 0) {
            return Err(StoreError::CutShort { path: self.path.clone() });
        }
        if !has_table {
            // Killed while it was being created: nothing was ever answered from it.
            return Ok(());
        }
        let mut replay = connection.prepare(sql::JOURNAL_REPLAY).map_err(sqlite())?;
        let mut rows = replay.query(()).map_err(sqlite())?;
        while let Some(row) = rows.next().map_err(sqlite())? {
            let writes = row.get_ref(0).and_then(|writes| Ok(writes.as_blob()?)).map_err(sqlite())?;
            let mut batch = Vec::new();
            let decoded = batch::decode(writes, |write| batch.push(write))
                .map_err(|source| StoreError::Journal { path: self.path.clone(), source });
            // The other end takes everything that comes, so it cannot be gone.
            let _ = batches.send(batch);
            decoded?;
        }
        Ok(())
    }

    /// Moves the file and its log out of the way, under a name with `stamp`, which is returned.
    ///
    /// # Errors
    /// Where they cannot be moved.
    pub fn set_aside(&self, stamp: &str) -> Result<PathBuf, StoreError> {
        let renamed = |path: &Path| -> PathBuf {
            let mut name = path.as_os_str().to_owned();
            name.push(format!(".corrupt-{stamp}"));
            name.into()
        };
        // The log first: without its file it would not be found by anybody.
        for path in [wal_path(&self.path), self.path.clone()] {
            match std::fs::rename(&path, renamed(&path)) {
                Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                    return Err(StoreError::io("set aside", &path)(source));
                }
                _ => {}
            }
        }
        Ok(renamed(&self.path))
    }

    /// Deletes the file.
    ///
    /// # Errors
    /// Where it cannot be deleted.
    pub fn delete(&self) -> Result<(), StoreError> {
        remove_files(&self.path)
    }
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

/// The whole frames in a journal's log behind the first `skip`: for each, whether a commit ends with it. As SQLite's file
/// format has it: a header of 32 bytes, then frames of a header of 24 bytes and a page, the second number in the header
/// being the size of the database after a commit, or 0.
fn log_frames(path: &Path, skip: u64) -> impl Iterator<Item = bool> {
    const LOG_HEADER: u64 = 32;
    const FRAME_HEADER: u64 = 24;
    const FRAME: u64 = FRAME_HEADER + PAGE_BYTES as u64;
    let log = File::open(wal_path(path)).ok();
    let bytes = log.as_ref().and_then(|log| log.metadata().ok()).map_or(0, |log| log.len());
    let whole = bytes.saturating_sub(LOG_HEADER) / FRAME;
    (skip..whole).map_while(move |frame| {
        let mut size = [0; 4];
        log.as_ref()?.read_exact_at(&mut size, LOG_HEADER + frame * FRAME + 4).ok()?;
        Some(size != [0; 4])
    })
}

fn path_of(dir: &Path, generation: u64) -> PathBuf {
    dir.join(format!("journal-{generation:012}.db"))
}

fn wal_path(path: &Path) -> PathBuf {
    let mut wal = path.as_os_str().to_owned();
    wal.push("-wal");
    wal.into()
}

/// The database file goes last: while it stands, the next start still finds the rest.
fn remove_files(path: &Path) -> Result<(), StoreError> {
    for file in [wal_path(path), path.to_owned()] {
        match std::fs::remove_file(&file) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                return Err(StoreError::io("delete journal", &file)(source));
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::{Entry, State};
    use crate::store::batch::BatchEncoder;

    fn batch(key: &str, value: &'static str) -> BatchEncoder {
        let mut encoder = BatchEncoder::default();
        encoder.put(key.as_bytes(), &State::Live(Entry::forever(value)));
        encoder
    }

    fn replayed(dir: &Path) -> Vec<String> {
        let mut keys = Vec::new();
        for journal in Found::all(dir).unwrap() {
            journal
                .replay(|batch| {
                    keys.extend(batch.iter().map(|write| match write {
                        Write::Put(key, _) => String::from_utf8_lossy(key).into_owned(),
                        Write::Flush => "flush".into(),
                    }));
                })
                .unwrap();
        }
        keys
    }

    #[test]
    fn batches_come_back_in_order_across_files() {
        let dir = tempfile::tempdir().unwrap();
        let mut second = Journal::create(dir.path(), 2, Sync::Deferred).unwrap();
        let mut first = Journal::create(dir.path(), 1, Sync::EveryCommit).unwrap();
        second.commit(batch("c", "3").bytes()).unwrap();
        first.commit(batch("a", "1").bytes()).unwrap();
        first.commit(batch("b", "2").bytes()).unwrap();
        assert!(first.bytes() > 0);
        drop((first, second));
        assert_eq!(replayed(dir.path()), ["a", "b", "c"]);
        assert_eq!(replayed(dir.path()), ["a", "b", "c"], "replaying takes nothing away");
    }

    #[test]
    fn commits_behind_a_damaged_place_are_missed_and_a_log_cut_short_is_not_damaged() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = Journal::create(dir.path(), 1, Sync::Deferred).unwrap();
        for key in ["a", "b", "c"] {
            journal.commit(batch(key, "1").bytes()).unwrap();
        }
        drop(journal);
        let path = path_of(dir.path(), 1);
        let log = std::fs::read(wal_path(&path)).unwrap();
        let outcome = |bytes: &[u8]| {
            std::fs::write(wal_path(&path), bytes).unwrap();
            Found::all(dir.path()).unwrap()[0].replay(|_| ())
        };
        // A byte of the log's header, of the first and of the last frame; a whole page.
        for at in [17, 200, log.len() - 5] {
            let mut damaged = log.clone();
            damaged[at] ^= 1;
            assert!(outcome(&damaged).unwrap_err().is_damage(), "byte {at}");
        }
        outcome(&log).unwrap();
        // As a power cut leaves it: the last commit not there, in part, or all zeros.
        for len in [log.len() - 1, log.len() - 2_000, log.len() - 2_072] {
            outcome(&log[..len]).unwrap();
        }
        let mut zeros = log.clone();
        zeros[log.len() - 2_072..].fill(0);
        outcome(&zeros).unwrap();
        std::fs::write(wal_path(&path), &log).unwrap();
        std::fs::write(&path, b"").unwrap();
        assert!(Found::all(dir.path()).unwrap()[0].replay(|_| ()).unwrap_err().is_damage());
    }

    #[test]
    fn a_deleted_journal_leaves_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = Journal::create(dir.path(), 7, Sync::Deferred).unwrap();
        journal.commit(batch("a", "1").bytes()).unwrap();
        journal.delete().unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_journal_whose_creation_was_cut_short_is_empty() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("journal-000000000003.db"), b"").unwrap();
        assert!(replayed(dir.path()).is_empty());
    }
}
