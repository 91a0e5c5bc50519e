//! The keeper: the one thread that writes the main file. It merges sealed generations, sweeps expired rows, checkpoints,
//! and prepares the next journal, all in slices, beside the traffic. It never answers a client.
//!
//! Jobs come in over a bounded channel, events go out over another; the event loop never waits for either.

use std::collections::VecDeque;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::mpsc;

use super::error::StoreError;
use super::journal::{Found, Journal, Sync};
use super::main_file;
use super::merge::{self, Accounting};
use crate::buffer::Generation;
use crate::clock::{Clock, Stopwatch};

/// Jobs waiting at most. The loop has one merge, one sweep and one spare under way at a time.
const JOBS: usize = 8;

/// Events waiting at most before the keeper waits for the loop.
const EVENTS: usize = 64;

/// The main file's log is checkpointed and cut back when it has grown to this.
const WAL_LIMIT_BYTES: u64 = 32 << 20;

/// How long a stop waits for a merge under way. What is not merged then stays in the journal.
const STOP_GRACE_MS: i64 = 3_000;

/// Pause before a failed merge is tried again; disks rarely empty sooner.
const RETRY: Duration = Duration::from_millis(500);

/// Where the writes of a generation are still to be found on disk.
#[derive(Debug)]
pub(super) enum Backing {
    /// The journal it was written to.
    Journal(Box<Journal>),
    /// Journals an earlier run left behind.
    Found(Vec<Found>),
}

/// What the keeper is asked to do.
#[derive(Debug)]
pub(super) enum Job {
    /// Merge a sealed generation, then delete its journal.
    Merge(Arc<Generation>, Backing),
    /// Remove all rows whose deadline has passed.
    Sweep,
    /// Create the journal of the generation after the active one.
    Spare,
    /// Finish what is queued, then end.
    Stop,
}

/// What the keeper tells the event loop.
#[derive(Debug)]
pub enum Event {
    /// A generation is wholly in the main file, and the memory tier was brought up to date with it.
    Merged(Merged),
    /// A merge did not get through for want of room and is being tried again.
    MergeFailed(StoreError),
    /// The next journal could not be created: ask again later.
    SpareFailed(StoreError),
    /// A sweep has ended.
    Swept(Swept),
    /// An empty journal for the generation after the active one.
    Spare(Box<Journal>),
    /// The keeper cannot go on; the process must end. Nothing answered is lost: the journals are still there.
    Fatal(StoreError),
}

/// A finished merge.
#[derive(Clone, Copy, Debug)]
pub struct Merged {
    /// The generation that is in the main file now.
    pub generation: u64,
    /// Slots merged.
    pub rows: usize,
    /// Entries that expired before they were merged.
    pub expired: usize,
    /// Duration.
    pub ms: u64,
    /// Times the main file's log was checkpointed on the way.
    pub checkpoints: u64,
    /// The main file's figures after it.
    pub accounting: Accounting,
}

/// A finished sweep.
#[derive(Clone, Copy, Debug)]
pub struct Swept {
    /// Rows removed.
    pub rows: usize,
    /// Duration.
    pub ms: u64,
    /// The main file's figures after it.
    pub accounting: Accounting,
}

/// Called with a merged generation before it is let go: the moment to bring copies of its keys up to date.
pub type Refresh = Box<dyn Fn(&Generation) + Send>;

/// The loop's end of the keeper.
#[derive(Debug)]
pub(super) struct Keeper {
    jobs: SyncSender<Job>,
    thread: JoinHandle<()>,
    clock: Clock,
    /// When an unfinished merge is left to the next start, in unix milliseconds.
    give_up_ms: Arc<AtomicI64>,
}

/// What the keeper needs to know.
pub(super) struct Setup {
    pub(super) dir: PathBuf,
    pub(super) sync: Sync,
    pub(super) clock: Clock,
    pub(super) sweep_slice_rows: usize,
    pub(super) refresh: Refresh,
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
        let desk = Desk {
            setup,
            connection,
            accounting,
            wal,
            next_journal,
            outbox,
            sweeps: VecDeque::new(),
            give_up_ms: Arc::clone(&give_up_ms),
        };
        let thread = std::thread::Builder::new()
            .name("keeper".into())
            .spawn(move || desk.work(&inbox))
            .map_err(StoreError::io("start thread", "keeper".as_ref()))?;
        Ok((Self { jobs, thread, clock, give_up_ms }, events))
    }

    /// Hands a job over; refused where the queue is full or the thread has ended.
    pub(super) fn submit(&self, job: Job) -> Result<(), StoreError> {
        self.jobs.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::KeeperBusy,
            TrySendError::Disconnected(_) => StoreError::KeeperGone,
        })
    }

    /// Asks the thread to finish and waits until it has.
    pub(super) fn stop(self) {
        self.give_up_ms.store(self.clock.now_ms() + STOP_GRACE_MS, Ordering::Relaxed);
        // A full queue still empties: the thread works on.
        let _ = self.jobs.send(Job::Stop);
        if self.thread.join().is_err() {
            tracing::error!("the storage thread panicked; what it had not merged stays in the journal");
        }
    }
}

/// The thread's own state.
struct Desk {
    setup: Setup,
    connection: Connection,
    accounting: Accounting,
    wal: File,
    next_journal: u64,
    outbox: mpsc::Sender<Event>,
    sweeps: VecDeque<Sweep>,
    give_up_ms: Arc<AtomicI64>,
}

/// A sweep under way.
struct Sweep {
    rows: usize,
    watch: Stopwatch,
}

/// The loop has gone, or something failed for good.
struct End;

impl Desk {
    fn work(mut self, inbox: &Receiver<Job>) {
        loop {
            // Jobs go before sweeping: a sweep can take long, and it is done a slice at a time for that reason.
            let job = if self.sweeps.is_empty() {
                inbox.recv().map_err(|_| TryRecvError::Disconnected)
            } else {
                inbox.try_recv()
            };
            let done = match job {
                Ok(Job::Merge(generation, backing)) => self.merge(&generation, backing, inbox),
                Ok(Job::Sweep) => {
                    self.begin_sweep();
                    Ok(())
                }
                Ok(Job::Spare) => self.prepare_spare(),
                Ok(Job::Stop) | Err(TryRecvError::Disconnected) => return,
                Err(TryRecvError::Empty) => self.sweep(),
            };
            if done.is_err() {
                return;
            }
        }
    }

    fn merge(
        &mut self,
        generation: &Arc<Generation>,
        backing: Backing,
        inbox: &Receiver<Job>,
    ) -> Result<(), End> {
        let watch = Stopwatch::start();
        let mut merged = Merged {
            generation: generation.id(),
            rows: 0,
            expired: 0,
            ms: 0,
            checkpoints: 0,
            accounting: self.accounting,
        };
        let sorted = generation.sorted();
        let mut flushed = !generation.flushed();
        loop {
            if self.setup.clock.now_ms() >= self.give_up_ms.load(Ordering::Relaxed) {
                tracing::info!("stopping with {} writes left in the journal", sorted.len() - merged.rows);
                return Err(End);
            }
            match self.merge_step(generation.id(), &sorted, &mut flushed, &mut merged) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) if error.is_full() => {
                    self.send(Event::MergeFailed(error))?;
                    self.pause(inbox)?;
                }
                Err(error) => {
                    self.send(Event::Fatal(error))?;
                    return Err(End);
                }
            }
        }
        (self.setup.refresh)(generation);
        merged.ms = watch.ms();
        merged.accounting = self.accounting;
        self.send(Event::Merged(merged))?;
        delete_backing(backing);
        Ok(())
    }

    /// One slice; false when the generation is wholly merged and forced to disk.
    fn merge_step(
        &mut self,
        generation: u64,
        sorted: &[(&crate::entry::Key, &crate::buffer::Slot)],
        flushed: &mut bool,
        merged: &mut Merged,
    ) -> Result<bool, StoreError> {
        let sqlite = |source| StoreError::sqlite("merge into", &main_file::path_in(&self.setup.dir))(source);
        if !*flushed {
            merge::flush(&self.connection, &mut self.accounting).map_err(sqlite)?;
            *flushed = true;
        } else if merged.rows < sorted.len() {
            let now_ms = self.setup.clock.now_ms();
            let rest = &sorted[merged.rows..];
            let done =
                merge::merge_slice(&self.connection, &mut self.accounting, rest, now_ms).map_err(sqlite)?;
            merged.rows += done.rows;
            merged.expired += done.expired;
        } else {
            merge::finish(&self.connection, &mut self.accounting, generation).map_err(sqlite)?;
            // Only then may the journal go: a power cut must find the writes in one of the two files.
            self.wal
                .sync_data()
                .map_err(StoreError::io("sync log of", &main_file::path_in(&self.setup.dir)))?;
            return Ok(false);
        }
        merged.checkpoints += u64::from(self.checkpoint_if_large()?);
        Ok(true)
    }

    fn begin_sweep(&mut self) {
        self.sweeps.push_back(Sweep { rows: 0, watch: Stopwatch::start() });
    }

    fn sweep(&mut self) -> Result<(), End> {
        let slice = self.setup.sweep_slice_rows;
        let now_ms = self.setup.clock.now_ms();
        let swept = merge::sweep_slice(&self.connection, &mut self.accounting, slice, now_ms);
        let Some(sweep) = self.sweeps.front_mut() else { return Ok(()) };
        let more = match swept {
            Ok(done) => {
                sweep.rows += done.rows;
                done.rows == slice
            }
            Err(error) => {
                // Expired rows are never served, so a failed sweep costs room, not truth: the next one goes on.
                tracing::warn!("clean-up stopped early: {error}");
                false
            }
        };
        if let Err(error) = self.checkpoint_if_large() {
            tracing::warn!("{error}");
        }
        if more {
            return Ok(());
        }
        let Some(Sweep { rows, watch }) = self.sweeps.pop_front() else { return Ok(()) };
        self.send(Event::Swept(Swept { rows, ms: watch.ms(), accounting: self.accounting }))
    }

    fn checkpoint_if_large(&mut self) -> Result<bool, StoreError> {
        if self.wal.metadata().map_or(0, |wal| wal.len()) < WAL_LIMIT_BYTES {
            return Ok(false);
        }
        // TRUNCATE waits for readers, whose transactions are short; a slow one is retried after the next slice.
        let busy: bool = self
            .connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |row| row.get(0))
            .map_err(StoreError::sqlite("checkpoint", &main_file::path_in(&self.setup.dir)))?;
        Ok(!busy)
    }

    fn prepare_spare(&mut self) -> Result<(), End> {
        match Journal::create(&self.setup.dir, self.next_journal, self.setup.sync) {
            Ok(journal) => {
                self.next_journal += 1;
                self.send(Event::Spare(Box::new(journal)))
            }
            // Disk full, out of file descriptors or the like: without a spare the active generation grows on for a while.
            Err(error) => self.send(Event::SpareFailed(error)),
        }
    }

    /// Waits a while before a retry, unless the daemon is to stop: the journal then keeps what is not merged.
    fn pause(&mut self, inbox: &Receiver<Job>) -> Result<(), End> {
        match inbox.recv_timeout(RETRY) {
            Ok(Job::Stop) | Err(RecvTimeoutError::Disconnected) => return Err(End),
            Ok(Job::Sweep) => self.begin_sweep(),
            Ok(Job::Spare) => self.prepare_spare()?,
            Ok(Job::Merge(..)) => unreachable!("one merge at a time is under way"),
            Err(RecvTimeoutError::Timeout) => {}
        }
        Ok(())
    }

    fn send(&self, event: Event) -> Result<(), End> {
        self.outbox.blocking_send(event).map_err(|_| End)
    }
}

fn delete_backing(backing: Backing) {
    let deleted = match backing {
        Backing::Journal(journal) => journal.delete(),
        Backing::Found(found) => found.iter().try_for_each(Found::delete),
    };
    if let Err(error) = deleted {
        tracing::warn!("{error}; it is merged already and goes at the next start");
    }
}
