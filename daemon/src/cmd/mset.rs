//! `MSET key value [key value ...]`: stores several values together; `MSETNX key value [key value ...]`: only if none of the
//! keys is there; `MSETEX numkeys key value [key value ...] [NX | XX] [EX s | PX ms | EXAT s | PXAT ms | KEEPTTL]`: with one
//! condition and one TTL for all of them.

use bytes::Bytes;
use larder_protocol::{Reply, Request, Stat};

use super::args::{Expiry, integer, required_integer};
use super::condition::Condition;
use super::{Class, Family, Group, Keys, Spec};
use crate::cache::{Stop, View};
use crate::entry::Deadline;
use crate::error::CommandError;
use crate::notices::SET_KEEPTTL;

const FAMILY: Family = Family { class: Class::Write, group: Group::String, keys: Keys::PAIRS };

/// The keys of MSETEX, behind their number.
const COUNTED: Keys = Keys { first: 2, last: -1, step: 2, overwritten: true, counted: true };

pub(super) static MSET: Spec = FAMILY.step(
    "mset",
    "key value [key value ...]",
    -3,
    "Sets the values of several keys together",
    |request, view| {
        let pairs = pairs_of(request, MSET.name)?;
        put_all(view, pairs, |view, key| view.jittered(key, view.default_deadline()));
        Ok(Reply::OK)
    },
);

pub(super) static MSETNX: Spec = FAMILY.with_keys(Keys { overwritten: false, ..Keys::PAIRS }).step(
    "msetnx",
    "key value [key value ...]",
    -3,
    "Sets the values of several keys together, if all are absent",
    |request, view| {
        let pairs = pairs_of(request, MSETNX.name)?;
        set_if(view, Some(Condition::Absent), pairs, |view, _| view.default_deadline())
    },
);

pub(super) static MSETEX: Spec = FAMILY.with_keys(COUNTED).step(
    "msetex",
    "numkeys key value [key value ...] [NX | XX] [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | KEEPTTL]",
    -4,
    "Sets the values of several keys together, with a TTL",
    msetex,
);

/// A key and the value it is to have.
type Pair<'a> = (&'a [u8], &'a [u8]);

/// The arguments by twos.
fn pairs_of<'a>(
    request: Request<'a>,
    command: &'static str,
) -> Result<impl Iterator<Item = Pair<'a>> + Clone, CommandError> {
    if request.len().is_multiple_of(2) {
        return Err(CommandError::Arity(command));
    }
    Ok(by_twos(request.args()))
}

fn by_twos<'a>(words: impl Iterator<Item = &'a [u8]> + Clone) -> impl Iterator<Item = Pair<'a>> + Clone {
    words.clone().step_by(2).zip(words.skip(1).step_by(2))
}

fn put_all<'a>(
    view: &mut View<'_>,
    pairs: impl Iterator<Item = Pair<'a>>,
    mut deadline: impl FnMut(&mut View<'_>, &[u8]) -> Deadline,
) {
    let mut stored = 0;
    for (key, value) in pairs {
        let deadline = deadline(view, key);
        view.put(key, Bytes::copy_from_slice(value), deadline);
        stored += 1;
    }
    view.count(Stat::Sets, stored);
}

/// Stores all pairs or none: 1 or 0.
fn set_if<'a>(
    view: &mut View<'_>,
    condition: Option<Condition<'_>>,
    pairs: impl Iterator<Item = Pair<'a>> + Clone,
    deadline: impl FnMut(&mut View<'_>, &[u8]) -> Deadline,
) -> Result<Reply, Stop> {
    if let Some(condition) = condition {
        view.need(pairs.clone().map(|(key, _)| key))?;
        for (key, _) in pairs.clone() {
            if !condition.holds(view.find(key)?.as_ref())? {
                return Ok(Reply::Int(0));
            }
        }
    }
    put_all(view, pairs, deadline);
    Ok(Reply::Int(1))
}

/// What comes after the pairs of MSETEX.
#[derive(Debug, Default, PartialEq, Eq)]
struct Options<'a> {
    condition: Option<Condition<'a>>,
    expiry: Option<Expiry>,
    keep_ttl: bool,
}

fn parse<'a>(mut words: impl Iterator<Item = &'a [u8]>) -> Result<Options<'a>, CommandError> {
    let mut options = Options::default();
    let mut expiry = None;
    while let Some(word) = words.next() {
        if word.eq_ignore_ascii_case(b"keepttl") {
            options.keep_ttl = true;
        } else if let Some(condition @ (Condition::Absent | Condition::Present)) =
            Condition::option(word, &mut words)?
        {
            condition.put_into(&mut options.condition)?;
        } else {
            let kind = Expiry::option(word).ok_or(CommandError::Syntax)?;
            let amount = words.next().ok_or(CommandError::Syntax)?;
            if expiry.replace((kind, amount)).is_some_and(|(other, _)| other != kind) {
                return Err(CommandError::Syntax);
            }
        }
        if options.keep_ttl && expiry.is_some() {
            return Err(CommandError::Syntax);
        }
    }
    if let Some(((unit, base), amount)) = expiry {
        options.expiry = Some(Expiry::new(required_integer(amount)?, unit, base));
    }
    Ok(options)
}

fn msetex(request: Request<'_>, view: &mut View<'_>) -> Result<Reply, Stop> {
    let count = integer(request.arg(0)).and_then(|count| i32::try_from(count).ok()).unwrap_or(0);
    let count = usize::try_from(count).ok().filter(|count| *count > 0).ok_or(CommandError::InvalidNumkeys)?;
    let words = count.saturating_mul(2);
    if request.len() - 2 < words {
        return Err(CommandError::NotInPairs.into());
    }
    let options = parse(request.tail(1 + words))?;
    let expiry = options.expiry.map(|expiry| expiry.deadline(view.now_ms(), MSETEX.name)).transpose()?;
    let pairs = by_twos(request.tail(1).take(words));
    if !options.keep_ttl {
        let deadline = expiry.unwrap_or_else(|| view.default_deadline());
        let jitters = options.condition.is_none() && options.expiry.is_none_or(Expiry::is_relative);
        return set_if(view, options.condition, pairs, |view, key| {
            if jitters { view.jittered(key, deadline) } else { deadline }
        });
    }
    view.need(pairs.clone().map(|(key, _)| key))?;
    let mut kept = Vec::with_capacity(count);
    for (key, _) in pairs.clone() {
        kept.push(view.find(key)?.map(|entry| entry.deadline));
    }
    let mut kept = kept.into_iter();
    set_if(view, options.condition, pairs, |view, _| {
        let kept = kept.next().flatten();
        view.name_command(if kept.is_some() { SET_KEEPTTL } else { MSETEX.name });
        kept.unwrap_or_else(|| view.default_deadline())
    })
}

#[cfg(test)]
mod tests {
    use crate::cmd::testing::Bench;

    #[test]
    fn pairs_only_and_the_last_of_a_key_wins() {
        let mut bench = Bench::default();
        bench.check("SET a old EX 5", "+OK");
        bench.check("MSET a 1 b 2 a 3", "+OK");
        bench.check("MGET a b", "*2 +3 +2");
        bench.check("TTL a", ":-1");
        bench.check("MSET a 1 b", "-ERR wrong number of arguments for 'mset' command");
        bench.check("GET a", "+3");
    }

    #[test]
    fn all_or_none() {
        let mut bench = Bench::default();
        for (line, answer) in [
            ("MSETNX a 1 b 2", ":1"),
            ("MSETNX b 3 c 4", ":0"),
            ("MGET a b c", "*3 +1 +2 $-1"),
            ("MSETNX a", "-ERR wrong number of arguments for 'msetnx' command"),
            ("MSETEX 2 a x c y XX", ":0"),
            ("MSETEX 2 a x b y XX EX 10", ":1"),
            ("TTL a", ":10"),
            ("MSETEX 2 a 1 d 2 KEEPTTL", ":1"),
            ("MGET a d", "*2 +1 +2"),
            ("TTL a", ":10"),
            ("TTL d", ":-1"),
            ("MSETEX 1 e 1 NX PX 1500", ":1"),
            ("PTTL e", ":1500"),
            ("MSETEX 1 e 1 NX", ":0"),
            ("MSETEX 1 e 1", ":1"),
            ("TTL e", ":-1"),
        ] {
            bench.check(line, answer);
        }
    }

    #[test]
    fn what_is_refused() {
        let mut bench = Bench::default();
        for (line, answer) in [
            ("MSETEX 0 a 1", "-ERR invalid numkeys value"),
            ("MSETEX x a 1", "-ERR invalid numkeys value"),
            ("MSETEX -1 a 1", "-ERR invalid numkeys value"),
            ("MSETEX 2147483648 a 1", "-ERR invalid numkeys value"),
            ("MSETEX 2147483647 a 1", "-ERR wrong number of key-value pairs"),
            ("MSETEX 2 a 1 b", "-ERR wrong number of key-value pairs"),
            ("MSETEX 1 a", "-ERR wrong number of arguments for 'msetex' command"),
            ("MSETEX 1 a 1 b", "-ERR syntax error"),
            ("MSETEX 1 a 1 EX 1 PX 1", "-ERR syntax error"),
            ("MSETEX 1 a 1 EX ten", "-ERR value is not an integer or out of range"),
            ("MSETEX 1 a 1 NX XX", "-ERR syntax error"),
            ("MSETEX 1 a 1 IFEQ 1", "-ERR syntax error"),
            ("MSETEX 1 a 1 EX", "-ERR syntax error"),
            ("MSETEX 1 a 1 EX 1 KEEPTTL", "-ERR syntax error"),
            ("MSETEX 1 a 1 EX 0", "-ERR invalid expire time in 'msetex' command"),
            ("EXISTS a", ":0"),
        ] {
            bench.check(line, answer);
        }
    }
}
