//! The moments at which writes become durable, visible, and due to be merged.

use super::background::at_leisure;
use super::{Cache, Config, Inner, Outcome, Spare};
use crate::clock::Stopwatch;
use crate::error::CommandError;
use crate::store::{CommitError, PageSize, Sealed, StoreError};
use larder_protocol::Stat;

impl Cache {
    /// Commits this turn's writes and makes them visible, unless a transaction has the turn to itself: then it does that
    /// at its end.
    pub(super) fn commit(&self) {
        if self.0.held.get() || !self.0.inner.borrow().tiers.has_pending() {
            return;
        }
        let turn = std::mem::take(&mut self.0.inner.borrow_mut().turn);
        let outcome = self.commit_pending();
        // Last: those who are told go on at once, and look at what is visible now.
        turn.end(outcome);
    }

    fn commit_pending(&self) -> Outcome {
        let mut inner = self.0.inner.borrow_mut();
        let inner = &mut *inner;
        if self.0.fatal.is_cancelled() {
            // The process is about to end; what is on disk may not be what memory says any more.
            inner.tiers.discard();
            return Err(CommandError::Stopping);
        }
        inner.batch.clear();
        inner.tiers.encode_pending(&mut inner.batch);
        let fits = inner.fits_on_disk(&self.0.config);
        let watch = Stopwatch::start();
        let outcome = if fits {
            inner.journal.commit(inner.batch.bytes())
        } else {
            Err(CommitError::Refused(inner.journal.no_room()))
        };
        let us = watch.us();
        inner.at_once.committed();
        match outcome {
            Ok(()) => {
                self.committed(inner, us);
                Ok(())
            }
            Err(error) => Err(self.not_committed(inner, error, fits)),
        }
    }

    /// The turn is committed, which took `us` microseconds: makes its writes visible.
    fn committed(&self, inner: &mut Inner, us: u64) {
        if inner.notices.commit() {
            self.0.noticed.notify_one();
        }
        if let Some((flushed, front)) = inner.tiers.publish() {
            at_leisure(move || {
                drop(flushed);
                front.free();
            });
        }
        inner.counters.bump(Stat::Commits);
        inner.counters.add(Stat::CommitOps, inner.batch.len() as u64);
        inner.counters.add(Stat::CommitUsTotal, us);
        inner.counters.raise(Stat::CommitUsMax, us);
        inner.commit_us.record(us);
        inner.pace_merge(&self.0.config);
        self.seal_if_large(inner);
    }

    /// The turn is not committed, or nobody can tell, which ends the daemon: forgets its writes. Where they did not fit on the
    /// disk, it was not even tried. What they are answered with.
    #[cold]
    fn not_committed(&self, inner: &mut Inner, error: CommitError, fits: bool) -> CommandError {
        let writes = inner.batch.len() as u64;
        inner.tiers.discard();
        inner.notices.discard();
        inner.counters.add(Stat::WriteErrors, writes);
        match error {
            CommitError::Refused(error) => {
                let answer = CommandError::Full(error.to_string());
                // What does not fit is refused for its size: nothing is the matter with what is smaller.
                if fits && error.is_full() {
                    inner.disk_full(&error);
                    inner.look_at_disk(&self.0.config);
                } else if fits {
                    tracing::error!("{error}: {writes} writes were refused");
                }
                // There may be less room than there was, for journals too.
                self.seal_if_large(inner);
                answer
            }
            CommitError::Unknown(error) => {
                let answer = CommandError::OutcomeUnknown(error.to_string());
                self.fail(error);
                answer
            }
        }
    }

    /// Seals the active generation if it has grown enough to be worth a merge.
    pub(super) fn seal_if_large(&self, inner: &mut Inner) {
        let seal_bytes = inner.disk.journal.seal_bytes;
        self.seal_if(inner, |config, active_bytes, journal_bytes| {
            active_bytes >= config.merge_bytes || journal_bytes >= seal_bytes
        });
    }

    /// Seals the active generation and has it merged, where `wanted` says so and nothing stands in the way.
    pub(super) fn seal_if(&self, inner: &mut Inner, wanted: impl FnOnce(&Config, u64, u64) -> bool) {
        if inner.tiers.merging() || inner.tiers.active().is_empty() {
            return;
        }
        let active_bytes = inner.tiers.active().bytes() as u64;
        if !wanted(&self.0.config, active_bytes, inner.journal.bytes_about()) {
            return;
        }
        let Some(store) = &inner.store else { return };
        let spare = match std::mem::replace(&mut inner.spare, Spare::Missing) {
            Spare::Ready(spare) => *spare,
            other => {
                inner.spare = other;
                return;
            }
        };
        debug_assert_eq!(spare.generation(), inner.tiers.active().id() + 1);
        store.watch(&spare);
        let generation = inner.tiers.seal();
        let journal = std::mem::replace(&mut inner.journal, spare);
        // What comes will be like what was. Where there is little room on the disk, small commits have to fit.
        let plenty = inner.disk.is_plenty(&self.0.config);
        inner.journal_page = if plenty { journal.suitable_page() } else { PageSize::default() };
        let merging = store.merge(generation, Sealed::new(journal));
        inner.ask_for_spare();
        if let Err(error) = merging {
            self.fail(error);
        }
    }

    /// Ends the daemon: what has been answered is in the journals, and the next start finds it there.
    pub(super) fn fail(&self, error: StoreError) {
        tracing::error!("cannot go on: {error}");
        self.0.fatal_error.borrow_mut().get_or_insert(error);
        self.0.fatal.cancel();
    }
}

impl Inner {
    /// Has the next journal created, unless that is under way or done.
    pub(super) fn ask_for_spare(&mut self) {
        if matches!(self.spare, Spare::Missing)
            && let Some(store) = &self.store
        {
            let page = if self.full.is_some() { PageSize::default() } else { self.journal_page };
            match store.request_spare(page) {
                Ok(()) => self.spare = Spare::Asked,
                // Asked for again in the merge interval.
                Err(error) => tracing::warn!("no next journal yet: {error}"),
            }
        }
    }
}
