//! The conditions and the TTL of a SET.

use std::borrow::Cow;

use super::Ttl;

/// When a value is stored, and for how long. Of several conditions the last one said holds.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct SetOptions {
    lifetime: Lifetime,
    condition: Option<Condition>,
}

#[derive(Clone, Debug, Default)]
enum Lifetime {
    #[default]
    Forever,
    Ttl(Ttl),
    Keep,
}

#[derive(Clone, Debug)]
enum Condition {
    Absent,
    Present,
    Equal(Vec<u8>),
    NotEqual(Vec<u8>),
}

impl SetOptions {
    /// In any case, and for ever.
    pub fn new() -> Self {
        Self::default()
    }

    /// With this TTL.
    pub fn ttl(mut self, ttl: impl Into<Ttl>) -> Self {
        self.lifetime = Lifetime::Ttl(ttl.into());
        self
    }

    /// With the TTL that the key has.
    pub fn keep_ttl(mut self) -> Self {
        self.lifetime = Lifetime::Keep;
        self
    }

    /// Only if there is no such key.
    pub fn if_absent(mut self) -> Self {
        self.condition = Some(Condition::Absent);
        self
    }

    /// Only if there is such a key.
    pub fn if_present(mut self) -> Self {
        self.condition = Some(Condition::Present);
        self
    }

    /// Only if the key has exactly this value, in the form in which it is stored: compare and set.
    pub fn if_equal(mut self, value: impl Into<Vec<u8>>) -> Self {
        self.condition = Some(Condition::Equal(value.into()));
        self
    }

    /// Only if the key has another value than this, or is absent.
    pub fn if_not_equal(mut self, value: impl Into<Vec<u8>>) -> Self {
        self.condition = Some(Condition::NotEqual(value.into()));
        self
    }

    pub(super) fn words<'a>(&'a self, key: &'a [u8], value: &'a [u8]) -> Vec<Cow<'a, [u8]>> {
        let mut words: Vec<Cow<'a, [u8]>> = vec![b"SET"[..].into(), key.into(), value.into()];
        match &self.condition {
            None => {}
            Some(Condition::Absent) => words.push(b"NX"[..].into()),
            Some(Condition::Present) => words.push(b"XX"[..].into()),
            Some(Condition::Equal(value)) => words.extend([b"IFEQ"[..].into(), value.into()]),
            Some(Condition::NotEqual(value)) => words.extend([b"IFNE"[..].into(), value.into()]),
        }
        match &self.lifetime {
            Lifetime::Forever => {}
            Lifetime::Keep => words.push(b"KEEPTTL"[..].into()),
            Lifetime::Ttl(ttl) => {
                if let Some(ms) = ttl.ms() {
                    words.extend([b"PX"[..].into(), ms.into_bytes().into()]);
                }
            }
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn options_become_words() {
        for (options, expected) in [
            (SetOptions::new(), "SET k v"),
            (SetOptions::new().ttl(Duration::from_secs(2)).if_absent(), "SET k v NX PX 2000"),
            (SetOptions::new().keep_ttl().if_present(), "SET k v XX KEEPTTL"),
            (SetOptions::new().ttl(None).if_equal("w"), "SET k v IFEQ w"),
            (SetOptions::new().if_absent().if_not_equal("w"), "SET k v IFNE w"),
        ] {
            let words = options.words(b"k", b"v");
            let text: Vec<_> = words.iter().map(|word| String::from_utf8_lossy(word)).collect();
            assert_eq!(text.join(" "), expected);
        }
    }
}
