//! `GET key`: the value under a key, or nothing where it is absent or expired. Counts a hit or a miss.

use larder_protocol::{Reply, Request};

use super::{Class, Group, Keys, Run, Spec};
use crate::cache::{Stop, View};

pub(super) static SPEC: Spec = Spec {
    name: "get",
    usage: "key",
    arity: 2,
    class: Class::Read,
    group: Group::String,
    keys: Keys::FIRST,
    summary: "Gets the value of a key",
    run: Run::Step(run),
};

fn run(request: Request<'_>, view: &mut View<'_>) -> Result<Reply, Stop> {
    Ok(view.read(request.arg(0))?.map_or(Reply::Nil, |entry| Reply::Bulk(entry.value)))
}

#[cfg(test)]
mod tests {
    use crate::cmd::testing::Bench;
    use larder_protocol::Stat;

    #[test]
    fn hits_and_misses_are_counted_and_expired_is_absent() {
        let mut bench = Bench::default();
        bench.check("GET k", "$-1");
        bench.check("SET k v PX 10", "+OK");
        bench.check("GET k", "+v");
        bench.advance_ms(10);
        bench.check("GET k", "$-1");
        assert_eq!((bench.stat(Stat::Hits), bench.stat(Stat::Misses)), (1, 2));
    }
}
