//! The figures that the main file keeps of itself, changed in the same transaction as the rows they count, so that none
//! of them ever needs a scan. Used by whatever writes the main file.

use std::cmp::Ordering;

use rusqlite::{CachedStatement, Connection, Row};

use super::merge::ROWS_A_LOOK;
use super::row::Columns;
use super::sql;
use crate::entry::Deadline;
use crate::pace::Steps;

/// The accounting row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accounting {
    /// Rows.
    pub rows: i64,
    /// Rows with a deadline.
    pub ttl_rows: i64,
    /// Bytes of keys, and of values as they are stored.
    pub stored_bytes: i64,
    /// Bytes of keys, and of values as they were sent.
    pub raw_bytes: i64,
    /// Journals up to this generation are contained in the file.
    pub merged_generation: i64,
}

/// What one row counts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    stored_bytes: i64,
    raw_bytes: i64,
    ttl: bool,
}

impl Size {
    /// The size of the row under a key of `key_bytes`, selected as `length(value), raw_bytes, deadline` from column
    /// `first` on.
    pub(super) fn of_row(key_bytes: usize, row: &Row<'_>, first: usize) -> rusqlite::Result<Self> {
        let value_bytes: i64 = row.get(first)?;
        let raw_bytes: Option<i64> = row.get(first + 1)?;
        let deadline: Option<i64> = row.get(first + 2)?;
        Ok(Self {
            stored_bytes: key_bytes as i64 + value_bytes,
            raw_bytes: key_bytes as i64 + raw_bytes.unwrap_or(value_bytes),
            ttl: Deadline::from_stored(deadline) != Deadline::NEVER,
        })
    }

    fn of_columns(key: &[u8], columns: &Columns<'_>) -> Self {
        let stored_bytes = (key.len() + columns.value.len()) as i64;
        let raw_bytes = columns.raw_bytes.map_or(stored_bytes, |raw| key.len() as i64 + raw);
        Self { stored_bytes, raw_bytes, ttl: columns.deadline.is_some() }
    }

    /// Bytes of key and value as they are stored.
    pub(super) fn stored_bytes(self) -> i64 {
        self.stored_bytes
    }
}

impl Accounting {
    pub(super) fn read(connection: &Connection) -> rusqlite::Result<Self> {
        connection.query_row(sql::READ_ACCOUNTING, (), |row| {
            Ok(Self {
                rows: row.get(0)?,
                ttl_rows: row.get(1)?,
                stored_bytes: row.get(2)?,
                raw_bytes: row.get(3)?,
                merged_generation: row.get(4)?,
            })
        })
    }

    pub(super) fn write(&self, connection: &Connection) -> rusqlite::Result<()> {
        connection.prepare_cached(sql::WRITE_ACCOUNTING)?.execute((
            self.rows,
            self.ttl_rows,
            self.stored_bytes,
            self.raw_bytes,
            self.merged_generation,
        ))?;
        Ok(())
    }

    fn add(&mut self, sign: i64, size: Size) {
        self.rows += sign;
        self.ttl_rows += sign * i64::from(size.ttl);
        self.stored_bytes += sign * size.stored_bytes;
        self.raw_bytes += sign * size.raw_bytes;
    }

    /// The figures as a scan of the whole file finds them, for checks; the generation is taken over.
    pub(super) fn count(connection: &Connection) -> rusqlite::Result<Self> {
        connection.query_row(sql::COUNT_ALL, (), |row| {
            Ok(Self {
                rows: row.get(0)?,
                ttl_rows: row.get(1)?,
                stored_bytes: row.get::<_, f64>(2)? as i64,
                raw_bytes: row.get::<_, f64>(3)? as i64,
                merged_generation: row.get(4)?,
            })
        })
    }
}

/// Rows passed over one after the other before the next key is looked for from the top of the tree: about as expensive.
const STEPS_MAX: usize = 8;

/// The statements that change rows, prepared for the length of a transaction, and the figures that change with them.
pub(super) struct Rows<'c> {
    sizes: CachedStatement<'c>,
    put: CachedStatement<'c>,
    delete: CachedStatement<'c>,
    figures: &'c mut Accounting,
}

impl<'c> Rows<'c> {
    pub(super) fn new(connection: &'c Connection, figures: &'c mut Accounting) -> rusqlite::Result<Self> {
        Ok(Self {
            sizes: connection.prepare_cached(sql::SCAN_SIZES)?,
            put: connection.prepare_cached(sql::PUT)?,
            delete: connection.prepare_cached(sql::DELETE)?,
            figures,
        })
    }

    /// The sizes of the rows under `keys`, which are in order; `None` where there is none.
    ///
    /// Where the keys are as dense as the rows, their rows are read one after the other, which is several times cheaper
    /// than looking for each.
    pub(super) fn sizes<'k>(
        &mut self,
        keys: impl Iterator<Item = &'k [u8]>,
    ) -> rusqlite::Result<Vec<Option<Size>>> {
        let mut keys = keys.peekable();
        let mut sizes = Vec::with_capacity(keys.size_hint().0);
        let mut pace = Steps::every(ROWS_A_LOOK);
        while let Some(&first) = keys.peek() {
            let mut rows = self.sizes.query([first])?;
            let mut row = rows.next()?;
            'near: while let Some(&wanted) = keys.peek() {
                let mut steps = 0;
                let size = loop {
                    let Some(found) = row else { break None };
                    let key = found.get_ref(0)?.as_blob()?;
                    match key.cmp(wanted) {
                        Ordering::Less if steps == STEPS_MAX => break 'near,
                        Ordering::Less => {
                            steps += 1;
                            row = rows.next()?;
                        }
                        Ordering::Equal => break Some(Size::of_row(key.len(), found, 1)?),
                        Ordering::Greater => break None,
                    }
                };
                sizes.push(size);
                pace.step();
                keys.next();
            }
        }
        Ok(sizes)
    }

    /// Puts a row under a key whose size before is known.
    pub(super) fn put(
        &mut self,
        key: &[u8],
        before: Option<Size>,
        columns: &Columns<'_>,
    ) -> rusqlite::Result<()> {
        let Columns { deadline, written, raw_bytes, checksum, value } = *columns;
        self.put.execute((key, deadline, written, raw_bytes, checksum, value))?;
        if let Some(size) = before {
            self.figures.add(-1, size);
        }
        self.figures.add(1, Size::of_columns(key, columns));
        Ok(())
    }

    /// Deletes the row under a key, where there was one.
    pub(super) fn delete(&mut self, key: &[u8], before: Option<Size>) -> rusqlite::Result<()> {
        if let Some(size) = before {
            self.delete.execute([key])?;
            self.figures.add(-1, size);
        }
        Ok(())
    }
}
