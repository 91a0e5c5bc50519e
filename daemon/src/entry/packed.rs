//! Small values in one piece of memory with their count of references. `Bytes` usually has the two apart: to hand such a
//! value out takes a second allocation the first time, and each time the processor waits for both, one after the other.

use bytes::Bytes;

/// A value of these bytes.
#[must_use]
pub fn pack(value: &[u8]) -> Bytes {
    match value.len() {
        0..=32 => packed::<32>(value),
        33..=64 => packed::<64>(value),
        65..=128 => packed::<128>(value),
        129..=256 => packed::<256>(value),
        _ => Bytes::copy_from_slice(value),
    }
}

/// The value in one piece, if it is small; otherwise the same memory.
#[must_use]
pub fn pack_small(value: &Bytes) -> Bytes {
    if value.len() <= 256 { pack(value) } else { value.clone() }
}

/// Bytes that a value takes which was packed.
#[must_use]
pub fn bytes(value: &Bytes) -> usize {
    /// The count of references, how to free it, and the length.
    const HEAD: usize = 24;
    match value.len() {
        0..=32 => 32 + HEAD,
        33..=64 => 64 + HEAD,
        65..=128 => 128 + HEAD,
        129..=256 => 256 + HEAD,
        larger => larger,
    }
}

struct Packed<const N: usize> {
    length: u16,
    bytes: [u8; N],
}

impl<const N: usize> AsRef<[u8]> for Packed<N> {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

fn packed<const N: usize>(value: &[u8]) -> Bytes {
    let mut bytes = [0; N];
    bytes[..value.len()].copy_from_slice(value);
    Bytes::from_owner(Packed { length: value.len() as u16, bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_every_length_stay_what_they_are() {
        for length in 0..300 {
            let value = Bytes::from((0..length).map(|at| at as u8).collect::<Vec<_>>());
            let (packed, copy) = (pack(&value), pack_small(&value).clone());
            assert_eq!((&packed, &copy), (&value, &value));
            assert!(bytes(&packed) >= length);
        }
    }
}
