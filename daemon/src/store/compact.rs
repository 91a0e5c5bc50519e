//! Writing the main file anew without free room in it. Nobody else may be using it, and no journal may hold what it
//! lacks.
//!
//! With VACUUM INTO and a rename, and not with VACUUM, which would write everything twice more, to a temporary file and to
//! the log, and need as much room. The new file has the name that a repair's has, so that one cut short is cleared away
//! by the next start.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use super::accounting::Accounting;
use super::error::StoreError;
use super::{main_file, part, repair, sql};

/// What it came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compacted {
    /// Bytes of the main file before it.
    pub before: u64,
    /// And after.
    pub after: u64,
    /// Entries in it.
    pub entries: u64,
}

/// Compacts the main file in `dir`.
///
/// # Errors
/// Where there is no room, or a file cannot be read or written; the old file stands then as it was.
pub fn compact(dir: &Path, now_ms: i64) -> Result<Compacted, StoreError> {
    let (main, new) = (main_file::path_in(dir), repair::new_in(dir));
    main_file::remove(&new)?;
    let compacted = write_new(dir, now_ms).inspect_err(|_| {
        // Best effort: the next start removes it.
        let _ = main_file::remove(&new);
    })?;
    std::fs::rename(&new, &main).map_err(StoreError::io("put in place", &new))?;
    main_file::sync_directory(dir)?;
    Ok(compacted)
}

/// Writes the new file, whole and on disk, and closes the old one, whole as well: its log must not be left for the new.
fn write_new(dir: &Path, now_ms: i64) -> Result<Compacted, StoreError> {
    let (main, new) = (main_file::path_in(dir), repair::new_in(dir));
    let source = main_file::open_writer(dir, now_ms / 1_000)?;
    let sqlite = |action| StoreError::sqlite(action, &main);
    source.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |_| Ok(())).map_err(sqlite("checkpoint"))?;
    let count = |pragma| -> rusqlite::Result<u64> {
        source.pragma_query_value(None, pragma, |row| row.get(0)).map(|pages: i64| pages as u64)
    };
    let pages = count("page_count").map_err(sqlite("look at"))?;
    let free = count("freelist_count").map_err(sqlite("look at"))?;
    let page_bytes = u64::from(main_file::PAGE_BYTES);
    part::need_room("the compacted database", dir, (pages - free) * page_bytes)?;
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&new)
        .map_err(StoreError::io("create", &new))?;
    let accounting = Accounting::read(&source).map_err(sqlite("read accounting of"))?;
    source.execute(sql::COMPACT, [main_file::uri(&new)]).map_err(sqlite("compact"))?;
    main_file::close_whole(source, &main)?;
    refuse_log(dir)?;
    // As a start will open it: nothing is put in place that would not be accepted.
    let copy = main_file::open_writer_at(&new, now_ms / 1_000)?;
    let copied = Accounting::read(&copy).map_err(StoreError::sqlite("read accounting of", &new))?;
    if copied != accounting {
        return Err(StoreError::Unsound("the compacted database differs from the old one".to_owned()));
    }
    main_file::close_whole(copy, &new)?;
    let after = std::fs::metadata(&new).map_err(StoreError::io("look at", &new))?.len();
    Ok(Compacted { before: pages * page_bytes, after, entries: accounting.rows as u64 })
}

/// The log goes with the old file when that is closed. Were one left, it would be taken for the new file's.
fn refuse_log(dir: &Path) -> Result<(), StoreError> {
    let log = main_file::wal_path_in(dir);
    match std::fs::metadata(&log) {
        Ok(metadata) if metadata.len() > 0 => {
            Err(StoreError::io("close", &log)(std::io::ErrorKind::ResourceBusy.into()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buffer::Generation;
    use crate::entry::{Entry, State};
    use crate::store::merge;
    use crate::store::row::{Compression, Packer};

    #[test]
    fn the_file_shrinks_keeps_its_entries_and_settings_and_leaves_nothing_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let connection = main_file::open_writer(dir.path(), 0).unwrap();
        let mut accounting = Accounting::default();
        let mut packer = Packer::new(Compression { from_bytes: None, level: 1 });
        let mut merge = |id, state: &dyn Fn(u32) -> Option<State>| {
            let mut generation = Generation::new(id);
            for number in 0..3_000_u32 {
                if let Some(state) = state(number) {
                    generation.put(number.to_be_bytes().into(), state);
                }
            }
            let sorted = generation.sorted();
            merge::merge_slice(&connection, &mut accounting, &mut packer, &sorted, 0).unwrap();
            merge::finish(&connection, &mut accounting, id).unwrap();
        };
        merge(1, &|_| Some(State::Live(Entry::forever(vec![b'v'; 500]))));
        merge(2, &|number| (number % 3 > 0).then_some(State::Deleted));
        drop(connection);
        let Compacted { before, after, entries } = compact(dir.path(), 0).unwrap();
        assert!(after < before / 2 && entries == 1_000, "{before} {after} {entries}");
        let names: Vec<_> =
            std::fs::read_dir(dir.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
        assert_eq!(names, ["larder.db"]);
        let connection = main_file::open_writer(dir.path(), 0).unwrap();
        assert_eq!(Accounting::count(&connection).unwrap(), accounting);
        drop(connection);
        assert!(crate::store::check(dir.path(), 0).unwrap().problems.is_empty());
    }
}
