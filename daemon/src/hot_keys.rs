//! Which keys and prefixes are read most: estimates from a sample of the reads, in bounded memory.
//!
//! One read in about [`STRIDE`] is looked at, and stands for as many; the others cost a decrement. Of those the most
//! frequent are kept by the Space-Saving algorithm (Metwally, Agrawal, El Abbadi: Efficient computation of frequent and
//! top-k elements in data streams, 2005): a new name takes the place of the least frequent one, with its count. A leaf.

use std::collections::HashMap;

use crate::entry::Key;

/// Reads between two that are looked at, on average.
const STRIDE: u64 = 256;

/// Names kept. Those listed are the most frequent of them, so that their counts are hardly inherited ones.
const NAMES_KEPT: usize = 256;

/// Bytes of a name that are kept: longer keys count under their beginning.
const NAME_BYTES_MAX: usize = 128;

/// How long counts go back at least, and at most twice that.
const WINDOW_MS: i64 = 5 * 60 * 1_000;

/// What is known of a name's reads, estimated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reads {
    /// The key, or the prefix with its separator.
    pub name: Key,
    /// Reads that found an entry.
    pub hits: u64,
    /// Reads that found none.
    pub misses: u64,
}

/// The most frequent names. Looking one up and finding the least frequent must be quick: the first goes by hash, the second
/// through nothing but counts.
#[derive(Debug, Default)]
struct Top {
    /// Where each name is in the lists below.
    places: HashMap<Key, usize, foldhash::fast::RandomState>,
    names: Vec<Key>,
    hits: Vec<u64>,
    reads: Vec<u64>,
}

impl Top {
    fn add(&mut self, name: &[u8], hit: bool) {
        let name = &name[..name.len().min(NAME_BYTES_MAX)];
        let place = match self.places.get(name) {
            Some(&place) => place,
            None => self.take_in(name.into(), hit),
        };
        self.reads[place] += STRIDE;
        self.hits[place] += if hit { STRIDE } else { 0 };
    }

    /// A place for a new name, which may be that of the least frequent one. It inherits that one's count; of what sort that
    /// was is not known, so it is taken for this one's.
    fn take_in(&mut self, name: Key, hit: bool) -> usize {
        let place = if self.names.len() < NAMES_KEPT {
            self.names.push(name.clone());
            self.hits.push(0);
            self.reads.push(0);
            self.names.len() - 1
        } else {
            let least = self.reads.iter().copied().min().unwrap_or_default();
            let place = self.reads.iter().position(|reads| *reads == least).unwrap_or_default();
            let old = std::mem::replace(&mut self.names[place], name.clone());
            self.places.remove(&*old);
            self.hits[place] = if hit { least } else { 0 };
            place
        };
        self.places.insert(name, place);
        place
    }

    fn list(&self) -> impl Iterator<Item = Reads> {
        let counts = self.hits.iter().zip(&self.reads);
        self.names.iter().zip(counts).map(|(name, (hits, reads))| Reads {
            name: name.clone(),
            hits: *hits,
            misses: reads - hits,
        })
    }
}

/// Keys and prefixes since some time.
#[derive(Debug, Default)]
struct Window {
    since_ms: i64,
    keys: Top,
    prefixes: Top,
}

/// The hot keys.
#[derive(Debug)]
pub struct HotKeys {
    /// Reads to let pass before the next that is looked at.
    countdown: u64,
    dice: u64,
    current: Window,
    /// What came before, so that a new window does not begin with nothing.
    before: Window,
}

impl Default for HotKeys {
    fn default() -> Self {
        Self {
            countdown: STRIDE,
            dice: 0x9e37_79b9_7f4a_7c15,
            current: Window::default(),
            before: Window::default(),
        }
    }
}

impl HotKeys {
    /// A read of `key`.
    #[inline]
    pub fn read(&mut self, key: &[u8], hit: bool) {
        self.countdown -= 1;
        if self.countdown == 0 {
            self.look_at(key, hit);
        }
    }

    #[cold]
    fn look_at(&mut self, key: &[u8], hit: bool) {
        // Xorshift (Marsaglia, 2003): with a fixed distance, requests that come in a pattern would be seen in parts only.
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        self.countdown = 1 + self.dice % (2 * STRIDE - 1);
        self.current.keys.add(key, hit);
        if let Some(prefix) = prefix(key) {
            self.current.prefixes.add(prefix, hit);
        }
    }

    /// Begins a new window if it is time.
    pub fn turn(&mut self, now_ms: i64) {
        if self.current.since_ms == 0 {
            self.current.since_ms = now_ms;
            self.before.since_ms = now_ms;
        }
        if now_ms - self.current.since_ms >= WINDOW_MS {
            let next = Window { since_ms: now_ms, ..Window::default() };
            self.before = std::mem::replace(&mut self.current, next);
        }
    }

    /// Since when the lists count, in unix milliseconds.
    #[must_use]
    pub fn since_ms(&self) -> i64 {
        self.before.since_ms
    }

    /// The keys that are read most, at most `count` of them.
    #[must_use]
    pub fn keys(&self, count: usize) -> Vec<Reads> {
        merged(&self.before.keys, &self.current.keys, count)
    }

    /// The prefixes that are read most, at most `count` of them.
    #[must_use]
    pub fn prefixes(&self, count: usize) -> Vec<Reads> {
        merged(&self.before.prefixes, &self.current.prefixes, count)
    }
}

/// What a key begins with, up to the first separator and with it.
fn prefix(key: &[u8]) -> Option<&[u8]> {
    let end = key.iter().position(|byte| matches!(byte, b':' | b'/' | b'|'))?;
    Some(&key[..=end])
}

fn merged(before: &Top, current: &Top, count: usize) -> Vec<Reads> {
    let mut all: Vec<Reads> = before.list().collect();
    for Reads { name, hits, misses } in current.list() {
        match before.places.get(&*name) {
            Some(&place) => {
                all[place].hits += hits;
                all[place].misses += misses;
            }
            None => all.push(Reads { name, hits, misses }),
        }
    }
    all.sort_by_key(|reads| std::cmp::Reverse(reads.hits + reads.misses));
    all.truncate(count);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_most_comes_first_and_about_right() {
        let mut hot = HotKeys::default();
        hot.turn(1_000);
        for round in 0..800_000_u32 {
            hot.read(b"user:1", true);
            if round % 2 == 0 {
                hot.read(b"page/2", false);
            }
            hot.read(format!("rare:{round}").as_bytes(), true);
        }
        let keys = hot.keys(2);
        assert_eq!(keys.iter().map(|reads| &*reads.name).collect::<Vec<_>>(), [&b"user:1"[..], b"page/2"]);
        assert!((720_000..920_000).contains(&keys[0].hits) && keys[0].misses == 0, "{keys:?}");
        assert!((340_000..480_000).contains(&keys[1].misses) && keys[1].hits == 0, "{keys:?}");
        let prefixes = hot.prefixes(9);
        let names: Vec<_> =
            prefixes.iter().map(|reads| String::from_utf8_lossy(&reads.name).into_owned()).collect();
        assert_eq!(names.len(), 3);
        assert!(names.contains(&"rare:".to_owned()) && names[2] == "page/", "{names:?}");
    }

    #[test]
    fn old_reads_are_forgotten_after_two_windows() {
        let mut hot = HotKeys::default();
        hot.turn(1_000);
        (0..4_000).for_each(|_| hot.read(b"old", true));
        hot.turn(1_000 + WINDOW_MS);
        (0..4_000).for_each(|_| hot.read(b"new", true));
        assert_eq!((hot.keys(9).len(), hot.since_ms()), (2, 1_000));
        hot.turn(1_000 + 2 * WINDOW_MS);
        assert_eq!((&*hot.keys(9)[0].name, hot.since_ms()), (&b"new"[..], 1_000 + WINDOW_MS));
        assert_eq!(hot.keys(9).len(), 1);
    }

    #[test]
    fn memory_is_bounded() {
        let mut hot = HotKeys::default();
        for number in 0..1_000_000_u32 {
            hot.read(format!("{number}:{}", "x".repeat(200)).as_bytes(), false);
        }
        assert_eq!(hot.keys(1_000).len(), NAMES_KEPT);
        assert!(hot.keys(1_000).iter().all(|reads| reads.name.len() <= NAME_BYTES_MAX));
    }
}
