//! The linearizability checker: given what clients called, when, and what they were answered, is there an order of the
//! calls, each at some moment between its start and its end, in which one map would have answered the same?
//!
//! Keys do not touch each other, so a history is checked key by key: linearizability is a local property (Herlihy and
//! Wing 1990, theorem 1). Two algorithms, since neither does for all:
//!
//! | | for | cost |
//! |---|---|---|
//! | [`zones`] | SET of values that never repeat, GET, DEL whose answer does not matter | n log n, any concurrency |
//! | [`search`] | SET, GET, DEL and INCR with their answers | exponential in how many calls overlap on one key |
//!
//! larder is a cache, so a miss is always allowed where entries may be evicted ([`Misses::Allowed`]): it then counts as a
//! removal at that moment, and what was there before must not come back. Where nothing is evicted ([`Misses::Forbidden`]) a
//! miss is an answer like any other.
//!
//! A call without an answer, because the daemon was killed, took effect before its end, which is when the client knew, or
//! never: nothing that was on its way may surface later (strict linearizability, Aguilera and Frølund 2003).
//!
//! This module knows nothing of daemons, sockets or clocks.

mod brute;
mod search;
mod zones;

pub(crate) use search::search;
pub(crate) use zones::zones;

/// One call on the key that the history is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Op {
    /// When it was sent, on the clock that all clients share.
    pub(crate) start: u64,
    /// When it was answered; without an answer, when it was known that none would come.
    pub(crate) end: u64,
    pub(crate) call: Call,
    /// Whether there was an answer.
    pub(crate) answered: bool,
}

/// What was called and answered. Without an answer the answer given here means nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Set(i64),
    /// The value, or that there was none.
    Get(Option<i64>),
    /// Whether there was something to delete; `None` where that is not to be checked.
    Del(Option<bool>),
    /// The value afterwards.
    Incr(i64),
}

/// What a GET that finds nothing may mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Misses {
    /// That the entry was evicted just then.
    Allowed,
    /// That the key was never set, or was deleted.
    Forbidden,
}

/// Why a history is not linearizable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Violation(pub(crate) String);

/// What a key holds.
type State = Option<i64>;

/// The state after `op`, if that could have been its answer; without an answer anything could.
fn step(state: State, op: &Op, misses: Misses) -> Option<State> {
    let evictable = misses == Misses::Allowed;
    match op.call {
        Call::Set(value) => Some(Some(value)),
        Call::Get(_) if !op.answered => Some(state),
        Call::Del(_) if !op.answered => Some(None),
        Call::Del(None) => Some(None),
        Call::Get(None) | Call::Del(Some(false)) => (evictable || state.is_none()).then_some(None),
        Call::Get(Some(value)) => (state == Some(value)).then_some(state),
        Call::Del(Some(true)) => state.is_some().then_some(None),
        Call::Incr(_) if !op.answered => Some(Some(state.unwrap_or(0) + 1)),
        Call::Incr(after) => {
            let fits = state.unwrap_or(0) + 1 == after || (evictable && after == 1);
            fits.then_some(Some(after))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::util::Dice;
    use brute::brute;

    /// A short history: an honest map answers calls at moments between their starts and ends; some answers are then
    /// replaced, so that about half of the histories are wrong.
    fn random(dice: &mut Dice, register: bool) -> Vec<Op> {
        let mut calls: Vec<(u64, Op)> = (0..2 + dice.below(6))
            .map(|number| {
                let start = dice.below(30);
                let end = start + dice.below(14);
                let moment = start + dice.below(end - start + 1);
                let value = number as i64 + 10;
                let call = match (register, dice.below(10)) {
                    (_, 0..3) => Call::Set(value),
                    (_, 3..7) => Call::Get(None),
                    (true, _) => Call::Del(None),
                    (false, 7) => Call::Del(Some(false)),
                    (false, _) => Call::Incr(0),
                };
                (moment, Op { start, end, call, answered: dice.below(6) > 0 })
            })
            .collect();
        calls.sort_by_key(|(moment, _)| *moment);
        let mut state: Option<i64> = None;
        for (_, op) in &mut calls {
            if !op.answered && dice.below(2) == 0 {
                // It never took effect.
                continue;
            }
            match &mut op.call {
                Call::Set(value) => state = Some(*value),
                Call::Get(found) => *found = state,
                Call::Del(found) => {
                    *found = found.map(|_| state.is_some());
                    state = None;
                }
                Call::Incr(after) => {
                    *after = state.unwrap_or(0) + 1;
                    state = Some(*after);
                }
            }
        }
        let mut ops: Vec<Op> = calls.into_iter().map(|(_, op)| op).collect();
        if dice.below(2) == 0 {
            let at = dice.below(ops.len() as u64) as usize;
            let other = dice.below(9) as i64 + 8;
            match &mut ops[at].call {
                Call::Get(found) => *found = (other > 9).then_some(other),
                Call::Incr(after) => *after = other - 8,
                Call::Del(Some(found)) => *found = !*found,
                Call::Set(_) | Call::Del(None) => {}
            }
        }
        ops
    }

    /// How many of `histories` were right and how many wrong, both algorithms having said the same of each.
    fn agree(
        histories: u64,
        register: bool,
        misses: Misses,
        check: impl Fn(&[Op]) -> Result<(), Violation>,
    ) -> (u64, u64) {
        let (mut right, mut wrong) = (0, 0);
        for seed in 0..histories {
            let mut ops = random(&mut Dice::new(seed), register);
            if register && misses == Misses::Forbidden {
                // Not for zones: which of several deletions a miss came from.
                ops.retain(|op| !matches!(op.call, Call::Del(_)));
            }
            let expected = brute(&ops, misses);
            let got = check(&ops);
            assert_eq!(got.is_ok(), expected, "history {seed}, {misses:?}: {got:?}\n{ops:#?}");
            if expected { right += 1 } else { wrong += 1 }
        }
        (right, wrong)
    }

    #[test]
    fn zones_say_what_trying_every_order_says() {
        for misses in [Misses::Allowed, Misses::Forbidden] {
            let (right, wrong) = agree(40_000, true, misses, |ops| zones(ops, misses));
            assert!(right > 3_000 && wrong > 3_000, "{misses:?}: {right} right, {wrong} wrong");
        }
    }

    #[test]
    fn the_search_says_what_trying_every_order_says() {
        for misses in [Misses::Allowed, Misses::Forbidden] {
            let (right, wrong) = agree(40_000, false, misses, |ops| search(ops, misses));
            assert!(right > 3_000 && wrong > 3_000, "{misses:?}: {right} right, {wrong} wrong");
        }
    }

    #[test]
    fn both_say_the_same_of_registers() {
        for misses in [Misses::Allowed, Misses::Forbidden] {
            agree(20_000, true, misses, |ops| search(ops, misses));
        }
    }

    fn op(start: u64, end: u64, call: Call) -> Op {
        Op { start, end, call, answered: true }
    }

    #[test]
    fn an_old_value_after_a_new_one_is_told_with_both() {
        let ops = [
            op(0, 1, Call::Set(1)),
            op(2, 3, Call::Set(2)),
            op(4, 5, Call::Get(Some(2))),
            op(6, 7, Call::Get(Some(1))),
        ];
        let Violation(text) = zones(&ops, Misses::Allowed).unwrap_err();
        assert!(text.contains("value 1") && text.contains("value 2"), "{text}");
        assert!(search(&ops, Misses::Allowed).is_err());
    }

    #[test]
    fn a_value_may_go_and_not_come_back() {
        let gone = [op(0, 1, Call::Set(1)), op(2, 3, Call::Get(None))];
        let back = [gone[0], gone[1], op(4, 5, Call::Get(Some(1)))];
        for check in [zones, search] {
            assert_eq!(check(&gone, Misses::Allowed), Ok(()));
            assert!(check(&gone, Misses::Forbidden).is_err());
            assert!(check(&back, Misses::Allowed).is_err());
        }
    }

    #[test]
    fn what_was_on_its_way_at_a_crash_may_have_happened_before_it_and_not_afterwards() {
        let cut = Op { start: 2, end: 5, call: Call::Set(2), answered: false };
        let then = |value| [op(0, 1, Call::Set(1)), cut, op(6, 7, Call::Get(Some(value)))];
        let late = [op(0, 1, Call::Set(1)), cut, op(6, 7, Call::Get(Some(1))), op(8, 9, Call::Get(Some(2)))];
        for check in [zones, search] {
            assert_eq!(check(&then(1), Misses::Forbidden), Ok(()));
            assert_eq!(check(&then(2), Misses::Forbidden), Ok(()));
            assert!(check(&late, Misses::Forbidden).is_err());
        }
    }
}
