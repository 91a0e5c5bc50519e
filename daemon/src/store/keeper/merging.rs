//! Merging a sealed generation into the main file, slice by slice, and making room for it where the file has reached its
//! share of the disk.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use super::{Backing, End, Event, Evicted, Job, Merged, Worker};
use crate::buffer::{Generation, Slot};
use crate::clock::Stopwatch;
use crate::entry::Key;
use crate::notices::NoticeKind;
use crate::pace::{self, Haste};
use crate::store::StoreError;
use crate::store::evict::Manner;
use crate::store::journal::Found;
use crate::store::{main_file, merge};

/// Pause before a failed merge is tried again; disks rarely empty sooner.
const RETRY: Duration = Duration::from_millis(500);

/// Beyond this pressure, rows here and there have not made enough room: whole windows go.
const THOROUGHLY_FROM: u32 = 16;

/// Bytes that are evicted of a window that is looked at at all, if there are as many that are old: looking at it takes a
/// millisecond.
const WINDOW_BYTES: i64 = 256 << 10;

/// Windows looked at for one slice before the slice is tried again all the same.
const WINDOWS_MAX: usize = 10_000;

/// A merge under way.
struct Progress<'g> {
    generation: u64,
    sorted: Vec<(&'g Key, &'g Slot)>,
    /// Whether the generation's flush, if it has one, is done.
    flushed: bool,
    rows: usize,
    expired: usize,
}

impl Worker {
    /// Merges the generation whole, or ends the thread trying.
    pub(super) fn merge(
        &mut self,
        generation: Arc<Generation>,
        backing: Backing,
        inbox: &Receiver<Job>,
    ) -> Result<(), End> {
        let haste = {
            let (generation, give_up_ms) = (Arc::clone(&generation), Arc::clone(&self.give_up_ms));
            move || {
                let stopping = give_up_ms.load(Ordering::Relaxed) != i64::MAX;
                if stopping { Haste::Urgent } else { generation.merge_haste() }
            }
        };
        let merged = pace::by(haste, || self.merge_whole(&generation, inbox))?;
        // So that this thread is not the one to free it.
        drop(generation);
        self.tidy = true;
        self.send(Event::Merged(merged))?;
        delete_backing(backing);
        Ok(())
    }

    fn merge_whole(&mut self, generation: &Arc<Generation>, inbox: &Receiver<Job>) -> Result<Merged, End> {
        let watch = Stopwatch::start();
        let mut progress = Progress {
            generation: generation.id(),
            sorted: generation.sorted(),
            flushed: !generation.flushed(),
            rows: 0,
            expired: 0,
        };
        loop {
            if self.setup.clock.now_ms() >= self.give_up_ms.load(Ordering::Relaxed) {
                let left = progress.sorted.len() - progress.rows;
                tracing::info!("stopping with {left} writes left in the journal");
                return Err(End);
            }
            match self.merge_step(&mut progress) {
                Ok(true) => {
                    generation.set_merged(progress.rows);
                    self.hear(inbox)?;
                }
                Ok(false) => break,
                Err(error) if error.is_full() => self.make_room(&progress, error, inbox)?,
                Err(error) => {
                    self.send(Event::Fatal(error))?;
                    return Err(End);
                }
            }
        }
        self.setup.copies.refresh(generation);
        Ok(Merged {
            generation: progress.generation,
            rows: progress.rows,
            expired: progress.expired,
            ms: watch.ms(),
            accounting: self.accounting,
        })
    }

    /// One slice; false when the generation is wholly merged and forced to disk.
    fn merge_step(&mut self, progress: &mut Progress<'_>) -> Result<bool, StoreError> {
        let sqlite = self.sqlite("merge into");
        self.bound_log()?;
        let rest = &progress.sorted[progress.rows..];
        if !progress.flushed {
            merge::flush(&self.connection, &mut self.accounting).map_err(sqlite)?;
            progress.flushed = true;
        } else if !rest.is_empty() {
            let now_ms = self.setup.clock.now_ms();
            let (rows, _) = merge::slice_of(rest, &self.setup.budget, self.free_bytes());
            let (rows, log_bytes) = (rows.min(self.slice_rows()), self.wal_bytes());
            let Self { connection, accounting, packer, .. } = self;
            let done =
                merge::merge_slice(connection, accounting, packer, &rest[..rows], now_ms).map_err(sqlite)?;
            progress.rows += done.rows;
            progress.expired += done.expired;
            self.setup.copies.removed(NoticeKind::Expired, done.gone);
            self.pressure = 1;
            self.unhurried.wrote(done.rows, self.wal_bytes().saturating_sub(log_bytes));
            pace::step_back_after_a_burst();
        } else {
            merge::finish(&self.connection, &mut self.accounting, progress.generation).map_err(sqlite)?;
            // Only then may the journal go: a power cut must find the writes in one of the two files.
            self.wal
                .sync_data()
                .map_err(StoreError::io("sync log of", &main_file::path_in(&self.setup.dir)))?;
            return Ok(false);
        }
        Ok(true)
    }

    /// A slice did not fit: into the file's share of the disk, or onto the disk itself.
    fn make_room(
        &mut self,
        progress: &Progress<'_>,
        error: StoreError,
        inbox: &Receiver<Job>,
    ) -> Result<(), End> {
        let (_, slice_bytes) =
            merge::slice_of(&progress.sorted[progress.rows..], &self.setup.budget, u64::MAX);
        let at_cap = self.file_at_cap(slice_bytes);
        let evicted = if at_cap { self.evict_for(slice_bytes) } else { Ok(false) };
        if self.has_made_room(evicted)? {
            return Ok(());
        }
        if self.give_up_backup()? {
            return Ok(());
        }
        if self.reserve.is_held() {
            return self.use_reserve(error);
        }
        // Clean-ups wait for the end of the merge, and that may have to wait for them.
        let swept = if at_cap { Ok(false) } else { self.sweep_for_room() };
        if self.has_made_room(swept)? {
            return Ok(());
        }
        self.send(Event::MergeFailed(error))?;
        self.pause(inbox, RETRY)
    }

    /// Whether rows were removed. That there was no room to do it is none to fail for.
    fn has_made_room(&self, removed: Result<bool, StoreError>) -> Result<bool, End> {
        match removed {
            Ok(removed) => Ok(removed),
            Err(error) if error.is_full() => Ok(false),
            Err(error) => {
                self.send(Event::Fatal(error))?;
                Err(End)
            }
        }
    }

    /// Removes some slices' worth of rows, the expired first. False where there was nothing to remove.
    pub(super) fn evict_for(&mut self, slice_bytes: u64) -> Result<bool, StoreError> {
        self.remove(|worker, gone| worker.evict_some(slice_bytes, gone))
    }

    /// Removes some slices' worth of what has expired. False where there was nothing, or no room to do it.
    fn sweep_for_room(&mut self) -> Result<bool, StoreError> {
        self.remove(|worker, gone| {
            let enough = worker.accounting.rows - worker.setup.budget.slice_rows as i64;
            match worker.sweep_until(&mut gone.expired, |worker| worker.accounting.rows <= enough) {
                // What is gone already may be enough.
                Err(error) if error.is_full() => Ok(()),
                ended => ended,
            }
        })
    }

    /// Removes rows and tells of them, also where that ends early.
    fn remove(
        &mut self,
        work: impl FnOnce(&mut Self, &mut Evicted) -> Result<(), StoreError>,
    ) -> Result<bool, StoreError> {
        let mut gone = Evicted { rows: 0, bytes: 0, expired: 0, accounting: self.accounting };
        let ended = work(self, &mut gone);
        gone.accounting = self.accounting;
        let removed = gone.rows + gone.expired > 0;
        if removed {
            // Where nobody is there to hear it, the next event finds out.
            let _ = self.send(Event::Evicted(gone));
        }
        ended.map(|()| removed)
    }

    fn evict_some(&mut self, slice_bytes: u64, gone: &mut Evicted) -> Result<(), StoreError> {
        let by_age = self.pressure < THOROUGHLY_FROM;
        let wanted = (slice_bytes.max(1) * u64::from(self.pressure)).max(64 << 10) as i64;
        self.pressure = self.pressure.saturating_mul(2).min(1 << 20);
        let before = self.accounting;
        let freed = |worker: &Self| before.stored_bytes - worker.accounting.stored_bytes;
        self.sweep_until(&mut gone.expired, |worker| freed(worker) >= wanted)?;
        for _ in 0..WINDOWS_MAX {
            if freed(self) >= wanted || self.accounting.rows == 0 {
                break;
            }
            self.bound_log()?;
            let sqlite = self.sqlite("evict from");
            let manner = if by_age {
                Manner::ByAge { enough_bytes: (wanted - freed(self)).max(WINDOW_BYTES) }
            } else {
                Manner::Thoroughly
            };
            let Self { evictor, connection, accounting, setup, .. } = self;
            let hot = |key: &[u8]| setup.copies.has(key);
            let evicted = evictor.evict_slice(connection, accounting, manner, &hot).map_err(sqlite)?;
            gone.rows += evicted.rows;
            gone.bytes += evicted.bytes;
            setup.copies.removed(NoticeKind::Evicted, evicted.gone);
        }
        Ok(())
    }

    /// Removes expired rows until there are no more, or enough, and counts them.
    fn sweep_until(&mut self, expired: &mut usize, enough: impl Fn(&Self) -> bool) -> Result<(), StoreError> {
        while !enough(self) {
            self.bound_log()?;
            let slice = self.sweep_rows();
            let now_ms = self.setup.clock.now_ms();
            let swept = merge::sweep_slice(&self.connection, &mut self.accounting, slice, now_ms)
                .map_err(self.sqlite("clean up"))?;
            *expired += swept.rows;
            self.setup.copies.removed(NoticeKind::Expired, swept.gone);
            if swept.rows < slice {
                break;
            }
        }
        Ok(())
    }
}

fn delete_backing(backing: Backing) {
    let deleted = match backing {
        Backing::Journal(journal) => journal.delete(),
        Backing::Found(found) => found.iter().try_for_each(Found::retire),
    };
    if let Err(error) = deleted {
        tracing::warn!("{error}; it is merged already and goes at the next start");
    }
}
