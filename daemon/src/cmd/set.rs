//! `SET key value [NX | XX | IFEQ value | IFNE value | IFDEQ digest | IFDNE digest] [GET] [EX s | PX ms | EXAT s | PXAT ms |
//! KEEPTTL]`: stores a value.
//!
//! Without a TTL option the entry gets the configured default TTL, if any. With a condition it stores only where that
//! holds (see [`Condition`]); nil says that nothing was stored. GET answers the old value instead, stored or not. A time in the
//! past is allowed with EXAT and PXAT and leaves the key absent.

use bytes::Bytes;
use larder_protocol::{Reply, Request, Stat};

use super::args::{Expiry, required_integer};
use super::condition::Condition;
use super::{Class, Group, Keys, Run, Spec};
use crate::cache::{Stop, View};
use crate::entry::Deadline;
use crate::error::CommandError;
use crate::notices::SET_KEEPTTL;

pub(super) static SPEC: Spec = Spec {
    name: "set",
    usage: "key value [NX | XX | IFEQ value | IFNE value | IFDEQ digest | IFDNE digest] [GET] [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | KEEPTTL]",
    arity: -3,
    class: Class::Write,
    group: Group::String,
    keys: Keys::FIRST_OVERWRITTEN,
    summary: "Sets the value of a key, with a TTL if asked",
    run: Run::Step(run),
};

#[derive(Debug, Default, PartialEq, Eq)]
struct Options<'a> {
    condition: Option<Condition<'a>>,
    answer_old: bool,
    ttl: Option<Ttl>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ttl {
    Expiry(Expiry),
    Keep,
}

/// As Redis reads them: an option may be repeated, and the last amount counts; two that exclude each other are a syntax
/// error; an amount is only looked at once all the options are known.
fn parse(request: Request<'_>) -> Result<Options<'_>, CommandError> {
    let mut options = Options::default();
    let mut keep = false;
    let mut expiry = None;
    let mut words = request.tail(2);
    while let Some(word) = words.next() {
        if word.eq_ignore_ascii_case(b"get") {
            options.answer_old = true;
        } else if word.eq_ignore_ascii_case(b"keepttl") {
            keep = true;
        } else if let Some(condition) = Condition::option(word, &mut words)? {
            condition.put_into(&mut options.condition)?;
        } else {
            let kind = Expiry::option(word).ok_or(CommandError::Syntax)?;
            let amount = words.next().ok_or(CommandError::Syntax)?;
            if expiry.replace((kind, amount)).is_some_and(|(other, _)| other != kind) {
                return Err(CommandError::Syntax);
            }
        }
        if keep && expiry.is_some() {
            return Err(CommandError::Syntax);
        }
    }
    options.ttl = match expiry {
        Some(((unit, base), amount)) => Some(Ttl::Expiry(Expiry::new(required_integer(amount)?, unit, base))),
        None => keep.then_some(Ttl::Keep),
    };
    Ok(options)
}

/// The deadline that a SET gives its entry, if it stores it whatever there is: `None` where it has NX, XX, GET or KEEPTTL.
/// Without a TTL option there is no deadline.
///
/// # Errors
/// Where the options are wrong.
pub fn unconditional_deadline(request: Request<'_>, now_ms: i64) -> Result<Option<Deadline>, CommandError> {
    let Options { condition, answer_old, ttl } = parse(request)?;
    if condition.is_some() || answer_old {
        return Ok(None);
    }
    match ttl {
        Some(Ttl::Keep) => Ok(None),
        Some(Ttl::Expiry(expiry)) => expiry.deadline(now_ms, SPEC.name).map(Some),
        None => Ok(Some(Deadline::NEVER)),
    }
}

fn run(request: Request<'_>, view: &mut View<'_>) -> Result<Reply, Stop> {
    let (key, value) = (request.arg(0), request.arg(1));
    let options = if request.len() == 3 { Options::default() } else { parse(request)? };
    let expiry = match options.ttl {
        Some(Ttl::Expiry(expiry)) => Some(expiry.deadline(view.now_ms(), SPEC.name)?),
        Some(Ttl::Keep) | None => None,
    };
    let needs_old = options.answer_old || options.condition.is_some() || options.ttl == Some(Ttl::Keep);
    let old = if needs_old { view.find(key)? } else { None };
    let store = match options.condition {
        Some(condition) => condition.holds(old.as_ref())?,
        None => true,
    };
    if store {
        // A lock (NX) keeps its time, and so does what is to end at a moment.
        let jitters = options.condition.is_none()
            && match options.ttl {
                Some(Ttl::Expiry(expiry)) => expiry.is_relative(),
                Some(Ttl::Keep) => false,
                None => true,
            };
        let kept = old.as_ref().filter(|_| options.ttl == Some(Ttl::Keep)).map(|old| old.deadline);
        if kept.is_some() {
            view.name_command(SET_KEEPTTL);
        }
        let deadline: Deadline = expiry.or(kept).unwrap_or_else(|| view.default_deadline());
        let deadline = if jitters { view.jittered(key, deadline) } else { deadline };
        view.put(key, Bytes::copy_from_slice(value), deadline);
        view.count(Stat::Sets, 1);
    }
    Ok(match (options.answer_old, store) {
        (true, _) => old.map_or(Reply::Nil, |old| Reply::Bulk(old.value)),
        (false, true) => Reply::OK,
        (false, false) => Reply::Nil,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd::testing::Bench;

    #[test]
    fn what_is_refused() {
        let mut bench = Bench::default();
        for (line, error) in [
            ("SET k", "-ERR wrong number of arguments for 'set' command"),
            ("SET k v NOPE", "-ERR syntax error"),
            ("SET k v NX XX", "-ERR syntax error"),
            ("SET k v EX 1 PX 1", "-ERR syntax error"),
            ("SET k v EX 1 KEEPTTL", "-ERR syntax error"),
            ("SET k v EX", "-ERR syntax error"),
            ("SET k v EX ten PX 5", "-ERR syntax error"),
            ("SET k v EX 1 EX ten", "-ERR value is not an integer or out of range"),
            ("SET k v EX ten", "-ERR value is not an integer or out of range"),
            ("SET k v EX 0", "-ERR invalid expire time in 'set' command"),
            ("SET k v PX -1", "-ERR invalid expire time in 'set' command"),
            ("SET k v EX 9223372036854775807", "-ERR invalid expire time in 'set' command"),
        ] {
            bench.check(line, error);
        }
        bench.check("EXISTS k", ":0");
    }

    #[test]
    fn conditions_and_the_old_value() {
        let mut bench = Bench::default();
        bench.check("SET k a XX", "$-1");
        bench.check("SET k a NX GET", "$-1");
        bench.check("SET k b NX", "$-1");
        bench.check("SET k b NX GET", "+a");
        bench.check("GET k", "+a");
        bench.check("SET k c XX GET", "+a");
        bench.check("set k d get", "+c");
        bench.check("GET k", "+d");
    }

    #[test]
    fn comparisons_with_what_is_there() {
        let mut bench = Bench::default();
        let digest = crate::cmd::condition::digest(b"a");
        for (line, answer) in [
            ("SET k a IFEQ a", "$-1"),
            ("SET k a IFDEQ 12", "$-1"),
            ("EXISTS k", ":0"),
            ("SET k a IFNE a", "+OK"),
            ("DEL k", ":1"),
            ("SET k a IFDNE 12", "+OK"),
            ("SET k b IFEQ x", "$-1"),
            ("SET k b IFNE a GET", "+a"),
            ("GET k", "+a"),
            (&format!("SET k b IFDNE {digest}"), "$-1"),
            (&format!("SET k b IFDEQ {digest} EX 10"), "+OK"),
            ("TTL k", ":10"),
            ("SET k c ifeq b KEEPTTL GET", "+b"),
            ("TTL k", ":10"),
            ("SET k d IFEQ x IFEQ c", "+OK"),
            ("SET k e IFDEQ 12", "-ERR must be exactly 16 hexadecimal characters"),
            ("SET k e IFEQ", "-ERR syntax error"),
            ("SET k e IFEQ d NX", "-ERR syntax error"),
            ("SET k e XX IFEQ d", "-ERR syntax error"),
            ("SET k e IFEQ d IFNE e", "-ERR syntax error"),
            ("GET k", "+d"),
        ] {
            bench.check(line, answer);
        }
    }

    #[test]
    fn ttl_options_in_any_order_and_case() {
        let mut bench = Bench::default();
        bench.check("SET k v EX 10 NX", "+OK");
        bench.check("PTTL k", ":10000");
        bench.check("SET k v xx px 500", "+OK");
        bench.check("PTTL k", ":500");
        bench.check("SET k w KEEPTTL", "+OK");
        bench.check("PTTL k", ":500");
        bench.check("SET k v EX ten XX XX EX 20", "+OK");
        bench.check("PTTL k", ":20000");
        bench.check("SET k w KEEPTTL keepttl", "+OK");
        bench.check("PTTL k", ":20000");
        bench.check("SET k v", "+OK");
        bench.check("PTTL k", ":-1");
        bench.check("SET k v PXAT 9223372036854775807", "+OK");
        bench.check("PERSIST k", ":1");
        bench.check(&format!("SET k v PXAT {}", bench.now_ms() + 7), "+OK");
        bench.check("PTTL k", ":7");
        bench.check("SET k v EXAT 1", "+OK");
        bench.check("GET k", "$-1");
    }

    #[test]
    fn no_ttl_is_longer_than_the_longest() {
        let mut bench = Bench::with_rules(|rules| rules.max_ttl_ms = Some(60_000));
        for (set, ttl) in [
            ("SET k v", 60_000),
            ("SET k v EX 61", 60_000),
            ("SET k v PX 59000", 59_000),
            ("SETEX k 100 v", 60_000),
            ("INCR k", 60_000),
        ] {
            bench.run("DEL k");
            bench.run(set);
            assert_eq!(bench.run("PTTL k"), Reply::Int(ttl), "{set}");
        }
        for later in ["EXPIRE k 1000", "PERSIST k", "EXPIREAT k 99999999999"] {
            bench.run(later);
            assert_eq!(bench.run("PTTL k"), Reply::Int(60_000), "{later}");
        }
    }

    #[test]
    fn jitter_shortens_what_is_set_together_and_nothing_else() {
        let mut bench = Bench::with_rules(|rules| {
            rules.ttl_jitter_percent = 20;
            rules.default_ttl_ms = Some(50_000);
        });
        let mut ttls = |set: &str| {
            let ttl = |at| {
                bench.run(&set.replace("KEY", &format!("k{at}")));
                match bench.run(&format!("PTTL k{at}")) {
                    Reply::Int(ttl) => ttl,
                    other => panic!("{other:?}"),
                }
            };
            let mut ttls: Vec<i64> = (0..500).map(ttl).collect();
            ttls.sort_unstable();
            ttls.dedup();
            ttls
        };
        for (set, most) in [
            ("SET KEY v EX 100", 100_000),
            ("SET KEY v", 50_000),
            ("SETEX KEY 10 v", 10_000),
            ("MSET KEY v", 50_000),
            ("MSETEX 1 KEY v PX 2000", 2_000),
        ] {
            let ttls = ttls(set);
            let (least, longest) = (ttls[0], *ttls.last().unwrap());
            assert!(ttls.len() > 200 && least >= most * 8 / 10 && longest <= most, "{set}: {ttls:?}");
            assert!(least < most * 82 / 100 && longest > most * 98 / 100, "{set}: {least} to {longest}");
        }
        // With a longest TTL as well, that is what is shortened.
        let mut bench = Bench::with_rules(|rules| {
            rules.ttl_jitter_percent = 20;
            rules.max_ttl_ms = Some(10_000);
        });
        let mut drawn = std::collections::BTreeSet::new();
        for at in 0..200 {
            bench.run(&format!("SET k{at} v EX 1000"));
            let Reply::Int(ttl) = bench.run(&format!("PTTL k{at}")) else { panic!("no number") };
            assert!((8_000..=10_000).contains(&ttl), "{ttl}");
            drawn.insert(ttl);
        }
        assert!(drawn.len() > 100, "{}", drawn.len());
        let mut bench = Bench::with_rules(|rules| rules.ttl_jitter_percent = 20);
        for set in ["SET k v NX PX 1000", "INCR k EX 1", "SET k v PX 9;PEXPIRE k 1000"] {
            bench.run("DEL k");
            set.split(';').for_each(|command| drop(bench.run(command)));
            assert_eq!(bench.run("PTTL k"), Reply::Int(1_000), "{set}");
        }
    }

    #[test]
    fn the_default_ttl_applies_where_no_option_says_otherwise() {
        let mut bench = Bench::with_default_ttl_ms(60_000);
        bench.check("SET k v", "+OK");
        bench.check("PTTL k", ":60000");
        bench.check("SET k v EX 5", "+OK");
        bench.check("SET k v KEEPTTL", "+OK");
        bench.check("PTTL k", ":5000");
    }
}
