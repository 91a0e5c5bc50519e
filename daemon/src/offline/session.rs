//! The store without a daemon: opened as a daemon opens it, with the keeper at work, and waited for instead of listened
//! to. So that merging, compression, the disk cap and backups are the daemon's own.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::mpsc;

use crate::buffer::Generation;
use crate::cache;
use crate::clock::Clock;
use crate::config::Settings;
use crate::store::{BackedUp, Event, Journal, Sealed, Store, StoreError};

/// An open store that nobody else uses.
pub(super) struct Session {
    store: Store,
    /// Of the generation to be merged next; nothing is ever written to it.
    journal: Option<Journal>,
    spare: Option<Journal>,
    events: mpsc::Receiver<Event>,
    merging: bool,
    /// Entries removed to stay below the cap.
    pub(super) evicted: u64,
}

impl Session {
    /// Opens the store and merges what its journals hold.
    pub(super) fn open(settings: &Settings, clock: Clock) -> Result<Self, StoreError> {
        let opened = Store::open(&cache::store_options(settings), clock, Box::new(()))?;
        // Nobody else is there to step back for.
        opened.recovered.iter().for_each(|recovered| recovered.want_merged(1.0));
        let mut session = Self {
            store: opened.store,
            journal: Some(opened.journal),
            spare: None,
            events: opened.events,
            merging: opened.recovered.is_some(),
            evicted: 0,
        };
        match session.await_merge() {
            Ok(()) => Ok(session),
            Err(error) => {
                session.store.abandon();
                Err(error)
            }
        }
    }

    /// The number that the next generation has to have.
    pub(super) fn next_generation(&self) -> u64 {
        // Between a merge and the next spare it is the one after.
        self.journal.as_ref().or(self.spare.as_ref()).map_or(0, Journal::generation)
    }

    /// Has a generation merged, once the one before is. Returns before it is: see [`await_merge`](Self::await_merge).
    pub(super) fn merge(&mut self, generation: Generation) -> Result<(), StoreError> {
        self.await_merge()?;
        let Some(journal) = self.journal.take() else { return Err(StoreError::KeeperGone) };
        debug_assert_eq!(journal.generation(), generation.id());
        while self.spare.is_none() {
            self.hear()?;
        }
        self.journal = self.spare.take();
        generation.want_merged(1.0);
        let page = journal.suitable_page();
        self.store.merge(Arc::new(generation), Sealed::new(journal))?;
        self.merging = true;
        self.store.request_spare(page)
    }

    /// Waits until what was given to [`merge`](Self::merge) is in the database and on disk.
    pub(super) fn await_merge(&mut self) -> Result<(), StoreError> {
        while self.merging {
            self.hear()?;
        }
        Ok(())
    }

    /// Copies the database to `target`.
    pub(super) fn back_up(&mut self, target: PathBuf) -> Result<BackedUp, StoreError> {
        self.store.back_up(target)?;
        loop {
            if let Some(done) = self.hear()? {
                return Ok(done);
            }
        }
    }

    /// Ends the keeper, with what was merged on disk.
    pub(super) fn close(mut self) -> Result<(), StoreError> {
        let merged = self.await_merge();
        match merged {
            Ok(()) => self.store.stop(),
            Err(_) => self.store.abandon(),
        }
        merged
    }

    /// As [`close`](Self::close), leaving a merge under way where it is.
    pub(super) fn abandon(self) {
        self.store.abandon();
    }

    /// Waits for one event.
    fn hear(&mut self) -> Result<Option<BackedUp>, StoreError> {
        match self.events.blocking_recv().ok_or(StoreError::KeeperGone)? {
            Event::Merged(_) => self.merging = false,
            Event::Spare(journal) => self.spare = Some(*journal),
            Event::Evicted(evicted) => self.evicted += evicted.rows as u64,
            Event::BackedUp(done) => return done.map(Some),
            // A daemon would go on with deletions and wait for room; nobody waits here.
            Event::MergeFailed(error)
            | Event::SpareFailed(error)
            | Event::Full(error)
            | Event::Fatal(error) => return Err(error),
            Event::Swept(_) | Event::RoomAgain => {}
        }
        Ok(None)
    }
}
