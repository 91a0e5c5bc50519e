//! The front of the memory tier: entries that were just read from it, answered again without asking moka.
//!
//! moka's look-up and the housekeeping it leads to took 45 % of a pipelined GET. The front is the event loop's own, so nothing
//! is locked: a table in sets of eight places, of which a key may have any of its set's. What a look-up costs is mostly waiting
//! for memory, so it touches little of it: a byte for each place tells which of a set's may hold the key, all bytes of the
//! table lie close together, a place is one line of the cache, and a small value lies beside its count of references. The
//! table takes the room that moka leaves, and a sixteenth of the tier's cap where moka fills its part.
//!
//! It holds what the main file holds, as the memory tier does, and is asked after the write buffer. A key's entry leaves
//! when a write of it is published, and comes back only once the buffer has let go of the key, so it is never stale.

use std::hint::black_box;

use crate::buffer::{FETCHED_MAX, Hashed};
use crate::entry::{Entry, Key, packed};

/// Places of a set.
const WAYS: usize = 8;

/// Places of the smallest table.
const PLACES_MIN: usize = 1 << 10;

/// Places of the largest: moving all entries into it, or dropping them, takes some milliseconds of the event loop's.
const PLACES_MAX: usize = 1 << 17;

/// Larger values are not taken in: handing them out costs more than looking them up.
const VALUE_BYTES_MAX: usize = 4 << 10;

/// About one hit in so many is told to moka as well, so that it knows what is hot.
const TOLD: u32 = 32;

/// The golden ratio's part of 2^32: multiples of it are spread evenly, and never in a period that keys have.
const GOLDEN: u32 = 0x9E37_79B9;

/// The tag of an empty place.
const EMPTY: u8 = 0;

/// The front; an empty one takes no room.
#[derive(Debug, Default)]
pub struct Front {
    /// A part of the hash for each place, [`EMPTY`] for none.
    tags: Vec<[u8; WAYS]>,
    places: Vec<Place>,
    /// Of the keys and values.
    content_bytes: usize,
    /// Entries that had to make room for another since the table has had this size.
    displaced: usize,
    /// The place that lost its entry last for want of room.
    hand: usize,
    hits: u32,
}

/// A place begins where a line of the processor's cache does.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Place(Option<Held>);

#[derive(Debug)]
struct Held {
    key: Key,
    entry: Entry,
}

impl Held {
    fn bytes(&self) -> usize {
        self.key.len() + packed::bytes(&self.entry.value)
    }
}

impl Front {
    /// The entry under `key`, if it is here and its deadline has not passed, and whether moka is to be told.
    pub fn get(&mut self, key: Hashed<'_>, now_ms: i64) -> Option<(Entry, bool)> {
        let place = self.find(key)?;
        let held = self.places[place].0.as_ref()?;
        if held.entry.deadline.passed(now_ms) {
            self.take(place);
            return None;
        }
        self.hits = self.hits.wrapping_add(1);
        // Not every so manieth: who reads in a circle would have the same keys told each time round.
        let drawn = self.hits.wrapping_mul(GOLDEN);
        Some((held.entry.clone(), drawn < u32::MAX / TOLD))
    }

    /// Reaches for the memory that look-ups of these keys, at most [`FETCHED_MAX`], will need. One after the other they
    /// would each wait for it; so the processor waits for all of them at once.
    pub fn fetch(&self, hashes: &[u64]) {
        let mut found = [usize::MAX; FETCHED_MAX];
        let mut length = 0;
        for (hash, found) in hashes.iter().zip(&mut found) {
            let Some(set) = self.set(*hash) else { return };
            if let Some(way) = ways(self.tags[set], tag(*hash)).next() {
                *found = set * WAYS + way;
            }
        }
        for held in found.iter().filter_map(|&place| self.places.get(place)?.0.as_ref()) {
            length += held.entry.value.len();
        }
        let firsts =
            found.iter().filter_map(|&place| self.places.get(place)?.0.as_ref()?.entry.value.first());
        black_box((length, firsts.fold(0, |all, first| all ^ first)));
    }

    /// Takes in an entry that the memory tier has just answered with. `room_bytes` is what the front may take.
    pub fn fill(&mut self, key: Hashed<'_>, entry: &Entry, room_bytes: usize) {
        self.fit(room_bytes);
        if entry.value.len() > VALUE_BYTES_MAX {
            return;
        }
        // Nobody fills in what is there already; but if it stood in two places, a write would take out only one.
        self.remove(key);
        self.grow(room_bytes);
        let entry = Entry { value: packed::pack_small(&entry.value), deadline: entry.deadline };
        let held = Held { key: key.key().into(), entry };
        // What is asked for now is worth more than what was.
        if held.bytes() <= room_bytes.saturating_sub(table_bytes(self.places.len())) {
            self.shed(room_bytes - held.bytes());
            self.put(key.hash(), held);
        }
    }

    /// Gives up what is more than `room_bytes`.
    pub fn fit(&mut self, room_bytes: usize) {
        // The table has half of the room at most, or there would be none for what it holds.
        while table_bytes(self.places.len()) > room_bytes / 2 {
            let places = self.places.len();
            self.resize(if places > PLACES_MIN { places / 2 } else { 0 });
        }
        self.shed(room_bytes);
    }

    /// Lets entries go, one place after the other, until there are no more than `room_bytes`.
    fn shed(&mut self, room_bytes: usize) {
        while self.bytes() > room_bytes && self.content_bytes > 0 {
            self.hand = (self.hand + 1) % self.places.len();
            self.take(self.hand);
        }
    }

    /// `key` was written.
    pub fn remove(&mut self, key: Hashed<'_>) {
        if let Some(place) = self.find(key) {
            self.take(place);
        }
    }

    /// The keys in the next so many places from place `from` on; `None` beyond the last.
    pub fn keys(&self, from: usize, places: usize) -> Option<Vec<Key>> {
        let rest = self.places.get(from..).filter(|rest| !rest.is_empty())?;
        Some(rest.iter().take(places).filter_map(|place| Some(place.0.as_ref()?.key.clone())).collect())
    }

    /// Bytes that the front takes: the table, keys and values. moka usually holds the same values, and counts them too.
    pub fn bytes(&self) -> usize {
        table_bytes(self.places.len()) + self.content_bytes
    }

    /// Begins a table, or doubles it where many keys share their set and there is room for twice of everything.
    fn grow(&mut self, room_bytes: usize) {
        let places = self.places.len();
        if places == 0 {
            if table_bytes(PLACES_MIN) <= room_bytes / 2 {
                self.resize(PLACES_MIN);
            }
        } else if self.displaced > places / 8 && places < PLACES_MAX && 2 * self.bytes() <= room_bytes {
            self.resize(places * 2);
        }
    }

    fn resize(&mut self, places: usize) {
        let former = std::mem::take(self);
        self.hits = former.hits;
        self.tags.resize(places / WAYS, [EMPTY; WAYS]);
        self.places.resize_with(places, Place::default);
        for held in former.places.into_iter().filter_map(|place| place.0) {
            self.put(Hashed::new(&held.key).hash(), held);
        }
        self.displaced = 0;
    }

    /// The set for this hash, if there is a table. The low bits choose, as the sets are a power of two.
    fn set(&self, hash: u64) -> Option<usize> {
        let last = self.tags.len().checked_sub(1)?;
        Some(hash as usize & last)
    }

    fn find(&self, key: Hashed<'_>) -> Option<usize> {
        let set = self.set(key.hash())?;
        let same = |place: &usize| self.places[*place].0.as_ref().is_some_and(|held| *held.key == *key.key());
        ways(self.tags[set], tag(key.hash())).map(|way| set * WAYS + way).find(same)
    }

    /// Puts an entry that is not there yet into a place of its set. Where all are taken, one of them goes, each in its
    /// turn.
    fn put(&mut self, hash: u64, held: Held) {
        let Some(set) = self.set(hash) else { return };
        let way = ways(self.tags[set], EMPTY).next().unwrap_or(self.displaced % WAYS);
        let place = set * WAYS + way;
        self.displaced += usize::from(self.take(place));
        self.content_bytes += held.bytes();
        self.tags[set][way] = tag(hash);
        self.places[place] = Place(Some(held));
    }

    /// Empties a place; whether there was something in it.
    fn take(&mut self, place: usize) -> bool {
        self.tags[place / WAYS][place % WAYS] = EMPTY;
        let taken = self.places[place].0.take();
        self.content_bytes -= taken.as_ref().map_or(0, Held::bytes);
        taken.is_some()
    }
}

fn table_bytes(places: usize) -> usize {
    places * (size_of::<Place>() + 1)
}

/// What tells the keys of a set apart: bits of the hash that do not choose the set, and never those of an empty place.
fn tag(hash: u64) -> u8 {
    (hash >> 57) as u8 | 0x80
}

/// The places of a set that have this tag.
fn ways(tags: [u8; WAYS], tag: u8) -> impl Iterator<Item = usize> {
    // All eight are compared at once: the highest bit of each byte that is equal is set.
    const LOW: u64 = u64::from_le_bytes([0x01; WAYS]);
    const HIGH: u64 = u64::from_le_bytes([0x80; WAYS]);
    let differing = u64::from_le_bytes(tags) ^ (LOW * u64::from(tag));
    // Without a carry from one byte to the next, which would find some that are not.
    let mut equal = !(((differing & !HIGH) + !HIGH) | differing) & HIGH;
    std::iter::from_fn(move || {
        let way = (equal != 0).then(|| equal.trailing_zeros() as usize / 8);
        equal &= equal.wrapping_sub(1);
        way
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::Deadline;

    const ROOM: usize = 1 << 20;

    fn keys(count: usize) -> Vec<Vec<u8>> {
        (0..count).map(|number| format!("key:{number}").into_bytes()).collect()
    }

    fn fill(front: &mut Front, keys: &[Vec<u8>], room_bytes: usize) {
        for key in keys {
            front.fill(Hashed::new(key), &Entry::forever(vec![b'v'; 64]), room_bytes);
            assert!(front.bytes() <= room_bytes, "{} of {room_bytes}", front.bytes());
        }
    }

    fn found(front: &mut Front, keys: &[Vec<u8>]) -> usize {
        keys.iter().filter(|key| front.get(Hashed::new(key), 0).is_some()).count()
    }

    #[test]
    fn it_grows_to_hold_what_is_read_and_shrinks_with_its_room() {
        let (mut front, keys) = (Front::default(), keys(3_000));
        for _ in 0..4 {
            fill(&mut front, &keys, ROOM);
        }
        assert!(found(&mut front, &keys) > 2_800, "{}", found(&mut front, &keys));
        fill(&mut front, &keys[..10], ROOM);
        front.fill(Hashed::new(&keys[0]), &Entry::forever("v"), ROOM / 4);
        assert!(front.bytes() <= ROOM / 4, "{}", front.bytes());
        assert!(found(&mut front, &keys) > 500, "{}", found(&mut front, &keys));
        front.fit(0);
        assert_eq!((front.bytes(), found(&mut front, &keys)), (0, 0));
    }

    #[test]
    fn what_is_written_or_expired_is_gone() {
        let (mut front, keys) = (Front::default(), keys(100));
        fill(&mut front, &keys, ROOM);
        let (before, found_before) = (front.bytes(), found(&mut front, &keys));
        front.remove(Hashed::new(&keys[99]));
        front.remove(Hashed::new(b"never seen"));
        assert_eq!(front.bytes(), before - "key:99".len() - packed::bytes(&packed::pack(&[b'v'; 64])));
        assert!(front.get(Hashed::new(&keys[99]), 0).is_none());
        let brief = Entry { value: "v".into(), deadline: Deadline::at(5) };
        front.fill(Hashed::new(b"brief"), &brief, ROOM);
        assert!(front.get(Hashed::new(b"brief"), 4).is_some());
        assert!(front.get(Hashed::new(b"brief"), 5).is_none());
        assert_eq!(found(&mut front, &keys), found_before - 1);
    }

    #[test]
    fn large_values_are_left_to_moka() {
        let mut front = Front::default();
        front.fill(Hashed::new(b"k"), &Entry::forever(vec![0; VALUE_BYTES_MAX + 1]), ROOM);
        assert!(front.get(Hashed::new(b"k"), 0).is_none());
    }

    #[test]
    fn tags_are_found_in_every_place_and_nowhere_else() {
        let tags = [0x81, EMPTY, 0x80, 0xff, 0x81, 0x82, EMPTY, 0x81];
        let found = |tag| ways(tags, tag).collect::<Vec<_>>();
        assert_eq!((found(0x81), found(EMPTY)), (vec![0, 4, 7], vec![1, 6]));
        assert_eq!((found(0x80), found(0xff), found(0x83)), (vec![2], vec![3], vec![]));
        for tag in 0..=255 {
            let expected: Vec<_> = (0..WAYS).filter(|&way| tags[way] == tag).collect();
            assert_eq!(found(tag), expected, "{tag:x}");
        }
    }

    #[test]
    fn a_place_is_a_line_of_the_cache() {
        assert_eq!((size_of::<Place>(), align_of::<Place>()), (64, 64));
    }

    #[test]
    fn fetching_changes_nothing() {
        let (mut front, keys) = (Front::default(), keys(200));
        front.fetch(&[1, 2, 3]);
        fill(&mut front, &keys, ROOM);
        let before = (front.bytes(), found(&mut front, &keys));
        let hashes: Vec<u64> = keys.iter().map(|key| Hashed::new(key).hash()).collect();
        hashes.chunks(FETCHED_MAX).for_each(|hashes| front.fetch(hashes));
        assert_eq!((front.bytes(), found(&mut front, &keys)), before);
    }

    #[test]
    fn what_is_read_now_finds_room_whatever_was_read_before() {
        let (mut front, keys) = (Front::default(), keys(4_000));
        // The content is the limit, not the places.
        let large = Entry::forever(vec![b'v'; 300]);
        for (now, keys) in keys.chunks(1_000).enumerate() {
            for key in keys {
                front.fill(Hashed::new(key), &large, ROOM);
                assert!(front.bytes() <= ROOM, "{} of {ROOM}", front.bytes());
            }
            assert!(found(&mut front, &keys[500..]) > 400, "{now}: {}", found(&mut front, &keys[500..]));
        }
    }

    #[test]
    fn every_key_is_told_of_in_its_turn() {
        let (mut front, keys) = (Front::default(), keys(64));
        fill(&mut front, &keys, ROOM);
        let mut told = vec![0; keys.len()];
        for _ in 0..400 {
            for (key, told) in keys.iter().zip(&mut told) {
                *told += u32::from(front.get(Hashed::new(key), 0).unwrap().1);
            }
        }
        assert!(told.iter().all(|told| (6..=20).contains(told)), "{told:?}");
    }
}
