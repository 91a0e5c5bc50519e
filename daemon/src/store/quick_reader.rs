//! Reads for a thread that must not be held up: small rows, one at a time, as long as each is there at once. Whoever is told
//! of anything else asks the [`Readers`](super::Readers), which can wait.

use std::time::Duration;

use r2d2::PooledConnection;
use r2d2_sqlite::SqliteConnectionManager;
use rusqlite::types::ValueRef;

use super::error::StoreError;
use super::readers::unreadable;
use super::{row, sql};
use crate::clock::Stopwatch;
use crate::entry::Entry;
use crate::process::waits;

/// Values larger than this, decompressed, are left to others: they are on several pages, and take time to unpack.
pub const QUICK_VALUE_BYTES_MAX: usize = 16 << 10;

/// A row for which the thread had to wait, and that took longer than this, was not there at once. From the system's page
/// cache a row takes 5 us, from a solid-state disk a hundred.
pub(super) const QUICK_ROW_US_MAX: u64 = 50;

/// A connection of its own to the main file. It waits for no lock of the file.
#[derive(Debug)]
pub struct QuickReader {
    connection: PooledConnection<SqliteConnectionManager>,
}

/// What came of a quick read.
#[derive(Debug)]
pub enum QuickRead {
    /// The key's entry, of which the deadline may have passed, or that there is none.
    Row(Option<Entry>),
    /// The same, and it had to be waited for.
    Late(Option<Entry>),
    /// The value is large.
    Large,
    /// The row cannot be read now, or is damaged: somebody else finds out and says so.
    Failed,
}

impl QuickReader {
    pub(super) fn new(connection: PooledConnection<SqliteConnectionManager>) -> Result<Self, StoreError> {
        connection.busy_timeout(Duration::ZERO).map_err(unreadable)?;
        Ok(Self { connection })
    }

    /// The row of `key`. `waits_before` is what [`waits`] said at some moment before, since when the thread has not waited:
    /// to ask anew for each row would be a part of its cost.
    #[must_use]
    pub fn read(&self, key: &[u8], waits_before: u64) -> QuickRead {
        self.try_read(key, waits_before).unwrap_or(QuickRead::Failed)
    }

    fn try_read(&self, key: &[u8], waits_before: u64) -> rusqlite::Result<QuickRead> {
        let began = Stopwatch::start();
        let mut get = self.connection.prepare_cached(sql::GET_SMALL)?;
        let mut found = get.query((key, QUICK_VALUE_BYTES_MAX as i64))?;
        let row = match found.next()? {
            None => None,
            Some(row) if row.get_ref(row::VALUE)? == ValueRef::Null => return Ok(QuickRead::Large),
            Some(row) => match row::unpack(key, row, 0)? {
                Ok(entry) => Some(entry),
                Err(row::Damaged) => return Ok(QuickRead::Failed),
            },
        };
        let late = began.us() > QUICK_ROW_US_MAX && waits() > waits_before;
        Ok(if late { QuickRead::Late(row) } else { QuickRead::Row(row) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::main_file;
    use crate::store::readers::Readers;
    use crate::store::row::{Compression, Packer};

    fn put(writer: &rusqlite::Connection, key: &[u8], entry: &Entry) {
        let mut packer = Packer::new(Compression { from_bytes: Some(1_024), level: 3 });
        let row = packer.pack(key, entry, 1);
        let columns = (key, row.deadline, row.written, row.raw_bytes, row.checksum, row.value);
        writer.execute(sql::PUT, columns).unwrap();
    }

    #[test]
    fn small_rows_are_read_and_all_else_is_left_to_others() {
        let dir = tempfile::tempdir().unwrap();
        let writer = main_file::open_writer(dir.path(), 0).unwrap();
        let quick = Readers::open(dir.path(), 1).unwrap().quick().unwrap();
        let read = |key: &[u8]| quick.read(key, waits());
        let small = Entry::forever("v");
        put(&writer, b"small", &small);
        put(&writer, b"packed", &Entry::forever(vec![b'x'; QUICK_VALUE_BYTES_MAX]));
        put(&writer, b"large", &Entry::forever(vec![b'x'; QUICK_VALUE_BYTES_MAX + 1]));
        put(&writer, b"damaged", &small);
        writer.execute("UPDATE entries SET checksum = checksum + 1 WHERE key = ?1", [b"damaged"]).unwrap();
        assert!(matches!(read(b"small"), QuickRead::Row(Some(entry)) if entry == small));
        assert!(matches!(read(b"none"), QuickRead::Row(None)));
        let packed = read(b"packed");
        assert!(matches!(packed, QuickRead::Row(Some(entry)) if entry.value.len() == QUICK_VALUE_BYTES_MAX));
        assert!(matches!(read(b"large"), QuickRead::Large));
        assert!(matches!(read(b"damaged"), QuickRead::Failed));
        put(&writer, b"small", &Entry::forever("w"));
        assert!(matches!(read(b"small"), QuickRead::Row(Some(entry)) if &*entry.value == b"w"));
    }
}
