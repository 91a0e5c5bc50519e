//! Random numbers from the operating system: names of sessions and locks, and jitter.

use std::time::Duration;

/// `N` random bytes that nobody can guess.
pub(super) fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("Linux has had getrandom since 3.17, and it does not fail");
    bytes
}

/// As many bytes as hexadecimal digits, two each.
pub(super) fn hex<const N: usize>() -> String {
    to_hex(&bytes::<N>())
}

/// A number from 0 up to and without 1.
pub(super) fn fraction() -> f64 {
    // The 53 bits that fit.
    (u64::from_le_bytes(bytes()) >> 11) as f64 / (1_u64 << 53) as f64
}

/// A wait from the upper half of `longest`, so that those who wait for the same thing do not all go on at once.
pub(super) fn wait(longest: Duration) -> Duration {
    longest.mul_f64(0.5 + fraction() / 2.0)
}

/// Bytes in lower-case hexadecimal.
pub(super) fn to_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| char::from(DIGITS[usize::from(digit)]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_are_in_range_and_names_differ() {
        assert!((0..1_000).map(|_| fraction()).all(|number| (0.0..1.0).contains(&number)));
        let (one, other) = (hex::<16>(), hex::<16>());
        assert!(one != other && one.len() == 32, "{one} {other}");
        assert_eq!(to_hex(&[0, 0x1f, 0xff]), "001fff");
    }
}
