//! `DELEX key [IFEQ value | IFNE value | IFDEQ digest | IFDNE digest]`: deletes a key if it holds what is expected, as a
//! lock's owner does; `DIGEST key`: a short stand-in for a value in such comparisons.

use larder_protocol::{Reply, Request, Stat};

use super::condition::{Condition, digest};
use super::{Class, Group, Keys, Run, Spec};
use crate::cache::{Stop, View};
use crate::error::CommandError;

pub(super) static DELEX: Spec = Spec {
    name: "delex",
    usage: "key [IFEQ value | IFNE value | IFDEQ digest | IFDNE digest]",
    arity: -2,
    class: Class::Delete,
    group: Group::String,
    keys: Keys::FIRST,
    summary: "Deletes a key if its value is as expected",
    run: Run::Step(delex),
};

pub(super) static DIGEST: Spec = Spec {
    name: "digest",
    usage: "key",
    arity: 2,
    class: Class::Read,
    group: Group::String,
    keys: Keys::FIRST,
    summary: "Gets the digest of a key's value",
    run: Run::Step(|request, view| {
        Ok(view.read(request.arg(0))?.map_or(Reply::Nil, |entry| Reply::bulk(digest(&entry.value))))
    }),
};

fn parse(request: Request<'_>) -> Result<Option<Condition<'_>>, CommandError> {
    let mut words = request.tail(1);
    let Some(word) = words.next() else { return Ok(None) };
    let condition = Condition::option(word, &mut words)?;
    match condition {
        None | Some(Condition::Absent | Condition::Present) => Err(CommandError::Syntax),
        Some(_) if words.next().is_some() => Err(CommandError::Arity(DELEX.name)),
        condition => Ok(condition),
    }
}

fn delex(request: Request<'_>, view: &mut View<'_>) -> Result<Reply, Stop> {
    let condition = parse(request)?;
    let entry = view.find(request.arg(0))?;
    let delete = entry.is_some() && condition.is_none_or(|condition| condition.holds(entry.as_ref()));
    if delete {
        view.delete(request.arg(0));
        view.count(Stat::Deletes, 1);
    }
    Ok(Reply::Int(i64::from(delete)))
}

#[cfg(test)]
mod tests {
    use crate::cmd::testing::Bench;

    #[test]
    fn only_what_is_as_expected_goes() {
        let mut bench = Bench::default();
        let digest = super::digest(b"v");
        for (condition, answer) in [
            (String::new(), ":1"),
            ("IFEQ v".into(), ":1"),
            ("ifeq w".into(), ":0"),
            ("IFNE v".into(), ":0"),
            ("IFNE w".into(), ":1"),
            (format!("IFDEQ {digest}"), ":1"),
            (format!("IFDNE {digest}"), ":0"),
            ("IFEQ".into(), "-ERR syntax error"),
            ("NX".into(), "-ERR syntax error"),
            ("IFEQ v x".into(), "-ERR wrong number of arguments for 'delex' command"),
            ("IFDEQ 12".into(), "-ERR the digest must be exactly 16 hexadecimal characters"),
        ] {
            bench.check("SET k v", "+OK");
            bench.check(&format!("DELEX k {condition}"), answer);
            bench.check("EXISTS k", if answer == ":1" { ":0" } else { ":1" });
        }
        bench.check("DELEX absent IFNE v", ":0");
        bench.check("SET k v", "+OK");
        bench.check("DIGEST k", &format!("+{digest}"));
        bench.check("DIGEST absent", "$-1");
    }
}
