//! `EXISTS key [key ...]` and `TOUCH key [key ...]`: how many of the keys are there; one named twice counts twice.

use larder_protocol::{Reply, Request};

use super::{Class, Group, Keys, Run, Spec};
use crate::cache::{Stop, View};

pub(super) static EXISTS: Spec = spec("exists", "Counts which of the keys exist");

pub(super) static TOUCH: Spec = spec("touch", "Counts which of the keys exist, as EXISTS does");

const fn spec(name: &'static str, summary: &'static str) -> Spec {
    Spec {
        name,
        usage: "key [key ...]",
        arity: -2,
        class: Class::Read,
        group: Group::Generic,
        keys: Keys::ALL,
        summary,
        run: Run::Step(run),
    }
}

fn run(request: Request<'_>, view: &mut View<'_>) -> Result<Reply, Stop> {
    view.need(request.args())?;
    let mut there = 0;
    for key in request.args() {
        there += usize::from(view.find(key)?.is_some());
    }
    Ok(Reply::int(there))
}

#[cfg(test)]
mod tests {
    use crate::cmd::testing::Bench;

    #[test]
    fn counts_every_mention() {
        let mut bench = Bench::default();
        bench.check("SET a 1", "+OK");
        bench.check("EXISTS a b a", ":2");
        bench.check("EXISTS", "-ERR wrong number of arguments for 'exists' command");
    }
}
