//! The table of the front: places for entries, and where to find which. It grows and shrinks by linear hashing (Litwin 1980), one
//! segment at a time. When, and what is taken in, is the front's to say.

use std::hint::black_box;

use super::places::{EMPTY, PLACES, SETS, WAYS, first_way, free_way, segment, sibling, tag, ways};
use crate::buffer::{FETCHED_MAX, Hashed};
use crate::entry::{Entry, Key, packed};
use crate::pace::Steps;

/// Places emptied between two looks at the clock: some ten microseconds.
const PLACES_A_LOOK: u32 = 256;

/// The table. Sets and places are numbered through from the first segment's on; an empty one takes no room.
#[derive(Debug, Default)]
pub(super) struct Table {
    segments: Vec<Segment>,
    /// Of the keys and values.
    content_bytes: usize,
}

#[derive(Debug)]
struct Segment {
    /// A part of the hash for each place, [`EMPTY`] for none.
    tags: Box<[[u8; WAYS]; SETS]>,
    places: Box<[Place; PLACES]>,
    /// A bit for each place of a set: whether its entry was marked as hot, in this period and in the one before.
    hot: Box<[(u8, u8); SETS]>,
}

/// A place begins where a line of the processor's cache does.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Place(Option<Held>);

#[derive(Debug)]
pub(super) struct Held {
    pub(super) key: Key,
    pub(super) entry: Entry,
}

impl Held {
    pub(super) fn bytes(&self) -> usize {
        self.key.len() + packed::bytes(&self.entry.value)
    }
}

impl Default for Segment {
    fn default() -> Self {
        let places: Box<[Place]> = std::iter::repeat_with(Place::default).take(PLACES).collect();
        let places = places.try_into().unwrap_or_else(|_| unreachable!("so many were taken"));
        Self { tags: Box::new([[EMPTY; WAYS]; SETS]), places, hot: Box::new([(0, 0); SETS]) }
    }
}

/// Bytes of a table of so many segments, without what it holds.
pub(super) fn table_bytes(segments: usize) -> usize {
    segments * (PLACES * (size_of::<Place>() + 1) + SETS * 2)
}

impl Table {
    pub(super) fn segments(&self) -> usize {
        self.segments.len()
    }

    pub(super) fn places(&self) -> usize {
        self.segments.len() * PLACES
    }

    /// Bytes of the keys and values it holds.
    pub(super) fn content_bytes(&self) -> usize {
        self.content_bytes
    }

    /// The set for this hash, if there is a table.
    pub(super) fn set(&self, hash: u64) -> Option<usize> {
        let segments = self.segments.len();
        (segments > 0).then(|| segment(hash, segments) * SETS + hash as usize % SETS)
    }

    /// The place of the set that an entry of this hash would be put into, if one is free.
    pub(super) fn free_way(&self, set: usize, hash: u64) -> Option<usize> {
        free_way(self.tags(set), hash)
    }

    pub(super) fn held(&self, place: usize) -> Option<&Held> {
        self.segments.get(place / PLACES)?.places[place % PLACES].0.as_ref()
    }

    /// The place that `key` has.
    pub(super) fn find(&self, key: Hashed<'_>) -> Option<usize> {
        let set = self.set(key.hash())?;
        let same = |place: &usize| self.held(*place).is_some_and(|held| *held.key == *key.key());
        let (tags, first) = (self.tags(set), first_way(key.hash()));
        // Most entries are where they would first be put. The processor guesses so as well, and reaches for the place while
        // it still waits for the tags.
        if tags[first] == tag(key.hash()) && same(&(set * WAYS + first)) {
            return Some(set * WAYS + first);
        }
        ways(tags, tag(key.hash())).map(|way| set * WAYS + way).find(same)
    }

    /// Reaches for the memory that look-ups of these keys, at most [`FETCHED_MAX`], will need. One after the other they
    /// would each wait for it; so the processor waits for all of them at once.
    pub(super) fn fetch(&self, hashes: &[u64]) {
        let mut found = [usize::MAX; FETCHED_MAX];
        let mut length = 0;
        for (hash, found) in hashes.iter().zip(&mut found) {
            let Some(set) = self.set(*hash) else { return };
            if let Some(way) = ways(self.tags(set), tag(*hash)).next() {
                *found = set * WAYS + way;
            }
        }
        for held in found.iter().filter_map(|&place| self.held(place)) {
            length += held.entry.value.len();
        }
        let firsts = found.iter().filter_map(|&place| self.held(place)?.entry.value.first());
        black_box((length, firsts.fold(0, |all, first| all ^ first)));
    }

    /// Puts an entry that is not there yet into a place of its set that is free.
    pub(super) fn put(&mut self, set: usize, way: usize, hash: u64, held: Held) {
        self.content_bytes += held.bytes();
        let (segment, set) = (&mut self.segments[set / SETS], set % SETS);
        segment.tags[set][way] = tag(hash);
        let (now, before) = &mut segment.hot[set];
        (*now, *before) = (*now & !(1 << way), *before & !(1 << way));
        segment.places[set * WAYS + way] = Place(Some(held));
    }

    /// Empties a place.
    pub(super) fn take(&mut self, place: usize) {
        let segment = &mut self.segments[place / PLACES];
        let place = place % PLACES;
        segment.tags[place / WAYS][place % WAYS] = EMPTY;
        let taken = segment.places[place].0.take();
        self.content_bytes -= taken.map_or(0, |held| held.bytes());
    }

    /// Marks the entry of a place as hot.
    pub(super) fn mark_hot(&mut self, place: usize) {
        self.segments[place / PLACES].hot[place % PLACES / WAYS].0 |= 1 << (place % WAYS);
    }

    /// Whether the entry of a place was marked as hot in this period or the one before.
    pub(super) fn is_hot(&self, place: usize) -> bool {
        let (now, before) = self.segments[place / PLACES].hot[place % PLACES / WAYS];
        (now | before) & 1 << (place % WAYS) != 0
    }

    /// Begins another period for the set of a place.
    pub(super) fn age(&mut self, place: usize) {
        let hot = &mut self.segments[place / PLACES].hot[place % PLACES / WAYS];
        *hot = (0, hot.0);
    }

    /// Adds a segment, with what belongs there of the one whose keys it shares, if there is one.
    pub(super) fn split(&mut self) {
        let (segments, added) = (self.segments.len() + 1, self.segments.len());
        let mut new = Segment::default();
        if let Some(former) = self.segments.get_mut(sibling(added)) {
            for (at, place) in former.places.iter_mut().enumerate() {
                if let Some(held) = &place.0
                    && segment(Hashed::new(&held.key).hash(), segments) == added
                {
                    new.places[at] = std::mem::take(place);
                    let (set, way) = (at / WAYS, at % WAYS);
                    new.tags[set][way] = std::mem::replace(&mut former.tags[set][way], EMPTY);
                    new.hot[set] = former.hot[set];
                }
            }
        }
        self.segments.push(new);
    }

    /// Gives up the last segment. What it holds goes back to the one it came from, as far as there is room.
    pub(super) fn merge(&mut self) {
        let Some(mut last) = self.segments.pop() else { return };
        let to = sibling(self.segments.len());
        for (at, place) in last.places.iter_mut().enumerate() {
            let Some(held) = place.0.take() else { continue };
            self.content_bytes -= held.bytes();
            let (hash, set) = (Hashed::new(&held.key).hash(), to * SETS + at / WAYS);
            if !self.segments.is_empty()
                && let Some(free) = self.free_way(set, hash)
            {
                self.put(set, free, hash, held);
            }
        }
    }

    /// Frees it, in steps that others may come between: it may hold millions of entries.
    pub(super) fn free(self) {
        let mut steps = Steps::every(PLACES_A_LOOK);
        for mut segment in self.segments {
            for place in &mut segment.places[..] {
                drop(place.0.take());
                steps.step();
            }
        }
    }

    fn tags(&self, set: usize) -> [u8; WAYS] {
        self.segments[set / SETS].tags[set % SETS]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Table {
        /// All entries there are.
        pub(in crate::cache::front) fn all(&self) -> impl Iterator<Item = &Held> {
            (0..self.places()).filter_map(|place| self.held(place))
        }
    }

    #[test]
    fn a_place_is_a_line_of_the_cache() {
        assert_eq!((size_of::<Place>(), align_of::<Place>()), (64, 64));
    }
}
