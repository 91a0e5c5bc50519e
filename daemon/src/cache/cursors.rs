//! The cursors of SCAN: numbers under which clients go on with a walk.
//!
//! A walk goes on below a key, and a key does not fit into a number; so the daemon remembers the key, and the number says
//! where. It is a place in a table of fixed size and a tag that no other cursor of this run has: a cursor of an earlier
//! run, or one whose place has been given to another since, is recognised. Whoever comes with such a cursor has to begin
//! anew, which SCAN's contract allows (keys may come twice), whereas going on at a wrong place would lose keys.
//!
//! A cursor stays good after it was used, for a client that has to ask again. But a walk that goes on has no further use
//! for its old cursors, so those are given up first: otherwise one fast walk would push out the cursors of all slow ones,
//! which would begin anew again and again.

use std::collections::BTreeMap;

use crate::entry::Key;
use crate::random;

/// Bits of a cursor that are its place in the table.
const PLACE_BITS: u32 = 14;

/// Bits of a cursor that are its tag. With the place, 53: numbers that JavaScript's and Lua's doubles hold exactly.
const TAG_BITS: u32 = 39;

/// Cursors remembered at most.
const PLACES: usize = 1 << PLACE_BITS;

/// Used cursors that are remembered in any case, while there are as many.
const USED_MIN: usize = PLACES / 4;

/// Bytes of keys remembered at most, so that long keys do not make the table large.
const KEY_BYTES_MAX: usize = 4 << 20;

/// Walks that clients have not finished, as far as they are remembered.
#[derive(Debug)]
pub(super) struct Cursors {
    places: Vec<Place>,
    free: Vec<u16>,
    /// Places whose cursor nobody has come back with yet, by age.
    fresh: BTreeMap<u64, u16>,
    /// Places whose cursor was used, by the time of its last use.
    used: BTreeMap<u64, u16>,
    next_tag: u64,
    next_stamp: u64,
    key_bytes: usize,
}

#[derive(Debug)]
struct Place {
    /// Never 0 while the place is taken: 0 as a whole is the cursor that begins a walk.
    tag: u64,
    below: Key,
    /// Where it stands in `fresh` or `used`.
    stamp: u64,
}

impl Default for Cursors {
    fn default() -> Self {
        Self::beginning_at(random::number())
    }
}

impl Cursors {
    fn beginning_at(tag: u64) -> Self {
        Self {
            places: Vec::new(),
            free: Vec::new(),
            fresh: BTreeMap::new(),
            used: BTreeMap::new(),
            next_tag: tag,
            next_stamp: 0,
            key_bytes: 0,
        }
    }

    /// A cursor for going on below `below`: neither 0 nor above 2^53.
    pub(super) fn issue(&mut self, below: Key) -> u64 {
        while self.is_full(below.len()) {
            self.give_up_one();
        }
        let (tag, stamp) = (self.tag(), self.stamp());
        self.key_bytes += below.len();
        let taken = Place { tag, below, stamp };
        let place = if let Some(place) = self.free.pop() {
            self.places[usize::from(place)] = taken;
            place
        } else {
            self.places.push(taken);
            (self.places.len() - 1) as u16
        };
        self.fresh.insert(stamp, place);
        (tag << PLACE_BITS) | u64::from(place)
    }

    /// Below which key to go on; `None` where the cursor is not known, or not any more.
    pub(super) fn find(&mut self, cursor: u64) -> Option<Key> {
        let place = cursor % PLACES as u64;
        let stamp = self.stamp();
        let known = self.places.get_mut(place as usize)?;
        if known.tag == 0 || known.tag != cursor >> PLACE_BITS {
            return None;
        }
        self.fresh.remove(&known.stamp);
        self.used.remove(&known.stamp);
        known.stamp = stamp;
        self.used.insert(stamp, place as u16);
        Some(known.below.clone())
    }

    fn is_full(&self, more_bytes: usize) -> bool {
        let taken = self.fresh.len() + self.used.len();
        taken == PLACES || (taken > 0 && self.key_bytes + more_bytes > KEY_BYTES_MAX)
    }

    fn give_up_one(&mut self) {
        let used_first = self.used.len() > USED_MIN || self.fresh.is_empty();
        let oldest = if used_first { self.used.pop_first() } else { self.fresh.pop_first() };
        if let Some((_, place)) = oldest {
            let known = &mut self.places[usize::from(place)];
            known.tag = 0;
            self.key_bytes -= std::mem::take(&mut known.below).len();
            self.free.push(place);
        }
    }

    fn tag(&mut self) -> u64 {
        // One tag after the other: none comes again before all have been used.
        self.next_tag = self.next_tag.wrapping_add(1) % (1 << TAG_BITS);
        self.next_tag = self.next_tag.max(1);
        self.next_tag
    }

    fn stamp(&mut self) -> u64 {
        self.next_stamp += 1;
        self.next_stamp
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: usize) -> Key {
        format!("key:{number}").into_bytes().into()
    }

    #[test]
    fn a_cursor_can_be_used_again_and_is_a_small_number() {
        for first in [0, 1, (1 << TAG_BITS) - 2, u64::MAX - 1] {
            let mut cursors = Cursors::beginning_at(first);
            let issued: Vec<u64> = (0..100).map(|number| cursors.issue(key(number))).collect();
            for _ in 0..2 {
                for (number, &cursor) in issued.iter().enumerate() {
                    assert!((1..1 << 53).contains(&cursor), "{cursor}");
                    assert_eq!(cursors.find(cursor), Some(key(number)));
                }
            }
        }
    }

    #[test]
    fn foreign_and_stale_cursors_are_recognised() {
        let mut cursors = Cursors::default();
        for foreign in [0, 1, 17, 1 << 14, (1 << 53) - 1, 1 << 53, u64::MAX] {
            assert_eq!(cursors.find(foreign), None);
        }
        let stale = cursors.issue(key(0));
        assert_eq!(cursors.find(stale + 1), None);
        assert_eq!(cursors.find(stale + (1 << PLACE_BITS)), None);
        assert_eq!(cursors.find(stale | 1 << 53), None, "bits beyond the tag count as well");
        for number in 1..=PLACES {
            cursors.issue(key(number));
        }
        assert_eq!(cursors.find(stale), None, "its place has another cursor");
        let earlier_run = Cursors::beginning_at(1).issue(key(1));
        assert_eq!(Cursors::beginning_at(1_000).find(earlier_run), None);
    }

    #[test]
    fn a_fast_walk_does_not_push_out_a_slow_one() {
        let mut cursors = Cursors::default();
        let slow = cursors.issue(key(0));
        let mut fast = cursors.issue(key(1));
        for number in 2..5 * PLACES {
            let before = fast;
            assert!(cursors.find(fast).is_some());
            fast = cursors.issue(key(number));
            assert!(cursors.find(before).is_some(), "it may be asked for again");
        }
        assert_eq!(cursors.find(slow), Some(key(0)));
    }

    #[test]
    fn of_walks_that_nobody_goes_on_with_the_oldest_are_given_up() {
        let mut cursors = Cursors::default();
        let issued: Vec<u64> = (0..PLACES + 10).map(|number| cursors.issue(key(number))).collect();
        assert!(issued[..10].iter().all(|&cursor| cursors.find(cursor).is_none()));
        assert_eq!(cursors.find(issued[10]), Some(key(10)));
        assert_eq!(cursors.find(issued[PLACES + 9]), Some(key(PLACES + 9)));
        assert_eq!(cursors.places.len(), PLACES);
    }

    #[test]
    fn long_keys_are_remembered_in_bounded_room() {
        let mut cursors = Cursors::default();
        let long = |number: usize| -> Key { [&key(number)[..], &vec![b'x'; 1 << 16]].concat().into() };
        let issued: Vec<u64> = (0..200).map(|number| cursors.issue(long(number))).collect();
        assert!(cursors.key_bytes <= KEY_BYTES_MAX);
        assert_eq!(cursors.find(issued[199]), Some(long(199)));
        assert_eq!(cursors.find(issued[0]), None);
        // Longer than all the room there is: kept alone rather than not at all.
        let longest = cursors.issue(vec![b'x'; KEY_BYTES_MAX + 1].into());
        assert!(cursors.find(longest).is_some());
        assert_eq!(cursors.fresh.len() + cursors.used.len(), 1);
        cursors.issue(key(0));
        assert_eq!(cursors.key_bytes, key(0).len());
    }
}
