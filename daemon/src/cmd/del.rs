//! `DEL key [key ...]` and `UNLINK`: deletes keys; answers how many of them were there. The two are the same here: memory
//! is always given back on another thread.

use larder_protocol::{Reply, Request, Stat};

use super::{Class, Group, Keys, Run, Spec};
use crate::cache::{Stop, View};

pub(super) static SPEC: Spec = spec("del", "Deletes one or more keys");
pub(super) static UNLINK: Spec = spec("unlink", "Deletes one or more keys, as DEL does");

const fn spec(name: &'static str, summary: &'static str) -> Spec {
    Spec {
        name,
        usage: "key [key ...]",
        arity: -2,
        class: Class::Delete,
        group: Group::Generic,
        keys: Keys::ALL,
        summary,
        run: Run::Step(run),
    }
}

fn run(request: Request<'_>, view: &mut View<'_>) -> Result<Reply, Stop> {
    view.need(request.args())?;
    let mut deleted = 0;
    for key in request.args() {
        if view.find(key)?.is_some() {
            view.delete(key);
            deleted += 1;
        }
    }
    view.count(Stat::Deletes, deleted as u64);
    Ok(Reply::int(deleted))
}

#[cfg(test)]
mod tests {
    use crate::cmd::testing::Bench;

    #[test]
    fn each_key_counts_once_and_only_if_it_was_there() {
        let mut bench = Bench::default();
        bench.check("MSET a 1 b 2", "+OK");
        bench.check("SET gone v PX 1", "+OK");
        bench.advance_ms(1);
        bench.check("DEL a a nope gone b", ":2");
        bench.check("UNLINK a", ":0");
        bench.check("DEL", "-ERR wrong number of arguments for 'del' command");
    }
}
