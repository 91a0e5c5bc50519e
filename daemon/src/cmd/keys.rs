//! `KEYS pattern`: every key that matches, in no particular order.
//!
//! The pattern is a Redis glob (`* ? [a-z] \x`) that the whole key must match; what stands before its first wildcard is
//! used as an index range. Unlike in Redis, others go on meanwhile: a key that is there throughout is in the answer, one
//! that comes or goes meanwhile may be. An answer over the limit is an error: SCAN gives the keys in pages.

use larder_protocol::{Reply, Request};

use super::{Class, Group, Host, Job, Keys, Run, Spec, args};
use crate::error::CommandError;
use crate::glob::Pattern;

pub(super) static SPEC: Spec = Spec {
    name: "keys",
    usage: "pattern",
    arity: 2,
    class: Class::Read,
    group: Group::Generic,
    keys: Keys::NONE,
    summary: "Lists all keys that match a pattern",
    run: Run::Job(run),
};

fn parse(request: Request<'_>) -> Result<Pattern, CommandError> {
    args::pattern(request.arg(0)).map(Pattern::glob)
}

fn run<'a>(request: Request<'_>, host: &'a Host) -> Result<Job<'a>, CommandError> {
    let pattern = parse(request)?;
    Ok(Box::pin(async move {
        let mut keys = Vec::new();
        host.cache.keys_matching(&pattern, |key| keys.push(Reply::bulk(key))).await?;
        Ok(Reply::Array(keys))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use larder_protocol::{Dialect, OwnedRequest};

    #[test]
    fn arguments() {
        let parse = |pattern: &str| {
            let request = OwnedRequest::new(["KEYS", pattern], Dialect::Line);
            parse(request.as_request()).map(|pattern| (pattern.matches(b"user:12"), pattern.matches(b"")))
        };
        assert_eq!(parse("*"), Ok((true, true)));
        assert_eq!(parse("user:*"), Ok((true, false)));
        assert_eq!(parse("user"), Ok((false, false)));
        assert_eq!(parse(""), Ok((false, true)));
        assert_eq!(parse("user:%"), Ok((false, false)), "a glob, not LIKE");
        let long = CommandError::PatternTooLong { bytes: 4_097, limit: 4_096 };
        assert_eq!(parse(&"*".repeat(4_097)), Err(long));
    }
}
