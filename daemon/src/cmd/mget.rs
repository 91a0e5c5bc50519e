//! `MGET key [key ...]`: the values of several keys at one moment, nil for those absent.

use larder_protocol::{Reply, Request};

use super::{Class, Group, Keys, Run, Spec};
use crate::cache::{Stop, View};

pub(super) static SPEC: Spec = Spec {
    name: "mget",
    usage: "key [key ...]",
    arity: -2,
    class: Class::Read,
    group: Group::String,
    keys: Keys::ALL,
    summary: "Gets the values of several keys",
    run: Run::Step(run),
};

fn run(request: Request<'_>, view: &mut View<'_>) -> Result<Reply, Stop> {
    view.need(request.args())?;
    let value = |key| Ok(view.read(key)?.map_or(Reply::Nil, |entry| Reply::Bulk(entry.value)));
    request.args().map(value).collect::<Result<_, Stop>>().map(Reply::Array)
}

#[cfg(test)]
mod tests {
    use crate::cmd::testing::Bench;

    #[test]
    fn one_answer_per_key_in_order() {
        let mut bench = Bench::default();
        bench.check("MSET a 1 b 2", "+OK");
        bench.check("MGET b nope a b", "*4 +2 $-1 +1 +2");
    }
}
