//! The work beside the commands, as tasks of the event loop: committing, loading, listening to the store's threads, and
//! the intervals for merging and clean-up.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use larder_protocol::Stat;
use larder_protocol::stream::{Event as Told, EventKind};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use super::at_once::AtOnce;
use super::hot::AT_STOP_MS_MAX;
use super::{Cache, Inner, Spare};
use crate::config::Durability;
use crate::entry::Key;
use crate::error::CommandError;
use crate::pace::{self, Haste};
use crate::planted::{Bug, planted};
use crate::store::{Event, Fetched, Merged, Readers, Store, StoreError, Synced};

/// Keys one blocking thread reads before another could have helped: some hundred microseconds of work.
pub(super) const LOAD_CHUNK: usize = 64;

/// How often a turn that keeps growing is left open. Against one look, 8 make turns of 5.5 instead of 4.5 writes (50
/// connections, one SET each) and take 2 to 4 % off the CPU time of a SET; a look costs a poll for events of 0.2 us, a small
/// commit 7.
const LOOKS_MAX: usize = 8;

/// The cache's tasks, not yet running.
#[derive(Debug)]
pub struct Background {
    cache: Cache,
    events: mpsc::Receiver<Event>,
    synced: mpsc::Receiver<Synced>,
}

impl Background {
    pub(super) fn new(cache: Cache, events: mpsc::Receiver<Event>, synced: mpsc::Receiver<Synced>) -> Self {
        Self { cache, events, synced }
    }

    /// Starts the tasks on the current event loop. They run until it ends; a panic in one of them shows up in the
    /// returned set, and the process must end then: answers would be waited for in vain.
    #[must_use]
    pub fn spawn(self) -> JoinSet<()> {
        let Self { cache, events, synced } = self;
        let mut tasks = JoinSet::new();
        tasks.spawn_local(cache.clone().commit_turns());
        tasks.spawn_local(cache.clone().load_wanted());
        tasks.spawn_local(cache.clone().hear_keeper(events));
        tasks.spawn_local(cache.clone().hear_syncer(synced));
        tasks.spawn_local(cache.clone().merge_in_intervals());
        tasks.spawn_local(cache.clone().clean_in_intervals());
        tasks.spawn_local(cache.clone().keep_the_front_small());
        if let Some(half) = cache.0.config.memory_half_age {
            tasks.spawn_local(cache.clone().empty_the_front_in_intervals(half));
        }
        tasks.spawn_local(cache.keep_hot_keys());
        tasks
    }
}

impl Cache {
    async fn commit_turns(self) {
        loop {
            self.0.work.notified().await;
            if self.0.config.durability == Durability::Memory {
                tokio::time::sleep(self.0.config.flush_interval).await;
            } else {
                self.let_others_join().await;
            }
            if planted(Bug::AnswerBeforeCommit) || planted(Bug::PublishBeforeCommit) {
                // Long enough for a kill to fall into it.
                self.0.clock.sleep(Duration::from_millis(2)).await;
            }
            self.commit();
        }
    }

    /// Steps back until nobody joins the turn any more, or everybody has. Every connection that is ready runs before this
    /// task is polled again, so this waits for no one who has not sent anything yet.
    async fn let_others_join(&self) {
        let joined = || {
            let inner = self.0.inner.borrow();
            (inner.turn.waiting() as u64, inner.counters.get(Stat::Connections))
        };
        let (mut before, mut connections) = joined();
        for _ in 0..LOOKS_MAX {
            if before == connections {
                return;
            }
            tokio::task::yield_now().await;
            let after;
            (after, connections) = joined();
            if after == before {
                return;
            }
            before = after;
        }
    }

    async fn load_wanted(self) {
        loop {
            self.0.wanted.notified().await;
            tokio::task::yield_now().await;
            let (keys, readers) = {
                let mut inner = self.0.inner.borrow_mut();
                inner.at_once.begin_turn();
                let keys = inner.tiers.take_wanted();
                inner.counters.add(Stat::DiskReads, keys.len() as u64);
                let Some(store) = &inner.store else { return };
                (keys, store.readers().clone())
            };
            let mut keys = keys.into_iter();
            loop {
                let chunk: Vec<Key> = keys.by_ref().take(LOAD_CHUNK).collect();
                if chunk.is_empty() {
                    break;
                }
                tokio::task::spawn_local(self.clone().load_chunk(readers.clone(), chunk));
            }
        }
    }

    async fn load_chunk(self, readers: Readers, keys: Vec<Key>) {
        let (keys, rows) = blocking(move || {
            let rows = readers.fetch(&keys);
            (keys, rows)
        })
        .await;
        if planted(Bug::StaleFill) {
            // Long enough for a write and its merge to fall into it.
            self.0.clock.sleep(Duration::from_millis(25)).await;
        }
        let now_ms = self.now_ms();
        let mut inner = self.0.inner.borrow_mut();
        match rows {
            Ok(Fetched { rows, damaged, waited }) => {
                if damaged > 0 {
                    tracing::error!(
                        "{damaged} entries in the database have a wrong checksum and count as absent"
                    );
                    inner.counters.add(Stat::DamagedRows, damaged as u64);
                }
                inner.at_once.read_elsewhere(&rows, waited);
                let mut rows = rows.into_iter();
                for key in &keys {
                    match rows.next() {
                        Some(row) => inner.tiers.arrived(key, Ok(row), now_ms),
                        None => inner.tiers.skipped(key),
                    }
                }
            }
            Err(error) => {
                let error = Rc::new(error);
                for key in &keys {
                    inner.tiers.arrived(key, Err(Rc::clone(&error)), now_ms);
                }
                drop(inner);
                let _ = self.unreadable(&error);
            }
        }
    }

    /// A read failed: what to answer. A disk may recover; a damaged file is repaired by starting over.
    pub(super) fn unreadable(&self, error: &StoreError) -> CommandError {
        if error.is_damage() {
            self.fail(StoreError::Damaged(error.to_string()));
        } else {
            tracing::error!("{error}");
        }
        CommandError::Unreadable(error.to_string())
    }

    async fn hear_keeper(self, mut events: mpsc::Receiver<Event>) {
        while let Some(event) = events.recv().await {
            let mut inner = self.0.inner.borrow_mut();
            let inner = &mut *inner;
            self.tell(inner, &event);
            match event {
                Event::Merged(merged) => self.merged(inner, &merged),
                Event::Swept(swept) => inner.swept(&swept, self.now_ms()),
                Event::Spare(journal) => {
                    inner.spare = Spare::Ready(journal);
                    inner.no_spare = None;
                    self.seal_if_large(inner);
                    self.0.changed.notify_waiters();
                }
                Event::MergeFailed(error) => self.stuck(&mut inner.no_merge, &error),
                Event::SpareFailed(error) => {
                    // Asked for again in the merge interval.
                    inner.spare = Spare::Missing;
                    self.stuck(&mut inner.no_spare, &error);
                }
                Event::BackedUp(outcome) => inner.backed_up(outcome, self.now_ms()),
                Event::Evicted(evicted) => inner.evicted(&evicted),
                Event::Full(error) => inner.keep_for_deletions(&error),
                Event::RoomAgain => {
                    inner.look_at_disk(&self.0.config);
                    if inner.full.take().is_some() {
                        tracing::info!("there is room on the disk again");
                    }
                    // For want of which nothing could be merged meanwhile.
                    inner.ask_for_spare();
                    self.seal_if_large(inner);
                    self.0.changed.notify_waiters();
                }
                Event::Fatal(error) => self.fail(error),
            }
        }
        if !self.0.inner.borrow().stopping {
            self.fail(StoreError::KeeperGone);
        }
    }

    /// Tells those who listen what has happened.
    fn tell(&self, inner: &Inner, event: &Event) {
        let figures = |kind, rows: usize, ms: u64| Told {
            kind,
            rows: Some(rows as i64),
            ms: Some(ms as i64),
            ..Told::default()
        };
        let told = match event {
            Event::Merged(merged) => figures(EventKind::Merge, merged.rows, merged.ms),
            Event::Swept(swept) => Told {
                bytes: Some(swept.bytes),
                cause: if inner.cleaning.is_asked_for() { "command" } else { "timer" }.into(),
                ..figures(EventKind::Cleanup, swept.rows, swept.ms)
            },
            Event::Evicted(evicted) if evicted.rows > 0 => Told {
                kind: EventKind::Eviction,
                rows: Some(evicted.rows as i64),
                bytes: Some(evicted.bytes),
                ..Told::default()
            },
            Event::Full(error) => {
                Told { kind: EventKind::DiskFull, cause: error.to_string(), ..Told::default() }
            }
            Event::RoomAgain => Told { kind: EventKind::RoomAgain, ..Told::default() },
            Event::BackedUp(Ok(backup)) => Told {
                kind: EventKind::Backup,
                bytes: Some(backup.bytes as i64),
                ms: Some(backup.ms as i64),
                ..Told::default()
            },
            // Expired rows alone are counted as such.
            Event::Evicted(_) => return self.0.noticed.notify_one(),
            Event::Spare(_)
            | Event::MergeFailed(_)
            | Event::SpareFailed(_)
            | Event::BackedUp(Err(_))
            | Event::Fatal(_) => return,
        };
        self.0.events.add(self.now_ms(), told);
        // It may have removed keys whose end is to be told.
        self.0.noticed.notify_one();
    }

    /// Merging is held up by something that time or an administrator can cure.
    fn stuck(&self, reason: &mut Option<String>, error: &StoreError) {
        if reason.replace(error.to_string()).is_none() {
            tracing::error!("{error}: writes go on until the write buffer is full");
        }
        self.0.changed.notify_waiters();
    }

    fn merged(&self, inner: &mut Inner, merged: &Merged) {
        let (released, front) = inner.tiers.release(merged.generation, merged.accounting.rows);
        // This, or the keeper, frees it: not the event loop.
        at_leisure(move || {
            front.free();
            if let Some(released) = released {
                released.free();
            }
        });
        // What was written and read meanwhile has come into the memory tier.
        self.0.front_is_behind.notify_one();
        inner.accounting = merged.accounting;
        inner.no_merge = None;
        inner.cleaning.merged(merged.expired as u64);
        let counters = &mut inner.counters;
        counters.bump(Stat::Merges);
        counters.add(Stat::MergeRows, merged.rows as u64);
        counters.add(Stat::MergeMsTotal, merged.ms);
        counters.set(Stat::MergeLastMs, merged.ms);
        counters.add(Stat::Expirations, merged.expired as u64);
        self.0.changed.notify_waiters();
        self.seal_if_large(inner);
    }

    async fn hear_syncer(self, mut synced: mpsc::Receiver<Synced>) {
        while let Some(report) = synced.recv().await {
            match report {
                Synced::Done => {
                    let now_ms = self.now_ms() as u64;
                    self.counters_mut(|counters| {
                        counters.bump(Stat::Syncs);
                        counters.set(Stat::SyncLastTimeMs, now_ms);
                    });
                }
                Synced::Failed(source) => {
                    let error =
                        StoreError::Io { action: "force to disk", path: "the journal".into(), source };
                    self.fail(error);
                }
            }
        }
    }

    async fn merge_in_intervals(self) {
        let mut ticks = tokio::time::interval(self.0.config.merge_interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let mut inner = self.0.inner.borrow_mut();
            inner.ask_for_spare();
            inner.report_full();
            self.seal_if(&mut inner, |_, _, _| true);
        }
    }

    /// Ends the store's threads as they are, after something failed for good: the journals keep what is not merged. Returns
    /// why.
    pub async fn abandon(&self) -> Option<StoreError> {
        let error = self.0.fatal_error.borrow_mut().take();
        let store = {
            let mut inner = self.0.inner.borrow_mut();
            inner.stopping = true;
            inner.take_store()
        };
        if let Some(store) = store {
            if error.as_ref().is_some_and(StoreError::is_damage) {
                store.report_damage();
            }
            blocking(move || store.abandon()).await;
        }
        error
    }

    /// Commits, merges what can be merged, saves the list of hot keys, and ends the store's threads. The cache cannot be used
    /// afterwards.
    pub async fn stop(&self) {
        self.commit();
        {
            let mut inner = self.0.inner.borrow_mut();
            self.seal_if(&mut inner, |_, _, _| true);
            inner.stopping = true;
        }
        // Beside the merge, which takes longer.
        self.save_hot_keys(AT_STOP_MS_MAX).await;
        let store = self.0.inner.borrow_mut().take_store();
        if let Some(store) = store {
            blocking(move || store.stop()).await;
        }
    }
}

impl Inner {
    /// The store, to be stopped.
    fn take_store(&mut self) -> Option<Store> {
        // Its connection would keep the main file open.
        self.at_once = AtOnce::new(None);
        self.store.take()
    }
}

/// Has `work`, which nobody waits for, done on a thread of its own: freeing what is large.
pub(super) fn at_leisure(work: impl FnOnce() + Send + 'static) {
    tokio::task::spawn_blocking(move || pace::by(|| Haste::Leisure, work));
}

/// Runs `work` on a thread that may block. A panic there is passed on.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // Cancelled: the runtime is shutting down and nobody will poll this again.
            Err(_) => poll_fn(|_| Poll::Pending).await,
        },
    }
}
