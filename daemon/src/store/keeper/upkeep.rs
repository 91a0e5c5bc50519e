//! What the keeper does beside merging: removing what has expired, cutting back the main file's log, giving free pages
//! back to the file system, keeping the file below its cap, and taking the reserve again when there is room.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{End, Event, Sweep, Swept, Worker};
use crate::clock::Stopwatch;
use crate::notices::NoticeKind;
use crate::pace::{self, Haste};
use crate::store::budget::LOG_ROOM_PART;
use crate::store::main_file::{self, PAGE_BYTES};
use crate::store::{FileSystem, StoreError, merge};

/// How often a full disk is looked at for room.
const ROOM_INTERVAL: Duration = Duration::from_millis(200);

/// Pause while the log cannot be cut back because a reader is in it.
const READER_PAUSE: Duration = Duration::from_millis(5);

/// Free pages worth giving back: this many, and this part of the file. Fewer will be needed again soon.
const FREE_PAGES_MIN: u64 = 1_024;
const FREE_PART: u64 = 4;

/// Pages moved or cut off in one transaction at most: some hundred microseconds. GETs beside it took 10 ms at most with 64, half
/// of that with 16, as with one.
const VACUUM_PAGES: usize = 16;

/// Bytes that are evicted in one go where the file is above its cap, after it was lowered.
const TRIM_BYTES: u64 = 1 << 20;

/// When the keeper next has something to do without being asked.
pub(super) enum Idle {
    /// At once.
    Now,
    /// After a while.
    After(Duration),
    /// Not before a job comes.
    Never,
}

/// Pages of the main file.
#[derive(Clone, Copy, Debug)]
struct Pages {
    all: u64,
    free: u64,
}

impl Worker {
    pub(super) fn idle(&self) -> Idle {
        if self.tidy || !self.sweeps.is_empty() || !self.backups.is_empty() {
            Idle::Now
        } else if self.reserve.is_held() {
            Idle::Never
        } else {
            // Since the last look, whatever came in between.
            Idle::After(ROOM_INTERVAL.saturating_sub(Duration::from_millis(self.looked_for_room.ms())))
        }
    }

    /// A slice of whatever is left to do. Without the reserve, writers are refused until this has made room.
    pub(super) fn tidy_up(&mut self) -> Result<(), End> {
        let haste = if self.reserve.is_held() { Haste::Wanted } else { Haste::Urgent };
        pace::by(move || haste, || self.tidy_step())
    }

    fn tidy_step(&mut self) -> Result<(), End> {
        if !self.sweeps.is_empty() {
            return self.sweep();
        }
        if !self.reserve.is_held() && Duration::from_millis(self.looked_for_room.ms()) >= ROOM_INTERVAL {
            return self.look_for_room();
        }
        if self.tidy {
            self.tidy = match self.tidy_file() {
                Ok(more) => more,
                Err(error) if error.is_full() && self.reserve.is_held() => return self.use_reserve(error),
                Err(error) if error.is_damage() => {
                    self.send(Event::Fatal(error))?;
                    return Err(End);
                }
                // Said already; it is tried again with the next look for room.
                Err(error) if error.is_full() => false,
                // Costs room, not truth, and the next merge asks for it again.
                Err(error) => {
                    tracing::warn!("{error}");
                    false
                }
            };
        }
        Ok(())
    }

    /// Takes the reserve again if there is room, and otherwise has some made.
    fn look_for_room(&mut self) -> Result<(), End> {
        self.looked_for_room = Stopwatch::start();
        // With some room beside it, or the next write would have to give it up again.
        let beside = self.setup.budget.journal.floor().cap_bytes;
        let room = self.free_bytes() >= self.setup.budget.reserve_bytes + beside;
        if room && self.reserve.take().is_ok() {
            return self.send(Event::RoomAgain);
        }
        // Whatever kept them from it before may be over.
        self.tidy = true;
        self.uncut = true;
        Ok(())
    }

    fn sweep(&mut self) -> Result<(), End> {
        let slice = self.sweep_rows();
        let now_ms = self.setup.clock.now_ms();
        let (stored_bytes, log_bytes) = (self.accounting.stored_bytes, self.wal_bytes());
        let swept = merge::sweep_slice(&self.connection, &mut self.accounting, slice, now_ms)
            .map_err(self.sqlite("clean up"));
        let more = swept.and_then(|done| {
            if let Some(sweep) = self.sweeps.front_mut() {
                // Gone, whatever becomes of the log.
                sweep.rows += done.rows;
                sweep.bytes += stored_bytes - self.accounting.stored_bytes;
            }
            self.setup.copies.removed(NoticeKind::Expired, done.gone);
            self.unhurried.wrote(done.rows, self.wal_bytes().saturating_sub(log_bytes));
            self.bound_log()?;
            pace::step_back_after_a_burst();
            Ok(done.rows == slice)
        });
        match more {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            Err(error) if error.is_full() && self.reserve.is_held() => return self.use_reserve(error),
            // Otherwise no sweep would ever get through again.
            Err(error) if error.is_damage() => {
                self.send(Event::Fatal(error))?;
                return Err(End);
            }
            // Expired rows are never served, so a failed sweep costs room, not truth: the next one goes on.
            Err(error) => tracing::warn!("clean-up stopped early: {error}"),
        }
        let Some(Sweep { rows, bytes, watch }) = self.sweeps.pop_front() else { return Ok(()) };
        self.tidy |= rows > 0;
        self.send(Event::Swept(Swept { rows, bytes, ms: watch.ms(), accounting: self.accounting }))
    }

    /// Gives the reserve up for what was under way, which is then tried again: it makes room, but takes some first. Says
    /// so where it had not been given up before.
    pub(super) fn use_reserve(&mut self, error: StoreError) -> Result<(), End> {
        self.tidy = true;
        if self.reserve.give_up() { self.send(Event::Full(error)) } else { Ok(()) }
    }

    /// One slice of making the file smaller; whether there is more to do.
    fn tidy_file(&mut self) -> Result<bool, StoreError> {
        self.limit_size()?;
        let pages = self.pages()?;
        let cap_pages = self.cap_pages();
        let above = cap_pages.is_some_and(|cap| pages.all > cap);
        if above && cap_pages.is_some_and(|cap| pages.all - pages.free > cap) && self.evict_for(TRIM_BYTES)? {
            let after = self.pages()?;
            if after.all - after.free < pages.all - pages.free {
                // It was enough for something. More each time would in the end take far more than has to go.
                self.pressure = 1;
            }
            return Ok(true);
        }
        // Where the disk is full, or nearly, every page counts: what larder does not need itself may be what the reserve lacks.
        let short = !self.reserve.is_held() || self.free_bytes() < self.setup.budget.reserve_bytes;
        let worthwhile = short || pages.free >= FREE_PAGES_MIN && pages.free * FREE_PART >= pages.all;
        if pages.free > 0 && (above || worthwhile) {
            self.bound_log()?;
            // A page that moves also changes the one that points to it, as a row may that goes.
            let pages_max = VACUUM_PAGES.min(self.slice_rows());
            main_file::vacuum(&self.connection, pages_max).map_err(self.sqlite("give back room of"))?;
            let after = self.pages()?;
            pace::step_back_after_a_burst();
            self.tally.vacuumed_pages.fetch_add(pages.all - after.all, Ordering::Relaxed);
            if after.all < pages.all {
                self.uncut = true;
                return Ok(true);
            }
        }
        if self.uncut {
            // Only now is the file itself cut off. Where a reader is in the way, again after what else there is to do.
            self.uncut = !self.checkpoint()?;
        }
        Ok(self.uncut)
    }

    /// Sets the last word on the file's size: a transaction that would need more fails, and makes room. A file that is
    /// larger already grows no further.
    pub(super) fn limit_size(&self) -> Result<(), StoreError> {
        let Some(cap) = self.cap_pages() else { return Ok(()) };
        let limit = format!("PRAGMA max_page_count = {cap}");
        self.connection.query_row(&limit, (), |_| Ok(())).map_err(self.sqlite("limit the size of"))
    }

    fn cap_pages(&self) -> Option<u64> {
        self.setup.budget.main_bytes.map(|bytes| bytes / u64::from(PAGE_BYTES))
    }

    /// Whether the main file has come so close to its share of the disk that a slice may have failed for that.
    pub(super) fn file_at_cap(&self, slice_bytes: u64) -> bool {
        let Some(cap) = self.setup.budget.main_bytes else { return false };
        let Ok(Pages { all, free }) = self.pages() else { return false };
        // A row takes at most twice its size, and at least its share of a page split in two.
        let slice = 2 * slice_bytes + self.setup.budget.slice_rows as u64 * u64::from(PAGE_BYTES);
        (all - free) * u64::from(PAGE_BYTES) + slice >= cap
    }

    /// Rows that a slice of a clean-up removes, so that it stays within the log's share of the disk.
    pub(super) fn sweep_rows(&self) -> usize {
        self.setup.sweep_slice_rows.min(self.slice_rows())
    }

    /// Size of the file once the log is written back.
    pub(super) fn main_bytes(&self) -> Result<u64, StoreError> {
        Ok(self.pages()?.all * u64::from(PAGE_BYTES))
    }

    fn pages(&self) -> Result<Pages, StoreError> {
        let count = |pragma| {
            let pages: rusqlite::Result<i64> =
                self.connection.pragma_query_value(None, pragma, |row| row.get(0));
            pages.map(|pages| pages as u64).map_err(self.sqlite("look at"))
        };
        Ok(Pages { all: count("page_count")?, free: count("freelist_count")? })
    }

    /// Cuts the log back where it has grown to its limit. Where a reader is in it that may wait, up to twice the limit.
    ///
    /// Where there is little room on the disk, earlier: what the log takes has to be there once more when it is written
    /// back.
    pub(super) fn bound_log(&mut self) -> Result<(), StoreError> {
        let limit = self.setup.budget.wal_bytes;
        let beside = (self.free_bytes() / LOG_ROOM_PART).max(1);
        let waits_from = if beside < limit { beside } else { 2 * limit };
        while self.wal_bytes() >= limit.min(beside) && !self.checkpoint()? && self.wal_bytes() >= waits_from {
            if self.setup.clock.now_ms() >= self.give_up_ms.load(Ordering::Relaxed) {
                break;
            }
            std::thread::sleep(READER_PAUSE);
        }
        Ok(())
    }

    /// Writes the log's pages into the file and cuts it to nothing; false where a reader was in the way.
    fn checkpoint(&mut self) -> Result<bool, StoreError> {
        let busy: bool = self
            .connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |row| row.get(0))
            .map_err(self.sqlite("checkpoint"))?;
        self.tally.checkpoints.fetch_add(u64::from(!busy), Ordering::Relaxed);
        Ok(!busy)
    }

    /// What is left on the file system.
    pub(super) fn free_bytes(&self) -> u64 {
        FileSystem::free_bytes_of(&self.setup.dir)
    }

    pub(super) fn wal_bytes(&self) -> u64 {
        self.wal.metadata().map_or(0, |wal| wal.len())
    }

    /// Why only deletions are taken.
    pub(super) fn no_reserve(&self) -> StoreError {
        StoreError::full("keep a reserve for deletions in", &main_file::path_in(&self.setup.dir))
    }
}
