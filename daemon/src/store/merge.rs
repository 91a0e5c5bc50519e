//! Moving a sealed generation of the write buffer into the main file, and sweeping expired rows out of it. Slices of
//! one short transaction each, with the accounting in the same transaction. Used by the keeper thread only.

use rusqlite::Connection;

use super::accounting::{Accounting, Rows, Size};
use super::budget::{Budget, SLICE_ROOM_PART};
use super::row::Packer;
use super::sql;
use crate::buffer::Slot;
use crate::entry::{Key, State};
use crate::pace::Steps;

/// Rows written between two looks at the clock: some ten microseconds.
pub(super) const ROWS_A_LOOK: u32 = 8;

/// What a slice did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Done {
    /// Slots taken, or rows swept.
    pub(super) rows: usize,
    /// Entries found past their deadline.
    pub(super) expired: usize,
    /// The keys of these.
    pub(super) gone: Vec<Key>,
}

/// Runs `work` in one transaction; the accounting changes with it or not at all.
pub(super) fn transact<T>(
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
    packer: &mut Packer,
    slots: &[(&Key, &Slot)],
    now_ms: i64,
) -> rusqlite::Result<Done> {
    transact(connection, accounting, |connection, accounting| {
        let mut rows = Rows::new(connection, accounting)?;
        let before = rows.sizes(slots.iter().map(|(key, _)| &key[..]))?;
        let mut steps = Steps::every(ROWS_A_LOOK);
        let mut done = Done::default();
        for ((key, slot), before) in slots.iter().zip(before) {
            match &slot.state {
                State::Live(entry) if !entry.deadline.passed(now_ms) => {
                    rows.put(key, before, &packer.pack(key, entry, now_ms / 1_000))?;
                }
                State::Live(_) => {
                    done.expired += 1;
                    done.gone.push((*key).clone());
                    rows.delete(key, before)?;
                }
                State::Deleted => rows.delete(key, before)?,
            }
            done.rows += 1;
            steps.step();
        }
        Ok(done)
    })
}

/// How many of `slots` one slice takes, at least one, and the most bytes that they can bring into the file. Where only
/// `free_bytes` are left on the disk, it takes so little that the log can be written back afterwards.
pub(super) fn slice_of(slots: &[(&Key, &Slot)], budget: &Budget, free_bytes: u64) -> (usize, u64) {
    let bytes_max = (budget.slice_bytes as u64).min(free_bytes / SLICE_ROOM_PART) as usize;
    let mut bytes = 0;
    for (taken, (key, slot)) in slots.iter().take(budget.slice_rows).enumerate() {
        if taken > 0 && bytes >= bytes_max {
            return (taken, bytes as u64);
        }
        bytes += key.len() + slot.state.value_bytes();
    }
    (slots.len().min(budget.slice_rows), bytes as u64)
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
        let expired: Vec<(Key, Size)> = connection
            .prepare_cached(sql::EXPIRED)?
            .query_map((now_ms, rows_max as i64), |row| {
                let key: Key = row.get_ref(0)?.as_blob()?.into();
                let size = Size::of_row(key.len(), row, 1)?;
                Ok((key, size))
            })?
            .collect::<rusqlite::Result<_>>()?;
        let mut rows = Rows::new(connection, accounting)?;
        let mut steps = Steps::every(ROWS_A_LOOK);
        for (key, size) in &expired {
            rows.delete(key, Some(*size))?;
            steps.step();
        }
        let gone: Vec<Key> = expired.into_iter().map(|(key, _)| key).collect();
        Ok(Done { rows: gone.len(), expired: gone.len(), gone })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buffer::Generation;
    use crate::entry::{Deadline, Entry};
    use crate::store::main_file;
    use crate::store::row::Compression;
    use proptest::prelude::*;

    const NOW_MS: i64 = 1_000_000;

    fn merge_all(connection: &Connection, accounting: &mut Accounting, generation: &Generation) -> usize {
        let mut packer = Packer::new(Compression { from_bytes: Some(40), level: 1 });
        let sorted = generation.sorted();
        let (mut at, mut expired) = (0, 0);
        while at < sorted.len() {
            let done = merge_slice(connection, accounting, &mut packer, &sorted[at..], NOW_MS).unwrap();
            at += done.rows;
            expired += done.expired;
        }
        finish(connection, accounting, generation.id()).unwrap();
        expired
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
            let connection = main_file::open_writer(dir.path(), 0).unwrap();
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
                prop_assert_eq!(accounting, Accounting::count(&connection).unwrap());
                prop_assert_eq!(accounting, Accounting::read(&connection).unwrap());
            }
            sweep_slice(&connection, &mut accounting, 5, NOW_MS + 2).unwrap();
            prop_assert_eq!(accounting, Accounting::count(&connection).unwrap());
            flush(&connection, &mut accounting).unwrap();
            prop_assert_eq!(accounting, Accounting::count(&connection).unwrap());
            prop_assert_eq!(accounting, Accounting::read(&connection).unwrap());
        }
    }

    #[test]
    fn a_slice_ends_at_its_rows_or_its_bytes() {
        let mut generation = Generation::new(1);
        for key in 0..10_u8 {
            generation.put(vec![key].into(), State::Live(Entry::forever(vec![b'v'; 99])));
        }
        let sorted = generation.sorted();
        let budget = Budget { slice_rows: 4, slice_bytes: 1_000, ..Budget::of(None, 1, 1, 1) };
        assert_eq!(slice_of(&sorted, &budget, u64::MAX), (4, 400));
        assert_eq!(slice_of(&sorted[8..], &budget, u64::MAX), (2, 200));
        let budget = Budget { slice_bytes: 250, ..budget };
        assert_eq!(slice_of(&sorted, &budget, u64::MAX), (3, 300));
        assert_eq!(slice_of(&sorted, &budget, 1_200), (2, 200), "a part of what is left on the disk");
        let budget = Budget { slice_bytes: 0, ..budget };
        assert_eq!(slice_of(&sorted, &budget, u64::MAX).0, 1);
    }

    #[test]
    fn expired_entries_never_reach_the_file_and_take_their_old_row_along() {
        let dir = tempfile::tempdir().unwrap();
        let connection = main_file::open_writer(dir.path(), 0).unwrap();
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
