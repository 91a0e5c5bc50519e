//! Reads of the main file that are under way: one per key however many wait for it, and none that outlives a write.
//!
//! A load begins when a key is in no tier above the main file. From then on the main file's row for the key stays as it
//! is unless the key is written; and every write passes [`Loads::written`], on the same thread. So a load that arrives
//! unmarked is still current, and a marked one is thrown away. That, and nothing the memory tier promises, is why no
//! stale value can be kept.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use crate::entry::{Entry, Key};
use crate::store::StoreError;

/// What the main file said about a key, or why it could not.
pub type Row = Result<Option<Entry>, Rc<StoreError>>;

/// All loads in progress or held by someone who has not used them yet.
#[derive(Debug, Default)]
pub struct Loads {
    by_key: HashMap<Key, Load, foldhash::fast::RandomState>,
    /// Loads that no reader thread has been asked for yet.
    queue: Vec<Key>,
}

#[derive(Debug)]
struct Load {
    state: State,
    /// How many want the row and have not said [`Loads::done`].
    holders: usize,
    tickets: Vec<Rc<Ticket>>,
}

#[derive(Debug)]
enum State {
    Reading,
    /// Still being read, but the key was written meanwhile.
    ReadingStale,
    Arrived(Row),
    /// Arrived, and no longer current.
    Stale,
}

/// What a connection waits on until all the rows it wants have arrived, current or not.
#[derive(Debug, Default)]
pub struct Ticket {
    missing: Cell<usize>,
    waker: RefCell<Option<Waker>>,
}

impl Ticket {
    /// Resolves once every row wanted with this ticket has arrived.
    pub async fn arrived(&self) {
        poll_fn(|context| {
            if self.missing.get() == 0 {
                return Poll::Ready(());
            }
            *self.waker.borrow_mut() = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Whether a row is still to come.
    #[cfg(test)]
    pub fn is_waiting(&self) -> bool {
        self.missing.get() > 0
    }

    fn one_arrived(&self) {
        self.missing.set(self.missing.get() - 1);
        if self.missing.get() == 0
            && let Some(waker) = self.waker.borrow_mut().take()
        {
            waker.wake();
        }
    }
}

impl Loads {
    /// Asks for the row of `key`, which no tier above the main file has. True where somebody else's read is shared.
    pub fn want(&mut self, key: &Key, ticket: &Rc<Ticket>) -> bool {
        let load = self.by_key.entry(key.clone()).or_insert_with(|| {
            self.queue.push(key.clone());
            Load { state: State::Reading, holders: 0, tickets: Vec::new() }
        });
        let shared = load.holders > 0;
        load.holders += 1;
        if matches!(load.state, State::Stale) {
            load.state = State::Reading;
            self.queue.push(key.clone());
        }
        if matches!(load.state, State::Reading | State::ReadingStale) {
            ticket.missing.set(ticket.missing.get() + 1);
            load.tickets.push(Rc::clone(ticket));
        }
        shared
    }

    /// Keeps a row that is known to be current, as if it had just been read for somebody. False where it is being read:
    /// it has to be waited for.
    pub fn hold(&mut self, key: &Key, row: Row) -> bool {
        let load = self.by_key.entry(key.clone()).or_insert_with(|| Load {
            state: State::Stale,
            holders: 0,
            tickets: Vec::new(),
        });
        if matches!(load.state, State::Reading | State::ReadingStale) {
            return false;
        }
        load.holders += 1;
        load.state = State::Arrived(row);
        true
    }

    /// The holder has used the row, or gives up waiting for it.
    pub fn done(&mut self, key: &Key) {
        if let Some(load) = self.by_key.get_mut(key) {
            load.holders -= 1;
            // One being read stays: its arrival removes it, and a new holder may still share it.
            if load.holders == 0 && matches!(load.state, State::Arrived(_) | State::Stale) {
                self.by_key.remove(key);
            }
        }
    }

    /// The keys to read now; afterwards each must be given to [`arrived`](Self::arrived).
    pub fn take_queue(&mut self) -> Vec<Key> {
        std::mem::take(&mut self.queue)
    }

    /// A row has been read. True where it is still current, so that it may be kept in the memory tier.
    pub fn arrived(&mut self, key: &Key, row: Row) -> bool {
        let Some(load) = self.by_key.get_mut(key) else { return false };
        let current = matches!(load.state, State::Reading);
        load.state = if current { State::Arrived(row) } else { State::Stale };
        for ticket in load.tickets.drain(..) {
            ticket.one_arrived();
        }
        if load.holders == 0 {
            self.by_key.remove(key);
        }
        current
    }

    /// The row of `key`, if it has arrived and is current.
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<&Row> {
        if self.by_key.is_empty() {
            return None;
        }
        match &self.by_key.get(key)?.state {
            State::Arrived(row) => Some(row),
            _ => None,
        }
    }

    /// Whether somebody waits for the row of `key`, or holds it.
    #[must_use]
    pub fn is_loading(&self, key: &[u8]) -> bool {
        !self.by_key.is_empty() && self.by_key.contains_key(key)
    }

    /// `key` was written: whatever was or is being read of it is no longer current.
    pub fn written(&mut self, key: &[u8]) {
        if self.by_key.is_empty() {
            return;
        }
        if let Some(load) = self.by_key.get_mut(key) {
            load.outdate();
        }
    }

    /// Everything was written.
    pub fn flushed(&mut self) {
        self.by_key.values_mut().for_each(Load::outdate);
    }
}

impl Load {
    fn outdate(&mut self) {
        self.state = match self.state {
            State::Reading | State::ReadingStale => State::ReadingStale,
            State::Arrived(_) | State::Stale => State::Stale,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> Key {
        (*b"k").into()
    }

    fn row() -> Entry {
        Entry::forever("v")
    }

    #[test]
    fn one_read_serves_all_who_wait() {
        let mut loads = Loads::default();
        let (first, second) = (Rc::new(Ticket::default()), Rc::new(Ticket::default()));
        assert!(!loads.want(&key(), &first));
        assert!(loads.want(&key(), &second));
        assert_eq!(loads.take_queue(), [key()]);
        assert!(loads.take_queue().is_empty());
        assert!(loads.arrived(&key(), Ok(Some(row()))));
        assert_eq!((first.missing.get(), second.missing.get()), (0, 0));
        assert!(loads.is_loading(b"k"), "two hold it");
        assert!(loads.get(b"k").is_some());
        loads.done(&key());
        assert!(loads.get(b"k").is_some(), "the second still holds it");
        loads.done(&key());
        assert!(loads.by_key.is_empty());
    }

    #[test]
    fn a_write_meanwhile_or_afterwards_outdates_the_row() {
        for write_first in [true, false] {
            let mut loads = Loads::default();
            let ticket = Rc::new(Ticket::default());
            loads.want(&key(), &ticket);
            loads.take_queue();
            if write_first {
                loads.written(b"k");
            }
            assert_eq!(loads.arrived(&key(), Ok(Some(row()))), !write_first);
            loads.written(b"k");
            assert_eq!(ticket.missing.get(), 0, "the waiter goes on and looks again");
            assert!(loads.get(b"k").is_none());
            loads.want(&key(), &ticket);
            assert_eq!(loads.take_queue(), [key()], "read anew");
        }
    }

    #[test]
    fn a_key_named_twice_waits_for_one_read() {
        let mut loads = Loads::default();
        let ticket = Rc::new(Ticket::default());
        loads.want(&key(), &ticket);
        loads.want(&key(), &ticket);
        assert_eq!(loads.take_queue(), [key()]);
        loads.arrived(&key(), Ok(Some(row())));
        assert!(!ticket.is_waiting());
        loads.done(&key());
        loads.done(&key());
        assert!(loads.by_key.is_empty());
    }

    #[test]
    fn a_holder_that_gives_up_leaves_nothing_behind() {
        let mut loads = Loads::default();
        loads.want(&key(), &Rc::new(Ticket::default()));
        loads.done(&key());
        assert!(loads.is_loading(b"k"), "it is still being read");
        assert_eq!(loads.take_queue(), [key()]);
        loads.arrived(&key(), Ok(Some(row())));
        assert!(loads.by_key.is_empty());
    }
}
