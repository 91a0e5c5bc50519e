//! Copying the main file while it goes on being written.
//!
//! With SQLite's backup interface, some pages a step, from the keeper's own connection: what the keeper writes between
//! two steps is then carried over into pages that were copied already, instead of the copy having to begin anew, and no
//! read transaction stays open, so that the log can be cut back meanwhile. Merges are done whole between two steps, so
//! that the copy is the state between two of them.

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};

use super::upkeep::Idle;
use super::{End, Event, Job, Worker};
use crate::clock::Stopwatch;
use crate::store::StoreError;
use crate::store::part::Part;

/// Pages copied in one step: about a millisecond.
const STEP_PAGES: i32 = 256;

/// Pause after a step that found the file locked.
const LOCKED_PAUSE: Duration = Duration::from_millis(5);

/// After a merge or sweep, the copy gets as much time as that took, up to this: under constant writing it would otherwise
/// take for ever, and the write buffer has room for several merges.
const SHARE_MAX_MS: u64 = 250;

/// A finished backup.
#[derive(Clone, Copy, Debug)]
pub struct BackedUp {
    /// Size of the file.
    pub bytes: u64,
    /// Duration.
    pub ms: u64,
}

/// Why a copy was not finished.
enum Cut {
    /// It failed; the keeper goes on.
    Failed(StoreError),
    /// A merge took its room, and that has been said.
    GivenUp,
    /// The keeper is to end.
    End,
}

impl From<StoreError> for Cut {
    fn from(error: StoreError) -> Self {
        Self::Failed(error)
    }
}

impl From<End> for Cut {
    fn from(_: End) -> Self {
        Self::End
    }
}

impl Worker {
    /// Writes a copy of the main file to `target`, with jobs done between the steps.
    pub(super) fn back_up(&mut self, target: &Path, inbox: &Receiver<Job>) -> Result<(), End> {
        let watch = Stopwatch::start();
        let copied = self.copy_to(target, inbox);
        self.part = None;
        let (outcome, ended) = match copied {
            Ok(bytes) => (Ok(BackedUp { bytes, ms: watch.ms() }), Ok(())),
            Err(Cut::Failed(error)) => (Err(error), Ok(())),
            Err(Cut::GivenUp) => return Ok(()),
            Err(Cut::End) => (Err(StoreError::KeeperGone), Err(End)),
        };
        self.send(Event::BackedUp(outcome))?;
        ended
    }

    fn copy_to(&mut self, target: &Path, inbox: &Receiver<Job>) -> Result<u64, Cut> {
        let part = Part::create(target)?;
        // On the same file system the daemon needs room as well, and comes first.
        let shared = part.shares_room_with(&self.setup.dir);
        let spare_bytes =
            if shared { self.setup.budget.wal_bytes + self.setup.budget.reserve_bytes } else { 0 };
        part.need_room(self.main_bytes()? + spare_bytes)?;
        self.part = if shared { Some(part.rival()?) } else { None };
        let source = Rc::clone(&self.connection);
        let mut copy = part.open()?;
        {
            let backup =
                Backup::new(&source, &mut copy).map_err(StoreError::sqlite("begin backup", part.path()))?;
            while !self.copy_step(&backup, &part, spare_bytes, inbox)? {}
        }
        copy.close().map_err(|(_, error)| StoreError::sqlite("close backup", part.path())(error))?;
        Ok(part.finish()?)
    }

    /// What else there is to do, then a step or several; true when everything is copied.
    fn copy_step(
        &mut self,
        backup: &Backup<'_, '_>,
        part: &Part,
        spare_bytes: u64,
        inbox: &Receiver<Job>,
    ) -> Result<bool, Cut> {
        let watch = Stopwatch::start();
        match inbox.try_recv() {
            Ok(Job::Merge(generation, backing)) => self.merge(generation, backing, inbox)?,
            Ok(Job::Stop) | Err(TryRecvError::Disconnected) => return Err(Cut::End),
            Ok(job) => self.small(&job)?,
            Err(TryRecvError::Empty) => {
                if matches!(self.idle(), Idle::Now | Idle::After(Duration::ZERO)) {
                    self.tidy_up()?;
                }
            }
        }
        let share_ms = watch.ms().min(SHARE_MAX_MS);
        let watch = Stopwatch::start();
        loop {
            if spare_bytes > 0 {
                if self.part.is_none() {
                    return Err(Cut::GivenUp);
                }
                part.need_room(spare_bytes)?;
            }
            match backup.step(STEP_PAGES).map_err(StoreError::sqlite("write backup", part.path()))? {
                StepResult::Done => return Ok(true),
                StepResult::Busy | StepResult::Locked => std::thread::sleep(LOCKED_PAUSE),
                // More; the enum may grow.
                _ => {}
            }
            if watch.ms() >= share_ms {
                return Ok(false);
            }
        }
    }

    /// Gives the room of a backup under way to a merge that finds the disk full; false where there is none. Whoever waits for
    /// the backup is told at once: the merge may have to wait for more room for as long as nobody makes any.
    pub(super) fn give_up_backup(&mut self) -> Result<bool, End> {
        let Some(part) = self.part.take() else { return Ok(false) };
        self.send(Event::BackedUp(Err(part.give_way())))?;
        Ok(true)
    }

    /// The next backup asked for.
    pub(super) fn next_backup(&mut self) -> Option<PathBuf> {
        self.backups.pop_front()
    }
}
