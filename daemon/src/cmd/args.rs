//! Reading arguments as Redis reads them. Used by the commands' `parse` functions.

use larder_protocol::limits::PATTERN_BYTES;

use crate::entry::Deadline;
use crate::error::CommandError;

/// A decimal 64-bit integer in its one canonical form: no plus sign, no leading zeros, no blanks.
pub(super) fn integer(word: &[u8]) -> Option<i64> {
    let digits = word.strip_prefix(b"-").unwrap_or(word);
    let canonical = match digits {
        b"0" => word == b"0",
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    // Twenty characters hold any 64-bit integer.
    if !canonical || word.len() > 20 {
        return None;
    }
    std::str::from_utf8(word).ok()?.parse().ok()
}

/// An integer argument.
pub(super) fn required_integer(word: &[u8]) -> Result<i64, CommandError> {
    integer(word).ok_or(CommandError::NotAnInteger)
}

/// The bytes of a pattern argument, short enough to be matched against many keys.
pub(super) fn pattern(word: &[u8]) -> Result<&[u8], CommandError> {
    if word.len() > PATTERN_BYTES {
        return Err(CommandError::PatternTooLong { bytes: word.len(), limit: PATTERN_BYTES });
    }
    Ok(word)
}

/// How a point in time was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Expiry {
    amount: i64,
    unit: Unit,
    base: Base,
}

/// Seconds or milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Seconds,
    Milliseconds,
}

/// From now on, or since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Base {
    Now,
    Epoch,
}

impl Expiry {
    /// `amount` as it stands; whether it makes sense is for [`deadline`](Self::deadline) to say.
    pub(super) fn new(amount: i64, unit: Unit, base: Base) -> Self {
        Self { amount, unit, base }
    }

    /// Whether it counts from now on.
    pub(super) fn is_relative(self) -> bool {
        self.base == Base::Now
    }

    /// The option word `EX`, `PX`, `EXAT` or `PXAT` in any case.
    pub(super) fn option(word: &[u8]) -> Option<(Unit, Base)> {
        const OPTIONS: [(&[u8], Unit, Base); 4] = [
            (b"ex", Unit::Seconds, Base::Now),
            (b"px", Unit::Milliseconds, Base::Now),
            (b"exat", Unit::Seconds, Base::Epoch),
            (b"pxat", Unit::Milliseconds, Base::Epoch),
        ];
        OPTIONS
            .into_iter()
            .find(|(name, ..)| word.eq_ignore_ascii_case(name))
            .map(|(_, unit, base)| (unit, base))
    }

    /// The deadline of an entry that is given this TTL at `now_ms`. In the past where an absolute time is.
    ///
    /// # Errors
    /// `invalid expire time in 'command'` where the amount is not positive or beyond reach.
    pub(super) fn deadline(self, now_ms: i64, command: &'static str) -> Result<Deadline, CommandError> {
        if self.amount <= 0 {
            return Err(CommandError::InvalidExpireTime(command));
        }
        self.deadline_or_past(now_ms, command)
    }

    /// As [`deadline`](Self::deadline), but a time in the past is fine.
    pub(super) fn deadline_or_past(
        self,
        now_ms: i64,
        command: &'static str,
    ) -> Result<Deadline, CommandError> {
        let ms = match self.unit {
            Unit::Seconds => self.amount.checked_mul(1_000),
            Unit::Milliseconds => Some(self.amount),
        };
        let at = match self.base {
            Base::Now => ms.and_then(|ms| ms.checked_add(now_ms)),
            Base::Epoch => ms,
        };
        at.map(Deadline::at).ok_or(CommandError::InvalidExpireTime(command))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_have_one_form() {
        for (text, value) in [
            ("0", Some(0)),
            ("-1", Some(-1)),
            ("9223372036854775807", Some(i64::MAX)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("", None),
            ("-", None),
            ("-0", None),
            ("+1", None),
            ("01", None),
            (" 1", None),
            ("1 ", None),
            ("1.0", None),
            ("1e3", None),
        ] {
            assert_eq!(integer(text.as_bytes()), value, "{text:?}");
        }
    }

    #[test]
    fn deadlines_are_positive_and_within_reach() {
        let bad = Err(CommandError::InvalidExpireTime("set"));
        for (amount, unit, base, deadline) in [
            (5, Unit::Seconds, Base::Now, Ok(Deadline::at(6_000))),
            (5, Unit::Milliseconds, Base::Now, Ok(Deadline::at(1_005))),
            (5, Unit::Seconds, Base::Epoch, Ok(Deadline::at(5_000))),
            (5, Unit::Milliseconds, Base::Epoch, Ok(Deadline::at(5))),
            (0, Unit::Seconds, Base::Now, bad.clone()),
            (-1, Unit::Milliseconds, Base::Epoch, bad.clone()),
            (i64::MAX, Unit::Seconds, Base::Now, bad.clone()),
            (i64::MAX, Unit::Milliseconds, Base::Now, bad.clone()),
        ] {
            let expiry = Expiry::new(amount, unit, base);
            assert_eq!(expiry.deadline(1_000, "set"), deadline, "{expiry:?}");
        }
        let past = Expiry::new(-5, Unit::Seconds, Base::Now);
        assert_eq!(past.deadline_or_past(1_000, "expire"), Ok(Deadline::at(-4_000)));
    }
}
