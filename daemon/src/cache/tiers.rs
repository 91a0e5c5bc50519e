//! Which tier answers for a key, and when a write becomes visible: the rules that make larder linearizable, without any
//! IO, threads or waiting, so that every order of events can be tried out in a test.
//!
//! ```text
//! asked first                                                                            asked last
//! pending ----commit----> active --seal--> sealed --merge--> main file --load--> memory tier
//! (this turn's writes)    \___ the write buffer ___/            (rows)            (copies of rows)
//! ```
//! A write is visible to other clients once it is in `active`, after its commit. Look-ups also see `pending`, so that
//! writes of one turn build on each other, but whoever has seen it must wait for the commit ([`Source::Pending`]).
//! The memory tier and loads hold copies of the main file's rows only, and are asked only for keys the buffer lacks.

use std::rc::Rc;
use std::sync::Arc;

use super::front::Front;
use super::in_memory::InMemory;
use super::loads::{Loads, Row, Ticket};
pub use super::look_up::{LookUp, Source, Wanted};
use super::memory::Memory;
use super::watch::Watches;
use crate::buffer::{Flushed, Generation, Hashed};
use crate::entry::{Entry, Key, State};
use crate::planted::{Bug, planted};
use crate::store::batch::BatchEncoder;

/// The tiers above the main file, and what is known of the main file itself.
#[derive(Debug)]
pub struct Tiers {
    pending: Generation,
    active: Generation,
    sealed: Option<Arc<Generation>>,
    copies: InMemory,
    loads: Loads,
    /// Whether the main file had no row when the sealed generation, if any, began to be merged: then every key that the
    /// buffer lacks is absent, and no read is needed to say so.
    main_empty: bool,
    /// Generations let go of so far: a walk that sees it change looks again.
    releases: u64,
    watches: Watches,
    /// Whether walks see this turn's writes as well: while the transaction runs that has this turn to itself.
    pending_shown: bool,
}

/// The id of this turn's writes among the generations: newer than any.
pub const PENDING: u64 = u64::MAX;

impl Tiers {
    /// Tiers over a main file with `main_rows` rows. `recovered` is already being merged, and `active_id` comes after it.
    #[must_use]
    pub fn new(memory: Memory, active_id: u64, recovered: Option<Arc<Generation>>, main_rows: i64) -> Self {
        Self {
            pending: Generation::new(PENDING),
            active: Generation::new(active_id),
            sealed: recovered,
            copies: InMemory::new(memory),
            loads: Loads::default(),
            main_empty: main_rows == 0,
            releases: 0,
            watches: Watches::default(),
            pending_shown: false,
        }
    }

    /// What is known of `key` at `now_ms`. An entry whose deadline has passed is never among it.
    pub fn look_up(&mut self, key: &[u8], now_ms: i64) -> LookUp {
        let known = |state: &State, source| LookUp::Known(state.live(now_ms).cloned(), source);
        let hashed = Hashed::new(key);
        if let Some(state) = self.pending.read(hashed) {
            if planted(Bug::PublishBeforeCommit) {
                return known(state, Source::Buffer);
            }
            return known(state, Source::Pending);
        }
        if self.pending.flushed() {
            return LookUp::Known(None, Source::Pending);
        }
        if let Some(state) = self.in_generations(hashed) {
            return known(state, Source::Buffer);
        }
        if self.main_hidden() {
            return LookUp::Known(None, Source::Buffer);
        }
        // Loads first: for whom a row was just read, it came from disk, though the memory tier has a copy by now.
        match self.loads.get(key) {
            Some(Ok(row)) => {
                let live = row.clone().filter(|entry| !entry.deadline.passed(now_ms));
                return LookUp::Known(live, Source::Disk);
            }
            Some(Err(error)) => return LookUp::Failed(Rc::clone(error)),
            None => {}
        }
        self.copies.look_up(hashed, now_ms)
    }

    /// Notes a write of this turn; it takes effect with [`publish`](Self::publish).
    pub fn write(&mut self, key: &[u8], state: State) {
        self.watches.touch(key);
        self.pending.write(Hashed::new(key), state);
    }

    /// Notes that this turn deletes everything written before.
    pub fn flush(&mut self) {
        self.watches.flush();
        drop(self.pending.flush());
    }

    /// Whether the turn has written anything.
    #[must_use]
    pub fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// This turn's writes, for the journal.
    pub fn encode_pending(&self, batch: &mut BatchEncoder) {
        if self.pending.flushed() {
            batch.flush();
        }
        for (key, slot) in self.pending.slots(0) {
            batch.put(key, &slot.state);
        }
    }

    /// This turn's writes are committed: makes them visible. What a flush threw away is returned, to be dropped elsewhere.
    pub fn publish(&mut self) -> Option<(Flushed, Front)> {
        let mut front = None;
        if self.pending.flushed() {
            self.loads.flushed();
            front = Some(self.copies.flush());
        }
        let Self { pending, active, loads, copies, .. } = self;
        let flushed = active.absorb(pending, |key| {
            loads.written(key.key());
            copies.written(key);
        });
        flushed.zip(front)
    }

    /// This turn's writes were not committed: forgets them.
    pub fn discard(&mut self) {
        self.pending.clear();
    }

    /// Ends the active generation and begins the next; the sealed one is to be merged. Not while another is sealed.
    pub fn seal(&mut self) -> Arc<Generation> {
        assert!(self.sealed.is_none(), "one generation is merged at a time");
        // About as much will be written again.
        let next = Generation::with_capacity(self.active.id() + 1, self.active.len());
        let mut sealed = std::mem::replace(&mut self.active, next);
        sealed.seal(self.memory().epoch());
        let sealed = Arc::new(sealed);
        self.sealed = Some(Arc::clone(&sealed));
        sealed
    }

    /// The sealed generation is wholly in the main file, which now has `main_rows` rows, and the memory tier was
    /// refreshed with it: lets go of it. What is returned is to be dropped elsewhere.
    pub fn release(&mut self, generation: u64, main_rows: i64) -> (Option<Arc<Generation>>, Front) {
        debug_assert_eq!(self.sealed.as_ref().map(|sealed| sealed.id()), Some(generation));
        self.main_empty = main_rows == 0;
        // Copies may outlive rows that were evicted. From here on their keys are absent, and must stay so.
        let front = if self.main_empty { self.copies.flush() } else { Front::default() };
        self.releases += 1;
        (self.sealed.take(), front)
    }

    /// Has the processor reach for the memory that look-ups will read, of [`FETCHED_MAX`](crate::buffer::FETCHED_MAX) keys.
    pub fn fetch(&self, hashes: &[u64]) {
        self.active.fetch_values(hashes);
        self.copies.fetch(hashes);
    }

    /// Keeps the memory tier's copy of `key`, if it has one and no tier above knows the key, as if it had been loaded for
    /// somebody; true if so. [`done`](Self::done) gives it back. A copy may go from the memory tier at any moment.
    pub fn hold(&mut self, key: &Key, now_ms: i64) -> bool {
        let LookUp::Known(entry, Source::Memory) = self.look_up(key, now_ms) else { return false };
        self.loads.hold(key, Ok(entry))
    }

    /// Asks for a key's row, unless a tier above the main file knows the key: it may have been written since it was found
    /// missing, and a load that begins after a write could not be told by [`Loads::written`] that it is out of date.
    pub fn want(&mut self, key: &Key, ticket: &Rc<Ticket>, now_ms: i64) -> Wanted {
        match self.look_up(key, now_ms) {
            LookUp::Known(_, Source::Pending | Source::Buffer | Source::Memory) => Wanted::Known,
            // A row that somebody else has loaded is held as well, or it could go before it is used.
            LookUp::Known(_, Source::Disk) | LookUp::Failed(_) | LookUp::Unknown => {
                if self.loads.want(key, ticket) { Wanted::Shared } else { Wanted::Asked }
            }
        }
    }

    /// See [`Loads::done`].
    pub fn done(&mut self, key: &Key) {
        self.loads.done(key);
    }

    /// Whether somebody waits for the row of `key`, or holds it.
    #[must_use]
    pub fn is_loading(&self, key: &[u8]) -> bool {
        self.loads.is_loading(key)
    }

    /// See [`Loads::take_queue`].
    pub fn take_wanted(&mut self) -> Vec<Key> {
        self.loads.take_queue()
    }

    /// A row has been read from the main file: keeps a copy in the memory tier if it is still current.
    pub fn arrived(&mut self, key: &Key, row: Row, now_ms: i64) {
        let copy = row.as_ref().ok().cloned().flatten().filter(|entry| !entry.deadline.passed(now_ms));
        let above = self.pending.get(key).is_some() || self.in_buffer(key).is_some() || self.main_hidden();
        let current = self.loads.arrived(key, row);
        if (current && !above || planted(Bug::StaleFill))
            && let Some(entry) = copy
        {
            self.copies.fill(key, &entry);
        }
    }

    /// The row of a key that [`look_up`](Self::look_up) did not know and nobody [loads](Self::is_loading) was read at once, with
    /// nothing in between: it is current. Keeps a copy in the memory tier; the entry, unless its deadline has passed.
    pub fn read_at_once(&mut self, key: &[u8], row: Option<Entry>, now_ms: i64) -> Option<Entry> {
        let entry = row.filter(|entry| !entry.deadline.passed(now_ms))?;
        self.copies.fill(key, &entry);
        Some(entry)
    }

    /// A row that was wanted has not been read this time; who wants it must ask again.
    pub fn skipped(&mut self, key: &Key) {
        self.loads.written(key);
        self.loads.arrived(key, Ok(None));
    }

    /// The state of `key` in the write buffer, this turn's writes left aside.
    #[must_use]
    pub fn in_buffer(&self, key: &[u8]) -> Option<&State> {
        self.in_generations(Hashed::new(key))
    }

    fn in_generations(&self, key: Hashed<'_>) -> Option<&State> {
        self.active.read(key).or_else(|| match &self.sealed {
            Some(_) if planted(Bug::UnmergedEviction) => None,
            Some(sealed) if !self.active.flushed() => sealed.read(key),
            _ => None,
        })
    }

    /// Whether nothing in the main file counts: a flush is on its way there, or it has no rows.
    #[must_use]
    pub fn main_hidden(&self) -> bool {
        self.main_empty
            || self.pending_shown && self.pending.flushed()
            || self.active.flushed()
            || self.sealed.as_ref().is_some_and(|sealed| sealed.flushed())
    }

    /// The generations of the write buffer that count, newest first.
    pub fn generations(&self) -> impl Iterator<Item = &Generation> {
        let pending = Some(&self.pending).filter(|_| self.pending_shown);
        let hidden = pending.is_some_and(Generation::flushed);
        let active = Some(&self.active).filter(|_| !hidden);
        let sealed = self.sealed.as_deref().filter(|_| !hidden && !self.active.flushed());
        pending.into_iter().chain(active).chain(sealed)
    }

    /// Whether walks are to see this turn's writes as well, as the newest generation.
    pub fn show_pending(&mut self, shown: bool) {
        self.pending_shown = shown;
    }

    /// The keys that are watched.
    pub fn watches(&mut self) -> &mut Watches {
        &mut self.watches
    }

    /// Slots and bytes of the write buffer.
    #[must_use]
    pub fn buffer_figures(&self) -> (usize, usize) {
        let generations = [Some(&self.active), self.sealed.as_deref(), Some(&self.pending)];
        generations
            .into_iter()
            .flatten()
            .fold((0, 0), |(slots, bytes), generation| (slots + generation.len(), bytes + generation.bytes()))
    }

    /// Bytes of this turn's writes.
    #[must_use]
    pub fn uncommitted_bytes(&self) -> usize {
        self.pending.bytes()
    }

    /// Whether everything written up to and including generation `id` is in the main file.
    #[must_use]
    pub fn has_merged(&self, id: u64) -> bool {
        let merged_up_to = self.sealed.as_ref().map_or(self.active.id(), |sealed| sealed.id()) - 1;
        merged_up_to >= id || (self.active.id() <= id && self.active.is_empty() && self.sealed.is_none())
    }

    /// The generation that takes writes now.
    #[must_use]
    pub fn active(&self) -> &Generation {
        &self.active
    }

    /// How far the merge under way is, from 0 to 1, if there is one.
    #[must_use]
    pub fn merge_progress(&self) -> Option<f64> {
        self.sealed.as_ref().map(|sealed| sealed.merged_part())
    }

    /// Says how far the merge under way, if there is one, should be by now.
    pub fn want_merged(&self, part: f64) {
        if let Some(sealed) = &self.sealed {
            sealed.want_merged(part);
        }
    }

    /// Says that somebody waits for the merge under way, if there is one.
    pub fn await_merge(&self) {
        if let Some(sealed) = &self.sealed {
            sealed.await_merge();
        }
    }

    /// Whether a generation is being merged.
    #[must_use]
    pub fn merging(&self) -> bool {
        self.sealed.is_some()
    }

    /// Generations let go of so far.
    #[must_use]
    pub fn releases(&self) -> u64 {
        self.releases
    }

    /// The memory tier.
    #[must_use]
    pub fn copies(&self) -> &InMemory {
        &self.copies
    }

    /// The memory tier.
    pub fn copies_mut(&mut self) -> &mut InMemory {
        &mut self.copies
    }

    /// moka's part of it.
    #[must_use]
    pub fn memory(&self) -> &Memory {
        self.copies.memory()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bugs for the schedules to show.
    impl Tiers {
        /// As [`publish`](Self::publish), and the front keeps what it holds.
        pub(crate) fn publish_past_the_front(&mut self) {
            let front = self.copies.take_front();
            drop(self.publish());
            self.copies.give_back_front(front);
        }

        /// As [`want`](Self::want) without looking again.
        pub(crate) fn want_blindly(&mut self, key: &Key, ticket: &Rc<Ticket>) {
            self.loads.want(key, ticket);
        }
    }
}
