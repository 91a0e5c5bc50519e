//! Whether there is room for another write: in the write buffer, in the journal, on the disk; and waiting for it.

use std::time::Duration;

use super::{Cache, Config, Inner};
use crate::error::CommandError;
use crate::store::{JournalShare, Store, StoreError};

/// How long a write waits for room in the write buffer before it is answered with an error.
const ROOM_WAIT: Duration = Duration::from_secs(5);

/// How far the active generation may run ahead of the merge of the one before, as a part of what it may hold. With half of
/// it, a burst is let in whole; where writes come faster than they can be merged for longer, each slice merged lets in
/// as much, so that writers wait some milliseconds at a time, and not for a merge to end.
const LEAD: f64 = 0.5;

/// How often a write that waits for room looks again: about as long as a slice of a merge takes.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// Deletions may fill the write buffer beyond its cap, by this part of it.
const DELETIONS_PART: f64 = 0.125;

/// How much is written before it is looked again how much room there is on the disk: the look takes about a microsecond
/// where the file system is local.
const LOOK_AT_DISK_BYTES: u64 = 256 << 10;

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
        let fill = inner.fill(&self.0.config);
        match what {
            Taking::Entries => {
                let lead = inner.tiers.merge_progress().map_or(1.0, |merged| LEAD + (1.0 - LEAD) * merged);
                inner.full.is_none() && fill.most() < lead
            }
            Taking::Deletions => fill.takes_deletions(),
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
                if let Some(reason) = self.0.inner.borrow().in_vain(what) {
                    return Err(CommandError::Full(reason.to_owned()));
                }
                // The merge has had its time.
                self.0.inner.borrow().tiers.want_merged(1.0);
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

/// What journals may hold beside what is free on the disk.
#[derive(Debug)]
pub(super) struct DiskRoom {
    pub(super) journal: JournalShare,
    /// Bytes written since it was looked for how much that is. At the start it has not been.
    unlooked_bytes: u64,
}

impl DiskRoom {
    pub(super) fn new(journal: JournalShare) -> Self {
        Self { journal, unlooked_bytes: u64::MAX }
    }

    /// Whether journals may be as large as they may ever be.
    pub(super) fn is_plenty(&self, config: &Config) -> bool {
        self.journal == config.journal
    }
}

/// How full things are, 1 being all they may hold.
#[derive(Clone, Copy, Debug)]
struct Fill {
    /// The active generation.
    generation: f64,
    /// Its journal.
    journal: f64,
    /// The write buffer, with the generation that is being merged.
    buffer: f64,
}

impl Fill {
    /// The active generation, in memory or on disk, whichever is fuller.
    fn most(self) -> f64 {
        self.generation.max(self.journal)
    }

    /// What makes room is let in a little longer than what takes it. In memory, that is: a key that is deleted over and over
    /// takes no more there, but each time some of the journal, which has its share of the disk and no more.
    fn takes_deletions(self) -> bool {
        self.buffer < 1.0 + DELETIONS_PART && self.journal < 1.0
    }
}

impl Inner {
    fn fill(&self, config: &Config) -> Fill {
        let uncommitted = self.tiers.uncommitted_bytes();
        let part = |bytes: u64, of: u64| bytes as f64 / of as f64;
        Fill {
            generation: part((self.tiers.active().bytes() + uncommitted) as u64, config.generation_bytes),
            journal: part(self.journal.bytes_about() + uncommitted as u64, self.disk.journal.cap_bytes),
            buffer: part(self.tiers.buffer_figures().1 as u64, config.buffer_cap_bytes),
        }
    }

    /// Whether what the batch stores could also be merged later. Deletions are let in whatever they come to.
    pub(super) fn fits_on_disk(&mut self, config: &Config) -> bool {
        let bytes = self.batch.bytes().len() as u64;
        self.disk.unlooked_bytes = self.disk.unlooked_bytes.saturating_add(bytes);
        if self.disk.unlooked_bytes < LOOK_AT_DISK_BYTES {
            return true;
        }
        let free_bytes = self.look_at_disk(config);
        !config.journal.is_exceeded_by(self.batch.value_bytes() as u64, free_bytes)
    }

    /// Looks how much is free on the disk, and how much journals may hold beside it. Returns the former.
    pub(super) fn look_at_disk(&mut self, config: &Config) -> u64 {
        let free_bytes = self.store.as_ref().map_or(u64::MAX, Store::free_bytes);
        self.disk = DiskRoom { journal: config.journal.beside(free_bytes), unlooked_bytes: 0 };
        free_bytes
    }

    /// Has the merge under way keep step with the writes: it may take its time until the active generation is a quarter
    /// full, and should be done when that is three quarters full.
    pub(super) fn pace_merge(&self, config: &Config) {
        if self.tiers.merging() {
            let wanted = if self.full.is_some() {
                1.0
            } else {
                (self.fill(config).most() - LEAD / 2.0) / (1.0 - LEAD)
            };
            self.tiers.want_merged(wanted);
        }
    }

    /// Why merging is held up, if so.
    pub(super) fn stuck(&self) -> Option<&str> {
        self.no_merge.as_deref().or(self.no_spare.as_deref())
    }

    /// Why waiting for room for that would be in vain, if so. Deletions are merged on a full disk as well.
    fn in_vain(&self, what: Taking) -> Option<&str> {
        match what {
            Taking::Entries => self.refusing(),
            Taking::Deletions => self.stuck(),
        }
    }

    /// Why entries are refused, if they are.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deletions_are_let_in_longer_and_not_beyond_the_journals_share() {
        for (generation, journal, buffer, taken) in [
            (0.5, 0.5, 0.9, true),
            (1.2, 0.9, 1.1, true),
            (1.2, 0.9, 1.13, false),
            (0.01, 0.99, 0.01, true),
            (0.01, 1.0, 0.01, false),
        ] {
            let fill = Fill { generation, journal, buffer };
            assert_eq!(fill.takes_deletions(), taken, "{fill:?}");
            assert!((fill.most() - generation.max(journal)).abs() < f64::EPSILON);
        }
    }
}
