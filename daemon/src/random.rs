//! Random numbers and names. A leaf.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};

/// A random number. Not for secrets.
#[must_use]
pub fn number() -> u64 {
    // The standard library's hasher keys come from the operating system's random source.
    RandomState::new().build_hasher().finish()
}

/// A name that nothing else has: 32 hexadecimal digits.
#[must_use]
pub fn name() -> String {
    format!("{:016x}{:016x}", number(), number())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_differ() {
        let (one, other) = (name(), name());
        assert!(one != other && one.len() == 32 && one[..16] != one[16..], "{one} {other}");
    }
}
