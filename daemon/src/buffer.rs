//! The write buffer: answered writes that the main file does not hold yet, one [`Generation`] at a time.
//!
//! The cache fills the active generation; the keeper merges a sealed one into the main file and only then is it let go.
//! A key's slot is never removed while its generation lives (a deletion is a slot too), so positions are stable and a
//! walk over the slots can stop and go on later.

mod merge_pace;

use std::hash::BuildHasher as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use crate::entry::{Key, State};
use crate::pace::Steps;
use merge_pace::MergePace;

/// Below this a generation is in the processor's cache already.
const LARGE_SLOTS: usize = 16 * 1024;

/// Slots freed between two looks at the clock: some ten microseconds.
const SLOTS_A_LOOK: u32 = 128;

/// Look-ups that are waited for together.
pub const FETCHED_MAX: usize = 32;

/// Bytes a slot costs beside key and value, measured as resident growth over a million of them: the slot itself, its place
/// in the table of positions, the heap block of the value.
const SLOT_OVERHEAD_BYTES: usize = 90;

/// Bytes that an entry of such a key and value takes here.
#[must_use]
pub fn entry_bytes(key: &[u8], value: &[u8]) -> usize {
    key.len() + value.len() + SLOT_OVERHEAD_BYTES
}

/// A key together with its hash, which is the same in every generation: a look-up asks up to three of them, and a write
/// goes through two.
#[derive(Clone, Copy, Debug)]
pub struct Hashed<'k> {
    key: &'k [u8],
    hash: u64,
}

impl<'k> Hashed<'k> {
    /// Hashes `key`.
    #[must_use]
    pub fn new(key: &'k [u8]) -> Self {
        /// Differs from process to process, so that nobody can prepare keys that collide.
        static SEED: LazyLock<foldhash::fast::RandomState> = LazyLock::new(Default::default);
        Self { key, hash: SEED.hash_one(key) }
    }

    /// The key itself.
    #[must_use]
    pub fn key(self) -> &'k [u8] {
        self.key
    }

    /// Its hash.
    #[must_use]
    pub fn hash(self) -> u64 {
        self.hash
    }
}

/// Room is made ahead for at most so many slots.
const SLOTS_AHEAD_MAX: usize = 1 << 21;

/// The list of slots of a large generation grows by this factor, and by [`SLOTS_AHEAD_MAX`] at most while that is more than
/// doubling: each time all slots move, and memory that is not touched costs nothing. (The table of positions is touched all over.)
const GROWTH: usize = 8;

/// What one write, or the last of several, left under a key.
#[derive(Debug)]
pub struct Slot {
    /// The outcome.
    pub state: State,
    key: Key,
    hash: u64,
    /// Whether it was read while it stood here: such keys are worth a place in the memory tier after the merge.
    read: AtomicBool,
}

/// All writes between two seals, by key. Later writes replace earlier ones, so a hot key is merged once.
#[derive(Debug)]
pub struct Generation {
    id: u64,
    /// In order of first write.
    slots: Vec<Slot>,
    /// Positions in `slots`.
    positions: HashTable<u32>,
    flushed: bool,
    bytes: usize,
    epoch: u64,
    merge: MergePace,
}

/// What a flush threw away; only good for being dropped.
#[derive(Debug)]
pub struct Flushed {
    _slots: Vec<Slot>,
}

impl Generation {
    /// An empty generation. Ids grow by one per seal and name the journal file that backs the generation.
    #[must_use]
    pub fn new(id: u64) -> Self {
        Self {
            id,
            slots: Vec::new(),
            positions: HashTable::new(),
            flushed: false,
            bytes: 0,
            epoch: 0,
            merge: MergePace::default(),
        }
    }

    /// As [`new`](Self::new), with room for about so many slots: growing to a million moves all of them, which takes the
    /// event loop some ten milliseconds. Memory that is not used costs next to nothing.
    #[must_use]
    pub fn with_capacity(id: u64, slots: usize) -> Self {
        let slots = slots.min(SLOTS_AHEAD_MAX);
        Self { slots: Vec::with_capacity(slots), positions: HashTable::with_capacity(slots), ..Self::new(id) }
    }

    /// The generation's number.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Whether everything older than this generation was flushed away during it.
    #[must_use]
    pub fn flushed(&self) -> bool {
        self.flushed
    }

    /// Notes the memory tier's epoch at the moment the generation stops taking writes.
    pub fn seal(&mut self, epoch: u64) {
        self.epoch = epoch;
    }

    /// The memory tier's epoch that this generation's entries belong to.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Number of slots, deletions included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether a merge of this generation would change nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty() && !self.flushed
    }

    /// Bytes held: keys, values and what a slot costs.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The state under `key`, if it was written in this generation.
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<&State> {
        self.slot(Hashed::new(key)).map(|slot| &slot.state)
    }

    /// The position of the slot of `key`, as [`slots`](Self::slots) walks them.
    #[must_use]
    pub fn position(&self, key: &[u8]) -> Option<usize> {
        self.find(Hashed::new(key))
    }

    /// As [`get`](Self::get), and notes that the key is being read.
    #[must_use]
    pub fn read(&self, key: Hashed<'_>) -> Option<&State> {
        self.slot(key).map(|slot| {
            // A plain load first: a hot key's cache line is then not written to again and again.
            if !slot.read.load(Ordering::Relaxed) {
                slot.read.store(true, Ordering::Relaxed);
            }
            &slot.state
        })
    }

    /// Puts `state` under `key`.
    pub fn put(&mut self, key: Key, state: State) {
        let hash = Hashed::new(&key).hash;
        self.put_hashed(key, hash, state);
    }

    /// As [`put`](Self::put), with the key's hash known.
    pub fn write(&mut self, key: Hashed<'_>, state: State) {
        self.put_hashed(key.key.into(), key.hash, state);
    }

    fn put_hashed(&mut self, key: Key, hash: u64, state: State) {
        let Self { slots, positions, bytes, .. } = self;
        *bytes += state.value_bytes();
        let same = |&at: &u32| slots[at as usize].hash == hash && slots[at as usize].key == key;
        match positions.entry(hash, same, |&at| slots[at as usize].hash) {
            Entry::Occupied(position) => {
                let slot = &mut slots[*position.get() as usize];
                *bytes -= slot.state.value_bytes();
                slot.state = state;
            }
            Entry::Vacant(place) => {
                *bytes += key.len() + SLOT_OVERHEAD_BYTES;
                place.insert(u32::try_from(slots.len()).expect("the buffer's cap is some million slots"));
                if slots.len() == slots.capacity() && slots.len() >= LARGE_SLOTS {
                    slots.reserve_exact((slots.len() * (GROWTH - 1)).min(SLOTS_AHEAD_MAX.max(slots.len())));
                }
                slots.push(Slot { state, key, hash, read: AtomicBool::new(false) });
            }
        }
    }

    fn find(&self, key: Hashed<'_>) -> Option<usize> {
        // An empty generation has a large table all the same, and to look into that takes a wait for memory.
        if self.slots.is_empty() {
            return None;
        }
        let same = |&at: &u32| {
            let slot = &self.slots[at as usize];
            slot.hash == key.hash && *slot.key == *key.key
        };
        self.positions.find(key.hash, same).map(|&at| at as usize)
    }

    fn slot(&self, key: Hashed<'_>) -> Option<&Slot> {
        self.find(key).map(|at| &self.slots[at])
    }

    /// Forgets every slot and shadows everything older. Returns the slots so that the caller can drop them elsewhere:
    /// dropping a million boxes takes a while.
    pub fn flush(&mut self) -> Flushed {
        self.flushed = true;
        self.bytes = 0;
        self.positions.clear();
        Flushed { _slots: std::mem::take(&mut self.slots) }
    }

    /// Frees it, where nobody else has it any more, at the pace of this thread: a million slots are as many blocks of memory.
    pub fn free(self: Arc<Self>) {
        let Some(generation) = Arc::into_inner(self) else { return };
        let mut steps = Steps::every(SLOTS_A_LOOK);
        for slot in generation.slots {
            drop(slot);
            steps.step();
        }
    }

    /// Moves every write of `newer`, in order, into this generation, telling `written` each key. `newer` is left empty,
    /// with its memory. Returns what a flush among them threw away, to be dropped elsewhere.
    pub fn absorb(&mut self, newer: &mut Self, mut written: impl FnMut(Hashed<'_>)) -> Option<Flushed> {
        let dropped = newer.flushed.then(|| self.flush());
        self.fetch(newer.slots.iter().map(|slot| slot.hash));
        for Slot { key, hash, state, .. } in newer.slots.drain(..) {
            written(Hashed { key: &key, hash });
            self.put_hashed(key, hash, state);
        }
        newer.clear();
        dropped
    }

    /// Puts many writes, in order.
    pub fn put_all(&mut self, writes: Vec<(Key, State)>) {
        let hashes: Vec<u64> = writes.iter().map(|(key, _)| Hashed::new(key).hash).collect();
        self.fetch(hashes.iter().copied());
        for ((key, state), hash) in writes.into_iter().zip(hashes) {
            self.put_hashed(key, hash, state);
        }
    }

    /// Looks all of them up and does nothing with what it finds: what they need is in the processor's cache afterwards. In
    /// a large generation each look-up waits for memory twice; these do not depend on each other, so the processor
    /// waits for several at a time, which it cannot do while each write is finished before the next is looked up.
    fn fetch(&self, hashes: impl Iterator<Item = u64>) {
        if self.slots.len() < LARGE_SLOTS {
            return;
        }
        let mut found = 0;
        for hash in hashes {
            let same = |&at: &u32| self.slots[at as usize].hash == hash;
            found += usize::from(self.positions.find(hash, same).is_some());
        }
        std::hint::black_box(found);
    }

    /// As [`fetch`](Self::fetch), and the values that are found as well.
    pub fn fetch_values(&self, hashes: &[u64]) {
        if self.slots.len() < LARGE_SLOTS {
            return;
        }
        let mut found = [usize::MAX; FETCHED_MAX];
        for (hash, found) in hashes.iter().zip(&mut found) {
            let same = |&at: &u32| self.slots[at as usize].hash == *hash;
            if let Some(&at) = self.positions.find(*hash, same) {
                *found = at as usize;
            }
        }
        let slots = found.iter().filter_map(|&at| self.slots.get(at));
        let firsts = slots.map(|slot| match &slot.state {
            State::Live(entry) => entry.value.first().copied().unwrap_or(0),
            State::Deleted => 0,
        });
        std::hint::black_box(firsts.fold(0, |all, first| all ^ first));
    }

    /// Forgets everything, as if nothing had been written.
    pub fn clear(&mut self) {
        /// Slots whose memory is kept for the next turn.
        const KEEP_SLOTS: usize = 4_096;
        self.slots.clear();
        self.slots.shrink_to(KEEP_SLOTS);
        self.positions.clear();
        self.positions.shrink_to(KEEP_SLOTS, |_| unreachable!("it is empty"));
        self.flushed = false;
        self.bytes = 0;
    }

    /// The slots from position `from` on, in order of first write; positions are stable while the generation lives,
    /// except across [`flush`](Self::flush).
    pub fn slots(&self, from: usize) -> impl Iterator<Item = (&Key, &Slot)> {
        self.slots[from.min(self.slots.len())..].iter().map(|slot| (&slot.key, slot))
    }

    /// Keys and slots in key order, as a merge wants them.
    #[must_use]
    pub fn sorted(&self) -> Vec<(&Key, &Slot)> {
        /// Comparisons between two looks at the clock: some ten microseconds.
        const COMPARISONS_A_LOOK: u32 = 256;
        let mut sorted: Vec<_> = self.slots(0).collect();
        let mut steps = Steps::every(COMPARISONS_A_LOOK);
        sorted.sort_unstable_by(|(one, _), (other, _)| {
            steps.step();
            one.cmp(other)
        });
        sorted
    }
}

impl Slot {
    /// Whether the key was read while it stood in the buffer.
    #[must_use]
    pub fn was_read(&self) -> bool {
        self.read.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::Entry;

    fn live(text: &'static str) -> State {
        State::Live(Entry::forever(text))
    }

    #[test]
    fn the_last_write_of_a_key_stays_and_bytes_follow() {
        let mut generation = Generation::new(1);
        generation.put((*b"k").into(), live("12345"));
        generation.put((*b"k").into(), live("1"));
        assert_eq!(generation.get(b"k"), Some(&live("1")));
        assert_eq!(generation.bytes(), SLOT_OVERHEAD_BYTES + 2);
        generation.put((*b"k").into(), State::Deleted);
        assert_eq!(generation.bytes(), SLOT_OVERHEAD_BYTES + 1);
        assert_eq!(generation.len(), 1);
    }

    #[test]
    fn a_walk_can_stop_and_go_on() {
        let mut generation = Generation::new(1);
        for key in ["c", "a", "b"] {
            generation.put(key.as_bytes().into(), live("v"));
        }
        let first: Vec<_> = generation.slots(0).take(2).map(|(key, _)| key.clone()).collect();
        generation.put((*b"c").into(), State::Deleted);
        generation.put((*b"d").into(), live("v"));
        let rest: Vec<_> = generation.slots(2).map(|(key, _)| key.clone()).collect();
        assert_eq!(first, [Key::from(*b"c"), Key::from(*b"a")]);
        assert_eq!(rest, [Key::from(*b"b"), Key::from(*b"d")]);
        assert_eq!(generation.slots(99).count(), 0);
        assert_eq!(generation.sorted().iter().map(|(key, _)| key[0]).collect::<Vec<_>>(), b"abcd");
    }

    #[test]
    fn a_flush_leaves_an_empty_generation_that_still_has_to_be_merged() {
        let mut generation = Generation::new(1);
        assert!(generation.is_empty());
        generation.put((*b"k").into(), live("v"));
        drop(generation.flush());
        assert_eq!((generation.len(), generation.bytes(), generation.is_empty()), (0, 0, false));
    }

    #[test]
    fn a_large_generation_grows_in_few_steps_and_not_for_what_is_overwritten() {
        let key = |number: usize| Key::from(&number.to_be_bytes()[..]);
        let mut generation = Generation::with_capacity(1, LARGE_SLOTS);
        for round in 0..2 {
            for number in 0..LARGE_SLOTS {
                generation.put(key(number), live("v"));
            }
            assert_eq!(generation.slots.capacity(), LARGE_SLOTS, "round {round}");
        }
        generation.put(key(LARGE_SLOTS), live("v"));
        assert_eq!(generation.slots.capacity(), GROWTH * LARGE_SLOTS);
        assert!((0..=LARGE_SLOTS).all(|number| generation.get(&key(number)).is_some()));
    }

    #[test]
    fn reads_are_remembered() {
        let mut generation = Generation::new(1);
        generation.put((*b"k").into(), live("v"));
        assert!(!generation.sorted()[0].1.was_read());
        assert_eq!(generation.read(Hashed::new(b"k")), Some(&live("v")));
        assert!(generation.sorted()[0].1.was_read());
    }
}
