//! `PERSIST key`: takes the TTL off a key; 1 where it had one.

use larder_protocol::{Reply, Request};

use super::{Class, Group, Keys, Run, Spec};
use crate::cache::{Stop, View};
use crate::entry::Deadline;

pub(super) static SPEC: Spec = Spec {
    name: "persist",
    usage: "key",
    arity: 2,
    class: Class::Write,
    group: Group::Generic,
    keys: Keys::FIRST,
    summary: "Removes the TTL of a key",
    run: Run::Step(run),
};

fn run(request: Request<'_>, view: &mut View<'_>) -> Result<Reply, Stop> {
    let key = request.arg(0);
    match view.find(key)? {
        Some(entry) if entry.deadline != Deadline::NEVER => {
            view.put(key, entry.value, Deadline::NEVER);
            Ok(Reply::Int(1))
        }
        _ => Ok(Reply::Int(0)),
    }
}

#[cfg(test)]
mod tests {
    use crate::cmd::testing::Bench;

    #[test]
    fn only_a_key_with_a_ttl_changes() {
        let mut bench = Bench::default();
        bench.check("PERSIST k", ":0");
        bench.check("SET k v EX 5", "+OK");
        bench.check("PERSIST k", ":1");
        bench.check("PERSIST k", ":0");
        bench.advance_ms(6_000);
        bench.check("GET k", "+v");
    }
}
