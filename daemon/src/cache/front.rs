//! The front of the memory tier: entries that were just read from it, answered again without asking moka.
//!
//! moka's look-up and the housekeeping it leads to took 45 % of a pipelined GET. The front is the event loop's own, so nothing
//! is locked: a table in sets of eight places, of which a key may have any of its set's. What a look-up costs is mostly waiting
//! for memory, so it touches little of it: a byte for each place tells which of a set's may hold the key, the bytes of a
//! segment lie close together, a place is one line of the cache, and a small value lies beside its count of references
//! ([`packed`]).
//!
//! The table grows one segment at a time, so that no command waits for a large table to be moved. It takes the room that
//! moka leaves, and a sixteenth of the tier's cap where moka fills its part.
//!
//! It holds what the main file holds, as the memory tier does, and is asked after the write buffer. A key's entry leaves
//! when a write of it is published, and comes back only once the buffer has let go of the key, so it is never stale.

mod places;
mod table;

use self::places::{PLACES, WAYS};
use self::table::{Held, Table, table_bytes};
use crate::buffer::Hashed;
use crate::entry::{Entry, Key, packed};

/// Entries that find no place left in their set before the table is a segment larger.
const CROWDED: u32 = PLACES as u32 / 8;

/// The table is large enough where hits are more than so many times as frequent as such entries.
const HITS_A_CROWDED: u32 = 64;

/// Where others have to make room, one entry in so many is taken in: those asked for often get in soon, and one that is asked
/// for once seldom displaces another.
const TAKEN_IN: u32 = 4;

/// Larger entries are not taken in: handing them out costs more than looking them up.
const ENTRY_BYTES_MAX: usize = 4 << 10;

/// About one hit in so many is told to moka as well, so that it knows what is hot.
const TOLD: u32 = 32;

/// The golden ratio's part of 2^32: multiples of it are spread evenly.
const GOLDEN: u32 = 0x9E37_79B9;

/// Segments given up in one step, and places looked at for what they hold: some hundred microseconds.
const SEGMENTS_A_STEP: usize = 8;
const PLACES_A_STEP: usize = 4 * PLACES;

/// Places that a command looks at for what they hold: some microseconds.
const PLACES_IN_PASSING: usize = 64;

/// The front; an empty one takes no room.
#[derive(Debug, Default)]
pub struct Front {
    table: Table,
    hits: u32,
    /// Entries that were to be taken in.
    filled: u32,
    /// Those of them whose set had no place left, taken in or not, since the table was last asked to grow; the hits until then.
    crowded: u32,
    hits_before: u32,
    /// The place that lost its entry last for want of room.
    hand: usize,
}

impl Front {
    /// The entry under `key`, if it is here and its deadline has not passed, and whether moka is to be told.
    pub fn get(&mut self, key: Hashed<'_>, now_ms: i64) -> Option<(Entry, bool)> {
        let place = self.table.find(key)?;
        let held = self.table.held(place)?;
        if held.entry.deadline.passed(now_ms) {
            self.table.take(place);
            return None;
        }
        let entry = held.entry.clone();
        self.hits = self.hits.wrapping_add(1);
        let tell = one_in(TOLD, self.hits);
        if tell {
            self.table.mark_hot(place);
        }
        Some((entry, tell))
    }

    /// Has the processor reach for the memory that look-ups will need, of [`FETCHED_MAX`](crate::buffer::FETCHED_MAX) keys.
    pub fn fetch(&self, hashes: &[u64]) {
        self.table.fetch(hashes);
    }

    /// Takes in an entry that the memory tier has just answered with; where others would have to make room for it, one in
    /// [`TAKEN_IN`]. `room_bytes` is what the front may take.
    pub fn fill(&mut self, key: Hashed<'_>, entry: &Entry, room_bytes: usize) {
        let bytes = key.key().len() + packed::bytes(&entry.value);
        if bytes > ENTRY_BYTES_MAX {
            return;
        }
        // Nobody fills in what is there already; but if it stood in two places, a write would take out only one.
        self.remove(key);
        let room_bytes = room_bytes.saturating_sub(bytes);
        self.grow(room_bytes);
        let Some(set) = self.table.set(key.hash()) else { return };
        self.filled = self.filled.wrapping_add(1);
        let free = self.table.free_way(set, key.hash());
        self.crowded += u32::from(free.is_none());
        if (free.is_none() || !self.fits(room_bytes)) && !one_in(TAKEN_IN, self.filled) {
            return;
        }
        let way = free.unwrap_or(self.filled as usize % WAYS);
        self.table.take(set * WAYS + way);
        self.shed(room_bytes, PLACES_IN_PASSING);
        if self.fits(room_bytes) {
            self.table.put(set, way, key.hash(), Held { key: key.key().into(), entry: entry.clone() });
        }
    }

    /// Whether it takes no more than `room_bytes`, and the table no more than half of that, or there would be no room for what
    /// it holds.
    pub fn fits(&self, room_bytes: usize) -> bool {
        self.bytes() <= room_bytes && table_bytes(self.table.segments()) <= room_bytes / 2
    }

    /// Gives up what is more than `room_bytes`, or a part of it: true if it [fits](Self::fits) now.
    pub fn fit(&mut self, room_bytes: usize) -> bool {
        for _ in 0..SEGMENTS_A_STEP {
            if table_bytes(self.table.segments()) > room_bytes / 2 {
                self.table.merge();
            }
        }
        self.shed(room_bytes, PLACES_A_STEP);
        self.fits(room_bytes)
    }

    /// As [`fit`](Self::fit), and a step that a command may take.
    pub fn fit_in_passing(&mut self, room_bytes: usize) -> bool {
        self.shed(room_bytes, PLACES_IN_PASSING);
        self.fits(room_bytes)
    }

    /// Lets entries go, one place of at most so many after the other, until there are no more than `room_bytes`.
    fn shed(&mut self, room_bytes: usize, places: usize) {
        for _ in 0..places {
            if self.bytes() <= room_bytes || self.table.content_bytes() == 0 {
                return;
            }
            self.hand = (self.hand + 1) % self.table.places();
            self.table.take(self.hand);
        }
    }

    /// `key` was written.
    pub fn remove(&mut self, key: Hashed<'_>) {
        if let Some(place) = self.table.find(key) {
            self.table.take(place);
        }
    }

    /// The keys in the next so many places from place `from` on, those that are hot and the others; `None` beyond the last.
    /// Hot is what moka was to be told of lately: since this was asked the last time, or between that and the time before.
    pub fn hot_keys(&mut self, from: usize, places: usize) -> Option<(Vec<Key>, Vec<Key>)> {
        let end = self.table.places();
        let (mut hot, mut others) = (Vec::new(), Vec::new());
        for place in from..end.min(from + places) {
            if let Some(held) = self.table.held(place) {
                let keys = if self.table.is_hot(place) { &mut hot } else { &mut others };
                keys.push(held.key.clone());
            }
            // At the last place of its set.
            if place % WAYS == WAYS - 1 {
                self.table.age(place);
            }
        }
        (from < end).then_some((hot, others))
    }

    /// Frees it, at the pace of the thread.
    pub fn free(self) {
        self.table.free();
    }

    /// Bytes that the front takes: the table, keys and values. moka usually holds the same values, and counts them too.
    pub fn bytes(&self) -> usize {
        table_bytes(self.table.segments()) + self.table.content_bytes()
    }

    /// Adds a segment where there is none, or where many keys share their set and there is room for as much of
    /// everything.
    fn grow(&mut self, room_bytes: usize) {
        let segments = self.table.segments();
        if segments > 0 && self.crowded <= CROWDED {
            return;
        }
        let seldom = segments > 0 && self.hits.wrapping_sub(self.hits_before) / HITS_A_CROWDED > self.crowded;
        let as_much = self.bytes().checked_div(segments).unwrap_or(0);
        if !seldom && table_bytes(segments + 1) <= room_bytes / 2 && self.bytes() + as_much <= room_bytes {
            self.table.split();
        }
        self.crowded = 0;
        self.hits_before = self.hits;
    }
}

/// True for about one number in `many`. Not for every `many`th: who reads in a circle would mostly have it so for the same keys
/// each time round.
pub(super) fn one_in(many: u32, number: u32) -> bool {
    number.wrapping_mul(GOLDEN) < u32::MAX / many
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buffer::FETCHED_MAX;
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
        while !front.fit(ROOM / 4) {}
        assert!(front.bytes() <= ROOM / 4, "{}", front.bytes());
        assert!(found(&mut front, &keys) > 500, "{}", found(&mut front, &keys));
        while !front.fit(0) {}
        assert_eq!((front.bytes(), front.table.content_bytes(), found(&mut front, &keys)), (0, 0, 0));
    }

    #[test]
    fn it_grows_and_shrinks_a_segment_at_a_time_without_losing_what_fits() {
        let (mut front, keys) = (Front::default(), keys(20_000));
        for _ in 0..4 {
            for key in &keys {
                let before = front.table.segments();
                front.fill(Hashed::new(key), &Entry::forever(key.clone()), 64 * ROOM);
                assert!(front.table.segments() - before <= 1);
            }
        }
        assert!(front.table.segments() > 20, "{}", front.table.segments());
        let found_before = found(&mut front, &keys);
        assert!(found_before > 19_500, "{found_before}");
        let of_places: usize = front.table.all().map(Held::bytes).sum();
        assert_eq!(front.table.content_bytes(), of_places);
        // Each split was undone by a merge: no entry got lost or stands where it is not looked for.
        let before = front.table.segments();
        front.table.split();
        assert_eq!(found(&mut front, &keys), found_before);
        front.table.merge();
        assert_eq!((front.table.segments(), found(&mut front, &keys)), (before, found_before));
        for key in &keys {
            assert!(front.get(Hashed::new(key), 0).is_none_or(|(entry, _)| entry.value == key));
        }
        while front.table.segments() > 1 {
            front.table.merge();
        }
        let left = found(&mut front, &keys);
        assert!(left > PLACES * 9 / 10, "{left}");
        front.table.merge();
        assert_eq!((front.bytes(), front.table.content_bytes()), (0, 0));
    }

    #[test]
    fn it_does_not_grow_where_hardly_anything_has_to_make_room() {
        let (mut front, keys) = (Front::default(), keys(2_000));
        for _ in 0..10 {
            fill(&mut front, &keys, 64 * ROOM);
        }
        for _ in 0..400 {
            for key in &keys {
                if front.get(Hashed::new(key), 0).is_none() {
                    front.fill(Hashed::new(key), &Entry::forever("v"), 64 * ROOM);
                }
            }
        }
        let places = front.table.segments() * PLACES;
        // How many it takes depends on the hashes, which are others in each process.
        assert!((2 * keys.len()..4 * keys.len()).contains(&places), "{places}");
    }

    #[test]
    fn much_is_given_up_in_steps() {
        let (mut front, keys) = (Front::default(), keys(50_000));
        for _ in 0..4 {
            fill(&mut front, &keys, 64 * ROOM);
        }

        // The table has room enough, what it holds has not.
        let room_bytes = 2 * table_bytes(front.table.segments());
        let large = Entry::forever(vec![b'v'; 300]);
        for key in keys.iter().cycle().take(400_000) {
            front.fill(Hashed::new(key), &large, 64 * ROOM);
        }
        assert!(front.bytes() > room_bytes + room_bytes / 4);
        let before = front.table.all().count();
        assert!(!front.fit_in_passing(room_bytes));
        assert!((1..=PLACES_IN_PASSING).contains(&(before - front.table.all().count())));
        let before = front.table.all().count();
        assert!(!front.fit(room_bytes));
        assert!((1..=PLACES_A_STEP).contains(&(before - front.table.all().count())));
        let mut steps = 0;
        loop {
            let (segments, bytes) = (front.table.segments(), front.bytes());
            if front.fit(ROOM) {
                break;
            }
            steps += 1;
            assert!(segments - front.table.segments() <= SEGMENTS_A_STEP && front.bytes() < bytes);
            // What is read meanwhile does not make it larger.
            front.fill(Hashed::new(b"new"), &Entry::forever("v"), ROOM);
            assert!(front.bytes() < bytes);
        }
        assert!(front.bytes() <= ROOM && steps > 2, "{steps}");
        let found = found(&mut front, &keys);
        assert!(found > 1_000, "{found}");
        front.free();
    }

    #[test]
    fn hot_is_what_was_read_often_lately() {
        let (mut front, keys) = (Front::default(), keys(3_000));
        for _ in 0..3 {
            fill(&mut front, &keys, 64 * ROOM);
        }
        let all = |front: &mut Front| {
            let steps = (0..).map_while(|step| front.hot_keys(step * 100, 100));
            let (hot, others): (Vec<_>, Vec<_>) = steps.unzip();
            (hot.concat(), others.concat())
        };
        let (often, seldom) = keys.split_at(100);
        for key in often.iter().cycle().take(400 * often.len()) {
            front.get(Hashed::new(key), 0);
        }
        let there = found(&mut front, often);
        assert!(there > 90 && found(&mut front, &seldom[..100]) > 90);
        let is_often = |key: &&Key| often.iter().any(|often| often[..] == ***key);
        for _ in 0..2 {
            let (hot, others) = all(&mut front);
            assert_eq!(hot.iter().filter(is_often).count(), there);
            // One in 32 of those who were read once.
            assert!(hot.len() <= there + 10, "{} and {there}", hot.len());
            assert_eq!(hot.len() + others.len(), front.table.all().count());
        }
        // Nobody has read them since the time before the last.
        assert_eq!(all(&mut front).0, []);
        assert_eq!(front.hot_keys(1 << 20, 100), None);
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
        front.fill(Hashed::new(b"k"), &Entry::forever(vec![0; ENTRY_BYTES_MAX]), ROOM);
        assert!(front.get(Hashed::new(b"k"), 0).is_none());
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
            let keys = &keys[500..];
            for key in keys.iter().cycle().take(10 * keys.len()) {
                if front.get(Hashed::new(key), 0).is_none() {
                    front.fill(Hashed::new(key), &large, ROOM);
                    assert!(front.bytes() <= ROOM, "{} of {ROOM}", front.bytes());
                }
            }
            assert!(found(&mut front, keys) > 450, "{now}: {}", found(&mut front, keys));
        }
    }

    #[test]
    fn what_is_read_once_leaves_most_others_their_places() {
        let (mut front, keys) = (Front::default(), keys(4_000));
        let large = Entry::forever(vec![b'v'; 300]);
        let (often, once) = keys.split_at(1_000);
        for key in often.iter().cycle().take(10_000) {
            front.fill(Hashed::new(key), &large, ROOM);
        }
        let before = found(&mut front, often);
        for key in once {
            front.fill(Hashed::new(key), &large, ROOM);
        }
        let (kept, taken_in) = (found(&mut front, often), found(&mut front, once));
        assert!(before > 900 && kept > before * 3 / 4 && taken_in > 300, "{before} {kept} {taken_in}");
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
