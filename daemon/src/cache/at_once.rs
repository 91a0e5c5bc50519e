//! Reading rows on the event loop itself, for as long as that takes no time: from the system's page cache a row takes some
//! microseconds, and the way to a reader thread and back several times that.
//!
//! Whether the file is in the page cache is found out by the reader threads, at no risk: only after a run of rows for
//! which they have not waited does the event loop read, and the first row that it has to wait for ends that. After
//! each such disappointment the run has to be twice as long, so that a disk that is often waited for is hardly ever waited
//! for here.

use crate::entry::Entry;
use crate::planted::{Bug, planted};
use crate::process::waits;
use crate::store::{QUICK_VALUE_BYTES_MAX, QuickRead, QuickReader};

/// Rows read in one turn of the event loop, some hundred microseconds; what is wanted beyond that goes to the threads, on
/// other cores. With 50 connections and 16 GETs in a pipeline all rows read here take as long as all read there (on two
/// cores), and a mixture is faster than either: see PERFORMANCE.md.
const ROWS_A_TURN: usize = 32;

/// The shortest run of quick rows before the event loop reads any, and the longest.
const RUN_MIN: u64 = 64;
const RUN_MAX: u64 = 1 << 20;

/// After rows of so many runs that were quick, half the run is enough again.
const RUNS_TO_FORGET: u64 = 16;

/// What reads rows on the event loop.
#[derive(Debug)]
pub(super) struct AtOnce {
    /// `None` without a store: in tests, and once it is closed.
    reader: Option<QuickReader>,
    trust: Trust,
    left_in_turn: usize,
    /// What [`waits`] said when this turn first read, or first since its last commit, which may wait for the disk.
    waits_before: Option<u64>,
}

/// A row is not to be read on the event loop.
#[derive(Debug)]
pub(super) struct AskThread;

/// How quick reads have been of late.
#[derive(Debug)]
struct Trust {
    /// Rows that were read without waiting, one after the other.
    run: u64,
    /// How many these must be.
    run_needed: u64,
    /// Rows that were read without waiting since `run_needed` changed.
    quick: u64,
}

impl AtOnce {
    pub(super) fn new(reader: Option<QuickReader>) -> Self {
        Self { reader, trust: Trust::default(), left_in_turn: ROWS_A_TURN, waits_before: None }
    }

    /// A new turn of the event loop has begun.
    pub(super) fn begin_turn(&mut self) {
        self.left_in_turn = ROWS_A_TURN;
        self.waits_before = None;
    }

    /// The event loop may just have waited for something else.
    pub(super) fn committed(&mut self) {
        self.waits_before = None;
    }

    /// Whether this turn has read anything: then it has to be said when the next one begins.
    pub(super) fn has_read(&self) -> bool {
        self.left_in_turn < ROWS_A_TURN
    }

    /// Notes what a thread has read, and whether it had to wait for that.
    pub(super) fn read_elsewhere(&mut self, rows: &[Option<Entry>], waited: bool) {
        let is_small = |row: &&Option<Entry>| {
            row.as_ref().is_none_or(|entry| entry.value.len() <= QUICK_VALUE_BYTES_MAX)
        };
        if waited {
            self.trust.run = 0;
        } else {
            self.trust.kept(rows.iter().filter(is_small).count() as u64);
        }
    }

    /// The row of `key`, which may be past its deadline.
    ///
    /// # Errors
    /// Where it may have to be waited for.
    pub(super) fn read(&mut self, key: &[u8]) -> Result<Option<Entry>, AskThread> {
        if self.left_in_turn == 0 || !self.trust.is_there() || planted(Bug::StaleFill) {
            return Err(AskThread);
        }
        let reader = self.reader.as_ref().ok_or(AskThread)?;
        let waits_before = *self.waits_before.get_or_insert_with(waits);
        if waits_before == 0 {
            // An event loop that runs has waited for events: the system does not count.
            return Err(AskThread);
        }
        self.left_in_turn -= 1;
        match reader.read(key, waits_before) {
            QuickRead::Row(row) => {
                self.trust.kept(1);
                Ok(row)
            }
            QuickRead::Late(row) => {
                self.trust.disappointed();
                Ok(row)
            }
            QuickRead::Large | QuickRead::Failed => {
                self.trust.run = 0;
                Err(AskThread)
            }
        }
    }
}

impl Trust {
    fn is_there(&self) -> bool {
        self.run >= self.run_needed
    }

    /// Rows were there at once.
    fn kept(&mut self, rows: u64) {
        self.run += rows;
        self.quick += rows;
        if self.quick >= self.run_needed * RUNS_TO_FORGET {
            self.quick = 0;
            self.run_needed = (self.run_needed / 2).max(RUN_MIN);
        }
    }

    /// A row had to be waited for.
    fn disappointed(&mut self) {
        (self.run, self.quick) = (0, 0);
        self.run_needed = (self.run_needed * 2).min(RUN_MAX);
    }
}

impl Default for Trust {
    fn default() -> Self {
        Self { run: 0, run_needed: RUN_MIN, quick: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Memory, store_options};
    use super::*;
    use crate::clock::Clock;
    use crate::config::Settings;
    use crate::store::Store;

    fn rows(count: u64) -> Vec<Option<Entry>> {
        vec![Some(Entry::forever("v")); count as usize]
    }

    #[test]
    fn a_turn_reads_so_many_rows_once_there_is_trust() {
        let dir = tempfile::tempdir().unwrap();
        let settings = Settings { data: dir.path().into(), ..Settings::default() };
        let copies = Box::new(Memory::new(0, None));
        let opened = Store::open(&store_options(&settings), Clock::start(), copies).unwrap();
        let mut at_once = AtOnce::new(Some(opened.quick_reader));
        // An event loop has waited.
        std::thread::sleep(std::time::Duration::from_millis(1));
        at_once.read(b"k").unwrap_err();
        at_once.read_elsewhere(&rows(RUN_MIN), false);
        for _ in 0..2 {
            assert!(!at_once.has_read());
            for _ in 0..ROWS_A_TURN {
                // On a busy machine a row may come late; then there is none for the next.
                at_once.trust = Trust { run: RUN_MAX, ..Trust::default() };
                assert_eq!(at_once.read(b"k").unwrap(), None);
                assert!(at_once.has_read());
            }
            at_once.read(b"k").unwrap_err();
            at_once.begin_turn();
        }
        drop(at_once);
        opened.store.stop();
    }

    fn trusts(at_once: &AtOnce) -> bool {
        at_once.trust.is_there()
    }

    #[test]
    fn nothing_is_read_here_before_threads_have_read_without_waiting() {
        let mut at_once = AtOnce::new(None);
        at_once.read_elsewhere(&rows(RUN_MIN - 1), false);
        assert!(!trusts(&at_once));
        at_once.read_elsewhere(&rows(1), false);
        assert!(trusts(&at_once));
        at_once.read_elsewhere(&rows(1), true);
        assert!(!trusts(&at_once));
        let large = vec![Some(Entry::forever(vec![0; QUICK_VALUE_BYTES_MAX + 1])); RUN_MIN as usize];
        at_once.read_elsewhere(&large, false);
        assert!(!trusts(&at_once), "large values show nothing");
        at_once.read_elsewhere(&rows(RUN_MIN), false);
        assert!(trusts(&at_once));
    }

    #[test]
    fn each_wait_doubles_the_run_that_is_needed_and_many_quick_rows_halve_it() {
        let mut at_once = AtOnce::new(None);
        at_once.read_elsewhere(&rows(RUN_MIN), false);
        for doubled in [2, 4, 8] {
            at_once.trust.disappointed();
            for _ in 0..doubled {
                assert!(!trusts(&at_once));
                at_once.read_elsewhere(&rows(RUN_MIN), false);
            }
            assert!(trusts(&at_once));
        }
        for _ in 0..2 * 8 * RUNS_TO_FORGET * RUN_MIN {
            at_once.trust.kept(1);
        }
        assert_eq!(at_once.trust.run_needed, RUN_MIN);
        assert!(trusts(&at_once));
        (0..60).for_each(|_| at_once.trust.disappointed());
        assert_eq!(at_once.trust.run_needed, RUN_MAX);
    }
}
