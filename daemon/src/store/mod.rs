//! Everything on disk: the journals that make writes durable, the main file that holds the entries, and the threads
//! that read, merge, clean up and sync. The only module that names SQLite. Used by the cache, which decides what is
//! current.
//!
//! ```text
//! event loop --commit--> journal-N.db          (Journal, one row a turn)
//!            --Merge---> keeper thread --rows--> larder.db        (merge)
//!            <--Merged--
//!            --fetch---> blocking threads <--pool-- larder.db     (Readers)
//!            <-------small rows, if there at once-- larder.db     (QuickReader)
//! syncer thread --fdatasync once a second--> journal-N.db-wal
//! ```
//! Nothing here answers a client, and nothing but the keeper writes the main file.

mod accounting;
pub mod batch;
mod budget;
mod check;
mod compact;
mod contents;
mod error;
mod evict;
mod file_system;
mod hot_list;
mod journal;
mod keeper;
mod look;
mod main_file;
mod merge;
mod migrate;
mod part;
mod quick_reader;
mod readers;
mod recover;
mod repair;
mod reserve;
mod row;
mod sample;
mod sql;
mod syncer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::mpsc;

pub use accounting::Accounting;
pub use budget::{Budget, JournalShare};
pub use check::{Report, check};
pub use compact::{Compacted, compact};
pub use contents::Contents;
pub use error::StoreError;
pub use file_system::FileSystem;
pub use hot_list::HotList;
pub use journal::{CommitError, Journal, PageSize, Sync};
pub use keeper::{BackedUp, Copies, Event, Evicted, Merged, Swept};
pub use look::{Header, header, refuse_unsound};
pub use quick_reader::{QUICK_VALUE_BYTES_MAX, QuickRead, QuickReader};
pub use readers::{Census, Fetched, Readers, ScanLimits, ScanStep};
pub use row::Compression;
pub use sample::Sample;
pub use syncer::Synced;

use crate::buffer::Generation;
use crate::clock::Clock;
use keeper::{Backing, Job, Keeper, Setup};
use recover::Recovered;
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
    /// Bytes that all files together may take; `None` for no limit.
    pub disk_cap_bytes: Option<u64>,
    /// Size at which a journal is merged.
    pub journal_limit_bytes: u64,
    /// Size of a value.
    pub value_bytes_max: u64,
    /// How large values are compressed.
    pub compression: Compression,
}

/// The store as the event loop holds it.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    readers: Readers,
    keeper: Keeper,
    syncer: Syncer,
}

/// Sizes of larder's files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileBytes {
    /// The main file.
    pub main: u64,
    /// Its write-ahead log.
    pub wal: u64,
    /// All journals and their logs.
    pub journals: u64,
    /// The reserve.
    pub reserve: u64,
    /// The list of hot keys.
    pub hot_list: u64,
}

impl FileBytes {
    /// Those in `dir`.
    #[must_use]
    pub fn in_dir(dir: &Path) -> Self {
        let mut bytes = Self::default();
        let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
        for entry in entries {
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            let len = entry.metadata().map_or(0, |file| file.len());
            match name {
                "larder.db" => bytes.main = len,
                "larder.db-wal" => bytes.wal = len,
                "larder.reserve" => bytes.reserve = len,
                _ if HotList::owns(name) => bytes.hot_list += len,
                // What was set aside is not larder's any more.
                _ if name.starts_with("journal-") && !name.contains(".corrupt-") => bytes.journals += len,
                _ => {}
            }
        }
        bytes
    }

    /// All of them.
    #[must_use]
    pub fn all(self) -> u64 {
        self.main + self.wal + self.journals + self.reserve + self.hot_list
    }
}

/// What [`Store::open`] found and started.
#[derive(Debug)]
pub struct Opened {
    /// The running store.
    pub store: Store,
    /// What reads small rows on the event loop. To be dropped before the store is stopped.
    pub quick_reader: QuickReader,
    /// The journal of the generation to fill now.
    pub journal: Journal,
    /// Writes an earlier run answered but had not merged; the keeper is merging them already.
    pub recovered: Option<Arc<Generation>>,
    /// The main file's figures.
    pub accounting: Accounting,
    /// How the room on disk is divided.
    pub budget: Budget,
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
    /// unmerged writes, never to the entries, unless the main file is damaged and has to be repaired.
    ///
    /// # Errors
    /// Where a file cannot be opened, created, read or understood.
    pub fn open(options: &Options, clock: Clock, copies: Box<dyn Copies>) -> Result<Opened, StoreError> {
        let budget = Budget::of(
            options.disk_cap_bytes,
            options.journal_limit_bytes,
            FileSystem::of(&options.dir)?.bytes,
            options.value_bytes_max,
        );
        let full = |files: &Result<Files, StoreError>| files.as_ref().is_err_and(StoreError::is_full);
        let mut files = Files::open(options, clock, false);
        // What an earlier run set aside for this.
        if full(&files) && reserve::give_up_in(&options.dir) {
            files = Files::open(options, clock, false);
        }
        if full(&files) {
            files = Files::open(options, clock, true);
        }
        let files = files?;
        let Files { connection, accounting, recovered, journal, readers } = files;
        let quick_reader = readers.quick()?;
        let (syncer, sync_reports) = Syncer::start(options.sync_interval)?;
        syncer.watch(journal.log());
        let setup = Setup {
            dir: options.dir.clone(),
            sync: options.sync,
            clock,
            sweep_slice_rows: options.sweep_slice_rows,
            budget,
            compression: options.compression,
            copies,
        };
        let next_journal = journal.generation() + 1;
        let (keeper, events) = Keeper::start(setup, connection, accounting, next_journal)?;
        let store = Self { dir: options.dir.clone(), readers, keeper, syncer };
        store.request_spare(PageSize::default())?;
        let Recovered { generation, journals, .. } = recovered;
        let recovered = generation.map(Arc::new);
        if let Some(generation) = &recovered {
            store.merge(Arc::clone(generation), Sealed(Backing::Found(journals)))?;
        }
        Ok(Opened { store, quick_reader, journal, recovered, accounting, budget, events, sync_reports })
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

    /// Has the journal of the next generation created, with pages of this size; [`Event::Spare`] or [`Event::SpareFailed`] follows.
    ///
    /// # Errors
    /// Where the keeper has ended.
    pub fn request_spare(&self, page: PageSize) -> Result<(), StoreError> {
        self.keeper.submit(Job::Spare(page))
    }

    /// Has everything that is merged by now, or later, copied to `target`, an absolute path; [`Event::BackedUp`] follows.
    ///
    /// # Errors
    /// Where the keeper has ended.
    pub fn back_up(&self, target: PathBuf) -> Result<(), StoreError> {
        self.keeper.submit(Job::Backup(target))
    }

    /// Says that a commit found the disk full: only deletions will be taken until [`Event::RoomAgain`].
    ///
    /// # Errors
    /// Where the keeper has ended, or is busy: to be said again.
    pub fn report_full(&self) -> Result<(), StoreError> {
        self.keeper.submit(Job::Full)
    }

    /// Has a new journal synced in the interval.
    pub fn watch(&self, journal: &Journal) {
        self.syncer.watch(journal.log());
    }

    /// Bytes that are left on the file system.
    #[must_use]
    pub fn free_bytes(&self) -> u64 {
        FileSystem::free_bytes_of(&self.dir)
    }

    /// Sizes of the files.
    #[must_use]
    pub fn file_bytes(&self) -> FileBytes {
        FileBytes::in_dir(&self.dir)
    }

    /// Times the main file's log was cut back, and pages given back to the file system.
    #[must_use]
    pub fn upkeep_figures(&self) -> (u64, u64) {
        let tally = self.keeper.tally();
        (tally.checkpoints.load(Ordering::Relaxed), tally.vacuumed_pages.load(Ordering::Relaxed))
    }

    /// Notes for the next start that the main file is damaged.
    pub fn report_damage(&self) {
        repair::report(&self.dir);
    }

    /// Finishes queued work, syncs, and ends the threads. Blocks.
    pub fn stop(self) {
        self.keeper.stop();
        self.syncer.stop();
    }

    /// Ends the threads without merging any more: what is not merged stays in the journals. Blocks.
    pub fn abandon(self) {
        self.keeper.abandon();
        self.syncer.stop();
    }
}

/// The open files, before any thread works on them.
struct Files {
    connection: rusqlite::Connection,
    accounting: Accounting,
    recovered: Recovered,
    journal: Journal,
    readers: Readers,
}

impl Files {
    /// With `sparing`, without taking any room on the disk, where that can be.
    fn open(options: &Options, clock: Clock, sparing: bool) -> Result<Self, StoreError> {
        let Options { dir, sync, readers, .. } = options;
        let (connection, accounting) = open_main_file(dir, clock.now_ms())?;
        let merged = accounting.merged_generation as u64;
        let recovered = recover::recover(dir, merged, clock.now_ms(), sparing)?;
        let last = recovered.generation.as_ref().map_or(merged, Generation::id);
        let journal = match &recovered.unused {
            Some(unused) => Journal::reuse(unused, *sync)?,
            None => Journal::create(dir, last + 1, *sync)?,
        };
        let readers = Readers::open(dir, *readers)?;
        Ok(Self { connection, accounting, recovered, journal, readers })
    }
}

/// Opens the main file, after repairing it where it is damaged.
fn open_main_file(dir: &Path, now_ms: i64) -> Result<(rusqlite::Connection, Accounting), StoreError> {
    repair::finish_cut_short(dir, now_ms)?;
    let open = || {
        let connection = main_file::open_writer(dir, now_ms / 1_000)?;
        let accounting = Accounting::read(&connection)
            .map_err(StoreError::sqlite("read accounting of", &main_file::path_in(dir)))?;
        Ok((connection, accounting))
    };
    let why = if repair::is_reported(dir) {
        "the run before found it damaged".to_owned()
    } else {
        match open() {
            Err(error @ StoreError::Sqlite { .. }) if error.is_damage() => error.to_string(),
            opened => return opened,
        }
    };
    let repair::Repaired { aside, kept, damaged, whole } = repair::repair(dir, now_ms)?;
    tracing::error!(
        "the database was damaged ({why}): it is set aside as {}, {kept} entries were kept, {damaged} had a wrong \
         checksum{}",
        aside.display(),
        if whole { "" } else { ", others could not be read" }
    );
    open()
}
