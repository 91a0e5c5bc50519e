//! The keeper: the one thread that writes the main file. It merges sealed generations ([`merging`]), removes what has
//! expired, evicts, checkpoints and gives room back ([`upkeep`]), prepares the next journal, and writes backups
//! ([`backup`]), all in slices, beside the traffic. It never answers a client.
//!
//! Jobs come in over a bounded channel, events go out over another; the event loop never waits for either. Jobs go first;
//! between them the keeper does what is left to do, a slice at a time, and sleeps when there is nothing.

mod backup;
mod merging;
mod messages;
mod slices;
mod upkeep;

use std::collections::VecDeque;
use std::fs::File;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::mpsc;

use super::accounting::Accounting;
use super::budget::Budget;
use super::error::StoreError;
use super::evict::Evictor;
use super::journal::{Journal, PageSize, Sync};
use super::main_file;
use super::part::Rival;
use super::reserve::Reserve;
use super::row::{Compression, Packer};
use crate::buffer::Generation;
use crate::clock::{Clock, Stopwatch};
use crate::entry::Key;
use crate::notices::NoticeKind;
pub use backup::BackedUp;
pub(super) use messages::{Backing, Job};
pub use messages::{Event, Evicted, Merged, Swept};
use slices::Unhurried;
use upkeep::Idle;

/// Jobs waiting at most. The loop has one merge, one sweep, one spare, one backup and one report of a full disk under way
/// at a time.
const JOBS: usize = 8;

/// Events waiting at most before the keeper waits for the loop.
const EVENTS: usize = 64;

/// How long a stop waits for a merge under way. What is not merged then stays in the journal.
const STOP_GRACE_MS: i64 = 3_000;

/// How much less of a core the keeper gets where the event loop wants the same one. When it gets it is another matter: see
/// [`pace`]. Not more, or merges would starve where other programs use the cores.
const NICENESS: i32 = 5;

/// The memory tier, as the keeper needs it.
pub trait Copies: Send {
    /// Brings the copies of a merged generation's keys up to date, just before it is let go.
    fn refresh(&self, generation: &Generation);

    /// Whether there is a copy of this key's row: it was read lately, or often.
    fn has(&self, key: &[u8]) -> bool;

    /// These keys were removed because they had expired, or to make room. Copies of them are no longer asked for.
    fn removed(&self, why: NoticeKind, keys: Vec<Key>);
}

/// Where there is no memory tier.
impl Copies for () {
    fn refresh(&self, _: &Generation) {}

    fn has(&self, _: &[u8]) -> bool {
        false
    }

    fn removed(&self, _: NoticeKind, _: Vec<Key>) {}
}

/// Figures that others read while the keeper works.
#[derive(Debug, Default)]
pub struct Tally {
    /// Times the main file's log was checkpointed and cut back.
    pub checkpoints: std::sync::atomic::AtomicU64,
    /// Pages given back to the file system.
    pub vacuumed_pages: std::sync::atomic::AtomicU64,
}

/// The loop's end of the keeper.
#[derive(Debug)]
pub(super) struct Keeper {
    jobs: SyncSender<Job>,
    thread: JoinHandle<()>,
    clock: Clock,
    /// When an unfinished merge is left to the next start, in unix milliseconds.
    give_up_ms: Arc<AtomicI64>,
    tally: Arc<Tally>,
}

/// What the keeper needs to know.
pub(super) struct Setup {
    pub(super) dir: PathBuf,
    pub(super) sync: Sync,
    pub(super) clock: Clock,
    pub(super) sweep_slice_rows: usize,
    pub(super) budget: Budget,
    pub(super) compression: Compression,
    pub(super) copies: Box<dyn Copies>,
}

impl Keeper {
    /// Starts the thread with the main file's writing connection.
    pub(super) fn start(
        setup: Setup,
        connection: Connection,
        accounting: Accounting,
        next_journal: u64,
    ) -> Result<(Self, mpsc::Receiver<Event>), StoreError> {
        let wal_path = main_file::wal_path_in(&setup.dir);
        let wal = File::open(&wal_path).map_err(StoreError::io("open log of main file", &wal_path))?;
        let (jobs, inbox) = sync_channel(JOBS);
        let (outbox, events) = mpsc::channel(EVENTS);
        let clock = setup.clock;
        let give_up_ms = Arc::new(AtomicI64::new(i64::MAX));
        let tally = Arc::new(Tally::default());
        let (until_ms, counted) = (Arc::clone(&give_up_ms), Arc::clone(&tally));
        let reserve = Reserve::open(&setup.dir, setup.budget.reserve_bytes);
        let work = move || {
            let worker = Worker {
                reserve,
                packer: Packer::new(setup.compression),
                evictor: Evictor::default(),
                pressure: 1,
                looked_for_room: Stopwatch::start(),
                unhurried: Unhurried::default(),
                tidy: false,
                uncut: false,
                stop: false,
                setup,
                connection: Rc::new(connection),
                accounting,
                wal,
                next_journal,
                outbox,
                sweeps: VecDeque::new(),
                backups: VecDeque::new(),
                part: None,
                give_up_ms: until_ms,
                tally: counted,
            };
            worker.work(&inbox);
        };
        let thread = std::thread::Builder::new()
            .name("keeper".into())
            .spawn(work)
            .map_err(StoreError::io("start thread", "keeper".as_ref()))?;
        Ok((Self { jobs, thread, clock, give_up_ms, tally }, events))
    }

    /// Hands a job over; refused where the queue is full or the thread has ended.
    pub(super) fn submit(&self, job: Job) -> Result<(), StoreError> {
        self.jobs.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::KeeperBusy,
            TrySendError::Disconnected(_) => StoreError::KeeperGone,
        })
    }

    /// Figures of its work so far.
    pub(super) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Asks the thread to finish and waits until it has.
    pub(super) fn stop(self) {
        let grace_ends_ms = self.clock.now_ms() + STOP_GRACE_MS;
        self.end(grace_ends_ms);
    }

    /// As [`stop`](Self::stop), leaving a merge under way where it is.
    pub(super) fn abandon(self) {
        self.end(0);
    }

    fn end(self, give_up_ms: i64) {
        self.give_up_ms.store(give_up_ms, Ordering::Relaxed);
        // A full queue still empties: the thread works on.
        let _ = self.jobs.send(Job::Stop);
        if self.thread.join().is_err() {
            tracing::error!("the storage thread panicked; what it had not merged stays in the journal");
        }
    }
}

/// The thread's own state.
struct Worker {
    setup: Setup,
    /// Shared with the backup under way only: it reads from this connection while everything else works on.
    connection: Rc<Connection>,
    accounting: Accounting,
    packer: Packer,
    evictor: Evictor,
    /// How many slices' worth is evicted when one does not fit; grows as long as that is not enough.
    pressure: u32,
    reserve: Reserve,
    /// Since it was last tried to take the reserve again.
    looked_for_room: Stopwatch,
    /// How large slices are that can take their time.
    unhurried: Unhurried,
    /// Whether the file may have pages to give back, or be above its cap.
    tidy: bool,
    /// Whether pages were given back that are still part of the file: its end is cut off by a checkpoint.
    uncut: bool,
    /// Whether to end once the merge under way has.
    stop: bool,
    wal: File,
    next_journal: u64,
    outbox: mpsc::Sender<Event>,
    sweeps: VecDeque<Sweep>,
    /// Where backups were asked for.
    backups: VecDeque<PathBuf>,
    /// The file of the backup under way, where it takes room from the same file system.
    part: Option<Rival>,
    give_up_ms: Arc<AtomicI64>,
    tally: Arc<Tally>,
}

/// A sweep under way.
struct Sweep {
    rows: usize,
    bytes: i64,
    watch: Stopwatch,
}

/// The loop has gone, or something failed for good.
struct End;

impl Worker {
    fn work(mut self, inbox: &Receiver<Job>) {
        // Where it may not, it works on as before.
        let _ = rustix::process::setpriority_process(None, NICENESS);
        if !self.reserve.is_held() {
            let _ = self.send(Event::Full(self.no_reserve()));
        }
        self.tidy = true;
        // Before the first merge, which may be large, where the cap was lowered.
        if let Err(error) = self.limit_size() {
            let _ = self.send(Event::Fatal(error));
            return;
        }
        while !self.stop {
            let job = match self.idle() {
                Idle::Now => inbox.try_recv(),
                Idle::After(pause) => inbox.recv_timeout(pause).map_err(|error| match error {
                    RecvTimeoutError::Timeout => TryRecvError::Empty,
                    RecvTimeoutError::Disconnected => TryRecvError::Disconnected,
                }),
                Idle::Never => inbox.recv().map_err(|_| TryRecvError::Disconnected),
            };
            let done = match job {
                Ok(Job::Merge(generation, backing)) => self.merge(generation, backing, inbox),
                Ok(Job::Stop) | Err(TryRecvError::Disconnected) => return,
                Ok(job) => self.small(&job),
                Err(TryRecvError::Empty) => match self.next_backup() {
                    Some(target) => self.back_up(&target, inbox),
                    None => self.tidy_up(),
                },
            };
            if done.is_err() {
                return;
            }
        }
    }

    /// A job that takes next to no time.
    fn small(&mut self, job: &Job) -> Result<(), End> {
        match job {
            Job::Sweep => self.sweeps.push_back(Sweep { rows: 0, bytes: 0, watch: Stopwatch::start() }),
            Job::Spare(page) => return self.prepare_spare(*page),
            // Said back: that there was room again may be on its way.
            Job::Full => return self.use_reserve(self.no_reserve()),
            Job::Backup(target) => self.backups.push_back(target.clone()),
            Job::Merge(..) | Job::Stop => {
                unreachable!("one merge at a time is under way, and a stop ends it")
            }
        }
        Ok(())
    }

    /// Takes on what came in during a merge, without waiting for its end: a full disk that was found meanwhile has to be
    /// made room on.
    fn hear(&mut self, inbox: &Receiver<Job>) -> Result<(), End> {
        while !self.stop {
            match inbox.try_recv() {
                // The merge may still end within the time it is left.
                Ok(Job::Stop) => self.stop = true,
                Ok(job) => self.small(&job)?,
                Err(_) => break,
            }
        }
        Ok(())
    }

    /// Waits a while before a retry, unless the daemon is to stop: the journal then keeps what is not merged.
    fn pause(&mut self, inbox: &Receiver<Job>, pause: Duration) -> Result<(), End> {
        match inbox.recv_timeout(pause) {
            Ok(Job::Stop) | Err(RecvTimeoutError::Disconnected) => Err(End),
            Ok(job) => self.small(&job),
            Err(RecvTimeoutError::Timeout) => Ok(()),
        }
    }

    fn prepare_spare(&mut self, page: PageSize) -> Result<(), End> {
        match Journal::create_with_pages(&self.setup.dir, self.next_journal, self.setup.sync, page) {
            Ok(journal) => {
                self.next_journal += 1;
                self.send(Event::Spare(Box::new(journal)))
            }
            // Disk full, out of file descriptors or the like: without a spare the active generation grows on for a while.
            Err(error) => self.send(Event::SpareFailed(error)),
        }
    }

    fn send(&self, event: Event) -> Result<(), End> {
        self.outbox.blocking_send(event).map_err(|_| End)
    }

    /// For `map_err`: names what was being done to the main file.
    fn sqlite(&self, action: &'static str) -> impl FnOnce(rusqlite::Error) -> StoreError + use<> {
        StoreError::sqlite(action, &main_file::path_in(&self.setup.dir))
    }
}
