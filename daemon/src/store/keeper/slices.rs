//! How much the keeper writes in one transaction: what the disk has room for, and less while nobody is in a hurry.
//!
//! A transaction's pages are written when it commits, one after the other and without a rest between them. Where keys are far
//! apart each row brings a page of its own, and a thousand pages take some milliseconds, for which a reader that is woken on
//! the same core may have to wait. Where they are close together, thirty rows share a page, and small slices would write
//! more pages than they need to.

use super::Worker;
use crate::pace::{self, Haste};
use crate::store::budget::rows_beside;
use crate::store::main_file::PAGE_BYTES;

/// Pages that a slice should write: two or three hundred microseconds.
const PAGES: u64 = 64;

/// Rows of a slice, however many pages they bring.
const ROWS_MIN: usize = 16;

/// How many rows bring about so many pages, as seen from the slices before.
#[derive(Debug)]
pub(super) struct Unhurried {
    rows: usize,
}

impl Default for Unhurried {
    fn default() -> Self {
        Self { rows: PAGES as usize }
    }
}

impl Unhurried {
    /// A slice of so many rows has made the log grow by so many bytes. Sizes change by a factor of two at most, as one slice
    /// says little of the next.
    pub(super) fn wrote(&mut self, rows: usize, log_bytes: u64) {
        let pages = (log_bytes / u64::from(PAGE_BYTES)).max(1);
        let enough = (rows as u64 * PAGES / pages) as usize;
        self.rows = enough.clamp(self.rows / 2, self.rows.saturating_mul(2)).max(ROWS_MIN);
    }
}

impl Worker {
    /// Rows that the next slice should have at most: no more than what is left on the disk has room for.
    pub(super) fn slice_rows(&self) -> usize {
        let most = self.setup.budget.slice_rows.min(rows_beside(self.free_bytes()));
        if pace::haste() == Haste::Urgent { most } else { most.min(self.unhurried.rows) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: u64 = PAGE_BYTES as u64;

    #[test]
    fn slices_grow_and_shrink_until_they_write_as_much_as_they_should() {
        let mut sparse = Unhurried { rows: 1_000 };
        let mut dense = Unhurried { rows: 20 };
        for _ in 0..10 {
            // A page a row, and three that every slice writes.
            sparse.wrote(sparse.rows, (sparse.rows as u64 + 3) * PAGE);
            dense.wrote(dense.rows, (dense.rows as u64 / 32 + 3) * PAGE);
        }
        assert!((55..=64).contains(&sparse.rows), "{sparse:?}");
        assert!((1_500..=2_500).contains(&dense.rows), "{dense:?}");
    }

    #[test]
    fn a_slice_that_wrote_nothing_and_one_of_large_values_are_taken_as_well() {
        let mut slices = Unhurried::default();
        slices.wrote(64, 0);
        assert_eq!(slices.rows, 128);
        for _ in 0..10 {
            slices.wrote(1, 1_000 * PAGE);
        }
        assert_eq!(slices.rows, ROWS_MIN);
    }
}
