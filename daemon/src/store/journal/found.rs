//! Journals that a start finds: which there are, what they hold, and whether it is all there. Used by recovery and by the
//! offline commands; it never writes to them.

use std::collections::VecDeque;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, sync_channel};

use rusqlite::OpenFlags;

use super::mark::{Mark, forced_commits, mark_path};
use super::{PageSize, open, remove_files, wal_path};
use crate::files::{if_there, with_suffix};
use crate::store::batch::{self, Write};
use crate::store::error::StoreError;
use crate::store::sql;

/// What a write of a short key and value takes in the log. Many take more, counters a fifth.
const WRITE_BYTES_ABOUT: usize = 100;

/// Batches decoded ahead of where they are needed.
const BATCHES_AHEAD: usize = 64;

/// A journal found at start.
#[derive(Debug)]
pub struct Found {
    /// The generation it belongs to.
    pub generation: u64,
    pub(super) path: PathBuf,
    /// The stamp under which it is set aside once it is no longer needed, where it is damaged.
    damaged: Option<String>,
}

/// What a replay has come to.
#[derive(Clone, Copy, Debug)]
pub struct Replayed {
    /// Commits that could be read.
    pub(in crate::store) commits: u64,
    /// Whether there are others behind a place that cannot be read, none of which was promised to outlive a power cut.
    pub(in crate::store) gap: bool,
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
                found.push(Self { generation, path, damaged: None });
            }
        }
        found.sort_by_key(|journal| journal.generation);
        Ok(found)
    }

    /// Whether it was completed and nothing was written to it.
    pub(in crate::store) fn is_unused(&self) -> bool {
        let Some(page) = self.page() else { return false };
        let complete = self.path.metadata().is_ok_and(|file| file.len() == 2 * page.bytes());
        complete && log_frames(&self.path, 0).next().is_none() && forced_commits(&self.path) == 0
    }

    /// The size of its pages, where it was completed.
    pub(super) fn page(&self) -> Option<PageSize> {
        PageSize::of_file(&self.path)
    }

    /// About how many writes there are, from the size of the log: so that memory for them need not grow, or not often.
    #[must_use]
    pub fn writes_about(&self) -> usize {
        let bytes = wal_path(&self.path).metadata().map_or(0, |log| log.len());
        bytes as usize / WRITE_BYTES_ABOUT
    }

    /// Calls `each` with the writes of every batch, oldest first. Another thread reads and decodes meanwhile: a start after a
    /// crash waits for nothing else.
    ///
    /// # Errors
    /// Where the file cannot be read or a batch is damaged; what came before was handed out.
    pub fn replay(&self, mut each: impl FnMut(Vec<Write>)) -> Result<Replayed, StoreError> {
        let (batches, decoded) = sync_channel(BATCHES_AHEAD);
        std::thread::scope(|scope| {
            let reader = scope.spawn(move || self.read(&batches));
            decoded.into_iter().for_each(&mut each);
            reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Reads and decodes every batch; the writes of one that is damaged are handed over up to there.
    fn read(&self, batches: &SyncSender<Vec<Write>>) -> Result<Replayed, StoreError> {
        let sqlite = || StoreError::sqlite("replay journal", &self.path);
        if self.path.metadata().is_ok_and(|file| file.len() == 0)
            && log_frames(&self.path, 0).next().is_some()
        {
            // Of a database without a page SQLite deletes the log.
            return Err(self.cut_short());
        }
        let connection = open(&self.path, OpenFlags::empty())?;
        // Frames of the log that SQLite takes for whole.
        let frames: i64 =
            connection.query_row("PRAGMA wal_checkpoint(NOOP)", (), |row| row.get(1)).map_err(sqlite())?;
        let has_table: bool = connection
            .query_row("SELECT count(*) FROM sqlite_schema WHERE name = 'batches'", (), |row| row.get(0))
            .map_err(sqlite())?;
        let frames = frames.max(0) as u64;
        let commits = if has_table {
            let number: i64 =
                connection.query_row(sql::JOURNAL_COMMITS, (), |row| row.get(0)).map_err(sqlite())?;
            number.max(0) as u64
        } else {
            0
        };
        if commits < forced_commits(&self.path) || (!has_table && frames > 0) {
            return Err(self.cut_short());
        }
        // A refused commit leaves frames behind, but never the last one of a commit, which says so.
        let gap = log_frames(&self.path, frames).any(|ends_commit| ends_commit);
        if gap {
            tracing::warn!(
                "{}: the machine stopped before the last writes had all reached the disk; those behind a gap are left out",
                self.path.display()
            );
        }
        if !has_table {
            // Killed while it was being created: nothing was ever answered from it.
            return Ok(Replayed { commits: 0, gap: false });
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
        Ok(Replayed { commits, gap })
    }

    /// What a replay has come to, the journals that are newer being known: a gap is damage where one of these has been forced
    /// to disk, as the older one was forced before.
    ///
    /// # Errors
    /// That, or the replay's own.
    pub(in crate::store) fn judged(
        &self,
        replayed: Result<Replayed, StoreError>,
        newer: &VecDeque<Self>,
    ) -> Result<Replayed, StoreError> {
        let replayed = replayed?;
        let promised = newer.iter().any(|journal| forced_commits(&journal.path) > 0);
        if replayed.gap && promised { Err(self.cut_short()) } else { Ok(replayed) }
    }

    /// The error that commits which were promised are gone.
    fn cut_short(&self) -> StoreError {
        StoreError::CutShort { path: self.path.clone() }
    }

    /// Its file's name, without the directory.
    pub(in crate::store) fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// How many commits of it were certainly forced to disk.
    #[cfg(test)]
    pub(in crate::store) fn forced_commits(&self) -> u64 {
        forced_commits(&self.path)
    }

    /// Forces to disk what was read of it, so that it is promised again: the process before may have been killed just after
    /// it had written it.
    ///
    /// # Errors
    /// Where the disk fails.
    pub(in crate::store) fn force(&self, replayed: Replayed) -> Result<(), StoreError> {
        let wal = wal_path(&self.path);
        match File::open(&wal) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            opened => opened.and_then(|log| log.sync_data()).map_err(StoreError::io("sync", &wal))?,
        }
        // A full disk is no reason not to start; the mark then says less.
        if let Ok(mark) = Mark::create(&self.path) {
            mark.set(replayed.commits);
        }
        Ok(())
    }

    /// Has it set aside instead of deleted, under a name with `stamp`, which is returned. Not before it is gone from what
    /// the next start has to know: what is older than a damaged journal has been given up only once that is in the database.
    pub(in crate::store) fn mark_damaged(&mut self, stamp: String) -> PathBuf {
        let aside = aside(&self.path, &stamp);
        self.damaged = Some(stamp);
        aside
    }

    /// Deletes the file, or sets it aside with its log and its mark where it is damaged.
    ///
    /// # Errors
    /// Where it cannot be done.
    pub fn retire(&self) -> Result<(), StoreError> {
        let Some(stamp) = &self.damaged else { return remove_files(&self.path) };
        // The log first: without its file it would not be found by anybody.
        for path in [wal_path(&self.path), mark_path(&self.path), self.path.clone()] {
            let moved = std::fs::rename(&path, aside(&path, stamp));
            if_there(moved).map_err(StoreError::io("set aside", &path))?;
        }
        Ok(())
    }
}

fn aside(path: &Path, stamp: &str) -> PathBuf {
    with_suffix(path, &format!(".corrupt-{stamp}"))
}

const LOG_HEADER: u64 = 32;
const FRAME_HEADER: u64 = 24;

/// The whole frames in a journal's log behind the first `skip`: for each, whether a commit ends with it. As SQLite's file
/// format has it: a header of 32 bytes, then frames of a header of 24 bytes and a page, the second number in the header
/// being the size of the database after a commit, or 0.
fn log_frames(path: &Path, skip: u64) -> impl Iterator<Item = bool> {
    let log = File::open(wal_path(path)).ok();
    let bytes = log.as_ref().and_then(|log| log.metadata().ok()).map_or(0, |log| log.len());
    // Where the log's header is damaged, its file still says it.
    let page =
        log.as_ref().and_then(PageSize::of_log).or_else(|| PageSize::of_file(path)).unwrap_or_default();
    let frame_bytes = FRAME_HEADER + page.bytes();
    let whole = bytes.saturating_sub(LOG_HEADER) / frame_bytes;
    (skip..whole).map_while(move |frame| {
        let mut size = [0; 4];
        log.as_ref()?.read_exact_at(&mut size, LOG_HEADER + frame * frame_bytes + 4).ok()?;
        Some(size != [0; 4])
    })
}
