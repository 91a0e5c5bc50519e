//! `RENAME key newkey`, `RENAMENX key newkey`, `COPY source destination [DB 0] [REPLACE]`: a value under another key, with
//! its TTL.

use larder_protocol::{Reply, Request, Stat};

use super::args::required_integer;
use super::{Class, Family, Group, Keys, Spec};
use crate::cache::{Stop, View};
use crate::error::CommandError;

/// The first two arguments.
const BOTH: Keys = Keys { last: 2, ..Keys::FIRST };

const FAMILY: Family = Family { class: Class::Write, group: Group::Generic, keys: BOTH };

pub(super) static RENAME: Spec =
    FAMILY.step("rename", "key newkey", 3, "Gives a key another name", |request, view| {
        rename(request, view, true)?;
        Ok(Reply::OK)
    });

pub(super) static RENAMENX: Spec =
    FAMILY.step("renamenx", "key newkey", 3, "Gives a key a name that is free", |request, view| {
        Ok(Reply::Int(i64::from(rename(request, view, false)?)))
    });

pub(super) static COPY: Spec = FAMILY.step(
    "copy",
    "source destination [DB destination-db] [REPLACE]",
    -3,
    "Copies a key to another",
    copy,
);

/// Whether it was done: not where the new name is taken, and `replace` is false.
fn rename(request: Request<'_>, view: &mut View<'_>, replace: bool) -> Result<bool, Stop> {
    let (from, to) = (request.arg(0), request.arg(1));
    let entry = view.find(from)?.ok_or(CommandError::NoSuchKey)?;
    if from == to {
        return Ok(replace);
    }
    if !replace && view.find(to)?.is_some() {
        return Ok(false);
    }
    view.delete(from);
    view.put(to, entry.value, entry.deadline);
    Ok(true)
}

/// Whether COPY has REPLACE.
fn parse(request: Request<'_>) -> Result<bool, CommandError> {
    let mut replace = false;
    let mut words = request.tail(2);
    while let Some(word) = words.next() {
        if word.eq_ignore_ascii_case(b"replace") {
            replace = true;
        } else if word.eq_ignore_ascii_case(b"db")
            && let Some(index) = words.next()
        {
            match i32::try_from(required_integer(index)?) {
                Ok(0) => {}
                Ok(_) => return Err(CommandError::NoSuchDatabase),
                Err(_) => return Err(CommandError::NotWithin32Bits),
            }
        } else {
            return Err(CommandError::Syntax);
        }
    }
    if request.arg(0) == request.arg(1) { Err(CommandError::SameObject) } else { Ok(replace) }
}

fn copy(request: Request<'_>, view: &mut View<'_>) -> Result<Reply, Stop> {
    let replace = parse(request)?;
    let (from, to) = (request.arg(0), request.arg(1));
    let Some(entry) = view.find(from)? else { return Ok(Reply::Int(0)) };
    if !replace && view.find(to)?.is_some() {
        return Ok(Reply::Int(0));
    }
    view.put(to, entry.value, entry.deadline);
    view.count(Stat::Sets, 1);
    Ok(Reply::Int(1))
}

#[cfg(test)]
mod tests {
    use crate::cmd::testing::Bench;

    #[test]
    fn values_move_and_are_copied_with_their_ttl() {
        let mut bench = Bench::default();
        for (line, answer) in [
            ("SET a 1 EX 100", "+OK"),
            ("SET b 2", "+OK"),
            ("RENAME a b", "+OK"),
            ("GET b", "+1"),
            ("TTL b", ":100"),
            ("EXISTS a", ":0"),
            ("RENAME b b", "+OK"),
            ("RENAMENX b b", ":0"),
            ("SET c 3", "+OK"),
            ("RENAMENX b c", ":0"),
            ("RENAMENX b d", ":1"),
            ("GET d", "+1"),
            ("COPY d c", ":0"),
            ("COPY d c REPLACE", ":1"),
            ("TTL c", ":100"),
            ("COPY d e db 0", ":1"),
            ("MGET c d e", "*3 +1 +1 +1"),
            ("COPY absent x", ":0"),
        ] {
            bench.check(line, answer);
        }
    }

    #[test]
    fn what_is_refused() {
        let mut bench = Bench::default();
        for (line, answer) in [
            ("RENAME absent x", "-ERR no such key"),
            ("RENAME absent absent", "-ERR no such key"),
            ("RENAMENX absent x", "-ERR no such key"),
            ("COPY a a", "-ERR source and destination objects are the same"),
            ("COPY a b DB 1", "-ERR DB index is out of range"),
            (
                "COPY a b DB 2147483648",
                "-ERR value is out of range, value must between -2147483648 and 2147483647",
            ),
            ("COPY a b DB x", "-ERR value is not an integer or out of range"),
            ("COPY a b DB", "-ERR syntax error"),
            ("COPY a b NOW", "-ERR syntax error"),
        ] {
            bench.check(line, answer);
        }
    }
}
