//! `EXPIRE key s [NX | XX | GT | LT]` and its kin `PEXPIRE`, `EXPIREAT`, `PEXPIREAT`: gives a key a new TTL; 1 where it did.
//!
//! NX: only without a TTL; XX: only with one; GT: only to a later deadline; LT: only to an earlier one; no TTL counts as
//! the latest of all. A time in the past deletes the key.

use larder_protocol::{Reply, Request, Stat};

use super::args::{Base, Expiry, Unit, required_integer};
use super::{Class, Group, Keys, Run, Spec};
use crate::cache::{Stop, View};
use crate::entry::Deadline;
use crate::error::{CommandError, shown_as_redis};

macro_rules! expire {
    ($spec:ident, $name:literal, $argument:literal, $summary:literal, $unit:ident, $base:ident) => {
        pub(super) static $spec: Spec = Spec {
            name: $name,
            usage: concat!("key ", $argument, " [NX | XX | GT | LT]"),
            arity: -3,
            class: Class::Write,
            group: Group::Generic,
            keys: Keys::FIRST,
            summary: $summary,
            run: Run::Step(|request, view| run(request, view, Unit::$unit, Base::$base, $name)),
        };
    };
}

expire!(EXPIRE, "expire", "seconds", "Sets the TTL of a key in seconds", Seconds, Now);
expire!(PEXPIRE, "pexpire", "milliseconds", "Sets the TTL of a key in milliseconds", Milliseconds, Now);
expire!(EXPIREAT, "expireat", "unix-time-seconds", "Sets the second at which a key expires", Seconds, Epoch);
expire!(
    PEXPIREAT,
    "pexpireat",
    "unix-time-milliseconds",
    "Sets the millisecond at which a key expires",
    Milliseconds,
    Epoch
);

#[expect(clippy::struct_excessive_bools, reason = "four options, each given or not, as the command has them")]
#[derive(Clone, Copy, Debug, Default)]
struct Conditions {
    without_ttl: bool,
    with_ttl: bool,
    later: bool,
    earlier: bool,
}

impl Conditions {
    fn parse(request: Request<'_>) -> Result<Self, CommandError> {
        let mut conditions = Self::default();
        for word in request.tail(2) {
            let flag = match word {
                _ if word.eq_ignore_ascii_case(b"nx") => &mut conditions.without_ttl,
                _ if word.eq_ignore_ascii_case(b"xx") => &mut conditions.with_ttl,
                _ if word.eq_ignore_ascii_case(b"gt") => &mut conditions.later,
                _ if word.eq_ignore_ascii_case(b"lt") => &mut conditions.earlier,
                _ => return Err(CommandError::UnsupportedOption(shown_as_redis(word))),
            };
            *flag = true;
        }
        if conditions.without_ttl && (conditions.with_ttl || conditions.later || conditions.earlier) {
            return Err(CommandError::Named(
                "NX and XX, GT or LT options at the same time are not compatible",
            ));
        }
        if conditions.later && conditions.earlier {
            return Err(CommandError::Named("GT and LT options at the same time are not compatible"));
        }
        Ok(conditions)
    }

    fn allow(self, old: Deadline, new: Deadline) -> bool {
        let has_ttl = old != Deadline::NEVER;
        !(self.without_ttl && has_ttl
            || self.with_ttl && !has_ttl
            || self.later && new <= old
            || self.earlier && new >= old)
    }
}

fn run(
    request: Request<'_>,
    view: &mut View<'_>,
    unit: Unit,
    base: Base,
    command: &'static str,
) -> Result<Reply, Stop> {
    let key = request.arg(0);
    let conditions = Conditions::parse(request)?;
    let expiry = Expiry::new(required_integer(request.arg(1))?, unit, base);
    let deadline = expiry.deadline_or_past(view.now_ms(), command)?;
    let Some(entry) = view.find(key)? else { return Ok(Reply::Int(0)) };
    if !conditions.allow(entry.deadline, deadline) {
        return Ok(Reply::Int(0));
    }
    if deadline.passed(view.now_ms()) {
        view.delete(key);
        view.count(Stat::Deletes, 1);
    } else {
        view.put(key, entry.value, deadline);
    }
    Ok(Reply::Int(1))
}

#[cfg(test)]
mod tests {
    use crate::cmd::testing::Bench;

    #[test]
    fn a_new_ttl_replaces_the_old_and_the_past_deletes() {
        let mut bench = Bench::default();
        bench.check("EXPIRE k 5", ":0");
        bench.check("SET k v", "+OK");
        bench.check("EXPIRE k 5", ":1");
        bench.check("PTTL k", ":5000");
        bench.check("PEXPIRE k 70", ":1");
        bench.check("PTTL k", ":70");
        bench.check(&format!("PEXPIREAT k {}", bench.now_ms() + 9), ":1");
        bench.check("PTTL k", ":9");
        bench.check("GET k", "+v");
        bench.check("EXPIREAT k 1", ":1");
        bench.check("EXISTS k", ":0");
        bench.check("SET k v", "+OK");
        bench.check("EXPIRE k -1", ":1");
        bench.check("EXISTS k", ":0");
    }

    #[test]
    fn conditions() {
        let mut bench = Bench::default();
        bench.check("SET k v", "+OK");
        for (line, answer) in [
            ("EXPIRE k 10 XX", ":0"),
            ("EXPIRE k 10 GT", ":0"),
            ("EXPIRE k 10 LT", ":1"),
            ("EXPIRE k 20 NX", ":0"),
            ("EXPIRE k 20 LT", ":0"),
            ("EXPIRE k 20 GT", ":1"),
            ("EXPIRE k 15 xx lt", ":1"),
            ("TTL k", ":15"),
            ("EXPIRE k 10 NX GT", "-ERR NX and XX, GT or LT options at the same time are not compatible"),
            ("EXPIRE k 10 GT LT", "-ERR GT and LT options at the same time are not compatible"),
            ("EXPIRE k 10 AB", "-ERR Unsupported option AB"),
            ("EXPIRE k ten", "-ERR value is not an integer or out of range"),
            ("EXPIRE k 9223372036854775807", "-ERR invalid expire time in 'expire' command"),
        ] {
            bench.check(line, answer);
        }
    }
}
