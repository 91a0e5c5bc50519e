//! `MSET key value [key value ...]`: stores several values at one moment: all are committed together, or none.

use bytes::Bytes;
use larder_protocol::{Reply, Request, Stat};

use super::{Class, Group, Keys, Run, Spec};
use crate::cache::{Stop, View};
use crate::error::CommandError;

pub(super) static SPEC: Spec = Spec {
    name: "mset",
    usage: "key value [key value ...]",
    arity: -3,
    class: Class::Write,
    group: Group::String,
    keys: Keys::PAIRS,
    summary: "Sets the values of several keys together",
    run: Run::Step(run),
};

fn run(request: Request<'_>, view: &mut View<'_>) -> Result<Reply, Stop> {
    if request.len().is_multiple_of(2) {
        return Err(CommandError::Arity(SPEC.name).into());
    }
    let deadline = view.default_deadline();
    let mut words = request.args();
    let mut stored = 0;
    while let (Some(key), Some(value)) = (words.next(), words.next()) {
        view.put(key, Bytes::copy_from_slice(value), deadline);
        stored += 1;
    }
    view.count(Stat::Sets, stored);
    Ok(Reply::OK)
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
}
