//! What must hold of an entry for a command to change it: `NX`, `XX`, and Redis 8.4's `IFEQ value`, `IFNE value`, `IFDEQ
//! digest`, `IFDNE digest`. Used by SET, MSETEX and DELEX, which take some of them each.

use xxhash_rust::xxh3::xxh3_64;

use crate::entry::Entry;
use crate::error::CommandError;

/// A condition on what a key holds, with its operand as it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition<'a> {
    /// There is no entry.
    Absent,
    /// There is one.
    Present,
    /// There is one with this value.
    Equal(&'a [u8]),
    /// There is none, or one with another value.
    NotEqual(&'a [u8]),
    /// There is one whose value has this digest.
    DigestEqual(&'a [u8]),
    /// There is none, or one whose value has another digest.
    DigestNotEqual(&'a [u8]),
}

/// Hexadecimal digits of a digest.
const DIGEST_DIGITS: usize = 16;

impl<'a> Condition<'a> {
    /// The condition that `word` begins, if it is one; its operand is the next of `words`.
    ///
    /// # Errors
    /// Where the operand is missing.
    pub(super) fn option(
        word: &'a [u8],
        words: &mut impl Iterator<Item = &'a [u8]>,
    ) -> Result<Option<Self>, CommandError> {
        match word {
            _ if word.eq_ignore_ascii_case(b"nx") => return Ok(Some(Self::Absent)),
            _ if word.eq_ignore_ascii_case(b"xx") => return Ok(Some(Self::Present)),
            _ => {}
        }
        let Some(comparison) = Self::comparison(word) else { return Ok(None) };
        Ok(Some(comparison(words.next().ok_or(CommandError::Syntax)?)))
    }

    /// The comparison of that name, which is a condition once it has its operand.
    pub(super) fn comparison(word: &[u8]) -> Option<fn(&'a [u8]) -> Self> {
        Some(match word {
            _ if word.eq_ignore_ascii_case(b"ifeq") => Self::Equal,
            _ if word.eq_ignore_ascii_case(b"ifne") => Self::NotEqual,
            _ if word.eq_ignore_ascii_case(b"ifdeq") => Self::DigestEqual,
            _ if word.eq_ignore_ascii_case(b"ifdne") => Self::DigestNotEqual,
            _ => return None,
        })
    }

    /// Sets `slot` to this condition. One of the same kind may be given again, and the last counts.
    ///
    /// # Errors
    /// Where it holds one of another kind.
    pub(super) fn put_into(self, slot: &mut Option<Self>) -> Result<(), CommandError> {
        match slot.replace(self) {
            Some(other) if std::mem::discriminant(&other) != std::mem::discriminant(&self) => {
                Err(CommandError::Syntax)
            }
            _ => Ok(()),
        }
    }

    /// Whether it holds of what there is.
    ///
    /// # Errors
    /// Where a digest has another length than digests have. As in Redis that is found out only where there is an entry,
    /// and what has the right length without being hexadecimal is like no digest.
    pub(super) fn holds(self, entry: Option<&Entry>) -> Result<bool, CommandError> {
        let is = |value: &[u8]| entry.is_some_and(|entry| entry.value == *value);
        let has = |given: &[u8]| match entry {
            None => Ok(false),
            Some(_) if given.len() != DIGEST_DIGITS => Err(CommandError::BadDigest),
            Some(entry) => Ok(digest(&entry.value).as_bytes().eq_ignore_ascii_case(given)),
        };
        Ok(match self {
            Self::Absent => entry.is_none(),
            Self::Present => entry.is_some(),
            Self::Equal(value) => is(value),
            Self::NotEqual(value) => !is(value),
            Self::DigestEqual(digest) => has(digest)?,
            Self::DigestNotEqual(digest) => !has(digest)?,
        })
    }
}

/// The digest of a value: XXH3 with 64 bits, as 16 hexadecimal digits.
pub(super) fn digest(value: &[u8]) -> String {
    format!("{:016x}", xxh3_64(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_condition_on_each_state() {
        let (same, other) = (Entry::forever("v"), Entry::forever("w"));
        let digest = digest(b"v").to_ascii_uppercase();
        let digest = digest.as_bytes();
        // Condition; whether it holds where there is nothing, the value, another value.
        for (condition, holds) in [
            (Condition::Absent, [true, false, false]),
            (Condition::Present, [false, true, true]),
            (Condition::Equal(b"v"), [false, true, false]),
            (Condition::NotEqual(b"v"), [true, false, true]),
            (Condition::DigestEqual(digest), [false, true, false]),
            (Condition::DigestNotEqual(digest), [true, false, true]),
        ] {
            let found = [None, Some(&same), Some(&other)].map(|entry| condition.holds(entry));
            assert_eq!(found, holds.map(Ok), "{condition:?}");
        }
    }

    #[test]
    fn only_the_length_of_a_digest_is_checked_and_only_where_it_is_needed() {
        let entry = Entry::forever("v");
        for (digest, refused) in
            [(&b"12"[..], true), (b"00000000000000000", true), (b"zzzzzzzzzzzzzzzz", false)]
        {
            for (condition, holds) in
                [(Condition::DigestEqual(digest), false), (Condition::DigestNotEqual(digest), true)]
            {
                let found = if refused { Err(CommandError::BadDigest) } else { Ok(holds) };
                assert_eq!(condition.holds(Some(&entry)), found, "{condition:?}");
                assert_eq!(condition.holds(None), Ok(holds), "{condition:?}");
            }
        }
    }

    #[test]
    fn a_digest_is_that_of_the_reference_implementation() {
        for (value, expected) in
            [("", "2d06800538d394c2"), ("hello", "9555e8555c62dcfd"), ("v8", "0cc76dbb41381419")]
        {
            assert_eq!(digest(value.as_bytes()), expected, "{value}");
        }
    }
}
