//! Counting the entries, in steps that let everyone else run in between.

use super::Cache;
use super::background::blocking;
use crate::entry::{Deadline, Key, State};
use crate::error::CommandError;
use crate::pace::{self, Haste};
use crate::store::Census;

/// Buffer slots looked at in one step: well below a millisecond.
const SLOTS_A_STEP: usize = 4_096;

/// Above this many unmerged writes, [`Cache::count_roughly`] asks the main file about a sample instead of about each.
const EXACT_SLOTS_MAX: usize = 20_000;

/// Size of that sample: a few milliseconds of look-ups, and an error of some percent of the unmerged writes.
const SAMPLE_SLOTS: usize = 4_000;

/// Size of the sample for a figure every second: some hundred microseconds of look-ups, on another thread.
const SMALL_SAMPLE_SLOTS: usize = 400;

/// How many entries there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// All, those included whose deadline has passed and which nobody has removed yet.
    pub entries: u64,
    /// Those whose deadline has passed.
    pub expired: u64,
    /// Those with a deadline, passed or not.
    pub ttl: u64,
}

impl Cache {
    /// Counts the entries exactly. Costs a look-up in the main file for every write not merged yet, on another thread,
    /// and nothing for the entries that are merged.
    ///
    /// # Errors
    /// Where the main file cannot be read.
    pub async fn count_exactly(&self) -> Result<Count, CommandError> {
        self.commit();
        self.count_entries(1, Haste::Urgent).await
    }

    /// Counts the entries from a small sample of the writes that wait to be merged: for a figure every second.
    ///
    /// # Errors
    /// Where the main file cannot be read.
    pub async fn count_from_sample(&self) -> Result<Count, CommandError> {
        let slots = self.0.inner.borrow().tiers.buffer_figures().0;
        // A thread that works for milliseconds may hold the event loop up, every second.
        self.count_entries((slots / SMALL_SAMPLE_SLOTS).max(1), Haste::Leisure).await
    }

    /// Counts the entries: exactly while few writes wait to be merged, otherwise from a sample of those writes.
    ///
    /// # Errors
    /// Where the main file cannot be read.
    pub async fn count_roughly(&self) -> Result<Count, CommandError> {
        let (slots, _) = self.0.inner.borrow().tiers.buffer_figures();
        if slots <= EXACT_SLOTS_MAX {
            self.count_exactly().await
        } else {
            self.count_entries(slots / SAMPLE_SLOTS, Haste::Urgent).await
        }
    }

    /// Counts the main file, and every `stride`-th write that is not merged, with the weight of all it stands for.
    ///
    /// The main file is read after the buffer. A write that is merged in between is then met in both, and taken off again
    /// as a row that the buffer shadows; so none is counted twice, and none is missed.
    async fn count_entries(&self, stride: usize, haste: Haste) -> Result<Count, CommandError> {
        let (buffered, keys) = self.count_buffer(stride).await;
        let now_ms = self.now_ms();
        let (readers, hidden) = {
            let inner = self.0.inner.borrow();
            (inner.readers()?, inner.tiers.main_hidden())
        };
        let census = if hidden {
            Census::default()
        } else {
            blocking(move || pace::by(move || haste, || readers.census(keys, now_ms)))
                .await
                .map_err(|error| self.unreadable(&error))?
        };
        let total = |buffered: u64, rows: i64, shadowed: i64| {
            (rows + (buffered as i64 - shadowed) * stride as i64).max(0) as u64
        };
        Ok(Count {
            entries: total(buffered.entries, census.rows, census.shadowed),
            expired: total(buffered.expired, census.expired_rows, census.shadowed_expired),
            ttl: total(buffered.ttl, census.ttl_rows, census.shadowed_ttl),
        })
    }

    /// What every `stride`-th slot of the write buffer holds, and the keys of these slots.
    async fn count_buffer(&self, stride: usize) -> (Count, Vec<Key>) {
        let mut count = Count::default();
        let mut keys = Vec::new();
        let ends: Vec<(u64, usize)> = {
            let inner = self.0.inner.borrow();
            inner.tiers.generations().map(|generation| (generation.id(), generation.len())).collect()
        };
        for &(id, len) in &ends {
            for from in (0..len).step_by(SLOTS_A_STEP * stride) {
                {
                    let inner = self.0.inner.borrow();
                    let now_ms = self.now_ms();
                    let generations = || inner.tiers.generations();
                    let there = generations().filter(|there| there.id() == id);
                    let slots = there.flat_map(|there| there.slots(from).step_by(stride).take(SLOTS_A_STEP));
                    for (key, slot) in slots {
                        // Only what this walk meets there as well: what was written since is not counted at all.
                        let newer = ends.iter().filter(|(newer, _)| *newer > id);
                        let shadowed = newer.into_iter().any(|&(newer, end)| {
                            let there = generations().find(|there| there.id() == newer);
                            there.and_then(|there| there.position(key)).is_some_and(|at| at < end)
                        });
                        if !shadowed {
                            count.add(&slot.state, now_ms);
                            keys.push(key.clone());
                        }
                    }
                }
                tokio::task::yield_now().await;
            }
        }
        (count, keys)
    }
}

impl Count {
    /// Entries that can be read.
    #[must_use]
    pub fn active(&self) -> u64 {
        self.entries - self.expired
    }

    fn add(&mut self, state: &State, now_ms: i64) {
        if let State::Live(entry) = state {
            self.entries += 1;
            self.ttl += u64::from(entry.deadline != Deadline::NEVER);
            self.expired += u64::from(entry.deadline.passed(now_ms));
        }
    }
}
