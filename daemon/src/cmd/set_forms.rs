//! `SETNX key value`, `SETEX key seconds value`, `PSETEX key milliseconds value`, `GETSET key value`: older forms of SET.

use bytes::Bytes;
use larder_protocol::{Reply, Request, Stat};

use super::args::{Base, Expiry, Unit, required_integer};
use super::{Class, Family, Group, Keys, Spec};
use crate::cache::{Stop, View};
use crate::entry::Deadline;

const FAMILY: Family = Family { class: Class::Write, group: Group::String, keys: Keys::FIRST };

pub(super) static SETNX: Spec =
    FAMILY.step("setnx", "key value", 3, "Sets the value of a key that is absent", |request, view| {
        let absent = view.find(request.arg(0))?.is_none();
        if absent {
            put(view, request.arg(0), request.arg(1), view.default_deadline());
        }
        Ok(Reply::Int(i64::from(absent)))
    });

pub(super) static SETEX: Spec = FAMILY.with_keys(Keys::FIRST_OVERWRITTEN).step(
    "setex",
    "key seconds value",
    4,
    "Sets the value of a key, with a TTL in seconds",
    |request, view| set_with_ttl(request, view, Unit::Seconds, SETEX.name),
);

pub(super) static PSETEX: Spec = FAMILY.with_keys(Keys::FIRST_OVERWRITTEN).step(
    "psetex",
    "key milliseconds value",
    4,
    "Sets the value of a key, with a TTL in milliseconds",
    |request, view| set_with_ttl(request, view, Unit::Milliseconds, PSETEX.name),
);

pub(super) static GETSET: Spec =
    FAMILY.step("getset", "key value", 3, "Sets the value of a key and gets the old one", |request, view| {
        let old = view.read(request.arg(0))?;
        put(view, request.arg(0), request.arg(1), view.default_deadline());
        Ok(old.map_or(Reply::Nil, |old| Reply::Bulk(old.value)))
    });

fn put(view: &mut View<'_>, key: &[u8], value: &[u8], deadline: Deadline) {
    view.put(key, Bytes::copy_from_slice(value), deadline);
    view.count(Stat::Sets, 1);
}

fn set_with_ttl(
    request: Request<'_>,
    view: &mut View<'_>,
    unit: Unit,
    command: &'static str,
) -> Result<Reply, Stop> {
    let expiry = Expiry::new(required_integer(request.arg(1))?, unit, Base::Now);
    let deadline = expiry.deadline(view.now_ms(), command)?;
    let deadline = view.jittered(request.arg(0), deadline);
    put(view, request.arg(0), request.arg(2), deadline);
    Ok(Reply::OK)
}

#[cfg(test)]
mod tests {
    use crate::cmd::testing::Bench;

    #[test]
    fn they_do_what_set_does() {
        let mut bench = Bench::default();
        for (line, answer) in [
            ("SETNX k 1", ":1"),
            ("SETNX k 2", ":0"),
            ("GET k", "+1"),
            ("SETEX k 10 v", "+OK"),
            ("TTL k", ":10"),
            ("PSETEX k 1500 w", "+OK"),
            ("PTTL k", ":1500"),
            ("GETSET k x", "+w"),
            ("TTL k", ":-1"),
            ("GETSET new y", "$-1"),
            ("GET new", "+y"),
            ("SETEX k 0 v", "-ERR invalid expire time in 'setex' command"),
            ("PSETEX k -1 v", "-ERR invalid expire time in 'psetex' command"),
            ("SETEX k ten v", "-ERR value is not an integer or out of range"),
        ] {
            bench.check(line, answer);
        }
    }
}
