//! What larder keeps under a key. Used by every layer; knows nothing of where an entry is kept.

use bytes::Bytes;

/// A key as the tiers own it.
pub type Key = Box<[u8]>;

/// The instant from which an entry no longer exists, in unix milliseconds; [`Deadline::NEVER`] for entries without a TTL.
///
/// Ordered: a later deadline is greater, `NEVER` is the greatest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(i64);

impl Deadline {
    /// No TTL.
    pub const NEVER: Self = Self(i64::MAX);

    /// The deadline at `unix_ms`. The last millisecond there is stands for `NEVER`, so it is moved by one.
    #[must_use]
    pub const fn at(unix_ms: i64) -> Self {
        Self(if unix_ms == i64::MAX { i64::MAX - 1 } else { unix_ms })
    }

    /// The deadline from its stored form, where no TTL is NULL.
    #[must_use]
    pub fn from_stored(unix_ms: Option<i64>) -> Self {
        unix_ms.map_or(Self::NEVER, Self::at)
    }

    /// Unix milliseconds, or `None` without a TTL.
    #[must_use]
    pub fn unix_ms(self) -> Option<i64> {
        (self != Self::NEVER).then_some(self.0)
    }

    /// Whether an entry with this deadline is gone at `now_ms`. The deadline itself is already too late.
    #[must_use]
    pub fn passed(self, now_ms: i64) -> bool {
        self.0 <= now_ms && self != Self::NEVER
    }
}

/// A value and its deadline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The value, as the client sent it.
    pub value: Bytes,
    /// When it stops existing.
    pub deadline: Deadline,
}

#[cfg(test)]
impl Entry {
    /// An entry without a TTL.
    pub fn forever(value: impl Into<Bytes>) -> Self {
        Self { value: value.into(), deadline: Deadline::NEVER }
    }
}

/// The outcome of a write: what stands under a key from then on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// The key holds this entry, until its deadline.
    Live(Entry),
    /// The key was deleted. Shadows whatever an older tier still holds.
    Deleted,
}

impl State {
    /// The entry, if it is there and its deadline has not passed.
    #[must_use]
    pub fn live(&self, now_ms: i64) -> Option<&Entry> {
        match self {
            Self::Live(entry) if !entry.deadline.passed(now_ms) => Some(entry),
            _ => None,
        }
    }

    /// Bytes of the value, 0 for a deletion.
    #[must_use]
    pub fn value_bytes(&self) -> usize {
        match self {
            Self::Live(entry) => entry.value.len(),
            Self::Deleted => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deadline_itself_is_too_late() {
        let deadline = Deadline::at(1_000);
        assert!(!deadline.passed(999));
        assert!(deadline.passed(1_000));
        assert!(deadline.passed(1_001));
        assert!(!Deadline::NEVER.passed(i64::MAX));
        assert_eq!(Deadline::from_stored(None), Deadline::NEVER);
        assert_eq!(Deadline::at(5).unix_ms(), Some(5));
    }
}
