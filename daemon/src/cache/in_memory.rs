//! The memory tier as the event loop has it: moka, and before it the front. Together they stay below the tier's cap.

use super::front::Front;
use super::look_up::{LookUp, Source};
use super::memory::Memory;
use crate::buffer::Hashed;
use crate::entry::{Entry, Key};

/// Copies of what the main file holds.
#[derive(Debug)]
pub struct InMemory {
    front: Front,
    memory: Memory,
    front_is_behind: bool,
}

impl InMemory {
    /// moka as it is, and nothing before it.
    #[must_use]
    pub fn new(memory: Memory) -> Self {
        Self { front: Front::default(), memory, front_is_behind: false }
    }

    /// moka alone.
    #[must_use]
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// The copy under `key`, or that it is absent, where the deadline of the copy has passed.
    pub fn look_up(&mut self, key: Hashed<'_>, now_ms: i64) -> LookUp {
        if let Some((entry, tell)) = self.front.get(key, now_ms) {
            if tell {
                // It may have gone from there meanwhile, and is still current: the buffer lacks the key.
                if self.memory.wants_reads() && !self.memory.note_read(key.key()) {
                    self.memory.fill(&key.key().into(), &entry);
                }
                self.make_room(self.memory.spare_bytes());
            }
            return LookUp::Known(Some(entry), Source::Memory);
        }
        let Some(entry) = self.memory.get(key.key()) else { return LookUp::Unknown };
        if entry.deadline.passed(now_ms) {
            self.memory.drop_expired(key.key());
            return LookUp::Known(None, Source::Memory);
        }
        let spare_bytes = self.memory.spare_bytes();
        self.front.fill(key, &entry, spare_bytes);
        self.make_room(spare_bytes);
        LookUp::Known(Some(entry), Source::Memory)
    }

    /// Takes in a row that was just read from the main file and is current.
    pub fn fill(&mut self, key: &[u8], entry: &Entry) {
        if self.memory.is_on() {
            self.memory.fill(&key.into(), entry);
            self.make_room(self.memory.spare_bytes());
        }
    }

    /// Has the processor reach for the memory that look-ups will read, of [`FETCHED_MAX`](crate::buffer::FETCHED_MAX) keys.
    pub fn fetch(&self, hashes: &[u64]) {
        self.front.fetch(hashes);
    }

    /// `key` was written: only moka may still have a copy, which nobody asks for before the keeper has refreshed it.
    pub fn written(&mut self, key: Hashed<'_>) {
        self.front.remove(key);
    }

    /// Forgets everything. What is returned is to be [freed](Front::free) elsewhere.
    pub fn flush(&mut self) -> Front {
        self.memory.flush();
        self.take_front()
    }

    /// Empties the front, which fills again from moka.
    pub fn take_front(&mut self) -> Front {
        std::mem::take(&mut self.front)
    }

    /// Has the front give up what moka has taken since, or a part of it: true if no more is left to do.
    pub fn fit_front(&mut self) -> bool {
        self.front_is_behind = !self.front.fit(self.memory.spare_bytes());
        !self.front_is_behind
    }

    /// Whether the front takes more than it may, and is to be [fitted](Self::fit_front): as much as a command may do of that
    /// was not enough.
    #[must_use]
    pub fn front_is_behind(&self) -> bool {
        self.front_is_behind
    }

    fn make_room(&mut self, spare_bytes: usize) {
        self.front_is_behind |= !self.front.fit_in_passing(spare_bytes);
    }

    /// See [`Memory::figures`]; the bytes are those of the front as well.
    #[must_use]
    pub fn figures(&self) -> (u64, u64, u64, u64) {
        let (entries, bytes, cap_bytes, evictions) = self.memory.figures();
        (entries, bytes + self.front.bytes() as u64, cap_bytes, evictions)
    }

    /// See [`Front::hot_keys`].
    pub fn hot_in_front(&mut self, from: usize, places: usize) -> Option<(Vec<Key>, Vec<Key>)> {
        self.front.hot_keys(from, places)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A bug for the schedules to show.
    impl InMemory {
        /// Puts back what [`take_front`](Self::take_front) took.
        pub(crate) fn give_back_front(&mut self, front: Front) {
            self.front = front;
        }
    }

    fn is_there(tier: &mut InMemory, key: &[u8]) -> bool {
        matches!(tier.look_up(Hashed::new(key), 0), LookUp::Known(Some(_), Source::Memory))
    }

    #[test]
    fn what_is_loaded_and_never_asked_for_again_takes_the_fronts_room() {
        const CAP: u64 = 1 << 20;
        let mut tier = InMemory::new(Memory::new(CAP, None));
        let entry = Entry::forever(vec![b'v'; 64]);
        let keys: Vec<_> = (0..4_000).map(|number| format!("key:{number}").into_bytes()).collect();
        for key in &keys[..1_000] {
            tier.fill(key, &entry);
            tier.memory.tidy();
            for _ in 0..4 {
                assert!(is_there(&mut tier, key));
            }
        }
        assert!(tier.front.bytes() > 150_000, "{}", tier.front.bytes());
        for key in &keys[1_000..] {
            tier.fill(key, &entry);
            tier.memory.tidy();
            while tier.front_is_behind() {
                tier.fit_front();
            }
            let (_, bytes, cap_bytes, _) = tier.figures();
            assert!(bytes <= cap_bytes, "{bytes}");
        }
        assert!(tier.front.bytes() < 100_000, "{}", tier.front.bytes());
    }

    #[test]
    fn what_was_told_comes_back_to_moka_where_copies_go_by_age() {
        let mut tier = InMemory::new(Memory::new(1 << 20, Some(Duration::from_mins(1))));
        tier.fill(b"k", &Entry::forever("v"));
        for _ in 0..2 {
            assert!(is_there(&mut tier, b"k"));
        }
        tier.memory.drop_expired(b"k");
        assert!(tier.memory.get(b"k").is_none());
        for _ in 0..200 {
            assert!(is_there(&mut tier, b"k"));
        }
        assert!(tier.memory.get(b"k").is_some());
    }
}
