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

/// As Redis 8.4 does it: what the condition is, and whether it is one, matters only where there is a key.
fn delex(request: Request<'_>, view: &mut View<'_>) -> Result<Reply, Stop> {
    if !matches!(request.len(), 2 | 4) {
        return Err(CommandError::Arity(DELEX.name).into());
    }
    let key = request.arg(0);
    let Some(entry) = view.find(key)? else { return Ok(Reply::Int(0)) };
    if let (Some(word), Some(operand)) = (request.get(1), request.get(2)) {
        let comparison = Condition::comparison(word).ok_or(CommandError::NoSuchCondition)?;
        if !comparison(operand).holds(Some(&entry))? {
            return Ok(Reply::Int(0));
        }
    }
    view.delete(key);
    view.count(Stat::Deletes, 1);
    Ok(Reply::Int(1))
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
            ("IFDNE zzzzzzzzzzzzzzzz".into(), ":1"),
            ("IFEQ".into(), "-ERR wrong number of arguments for 'delex' command"),
            ("IFEQ v x".into(), "-ERR wrong number of arguments for 'delex' command"),
            ("NX v".into(), "-ERR Invalid condition. Use IFEQ, IFNE, IFDEQ, or IFDNE"),
            ("IFDEQ 12".into(), "-ERR must be exactly 16 hexadecimal characters"),
        ] {
            bench.check("SET k v", "+OK");
            bench.check(&format!("DELEX k {condition}"), answer);
            bench.check("EXISTS k", if answer == ":1" { ":0" } else { ":1" });
        }
        for condition in ["", "IFNE v", "IFDEQ 12", "NX v"] {
            bench.check(&format!("DELEX absent {condition}"), ":0");
        }
        bench.check("DELEX absent IFNE", "-ERR wrong number of arguments for 'delex' command");
        bench.check("SET k v", "+OK");
        bench.check("DIGEST k", &format!("+{digest}"));
        bench.check("DIGEST absent", "$-1");
    }
}
