//! Everything on disk: the journals that make writes durable, the main file that holds the entries, and the threads
//! that read, merge, clean and sync. The only module that names SQLite. Used by the cache, which decides what is current.
//!
//! ```text
//! event loop --commit--> journal-N.db          (Journal, one row a turn)
//!            --Merge---> keeper thread --rows--> larder.db        (merge)
//!            <--Merged--
//!            --fetch---> blocking threads <--pool-- larder.db     (Readers)
//! syncer thread --fdatasync once a second--> journal-N.db-wal
//! ```
//! Nothing here answers a client, and nothing but the keeper writes the main file.

pub mod batch;
mod error;
mod journal;
mod keeper;
mod main_file;
mod merge;
mod readers;
mod sql;
mod syncer;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

pub use error::StoreError;
pub use journal::{CommitError, Journal, Sync};
pub use keeper::{Event, Merged, Refresh, Swept};
pub use merge::Accounting;
pub use readers::{Census, Readers, ScanLimits, ScanStep};
pub use syncer::Synced;

use crate::buffer::Generation;
use crate::clock::Clock;
use batch::Write;
use journal::Found;
use keeper::{Backing, Job, Keeper, Setup};
use syncer::Syncer;

/// SQLite's version, for `--version` and the log.
#[must_use]
pub fn sqlite_version() -> &'static str {
    rusqlite::version()
}

/// How to open the files.
#[derive(Clone, Debug)]
pub struct Options {
    /// The data directory, which exists and is ours.
    pub dir: PathBuf,
    /// When a commit counts as durable.
    pub sync: Sync,
    /// How often journals are forced to disk where commits are not.
    pub sync_interval: Duration,
    /// Connections in the pool of readers.
    pub readers: u32,
    /// Rows a sweep deletes in one transaction.
    pub sweep_slice_rows: usize,
}

/// The store as the event loop holds it.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    readers: Readers,
    keeper: Keeper,
    syncer: Syncer,
}

/// What [`Store::open`] found and started.
#[derive(Debug)]
pub struct Opened {
    /// The running store.
    pub store: Store,
    /// The journal of the generation to fill now.
    pub journal: Journal,
    /// Writes an earlier run answered but had not merged; the keeper is merging them already.
    pub recovered: Option<Arc<Generation>>,
    /// The main file's figures.
    pub accounting: Accounting,
    /// What the keeper has to say, from now on.
    pub events: mpsc::Receiver<Event>,
    /// What the syncer has to say, from now on.
    pub sync_reports: mpsc::Receiver<Synced>,
}

/// A sealed generation's journal, on its way to being merged and deleted.
#[derive(Debug)]
pub struct Sealed(Backing);

impl Sealed {
    /// The journal of a generation that takes no more writes.
    #[must_use]
    pub fn new(journal: Journal) -> Self {
        Self(Backing::Journal(Box::new(journal)))
    }
}

impl Store {
    /// Opens or creates the files, replays what was not merged and starts the threads. Takes time in proportion to the
    /// unmerged writes, never to the entries.
    ///
    /// # Errors
    /// Where a file cannot be opened, created, read or understood.
    pub fn open(options: Options, clock: Clock, refresh: Refresh) -> Result<Opened, StoreError> {
        let Options { dir, sync, sync_interval, readers, sweep_slice_rows } = options;
        let connection = main_file::open_writer(&dir)?;
        let accounting = Accounting::read(&connection)
            .map_err(StoreError::sqlite("read accounting of", &main_file::path_in(&dir)))?;
        let (recovered, found) = recover(&dir, accounting.merged_generation as u64)?;
        let last = recovered.as_ref().map_or(accounting.merged_generation as u64, Generation::id);
        let journal = Journal::create(&dir, last + 1, sync)?;
        let readers = Readers::open(&dir, readers)?;
        let (syncer, sync_reports) = Syncer::start(sync_interval)?;
        syncer.watch(journal.log());
        let setup = Setup { dir: dir.clone(), sync, clock, sweep_slice_rows, refresh };
        let (keeper, events) = Keeper::start(setup, connection, accounting, last + 2)?;
        let store = Self { dir, readers, keeper, syncer };
        store.request_spare()?;
        let recovered = recovered.map(Arc::new);
        if let Some(generation) = &recovered {
            store.merge(Arc::clone(generation), Sealed(Backing::Found(found)))?;
        }
        Ok(Opened { store, journal, recovered, accounting, events, sync_reports })
    }

    /// The pool for reads.
    #[must_use]
    pub fn readers(&self) -> &Readers {
        &self.readers
    }

    /// Has a sealed generation merged and its journal deleted; [`Event::Merged`] follows. One at a time.
    ///
    /// # Errors
    /// Where the keeper has ended.
    pub fn merge(&self, generation: Arc<Generation>, journal: Sealed) -> Result<(), StoreError> {
        self.keeper.submit(Job::Merge(generation, journal.0))
    }

    /// Has expired rows removed; [`Event::Swept`] follows, in the order asked.
    ///
    /// # Errors
    /// Where the keeper has ended, or far too many sweeps are waiting.
    pub fn sweep(&self) -> Result<(), StoreError> {
        self.keeper.submit(Job::Sweep)
    }

    /// Has the journal of the next generation created; [`Event::Spare`] or [`Event::SpareFailed`] follows.
    ///
    /// # Errors
    /// Where the keeper has ended.
    pub fn request_spare(&self) -> Result<(), StoreError> {
        self.keeper.submit(Job::Spare)
    }

    /// Has a new journal synced in the interval.
    pub fn watch(&self, journal: &Journal) {
        self.syncer.watch(journal.log());
    }

    /// Bytes of the main file and of its log.
    #[must_use]
    pub fn main_file_bytes(&self) -> (u64, u64) {
        let size = |path: PathBuf| path.metadata().map_or(0, |file| file.len());
        (size(main_file::path_in(&self.dir)), size(main_file::wal_path_in(&self.dir)))
    }

    /// Finishes queued work, syncs, and ends the threads. Blocks.
    pub fn stop(self) {
        self.keeper.stop();
        self.syncer.stop();
    }
}

/// Replays the journals newer than `merged` into one generation and deletes the others.
fn recover(dir: &std::path::Path, merged: u64) -> Result<(Option<Generation>, Vec<Found>), StoreError> {
    let (done, found): (Vec<_>, Vec<_>) =
        Found::all(dir)?.into_iter().partition(|journal| journal.generation <= merged);
    if !done.is_empty() {
        // The run before may have died between writing these rows to the main file's log and forcing it to disk.
        let wal = main_file::wal_path_in(dir);
        let io = || StoreError::io("sync", &wal);
        std::fs::File::open(&wal).map_err(io())?.sync_data().map_err(io())?;
    }
    done.iter().try_for_each(Found::delete)?;
    let Some(newest) = found.last() else { return Ok((None, found)) };
    let mut recovered = Generation::new(newest.generation);
    for journal in &found {
        journal.replay(|write| match write {
            Write::Put(key, state) => recovered.put(key.into(), state),
            Write::Flush => drop(recovered.flush()),
        })?;
    }
    Ok((Some(recovered), found))
}
