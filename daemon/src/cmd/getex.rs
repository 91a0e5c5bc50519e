//! `GETEX key [EX s | PX ms | EXAT s | PXAT ms | PERSIST]`: reads a value and changes its TTL; `GETDEL key`: reads and
//! deletes it.

use larder_protocol::{Reply, Request, Stat};

use super::args::{Expiry, required_integer};
use super::{Class, Group, Keys, Run, Spec};
use crate::cache::{Stop, View};
use crate::entry::Deadline;
use crate::error::CommandError;

pub(super) static GETEX: Spec = Spec {
    name: "getex",
    usage: "key [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | PERSIST]",
    arity: -2,
    class: Class::Write,
    group: Group::String,
    keys: Keys::FIRST,
    summary: "Gets the value of a key and changes its TTL",
    run: Run::Step(getex),
};

pub(super) static GETDEL: Spec = Spec {
    name: "getdel",
    usage: "key",
    arity: 2,
    class: Class::Delete,
    group: Group::String,
    keys: Keys::FIRST,
    summary: "Gets the value of a key and deletes it",
    run: Run::Step(getdel),
};

/// What becomes of the TTL. The amount is looked at only where there is an entry, as in Redis.
#[derive(Debug, PartialEq, Eq)]
enum Change<'a> {
    None,
    Persist,
    Expire(super::args::Unit, super::args::Base, &'a [u8]),
}

fn parse(request: Request<'_>) -> Result<Change<'_>, CommandError> {
    let mut change = Change::None;
    let mut words = request.tail(1);
    while let Some(word) = words.next() {
        let next = if word.eq_ignore_ascii_case(b"persist") {
            Change::Persist
        } else {
            let (unit, base) = Expiry::option(word).ok_or(CommandError::Syntax)?;
            Change::Expire(unit, base, words.next().ok_or(CommandError::Syntax)?)
        };
        let together = match (&change, &next) {
            (Change::None, _) | (Change::Persist, Change::Persist) => true,
            (Change::Expire(unit, base, _), Change::Expire(other_unit, other_base, _)) => {
                (unit, base) == (other_unit, other_base)
            }
            _ => false,
        };
        if !together {
            return Err(CommandError::Syntax);
        }
        change = next;
    }
    Ok(change)
}

fn getex(request: Request<'_>, view: &mut View<'_>) -> Result<Reply, Stop> {
    let change = parse(request)?;
    let key = request.arg(0);
    let Some(entry) = view.read(key)? else { return Ok(Reply::Nil) };
    let deadline = match change {
        Change::None => entry.deadline,
        Change::Persist => Deadline::NEVER,
        Change::Expire(unit, base, amount) => {
            Expiry::new(required_integer(amount)?, unit, base).deadline(view.now_ms(), GETEX.name)?
        }
    };
    if deadline != entry.deadline {
        // A time in the past deletes.
        view.put(key, entry.value.clone(), deadline);
    }
    Ok(Reply::Bulk(entry.value))
}

fn getdel(request: Request<'_>, view: &mut View<'_>) -> Result<Reply, Stop> {
    let Some(entry) = view.read(request.arg(0))? else { return Ok(Reply::Nil) };
    view.delete(request.arg(0));
    view.count(Stat::Deletes, 1);
    Ok(Reply::Bulk(entry.value))
}

#[cfg(test)]
mod tests {
    use crate::cmd::testing::Bench;

    #[test]
    fn the_value_comes_and_the_ttl_changes() {
        let mut bench = Bench::default();
        for (line, answer) in [
            ("GETEX k EX 0", "$-1"),
            ("SET k v", "+OK"),
            ("GETEX k", "+v"),
            ("TTL k", ":-1"),
            ("GETEX k EX 10", "+v"),
            ("TTL k", ":10"),
            ("GETEX k", "+v"),
            ("TTL k", ":10"),
            ("GETEX k px 1500", "+v"),
            ("PTTL k", ":1500"),
            ("GETEX k PERSIST", "+v"),
            ("TTL k", ":-1"),
            ("GETEX k EX 0", "-ERR invalid expire time in 'getex' command"),
            ("GETEX k EX x", "-ERR value is not an integer or out of range"),
            ("GETEX k EX", "-ERR syntax error"),
            ("GETEX k EX 1 PERSIST", "-ERR syntax error"),
            ("GETEX k EX 1 PX 1", "-ERR syntax error"),
            ("GETEX k NX", "-ERR syntax error"),
            ("GETEX k EXAT 1", "+v"),
            ("EXISTS k", ":0"),
            ("SET k v", "+OK"),
            ("GETDEL k", "+v"),
            ("GETDEL k", "$-1"),
        ] {
            bench.check(line, answer);
        }
    }
}
