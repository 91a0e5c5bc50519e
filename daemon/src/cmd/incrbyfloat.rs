//! `INCRBYFLOAT key increment`: adds a number that may have a fraction, in the format Redis adds in ([`LongDouble`]). An
//! existing TTL is kept.

use bytes::Bytes;
use larder_protocol::{Reply, Request, Stat};

use super::long_double::{LongDouble, Parsed};
use super::substring::check_length;
use super::{Class, Group, Keys, Run, Spec};
use crate::cache::{Stop, View};
use crate::error::CommandError;

pub(super) static SPEC: Spec = Spec {
    name: "incrbyfloat",
    usage: "key increment",
    arity: 3,
    class: Class::Write,
    group: Group::String,
    keys: Keys::FIRST,
    summary: "Adds to the number of a key, which may have a fraction",
    run: Run::Step(run),
};

fn run(request: Request<'_>, view: &mut View<'_>) -> Result<Reply, Stop> {
    let key = request.arg(0);
    let old = view.find(key)?;
    let (value, deadline) = match &old {
        Some(old) => (parsed(&old.value)?, old.deadline),
        None => (Parsed::Finite(LongDouble::ZERO), view.default_deadline()),
    };
    let (Parsed::Finite(value), Parsed::Finite(increment)) = (value, parsed(request.arg(1))?) else {
        return Err(CommandError::NanOrInfinity.into());
    };
    let sum = value.plus(increment).map_err(|_| CommandError::NanOrInfinity)?;
    let sum = Bytes::from(sum.written());
    check_length(view, sum.len())?;
    view.put(key, sum.clone(), deadline);
    view.count(Stat::Increments, 1);
    Ok(Reply::Bulk(sum))
}

fn parsed(text: &[u8]) -> Result<Parsed, CommandError> {
    LongDouble::parse(text).ok_or(CommandError::NotAFloat)
}

#[cfg(test)]
mod tests {
    use crate::cmd::testing::Bench;

    #[test]
    fn what_is_refused() {
        let mut bench = Bench::default();
        for (value, by, answer) in [
            ("abc", "1", "-ERR value is not a valid float"),
            ("\"\"", "1", "-ERR value is not a valid float"),
            ("1", "abc", "-ERR value is not a valid float"),
            ("1", "nan", "-ERR value is not a valid float"),
            ("1", "\"\"", "-ERR value is not a valid float"),
            ("1", "\" 1\"", "-ERR value is not a valid float"),
            ("1", "1e", "-ERR value is not a valid float"),
            ("1", "1e5000", "-ERR value is not a valid float"),
            ("inf", "abc", "-ERR value is not a valid float"),
            ("1", "inf", "-ERR increment would produce NaN or Infinity"),
            ("-inf", "inf", "-ERR increment would produce NaN or Infinity"),
            ("1e4932", "1e4932", "-ERR increment would produce NaN or Infinity"),
        ] {
            bench.check(&format!("SET k {value}"), "+OK");
            bench.check(&format!("INCRBYFLOAT k {by}"), answer);
        }
        // Redis has room for every sum; here max_value may be smaller.
        bench.check("SET k 1e4000", "+OK");
        bench.check(
            "INCRBYFLOAT k 1",
            "-ERR string exceeds maximum allowed size (proto-max-bulk-len), which is max_value (1000 bytes)",
        );
    }

    #[test]
    fn it_adds_and_keeps_the_ttl() {
        let mut bench = Bench::default();
        for (line, answer) in [
            ("INCRBYFLOAT k 1.5", "+1.5"),
            ("EXPIRE k 100", ":1"),
            ("INCRBYFLOAT k 1.5", "+3"),
            ("TTL k", ":100"),
            ("INCR k", ":4"),
            ("SET k 3.0e3", "+OK"),
            ("INCRBYFLOAT k 200", "+3200"),
            ("INCRBYFLOAT k -1e-17", "+3200"),
            ("GET k", "+3200"),
        ] {
            bench.check(line, answer);
        }
    }
}
