//! How far the merge of a sealed generation is and how far it should be: what the keeper and the event loop, each on a thread of
//! its own, tell each other while it goes on.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};

use super::Generation;
use crate::pace::Haste;

/// How far the merge of a sealed generation is, as the keeper says, and how far it should be, as the event loop says.
#[derive(Debug, Default)]
pub(super) struct MergePace {
    /// Slots that are in the main file already.
    merged: AtomicUsize,
    /// In thousandths of all slots.
    wanted: AtomicU32,
    /// Whether somebody waits for its end.
    awaited: AtomicBool,
}

impl Generation {
    /// Notes how many slots have been merged so far.
    pub fn set_merged(&self, slots: usize) {
        self.merge.merged.store(slots, Ordering::Relaxed);
    }

    /// The part of its slots that has been merged, from 0 to 1.
    #[must_use]
    pub fn merged_part(&self) -> f64 {
        let merged = self.merge.merged.load(Ordering::Relaxed);
        if self.slots.is_empty() { 0.0 } else { merged as f64 / self.slots.len() as f64 }
    }

    /// Says which part of the slots, from 0 to 1, should have been merged by now. What was wanted before stays wanted.
    pub fn want_merged(&self, part: f64) {
        self.merge.wanted.fetch_max((part.clamp(0.0, 1.0) * 1_000.0) as u32, Ordering::Relaxed);
    }

    /// Says that somebody waits for the merge to end.
    pub fn await_merge(&self) {
        self.merge.awaited.store(true, Ordering::Relaxed);
    }

    /// How the merge should go on: what has to be merged by now comes before everything else.
    #[must_use]
    pub fn merge_haste(&self) -> Haste {
        /// What is merged when every slot is, in thousandths: bringing copies up to date still has to follow.
        const ALL_SLOTS: f64 = 900.0;
        let wanted = f64::from(self.merge.wanted.load(Ordering::Relaxed));
        let merged = self.merged_part() * ALL_SLOTS;
        if wanted > 0.0 && merged <= wanted {
            Haste::Urgent
        } else if merged == 0.0 || self.merge.awaited.load(Ordering::Relaxed) {
            // Sorting comes first, which must not take so long that the merge never catches up with the writers.
            Haste::Wanted
        } else {
            Haste::Leisure
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::{Entry, State};

    #[test]
    fn a_merge_takes_its_time_until_more_is_wanted() {
        let mut generation = Generation::new(1);
        for key in 0..10_u8 {
            generation.put([key].into(), State::Live(Entry::forever("v")));
        }
        assert_eq!(generation.merge_haste(), Haste::Wanted, "it has to be sorted");
        generation.set_merged(5);
        assert_eq!(generation.merge_haste(), Haste::Leisure);
        generation.want_merged(0.6);
        generation.want_merged(0.1);
        assert_eq!(generation.merge_haste(), Haste::Urgent);
        generation.set_merged(7);
        assert_eq!(generation.merge_haste(), Haste::Leisure);
        generation.await_merge();
        assert_eq!(generation.merge_haste(), Haste::Wanted);
        generation.want_merged(1.0);
        generation.set_merged(10);
        assert_eq!(generation.merge_haste(), Haste::Urgent, "copies are not refreshed yet");
    }
}
