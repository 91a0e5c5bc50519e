//! Everything else, by search: Wing and Gong's algorithm (1993) in the form of just-in-time linearization (Lowe, "Testing
//! for linearizability", 2017, section 4): a walk over the starts and ends of all calls in the order of time, with the set
//! of all configurations that explain what was answered so far. A configuration is the state of the key and which of the
//! calls under way have already had their effect. When a call ends, every configuration is continued in every way that
//! gives this call its effect; where none is left, nothing explains the answer.
//!
//! Only calls that overlap are ever kept, so memory does not grow with the history, and nothing has to be cut at moments of
//! rest, of which a busy key has none.

use std::collections::HashSet;

use super::{Misses, Op, Violation, step};

/// State, and a bit for each slot whose call has had its effect.
type Configuration = (Option<i64>, u64);

/// Calls that may overlap on one key.
const SLOTS: usize = 64;

/// Checks a history of any calls on one key.
///
/// # Panics
/// Where more than 64 calls overlap.
pub(crate) fn search(ops: &[Op], misses: Misses) -> Result<(), Violation> {
    // Starts before ends of the same moment: only what ended before is known to come first.
    let mut events: Vec<(u64, bool, usize)> = Vec::with_capacity(2 * ops.len());
    for (index, op) in ops.iter().enumerate() {
        events.push((op.start, false, index));
        events.push((op.end, true, index));
    }
    events.sort_unstable();

    let mut slots: [Option<usize>; SLOTS] = [None; SLOTS];
    let mut configurations: HashSet<Configuration> = HashSet::from([(None, 0)]);
    for (_, is_end, index) in events {
        if !is_end {
            let free = slots.iter().position(Option::is_none);
            slots[free.expect("at most 64 calls on one key overlap")] = Some(index);
            continue;
        }
        let slot = slots.iter().position(|taken| *taken == Some(index)).expect("what ends has begun");
        let next = finish(&configurations, &slots, slot, ops, misses);
        slots[slot] = None;
        if next.is_empty() {
            let mut states: Vec<_> = configurations.iter().map(|(state, _)| *state).collect();
            states.sort_unstable();
            states.dedup();
            let others: Vec<_> = slots.iter().flatten().map(|&other| &ops[other]).collect();
            return Err(Violation(format!(
                "nothing explains {:?}; the value could have been {states:?}, and meanwhile there was {others:?}",
                ops[index]
            )));
        }
        configurations = next;
    }
    Ok(())
}

/// All ways to go on until the call in `slot` has had its effect, which it must have had by now, if it was answered.
fn finish(
    configurations: &HashSet<Configuration>,
    slots: &[Option<usize>; SLOTS],
    slot: usize,
    ops: &[Op],
    misses: Misses,
) -> HashSet<Configuration> {
    let bit = 1 << slot;
    let may_never_have_been = slots[slot].is_some_and(|index| !ops[index].answered);
    let mut seen = configurations.clone();
    let mut open: Vec<Configuration> = configurations.iter().copied().collect();
    let mut finished = HashSet::new();
    while let Some((state, done)) = open.pop() {
        if done & bit != 0 {
            finished.insert((state, done & !bit));
            continue;
        }
        if may_never_have_been {
            finished.insert((state, done));
        }
        for (other, index) in slots.iter().enumerate() {
            let Some(index) = *index else { continue };
            if done & (1 << other) != 0 {
                continue;
            }
            if let Some(next) = step(state, &ops[index], misses) {
                let configuration = (next, done | 1 << other);
                if seen.insert(configuration) {
                    open.push(configuration);
                }
            }
        }
    }
    finished
}
