//! Keys that transactions watch: whether one of them has changed since.
//!
//! Every write of the event loop's thread passes [`Watches::touch`], in the order in which commands run; a write whose
//! commit then fails has touched the key all the same, which costs a transaction that could have run and nothing else.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use crate::entry::{Deadline, Key};

/// The keys that one client watches.
#[derive(Debug)]
pub struct Watch {
    /// The client.
    id: u64,
    keys: RefCell<Vec<Watched>>,
    touched: Cell<bool>,
}

/// A watched key, as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watched {
    /// The key.
    pub key: Key,
    /// The deadline of its entry, if it had one that could be read.
    pub entry: Option<Deadline>,
}

impl Watch {
    /// Nothing watched yet, for the client of that number.
    #[must_use]
    pub fn new(id: u64) -> Self {
        Self { id, keys: RefCell::default(), touched: Cell::new(false) }
    }

    /// Whether a watched key was written or has expired since.
    #[must_use]
    pub fn is_broken(&self, now_ms: i64) -> bool {
        let expired = |watched: &Watched| watched.entry.is_some_and(|deadline| deadline.passed(now_ms));
        self.touched.get() || self.keys.borrow().iter().any(expired)
    }

    /// The watched keys that had an entry.
    #[must_use]
    pub fn present(&self) -> Vec<Key> {
        let keys = self.keys.borrow();
        keys.iter().filter(|watched| watched.entry.is_some()).map(|watched| watched.key.clone()).collect()
    }

    /// How many keys are watched.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.borrow().len()
    }
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
            let present = watched.entry.is_some();
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

    fn watched(key: &str, entry: Option<Deadline>) -> Watched {
        Watched { key: key.as_bytes().into(), entry }
    }

    /// Two clients: the first watches `there` and `absent`, the second `mortal`.
    fn two() -> (Watches, Rc<Watch>, Rc<Watch>) {
        let mut watches = Watches::default();
        let (first, second) = (Rc::new(Watch::new(1)), Rc::new(Watch::new(2)));
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
        let absent = Rc::new(Watch::new(1));
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
