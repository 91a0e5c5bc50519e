//! Where in the front's table the entry of a key may stand, by the key's hash: its segment, its set in there, the place of the
//! set that it is put into first, and the tag that tells it from others of the set. No two are of the same bits.

/// Places of a set.
pub(super) const WAYS: usize = 8;

/// Sets of a segment. To split one takes some ten microseconds.
pub(super) const SETS: usize = 1 << 7;

/// Places of a segment.
pub(super) const PLACES: usize = SETS * WAYS;

/// The tag of an empty place.
pub(super) const EMPTY: u8 = 0;

/// The segment of so many that this hash belongs to. Those before the last power of two are split one after the other,
/// and the new ones have the same keys as long as the hash's next bit is not looked at.
pub(super) fn segment(hash: u64, segments: usize) -> usize {
    let wide = segments.next_power_of_two() - 1;
    let at = (hash as usize / SETS) & wide;
    if at < segments { at } else { at & (wide >> 1) }
}

/// The segment that had the keys of segment `added` before there was such a one.
pub(super) fn sibling(added: usize) -> usize {
    added - (added + 1).next_power_of_two() / 2
}

/// What tells the keys of a set apart: bits of the hash that do not choose the set, and never those of an empty place.
pub(super) fn tag(hash: u64) -> u8 {
    (hash >> 57) as u8 | 0x80
}

/// The place of its set that a key is put into, if that is free.
pub(super) fn first_way(hash: u64) -> usize {
    (hash >> 54) as usize % WAYS
}

pub(super) fn free_way(tags: [u8; WAYS], hash: u64) -> Option<usize> {
    let first = first_way(hash);
    if tags[first] == EMPTY { Some(first) } else { ways(tags, EMPTY).next() }
}

/// The places of a set that have this tag.
pub(super) fn ways(tags: [u8; WAYS], tag: u8) -> impl Iterator<Item = usize> {
    // All eight are compared at once: the highest bit of each byte that is equal is set.
    const LOW: u64 = u64::from_le_bytes([0x01; WAYS]);
    const HIGH: u64 = u64::from_le_bytes([0x80; WAYS]);
    let differing = u64::from_le_bytes(tags) ^ (LOW * u64::from(tag));
    // Without a carry from one byte to the next, which would find some that are not.
    let mut equal = !(((differing & !HIGH) + !HIGH) | differing) & HIGH;
    std::iter::from_fn(move || {
        let way = (equal != 0).then(|| equal.trailing_zeros() as usize / 8);
        equal &= equal.wrapping_sub(1);
        way
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_has_one_segment_and_its_sibling_until_that_is_there() {
        for segments in 1..70 {
            for hash in (0..1_000_u64).map(|number| number.wrapping_mul(0x9E37_79B9_7F4A_7C15)) {
                let (before, now) = (segment(hash, segments), segment(hash, segments + 1));
                assert!(before < segments);
                assert!(now == before || now == segments && before == sibling(segments), "{segments}");
            }
        }
    }

    #[test]
    fn tags_are_found_in_every_place_and_nowhere_else() {
        let tags = [0x81, EMPTY, 0x80, 0xff, 0x81, 0x82, EMPTY, 0x81];
        let found = |tag| ways(tags, tag).collect::<Vec<_>>();
        assert_eq!((found(0x81), found(EMPTY)), (vec![0, 4, 7], vec![1, 6]));
        assert_eq!((found(0x80), found(0xff), found(0x83)), (vec![2], vec![3], vec![]));
        for tag in 0..=255 {
            let expected: Vec<_> = (0..WAYS).filter(|&way| tags[way] == tag).collect();
            assert_eq!(found(tag), expected, "{tag:x}");
        }
    }
}
