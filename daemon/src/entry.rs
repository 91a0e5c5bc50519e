//! What larder keeps under a key. Used by every layer; knows nothing of where an entry is kept.

pub mod packed;

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;

use bytes::Bytes;

/// The longest key kept in place: what fits beside its length and the mark in three words.
const INLINE_BYTES: usize = 22;

/// A key as the tiers own it. Short ones, as most are, lie in the slot itself: a write then allocates once instead of
/// twice, and comparing keys reaches for no other memory.
#[derive(Clone)]
pub struct Key(Place);

#[derive(Clone)]
enum Place {
    Inline { len: u8, bytes: [u8; INLINE_BYTES] },
    Heap(Box<[u8]>),
}

impl From<&[u8]> for Key {
    fn from(key: &[u8]) -> Self {
        let mut bytes = [0; INLINE_BYTES];
        match bytes.get_mut(..key.len()) {
            Some(place) => {
                place.copy_from_slice(key);
                Self(Place::Inline { len: key.len() as u8, bytes })
            }
            None => Self(Place::Heap(key.into())),
        }
    }
}

impl Default for Key {
    fn default() -> Self {
        Self::from([])
    }
}

impl From<Key> for Bytes {
    fn from(key: Key) -> Self {
        match key.0 {
            Place::Inline { len, bytes } => Self::copy_from_slice(&bytes[..usize::from(len)]),
            Place::Heap(key) => key.into(),
        }
    }
}

impl From<Vec<u8>> for Key {
    fn from(key: Vec<u8>) -> Self {
        Self::from(&key[..])
    }
}

impl<const N: usize> From<[u8; N]> for Key {
    fn from(key: [u8; N]) -> Self {
        Self::from(&key[..])
    }
}

impl Deref for Key {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Place::Inline { len, bytes } => &bytes[..usize::from(*len)],
            Place::Heap(key) => key,
        }
    }
}

// All as the bytes have it, so that a key can be looked up by its bytes.

impl Borrow<[u8]> for Key {
    fn borrow(&self) -> &[u8] {
        self
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Key {}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        (**self).cmp(&**other)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.escape_ascii())
    }
}

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

    /// The deadline, or that of the longest TTL from `now_ms` on, if there is one.
    #[must_use]
    pub fn within(self, ttl_ms_max: Option<i64>, now_ms: i64) -> Self {
        ttl_ms_max.map_or(self, |ttl_ms| self.min(Self::at(now_ms.saturating_add(ttl_ms))))
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
    fn keys_are_their_bytes_wherever_they_lie() {
        assert_eq!(size_of::<Key>(), 24);
        let text = b"0123456789012345678901234567890123456789";
        for len in 0..text.len() {
            let key = Key::from(&text[..len]);
            assert_eq!(*key, text[..len]);
            assert_eq!(matches!(key.0, Place::Heap(_)), len > INLINE_BYTES);
            assert!(key == key.clone() && key < Key::from(&text[..=len]));
        }
    }

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
