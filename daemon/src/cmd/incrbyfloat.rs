//! `INCRBYFLOAT key increment`: adds a decimal fraction. An existing TTL is kept.
//!
//! Values up to 10^20 are added exactly, in units of 10^-17, which is as many digits as Redis writes: 0.1 and 0.2 are 0.3.
//! Redis adds in the widest binary format of its machine, so its last digits differ between machines. Beyond 10^20
//! sums are those of a 64-bit float.

use bytes::Bytes;
use larder_protocol::{Reply, Request, Stat};

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

/// Digits after the point.
const SCALE: i32 = 17;

/// Longest number that is read: the sign, 20 digits, the point, 17 digits, an exponent, and some zeros.
const NUMBER_BYTES_MAX: usize = 256;

fn run(request: Request<'_>, view: &mut View<'_>) -> Result<Reply, Stop> {
    let key = request.arg(0);
    let old = view.find(key)?;
    let (value, deadline) = match &old {
        Some(old) => (&old.value[..], old.deadline),
        None => (&b"0"[..], view.default_deadline()),
    };
    let sum = Number::parse(value)?.plus(Number::parse(request.arg(1))?)?;
    let sum = Bytes::from(sum);
    view.put(key, sum.clone(), deadline);
    view.count(Stat::Increments, 1);
    Ok(Reply::Bulk(sum))
}

/// A number as it was written, read in both ways.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Number {
    /// In units of 10^-17, where it is small enough.
    exact: Option<i128>,
    float: f64,
}

impl Number {
    fn parse(text: &[u8]) -> Result<Self, CommandError> {
        let text = std::str::from_utf8(text).ok().filter(|text| text.len() <= NUMBER_BYTES_MAX);
        let float = text.and_then(|text| text.parse::<f64>().ok()).filter(|float| !float.is_nan());
        let (Some(text), Some(float)) = (text, float) else { return Err(CommandError::NotAFloat) };
        Ok(Self { exact: exact(text), float })
    }

    /// The sum, as Redis writes it: without an exponent, without zeros at the end of a fraction.
    fn plus(self, other: Self) -> Result<String, CommandError> {
        if let (Some(a), Some(b)) = (self.exact, other.exact) {
            return Ok(written(a + b));
        }
        let sum = self.float + other.float;
        if sum.is_finite() { Ok(format!("{sum}")) } else { Err(CommandError::NanOrInfinity) }
    }
}

/// A decimal number in units of 10^-17, rounded to the nearest; none beyond 10^20.
fn exact(text: &str) -> Option<i128> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse().ok()?),
        None => (text, 0_i32),
    };
    let (negative, digits) = match mantissa.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, mantissa.strip_prefix('+').unwrap_or(mantissa)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    // The power of ten that the next digit counts, in units.
    let mut power = (whole.len() as i32).checked_add(exponent)?.checked_add(SCALE - 1)?;
    let mut units: i128 = 0;
    for digit in whole.bytes().chain(fraction.bytes()) {
        let digit = i128::from(digit.checked_sub(b'0').filter(|digit| *digit < 10)?);
        // Below 10^20 there are 37 digits; an i128 holds 38, so that two can be added.
        match power {
            37.. if digit > 0 => return None,
            37.. => {}
            0.. => units += digit * 10_i128.pow(power as u32),
            -1 => units += i128::from(digit >= 5),
            _ => {}
        }
        power -= 1;
    }
    Some(if negative { -units } else { units })
}

fn written(units: i128) -> String {
    let one = 10_u128.pow(SCALE as u32);
    let size = units.unsigned_abs();
    let sign = if units < 0 { "-" } else { "" };
    let (whole, fraction) = (size / one, size % one);
    if fraction == 0 {
        return format!("{sign}{whole}");
    }
    let fraction = format!("{fraction:017}");
    format!("{sign}{whole}.{}", fraction.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd::testing::Bench;

    #[test]
    fn sums_are_exact_and_written_without_exponent() {
        for (a, b, sum) in [
            ("10.50", "0.1", "10.6"),
            ("0.1", "0.2", "0.3"),
            ("5.0e3", "2.0e2", "5200"),
            ("3", "-3", "0"),
            ("-0.5", "-.25", "-0.75"),
            ("1.", "1", "2"),
            ("+1", "1E-2", "1.01"),
            ("0", "1e-17", "0.00000000000000001"),
            ("0", "4e-18", "0"),
            ("0", "5e-18", "0.00000000000000001"),
            ("99999999999999999999", "0.5", "99999999999999999999.5"),
            ("1e19", "1e19", "20000000000000000000"),
            ("0000000000000000000000000000000000000000001", "1", "2"),
        ] {
            let add = |a: &str, b: &str| {
                Number::parse(a.as_bytes()).unwrap().plus(Number::parse(b.as_bytes()).unwrap())
            };
            assert_eq!(add(a, b).as_deref(), Ok(sum), "{a} + {b}");
        }
        // Beyond 10^20, as 64-bit floats have it.
        let large = Number::parse(b"1e100").unwrap().plus(Number::parse(b"1").unwrap()).unwrap();
        assert_eq!((large.len(), large.parse()), (101, Ok(1e100)));
    }

    #[test]
    fn what_is_refused() {
        let mut bench = Bench::default();
        for (value, by, answer) in [
            ("abc", "1", "-ERR value is not a valid float"),
            ("1", "abc", "-ERR value is not a valid float"),
            ("1", "nan", "-ERR value is not a valid float"),
            ("1", "\"\"", "-ERR value is not a valid float"),
            ("1", "\" 1\"", "-ERR value is not a valid float"),
            ("1", "1e", "-ERR value is not a valid float"),
            ("1", "inf", "-ERR increment would produce NaN or Infinity"),
            ("1.7e308", "1.7e308", "-ERR increment would produce NaN or Infinity"),
        ] {
            bench.check(&format!("SET k {value}"), "+OK");
            bench.check(&format!("INCRBYFLOAT k {by}"), answer);
        }
        bench.check("DEL k", ":1");
        bench.check("INCRBYFLOAT k 1.5", "+1.5");
        bench.check("EXPIRE k 100", ":1");
        bench.check("INCRBYFLOAT k 1.5", "+3");
        bench.check("TTL k", ":100");
    }
}
