//! Registers whose values never repeat, in n log n (Gibbons and Korach, "Testing shared memories", SIAM J. Comput. 26,
//! 1997, section 3; the picture of zones is Golab, Li and Shah's, 2011).
//!
//! The calls that name one value form a cluster: its SET and the GETs that returned it. In any order that explains the
//! answers, a cluster is one uninterrupted stretch. Let `f` be the first end and `s` the last start in it. Where `f < s`,
//! the register held that value from `f` to `s` at least: a forward zone. Otherwise all its calls overlap at a moment, and
//! it may have held the value for just that: a backward zone, from `s` to `f`. One cluster has to come before another where
//! its `f` lies before the other's `s`; the history is linearizable exactly if no two have to come before each other:
//! no two forward zones overlap, and no backward zone lies within a forward one.
//!
//! A deletion, and a miss where misses are allowed, is a cluster of its own: a value nobody else reads.

use std::collections::HashMap;

use super::{Call, Misses, Op, Violation};

#[derive(Clone, Copy, Debug)]
struct Zone {
    /// `None`: nothing.
    value: Option<i64>,
    first_end: u64,
    last_start: u64,
}

impl Zone {
    fn of(value: Option<i64>, op: &Op) -> Self {
        Self { value, first_end: op.end, last_start: op.start }
    }

    fn add(&mut self, op: &Op) {
        self.first_end = self.first_end.min(op.end);
        self.last_start = self.last_start.max(op.start);
    }

    fn is_forward(&self) -> bool {
        self.first_end < self.last_start
    }

    fn describe(&self) -> String {
        let what = self.value.map_or_else(|| "no value".to_owned(), |value| format!("value {value}"));
        if self.is_forward() {
            format!("{what}, which was there from {} to {} at least", self.first_end, self.last_start)
        } else {
            format!("{what}, which came at some moment from {} to {}", self.last_start, self.first_end)
        }
    }
}

/// Checks a history of SET, GET and DEL on one key.
///
/// # Panics
/// Where a value is set twice, an INCR is among the calls, or a DEL where misses are forbidden: that is for the search.
pub(crate) fn zones(ops: &[Op], misses: Misses) -> Result<(), Violation> {
    let mut clusters: HashMap<i64, (Zone, &Op, bool)> = HashMap::new();
    let mut zones = Vec::new();
    for op in ops {
        match op.call {
            Call::Set(value) => {
                let before = clusters.insert(value, (Zone::of(Some(value), op), op, op.answered));
                assert!(before.is_none(), "value {value} is set twice");
            }
            Call::Del(_) => {
                assert!(misses == Misses::Allowed, "with deletions, misses are for the search");
                // One without an answer may never have been: nothing can be concluded from it.
                if op.answered {
                    zones.push(Zone::of(None, op));
                }
            }
            Call::Get(_) => {}
            Call::Incr(_) => panic!("INCR is for the search"),
        }
    }
    // Where misses are forbidden, nothing is what was there in the beginning.
    let mut nothing = Zone { value: None, first_end: 0, last_start: 0 };
    for op in ops.iter().filter(|op| op.answered) {
        match op.call {
            Call::Get(None) if misses == Misses::Allowed => zones.push(Zone::of(None, op)),
            Call::Get(None) => nothing.add(op),
            Call::Get(Some(value)) => {
                let Some((zone, set, read)) = clusters.get_mut(&value) else {
                    return Err(Violation(format!("value {value} was read and never set: {op:?}")));
                };
                if op.end < set.start {
                    return Err(Violation(format!(
                        "value {value} was read before it was set: {op:?}, {set:?}"
                    )));
                }
                zone.add(op);
                *read = true;
            }
            _ => {}
        }
    }
    // A SET that was neither answered nor read may never have been.
    zones.extend(clusters.into_values().filter(|(_, _, counts)| *counts).map(|(zone, ..)| zone));
    if misses == Misses::Forbidden {
        before_all(&nothing, &zones)?;
    }
    compare(zones)
}

/// The beginning comes before every value: none may have been there when nothing was still read.
fn before_all(nothing: &Zone, zones: &[Zone]) -> Result<(), Violation> {
    match zones.iter().find(|zone| zone.first_end < nothing.last_start) {
        Some(zone) => {
            Err(Violation(format!("nothing was read at {}, after {}", nothing.last_start, zone.describe())))
        }
        None => Ok(()),
    }
}

fn compare(zones: Vec<Zone>) -> Result<(), Violation> {
    let (mut forward, backward): (Vec<_>, Vec<_>) = zones.into_iter().partition(Zone::is_forward);
    forward.sort_by_key(|zone| zone.first_end);
    let clash = |one: &Zone, other: &Zone| {
        Err(Violation(format!("{}; yet meanwhile: {}", one.describe(), other.describe())))
    };
    for pair in forward.windows(2) {
        if pair[1].first_end < pair[0].last_start {
            return clash(&pair[0], &pair[1]);
        }
    }
    for zone in &backward {
        // Of the forward ones, which do not overlap, only the last that began before it can hold it.
        let before = forward.partition_point(|other| other.first_end < zone.last_start);
        if let Some(around) = before.checked_sub(1).map(|at| &forward[at])
            && zone.first_end < around.last_start
        {
            return clash(around, zone);
        }
    }
    Ok(())
}
