//! Whether there is room for another write: in the write buffer, in the journal, on the disk; and waiting for it.

use std::time::Duration;

use super::{Cache, Config, Inner};
use crate::error::CommandError;
use crate::store::StoreError;

/// How long a write waits for room in the write buffer before it is answered with an error.
const ROOM_WAIT: Duration = Duration::from_secs(5);

/// How far the active generation may run ahead of the merge of the one before, as a part of what it may hold. With half of
/// it, a burst is let in whole; where writes come faster than they can be merged for longer, each slice merged lets in
/// as much, so that writers wait some milliseconds at a time, and not for a merge to end.
const LEAD: f64 = 0.5;

/// How often a write that waits for room looks again: about as long as a slice of a merge takes.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// Deletions may fill the write buffer beyond its cap, by this part of it.
const DELETIONS_PART: u64 = 8;

/// What a write does to the room there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taking {
    /// It stores something.
    Entries,
    /// It only deletes.
    Deletions,
}

impl Cache {
    /// Whether another write can be taken, one that stores something or one that only deletes.
    #[must_use]
    pub fn has_room(&self, what: Taking) -> bool {
        let inner = self.0.inner.borrow();
        match what {
            Taking::Entries => {
                let lead = inner.tiers.merge_progress().map_or(1.0, |merged| LEAD + (1.0 - LEAD) * merged);
                inner.full.is_none() && inner.fill(&self.0.config) < lead
            }
            // What makes room is let in a little longer than what takes it.
            Taking::Deletions => {
                let buffer_cap_bytes = self.0.config.buffer_cap_bytes;
                let buffered = inner.tiers.buffer_figures().1 as u64;
                buffered < buffer_cap_bytes + buffer_cap_bytes / DELETIONS_PART
            }
        }
    }

    /// Waits until another write can be taken.
    ///
    /// # Errors
    /// At once where the disk is full, after some seconds where it is only slow.
    pub async fn room(&self, what: Taking) -> Result<(), CommandError> {
        let wait = async {
            loop {
                let freed = self.0.changed.notified();
                if self.has_room(what) {
                    return Ok(());
                }
                if let Some(reason) = self.0.inner.borrow().refusing() {
                    return Err(CommandError::Full(reason.to_owned()));
                }
                // A merge under way makes room with every slice, and says so only at its end.
                let _ = tokio::time::timeout(LOOK_AGAIN, freed).await;
            }
        };
        tokio::time::timeout(ROOM_WAIT, wait).await.unwrap_or(Err(CommandError::Busy {
            limit_bytes: self.0.config.buffer_cap_bytes,
            waited_s: ROOM_WAIT.as_secs(),
        }))
    }
}

impl Inner {
    /// How full the active generation is, 1 being all it may hold: in the buffer or in its journal, whichever is fuller.
    fn fill(&self, config: &Config) -> f64 {
        let uncommitted = self.tiers.uncommitted_bytes();
        let buffered = (self.tiers.active().bytes() + uncommitted) as f64 / config.generation_bytes as f64;
        let journalled =
            (self.journal.bytes_about() + uncommitted as u64) as f64 / config.journal_cap_bytes as f64;
        buffered.max(journalled)
    }

    /// Has the merge under way keep step with the writes: it may take its time until the active generation is a quarter
    /// full, and should be done when that is three quarters full.
    pub(super) fn pace_merge(&self, config: &Config) {
        if self.tiers.merging() {
            let wanted =
                if self.full.is_some() { 1.0 } else { (self.fill(config) - LEAD / 2.0) / (1.0 - LEAD) };
            self.tiers.want_merged(wanted);
        }
    }

    /// Why merging is held up, if so.
    pub(super) fn stuck(&self) -> Option<&str> {
        self.no_merge.as_deref().or(self.no_spare.as_deref())
    }

    /// Why waiting for room would be in vain, if so.
    pub(super) fn refusing(&self) -> Option<&str> {
        self.full.as_deref().or(self.stuck())
    }

    /// What room there is on the disk is for deletions from now on, until the keeper says otherwise.
    pub(super) fn keep_for_deletions(&mut self, error: &StoreError) {
        if self.full.replace(error.to_string()).is_none() {
            tracing::error!("{error}: only deletions are taken until there is room on the disk");
        }
    }

    /// A commit found the disk full.
    pub(super) fn disk_full(&mut self, error: &StoreError) {
        self.keep_for_deletions(error);
        self.full_unreported = true;
        self.report_full();
    }

    /// Has the keeper give up the reserve and look for room from then on. Said again in the merge interval where the
    /// keeper is too busy to be told.
    pub(super) fn report_full(&mut self) {
        if self.full_unreported
            && let Some(store) = &self.store
        {
            self.full_unreported = store.report_full().is_err();
        }
    }
}
