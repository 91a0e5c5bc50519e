//! The write buffer in key order, for walks: they go through the buffer and the main file side by side.
//!
//! Writes know nothing of this and pay nothing for it. A walk sorts what has been written since the last one looked, in
//! runs of some thousand slots, and merges the runs as it reads. Slots never move while their generation lives, so a run
//! stays right whatever is written into its slots; it costs two bytes a slot. Only a flush begins the slots anew, and it
//! shows in the memory tier's epoch.

use std::borrow::Cow;
use std::collections::BinaryHeap;

use super::tiers::Tiers;
use crate::buffer::{Generation, Slot};
use crate::entry::{Key, State};

/// Slots sorted together: about a millisecond. What does not fill a run yet is sorted for every read.
const RUN_SLOTS: usize = 4_096;

/// How far the write buffer is sorted.
#[derive(Debug, Default)]
pub(super) struct Order {
    generations: Vec<Sorted>,
    epoch: u64,
}

/// The sorted slots of one generation.
#[derive(Debug)]
struct Sorted {
    generation: u64,
    /// Run `i` holds the slots from `i * RUN_SLOTS` on, counted from there, in the order of their keys.
    runs: Vec<Box<[u16]>>,
}

impl Order {
    /// Sorts up to `runs_max` runs; the number still to be sorted.
    pub(super) fn sort(&mut self, tiers: &Tiers, runs_max: usize) -> usize {
        if self.epoch != tiers.memory().epoch() {
            self.epoch = tiers.memory().epoch();
            self.generations.clear();
        }
        self.generations.retain(|sorted| tiers.generations().any(|there| there.id() == sorted.generation));
        let (mut done, mut left) = (0, 0);
        for generation in tiers.generations() {
            let sorted = self.of(generation.id());
            let full = generation.len() / RUN_SLOTS;
            while sorted.runs.len() < full && done < runs_max {
                sorted.runs.push(sort_run(generation, sorted.runs.len() * RUN_SLOTS, |_| true).into());
                done += 1;
            }
            left += full - sorted.runs.len();
        }
        left
    }

    /// What the write buffer holds under the keys from `floor` on and below `below`, from the greatest down: each key
    /// once, with its newest state. Everything must have been sorted.
    pub(super) fn down<'a>(&'a self, tiers: &'a Tiers, floor: &'a [u8], below: Option<&[u8]>) -> Down<'a> {
        let mut sources = Vec::new();
        for generation in tiers.generations() {
            let sorted = self.generations.iter().find(|sorted| sorted.generation == generation.id());
            let runs = sorted.map_or(&[][..], |sorted| &sorted.runs);
            let tail = runs.len() * RUN_SLOTS;
            debug_assert!(generation.len() - tail < RUN_SLOTS, "sorted up to the tail");
            let wanted = |key: &Key| **key >= *floor && below.is_none_or(|below| **key < *below);
            let offsets = Cow::Owned(sort_run(generation, tail, wanted));
            sources.push(Source { generation, base: tail, offsets });
            for (base, run) in (0..).step_by(RUN_SLOTS).zip(runs) {
                sources.push(Source {
                    generation,
                    base,
                    offsets: Cow::Borrowed(cut(generation, base, run, below)),
                });
            }
        }
        let mut down = Down { heads: BinaryHeap::with_capacity(sources.len()), sources, floor, last: None };
        for source in 0..down.sources.len() {
            down.advance(source);
        }
        down
    }

    /// Forgets what is known of one generation.
    pub(super) fn forget(&mut self, generation: u64) {
        self.generations.retain(|sorted| sorted.generation != generation);
    }

    fn of(&mut self, generation: u64) -> &mut Sorted {
        let known = self.generations.iter().position(|sorted| sorted.generation == generation);
        let at = known.unwrap_or_else(|| {
            self.generations.push(Sorted { generation, runs: Vec::new() });
            self.generations.len() - 1
        });
        &mut self.generations[at]
    }
}

/// Those of the run of slots from `base` on that are `wanted`, in the order of their keys.
fn sort_run(generation: &Generation, base: usize, wanted: impl Fn(&Key) -> bool) -> Vec<u16> {
    let slots = (0..).zip(generation.slots(base).take(RUN_SLOTS));
    let mut run: Vec<_> =
        slots.map(|(offset, (key, _))| (key, offset)).filter(|(key, _)| wanted(key)).collect();
    run.sort_unstable();
    run.into_iter().map(|(_, offset)| offset).collect()
}

/// A run without the keys that are not below `below`.
fn cut<'a>(generation: &Generation, base: usize, run: &'a [u16], below: Option<&[u8]>) -> &'a [u16] {
    let Some(below) = below else { return run };
    let is_below = |offset: &u16| slot(generation, base, *offset).is_some_and(|(key, _)| **key < *below);
    &run[..run.partition_point(is_below)]
}

/// Keys of the write buffer, from the greatest down.
#[derive(Debug)]
pub(super) struct Down<'a> {
    sources: Vec<Source<'a>>,
    /// The next key of every source that has one.
    heads: BinaryHeap<Head<'a>>,
    floor: &'a [u8],
    last: Option<&'a Key>,
}

/// A run that is being read from its end.
#[derive(Debug)]
struct Source<'a> {
    generation: &'a Generation,
    base: usize,
    offsets: Cow<'a, [u16]>,
}

/// Ordered by key, then by age: of two states of a key, the newer comes out first.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Head<'a> {
    key: &'a Key,
    generation: u64,
    source: usize,
}

impl<'a> Iterator for Down<'a> {
    type Item = (&'a Key, &'a State);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Head { key, source, .. } = self.heads.pop()?;
            let state = self.sources[source].pop().map(|(_, slot)| &slot.state);
            self.advance(source);
            if self.last.replace(key) != Some(key) {
                return state.map(|state| (key, state));
            }
        }
    }
}

impl Down<'_> {
    /// Puts the last key of a source among the heads, unless it is below the floor.
    fn advance(&mut self, source: usize) {
        let run = &self.sources[source];
        if let Some((key, _)) = run.last()
            && **key >= *self.floor
        {
            self.heads.push(Head { key, generation: run.generation.id(), source });
        }
    }
}

impl<'a> Source<'a> {
    fn last(&self) -> Option<(&'a Key, &'a Slot)> {
        self.offsets.last().and_then(|offset| slot(self.generation, self.base, *offset))
    }

    fn pop(&mut self) -> Option<(&'a Key, &'a Slot)> {
        let last = self.last();
        match &mut self.offsets {
            Cow::Borrowed(offsets) => *offsets = offsets.split_last().map_or(&[], |(_, rest)| rest),
            Cow::Owned(offsets) => drop(offsets.pop()),
        }
        last
    }
}

fn slot(generation: &Generation, base: usize, offset: u16) -> Option<(&Key, &Slot)> {
    generation.slots(base + usize::from(offset)).next()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::cache::memory::Memory;
    use crate::entry::Entry;
    use proptest::prelude::*;

    #[derive(Clone, Copy, Debug)]
    enum Event {
        /// This many writes under keys from this one on, the odd ones being deletions.
        Write(u16, u16),
        Seal,
        Release,
        Flush,
        Sort,
    }

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            4 => (0..20_000u16, prop_oneof![Just(1u16), 1..6_000u16]).prop_map(|(key, n)| Event::Write(key, n)),
            1 => Just(Event::Seal),
            1 => Just(Event::Release),
            1 => Just(Event::Flush),
            2 => Just(Event::Sort),
        ]
    }

    fn write(tiers: &mut Tiers, model: &mut [BTreeMap<Key, bool>], from: u16, n: u16) {
        for number in from..from + n {
            // Scattered, so that the order of writing is not the order of keys.
            let key: Key = number.wrapping_mul(40_503).to_be_bytes().into();
            let live = number % 2 == 0;
            tiers.write(&key, if live { State::Live(Entry::forever("v")) } else { State::Deleted });
            model[0].insert(key, live);
        }
        drop(tiers.publish());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]
        #[test]
        fn every_key_comes_once_in_order_with_its_newest_state(
            events in proptest::collection::vec(event(), 1..12),
            floor in any::<[u8; 2]>(),
            below in proptest::option::of(any::<[u8; 2]>()),
        ) {
            let mut tiers = Tiers::new(Memory::new(0, None), 1, None, 0);
            let mut order = Order::default();
            // The active generation, then the sealed one.
            let mut model: Vec<BTreeMap<Key, bool>> = vec![BTreeMap::new()];
            for event in events {
                match event {
                    Event::Write(from, n) => write(&mut tiers, &mut model, from, n),
                    Event::Seal if model.len() == 1 => {
                        tiers.seal();
                        model.insert(0, BTreeMap::new());
                    }
                    Event::Release if model.len() == 2 || tiers.merging() => {
                        model.truncate(1);
                        tiers.release(tiers.active().id() - 1, 1);
                    }
                    Event::Seal | Event::Release => {}
                    Event::Flush => {
                        tiers.flush();
                        drop(tiers.publish());
                        let sealed = model.len();
                        model = vec![BTreeMap::new(); sealed];
                    }
                    Event::Sort => drop(order.sort(&tiers, 1)),
                }
            }
            prop_assert_eq!(order.sort(&tiers, usize::MAX), 0);
            let mut expected = model.pop().unwrap_or_default();
            expected.extend(model.pop().unwrap_or_default());
            let expected: Vec<_> = expected
                .into_iter()
                .rev()
                .filter(|(key, _)| **key >= floor[..] && below.is_none_or(|below| **key < below[..]))
                .collect();
            let got = order.down(&tiers, &floor, below.as_ref().map(|below| &below[..]));
            let got: Vec<_> =
                got.map(|(key, state)| (key.clone(), matches!(state, State::Live(_)))).collect();
            prop_assert_eq!(got, expected);
        }
    }
}
