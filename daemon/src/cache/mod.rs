//! The cache: the one thing commands and connections talk to. It runs commands against the tiers, commits each turn's
//! writes together, has missing rows read, and keeps the background work going. Never parses or answers a request.
//!
//! Everything here lives on the event loop's thread; nothing is locked. A borrow of the inside never spans an await.
//!
//! ```text
//! connection: run() ... run()      commands run one after the other, writes go to this turn's batch
//!      |  reply depends on a write?      --> turn().committed().await --> answer
//! committer: woken by the first write, steps back once so that every other ready connection can add to the turn,
//!            then commits one journal row and makes the writes visible
//! loader:    woken by the first missing key, steps back once, then reads all missing rows on blocking threads
//! ```

mod background;
mod clean;
mod commit;
mod front;
mod loads;
mod memory;
#[cfg(test)]
mod schedules;
#[cfg(test)]
pub(crate) mod testing;
mod tiers;
mod turn;
mod view;
mod walk;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use larder_protocol::Stat;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

pub use background::Background;
pub use memory::Memory;
pub use turn::Turn;
pub use view::{Rules, Stop, View};
pub use walk::Count;

use crate::clock::Clock;
use crate::config::{Durability, Settings};
use crate::entry::Key;
use crate::error::CommandError;
use crate::stats::Counters;
use crate::store::batch::BatchEncoder;
use crate::store::{self, Accounting, Journal, Store, StoreError, Sync};
use clean::Cleaning;
use loads::Ticket;
use tiers::{Tiers, Wanted};

/// How long a write waits for room in the write buffer before it is answered with an error.
const ROOM_WAIT: Duration = Duration::from_secs(5);

/// A handle to the cache; clones share it. Of the event loop's thread only.
#[derive(Clone, Debug)]
pub struct Cache(Rc<Shared>);

#[derive(Debug)]
struct Shared {
    inner: RefCell<Inner>,
    clock: Clock,
    /// There are writes to commit.
    work: Notify,
    /// There are rows to load.
    wanted: Notify,
    /// A merge has ended or is held up, or there is a spare journal: who waits for room or a merge looks again.
    changed: Notify,
    /// The daemon cannot go on; the reason is in `fatal_error`.
    fatal: CancellationToken,
    fatal_error: RefCell<Option<StoreError>>,
    config: Config,
    live: Cell<Live>,
    /// `live` has changed.
    applied: Notify,
}

/// The settings that matter here.
#[derive(Clone, Copy, Debug)]
struct Config {
    durability: Durability,
    buffer_cap_bytes: u64,
    merge_bytes: u64,
    journal_limit_bytes: u64,
    merge_interval: Duration,
    flush_interval: Duration,
}

/// Those that may change while the daemon runs.
#[derive(Clone, Copy, Debug)]
struct Live {
    cleanup_interval: Duration,
    rules: Rules,
}

impl Live {
    fn of(settings: &Settings) -> Self {
        Self {
            cleanup_interval: settings.cleanup_interval,
            rules: Rules {
                default_ttl_ms: settings.default_ttl.map(|ttl| ttl.as_millis() as i64),
                answer_bytes_max: settings.frame_limits().request_bytes,
            },
        }
    }
}

/// The journal of the generation after the active one.
#[derive(Debug)]
enum Spare {
    Ready(Box<Journal>),
    /// The keeper is creating it. It is asked for one at a time, so that journals and generations keep the same numbers.
    Asked,
    /// It could not be created; to be asked for again.
    Missing,
}

#[derive(Debug)]
struct Inner {
    tiers: Tiers,
    counters: Counters,
    store: Option<Store>,
    journal: Journal,
    spare: Spare,
    batch: BatchEncoder,
    turn: Rc<Turn>,
    accounting: Accounting,
    cleaning: Cleaning,
    /// Why the keeper cannot merge at present, if so.
    no_merge: Option<String>,
    /// Why there is no next journal at present, if so.
    no_spare: Option<String>,
    stopping: bool,
}

impl Cache {
    /// Opens the store and starts with what it holds.
    ///
    /// # Errors
    /// Where the store cannot be opened.
    pub fn open(
        settings: &Settings,
        clock: Clock,
        commands: usize,
    ) -> Result<(Self, Background), StoreError> {
        let memory = Memory::new(settings.memory_cap_bytes);
        let options = store::Options {
            dir: settings.data.clone(),
            sync: match settings.durability {
                Durability::Fsync => Sync::EveryCommit,
                Durability::Commit | Durability::Memory => Sync::Deferred,
            },
            sync_interval: settings.sync_interval,
            readers: settings.readers as u32,
            sweep_slice_rows: settings.cleanup_slice_rows,
        };
        let refreshed = memory.clone();
        let opened = Store::open(options, clock, Box::new(move |generation| refreshed.refresh(generation)))?;
        let active_id = opened.journal.generation();
        let inner = Inner {
            tiers: Tiers::new(memory, active_id, opened.recovered, opened.accounting.rows),
            counters: Counters::new(commands),
            store: Some(opened.store),
            journal: opened.journal,
            spare: Spare::Asked,
            batch: BatchEncoder::default(),
            turn: Rc::default(),
            accounting: opened.accounting,
            cleaning: Cleaning::default(),
            no_merge: None,
            no_spare: None,
            stopping: false,
        };
        let config = Config {
            durability: settings.durability,
            buffer_cap_bytes: settings.buffer_cap_bytes,
            merge_bytes: settings.merge_bytes,
            journal_limit_bytes: settings.journal_limit_bytes,
            merge_interval: settings.merge_interval,
            flush_interval: settings.flush_interval,
        };
        let cache = Self(Rc::new(Shared {
            inner: RefCell::new(inner),
            clock,
            work: Notify::new(),
            wanted: Notify::new(),
            changed: Notify::new(),
            fatal: CancellationToken::new(),
            fatal_error: RefCell::default(),
            config,
            live: Cell::new(Live::of(settings)),
            applied: Notify::new(),
        }));
        let background = Background::new(cache.clone(), opened.events, opened.sync_reports);
        Ok((cache, background))
    }

    /// Runs commands one after the other, uninterrupted. Keys that must be loaded first are noted in `missing`.
    pub fn run<T>(&self, missing: &mut Vec<Key>, commands: impl FnOnce(&mut View<'_>) -> T) -> T {
        let now_ms = self.now_ms();
        let mut inner = self.0.inner.borrow_mut();
        let Inner { tiers, counters, .. } = &mut *inner;
        let mut view = View::new(tiers, counters, missing, now_ms, self.0.live.get().rules);
        let done = commands(&mut view);
        if tiers.has_pending() {
            self.0.work.notify_one();
        }
        done
    }

    /// The turn whose commit covers what was just run. `None` where answers do not wait for it (durability `memory`).
    #[must_use]
    pub fn turn(&self) -> Option<Rc<Turn>> {
        (self.0.config.durability != Durability::Memory).then(|| Rc::clone(&self.0.inner.borrow().turn))
    }

    /// Has the rows of `keys` read; they can be looked up for as long as the result is held. Keys that have become known
    /// since they were found missing are left out.
    pub async fn load(&self, keys: Vec<Key>) -> Loaded<'_> {
        let ticket = Rc::new(Ticket::default());
        let now_ms = self.now_ms();
        // Made before the wait: a connection that goes away meanwhile gives its keys back all the same.
        let mut loaded = Loaded { cache: self, keys: Vec::with_capacity(keys.len()) };
        {
            let mut inner = self.0.inner.borrow_mut();
            let mut shared = 0;
            for key in keys {
                match inner.tiers.want(&key, &ticket, now_ms) {
                    Wanted::Known => continue,
                    Wanted::Asked => {}
                    Wanted::Shared => shared += 1,
                }
                loaded.keys.push(key);
            }
            inner.counters.add(Stat::SharedReads, shared);
        }
        self.0.wanted.notify_one();
        ticket.arrived().await;
        loaded
    }

    /// Commits what was written in this turn, without waiting for who else is ready.
    pub fn commit_now(&self) {
        self.commit();
    }

    /// Whether the write buffer can take another write.
    #[must_use]
    pub fn has_room(&self) -> bool {
        (self.0.inner.borrow().tiers.buffer_figures().1 as u64) < self.0.config.buffer_cap_bytes
    }

    /// Waits until the write buffer can take another write.
    ///
    /// # Errors
    /// At once where the disk is full, after some seconds where it is only slow.
    pub async fn room(&self) -> Result<(), CommandError> {
        let wait = async {
            loop {
                let freed = self.0.changed.notified();
                if self.has_room() {
                    return Ok(());
                }
                if let Some(reason) = self.0.inner.borrow().stuck() {
                    return Err(CommandError::Full(reason.to_owned()));
                }
                freed.await;
            }
        };
        tokio::time::timeout(ROOM_WAIT, wait).await.unwrap_or(Err(CommandError::Busy {
            limit_bytes: self.0.config.buffer_cap_bytes,
            waited_s: ROOM_WAIT.as_secs(),
        }))
    }

    /// Goes by the new values of those settings that may change while the daemon runs.
    pub fn apply(&self, settings: &Settings) {
        self.0.live.set(Live::of(settings));
        self.0.applied.notify_one();
    }

    /// The time, in unix milliseconds.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        self.0.clock.now_ms()
    }

    /// The clock.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.0.clock
    }

    /// Counts something that happened outside a command.
    pub fn count(&self, stat: Stat, n: u64) {
        self.0.inner.borrow_mut().counters.add(stat, n);
    }

    /// Counts a call of the command at `index` in the registry.
    pub fn called(&self, index: usize) {
        self.0.inner.borrow_mut().counters.called(index);
    }

    /// Lowers a gauge.
    pub fn uncount(&self, stat: Stat, n: u64) {
        self.0.inner.borrow_mut().counters.sub(stat, n);
    }

    /// Reads the counters.
    pub fn counters<T>(&self, read: impl FnOnce(&Counters) -> T) -> T {
        read(&self.0.inner.borrow().counters)
    }

    /// Cancelled when the daemon cannot go on.
    #[must_use]
    pub fn fatal(&self) -> &CancellationToken {
        &self.0.fatal
    }

    /// Why the daemon cannot go on.
    #[must_use]
    pub fn take_fatal_error(&self) -> Option<StoreError> {
        self.0.fatal_error.borrow_mut().take()
    }

    /// Durability, as configured.
    #[must_use]
    pub fn durability(&self) -> Durability {
        self.0.config.durability
    }

    /// Sets the gauges that are read off the tiers and files, so that the counters are complete.
    pub async fn refresh_gauges(&self) {
        // moka's own count lags behind until its housekeeping has run, which after a flush takes a while.
        let memory = self.0.inner.borrow().tiers.memory().clone();
        background::blocking(move || memory.tidy()).await;
        let mut inner = self.0.inner.borrow_mut();
        let inner = &mut *inner;
        let (slots, bytes) = inner.tiers.buffer_figures();
        let (memory_entries, memory_bytes, memory_cap_bytes, memory_evictions) = inner.tiers.memory_figures();
        let (main_bytes, wal_bytes) = inner.store.as_ref().map_or((0, 0), Store::main_file_bytes);
        let journal_bytes = inner.journal.bytes();
        for (stat, value) in [
            (Stat::BufferEntries, slots as u64),
            (Stat::BufferBytes, bytes as u64),
            (Stat::MemoryEntries, memory_entries),
            (Stat::MemoryBytes, memory_bytes),
            (Stat::MemoryCapBytes, memory_cap_bytes),
            (Stat::MemoryEvictions, memory_evictions),
            (Stat::DiskBytes, main_bytes + wal_bytes + journal_bytes),
            (Stat::WalBytes, wal_bytes),
            (Stat::JournalBytes, journal_bytes),
        ] {
            inner.counters.set(stat, value);
        }
    }
}

/// Rows that were loaded for someone, and are given back when this is dropped.
#[derive(Debug)]
pub struct Loaded<'a> {
    cache: &'a Cache,
    keys: Vec<Key>,
}

impl Drop for Loaded<'_> {
    fn drop(&mut self) {
        let mut inner = self.cache.0.inner.borrow_mut();
        for key in &self.keys {
            inner.tiers.done(key);
        }
    }
}
