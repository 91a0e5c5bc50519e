//! How the room on disk is divided between larder's files, so that all of them together stay below `disk_cap`, and so
//! that a full disk can always be worked off.
//!
//! ```text
//! disk_cap = main file
//!          + its log (twice its limit, where readers are in the way of cutting it back, and one slice beyond)
//!          + two journals (the active and the one being merged, each with the turn that was its last)
//!          + reserve (a file of zeros that is given up when the disk is full)
//!          + two lists of hot keys (one being written)
//! ```

use super::hot_list;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// The main file's log is checkpointed and cut back when it has grown to this.
const WAL_BYTES: u64 = 32 * MIB;

/// Rows a slice of a merge writes at most: some ten milliseconds of work, so that jobs never wait long for each other.
const SLICE_ROWS: u64 = 1_000;

/// Bytes a slice writes before it ends early, for large values.
const SLICE_BYTES: u64 = 4 * MIB;

/// What one row can add to the log at most, large values left aside: a page of the table and one of the index.
const LOG_BYTES_A_ROW: u64 = 8 * KIB;

/// Journals may grow to this many times the size at which they are merged while a merge is under way.
const JOURNAL_SLACK: u64 = 2;

/// What is let into a journal in one turn: this part of its share, or this much.
const TURN_PART: u64 = 8;
const TURN_BYTES: u64 = 16 * MIB;

/// What a journal may hold however little room there is on the disk.
const JOURNAL_FLOOR_BYTES: u64 = 256 * KIB;

/// The part of what is free on the disk that a journal may hold. A row may take up to five times its size in the main file
/// (a value of 1,000 bytes keeps half of it with its key, and the rest has a page to itself), and a journal goes only when
/// all of it is merged: two of them may need nine times what one may hold. The rest is for the log, and for others. (Of the
/// least that one may hold the reserve has eight, beside what it has for the log.)
const JOURNAL_PART: u64 = 16;

/// The same for a turn that is committed at once.
const TURN_ROOM_PART: u64 = 5;

/// The part of what is free that the main file's log may grow to: it takes the same once more where it is written back.
pub(super) const LOG_ROOM_PART: u64 = 2;

/// The part of what is free that the values of a slice may take, and the same for all else that it changes. Together with
/// a log that is as large as it may be, that can still be written back.
pub(super) const SLICE_ROOM_PART: u64 = 8;

/// What a journal has beside what is written: headers of frames, and what is not measured yet.
const JOURNAL_OVERHEAD: u64 = 256 * KIB;

/// The shares of each file, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Pages of the main file that are in use; `None` without a cap.
    pub main_bytes: Option<u64>,
    /// The main file's log, before a checkpoint cuts it back.
    pub wal_bytes: u64,
    /// A journal, with plenty of room on the disk.
    pub journal: JournalShare,
    /// A turn that is committed before more is added; the last write of it left aside.
    pub turn_bytes: u64,
    /// Rows of one transaction on the main file.
    pub slice_rows: usize,
    /// Bytes of one transaction on the main file, the last row left aside.
    pub slice_bytes: usize,
    /// Room set aside for working off a full disk: what the log has to be written back, what it can grow by while
    /// deletions are merged, and what journals take in any case.
    pub reserve_bytes: u64,
    /// The list of hot keys.
    pub hot_list_bytes: u64,
}

impl Budget {
    /// Divides `disk_cap`, or without one what suits the size of the file system. Journals are merged at `journal_limit`
    /// or earlier; no value is larger than `value_max`.
    #[must_use]
    pub fn of(disk_cap: Option<u64>, journal_limit: u64, file_system_bytes: u64, value_max: u64) -> Self {
        let whole = disk_cap.unwrap_or(u64::MAX).min(file_system_bytes);
        let wal_bytes = WAL_BYTES.min(whole / 32);
        let slice_rows = SLICE_ROWS.min(wal_bytes / LOG_BYTES_A_ROW).max(16);
        let slice_bytes = SLICE_BYTES.min(wal_bytes / 2);
        let beyond = slice_rows * LOG_BYTES_A_ROW;
        let journal_share = (JOURNAL_SLACK * journal_limit).min(whole / 8);
        let turn_bytes = TURN_BYTES.min(journal_share / TURN_PART);
        // A turn and the value that was its last may come on top, for which a journal has to stop early. It takes
        // something in any case, whatever that may come to.
        let last = turn_bytes + value_max + JOURNAL_OVERHEAD;
        let journal_cap_bytes = journal_share.saturating_sub(last).max(journal_share / 4);
        let seal_bytes = journal_limit.min(whole / 16).min(journal_cap_bytes);
        let journal = JournalShare { seal_bytes, cap_bytes: journal_cap_bytes };
        let reserve_bytes = wal_bytes + beyond + JOURNAL_PART / 2 * journal.floor().cap_bytes;
        let hot_list_bytes = hot_list::BYTES_MAX.min(whole / 64);
        let others = log_bytes(wal_bytes, beyond + slice_bytes + value_max)
            + 2 * (journal_cap_bytes + last)
            + reserve_bytes
            + 2 * hot_list_bytes;
        Self {
            main_bytes: disk_cap.map(|cap| cap.saturating_sub(others)),
            wal_bytes,
            journal,
            turn_bytes,
            slice_rows: slice_rows as usize,
            slice_bytes: slice_bytes as usize,
            reserve_bytes,
            hot_list_bytes,
        }
    }
}

/// What a journal may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JournalShare {
    /// Before it is sealed and merged.
    pub seal_bytes: u64,
    /// While it waits for the merge of the one before; writers wait from then on.
    pub cap_bytes: u64,
}

impl JournalShare {
    /// As much of it as can still be merged where the file system has `free_bytes` left: what is answered must find room
    /// in the main file too, or deletions would wait behind it for ever.
    #[must_use]
    pub fn beside(self, free_bytes: u64) -> Self {
        let cap_bytes = (free_bytes / JOURNAL_PART).max(JOURNAL_FLOOR_BYTES);
        if cap_bytes >= self.cap_bytes {
            return self;
        }
        Self { seal_bytes: self.seal_bytes.min(cap_bytes / 2), cap_bytes }
    }

    /// What is left of it on a full disk.
    #[must_use]
    pub fn floor(self) -> Self {
        self.beside(0)
    }

    /// Whether so much at once is too much for a file system with `free_bytes` left.
    #[must_use]
    pub fn is_exceeded_by(self, bytes: u64, free_bytes: u64) -> bool {
        bytes > self.floor().cap_bytes && bytes > free_bytes / TURN_ROOM_PART
    }
}

/// How many rows, or pages, one slice can change where a disk has `free_bytes` left.
pub(super) fn rows_beside(free_bytes: u64) -> usize {
    usize::try_from(free_bytes / SLICE_ROOM_PART / LOG_BYTES_A_ROW).unwrap_or(usize::MAX).max(1)
}

/// The most the main file's log comes to, where a slice adds up to `slice`.
fn log_bytes(limit: u64, slice: u64) -> u64 {
    2 * limit + slice
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOURNAL: u64 = 128 * MIB;

    #[test]
    fn the_shares_stay_below_the_cap_and_the_main_file_has_a_good_part() {
        for cap_mib in [64, 100, 1_000, 10_240, 1 << 20] {
            for values_in_cap in [8, 16, 10_000] {
                let cap = cap_mib * MIB;
                let value = cap / values_in_cap;
                let budget = Budget::of(Some(cap), JOURNAL, 1 << 50, value);
                let main = budget.main_bytes.unwrap();
                let log = 2 * budget.wal_bytes
                    + budget.slice_rows as u64 * LOG_BYTES_A_ROW
                    + budget.slice_bytes as u64
                    + value;
                let journals = 2 * (budget.journal.cap_bytes + budget.turn_bytes + value + JOURNAL_OVERHEAD);
                let lists = 2 * budget.hot_list_bytes;
                assert!(main + log + journals + budget.reserve_bytes + lists <= cap, "{budget:?}");
                assert!(main > cap / 5 * if values_in_cap == 8 { 1 } else { 2 }, "{budget:?}");
                assert!(budget.journal.seal_bytes <= budget.journal.cap_bytes, "{budget:?}");
            }
        }
    }

    #[test]
    fn a_small_file_system_gets_small_slices_and_a_small_reserve() {
        let budget = Budget::of(None, JOURNAL, 16 * MIB, 64 * MIB);
        assert_eq!(budget.main_bytes, None);
        assert!(budget.reserve_bytes <= 3 * MIB && budget.slice_rows >= 16, "{budget:?}");
        let usual = Budget::of(None, JOURNAL, 1 << 40, 64 * MIB);
        assert_eq!((usual.wal_bytes, usual.slice_rows as u64), (WAL_BYTES, SLICE_ROWS));
        assert_eq!(usual.journal.seal_bytes, JOURNAL);
    }

    #[test]
    fn journals_shrink_with_the_room_on_the_disk() {
        let share = Budget::of(None, JOURNAL, 1 << 40, 64 * MIB).journal;
        assert_eq!(share.beside(u64::MAX), share);
        assert_eq!(share.beside(16 << 30), share);
        let less = share.beside(800 * MIB);
        assert_eq!(less, JournalShare { seal_bytes: 25 * MIB, cap_bytes: 50 * MIB });
        assert_eq!(share.floor(), JournalShare { seal_bytes: 128 * KIB, cap_bytes: 256 * KIB });
        let tiny = JournalShare { seal_bytes: KIB, cap_bytes: KIB };
        assert_eq!(tiny.floor(), tiny);
    }

    #[test]
    fn a_slice_changes_what_can_be_written_back_and_something_in_any_case() {
        let plenty = Budget::of(None, JOURNAL, 1 << 40, 64 * MIB);
        assert!(
            rows_beside(plenty.reserve_bytes) < plenty.slice_rows && rows_beside(1 << 30) > plenty.slice_rows
        );
        assert_eq!((rows_beside(0), rows_beside(64 * MIB)), (1, 1_024));
        // A slice on top of a log as large as it may be, and then both once more in the main file.
        let free = 128 * MIB;
        let (log, slice) = (free / LOG_ROOM_PART, 2 * (free / SLICE_ROOM_PART));
        assert!(log + slice <= free - slice);
    }

    #[test]
    fn one_turn_must_find_room_more_than_once() {
        let share = Budget::of(None, JOURNAL, 1 << 40, 64 * MIB).journal;
        assert!(!share.is_exceeded_by(30 * MIB, 150 * MIB) && share.is_exceeded_by(31 * MIB, 150 * MIB));
        assert!(!share.is_exceeded_by(256 * KIB, 0), "what the reserve is for");
    }
}
