//! The memory tier: hot entries in moka, bounded by their true bytes. The only module that names moka.
//!
//! It holds copies only of what the main file holds, so losing one costs a read and nothing else. The cache never writes
//! here on behalf of a client: rows read from the main file come in, and the keeper brings copies up to date before the
//! write buffer lets go of their keys. Correctness rests on that order, not on anything moka promises.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use moka::notification::RemovalCause;
use moka::sync::Cache;

use crate::buffer::Generation;
use crate::entry::{Entry, Key, State, packed};
use crate::notices::{NoticeKind, Removed};
use crate::pace::Steps;
use crate::store::Copies;

/// What an entry costs beside its key and value, measured as resident growth over a million entries of 64 bytes: moka's
/// nodes, queues and frequency sketch, and our two heap blocks.
const ENTRY_OVERHEAD_BYTES: usize = 340;

/// The part of the cap that is left to the front, in any case: one in so many.
const FRONT_SHARE: u64 = 16;

/// The part of the cap that nobody gets, one in so many: moka counts what it takes in some moments later.
const SLACK_SHARE: u64 = 64;

/// Copies brought up to date between two looks at the clock: some ten microseconds.
const KEYS_A_LOOK: u32 = 32;

/// The memory tier; clones share it. Without a cap there is none, and every look-up misses.
#[derive(Clone, Debug)]
pub struct Memory {
    cache: Option<Cache<Key, Copy, foldhash::fast::RandomState>>,
    cap_bytes: u64,
    /// Whether copies leave at some age.
    ages: bool,
    /// Grows with every flush; copies of an earlier epoch no longer count.
    epoch: Arc<AtomicU64>,
    evictions: Arc<AtomicU64>,
    /// Keys whose rows the keeper has removed, for those who are told of it.
    removed: Arc<Removed>,
}

#[derive(Clone, Debug)]
struct Copy {
    entry: Entry,
    epoch: u64,
}

/// Bytes that a copy of an entry takes.
fn weight_bytes(key: &[u8], entry: &Entry) -> usize {
    key.len() + packed::bytes(&entry.value) + ENTRY_OVERHEAD_BYTES
}

impl Memory {
    /// A tier of at most `cap_bytes`; 0 switches it off. Copies leave it at the age of `max_age`, where there is one.
    #[must_use]
    pub fn new(cap_bytes: u64, max_age: Option<Duration>) -> Self {
        let evictions = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&evictions);
        let cache = (cap_bytes > 0).then(|| {
            let mut builder = Cache::builder();
            if let Some(max_age) = max_age {
                builder = builder.time_to_live(max_age);
            }
            builder
                .max_capacity(cap_bytes - cap_bytes / FRONT_SHARE)
                .weigher(|key: &Key, copy: &Copy| {
                    u32::try_from(weight_bytes(key, &copy.entry)).unwrap_or(u32::MAX)
                })
                .eviction_listener(move |_, _, cause| {
                    if cause == RemovalCause::Size {
                        counter.fetch_add(1, Ordering::Relaxed);
                    }
                })
                .build_with_hasher(foldhash::fast::RandomState::default())
        });
        Self {
            cache,
            cap_bytes,
            ages: max_age.is_some(),
            epoch: Arc::default(),
            evictions,
            removed: Arc::default(),
        }
    }

    /// Keys whose rows the keeper has removed.
    #[must_use]
    pub fn removed_keys(&self) -> &Removed {
        &self.removed
    }

    /// The copy under `key`. Its deadline may have passed.
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<Entry> {
        let copy = self.cache.as_ref()?.get(key)?;
        (copy.epoch == self.epoch()).then_some(copy.entry)
    }

    /// Has moka know that the copy under `key` was asked for, though it was answered without it; whether it has one.
    pub fn note_read(&self, key: &[u8]) -> bool {
        self.get(key).is_some()
    }

    /// Whether there is a memory tier at all.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.cache.is_some()
    }

    /// Takes in a row that was just read from the main file and is current.
    pub fn fill(&self, key: &Key, entry: &Entry) {
        self.insert(key, entry, self.epoch());
    }

    /// Drops the copy of an entry whose deadline has passed.
    pub fn drop_expired(&self, key: &[u8]) {
        if let Some(cache) = &self.cache {
            cache.invalidate(key);
        }
    }

    /// Forgets everything. Copies that the keeper is still refreshing from before are forgotten with the rest.
    pub fn flush(&self) {
        self.epoch.fetch_add(1, Ordering::Relaxed);
        if let Some(cache) = &self.cache {
            // Only frees the room sooner; the epoch is what hides the copies.
            cache.invalidate_all();
        }
    }

    /// The number of flushes so far.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Relaxed)
    }

    /// Bytes that a copy of the entry under `key` takes: none where there are no copies.
    #[must_use]
    pub fn entry_bytes(&self, key: &[u8], entry: &Entry) -> usize {
        if self.is_on() { weight_bytes(key, entry) } else { 0 }
    }

    /// Number of copies held, bytes they take, bytes they may take, copies dropped to stay below that.
    #[must_use]
    pub fn figures(&self) -> (u64, u64, u64, u64) {
        let (entries, bytes) =
            self.cache.as_ref().map_or((0, 0), |cache| (cache.entry_count(), cache.weighted_size()));
        (entries, bytes, self.cap_bytes, self.evictions.load(Ordering::Relaxed))
    }

    /// Bytes of the cap that are not taken up: the front may have them.
    #[must_use]
    pub fn spare_bytes(&self) -> usize {
        let taken = self.cache.as_ref().map_or(self.cap_bytes, Cache::weighted_size);
        self.cap_bytes.saturating_sub(taken + self.cap_bytes / SLACK_SHARE) as usize
    }

    /// Whether there is hardly room for more: at nine tenths of the cap, of which a sixteenth is the front's.
    #[must_use]
    pub fn is_nearly_full(&self) -> bool {
        self.cache.as_ref().is_none_or(|cache| cache.weighted_size() >= self.cap_bytes / 10 * 9)
    }

    /// Whether it makes a difference that copies are told to have been read: for which of them stays, once moka begins to
    /// count how often each is asked for, which is at half of its room; or for how long they stay in any case.
    #[must_use]
    pub fn wants_reads(&self) -> bool {
        self.ages || self.cache.as_ref().is_some_and(|cache| cache.weighted_size() >= self.cap_bytes / 5 * 2)
    }

    /// Gives the keys of all copies that count to `found`, in no order, until it says that it has enough.
    pub fn each_key(&self, now_ms: i64, mut found: impl FnMut(&Key) -> bool) {
        let epoch = self.epoch();
        for (key, copy) in self.cache.iter().flatten() {
            if copy.epoch == epoch && !copy.entry.deadline.passed(now_ms) && !found(&key) {
                return;
            }
        }
    }

    /// Has moka do its housekeeping now; otherwise it is done in passing by look-ups.
    pub fn tidy(&self) {
        if let Some(cache) = &self.cache {
            cache.run_pending_tasks();
        }
    }

    fn insert(&self, key: &Key, entry: &Entry, epoch: u64) {
        if let Some(cache) = &self.cache {
            cache.insert(key.clone(), Copy { entry: entry.clone(), epoch });
        }
    }
}

impl Copies for Memory {
    /// Called after the merge, while the write buffer still answers for these keys. Keys that were read meanwhile are
    /// taken in, others only refreshed.
    fn refresh(&self, generation: &Generation) {
        let Some(cache) = &self.cache else { return };
        let mut steps = Steps::every(KEYS_A_LOOK);
        for (key, slot) in generation.slots(0) {
            steps.step();
            match &slot.state {
                State::Live(entry) if slot.was_read() || cache.contains_key(&key[..]) => {
                    let value = packed::pack_small(&entry.value);
                    self.insert(key, &Entry { value, deadline: entry.deadline }, generation.epoch());
                }
                State::Live(_) => {}
                State::Deleted => cache.invalidate(&key[..]),
            }
        }
    }

    fn has(&self, key: &[u8]) -> bool {
        self.cache.as_ref().is_some_and(|cache| cache.contains_key(key))
    }

    fn removed(&self, why: NoticeKind, keys: Vec<Key>) {
        self.removed.note(why, keys);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buffer::Hashed;

    #[test]
    fn what_is_not_taken_is_the_fronts_but_for_some_slack() {
        const CAP: u64 = 64_000;
        let memory = Memory::new(CAP, None);
        assert_eq!(memory.spare_bytes() as u64, CAP - CAP / SLACK_SHARE);
        for number in 0..200 {
            memory.fill(&format!("key:{number}").into_bytes().into(), &Entry::forever(vec![b'v'; 64]));
            memory.tidy();
            let (_, bytes, ..) = memory.figures();
            assert!(bytes + memory.spare_bytes() as u64 <= CAP - CAP / SLACK_SHARE, "{bytes}");
        }
        assert_eq!(Memory::new(0, None).spare_bytes(), 0);
    }

    #[test]
    fn it_stays_below_its_cap_and_counts_what_it_drops() {
        let memory = Memory::new(100_000, None);
        for number in 0..2_000 {
            memory.fill(&format!("key:{number}").into_bytes().into(), &Entry::forever(vec![b'v'; 64]));
        }
        memory.tidy();
        let (entries, bytes, cap, evictions) = memory.figures();
        assert!(bytes <= cap, "{bytes} of {cap}");
        assert!(entries > 100, "{entries}");
        assert!(evictions > 1_000, "{evictions}");
    }

    #[test]
    fn reads_make_a_difference_where_there_may_soon_be_too_little_room() {
        let memory = Memory::new(100_000, None);
        let mut told_from = None;
        for number in 0..200 {
            memory.fill(&format!("key:{number}").into_bytes().into(), &Entry::forever("v"));
            memory.tidy();
            if memory.wants_reads() {
                told_from.get_or_insert(memory.figures().1);
            }
        }
        assert!(told_from.is_some_and(|bytes| (40_000..41_000).contains(&bytes)), "{told_from:?}");
        assert!(Memory::new(100_000, Some(Duration::from_mins(1))).wants_reads());
        assert!(!Memory::new(0, None).wants_reads());
    }

    #[test]
    fn switched_off_it_holds_nothing() {
        let memory = Memory::new(0, None);
        memory.fill(&(*b"k").into(), &Entry::forever("v"));
        assert_eq!(memory.get(b"k"), None);
    }

    #[test]
    fn a_late_refresh_cannot_bring_back_what_was_flushed() {
        let memory = Memory::new(1 << 20, None);
        let mut sealed = Generation::new(1);
        sealed.put((*b"k").into(), State::Live(Entry::forever("v")));
        assert!(sealed.read(Hashed::new(b"k")).is_some());
        sealed.seal(memory.epoch());
        memory.flush();
        memory.refresh(&sealed);
        assert_eq!(memory.get(b"k"), None);
    }

    #[test]
    fn a_refresh_updates_copies_takes_in_what_was_read_and_drops_the_deleted() {
        let memory = Memory::new(1 << 20, None);
        for key in [b"a", b"b"] {
            memory.fill(&(*key).into(), &Entry::forever("old"));
        }
        let mut sealed = Generation::new(1);
        for key in [b"a", b"c", b"d"] {
            sealed.put((*key).into(), State::Live(Entry::forever("new")));
        }
        sealed.put((*b"b").into(), State::Deleted);
        assert!(sealed.read(Hashed::new(b"c")).is_some());
        sealed.seal(memory.epoch());
        memory.refresh(&sealed);
        let held = |key: &[u8]| memory.get(key).map(|entry| entry.value);
        assert_eq!(held(b"a").as_deref(), Some(&b"new"[..]));
        assert_eq!(held(b"b"), None);
        assert_eq!(held(b"c").as_deref(), Some(&b"new"[..]));
        assert_eq!(held(b"d"), None);
    }
}
