//! `DELPAT pattern [LIKE]`: deletes every key that matches; answers how many.
//!
//! The pattern is a Redis glob (`* ? [a-z] \x`), or with LIKE an SQL LIKE pattern (`%`, `_`, `\` to escape); the whole key
//! must match, and case counts. What stands before the first wildcard is used as an index range. The work is done in
//! steps, and other commands run in between; a key written meanwhile may or may not be deleted.

use larder_protocol::{Reply, Request};

use super::{Class, Group, Host, Job, Keys, Run, Spec, args};
use crate::error::{CommandError, shown};
use crate::glob::Pattern;

pub(super) static SPEC: Spec = Spec {
    name: "delpat",
    usage: "pattern [LIKE]",
    arity: -2,
    class: Class::Delete,
    group: Group::Generic,
    keys: Keys::NONE,
    summary: "Deletes all keys that match a pattern",
    run: Run::Job(run),
};

fn parse(request: Request<'_>) -> Result<Pattern, CommandError> {
    let pattern = args::pattern(request.arg(0))?;
    match (request.get(1), request.len()) {
        (None, _) => Ok(Pattern::glob(pattern)),
        (Some(word), 3) if word.eq_ignore_ascii_case(b"like") => Ok(Pattern::like(pattern)),
        (Some(word), 3) => Err(CommandError::Expected { expected: "LIKE", got: shown(word) }),
        _ => Err(CommandError::Arity(SPEC.name)),
    }
}

fn run<'a>(request: Request<'_>, host: &'a Host) -> Result<Job<'a>, CommandError> {
    let pattern = parse(request)?;
    Ok(Box::pin(async move { Ok(Reply::Int(host.cache.delete_matching(&pattern).await? as i64)) }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use larder_protocol::{Dialect, OwnedRequest};

    #[test]
    fn arguments() {
        let parse = |words: &str| {
            parse(OwnedRequest::new(words.split(' '), Dialect::Line).as_request())
                .map(|pattern| (pattern.matches(b"user:12"), pattern.matches(b"user:%")))
        };
        assert_eq!(parse("DELPAT user:*"), Ok((true, true)));
        assert_eq!(parse("DELPAT user:%"), Ok((false, true)));
        assert_eq!(parse("DELPAT user:% like"), Ok((true, true)));
        assert_eq!(parse("DELPAT a b"), Err(CommandError::Expected { expected: "LIKE", got: "b".into() }));
        assert_eq!(parse("DELPAT a LIKE b"), Err(CommandError::Arity("delpat")));
    }
}
