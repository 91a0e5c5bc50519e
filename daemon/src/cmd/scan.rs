//! `SCAN cursor [MATCH pattern] [COUNT count] [TYPE type]`: the keys in pages. The answer is the cursor to go on with, 0 at
//! the end, and some keys.
//!
//! A key that is there from the first page (cursor 0) to the last is in one of them, whatever is written meanwhile; one
//! that comes or goes may be. Pages may be empty before the end: a page stops after a number of keys looked at, whether
//! they match or not. COUNT is taken as a floor that is never lower than some hundreds, because clients send Redis's
//! default of 10.
//!
//! A cursor is a number below 2^53 and can be used more than once. larder remembers some thousand of them until it ends; a
//! cursor it does not know begins the walk anew, so that keys may come twice but none is left out.

use bytes::Bytes;
use larder_protocol::{Reply, Request};

use super::args;
use super::{Class, Group, Host, Job, Keys, Run, Spec};
use crate::cache::Page;
use crate::error::CommandError;
use crate::glob::Pattern;

/// As in Redis.
const COUNT: usize = 10;

pub(super) static SPEC: Spec = Spec {
    name: "scan",
    usage: "cursor [MATCH pattern] [COUNT count] [TYPE type]",
    arity: -2,
    class: Class::Read,
    group: Group::Generic,
    keys: Keys::NONE,
    summary: "Lists the keys in pages",
    run: Run::Job(run),
};

#[derive(Debug)]
struct Scan {
    cursor: u64,
    pattern: Pattern,
    count: usize,
    /// Whether strings are asked for, which all values are.
    strings: bool,
}

fn parse(request: Request<'_>) -> Result<Scan, CommandError> {
    let cursor = std::str::from_utf8(request.arg(0)).ok().and_then(|digits| digits.parse().ok());
    let cursor = cursor.ok_or(CommandError::InvalidCursor)?;
    let mut scan = Scan { cursor, pattern: Pattern::glob(b"*"), count: COUNT, strings: true };
    let mut options = request.tail(1);
    while let Some(option) = options.next() {
        let value = options.next().ok_or(CommandError::Syntax)?;
        if option.eq_ignore_ascii_case(b"count") {
            let count = args::required_integer(value)?;
            let positive = usize::try_from(count).ok().filter(|count| *count > 0);
            scan.count = positive.ok_or(CommandError::Syntax)?;
        } else if option.eq_ignore_ascii_case(b"match") {
            scan.pattern = Pattern::glob(args::pattern(value)?);
        } else if option.eq_ignore_ascii_case(b"type") {
            scan.strings = value.eq_ignore_ascii_case(b"string");
        } else {
            return Err(CommandError::Syntax);
        }
    }
    Ok(scan)
}

fn run<'a>(request: Request<'_>, host: &'a Host) -> Result<Job<'a>, CommandError> {
    let Scan { cursor, pattern, count, strings } = parse(request)?;
    Ok(Box::pin(async move {
        if !strings {
            return Ok(reply(Page::default()));
        }
        host.cache.scan(cursor, &pattern, count).await.map(reply)
    }))
}

fn reply(page: Page) -> Reply {
    let keys = page.keys.into_iter().map(Reply::bulk).collect();
    Reply::Array(vec![Reply::Bulk(Bytes::from(page.cursor.to_string())), Reply::Array(keys)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use larder_protocol::{Dialect, OwnedRequest};

    fn check(words: &str, expected: &Result<(u64, bool, usize, bool), CommandError>) {
        let request = OwnedRequest::new(words.split(' '), Dialect::Line);
        let got = parse(request.as_request());
        let got = got.map(|scan| (scan.cursor, scan.pattern.matches(b"user:1"), scan.count, scan.strings));
        assert_eq!(got, *expected, "{words}");
    }

    #[test]
    fn arguments() {
        check("SCAN 0", &Ok((0, true, 10, true)));
        check("SCAN 9007199254740991", &Ok((9_007_199_254_740_991, true, 10, true)));
        check("SCAN 18446744073709551615 count 5", &Ok((u64::MAX, true, 5, true)));
        check("SCAN 7 MATCH user:* COUNT 1000 TYPE string", &Ok((7, true, 1_000, true)));
        check("SCAN 7 type STRING match x*", &Ok((7, false, 10, true)));
        check("SCAN 7 TYPE hash", &Ok((7, true, 10, false)));
        check("SCAN 7 TYPE nonsense", &Ok((7, true, 10, false)));
        check("SCAN 7 COUNT 1 COUNT 2", &Ok((7, true, 2, true)));
        check("SCAN 0 COUNT 9223372036854775807", &Ok((0, true, i64::MAX as usize, true)));
    }

    #[test]
    fn mistakes() {
        for cursor in ["x", "-1", "1.5", "18446744073709551616", "0x1"] {
            check(&format!("SCAN {cursor}"), &Err(CommandError::InvalidCursor));
        }
        check("SCAN x BOGUS", &Err(CommandError::InvalidCursor));
        check("SCAN 0 COUNT x", &Err(CommandError::NotAnInteger));
        check("SCAN 0 COUNT 1.5", &Err(CommandError::NotAnInteger));
        for options in ["COUNT 0", "COUNT -1", "COUNT", "MATCH", "TYPE", "BOGUS", "BOGUS 1", "MATCH * COUNT"]
        {
            check(&format!("SCAN 0 {options}"), &Err(CommandError::Syntax));
        }
    }
}
