//! The numbers of INCRBYFLOAT: read, added and written as Redis does on x86-64, to the last digit and on every machine.
//!
//! Redis computes in C's `long double`, which there is the 80-bit format of the x87: 64 bits of mantissa, 15 of exponent,
//! rounded to the nearest, ties to even. Rust has no such type, so it is done here with integers: text is read by one
//! exact division of natural numbers, a sum is taken with guard bits, and both are rounded once. No command but
//! INCRBYFLOAT uses it, and it touches nothing.

use std::ops::RangeInclusive;

use super::natural::Natural;

/// Exponent of the smallest number there is: 2^-16445.
const EXPONENT_MIN: i32 = -16_445;

/// Greatest exponent of a mantissa of 64 bits.
const EXPONENT_MAX: i32 = 16_320;

/// Text of this many bytes is not read any more: the size of Redis's buffer.
const TEXT_BYTES: usize = 5 * 1_024;

/// Digits after the point that are written.
const FRACTION_DIGITS: u32 = 17;

/// Powers of ten beyond which digits that fit the buffer make a number that is too small, or too large.
const TENS: RangeInclusive<i64> = -10_200..=4_932;

/// The same of powers of two behind hexadecimal digits.
const TWOS: RangeInclusive<i64> = -40_000..=16_384;

/// A finite number: `mantissa * 2^exponent`. The mantissa has 64 bits, or fewer where the exponent is the smallest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LongDouble {
    negative: bool,
    mantissa: u64,
    exponent: i32,
}

/// What text may stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parsed {
    Finite(LongDouble),
    Infinite,
}

/// Too large for the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Overflow;

impl LongDouble {
    /// Nothing; there is no other.
    pub(super) const ZERO: Self = Self { negative: false, mantissa: 0, exponent: EXPONENT_MIN };

    /// Reads what `strtold` reads, all of it: decimal or hexadecimal, with an exponent or not, or an infinity. `None` where
    /// it is no number, or none that the format can hold.
    pub(super) fn parse(text: &[u8]) -> Option<Parsed> {
        if text.len() >= TEXT_BYTES {
            return None;
        }
        let (negative, size) = signed(text);
        if size.eq_ignore_ascii_case(b"inf") || size.eq_ignore_ascii_case(b"infinity") {
            return Some(Parsed::Infinite);
        }
        let number = match size {
            [b'0', b'x' | b'X', digits @ ..] => hexadecimal(negative, digits),
            digits => decimal(negative, digits),
        };
        number.map(Parsed::Finite)
    }

    /// The sum.
    pub(super) fn plus(self, other: Self) -> Result<Self, Overflow> {
        let (high, low) = if self.exponent >= other.exponent { (self, other) } else { (other, self) };
        if high.mantissa == 0 || low.mantissa == 0 {
            return Ok(if high.mantissa == 0 { low } else { high });
        }
        // So much room that what is cut off the smaller one can only break ties.
        let distance = high.exponent.abs_diff(low.exponent);
        let room = distance.min(62);
        let (large, exponent) = (u128::from(high.mantissa) << room, high.exponent - room as i32);
        let kept = u128::from(low.mantissa).checked_shr(distance - room).unwrap_or(0);
        let cut = kept.checked_shl(distance - room) != Some(u128::from(low.mantissa));
        if high.negative == low.negative {
            return Self::rounded(high.negative, large + kept, cut, exponent);
        }
        // Only at the same exponent can the one called low be the larger.
        if kept > large {
            return Self::rounded(low.negative, kept - large, false, exponent);
        }
        let difference = large - kept;
        Self::rounded(high.negative && difference > 0, difference - u128::from(cut), cut, exponent)
    }

    /// As Redis writes it: no exponent, up to 17 digits after the point, no zeros at their end.
    pub(super) fn written(self) -> String {
        let (whole, fraction) = if let Ok(shift) = u32::try_from(self.exponent) {
            (Natural::from(self.mantissa).shifted(shift).to_string(), 0)
        } else {
            let one = 10_u128.pow(FRACTION_DIGITS);
            let units = shifted_down(u128::from(self.mantissa) * one, false, self.exponent.unsigned_abs());
            ((units / one).to_string(), units % one)
        };
        let sign = if self.negative && (fraction > 0 || whole != "0") { "-" } else { "" };
        if fraction == 0 {
            return format!("{sign}{whole}");
        }
        let fraction = format!("{fraction:017}");
        format!("{sign}{whole}.{}", fraction.trim_end_matches('0'))
    }

    /// The number nearest to `size * 2^exponent`, or to a little more where `cut` says that something is missing.
    fn rounded(negative: bool, size: u128, cut: bool, exponent: i32) -> Result<Self, Overflow> {
        let bits = 128 - size.leading_zeros();
        let shift = bits.saturating_sub(64).max((EXPONENT_MIN - exponent).max(0).unsigned_abs());
        let (mut size, mut exponent) = (shifted_down(size, cut, shift), exponent + shift as i32);
        if size >> 64 != 0 {
            // Rounded up to the next power of two.
            (size, exponent) = (size >> 1, exponent + 1);
        }
        // Sums that lose leading bits move up again.
        let mantissa = size as u64;
        let up = mantissa.leading_zeros().min(exponent.abs_diff(EXPONENT_MIN));
        let (mantissa, exponent) =
            if mantissa == 0 { (0, EXPONENT_MIN) } else { (mantissa << up, exponent - up as i32) };
        if exponent > EXPONENT_MAX { Err(Overflow) } else { Ok(Self { negative, mantissa, exponent }) }
    }

    /// The number nearest to `numerator / denominator`.
    fn quotient(negative: bool, numerator: Natural, denominator: Natural) -> Result<Self, Overflow> {
        // Three bits more than are kept, and one more or less, as the leading digits have it.
        let exponent = (numerator.bits() as i32 - denominator.bits() as i32 - 67).max(EXPONENT_MIN - 3);
        let shift = exponent.unsigned_abs();
        let (numerator, denominator) = if exponent < 0 {
            (numerator.shifted(shift), denominator)
        } else {
            (numerator, denominator.shifted(shift))
        };
        let (quotient, cut) = numerator.divided(&denominator);
        Self::rounded(negative, quotient, cut, exponent)
    }
}

/// `size / 2^shift`, to the nearest, ties to even; `cut` says that `size` is a little more.
fn shifted_down(size: u128, cut: bool, shift: u32) -> u128 {
    if shift == 0 {
        return size;
    }
    let kept = size.checked_shr(shift).unwrap_or(0);
    let half = 1_u128.checked_shl(shift - 1);
    let rest = size - kept.checked_shl(shift).unwrap_or(0);
    let up = half.is_some_and(|half| rest > half || rest == half && (cut || kept & 1 == 1));
    kept + u128::from(up)
}

/// Whether there is a minus sign, and what follows the sign, if any.
fn signed(text: &[u8]) -> (bool, &[u8]) {
    match text {
        [sign @ (b'-' | b'+'), size @ ..] => (*sign == b'-', size),
        size => (false, size),
    }
}

/// The digits of a mantissa and how many of them come after the point, then what follows.
fn mantissa(text: &[u8], is_digit: fn(&u8) -> bool) -> Option<(Vec<u8>, i64, &[u8])> {
    let (mut digits, mut fraction, mut point) = (Vec::new(), 0, false);
    let mut rest = text;
    while let [byte, after @ ..] = rest {
        match byte {
            b'.' if !point => point = true,
            digit if is_digit(digit) => {
                digits.push(*digit);
                fraction += i64::from(point);
            }
            _ => break,
        }
        rest = after;
    }
    (!digits.is_empty()).then_some((digits, fraction, rest))
}

/// The exponent that `letter` begins, 0 where there is none. Beyond any use it is as good as any other beyond.
fn exponent(text: &[u8], letter: u8) -> Option<i64> {
    let [first, rest @ ..] = text else { return Some(0) };
    let (negative, digits) = signed(rest);
    if !first.eq_ignore_ascii_case(&letter) || digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let add = |size: i64, digit: &u8| (size * 10 + i64::from(digit - b'0')).min(1 << 40);
    let size = digits.iter().fold(0, add);
    Some(if negative { -size } else { size })
}

fn decimal(negative: bool, text: &[u8]) -> Option<LongDouble> {
    let (digits, fraction, rest) = mantissa(text, u8::is_ascii_digit)?;
    let power = exponent(rest, b'e')? - fraction;
    number(negative, &Natural::from_digits(&digits), power, &TENS, Natural::power_of_ten)
}

fn hexadecimal(negative: bool, text: &[u8]) -> Option<LongDouble> {
    let (digits, fraction, rest) = mantissa(text, u8::is_ascii_hexdigit)?;
    let power = exponent(rest, b'p')? - 4 * fraction;
    number(negative, &Natural::from_hexadecimal(&digits), power, &TWOS, |power| {
        Natural::from(1).shifted(power)
    })
}

/// `digits` times a power, positive or negative. `None` where that is too large, or too small to be anything but 0.
fn number(
    negative: bool,
    digits: &Natural,
    power: i64,
    within_reach: &RangeInclusive<i64>,
    factor: fn(u32) -> Natural,
) -> Option<LongDouble> {
    if digits.bits() == 0 {
        // Minus nothing is written as nothing.
        return Some(LongDouble::ZERO);
    }
    if !within_reach.contains(&power) {
        return None;
    }
    let factor = factor(power.unsigned_abs() as u32);
    let number = if power < 0 {
        LongDouble::quotient(negative, digits.clone(), factor)
    } else {
        LongDouble::quotient(negative, digits.times(&factor), Natural::from(1))
    };
    number.ok().filter(|number| number.mantissa != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> LongDouble {
        match LongDouble::parse(text.as_bytes()) {
            Some(Parsed::Finite(number)) => number,
            other => panic!("{text}: {other:?}"),
        }
    }

    /// As redis-server 7.0.15 on x86-64 answered `SET k a`, `INCRBYFLOAT k b`.
    #[test]
    fn sums_are_those_of_redis() {
        for (a, b, sum) in [
            ("0.1", "0.2", "0.3"),
            ("10.50", "0.1", "10.6"),
            ("5.0e3", "2.0e2", "5200"),
            ("3", "-3", "0"),
            ("-0.5", "-.25", "-0.75"),
            ("1.", "1", "2"),
            ("+1", "1E-2", "1.01"),
            ("0", "1e-17", "0.00000000000000001"),
            ("0", "5e-18", "0"),
            ("0", "6e-18", "0.00000000000000001"),
            ("3001", "0.1", "3001.10000000000000009"),
            ("100001", "1e-5", "100001.00001000000000317"),
            ("1e17", "0.1", "100000000000000000.1015625"),
            ("1e19", "1", "10000000000000000001"),
            ("18446744073709551615", "1", "18446744073709551616"),
            ("18446744073709551616", "1", "18446744073709551616"),
            ("36893488147419103232", "3", "36893488147419103236"),
            ("0x10", "0X1.8P1", "19"),
            ("-0", "0", "0"),
            ("-1e-18", "0", "0"),
            ("123456789.123456789", "0", "123456789.12345678899873747"),
            ("1.005", "1.005", "2.01"),
            ("1e22", "1e-22", "10000000000000000000000"),
            ("1e30", "-1", "1000000000000000000024696061952"),
            ("9223372036854775807", "-0.5", "9223372036854775806.5"),
            ("0.30000000000000004", "1e-16", "0.30000000000000014"),
            ("33.333333333333333333", "-33.3", "0.03333333333333333"),
            ("1e-4940", "1e-4940", "0"),
        ] {
            assert_eq!(parsed(a).plus(parsed(b)).map(LongDouble::written).as_deref(), Ok(sum), "{a} + {b}");
            assert_eq!(parsed(b).plus(parsed(a)), parsed(a).plus(parsed(b)), "{a} + {b}");
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        for text in
            ["1e300", "-1e4932", "1.18973149535723176502e4932", "0x1.8p1", "1e-5", "123456789.123456789"]
        {
            let number = parsed(text);
            let again = parsed(&number.written());
            let close = again == number || number.exponent < 0;
            assert!(close && again.written() == number.written(), "{text}");
        }
    }

    #[test]
    fn the_ends_of_the_range() {
        for text in [
            "",
            "+",
            "-",
            ".",
            "e5",
            "1e",
            "1e+",
            "1x",
            "0x",
            "0x1p",
            "--1",
            "+-1",
            "nan",
            "nan(1)",
            "infinit",
            " 1",
            "1 ",
            "1_0",
            "1,5",
            "1.2.3",
            "1e5000",
            "-1e5000",
            "1e99999999999999999999",
            "1e-5000",
            "1.2e4932",
            "1e-4951",
        ] {
            assert_eq!(LongDouble::parse(text.as_bytes()), None, "{text}");
        }
        for text in ["inf", "-inf", "+INF", "Infinity"] {
            assert_eq!(LongDouble::parse(text.as_bytes()), Some(Parsed::Infinite), "{text}");
        }
        let largest = parsed("1.18973149535723176502e4932");
        assert_eq!((largest.mantissa, largest.exponent), (u64::MAX, EXPONENT_MAX));
        assert_eq!(largest.plus(largest), Err(Overflow));
        let smallest = parsed("3.7e-4951");
        assert_eq!((smallest.mantissa, smallest.exponent), (1, EXPONENT_MIN));
        assert_eq!(parsed("0e-99999").written(), "0");
        let long = "0".repeat(TEXT_BYTES - 1);
        assert_eq!(parsed(&long), LongDouble::ZERO);
        assert_eq!(LongDouble::parse(format!("{long}0").as_bytes()), None);
    }
}
