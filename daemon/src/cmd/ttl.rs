//! `TTL key` and `PTTL key`: how long a key still lives, in seconds or milliseconds; -1 without a TTL, -2 where absent.

use larder_protocol::{Reply, Request};

use super::{Class, Group, Keys, Run, Spec};
use crate::cache::{Stop, View};

pub(super) static TTL: Spec = spec("ttl", "Tells how many seconds a key still lives", |request, view| {
    // Rounded to the nearest second, as Redis does it.
    Ok(Reply::Int(remaining_ms(request, view)?.map_or_else(|absent| absent, |ms| (ms + 500) / 1_000)))
});

pub(super) static PTTL: Spec =
    spec("pttl", "Tells how many milliseconds a key still lives", |request, view| {
        Ok(Reply::Int(remaining_ms(request, view)?.unwrap_or_else(|absent| absent)))
    });

const fn spec(
    name: &'static str,
    summary: &'static str,
    run: fn(Request<'_>, &mut View<'_>) -> Result<Reply, Stop>,
) -> Spec {
    Spec {
        name,
        usage: "key",
        arity: 2,
        class: Class::Read,
        group: Group::Generic,
        keys: Keys::FIRST,
        summary,
        run: Run::Step(run),
    }
}

/// The milliseconds left, or the answer where there are none.
fn remaining_ms(request: Request<'_>, view: &mut View<'_>) -> Result<Result<i64, i64>, Stop> {
    let now_ms = view.now_ms();
    Ok(match view.find(request.arg(0))? {
        None => Err(-2),
        Some(entry) => entry.deadline.unix_ms().map_or(Err(-1), |deadline_ms| Ok(deadline_ms - now_ms)),
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
}
