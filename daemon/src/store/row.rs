//! What stands in a row of the main file: an entry, its bookkeeping, and a checksum over both. Large values are
//! compressed on the way in, where that pays. Used by the merge, the readers and the offline commands.
//!
//! SQLite does not notice a flipped bit inside a value. So every row carries a checksum of its key and columns, taken
//! when it is written and checked whenever its value is read: a damaged row is no entry any more, and never a wrong value.

use rusqlite::Row;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::entry::{Deadline, Entry, packed};

/// A compressed value must save at least this share of its size, or decompressing it on each read is not worth it.
const WORTHWHILE: usize = 8;

/// Values larger than this are refused when a row claims it: nothing larder writes comes near.
const RAW_BYTES_MAX: i64 = 1 << 30;

/// How values are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compression {
    /// Values of this size or more; `None` for none.
    pub from_bytes: Option<usize>,
    /// zstd's level, 1 to 19: the higher, the smaller and the slower.
    pub level: i32,
}

/// The columns of a row beside its key, in the order of [`sql::INSERT`](super::sql::INSERT).
#[derive(Clone, Copy, Debug)]
pub(super) struct Columns<'a> {
    pub(super) deadline: Option<i64>,
    pub(super) written: i64,
    pub(super) raw_bytes: Option<i64>,
    pub(super) checksum: i64,
    pub(super) value: &'a [u8],
}

/// A row whose checksum is wrong, or whose value does not decompress to what it should.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Damaged;

/// Turns entries into rows; keeps the compressor's memory from one to the next.
pub(super) struct Packer {
    compression: Compression,
    compressor: Option<zstd::bulk::Compressor<'static>>,
    packed: Vec<u8>,
}

impl Packer {
    pub(super) fn new(compression: Compression) -> Self {
        Self { compression, compressor: None, packed: Vec::new() }
    }

    /// The row of `entry` under `key`.
    pub(super) fn pack<'a>(&'a mut self, key: &[u8], entry: &'a Entry, written: i64) -> Columns<'a> {
        let deadline = entry.deadline.unix_ms();
        let compressed = self.compress(&entry.value);
        let (raw_bytes, value) = match compressed {
            Some(len) => (Some(entry.value.len() as i64), &self.packed[..len]),
            None => (None, &*entry.value),
        };
        let checksum = checksum(key, deadline, written, raw_bytes, value);
        Columns { deadline, written, raw_bytes, checksum, value }
    }

    /// Compresses `value` if it is large enough and becomes enough smaller: the length of the result.
    fn compress(&mut self, value: &[u8]) -> Option<usize> {
        // The value before has been stored by now.
        if self.packed.capacity() > KEEP_BYTES {
            self.packed = Vec::new();
        }
        if value.len() < self.compression.from_bytes? {
            return None;
        }
        if self.compressor.is_none() {
            // Can only fail for want of memory; then values stay as they are.
            self.compressor = zstd::bulk::Compressor::new(self.compression.level).ok();
        }
        // A buffer this short ends the attempt as soon as it is clear that it does not pay.
        self.packed.resize(value.len() - value.len() / WORTHWHILE, 0);
        self.compressor.as_mut()?.compress_to_buffer(value, self.packed.as_mut_slice()).ok()
    }
}

/// Memory of the compressor's output that is kept for the next value.
const KEEP_BYTES: usize = 4 << 20;

/// Where the value stands in what [`unpack`] is given from column 0 on.
pub(super) const VALUE: usize = 4;

/// The entry in a row that was selected as `deadline, written, raw_bytes, checksum, value` from column `first` on.
pub(super) fn unpack(key: &[u8], row: &Row<'_>, first: usize) -> rusqlite::Result<Result<Entry, Damaged>> {
    let columns = Columns {
        deadline: row.get(first)?,
        written: row.get(first + 1)?,
        raw_bytes: row.get(first + 2)?,
        checksum: row.get(first + 3)?,
        value: row.get_ref(first + VALUE)?.as_blob()?,
    };
    Ok(columns.entry(key))
}

impl Columns<'_> {
    fn entry(&self, key: &[u8]) -> Result<Entry, Damaged> {
        let Self { deadline, written, raw_bytes, value, .. } = *self;
        if checksum(key, deadline, written, raw_bytes, value) != self.checksum {
            return Err(Damaged);
        }
        let value = match raw_bytes {
            None => packed::pack(value),
            Some(bytes) if (0..=RAW_BYTES_MAX).contains(&bytes) => {
                let raw = zstd::bulk::decompress(value, bytes as usize).map_err(|_| Damaged)?;
                if raw.len() as i64 != bytes {
                    return Err(Damaged);
                }
                raw.into()
            }
            Some(_) => return Err(Damaged),
        };
        Ok(Entry { value, deadline: Deadline::from_stored(deadline) })
    }
}

/// XXH3 (64 bits) of the columns in little-endian, NULL as the least integer, of the key with that as its seed, and of the
/// value with that as its seed; of the result the lower 32 bits, signed, which SQLite stores in four bytes. A CRC over
/// such short pieces takes several times as long: 8 % of a merge.
fn checksum(key: &[u8], deadline: Option<i64>, written: i64, raw_bytes: Option<i64>, value: &[u8]) -> i64 {
    let mut fixed = [0; 24];
    let numbers = [deadline.unwrap_or(i64::MIN), written, raw_bytes.unwrap_or(i64::MIN)];
    for (at, number) in fixed.chunks_exact_mut(8).zip(numbers) {
        at.copy_from_slice(&number.to_le_bytes());
    }
    let seed = xxh3_64_with_seed(key, xxh3_64(&fixed));
    i64::from(xxh3_64_with_seed(value, seed) as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMPRESSION: Compression = Compression { from_bytes: Some(1024), level: 3 };

    fn entry(value: impl Into<bytes::Bytes>) -> Entry {
        Entry { value: value.into(), deadline: Deadline::at(1_000) }
    }

    fn text(len: usize) -> Vec<u8> {
        b"so much to say and little to add. ".iter().copied().cycle().take(len).collect()
    }

    /// Bytes that do not compress.
    fn noise(len: usize) -> Vec<u8> {
        let mut state = 1_u64;
        std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        })
        .take(len)
        .collect()
    }

    #[test]
    fn large_values_are_compressed_where_it_pays_and_all_come_back() {
        let mut packer = Packer::new(COMPRESSION);
        for (value, compressed) in [
            (Vec::new(), false),
            (text(1_023), false),
            (text(1_024), true),
            (text(5 << 20), true),
            (noise(100_000), false),
        ] {
            let entry = entry(value);
            let row = packer.pack(b"key", &entry, 7);
            assert_eq!(row.raw_bytes.is_some(), compressed, "{} bytes", entry.value.len());
            assert!(!compressed || row.value.len() < entry.value.len() / 5);
            assert_eq!(row.entry(b"key"), Ok(entry.clone()));
        }
        let mut never = Packer::new(Compression { from_bytes: None, level: 3 });
        assert!(never.pack(b"key", &entry(text(10_000)), 7).raw_bytes.is_none());
    }

    #[test]
    fn the_memory_of_a_large_value_is_given_back_with_the_next() {
        let mut packer = Packer::new(COMPRESSION);
        packer.pack(b"key", &entry(text(16 << 20)), 7);
        assert!(packer.packed.capacity() > KEEP_BYTES);
        packer.pack(b"key", &entry(text(10)), 7);
        assert!(packer.packed.capacity() <= KEEP_BYTES);
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let mut packer = Packer::new(COMPRESSION);
        let entry = entry(text(2_000));
        let row = packer.pack(b"key", &entry, 7);
        for at in 0..row.value.len() * 8 {
            let mut value = row.value.to_vec();
            value[at / 8] ^= 1 << (at % 8);
            assert_eq!(Columns { value: &value, ..row }.entry(b"key"), Err(Damaged), "bit {at}");
        }
        for damaged in [
            Columns { deadline: Some(1_001), ..row },
            Columns { deadline: None, ..row },
            Columns { written: 8, ..row },
            Columns { raw_bytes: Some(1_999), ..row },
            Columns { raw_bytes: None, ..row },
            Columns { checksum: row.checksum ^ 1, ..row },
        ] {
            assert_eq!(damaged.entry(b"key"), Err(Damaged), "{damaged:?}");
        }
        assert_eq!(row.entry(b"kex"), Err(Damaged), "a row under another's key");
    }
}
