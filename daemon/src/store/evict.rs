//! Eviction: which rows go when the main file has reached its share of `disk_cap`. Used by the keeper only.
//!
//! An approximation of least recently used, in the manner of CLOCK. A hand moves round the table in key order, a window
//! of rows at a time. Rows that the memory tier has a copy of were read lately and are passed over. Of the others those
//! go that are old: written before the first quartile of a sample of them, gathered from the windows the hand has passed.
//! When a whole round has freed nothing, what is in memory goes like the rest.
//!
//! An index by age would be exact, and would halve the speed of every merge; the hand costs some microseconds a row that
//! goes, and nothing while nothing has to.
//!
//! Rows that go here and there leave room inside their pages, which new rows with keys between theirs can use, but no
//! whole page. Where new keys all come in one place, that is not enough: then [`Thoroughly`](Manner::Thoroughly) empties
//! windows of all that is not in memory, which gives back their pages.

use rusqlite::Connection;

use super::accounting::{Accounting, Rows, Size};
use super::merge::{ROWS_A_LOOK, transact};
use super::sql;
use crate::entry::Key;
use crate::pace::Steps;

/// Rows looked at in one slice: about a millisecond.
const WINDOW_ROWS: usize = 512;

/// Rows whose age is remembered: enough for a quartile to be within some percent.
const SAMPLE_ROWS: usize = 4_096;

/// Of each window this many rows, evenly spread, go into the sample, so that the sample spans several windows.
const SAMPLED_A_WINDOW: usize = 64;

/// At most this part of a window goes in one slice, the oldest first, unless thoroughly: rows that were written in the
/// same second cannot be told apart, and should not all go because their keys are neighbours.
const SHARE_MAX: usize = WINDOW_ROWS / 2;

/// The hand, and what it knows of the ages of rows.
#[derive(Debug, Default)]
pub(super) struct Evictor {
    hand: Vec<u8>,
    /// When rows passed lately were written, in unix seconds; a ring.
    sample: Vec<i64>,
    next_sample: usize,
    /// Times the hand came to the end of the table since something was evicted last.
    rounds_in_vain: u32,
}

/// How to choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// The old ones of each window, the oldest first, until they come to so many bytes.
    ByAge {
        /// As stored; one row goes in any case.
        enough_bytes: i64,
    },
    /// All of a window.
    Thoroughly,
}

/// What a slice did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Evicted {
    /// Rows deleted.
    pub(super) rows: usize,
    /// Bytes of their keys and values, as stored.
    pub(super) bytes: i64,
    /// The keys.
    pub(super) gone: Vec<Key>,
}

struct Candidate {
    key: Key,
    size: Size,
    written: i64,
}

impl Evictor {
    /// Moves the hand over one window and deletes what is cold in it. `hot` tells which keys were read lately.
    pub(super) fn evict_slice(
        &mut self,
        connection: &Connection,
        accounting: &mut Accounting,
        manner: Manner,
        hot: &dyn Fn(&[u8]) -> bool,
    ) -> rusqlite::Result<Evicted> {
        let window = self.window(connection)?;
        // The first end of the table may come right after a success, and the round after it may go by ages of rows that
        // are gone; after one more, there is nothing else left.
        let spare_hot = self.rounds_in_vain < 3;
        let mut cold: Vec<_> = window.iter().filter(|row| !(spare_hot && hot(&row.key))).collect();
        self.remember(&cold);
        match manner {
            Manner::ByAge { enough_bytes } => {
                let limit = self.first_quartile();
                cold.retain(|row| row.written <= limit);
                cold.sort_by_key(|row| row.written);
                let mut bytes = 0;
                let enough = |row: &&Candidate| {
                    bytes += row.size.stored_bytes();
                    bytes >= enough_bytes
                };
                let rows = cold.iter().position(enough).map_or(SHARE_MAX, |last| SHARE_MAX.min(last + 1));
                cold.truncate(rows);
            }
            Manner::Thoroughly => {}
        }
        let evicted = transact(connection, accounting, |connection, accounting| {
            let mut rows = Rows::new(connection, accounting)?;
            let mut evicted = Evicted::default();
            let mut steps = Steps::every(ROWS_A_LOOK);
            for row in cold {
                steps.step();
                rows.delete(&row.key, Some(row.size))?;
                evicted.rows += 1;
                evicted.gone.push(row.key.clone());
                evicted.bytes += row.size.stored_bytes();
            }
            Ok(evicted)
        })?;
        self.advance(&window, evicted.rows > 0);
        Ok(evicted)
    }

    fn window(&self, connection: &Connection) -> rusqlite::Result<Vec<Candidate>> {
        connection
            .prepare_cached(sql::SCAN_AGES)?
            .query_map((&self.hand, WINDOW_ROWS as i64), |row| {
                let key: Key = row.get_ref(0)?.as_blob()?.into();
                let size = Size::of_row(key.len(), row, 1)?;
                Ok(Candidate { key, size, written: row.get(4)? })
            })?
            .collect()
    }

    fn remember(&mut self, cold: &[&Candidate]) {
        for row in cold.iter().step_by((WINDOW_ROWS / SAMPLED_A_WINDOW).max(1)) {
            if self.sample.len() < SAMPLE_ROWS {
                self.sample.push(row.written);
            } else {
                self.sample[self.next_sample] = row.written;
                self.next_sample = (self.next_sample + 1) % SAMPLE_ROWS;
            }
        }
    }

    fn first_quartile(&self) -> i64 {
        let mut ages = self.sample.clone();
        if ages.is_empty() {
            return i64::MIN;
        }
        let quartile = ages.len() / 4;
        *ages.select_nth_unstable(quartile).1
    }

    fn advance(&mut self, window: &[Candidate], fruitful: bool) {
        if fruitful {
            self.rounds_in_vain = 0;
        }
        self.hand = match window.last() {
            Some(last) if window.len() == WINDOW_ROWS => {
                // The least key after the last one.
                [&last.key[..], &[0]].concat()
            }
            _ => {
                self.rounds_in_vain += 1;
                if self.rounds_in_vain > 1 {
                    self.sample.clear();
                    self.next_sample = 0;
                }
                Vec::new()
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::Entry;
    use crate::store::main_file;
    use crate::store::row::{Compression, Packer};

    const NOBODY: &dyn Fn(&[u8]) -> bool = &|_| false;

    /// A file with `count` rows under keys in a shuffled order, written one a second.
    fn filled(dir: &std::path::Path, count: u64) -> (Connection, Accounting) {
        let connection = main_file::open_writer(dir, 0).unwrap();
        let mut accounting = Accounting::default();
        let mut packer = Packer::new(Compression { from_bytes: None, level: 1 });
        transact(&connection, &mut accounting, |connection, accounting| {
            let mut rows = Rows::new(connection, accounting)?;
            for second in 0..count {
                let key = second.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
                rows.put(&key, None, &packer.pack(&key, &Entry::forever("value"), second as i64))?;
            }
            Ok(())
        })
        .unwrap();
        (connection, accounting)
    }

    /// Evicts until at most `rows` are left.
    fn evict_to(
        evictor: &mut Evictor,
        connection: &Connection,
        accounting: &mut Accounting,
        rows: i64,
        hot: &dyn Fn(&[u8]) -> bool,
    ) {
        for _ in 0..1_000 {
            if accounting.rows <= rows {
                assert_eq!(*accounting, Accounting::count(connection).unwrap());
                return;
            }
            evictor
                .evict_slice(connection, accounting, Manner::ByAge { enough_bytes: i64::MAX }, hot)
                .unwrap();
        }
        panic!("{} rows are left of which {rows} should be: {evictor:?}", accounting.rows);
    }

    #[test]
    fn mostly_old_rows_go() {
        let dir = tempfile::tempdir().unwrap();
        let (connection, mut accounting) = filled(dir.path(), 20_000);
        evict_to(&mut Evictor::default(), &connection, &mut accounting, 12_000, NOBODY);
        let young: i64 = connection
            .query_row("SELECT count(*) FROM entries WHERE written >= 10000", (), |row| row.get(0))
            .unwrap();
        assert!(young > 9_500, "{young} of the 10,000 younger ones are left");
    }

    #[test]
    fn no_more_rows_go_than_come_to_enough_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let (connection, mut accounting) = filled(dir.path(), 1_000);
        let mut evictor = Evictor::default();
        for (enough_bytes, rows) in [(0, 1), (130, 10), (131, 11)] {
            let done =
                evictor.evict_slice(&connection, &mut accounting, Manner::ByAge { enough_bytes }, NOBODY);
            assert_eq!(done.unwrap().rows, rows, "rows of 13 bytes");
            evictor.hand.clear();
        }
    }

    #[test]
    fn what_is_hot_stays_until_nothing_else_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let (connection, mut accounting) = filled(dir.path(), 4_000);
        let hot = |key: &[u8]| key[0] < 64;
        let count_hot = || -> i64 {
            connection
                .query_row("SELECT count(*) FROM entries WHERE key < x'40'", (), |row| row.get(0))
                .unwrap()
        };
        let before = count_hot();
        let mut evictor = Evictor::default();
        evict_to(&mut evictor, &connection, &mut accounting, before, &hot);
        assert_eq!(count_hot(), before);
        evict_to(&mut evictor, &connection, &mut accounting, 0, &hot);
    }

    #[test]
    fn thoroughly_empties_windows_and_gives_back_pages() {
        let dir = tempfile::tempdir().unwrap();
        let (connection, mut accounting) = filled(dir.path(), 4_000);
        let free = || main_file::pragma_text(&connection, "freelist_count").unwrap().parse::<i64>().unwrap();
        let mut evictor = Evictor::default();
        let done = evictor.evict_slice(&connection, &mut accounting, Manner::Thoroughly, NOBODY).unwrap();
        assert_eq!(done.rows, WINDOW_ROWS);
        assert!(free() > 0);
    }
}
