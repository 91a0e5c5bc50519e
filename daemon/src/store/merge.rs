//! Moving a sealed generation of the write buffer into the main file, and sweeping expired rows out of it. Slices of
//! one short transaction each, with the accounting in the same transaction. Used by the keeper thread only.

use rusqlite::{Connection, OptionalExtension as _};

use super::sql;
use crate::buffer::Slot;
use crate::entry::{Deadline, Entry, Key, State};

/// Rows a slice writes at most: some ten milliseconds of work, so that jobs never wait long for each other.
pub(super) const SLICE_ROWS: usize = 1_000;

/// Bytes a slice writes before it ends early, for large values.
const SLICE_BYTES: usize = 4 << 20;

/// The figures of the main file that its accounting row keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accounting {
    /// Rows.
    pub rows: i64,
    /// Rows with a deadline.
    pub ttl_rows: i64,
    /// Bytes of keys and values.
    pub content_bytes: i64,
    /// Journals up to this generation are contained in the file.
    pub merged_generation: i64,
}

impl Accounting {
    pub(super) fn read(connection: &Connection) -> rusqlite::Result<Self> {
        connection.query_row(sql::READ_ACCOUNTING, (), |row| {
            Ok(Self {
                rows: row.get(0)?,
                ttl_rows: row.get(1)?,
                content_bytes: row.get(2)?,
                merged_generation: row.get(3)?,
            })
        })
    }

    fn write(&self, connection: &Connection) -> rusqlite::Result<()> {
        connection.prepare_cached(sql::WRITE_ACCOUNTING)?.execute((
            self.rows,
            self.ttl_rows,
            self.content_bytes,
            self.merged_generation,
        ))?;
        Ok(())
    }

    fn add(&mut self, sign: i64, key_bytes: usize, value_bytes: usize, deadline: Deadline) {
        self.rows += sign;
        self.ttl_rows += sign * i64::from(deadline != Deadline::NEVER);
        self.content_bytes += sign * (key_bytes + value_bytes) as i64;
    }
}

/// What a slice did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Done {
    /// Slots taken, or rows swept.
    pub(super) rows: usize,
    /// Entries found past their deadline.
    pub(super) expired: usize,
}

/// Runs `work` in one transaction; the accounting changes with it or not at all.
fn transact<T>(
    connection: &Connection,
    accounting: &mut Accounting,
    work: impl FnOnce(&Connection, &mut Accounting) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    // Dropping the transaction rolls it back, also where SQLite has already done so by itself (disk full).
    let transaction = connection.unchecked_transaction()?;
    let mut counted = *accounting;
    let done = work(&transaction, &mut counted)?;
    counted.write(&transaction)?;
    transaction.commit()?;
    *accounting = counted;
    Ok(done)
}

/// Empties the main file: the first thing a flushed generation's merge does.
pub(super) fn flush(connection: &Connection, accounting: &mut Accounting) -> rusqlite::Result<()> {
    transact(connection, accounting, |connection, accounting| {
        connection.execute(sql::DELETE_ALL, ())?;
        *accounting = Accounting { merged_generation: accounting.merged_generation, ..Accounting::default() };
        Ok(())
    })
}

/// Merges a beginning of `slots`, which are in key order, and says how much that was.
pub(super) fn merge_slice(
    connection: &Connection,
    accounting: &mut Accounting,
    slots: &[(&Key, &Slot)],
    now_ms: i64,
) -> rusqlite::Result<Done> {
    transact(connection, accounting, |connection, accounting| {
        let mut done = Done::default();
        let mut bytes = 0;
        for (key, slot) in slots.iter().take(SLICE_ROWS) {
            match &slot.state {
                State::Live(entry) if !entry.deadline.passed(now_ms) => {
                    put(connection, accounting, key, entry)?;
                    bytes += key.len() + entry.value.len();
                }
                State::Live(_) => {
                    done.expired += 1;
                    delete(connection, accounting, key)?;
                }
                State::Deleted => delete(connection, accounting, key)?,
            }
            done.rows += 1;
            if bytes >= SLICE_BYTES {
                break;
            }
        }
        Ok(done)
    })
}

/// Records that `generation` is wholly contained in the main file.
pub(super) fn finish(
    connection: &Connection,
    accounting: &mut Accounting,
    generation: u64,
) -> rusqlite::Result<()> {
    transact(connection, accounting, |_, accounting| {
        accounting.merged_generation = generation as i64;
        Ok(())
    })
}

/// Deletes up to `rows_max` rows whose deadline has passed, the longest expired first.
pub(super) fn sweep_slice(
    connection: &Connection,
    accounting: &mut Accounting,
    rows_max: usize,
    now_ms: i64,
) -> rusqlite::Result<Done> {
    transact(connection, accounting, |connection, accounting| {
        let expired: Vec<(Key, usize)> = connection
            .prepare_cached(sql::EXPIRED)?
            .query_map((now_ms, rows_max as i64), |row| {
                Ok((row.get_ref(0)?.as_blob()?.into(), row.get::<_, i64>(1)? as usize))
            })?
            .collect::<rusqlite::Result<_>>()?;
        let mut delete = connection.prepare_cached(sql::DELETE)?;
        for (key, value_bytes) in &expired {
            delete.execute([key])?;
            accounting.add(-1, key.len(), *value_bytes, Deadline::at(now_ms));
        }
        Ok(Done { rows: expired.len(), expired: expired.len() })
    })
}

fn put(
    connection: &Connection,
    accounting: &mut Accounting,
    key: &Key,
    entry: &Entry,
) -> rusqlite::Result<()> {
    let old = forget(connection, accounting, key)?;
    let statement = if old { sql::UPDATE } else { sql::INSERT };
    connection.prepare_cached(statement)?.execute((key, &entry.value[..], entry.deadline.unix_ms()))?;
    accounting.add(1, key.len(), entry.value.len(), entry.deadline);
    Ok(())
}

fn delete(connection: &Connection, accounting: &mut Accounting, key: &Key) -> rusqlite::Result<()> {
    if forget(connection, accounting, key)? {
        connection.prepare_cached(sql::DELETE)?.execute([key])?;
    }
    Ok(())
}

/// Takes the row under `key` out of the accounting; false where there is none.
fn forget(connection: &Connection, accounting: &mut Accounting, key: &Key) -> rusqlite::Result<bool> {
    let old: Option<(usize, Option<i64>)> = connection
        .prepare_cached(sql::SIZE)?
        .query_row([key], |row| Ok((row.get::<_, i64>(0)? as usize, row.get(1)?)))
        .optional()?;
    let Some((value_bytes, deadline)) = old else { return Ok(false) };
    accounting.add(-1, key.len(), value_bytes, Deadline::from_stored(deadline));
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buffer::Generation;
    use crate::store::main_file;
    use proptest::prelude::*;

    const NOW_MS: i64 = 1_000_000;

    fn merge_all(connection: &Connection, accounting: &mut Accounting, generation: &Generation) -> usize {
        let sorted = generation.sorted();
        let (mut at, mut expired) = (0, 0);
        while at < sorted.len() {
            let done = merge_slice(connection, accounting, &sorted[at..], NOW_MS).unwrap();
            at += done.rows;
            expired += done.expired;
        }
        finish(connection, accounting, generation.id()).unwrap();
        expired
    }

    fn counted_by_scan(connection: &Connection) -> (i64, i64, i64) {
        connection
            .query_row(
                "SELECT count(*), count(deadline), coalesce(sum(length(key) + length(value)), 0) FROM entries",
                (),
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
            )
            .unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn the_accounting_always_equals_a_scan(
            generations in proptest::collection::vec(
                proptest::collection::vec(
                    (0..12u8, proptest::option::of((0..50usize, proptest::option::of(NOW_MS - 5..NOW_MS + 5)))),
                    0..30,
                ),
                1..6,
            ),
        ) {
            let dir = tempfile::tempdir().unwrap();
            let connection = main_file::open_writer(dir.path()).unwrap();
            let mut accounting = Accounting::read(&connection).unwrap();
            for (id, writes) in (1..).zip(generations) {
                let mut generation = Generation::new(id);
                for (key, state) in writes {
                    let state = state.map_or(State::Deleted, |(len, deadline)| {
                        State::Live(Entry { value: vec![b'v'; len].into(), deadline: Deadline::from_stored(deadline) })
                    });
                    generation.put(vec![b'k', key].into(), state);
                }
                merge_all(&connection, &mut accounting, &generation);
                let counted = (accounting.rows, accounting.ttl_rows, accounting.content_bytes);
                prop_assert_eq!(counted, counted_by_scan(&connection));
                prop_assert_eq!(accounting, Accounting::read(&connection).unwrap());
            }
            sweep_slice(&connection, &mut accounting, 5, NOW_MS + 2).unwrap();
            let counted = (accounting.rows, accounting.ttl_rows, accounting.content_bytes);
            prop_assert_eq!(counted, counted_by_scan(&connection));
            flush(&connection, &mut accounting).unwrap();
            prop_assert_eq!((0, 0, 0), counted_by_scan(&connection));
            prop_assert_eq!(accounting, Accounting::read(&connection).unwrap());
        }
    }

    #[test]
    fn expired_entries_never_reach_the_file_and_take_their_old_row_along() {
        let dir = tempfile::tempdir().unwrap();
        let connection = main_file::open_writer(dir.path()).unwrap();
        let mut accounting = Accounting::default();
        let mut first = Generation::new(1);
        first.put((*b"k").into(), State::Live(Entry::forever("old")));
        assert_eq!(merge_all(&connection, &mut accounting, &first), 0);
        let mut second = Generation::new(2);
        let value = Entry { value: "new".into(), deadline: Deadline::at(NOW_MS) };
        second.put((*b"k").into(), State::Live(value));
        assert_eq!(merge_all(&connection, &mut accounting, &second), 1);
        assert_eq!((accounting.rows, accounting.merged_generation), (0, 2));
    }
}
