//! Reads from the main file: a fixed pool of connections that can only read, used from blocking threads.
//!
//! A read sees the file as of one moment. Whether that is still the newest state of a key is for the cache to decide:
//! it alone knows what was written since.

use std::path::Path;
use std::time::Duration;

use r2d2::PooledConnection;
use r2d2_sqlite::SqliteConnectionManager;
use rusqlite::{Connection, OptionalExtension as _};

use super::error::StoreError;
use super::quick_reader::{QUICK_ROW_US_MAX, QuickReader};
use super::row::{self, Damaged};
use super::{main_file, sql};
use crate::clock::Stopwatch;
use crate::entry::{Deadline, Entry, Key};
use crate::glob::Pattern;
use crate::pace::Steps;
use crate::process::waits;

/// Bytes of keys that one scan step finds before it ends early, for long keys.
const SCAN_BYTES_MAX: usize = 1 << 20;

/// Values that one fetch reads before it leaves the rest for the next: whoever waits holds them all in memory.
const FETCH_BYTES_MAX: usize = 4 << 20;

/// Rows looked up between two looks at the clock: some ten microseconds.
const LOOKUPS_A_LOOK: u32 = 4;

/// Rows scanned between two looks at the clock: the same.
const ROWS_A_LOOK: u32 = 32;

/// How long a read waits for a connection before it fails.
const READER_WAIT: Duration = Duration::from_secs(10);

/// Shared by whoever reads; clones share the pool.
#[derive(Clone, Debug)]
pub struct Readers {
    pool: r2d2::Pool<SqliteConnectionManager>,
}

/// One step of a walk over the keys that match a pattern, from the greatest down.
#[derive(Debug, Default)]
pub struct ScanStep {
    /// Matching keys from the greatest down, whose deadline has not passed.
    pub keys: Vec<Key>,
    /// Rows looked at.
    pub looked_at: usize,
    /// The last key looked at, where there may be more below it; `None` at the end.
    pub last: Option<Key>,
}

/// How much one step of a walk does at most.
#[derive(Clone, Copy, Debug)]
pub struct ScanLimits {
    /// Keys found.
    pub keys: usize,
    /// Rows looked at.
    pub rows: usize,
}

/// What the main file said about some keys.
#[derive(Debug)]
pub struct Fetched {
    /// Their entries, in the order asked; fewer than asked for where the values are large.
    pub rows: Vec<Option<Entry>>,
    /// Rows that are there, but whose checksum is wrong: they count as absent.
    pub damaged: usize,
    /// Whether the thread had to wait, so for a disk.
    pub waited: bool,
}

/// What the main file counts, corrected for keys that a newer tier shadows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Rows of the main file.
    pub rows: i64,
    /// Rows with a deadline.
    pub ttl_rows: i64,
    /// Rows whose deadline has passed.
    pub expired_rows: i64,
    /// Of the keys asked about: those that have a row.
    pub shadowed: i64,
    /// Of those: with a deadline.
    pub shadowed_ttl: i64,
    /// Of those: with a deadline that has passed.
    pub shadowed_expired: i64,
}

impl Readers {
    /// Opens `count` connections to the main file in `dir`, which must exist, and one more for
    /// [`quick`](Self::quick).
    pub(super) fn open(dir: &Path, count: u32) -> Result<Self, StoreError> {
        let path = main_file::path_in(dir);
        // Connections live as long as the process and are never tested: recycling them would throw their prepared
        // statements and page caches away.
        let pool = r2d2::Pool::builder()
            .max_size(count + 1)
            .min_idle(Some(count + 1))
            .max_lifetime(None)
            .idle_timeout(None)
            .test_on_check_out(false)
            .connection_timeout(READER_WAIT)
            .build(main_file::reader_manager(dir))
            .map_err(|error| {
                let source = rusqlite::Error::SqliteFailure(
                    rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CANTOPEN),
                    Some(error.to_string()),
                );
                StoreError::Sqlite { action: "open readers of", path, source }
            })?;
        Ok(Self { pool })
    }

    /// The rows of `keys`, in the order asked; fewer where the values are large, but at least one. Rows whose deadline
    /// has passed are returned too.
    ///
    /// # Errors
    /// Where SQLite cannot read.
    pub fn fetch(&self, keys: &[Key]) -> Result<Fetched, StoreError> {
        self.with(|connection| {
            let (waits_before, began) = (waits(), Stopwatch::start());
            let mut get = connection.prepare_cached(sql::GET)?;
            let mut rows = Vec::with_capacity(keys.len());
            let (mut bytes, mut damaged) = (0, 0);
            for key in keys {
                let row = match get.query_row([key], |row| row::unpack(key, row, 0)).optional()? {
                    Some(Err(Damaged)) => {
                        damaged += 1;
                        None
                    }
                    row => row.and_then(Result::ok),
                };
                bytes += row.as_ref().map_or(0, |entry| entry.value.len());
                rows.push(row);
                if bytes > FETCH_BYTES_MAX {
                    break;
                }
            }
            // For a lock a thread waits shorter.
            let late = began.us() > QUICK_ROW_US_MAX + QUICK_ROW_US_MAX / 4 * rows.len() as u64;
            Ok(Fetched { rows, damaged, waited: late && waits() > waits_before })
        })
    }

    /// Takes the connection that is over out of the pool, for good.
    ///
    /// # Errors
    /// Where it cannot be set up.
    pub(super) fn quick(&self) -> Result<QuickReader, StoreError> {
        QuickReader::new(self.connection()?)
    }

    /// One step of a walk over the keys below `below` that match `pattern`, from the greatest down. `limits` are above 0.
    ///
    /// # Errors
    /// Where SQLite cannot read.
    pub fn scan(
        &self,
        pattern: &Pattern,
        below: Option<&[u8]>,
        limits: ScanLimits,
        now_ms: i64,
    ) -> Result<ScanStep, StoreError> {
        let floor = pattern.literal_prefix();
        self.with(|connection| {
            let mut scan =
                connection.prepare_cached(if below.is_some() { sql::SCAN_BELOW } else { sql::SCAN })?;
            let mut rows = match below {
                Some(below) => scan.query((floor, below))?,
                None => scan.query([floor])?,
            };
            let mut step = ScanStep::default();
            let mut bytes = 0;
            let mut steps = Steps::every(ROWS_A_LOOK);
            while let Some(row) = rows.next()? {
                steps.step();
                let key = row.get_ref(0)?.as_blob()?;
                step.looked_at += 1;
                if pattern.matches(key) && !Deadline::from_stored(row.get(1)?).passed(now_ms) {
                    step.keys.push(key.into());
                    bytes += key.len();
                }
                if step.keys.len() == limits.keys || step.looked_at == limits.rows || bytes >= SCAN_BYTES_MAX
                {
                    step.last = Some(key.into());
                    break;
                }
            }
            Ok(step)
        })
    }

    /// Counts the main file and how `shadowing` keys stand in it, as of one moment.
    ///
    /// # Errors
    /// Where SQLite cannot read.
    pub fn census(&self, mut shadowing: Vec<Key>, now_ms: i64) -> Result<Census, StoreError> {
        // In key order, neighbours are on the same page: several times faster for many keys.
        shadowing.sort_unstable();
        self.with(|connection| {
            let snapshot = connection.unchecked_transaction()?;
            let mut census = Census::default();
            (census.rows, census.ttl_rows) =
                snapshot.query_row(sql::READ_ACCOUNTING, (), |row| Ok((row.get(0)?, row.get(1)?)))?;
            census.expired_rows = snapshot.query_row(sql::COUNT_EXPIRED, [now_ms], |row| row.get(0))?;
            let mut size = snapshot.prepare_cached(sql::SIZE)?;
            let mut steps = Steps::every(LOOKUPS_A_LOOK);
            for key in &shadowing {
                steps.step();
                if let Some(deadline) = size.query_row([key], |row| row.get(2)).optional()? {
                    let deadline = Deadline::from_stored(deadline);
                    census.shadowed += 1;
                    census.shadowed_ttl += i64::from(deadline != Deadline::NEVER);
                    census.shadowed_expired += i64::from(deadline.passed(now_ms));
                }
            }
            Ok(census)
        })
    }

    /// Runs `read` on one of the connections.
    pub(super) fn with<T>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        read(&*self.connection()?).map_err(unreadable)
    }

    fn connection(&self) -> Result<PooledConnection<SqliteConnectionManager>, StoreError> {
        // About as many blocking threads as connections, so one is free now or in a moment.
        self.pool.get().map_err(|_| StoreError::NoReader { waited_s: READER_WAIT.as_secs() })
    }
}

pub(super) fn unreadable(source: rusqlite::Error) -> StoreError {
    StoreError::Sqlite { action: "read", path: "larder.db".into(), source }
}
