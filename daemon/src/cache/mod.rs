//! The cache: the one thing commands and connections talk to. It runs commands against the tiers, commits each turn's
//! writes together, has missing rows read, and keeps the background work going. Never parses or answers a request.
//!
//! Everything here lives on the event loop's thread; nothing is locked. A borrow of the inside never spans an await.
//!
//! ```text
//! connection: run() ... run()      commands run one after the other, writes go to this turn's batch; rows that are there
//!      |                           at once are read on the way
//!      |  reply depends on a write?      --> turn().tell(), answered by the committer; or turn().committed().await
//! committer: woken by the first write, steps back once so that every other ready connection can add to the turn,
//!            then commits one journal row and makes the writes visible
//! loader:    woken by the first missing key, steps back once, then has all missing rows read on blocking threads
//! ```

mod at_once;
mod background;
mod backup;
mod clean;
mod commit;
mod count;
mod cursors;
mod fitting;
mod front;
mod gauges;
mod hold;
mod hot;
mod in_memory;
mod loads;
mod look_up;
mod memory;
mod order;
mod preload;
mod probe;
mod random_key;
mod room;
#[cfg(test)]
mod schedules;
mod settings;
mod telling;
#[cfg(test)]
pub(crate) mod testing;
mod tiers;
mod turn;
mod view;
mod walk;
mod watch;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use larder_protocol::Stat;
use tokio::sync::{Mutex, Notify};
use tokio_util::sync::CancellationToken;

pub use background::Background;
pub use count::Count;
#[cfg(feature = "bench")]
pub use front::Front;
pub use hold::Hold;
pub use memory::Memory;
pub use room::Taking;
pub use settings::store_options;
pub use turn::{AtTurnsEnd, Outcome, Turn};
pub use view::{Rules, Stop, View};
pub use walk::Page;
pub use watch::Watch;

use crate::clock::{Clock, Stopwatch};
use crate::config::{Durability, Settings};
use crate::entry::Key;
use crate::events::Events;
use crate::notices::Notices;
use crate::planted::{Bug, planted};
use crate::stats::{Counters, Durations};
use crate::store::batch::BatchEncoder;
use crate::store::{Accounting, Budget, HotList, Journal, PageSize, Store, StoreError};
use at_once::AtOnce;
use backup::BackingUp;
use clean::Cleaning;
use hot::Hot;
use loads::Ticket;
use probe::Probe;
use room::DiskRoom;
use settings::{Config, Live};
use tiers::{Tiers, Wanted};
use walk::Walks;

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
    /// The front takes more than it may.
    front_is_behind: Notify,
    /// A merge has ended or is held up, or there is a spare journal: who waits for room or a merge looks again.
    changed: Notify,
    /// The daemon cannot go on; the reason is in `fatal_error`.
    fatal: CancellationToken,
    fatal_error: RefCell<Option<StoreError>>,
    config: Config,
    live: Cell<Live>,
    /// `live` has changed.
    applied: Notify,
    /// Whether a transaction has this turn to itself, and whether it is what runs now.
    held: Cell<bool>,
    holder_runs: Cell<bool>,
    /// There are changes of keys to tell.
    noticed: Notify,
    /// What has happened, for those who listen.
    events: Events,
    /// Held by whoever reads or writes the file, also while that goes on on another thread.
    hot_list: Arc<Mutex<HotList>>,
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
    commit_us: Durations,
    store: Option<Store>,
    journal: Journal,
    spare: Spare,
    /// What pages the journals to come should have.
    journal_page: PageSize,
    batch: BatchEncoder,
    turn: Rc<Turn>,
    accounting: Accounting,
    cleaning: Cleaning,
    backing_up: BackingUp,
    walks: Walks,
    at_once: AtOnce,
    hot: Hot,
    notices: Notices,
    probe: Probe,
    /// Why the keeper cannot merge at present, if so.
    no_merge: Option<String>,
    /// Why there is no next journal at present, if so.
    no_spare: Option<String>,
    /// Why only deletions are taken at present, if so: what room there is on the disk is kept for them.
    full: Option<String>,
    /// Whether the keeper has still to be told of that.
    full_unreported: bool,
    /// What journals may hold beside what is free on the disk.
    disk: DiskRoom,
    stopping: bool,
}

impl Shared {
    fn new(inner: Inner, settings: &Settings, budget: &Budget, clock: Clock) -> Self {
        let hot_list = HotList::in_dir(&settings.data, budget.hot_list_bytes);
        Self {
            inner: RefCell::new(inner),
            clock,
            work: Notify::new(),
            wanted: Notify::new(),
            front_is_behind: Notify::new(),
            changed: Notify::new(),
            fatal: CancellationToken::new(),
            fatal_error: RefCell::default(),
            config: Config::of(settings, budget),
            live: Cell::new(Live::of(settings)),
            applied: Notify::new(),
            held: Cell::new(false),
            holder_runs: Cell::new(false),
            noticed: Notify::new(),
            events: Events::default(),
            hot_list: Arc::new(Mutex::new(hot_list)),
        }
    }
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
        let memory = Memory::new(settings.memory_cap_bytes, settings.memory_max_age.map(|age| age / 2));
        let opened = Store::open(&store_options(settings), clock, Box::new(memory.clone()))?;
        let active_id = opened.journal.generation();
        let inner = Inner {
            tiers: Tiers::new(memory, active_id, opened.recovered, opened.accounting.rows),
            counters: Counters::new(commands),
            commit_us: Durations::default(),
            store: Some(opened.store),
            journal: opened.journal,
            spare: Spare::Asked,
            journal_page: PageSize::default(),
            batch: BatchEncoder::default(),
            turn: Rc::default(),
            accounting: opened.accounting,
            cleaning: Cleaning::default(),
            backing_up: BackingUp::default(),
            walks: Walks::default(),
            at_once: AtOnce::new(Some(opened.quick_reader)),
            hot: Hot::default(),
            notices: Notices::default(),
            probe: Probe::default(),
            no_merge: None,
            no_spare: None,
            full: None,
            full_unreported: false,
            disk: DiskRoom::new(opened.budget.journal),
            stopping: false,
        };
        let cache = Self(Rc::new(Shared::new(inner, settings, &opened.budget, clock)));
        cache.tell_changes(settings.notify_keyspace_events);
        let background = Background::new(cache.clone(), opened.events, opened.sync_reports);
        Ok((cache, background))
    }

    /// Runs commands one after the other, uninterrupted. Keys that must be loaded first are noted in `missing`.
    pub fn run<T>(&self, missing: &mut Vec<Key>, commands: impl FnOnce(&mut View<'_>) -> T) -> T {
        self.run_at(Stopwatch::start(), missing, commands)
    }

    /// As [`run`](Self::run), at the time when `start` was started, which is now.
    pub fn run_at<T>(
        &self,
        start: Stopwatch,
        missing: &mut Vec<Key>,
        commands: impl FnOnce(&mut View<'_>) -> T,
    ) -> T {
        let now_ms = self.0.clock.ms_at(start);
        let mut inner = self.0.inner.borrow_mut();
        let Inner { tiers, counters, notices, at_once, .. } = &mut *inner;
        let had_read = at_once.has_read();
        let Live { rules, .. } = self.0.live.get();
        let turn_bytes = self.0.config.turn_bytes;
        let done = commands(&mut View {
            tiers,
            counters,
            at_once,
            missing,
            notices,
            now_ms,
            rules,
            turn_bytes,
            depends: false,
        });
        if at_once.has_read() && !had_read {
            self.0.wanted.notify_one();
        }
        if tiers.has_pending() {
            self.0.work.notify_one();
        }
        if notices.are_due() {
            self.0.noticed.notify_one();
        }
        if tiers.copies().front_is_behind() {
            self.0.front_is_behind.notify_one();
        }
        done
    }

    /// The turn whose commit covers what was just run. `None` where answers do not wait for it (durability `memory`).
    #[must_use]
    pub fn turn(&self) -> Option<Rc<Turn>> {
        let waits = self.0.config.durability != Durability::Memory && !planted(Bug::AnswerBeforeCommit);
        waits.then(|| Rc::clone(&self.0.inner.borrow().turn))
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

    /// Goes by the new values of those settings that may change while the daemon runs.
    pub fn apply(&self, settings: &Settings) {
        self.0.live.set(Live::of(settings));
        self.tell_changes(settings.notify_keyspace_events);
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

    /// What has happened of late.
    #[must_use]
    pub fn events(&self) -> &Events {
        &self.0.events
    }

    /// Ends `watch`.
    pub fn unwatch(&self, watch: &Watch) {
        self.0.inner.borrow_mut().tiers.watches().remove(watch);
    }

    /// Cancelled when the daemon cannot go on.
    #[must_use]
    pub fn fatal(&self) -> &CancellationToken {
        &self.0.fatal
    }

    /// Durability, as configured.
    #[must_use]
    pub fn durability(&self) -> Durability {
        self.0.config.durability
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
