//! Trying every order: what the two algorithms are compared with. For histories of a handful of calls only.

use super::{Misses, Op, step};

/// Whether some order of `ops` explains their answers.
pub(super) fn brute(ops: &[Op], misses: Misses) -> bool {
    extend(ops, None, misses)
}

fn extend(left: &[Op], state: Option<i64>, misses: Misses) -> bool {
    if left.iter().all(|op| !op.answered) {
        return true;
    }
    for at in 0..left.len() {
        let op = left[at];
        // Whatever ended before this began comes first, or, without an answer, never came.
        if left.iter().any(|other| other.end < op.start && other.answered) {
            continue;
        }
        let Some(next) = step(state, &op, misses) else { continue };
        let mut rest: Vec<Op> = left.to_vec();
        rest.remove(at);
        rest.retain(|other| other.answered || other.end >= op.start);
        if extend(&rest, next, misses) {
            return true;
        }
    }
    false
}
