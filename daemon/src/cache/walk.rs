//! Work over many keys, in steps that let everyone else run in between: deletion by pattern, and counting.
//!
//! A walk visits the write buffer first, by slot position, then the main file, in key order. Writes move from the buffer
//! to the main file and never back, so a key that is there throughout is met at least once; a tombstone or a newer write
//! in the buffer tells the second part what the first has seen to.

use std::rc::Rc;

use larder_protocol::Stat;

use super::background::blocking;
use super::{Cache, Inner, Taking, Turn};
use crate::entry::{Deadline, Key, State};
use crate::error::CommandError;
use crate::glob::Pattern;
use crate::store::{Census, Readers, ScanStep, Store};

/// Buffer slots looked at in one step: well below a millisecond.
const SLOTS_A_STEP: usize = 4_096;

/// Keys deleted in one step, and so in one commit: about a millisecond.
const DELETIONS_A_STEP: usize = 1_000;

/// Above this many unmerged writes, [`Cache::count_roughly`] asks the main file about a sample instead of about each.
const EXACT_SLOTS_MAX: usize = 20_000;

/// Size of that sample: a few milliseconds of look-ups, and an error of some percent of the unmerged writes.
const SAMPLE_SLOTS: usize = 4_000;

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
    /// Deletes every key that matches and was there when the walk began; returns how many. Keys written meanwhile may
    /// be among them. Other commands run in between.
    ///
    /// # Errors
    /// Where a deletion could not be committed or the main file could not be read; what was deleted before stays so.
    pub async fn delete_matching(&self, pattern: &Pattern) -> Result<u64, CommandError> {
        self.commit();
        let generations: Vec<(u64, usize)> = {
            let inner = self.0.inner.borrow();
            inner.tiers.generations().map(|generation| (generation.id(), generation.len())).collect()
        };
        let mut deleted = 0;
        for (id, len) in generations {
            for from in (0..len).step_by(SLOTS_A_STEP) {
                let slots = from..len.min(from + SLOTS_A_STEP);
                deleted += self.delete_in_buffer(pattern, id, slots).await?;
            }
        }
        Ok(deleted + self.delete_in_main(pattern).await?)
    }

    async fn delete_in_buffer(
        &self,
        pattern: &Pattern,
        generation: u64,
        slots: std::ops::Range<usize>,
    ) -> Result<u64, CommandError> {
        let matching: Vec<Key> = {
            let inner = self.0.inner.borrow();
            let now_ms = self.now_ms();
            inner
                .tiers
                .generations()
                .filter(|there| there.id() == generation)
                .flat_map(|there| there.slots(slots.start).take(slots.len()))
                .filter(|(key, slot)| slot.state.live(now_ms).is_some() && pattern.matches(key))
                .map(|(key, _)| key.clone())
                .collect()
        };
        let mut deleted = 0;
        for keys in matching.chunks(DELETIONS_A_STEP) {
            deleted += self
                .delete_if(keys, |inner, key, now_ms| {
                    inner.tiers.in_buffer(key).is_some_and(|state| state.live(now_ms).is_some())
                })
                .await?;
        }
        tokio::task::yield_now().await;
        Ok(deleted)
    }

    async fn delete_in_main(&self, pattern: &Pattern) -> Result<u64, CommandError> {
        let mut deleted = 0;
        let mut from = Key::from(pattern.literal_prefix());
        loop {
            let (readers, releases) = {
                let inner = self.0.inner.borrow();
                if inner.tiers.main_hidden() {
                    return Ok(deleted);
                }
                (inner.readers()?, inner.tiers.releases())
            };
            let step = self.scan(readers, pattern.clone(), from.clone()).await?;
            let (hidden, merged) = {
                let inner = self.0.inner.borrow();
                (inner.tiers.main_hidden(), inner.tiers.releases() != releases)
            };
            if hidden {
                // A flush came first.
                return Ok(deleted);
            }
            if merged {
                // What the buffer held during the scan may be in the main file by now: look again.
                continue;
            }
            // Rows that the buffer shadows were dealt with there, or were written after the walk began.
            deleted +=
                self.delete_if(&step.keys, |inner, key, _| inner.tiers.in_buffer(key).is_none()).await?;
            match step.next {
                Some(next) => from = next,
                None => return Ok(deleted),
            }
        }
    }

    async fn scan(&self, readers: Readers, pattern: Pattern, from: Key) -> Result<ScanStep, CommandError> {
        let now_ms = self.now_ms();
        blocking(move || readers.scan(&pattern, &from, DELETIONS_A_STEP, now_ms)).await.map_err(|error| {
            self.unreadable(&error);
            CommandError::Unreadable(error.to_string())
        })
    }

    /// Deletes those of `keys` for which `there` holds, in one commit, and waits for it. This turn's uncommitted writes
    /// count as having come first.
    async fn delete_if(
        &self,
        keys: &[Key],
        there: impl Fn(&Inner, &[u8], i64) -> bool,
    ) -> Result<u64, CommandError> {
        if keys.is_empty() {
            return Ok(0);
        }
        if !self.has_room(Taking::Deletions) {
            self.room(Taking::Deletions).await?;
        }
        // Uncommitted writes of others in this turn are published first, so that `there` sees them.
        self.commit();
        let now_ms = self.now_ms();
        let (deleted, turn): (u64, Option<Rc<Turn>>) = {
            let mut inner = self.0.inner.borrow_mut();
            let mut deleted = 0;
            for key in keys {
                if there(&inner, key, now_ms) {
                    inner.tiers.write(key, State::Deleted);
                    deleted += 1;
                }
            }
            inner.counters.add(Stat::Deletes, deleted);
            (deleted, (deleted > 0).then(|| Rc::clone(&inner.turn)))
        };
        if let Some(turn) = turn {
            self.0.work.notify_one();
            turn.committed().await?;
        }
        Ok(deleted)
    }

    /// Counts the entries exactly. Costs a look-up in the main file for every write not merged yet, on another thread,
    /// and nothing for the entries that are merged.
    ///
    /// # Errors
    /// Where the main file cannot be read.
    pub async fn count_exactly(&self) -> Result<Count, CommandError> {
        self.commit();
        self.count_entries(1).await
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
            self.count_entries(slots / SAMPLE_SLOTS).await
        }
    }

    /// Counts the main file, and every `stride`-th write that is not merged, with the weight of all it stands for.
    ///
    /// The main file is read after the buffer. A write that is merged in between is then met in both, and taken off again
    /// as a row that the buffer shadows; so none is counted twice, and none is missed.
    async fn count_entries(&self, stride: usize) -> Result<Count, CommandError> {
        let (buffered, keys) = self.count_buffer(stride).await;
        let now_ms = self.now_ms();
        let (readers, hidden) = {
            let inner = self.0.inner.borrow();
            (inner.readers()?, inner.tiers.main_hidden())
        };
        let census = if hidden {
            Census::default()
        } else {
            blocking(move || readers.census(keys, now_ms)).await.map_err(|error| {
                self.unreadable(&error);
                CommandError::Unreadable(error.to_string())
            })?
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

impl Inner {
    fn readers(&self) -> Result<Readers, CommandError> {
        self.store.as_ref().map(Store::readers).cloned().ok_or(CommandError::Stopping)
    }
}
