//! `APPEND key value`, `STRLEN key`, `GETRANGE key start end`, `SUBSTR key start end`, `SETRANGE key offset value`: parts
//! of a value. An existing TTL is kept.

use bytes::{Bytes, BytesMut};
use larder_protocol::{Reply, Request, Stat};

use super::args::required_integer;
use super::{Class, Family, Group, Keys, Spec};
use crate::cache::{Stop, View};
use crate::entry::Entry;
use crate::error::CommandError;

const READS: Family = Family { class: Class::Read, group: Group::String, keys: Keys::FIRST };

const WRITES: Family = Family { class: Class::Write, ..READS };

pub(super) static APPEND: Spec =
    WRITES.step("append", "key value", 3, "Adds to the end of a key's value", append);

pub(super) static STRLEN: Spec =
    READS.step("strlen", "key", 2, "Tells how long a key's value is", |request, view| {
        Ok(Reply::int(view.read(request.arg(0))?.map_or(0, |entry| entry.value.len())))
    });

pub(super) static GETRANGE: Spec =
    READS.step("getrange", "key start end", 4, "Gets a part of a key's value", get_range);

pub(super) static SUBSTR: Spec =
    READS.step("substr", "key start end", 4, "Gets a part of a key's value, as GETRANGE does", get_range);

pub(super) static SETRANGE: Spec =
    WRITES.step("setrange", "key offset value", 4, "Overwrites a part of a key's value", set_range);

fn append(request: Request<'_>, view: &mut View<'_>) -> Result<Reply, Stop> {
    let (key, more) = (request.arg(0), request.arg(1));
    let Entry { value, deadline } = view.find(key)?.unwrap_or_else(|| absent(view));
    check_length(view, value.len().saturating_add(more.len()))?;
    let mut longer = BytesMut::with_capacity(value.len() + more.len());
    longer.extend_from_slice(&value);
    longer.extend_from_slice(more);
    let len = longer.len();
    view.put(key, longer.freeze(), deadline);
    view.count(Stat::Sets, 1);
    Ok(Reply::int(len))
}

fn get_range(request: Request<'_>, view: &mut View<'_>) -> Result<Reply, Stop> {
    let (start, end) = (required_integer(request.arg(1))?, required_integer(request.arg(2))?);
    let Some(entry) = view.read(request.arg(0))? else { return Ok(Reply::bulk("")) };
    Ok(Reply::Bulk(part(&entry.value, start, end)))
}

/// The bytes from `start` to `end`, both included; negative ones count from the end, and what is beyond it is left out.
fn part(value: &Bytes, start: i64, end: i64) -> Bytes {
    let len = value.len() as i64;
    if start < 0 && end < 0 && start > end {
        return Bytes::new();
    }
    let from_end = |at: i64| if at < 0 { at.saturating_add(len).max(0) } else { at };
    let (start, end) = (from_end(start), from_end(end).min(len - 1));
    if start > end { Bytes::new() } else { value.slice(start as usize..=end as usize) }
}

fn set_range(request: Request<'_>, view: &mut View<'_>) -> Result<Reply, Stop> {
    let (key, patch) = (request.arg(0), request.arg(2));
    let offset =
        usize::try_from(required_integer(request.arg(1))?).map_err(|_| CommandError::OffsetOutOfRange)?;
    let old = view.find(key)?;
    if patch.is_empty() {
        return Ok(Reply::int(old.map_or(0, |old| old.value.len())));
    }
    let end = offset.saturating_add(patch.len());
    check_length(view, end)?;
    let Entry { value, deadline } = old.unwrap_or_else(|| absent(view));
    let mut patched = BytesMut::from(value);
    if patched.len() < end {
        patched.resize(end, 0);
    }
    patched[offset..end].copy_from_slice(patch);
    let len = patched.len();
    view.put(key, patched.freeze(), deadline);
    view.count(Stat::Sets, 1);
    Ok(Reply::int(len))
}

/// What an absent key begins with.
fn absent(view: &View<'_>) -> Entry {
    Entry { value: Bytes::new(), deadline: view.default_deadline() }
}

/// Whether a value may have so many bytes.
///
/// # Errors
/// Where it may not.
pub(super) fn check_length(view: &View<'_>, bytes: usize) -> Result<(), CommandError> {
    let limit = view.value_bytes_max();
    if bytes > limit { Err(CommandError::ValueTooLong { limit }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use crate::cmd::testing::Bench;

    #[test]
    fn parts_of_a_value() {
        let mut bench = Bench::default();
        bench.check("SET k hello EX 100", "+OK");
        for (range, answer) in [
            ("0 -1", "+hello"),
            ("1 3", "+ell"),
            ("-3 -1", "+llo"),
            ("-1 -3", "+"),
            ("3 1", "+"),
            ("0 100", "+hello"),
            ("-100 1", "+he"),
            ("-100 -100", "+h"),
            ("5 10", "+"),
            ("0 -9223372036854775808", "+h"),
            ("-9223372036854775808 9223372036854775807", "+hello"),
            ("a 1", "-ERR value is not an integer or out of range"),
        ] {
            bench.check(&format!("GETRANGE k {range}"), answer);
            bench.check(&format!("SUBSTR k {range}"), answer);
        }
        bench.check("GETRANGE absent 0 -1", "+");
        bench.check("STRLEN k", ":5");
        bench.check("STRLEN absent", ":0");
        bench.check("TTL k", ":100");
    }

    #[test]
    fn changing_parts() {
        let mut bench = Bench::default();
        for (line, answer) in [
            ("APPEND k ab", ":2"),
            ("EXPIRE k 100", ":1"),
            ("APPEND k cd", ":4"),
            ("GET k", "+abcd"),
            ("SETRANGE k 1 XY", ":4"),
            ("GET k", "+aXYd"),
            ("SETRANGE k 3 12345", ":8"),
            ("GET k", "+aXY12345"),
            ("TTL k", ":100"),
            ("SETRANGE k 0 \"\"", ":8"),
            ("SETRANGE absent 9 \"\"", ":0"),
            ("EXISTS absent", ":0"),
            ("SETRANGE new 2 x", ":3"),
            ("GET new", "+\0\0x"),
            ("SETRANGE k -1 x", "-ERR offset is out of range"),
            ("SETRANGE k x x", "-ERR value is not an integer or out of range"),
            (
                "SETRANGE k 9223372036854775807 x",
                "-ERR string exceeds maximum allowed size (proto-max-bulk-len), which is max_value (1000 bytes)",
            ),
        ] {
            bench.check(line, answer);
        }
    }
}
