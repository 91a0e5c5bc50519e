//! Keys that transactions watch: whether one of them has changed since.
//!
//! Every write of the event loop's thread passes [`Watches::touch`], in the order in which commands run; a write whose
//! commit then fails has touched the key all the same, which costs a transaction that could have run and nothing else.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use crate::entry::{Deadline, Key};
use crate::error::CommandError;
use crate::kept::Kept;

/// What watching a key takes beside the key, which is there twice.
const WATCHED_BYTES: usize = 250;

/// The keys that one client watches.
#[derive(Debug)]
pub struct Watch {
    /// The client.
    id: u64,
    keys: RefCell<Vec<Watched>>,
    touched: Cell<bool>,
    bytes: Cell<usize>,
    kept: RefCell<Kept>,
}

/// A watched key, as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watched {
    /// The key.
    pub key: Key,
    /// The deadline of its entry, if it had one that could be read.
    pub deadline: Option<Deadline>,
}

impl Watch {
    /// Nothing watched yet, for the client of that number; what is counts as `kept`.
    #[must_use]
    pub fn new(id: u64, kept: Kept) -> Self {
        Self {
            id,
            keys: RefCell::default(),
            touched: Cell::new(false),
            bytes: Cell::new(0),
            kept: RefCell::new(kept),
        }
    }

    /// Makes sure that there is room to watch these as well.
    ///
    /// # Errors
    /// Where what all clients keep together would be more than it may.
    pub fn make_room<'k>(&self, keys: impl Iterator<Item = &'k [u8]>) -> Result<(), CommandError> {
        let more: usize = keys.map(bytes_of).sum();
        self.kept.borrow_mut().resize(self.bytes.get() + more)
    }

    /// Gives back what was made room for and is not needed, since some of the keys were watched already.
    pub fn give_back_room(&self) {
        let less = self.kept.borrow_mut().resize(self.bytes.get());
        debug_assert!(less.is_ok(), "it is never more");
    }

    /// Whether a watched key was written or has expired since.
    #[must_use]
    pub fn is_broken(&self, now_ms: i64) -> bool {
        let expired = |watched: &Watched| watched.deadline.is_some_and(|deadline| deadline.passed(now_ms));
        self.touched.get() || self.keys.borrow().iter().any(expired)
    }

    /// The watched keys that had an entry.
    #[must_use]
    pub fn present(&self) -> Vec<Key> {
        let keys = self.keys.borrow();
        keys.iter().filter(|watched| watched.deadline.is_some()).map(|watched| watched.key.clone()).collect()
    }

    /// How many keys are watched.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.borrow().len()
    }
}

fn bytes_of(key: &[u8]) -> usize {
    2 * key.len() + WATCHED_BYTES
}

/// All keys that somebody watches, and by whom.
#[derive(Debug, Default)]
pub(super) struct Watches {
    by_key: HashMap<Key, BTreeMap<u64, Watching>, foldhash::fast::RandomState>,
}

/// One client's interest in one key.
#[derive(Debug)]
struct Watching {
    watch: Rc<Watch>,
    /// Whether the key had an entry.
    present: bool,
}

impl Watches {
    /// Adds a key to `watch`. One that it has already stays as it was then.
    pub(super) fn add(&mut self, watch: &Rc<Watch>, watched: Watched) {
        let by_client = self.by_key.entry(watched.key.clone()).or_default();
        by_client.entry(watch.id).or_insert_with(|| {
            let present = watched.deadline.is_some();
            watch.bytes.set(watch.bytes.get() + bytes_of(&watched.key));
            watch.keys.borrow_mut().push(watched);
            Watching { watch: Rc::clone(watch), present }
        });
    }

    /// Ends `watch`.
    pub(super) fn remove(&mut self, watch: &Watch) {
        for Watched { key, .. } in watch.keys.borrow_mut().drain(..) {
            if let Some(by_client) = self.by_key.get_mut(&key) {
                by_client.remove(&watch.id);
                if by_client.is_empty() {
                    self.by_key.remove(&key);
                }
            }
        }
        watch.bytes.set(0);
        watch.give_back_room();
    }

    /// `key` is written.
    #[inline]
    pub(super) fn touch(&self, key: &[u8]) {
        // Nearly always: watching is rare, writing is not.
        if self.by_key.is_empty() {
            return;
        }
        if let Some(by_client) = self.by_key.get(key) {
            for Watching { watch, .. } in by_client.values() {
                watch.touched.set(true);
            }
        }
    }

    /// Everything is deleted: what was there has changed, what was not there is as before.
    pub(super) fn flush(&self) {
        let all = self.by_key.values().flat_map(BTreeMap::values);
        for Watching { watch, .. } in all.filter(|watching| watching.present) {
            watch.touched.set(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watched(key: &str, deadline: Option<Deadline>) -> Watched {
        Watched { key: key.as_bytes().into(), deadline }
    }

    /// Two clients: the first watches `there` and `absent`, the second `mortal`.
    fn two() -> (Watches, Rc<Watch>, Rc<Watch>) {
        let mut watches = Watches::default();
        let (first, second) =
            (Rc::new(Watch::new(1, Kept::default())), Rc::new(Watch::new(2, Kept::default())));
        watches.add(&first, watched("there", Some(Deadline::NEVER)));
        watches.add(&first, watched("there", None));
        watches.add(&first, watched("absent", None));
        watches.add(&second, watched("mortal", Some(Deadline::at(100))));
        (watches, first, second)
    }

    #[test]
    fn a_write_breaks_the_watches_of_its_key() {
        for (key, broken) in [
            ("there", (true, false)),
            ("absent", (true, false)),
            ("mortal", (false, true)),
            ("x", (false, false)),
        ] {
            let (watches, first, second) = two();
            watches.touch(key.as_bytes());
            assert_eq!((first.is_broken(0), second.is_broken(0)), broken, "{key}");
        }
    }

    #[test]
    fn expiry_and_flushes_break_watches_of_what_was_there() {
        let (watches, first, second) = two();
        assert!(!second.is_broken(99) && second.is_broken(100) && !first.is_broken(100));
        watches.flush();
        assert!(first.is_broken(0) && second.is_broken(0));
        let mut watches = Watches::default();
        let absent = Rc::new(Watch::new(1, Kept::default()));
        watches.add(&absent, watched("absent", None));
        watches.flush();
        assert!(!absent.is_broken(0));
    }

    #[test]
    fn the_first_look_counts_and_nothing_is_left_behind() {
        let (mut watches, first, second) = two();
        assert_eq!((first.len(), first.present()), (2, vec![Key::from(*b"there")]));
        watches.remove(&first);
        watches.remove(&second);
        assert!(watches.by_key.is_empty());
    }
}
