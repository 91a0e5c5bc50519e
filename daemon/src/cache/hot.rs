//! Saving the list of hot keys: in intervals, and at an orderly stop. [`preload`](super::preload) brings them back.
//!
//! Hot is what the memory tier holds, and what was read in the write buffer. The front and the buffer are the event
//! loop's, so they are gone through in steps; moka may be walked by another thread, which also writes the file.

use std::collections::HashSet;
use std::sync::Arc;

use larder_protocol::Stat;

use super::background::blocking;
use super::{Cache, Inner};
use crate::clock::Stopwatch;
use crate::entry::Key;
use crate::error::CommandError;
use crate::store::HotList;

/// Places of the front, or slots of the write buffer, looked at in one step: some hundred microseconds.
const STEP: usize = 4_096;

/// How long keys are looked for at a stop, where somebody waits for the end.
pub(super) const AT_STOP_MS_MAX: u64 = 300;

/// How long otherwise, so that a save is never under way for long when a stop comes.
pub(super) const IN_INTERVALS_MS_MAX: u64 = 1_000;

/// What there is between reading the list and saving the next.
#[derive(Debug, Default)]
pub(super) struct Hot {
    /// Keys of the list that are still to be brought back, from the greatest down. A stop saves them with the others.
    pub(super) left: Vec<Key>,
    /// Whether the list of the run before has been read. Until then it must not be replaced: nothing is hot yet.
    pub(super) is_read: bool,
    /// Whether the last list could not be saved.
    unsaved: bool,
}

/// Where a walk over the write buffer stands.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    generation: u64,
    slot: usize,
}

impl Cache {
    /// Saves the list of hot keys, with as many as are found in `ms_max`. Where it cannot be saved, the last one stands.
    pub(super) async fn save_hot_keys(&self, ms_max: u64) {
        let keys_max = self.0.config.hot_keys;
        if keys_max == 0 {
            return;
        }
        // One at a time: they write the same file.
        let mut list = Arc::clone(&self.0.hot_list).lock_owned().await;
        let watch = Stopwatch::start();
        let steps = self.hot_in_steps(ms_max / 2).await;
        let now_ms = self.now_ms();
        let (memory, left) = {
            let mut inner = self.0.inner.borrow_mut();
            if !inner.hot.is_read {
                return;
            }
            if let Some(why) = &inner.full {
                // What room there is is kept for deletions.
                let error = CommandError::Full(why.clone());
                inner.hot_keys_saved(Err(error));
                return;
            }
            (inner.tiers.memory().clone(), std::mem::take(&mut inner.hot.left))
        };
        let saved = blocking(move || {
            let mut picked = Picked::new(keys_max, list.room_bytes());
            // What was read most goes first where there are too many.
            let _ = steps.into_iter().flatten().all(|key| picked.take(key));
            memory.each_key(now_ms, |key| watch.ms() < ms_max && picked.take(key.clone()));
            let _ = left.into_iter().all(|key| picked.take(key));
            let keys = picked.sorted();
            list.write(&keys).map(|()| keys.len())
        })
        .await;
        self.0.inner.borrow_mut().hot_keys_saved(saved);
    }

    /// Hot keys of the front and of the write buffer, the hottest first, in about `ms_max`; others run in between. Some may
    /// be among them twice.
    async fn hot_in_steps(&self, ms_max: u64) -> Vec<Vec<Key>> {
        let keys_max = self.0.config.hot_keys;
        let watch = Stopwatch::start();
        let (mut steps, mut others) = (Vec::new(), Vec::new());
        let (mut from, mut found, mut found_others) = (0, 0, 0);
        // Each has its share of the time: none may leave the next without any.
        while watch.ms() < ms_max / 2 && found < keys_max {
            let Some((hot, rest)) = self.0.inner.borrow_mut().tiers.copies_mut().hot_in_front(from, STEP)
            else {
                break;
            };
            found += hot.len();
            steps.push(hot);
            if found_others < keys_max {
                found_others += rest.len();
                others.push(rest);
            }
            from += STEP;
            tokio::task::yield_now().await;
        }
        let mut place = Place::default();
        let until = {
            let inner = self.0.inner.borrow();
            let active = inner.tiers.active();
            Place { generation: active.id(), slot: active.len() }
        };
        while watch.ms() < ms_max && found < keys_max {
            let now_ms = self.now_ms();
            let Some(keys) = self.0.inner.borrow().hot_in_buffer(&mut place, until, now_ms) else { break };
            found += keys.len();
            steps.push(keys);
            tokio::task::yield_now().await;
        }
        steps.append(&mut others);
        steps
    }
}

impl Inner {
    /// The next step of a walk over the write buffer, oldest generation first, up to `until`; `None` at the end. What a
    /// merge takes away before the walk comes to it is in the memory tier, which is looked at afterwards.
    fn hot_in_buffer(&self, place: &mut Place, until: Place, now_ms: i64) -> Option<Vec<Key>> {
        let to_come = self.tiers.generations().filter(|generation| generation.id() >= place.generation);
        let generation = to_come.min_by_key(|generation| generation.id())?;
        if generation.id() != place.generation {
            *place = Place { generation: generation.id(), slot: 0 };
        }
        let last = generation.id() >= until.generation;
        let end = if last { until.slot.min(generation.len()) } else { generation.len() };
        if last && (generation.id() > until.generation || place.slot >= end) {
            return None;
        }
        let slots = generation.slots(place.slot).take(STEP.min(end.saturating_sub(place.slot)));
        let hot = slots.filter(|(_, slot)| slot.was_read() && slot.state.live(now_ms).is_some());
        let keys = hot.map(|(key, _)| key.clone()).collect();
        place.slot += STEP;
        if place.slot >= end {
            *place = Place { generation: generation.id() + 1, slot: 0 };
        }
        Some(keys)
    }

    fn hot_keys_saved(&mut self, saved: Result<usize, impl std::fmt::Display>) {
        match saved {
            Ok(keys) => {
                self.hot.unsaved = false;
                self.counters.set(Stat::HotKeysSaved, keys as u64);
            }
            Err(error) if !std::mem::replace(&mut self.hot.unsaved, true) => {
                tracing::warn!("the list of hot keys is not saved: {error}");
            }
            Err(_) => {}
        }
    }
}

/// The keys for a list, each once.
#[derive(Debug)]
struct Picked {
    keys: HashSet<Key, foldhash::fast::RandomState>,
    keys_max: usize,
    room_bytes: usize,
}

impl Picked {
    fn new(keys_max: usize, room_bytes: usize) -> Self {
        Self { keys: HashSet::default(), keys_max, room_bytes }
    }

    /// Takes a key in; false where there is no room for it.
    fn take(&mut self, key: Key) -> bool {
        let bytes = HotList::bytes_of(&key);
        if self.keys.contains(&key) {
            return true;
        }
        if self.keys.len() >= self.keys_max || bytes > self.room_bytes {
            return false;
        }
        self.room_bytes -= bytes;
        self.keys.insert(key)
    }

    fn sorted(self) -> Vec<Key> {
        let mut keys: Vec<Key> = self.keys.into_iter().collect();
        keys.sort_unstable();
        keys
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_keeps_within_its_bounds_and_has_each_key_once() {
        let mut picked = Picked::new(3, 100);
        for key in ["b", "a", "b"] {
            assert!(picked.take(key.as_bytes().into()));
        }
        assert!(!picked.take(vec![b'x'; 90].into()), "more bytes than there is room for");
        assert!(picked.take((*b"c").into()));
        assert!(picked.take((*b"c").into()));
        assert!(!picked.take((*b"d").into()), "more keys than there is room for");
        assert_eq!(picked.sorted(), [Key::from(*b"a"), Key::from(*b"b"), Key::from(*b"c")]);
    }
}
