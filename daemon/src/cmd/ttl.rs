//! `TTL key` and `PTTL key`: how long a key still lives, in seconds or milliseconds; -1 without a TTL, -2 where absent.

use larder_protocol::{Reply, Request};

use super::{Class, Family, Group, Keys, Spec};
use crate::cache::{Stop, View};

const FAMILY: Family = Family { class: Class::Read, group: Group::Generic, keys: Keys::FIRST };

pub(super) static TTL: Spec =
    FAMILY.step("ttl", "key", 2, "Tells how many seconds a key still lives", |request, view| {
        Ok(Reply::Int(remaining_ms(request, view)?.map_or_else(|absent| absent, seconds)))
    });

pub(super) static PTTL: Spec =
    FAMILY.step("pttl", "key", 2, "Tells how many milliseconds a key still lives", |request, view| {
        Ok(Reply::Int(remaining_ms(request, view)?.unwrap_or_else(|absent| absent)))
    });

pub(super) static EXPIRETIME: Spec = FAMILY.step(
    "expiretime",
    "key",
    2,
    "Tells the unix time in seconds at which a key expires",
    |request, view| Ok(Reply::Int(deadline_ms(request, view)?.map_or_else(|absent| absent, seconds))),
);

pub(super) static PEXPIRETIME: Spec = FAMILY.step(
    "pexpiretime",
    "key",
    2,
    "Tells the unix time in milliseconds at which a key expires",
    |request, view| Ok(Reply::Int(deadline_ms(request, view)?.unwrap_or_else(|absent| absent))),
);

/// Rounded to the nearest second, as Redis does it, up to the last millisecond that there is.
const fn seconds(ms: i64) -> i64 {
    ms.saturating_add(500) / 1_000
}

/// The milliseconds left, or the answer where there are none.
fn remaining_ms(request: Request<'_>, view: &mut View<'_>) -> Result<Result<i64, i64>, Stop> {
    let now_ms = view.now_ms();
    Ok(deadline_ms(request, view)?.map(|deadline_ms| deadline_ms - now_ms))
}

/// When the key expires; -2 where it is absent, -1 where it has no deadline.
fn deadline_ms(request: Request<'_>, view: &mut View<'_>) -> Result<Result<i64, i64>, Stop> {
    Ok(match view.find(request.arg(0))? {
        None => Err(-2),
        Some(entry) => entry.deadline.unix_ms().ok_or(-1),
    })
}

#[cfg(test)]
mod tests {
    use crate::cmd::testing::Bench;

    #[test]
    fn absent_endless_and_running() {
        let mut bench = Bench::default();
        bench.check("TTL k", ":-2");
        bench.check("SET k v", "+OK");
        bench.check("TTL k", ":-1");
        bench.check("PTTL k", ":-1");
        bench.check("SET k v PX 10499", "+OK");
        bench.check("TTL k", ":10");
        bench.check("PTTL k", ":10499");
        bench.advance_ms(10_498);
        bench.check("TTL k", ":0");
        bench.advance_ms(1);
        bench.check("TTL k", ":-2");
    }

    #[test]
    fn points_in_time() {
        let mut bench = Bench::default();
        bench.check("EXPIRETIME k", ":-2");
        bench.check("SET k v", "+OK");
        bench.check("PEXPIRETIME k", ":-1");
        bench.check("SET k v PXAT 33177117420499", "+OK");
        bench.check("EXPIRETIME k", ":33177117420");
        bench.check("PEXPIRETIME k", ":33177117420499");
        bench.check("SET k v PXAT 9223372036854775806", "+OK");
        bench.check("EXPIRETIME k", ":9223372036854775");
        bench.check("PEXPIRETIME k", ":9223372036854775806");
    }
}
