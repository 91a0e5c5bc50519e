//! The memory tier as the event loop has it: moka, and before it the front. Together they stay below the tier's cap.

use super::front::{Front, one_in};
use super::look_up::{LookUp, Source};
use super::memory::Memory;
use crate::buffer::Hashed;
use crate::entry::{Entry, Key};

/// Where moka is full, one row in so many is taken in: what is asked for often gets in soon, and what is not seldom displaces
/// anything. With 4 hits were a little fewer, with 16 a little more, and what is newly asked for waits for longer.
const TAKEN_IN: u32 = 8;

/// Copies of what the main file holds.
#[derive(Debug)]
pub struct InMemory {
    front: Front,
    memory: Memory,
    front_is_behind: bool,
    /// Rows that were to be taken into moka where it was full.
    beyond_room: u32,
}

impl InMemory {
    /// moka as it is, and nothing before it.
    #[must_use]
    pub fn new(memory: Memory) -> Self {
        Self { front: Front::default(), memory, front_is_behind: false, beyond_room: 0 }
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

    /// Takes in a row that was just read from the main file and is current: each as long as there is room, then one in
    /// [`TAKEN_IN`]. moka refuses most of those that nobody asks for again, but only after it has put them into its table, which
    /// is then rebuilt around their graves: that was 38 % of all work where ten million keys were read and a part fitted.
    pub fn fill(&mut self, key: &[u8], entry: &Entry) {
        if !self.memory.is_on() {
            return;
        }
        if self.memory.is_nearly_full() {
            self.beyond_room = self.beyond_room.wrapping_add(1);
            if !one_in(TAKEN_IN, self.beyond_room) {
                return;
            }
        }
        self.memory.fill(&key.into(), entry);
        self.make_room(self.memory.spare_bytes());
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
    fn where_there_is_no_room_what_is_asked_for_once_displaces_little_and_what_is_asked_for_often_gets_in() {
        let mut tier = InMemory::new(Memory::new(1 << 20, None));
        let entry = Entry::forever(vec![b'v'; 64]);
        let read = |tier: &mut InMemory, key: &[u8]| {
            let found = is_there(tier, key);
            if !found {
                tier.fill(key, &entry);
                tier.memory.tidy();
            }
            found
        };
        let mut number = 0_u64;
        while !tier.memory.is_nearly_full() {
            read(&mut tier, format!("early:{number}").as_bytes());
            number += 1;
        }
        let filled = number;
        for number in 0..8 * filled {
            read(&mut tier, format!("once:{number}").as_bytes());
        }
        let (_, _, _, gone) = tier.figures();
        assert!(gone < 2 * filled, "{gone} of {filled}");
        let reads = (1..1_000).find(|_| read(&mut tier, b"often")).expect("it gets in");
        assert!(reads < 200, "{reads}");
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
