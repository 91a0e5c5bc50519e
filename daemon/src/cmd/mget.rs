//! `MGET key [key ...]`: the values of several keys at one moment, nil for those absent.

use larder_protocol::{Reply, Request};

use super::{Class, Group, Keys, Run, Spec};
use crate::cache::{Stop, View};
use crate::error::CommandError;

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
    let limit = view.answer_bytes_max();
    let mut bytes = 0;
    let value = |key| {
        let Some(entry) = view.read(key)? else { return Ok(Reply::Nil) };
        bytes += entry.value.len();
        if bytes > limit {
            return Err(CommandError::AnswerTooLong { bytes, limit }.into());
        }
        Ok(Reply::Bulk(entry.value))
    };
    request.args().map(value).collect::<Result<_, Stop>>().map(Reply::Array)
}

#[cfg(test)]
mod tests {
    use crate::cmd::testing::Bench;

    #[test]
    fn an_answer_has_a_limit_however_often_a_key_is_named() {
        let mut bench = Bench::with_answer_bytes_max(10);
        bench.check("SET k 12345", "+OK");
        bench.check("MGET k k", "*2 +12345 +12345");
        bench.check(
            "MGET k k k",
            "-ERR the answer would have 15 bytes, more than the limit of 10 (max_value and 32 MiB): ask for fewer keys at a time",
        );
    }

    #[test]
    fn one_answer_per_key_in_order() {
        let mut bench = Bench::default();
        bench.check("MSET a 1 b 2", "+OK");
        bench.check("MGET b nope a b", "*4 +2 $-1 +1 +2");
    }
}
