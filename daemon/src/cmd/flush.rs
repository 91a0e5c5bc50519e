//! `FLUSHALL [ASYNC | SYNC]` and `FLUSHDB`: deletes everything. The answer takes no longer for a full cache than for an
//! empty one: the main file is emptied later, in the background.

use larder_protocol::{Reply, Request};

use super::{Class, Group, Keys, Run, Spec};
use crate::cache::{Stop, View};
use crate::error::CommandError;

pub(super) static FLUSHALL: Spec = spec("flushall", "Deletes all keys");
pub(super) static FLUSHDB: Spec =
    spec("flushdb", "Deletes all keys, as FLUSHALL does: there is one database");

const fn spec(name: &'static str, summary: &'static str) -> Spec {
    Spec {
        name,
        usage: "[ASYNC | SYNC]",
        arity: -1,
        class: Class::Admin,
        group: Group::Server,
        keys: Keys::NONE,
        summary,
        run: Run::Step(run),
    }
}

fn run(request: Request<'_>, view: &mut View<'_>) -> Result<Reply, Stop> {
    let known = |word: &[u8]| word.eq_ignore_ascii_case(b"async") || word.eq_ignore_ascii_case(b"sync");
    if request.len() > 2 || !request.args().all(known) {
        return Err(CommandError::Syntax.into());
    }
    view.flush();
    Ok(Reply::OK)
}

#[cfg(test)]
mod tests {
    use crate::cmd::testing::Bench;

    #[test]
    fn everything_goes_and_writes_after_it_stay() {
        let mut bench = Bench::default();
        bench.check("MSET a 1 b 2", "+OK");
        bench.check("FLUSHALL ASYNC", "+OK");
        bench.check("EXISTS a b", ":0");
        bench.check("SET a 3", "+OK");
        bench.check("FLUSHDB NOW", "-ERR syntax error");
        bench.check("GET a", "+3");
    }
}
