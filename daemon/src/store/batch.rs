//! How a batch of writes looks inside a journal row. Outcomes, not intents: replaying a batch twice changes nothing.
//!
//! ```text
//! batch  = version:u8 write*
//! write  = 0 key_len:varint value_len:varint deadline:i64le key value      an entry
//!        | 1 key_len:varint key                                            a deletion
//!        | 2                                                               everything before is gone
//! varint = LEB128, at most 5 bytes
//! ```
//! `deadline` is in unix milliseconds, `i64::MAX` for none. SQLite's write-ahead log checksums what it holds, so a batch
//! is there whole or not at all; decoding still trusts nothing and names what is wrong.

use bytes::Bytes;

use crate::entry::{Deadline, Entry, Key, State};

const VERSION: u8 = 1;
const TAG_LIVE: u8 = 0;
const TAG_DELETED: u8 = 1;
const TAG_FLUSH: u8 = 2;

/// A batch under construction. Reused from commit to commit.
#[derive(Debug, Default)]
pub struct BatchEncoder {
    bytes: Vec<u8>,
    writes: usize,
    value_bytes: usize,
}

/// One write read back from a batch.
#[derive(Debug, PartialEq, Eq)]
pub enum Write {
    /// This state under this key.
    Put(Key, State),
    /// Everything before is gone.
    Flush,
}

/// A journal row that does not follow the format.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("journal batch is damaged at byte {at}: {what}")]
pub struct BatchError {
    at: usize,
    what: &'static str,
}

impl BatchEncoder {
    /// Appends an outcome.
    pub fn put(&mut self, key: &[u8], state: &State) {
        self.begin();
        match state {
            State::Live(entry) => {
                self.bytes.push(TAG_LIVE);
                self.varint(key.len());
                self.varint(entry.value.len());
                let deadline = entry.deadline.unix_ms().unwrap_or(i64::MAX);
                self.bytes.extend_from_slice(&deadline.to_le_bytes());
                self.bytes.extend_from_slice(key);
                self.bytes.extend_from_slice(&entry.value);
                self.value_bytes += entry.value.len();
            }
            State::Deleted => {
                self.bytes.push(TAG_DELETED);
                self.varint(key.len());
                self.bytes.extend_from_slice(key);
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
        self.writes = 0;
        self.value_bytes = 0;
    }

    fn begin(&mut self) {
        if self.bytes.is_empty() {
            self.bytes.push(VERSION);
        }
        self.writes += 1;
    }

    fn varint(&mut self, mut number: usize) {
        while number >= 0x80 {
            self.bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.bytes.push(number as u8);
    }
}

/// Calls `each` for every write of an encoded batch, in order.
///
/// # Errors
/// Where the bytes do not follow the format; writes before that point were handed out.
pub fn decode(batch: &[u8], mut each: impl FnMut(Write)) -> Result<(), BatchError> {
    let mut reader = Reader { bytes: batch, at: 0 };
    if reader.byte()? != VERSION {
        return Err(BatchError { at: 0, what: "unknown version" });
    }
    while reader.at < batch.len() {
        each(reader.write()?);
    }
    Ok(())
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn write(&mut self) -> Result<Write, BatchError> {
        match self.byte()? {
            TAG_LIVE => {
                let key_len = self.varint()?;
                let value_len = self.varint()?;
                let mut deadline = [0; 8];
                deadline.copy_from_slice(self.take(8)?);
                let deadline = i64::from_le_bytes(deadline);
                let deadline = Deadline::from_stored((deadline != i64::MAX).then_some(deadline));
                let key = self.take(key_len)?;
                let value = Bytes::copy_from_slice(self.take(value_len)?);
                Ok(Write::Put(key.into(), State::Live(Entry { value, deadline })))
            }
            TAG_DELETED => {
                let key_len = self.varint()?;
                Ok(Write::Put(self.take(key_len)?.into(), State::Deleted))
            }
            TAG_FLUSH => Ok(Write::Flush),
            _ => Err(self.damaged("unknown kind of write")),
        }
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

    fn varint(&mut self) -> Result<usize, BatchError> {
        let mut number = 0;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.byte()?;
            number |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(self.damaged("a length runs on"))
    }

    fn damaged(&self, what: &'static str) -> BatchError {
        BatchError { at: self.at, what }
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
