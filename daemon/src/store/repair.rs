//! What becomes of a main file that SQLite calls damaged: it is set aside under a name with the date, for whoever wants to
//! look at it, and a new file takes its place, with every row that could still be read and whose checksum is right.
//!
//! Damage is found at start, where the file does not open, or while running, where a read or merge fails. Then
//! [`report`] leaves a mark, the daemon starts over, and the next [`open`](super::Store::open) repairs.
//!
//! Rows that are lost are misses and nothing worse: what was written since is in the journals, which are merged on top.
//! Every step can be cut short: the damaged file is moved only when the new one is complete, and a start that finds the
//! new one alone goes on from there. The mark goes before the new file has its name: it is about the damaged one.

use std::fs::{File, read_dir, rename};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, Row};

use super::accounting::{Accounting, Rows};
use super::error::StoreError;
use super::journal::Found;
use super::merge::transact;
use super::row::{self, Columns};
use super::{main_file, sql};
use crate::clock::utc_stamp;
use crate::entry::Key;
use crate::files::{self, with_suffix};

/// Rows taken over in one transaction.
const ROWS_A_TRANSACTION: usize = 10_000;

/// What a repair did.
#[derive(Debug)]
pub(super) struct Repaired {
    /// Where the damaged file is now.
    pub(super) aside: PathBuf,
    /// Rows taken over.
    pub(super) kept: i64,
    /// Rows whose checksum was wrong.
    pub(super) damaged: usize,
    /// Whether SQLite could read the file from one end to the other.
    pub(super) whole: bool,
}

/// Notes that the main file in `dir` is damaged, for the next start.
pub(super) fn report(dir: &Path) {
    if let Err(error) = File::create(mark_in(dir)) {
        tracing::error!("cannot note that the database is damaged: {error}");
    }
}

/// Whether a run before has found damage.
pub(super) fn is_reported(dir: &Path) -> bool {
    mark_in(dir).exists()
}

/// Ends a repair that was cut short after the damaged file had been moved, and clears away one cut short before.
pub(super) fn finish_cut_short(dir: &Path, now_ms: i64) -> Result<(), StoreError> {
    let (main, new) = (main_file::path_in(dir), new_in(dir));
    if !new.exists() {
        return Ok(());
    }
    if main.exists() {
        return main_file::remove(&new);
    }
    let aside = last_aside(dir).unwrap_or_else(|| aside_in(dir, now_ms));
    put_in_place(dir, &aside)?;
    tracing::warn!("a repair of the database that was cut short is ended: {} was set aside", aside.display());
    Ok(())
}

/// Replaces the damaged main file in `dir`; `written` is the time for rows that have lost theirs.
pub(super) fn repair(dir: &Path, now_ms: i64) -> Result<Repaired, StoreError> {
    let (main, new) = (main_file::path_in(dir), new_in(dir));
    main_file::remove(&new)?;
    let mut repaired = Repaired { aside: aside_in(dir, now_ms), kept: 0, damaged: 0, whole: false };
    {
        let target = main_file::open_writer_at(&new, now_ms / 1_000)?;
        let mut accounting = Accounting::default();
        if let Some(source) = open_damaged(dir)? {
            accounting.merged_generation = merged_generation(&source, dir)?;
            take_over(&source, &target, &mut accounting, &mut repaired)
                .map_err(StoreError::sqlite("write repaired", &new))?;
        }
        transact(&target, &mut accounting, |_, _| Ok(()))
            .map_err(StoreError::sqlite("write repaired", &new))?;
        repaired.kept = accounting.rows;
        main_file::close_whole(target, &new)?;
    }
    // The file first: were its log moved first and this cut short, an older state of it would be found without the log.
    if main.exists() {
        rename(&main, &repaired.aside).map_err(StoreError::io("set aside", &main))?;
    }
    put_in_place(dir, &repaired.aside)?;
    Ok(repaired)
}

/// Has the new file take the place of the damaged one, which is `aside` already; also where that was begun before.
fn put_in_place(dir: &Path, aside: &Path) -> Result<(), StoreError> {
    move_log(dir, aside)?;
    let mark = mark_in(dir);
    files::remove(&mark).map_err(StoreError::io("remove the mark of damage", &mark))?;
    let (main, new) = (main_file::path_in(dir), new_in(dir));
    rename(&new, &main).map_err(StoreError::io("put in place", &new))?;
    main_file::sync_directory(dir)
}

/// Up to where the journals are contained in a damaged file. Where it does not say, none that is still there is taken to
/// be: replaying the last one again changes nothing.
fn merged_generation(source: &Connection, dir: &Path) -> Result<i64, StoreError> {
    if let Ok(accounting) = Accounting::read(source) {
        return Ok(accounting.merged_generation);
    }
    Ok(Found::all(dir)?.first().map_or(0, |oldest| oldest.generation as i64 - 1))
}

/// Copies rows from the front until SQLite cannot go on, then from the back.
fn take_over(
    source: &Connection,
    target: &Connection,
    accounting: &mut Accounting,
    repaired: &mut Repaired,
) -> rusqlite::Result<()> {
    let mut reached: Option<Key> = None;
    let mut forwards = Copying { target, accounting, damaged: &mut repaired.damaged, batch: Vec::new() };
    repaired.whole = forwards.copy(source, sql::SCAN_ROWS, &mut |key| {
        // Out of order: these rows are not where they belong, and may be of another time.
        let in_order = reached.as_ref().is_none_or(|reached| key > &reached[..]);
        reached = Some(key.into());
        in_order
    })?;
    if repaired.whole {
        return Ok(());
    }
    let mut last: Option<Key> = None;
    let mut backwards = Copying { target, accounting, damaged: &mut repaired.damaged, batch: Vec::new() };
    backwards.copy(source, sql::SCAN_ROWS_BACKWARDS, &mut |key| {
        let new = reached.as_ref().is_none_or(|reached| key > &reached[..]);
        let in_order = last.as_ref().is_none_or(|last| key < &last[..]);
        last = Some(key.into());
        new && in_order
    })?;
    Ok(())
}

/// A row as it stood, its key first.
struct Whole {
    key: Key,
    deadline: Option<i64>,
    written: i64,
    raw_bytes: Option<i64>,
    checksum: i64,
    value: Box<[u8]>,
}

struct Copying<'c> {
    target: &'c Connection,
    accounting: &'c mut Accounting,
    damaged: &'c mut usize,
    batch: Vec<Whole>,
}

impl Copying<'_> {
    /// Copies what `query` gives for as long as `go_on`. True where it came to its end. Errors are the target's only.
    fn copy(
        &mut self,
        source: &Connection,
        query: &str,
        go_on: &mut dyn FnMut(&[u8]) -> bool,
    ) -> rusqlite::Result<bool> {
        let whole = self.read(source, query, go_on);
        self.flush()?;
        match whole {
            Ok(whole) => Ok(whole),
            Err(Failed::Source) => Ok(false),
            Err(Failed::Target(error)) => Err(error),
        }
    }

    fn read(
        &mut self,
        source: &Connection,
        query: &str,
        go_on: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Result<bool, Failed> {
        let mut scan = source.prepare(query).map_err(Failed::source)?;
        let mut rows = scan.query(()).map_err(Failed::source)?;
        while let Some(row) = rows.next().map_err(Failed::source)? {
            let Ok(whole) = Whole::of(row) else {
                *self.damaged += 1;
                continue;
            };
            if !go_on(&whole.key) {
                return Ok(false);
            }
            if row::unpack(&whole.key, row, 1).is_ok_and(|entry| entry.is_ok()) {
                self.batch.push(whole);
            } else {
                *self.damaged += 1;
            }
            if self.batch.len() >= ROWS_A_TRANSACTION {
                self.flush().map_err(Failed::Target)?;
            }
        }
        Ok(true)
    }

    fn flush(&mut self) -> rusqlite::Result<()> {
        let batch = std::mem::take(&mut self.batch);
        transact(self.target, self.accounting, |target, accounting| {
            let mut rows = Rows::new(target, accounting)?;
            for Whole { key, deadline, written, raw_bytes, checksum, value } in &batch {
                let (deadline, written, raw_bytes, checksum) = (*deadline, *written, *raw_bytes, *checksum);
                rows.put(key, None, &Columns { deadline, written, raw_bytes, checksum, value })?;
            }
            Ok(())
        })
    }
}

enum Failed {
    Source,
    Target(rusqlite::Error),
}

impl Failed {
    fn source(_: rusqlite::Error) -> Self {
        Self::Source
    }
}

impl Whole {
    fn of(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            key: row.get_ref(0)?.as_blob()?.into(),
            deadline: row.get(1)?,
            written: row.get(2)?,
            raw_bytes: row.get(3)?,
            checksum: row.get(4)?,
            value: row.get_ref(5)?.as_blob()?.into(),
        })
    }
}

/// The damaged file, to be read as far as that goes; `None` where there is nothing of it that could be.
///
/// # Errors
/// Where it is not for its damage that it cannot be opened: nothing is given up for that.
fn open_damaged(dir: &Path) -> Result<Option<Connection>, StoreError> {
    let path = main_file::path_in(dir);
    match path.try_exists() {
        Ok(true) => {}
        Ok(false) => return Ok(None),
        Err(source) => return Err(StoreError::io("look for what can be kept of", &path)(source)),
    }
    let open = || {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&path, flags)?;
        connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
        connection.pragma_update(None, "query_only", true)?;
        // Otherwise SQLite reads nothing at all from a file that was cut short.
        connection.pragma_update(None, "writable_schema", true)?;
        // What is set aside stays as it was found.
        connection.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        Ok(connection)
    };
    match open().map_err(StoreError::sqlite("open for repair", &path)) {
        Ok(connection) => Ok(Some(connection)),
        Err(error) if error.is_damage() => {
            tracing::error!("nothing of the database can be kept: {error}");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn mark_in(dir: &Path) -> PathBuf {
    dir.join("larder.db.damaged")
}

pub(super) fn new_in(dir: &Path) -> PathBuf {
    dir.join("larder.db.new")
}

/// What the names of files begin with that were set aside; the time follows.
const ASIDE: &str = "larder.db.corrupt-";

/// A name that is not taken.
fn aside_in(dir: &Path, now_ms: i64) -> PathBuf {
    let stamp = utc_stamp(now_ms);
    let name = |again: u32| match again {
        0 => dir.join(format!("{ASIDE}{stamp}")),
        _ => dir.join(format!("{ASIDE}{stamp}-{again}")),
    };
    // A repair a second at the most, so the first is free; beyond a thousand the last one is written over.
    (0..1_000).map(name).find(|path| !path.exists()).unwrap_or_else(|| name(1_000))
}

/// The file that was set aside last.
fn last_aside(dir: &Path) -> Option<PathBuf> {
    let paths = read_dir(dir).ok()?.flatten().map(|entry| entry.path());
    let is_aside = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.starts_with(ASIDE) && !name.ends_with("-wal"))
    };
    paths.filter(is_aside).max()
}

fn move_log(dir: &Path, aside: &Path) -> Result<(), StoreError> {
    let log = main_file::wal_path_in(dir);
    if !log.exists() {
        return Ok(());
    }
    rename(&log, with_suffix(aside, "-wal")).map_err(StoreError::io("set aside", &log))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buffer::Generation;
    use crate::entry::{Entry, State};
    use crate::store::merge;
    use crate::store::row::{Compression, Packer};

    const ROWS: u32 = 2_000;

    /// A main file of many rows, found damaged.
    fn damaged() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let connection = main_file::open_writer(dir.path(), 0).unwrap();
        let mut accounting = Accounting::default();
        let mut packer = Packer::new(Compression { from_bytes: None, level: 1 });
        let mut generation = Generation::new(1);
        for number in 0..ROWS {
            generation.put(number.to_be_bytes().into(), State::Live(Entry::forever(vec![b'v'; 500])));
        }
        let sorted = generation.sorted();
        merge::merge_slice(&connection, &mut accounting, &mut packer, &sorted, 0).unwrap();
        merge::finish(&connection, &mut accounting, 1).unwrap();
        drop(connection);
        report(dir.path());
        dir
    }

    fn names(dir: &Path) -> Vec<String> {
        let names = read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }

    fn rows(dir: &Path) -> i64 {
        Accounting::read(&main_file::open_writer(dir, 0).unwrap()).unwrap().rows
    }

    #[test]
    fn a_repair_cut_short_after_the_file_was_moved_is_ended_and_not_done_again() {
        for marked in [true, false] {
            let dir = damaged();
            repair(dir.path(), 1_000).unwrap();
            // As it was before the last steps: the log and the mark beside the new file.
            let (main, new) = (main_file::path_in(dir.path()), new_in(dir.path()));
            rename(&main, &new).unwrap();
            std::fs::write(main_file::wal_path_in(dir.path()), "the log of the damaged file").unwrap();
            if marked {
                report(dir.path());
            }
            finish_cut_short(dir.path(), 5_000).unwrap();
            assert!(!is_reported(dir.path()), "what is in place is sound");
            assert_eq!(rows(dir.path()), i64::from(ROWS));
            let aside = "larder.db.corrupt-19700101T000001Z".to_owned();
            assert_eq!(names(dir.path()), ["larder.db".to_owned(), aside.clone(), format!("{aside}-wal")]);
            finish_cut_short(dir.path(), 9_000).unwrap();
            assert_eq!(rows(dir.path()), i64::from(ROWS));
        }
    }

    #[test]
    fn what_cannot_be_opened_for_another_reason_than_damage_is_not_given_up() {
        let dir = damaged();
        let main = main_file::path_in(dir.path());
        let elsewhere = dir.path().join("elsewhere");
        rename(&main, &elsewhere).unwrap();
        // SQLite opens no directory, which is nothing that a repair could put right.
        std::fs::create_dir(&main).unwrap();
        let error = repair(dir.path(), 1_000).unwrap_err().to_string();
        assert!(error.contains("cannot open for repair") && error.contains("larder.db"), "{error}");
        assert!(main.is_dir() && is_reported(dir.path()), "{:?}", names(dir.path()));
        std::fs::remove_dir(&main).unwrap();
        rename(&elsewhere, &main).unwrap();
        assert_eq!(repair(dir.path(), 2_000).unwrap().kept, i64::from(ROWS));
    }

    #[test]
    fn of_garbage_nothing_is_kept() {
        let dir = damaged();
        std::fs::write(main_file::path_in(dir.path()), b"garbage ".repeat(4_000)).unwrap();
        let repaired = repair(dir.path(), 1_000).unwrap();
        assert!(!repaired.whole && repaired.kept == 0 && !is_reported(dir.path()));
        assert_eq!(rows(dir.path()), 0);
    }
}
