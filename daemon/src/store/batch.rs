//! How a batch of writes looks inside a journal row. Outcomes, not intents: replaying a batch twice changes nothing.
//!
//! ```text
//! batch    = version:u8 write*
//! write    = 0 key:head value_len:varint key:rest value                       an entry
//!          | 3 key:head value_len:varint deadline:varint key:rest value       an entry with a deadline
//!          | 1 key:head key:rest                                              a deletion
//!          | 2                                                                everything before is gone
//! key:head = shared:varint rest_len:varint
//! varint   = LEB128, at most 10 bytes
//! ```
//! Of a key only what differs from the key before is written: its first `shared` bytes are that one's. A deadline is in unix
//! milliseconds, less the deadline before (0 before the first), and zigzag (the sign is the lowest bit). So fifty counters
//! take 0.6 instead of 1.5 KB: as two such rows fit on a page of 2 KiB, and a row that has a page for itself makes SQLite write
//! two others with it, SQLite alone takes 9 to 11 instead of 15 us for it. SQLite's write-ahead log checksums what it holds, so a batch is
//! there whole or not at all; decoding still trusts nothing and names what is wrong.
//!
//! This is version 2. In version 1, which is still read, keys are whole (`key:head = len:varint`), and each entry has a
//! deadline (`i64le`, its maximum for none) in that place.

use bytes::Bytes;

use crate::entry::{Deadline, Entry, Key, State};

const VERSION: u8 = 2;
const TAG_ENTRY: u8 = 0;
const TAG_DELETED: u8 = 1;
const TAG_FLUSH: u8 = 2;
const TAG_ENTRY_UNTIL: u8 = 3;

/// A batch under construction. Reused from commit to commit.
#[derive(Debug, Default)]
pub struct BatchEncoder {
    bytes: Vec<u8>,
    before: Before,
    writes: usize,
    value_bytes: usize,
}

/// What a write is told by its difference from: key and deadline of the write before.
#[derive(Debug, Default)]
struct Before {
    key: Vec<u8>,
    deadline_ms: i64,
}

/// One write read back from a batch.
#[derive(Debug, PartialEq, Eq)]
pub enum Write {
    /// This state under this key.
    Put(Key, State),
    /// Everything before is gone.
    Flush,
}

/// A journal row that cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// It does not follow the format.
    #[error("journal batch is damaged at byte {at}: {what}")]
    Damaged {
        /// Where.
        at: usize,
        /// What is wrong there.
        what: &'static str,
    },
    /// It was written by a newer larder.
    #[error(
        "its batches have version {found}, this larderd knows up to {VERSION}: use a newer larderd or another --data directory"
    )]
    Newer {
        /// Their version.
        found: u8,
    },
}

impl BatchEncoder {
    /// Appends an outcome.
    pub fn put(&mut self, key: &[u8], state: &State) {
        self.begin();
        match state {
            State::Live(entry) => {
                let deadline_ms = entry.deadline.unix_ms();
                self.bytes.push(if deadline_ms.is_some() { TAG_ENTRY_UNTIL } else { TAG_ENTRY });
                let rest = self.key_head(key);
                self.varint(entry.value.len() as u64);
                if let Some(deadline_ms) = deadline_ms {
                    self.varint(zigzag(deadline_ms.wrapping_sub(self.before.deadline_ms)));
                    self.before.deadline_ms = deadline_ms;
                }
                self.bytes.extend_from_slice(rest);
                self.bytes.extend_from_slice(&entry.value);
                self.value_bytes += entry.value.len();
            }
            State::Deleted => {
                self.bytes.push(TAG_DELETED);
                let rest = self.key_head(key);
                self.bytes.extend_from_slice(rest);
            }
        }
    }

    /// Appends a flush.
    pub fn flush(&mut self) {
        self.begin();
        self.bytes.push(TAG_FLUSH);
    }

    /// The encoded batch.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Of those, the bytes of values.
    #[must_use]
    pub fn value_bytes(&self) -> usize {
        self.value_bytes
    }

    /// Number of writes in it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.writes
    }

    /// Starts the next batch, keeping the memory unless it is huge and the batch did not need a quarter of it.
    pub fn clear(&mut self) {
        const KEEP_BYTES: usize = 1 << 20;
        let needed = 4 * self.bytes.len();
        self.bytes.clear();
        self.bytes.shrink_to(needed.max(KEEP_BYTES));
        self.before.key.clear();
        self.before.deadline_ms = 0;
        self.writes = 0;
        self.value_bytes = 0;
    }

    fn begin(&mut self) {
        if self.bytes.is_empty() {
            self.bytes.push(VERSION);
        }
        self.writes += 1;
    }

    /// Appends how much of the key is that of the key before; what else there is of it.
    fn key_head<'k>(&mut self, key: &'k [u8]) -> &'k [u8] {
        let shared = shared_bytes(&self.before.key, key);
        let rest = &key[shared..];
        self.before.key.truncate(shared);
        self.before.key.extend_from_slice(rest);
        self.varint(shared as u64);
        self.varint(rest.len() as u64);
        rest
    }

    fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.bytes.push(number as u8);
    }
}

/// How many bytes the two begin with alike.
fn shared_bytes(one: &[u8], other: &[u8]) -> usize {
    const WORD: usize = 8;
    let words = one.chunks_exact(WORD).zip(other.chunks_exact(WORD)).take_while(|(one, other)| one == other);
    let from = words.count() * WORD;
    from + one[from..].iter().zip(&other[from..]).take_while(|(one, other)| one == other).count()
}

/// Small numbers of either sign as small numbers.
fn zigzag(number: i64) -> u64 {
    (number << 1 ^ number >> 63) as u64
}

fn from_zigzag(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}

/// Calls `each` for every write of an encoded batch, in order.
///
/// # Errors
/// Where the bytes do not follow the format; writes before that point were handed out.
pub fn decode(batch: &[u8], mut each: impl FnMut(Write)) -> Result<(), BatchError> {
    let mut reader = Reader { bytes: batch, at: 0, version: VERSION, before: Before::default() };
    match reader.byte()? {
        0 => return Err(BatchError::Damaged { at: 0, what: "there is no version 0" }),
        found if found > VERSION => return Err(BatchError::Newer { found }),
        known => reader.version = known,
    }
    while reader.at < batch.len() {
        each(reader.write()?);
    }
    Ok(())
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    version: u8,
    before: Before,
}

impl<'a> Reader<'a> {
    fn write(&mut self) -> Result<Write, BatchError> {
        match self.byte()? {
            tag @ (TAG_ENTRY | TAG_ENTRY_UNTIL) => {
                let rest_len = self.key_head()?;
                let value_len = self.length()?;
                let deadline = match tag {
                    TAG_ENTRY if self.version == 1 => self.deadline_ms_1()?,
                    TAG_ENTRY => None,
                    _ => Some(self.deadline_ms()?),
                };
                let key = self.key(rest_len)?;
                let value = Bytes::copy_from_slice(self.take(value_len)?);
                Ok(Write::Put(key, State::Live(Entry { value, deadline: Deadline::from_stored(deadline) })))
            }
            TAG_DELETED => {
                let rest_len = self.key_head()?;
                Ok(Write::Put(self.key(rest_len)?, State::Deleted))
            }
            TAG_FLUSH => Ok(Write::Flush),
            _ => Err(self.damaged("unknown kind of write")),
        }
    }

    /// Leaves of the key before what this one begins with; how many bytes are still to come.
    fn key_head(&mut self) -> Result<usize, BatchError> {
        let shared = if self.version == 1 { 0 } else { self.length()? };
        if shared > self.before.key.len() {
            return Err(self.damaged("more of a key is shared than there is"));
        }
        self.before.key.truncate(shared);
        self.length()
    }

    fn key(&mut self, rest_len: usize) -> Result<Key, BatchError> {
        let rest = self.take(rest_len)?;
        self.before.key.extend_from_slice(rest);
        Ok(self.before.key[..].into())
    }

    fn deadline_ms(&mut self) -> Result<i64, BatchError> {
        let since_before = from_zigzag(self.varint()?);
        self.before.deadline_ms = self.before.deadline_ms.wrapping_add(since_before);
        Ok(self.before.deadline_ms)
    }

    fn deadline_ms_1(&mut self) -> Result<Option<i64>, BatchError> {
        let mut deadline = [0; 8];
        deadline.copy_from_slice(self.take(8)?);
        let deadline = i64::from_le_bytes(deadline);
        Ok((deadline != i64::MAX).then_some(deadline))
    }

    fn byte(&mut self) -> Result<u8, BatchError> {
        Ok(self.take(1)?[0])
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], BatchError> {
        let end = self.at.checked_add(len).filter(|&end| end <= self.bytes.len());
        let end = end.ok_or_else(|| self.damaged("it ends too early"))?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn length(&mut self) -> Result<usize, BatchError> {
        usize::try_from(self.varint()?).map_err(|_| self.damaged("a length is beyond all memory"))
    }

    fn varint(&mut self) -> Result<u64, BatchError> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                break;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(self.damaged("a number runs on"))
    }

    fn damaged(&self, what: &'static str) -> BatchError {
        BatchError::Damaged { at: self.at, what }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decoded(batch: &[u8]) -> Result<Vec<Write>, BatchError> {
        let mut writes = Vec::new();
        decode(batch, |write| writes.push(write))?;
        Ok(writes)
    }

    #[test]
    fn the_memory_of_huge_batches_is_kept_while_they_follow_each_other() {
        let huge = State::Live(Entry { value: vec![0; 8 << 20].into(), deadline: Deadline::NEVER });
        let mut encoder = BatchEncoder::default();
        for _ in 0..2 {
            encoder.put(b"key", &huge);
            encoder.clear();
            assert!(encoder.bytes.capacity() >= 8 << 20);
        }
        encoder.put(b"key", &State::Deleted);
        encoder.clear();
        assert!(encoder.bytes.capacity() <= 1 << 20);
    }

    fn state() -> impl Strategy<Value = State> {
        prop_oneof![
            Just(State::Deleted),
            (proptest::collection::vec(any::<u8>(), 0..300), any::<i64>()).prop_map(|(value, deadline)| {
                State::Live(Entry { value: value.into(), deadline: Deadline::at(deadline) })
            }),
        ]
    }

    proptest! {
        #[test]
        fn what_goes_in_comes_out(
            writes in proptest::collection::vec((proptest::collection::vec(any::<u8>(), 0..300), state()), 0..20),
        ) {
            let mut encoder = BatchEncoder::default();
            encoder.flush();
            for (key, state) in &writes {
                encoder.put(key, state);
            }
            prop_assert_eq!(encoder.len(), writes.len() + 1);
            let expected: Vec<_> = std::iter::once(Write::Flush)
                .chain(writes.iter().map(|(key, state)| Write::Put(key[..].into(), state.clone())))
                .collect();
            prop_assert_eq!(decoded(encoder.bytes()), Ok(expected));
        }

        #[test]
        fn damage_is_an_error_and_never_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = decoded(&bytes);
        }
    }

    #[test]
    fn what_keys_and_deadlines_have_in_common_is_written_once() {
        let mut encoder = BatchEncoder::default();
        for number in 0..50 {
            let deadline = Deadline::at(1_800_000_000_000 + number);
            let counter = State::Live(Entry { value: "12345".into(), deadline });
            encoder.put(format!("key:{number:012}").as_bytes(), &counter);
        }
        assert!(encoder.bytes().len() < 650, "{}", encoder.bytes().len());
        // Of the batch before nothing is left.
        let mut alone = BatchEncoder::default();
        encoder.clear();
        for encoder in [&mut encoder, &mut alone] {
            encoder.put(b"key:1", &State::Deleted);
        }
        assert_eq!(encoder.bytes(), alone.bytes());
    }

    #[test]
    fn keys_share_what_they_begin_with_and_no_more() {
        for (one, other, shared) in [
            ("", "key", 0),
            ("key", "", 0),
            ("key", "key", 3),
            ("key:12", "key:123", 6),
            ("key:1234", "key:1235", 7),
            ("key:12345678x", "key:12345678y", 12),
            ("0123456789abcdef", "0123456789abcdefg", 16),
        ] {
            assert_eq!(shared_bytes(one.as_bytes(), other.as_bytes()), shared, "{one} {other}");
        }
    }

    #[test]
    fn what_cannot_be_is_named() {
        const RUNS_ON: [u8; 10] = [0xff; 10];
        for (batch, what) in [
            (vec![0], "there is no version 0"),
            (vec![VERSION, 9], "unknown kind of write"),
            (vec![VERSION, TAG_DELETED, 1, 0], "more of a key is shared than there is"),
            (vec![VERSION, TAG_DELETED, 0, 5, b'k'], "it ends too early"),
            ([&[VERSION, TAG_DELETED, 0][..], &RUNS_ON].concat(), "a number runs on"),
        ] {
            assert!(
                matches!(decoded(&batch), Err(BatchError::Damaged { what: found, .. }) if found == what),
                "{what}"
            );
        }
        assert_eq!(decoded(&[VERSION + 1, 7]), Err(BatchError::Newer { found: VERSION + 1 }));
    }

    #[test]
    fn batches_of_version_1_are_read() {
        let mut batch = vec![1];
        batch.extend_from_slice(b"\x00\x03\x02\xff\xff\xff\xff\xff\xff\xff\x7fkeyv1");
        batch.extend_from_slice(b"\x00\x03\x02\x39\x05\x00\x00\x00\x00\x00\x00keyv2");
        batch.extend_from_slice(b"\x02\x01\x03key");
        let put = |value: &'static str, deadline| {
            Write::Put(b"key"[..].into(), State::Live(Entry { value: value.into(), deadline }))
        };
        let expected = vec![
            put("v1", Deadline::NEVER),
            put("v2", Deadline::at(1_337)),
            Write::Flush,
            Write::Put(b"key"[..].into(), State::Deleted),
        ];
        assert_eq!(decoded(&batch), Ok(expected));
    }

    #[test]
    fn a_shortened_batch_is_refused() {
        let mut encoder = BatchEncoder::default();
        encoder.put(b"key", &State::Live(Entry::forever("value")));
        let whole = encoder.bytes();
        assert!(decoded(whole).is_ok());
        for len in (0..whole.len()).filter(|&len| len != 1) {
            assert!(decoded(&whole[..len]).is_err(), "{len} of {} bytes", whole.len());
        }
        encoder.clear();
        assert_eq!((encoder.len(), encoder.bytes().len()), (0, 0));
    }
}
