//! `INCR key [EX s | PX ms]`, `INCRBY key n [EX s | PX ms]`, `DECR key`, `DECRBY key n`: atomic counters.
//!
//! An absent key counts as 0. An existing TTL is kept; the TTL option of INCR and INCRBY applies only where the command
//! creates the key, which makes a fixed-window counter in one command.

use larder_protocol::{Reply, Request, Stat};

use super::args::{Base, Expiry, integer, required_integer};
use super::{Class, Family, Group, Keys, Spec};
use crate::cache::{Stop, View};
use crate::entry::packed;
use crate::error::{CommandError, shown};

const FAMILY: Family = Family { class: Class::Write, group: Group::String, keys: Keys::FIRST };

pub(super) static INCR: Spec = FAMILY.step(
    "incr",
    "key [EX seconds | PX milliseconds]",
    -2,
    "Adds one to the integer of a key",
    |request, view| change(view, request.arg(0), 1, ttl(request, 1, INCR.name)?, INCR.name),
);

pub(super) static INCRBY: Spec = FAMILY.step(
    "incrby",
    "key increment [EX seconds | PX milliseconds]",
    -3,
    "Adds to the integer of a key",
    |request, view| {
        let ttl = ttl(request, 2, INCRBY.name)?;
        change(view, request.arg(0), required_integer(request.arg(1))?, ttl, INCRBY.name)
    },
);

pub(super) static DECR: Spec =
    FAMILY.step("decr", "key", 2, "Takes one off the integer of a key", |request, view| {
        change(view, request.arg(0), -1, None, DECR.name)
    });

pub(super) static DECRBY: Spec =
    FAMILY.step("decrby", "key decrement", 3, "Takes off the integer of a key", |request, view| {
        let by = required_integer(request.arg(1))?.checked_neg().ok_or(CommandError::DecrementOverflow)?;
        change(view, request.arg(0), by, None, DECRBY.name)
    });

/// The TTL option after `from` arguments. A wrong number of words is an arity error, as it is in Redis.
fn ttl(request: Request<'_>, from: usize, command: &'static str) -> Result<Option<Expiry>, CommandError> {
    let mut words = request.tail(from);
    match (words.next(), words.next(), words.next()) {
        (None, ..) => Ok(None),
        (Some(option), Some(amount), None) => match Expiry::option(option) {
            Some((unit, Base::Now)) => Ok(Some(Expiry::new(required_integer(amount)?, unit, Base::Now))),
            Some((_, Base::Epoch)) => {
                Err(CommandError::Expected { expected: "EX or PX", got: shown(option) })
            }
            None => Err(CommandError::Arity(command)),
        },
        _ => Err(CommandError::Arity(command)),
    }
}

fn change(
    view: &mut View<'_>,
    key: &[u8],
    by: i64,
    ttl: Option<Expiry>,
    command: &'static str,
) -> Result<Reply, Stop> {
    let deadline = ttl.map(|ttl| ttl.deadline(view.now_ms(), command)).transpose()?;
    let old = view.find(key)?;
    let (value, deadline) = match old {
        Some(old) => (integer(&old.value).ok_or(CommandError::NotAnInteger)?, old.deadline),
        None => (0, deadline.unwrap_or_else(|| view.default_deadline())),
    };
    let value = value.checked_add(by).ok_or(CommandError::Overflow)?;
    view.put(key, packed::pack(value.to_string().as_bytes()), deadline);
    view.count(Stat::Increments, 1);
    Ok(Reply::Int(value))
}

#[cfg(test)]
mod tests {
    use crate::cmd::testing::Bench;

    #[test]
    fn counting_up_and_down() {
        let mut bench = Bench::default();
        bench.check("INCR n", ":1");
        bench.check("INCRBY n 41", ":42");
        bench.check("DECR n", ":41");
        bench.check("DECRBY n 50", ":-9");
        bench.check("GET n", "+-9");
    }

    #[test]
    fn a_ttl_applies_on_creation_only() {
        let mut bench = Bench::default();
        bench.check("INCR n EX 10", ":1");
        bench.advance_ms(4_000);
        bench.check("INCR n EX 10", ":2");
        bench.check("PTTL n", ":6000");
        bench.check("INCRBY n 5", ":7");
        bench.check("PTTL n", ":6000");
        bench.advance_ms(6_000);
        bench.check("INCR n PX 30", ":1");
        bench.check("PTTL n", ":30");
    }

    #[test]
    fn what_is_refused() {
        let mut bench = Bench::default();
        bench.check("MSET max 9223372036854775807 min -9223372036854775808 text abc spaced ' 1'", "+OK");
        for (line, error) in [
            ("INCR max", "-ERR increment or decrement would overflow"),
            ("DECR min", "-ERR increment or decrement would overflow"),
            ("INCR text", "-ERR value is not an integer or out of range"),
            ("INCR spaced", "-ERR value is not an integer or out of range"),
            ("INCRBY n ten", "-ERR value is not an integer or out of range"),
            ("DECRBY n -9223372036854775808", "-ERR decrement would overflow"),
            ("INCR", "-ERR wrong number of arguments for 'incr' command"),
            ("INCR n 5", "-ERR wrong number of arguments for 'incr' command"),
            ("INCRBY n 5 EX", "-ERR wrong number of arguments for 'incrby' command"),
            ("INCR n EXAT 5", "-ERR syntax error, expected EX or PX, got 'EXAT'"),
            ("INCR n b c", "-ERR wrong number of arguments for 'incr' command"),
            ("INCR n EX 0", "-ERR invalid expire time in 'incr' command"),
            ("INCR n EX x", "-ERR value is not an integer or out of range"),
        ] {
            bench.check(line, error);
        }
        bench.check("EXISTS n", ":0");
        bench.check("GET max", "+9223372036854775807");
    }
}
