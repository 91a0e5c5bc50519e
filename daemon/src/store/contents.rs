//! Every entry of a data directory that no daemon is running on, in key order: those of the main file, with what the
//! journals hold on top. For the export. Changes nothing, and holds no more in memory than a start would: the unmerged
//! writes.

use std::iter::Peekable;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::accounting::Accounting;
use super::batch::Write;
use super::error::StoreError;
use super::{look, main_file, row, sql};
use crate::buffer::{Generation, Slot};
use crate::entry::{Entry, Key};

/// The entries, ready to be read.
#[derive(Debug)]
pub struct Contents {
    path: PathBuf,
    connection: Connection,
    rows: u64,
    unmerged: Generation,
}

impl Contents {
    /// Opens what is in `dir`.
    ///
    /// # Errors
    /// Where it cannot be read, or a start would have to repair it or give something up.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        look::refuse_unsound(dir, false)?;
        let path = main_file::path_in(dir);
        let connection = main_file::open_unchanged(dir)?;
        let accounting =
            Accounting::read(&connection).map_err(StoreError::sqlite("read accounting of", &path))?;
        let merged = accounting.merged_generation as u64;
        let mut unmerged = Generation::new(merged + 1);
        look::journals(dir, merged, |write| match write {
            Write::Put(key, state) => unmerged.put(key, state),
            Write::Flush => drop(unmerged.flush()),
        })?;
        Ok(Self { path, connection, rows: accounting.rows as u64, unmerged })
    }

    /// About how many entries there are.
    #[must_use]
    pub fn len_about(&self) -> u64 {
        let below = if self.unmerged.flushed() { 0 } else { self.rows };
        below.max(self.unmerged.len() as u64)
    }

    /// Calls `each` with every entry that has not expired, in key order, until it breaks. How many rows were left out
    /// because their checksum is wrong.
    ///
    /// # Errors
    /// Where SQLite cannot read; what came before was handed out.
    pub fn each(
        &self,
        now_ms: i64,
        mut each: impl FnMut(&[u8], &Entry) -> ControlFlow<()>,
    ) -> Result<u64, StoreError> {
        let mut newer = self.unmerged.sorted().into_iter().peekable();
        let mut damaged = 0;
        let sqlite = || StoreError::sqlite("read", &self.path);
        if !self.unmerged.flushed() {
            let mut scan = self.connection.prepare(sql::SCAN_ROWS).map_err(sqlite())?;
            let mut rows = scan.query(()).map_err(sqlite())?;
            while let Some(row) = rows.next().map_err(sqlite())? {
                let key = row.get_ref(0).and_then(|key| Ok(key.as_blob()?)).map_err(sqlite())?;
                if before(&mut newer, key, now_ms, &mut each).is_break() {
                    return Ok(damaged);
                }
                if newer.next_if(|(newer, _)| newer[..] == *key).is_some_and(|(_, slot)| {
                    slot.state.live(now_ms).is_some_and(|entry| each(key, entry).is_break())
                }) {
                    return Ok(damaged);
                } else if self.unmerged.get(key).is_some() {
                    continue;
                }
                match row::unpack(key, row, 1).map_err(sqlite())? {
                    Ok(entry) if entry.deadline.passed(now_ms) => {}
                    Ok(entry) => {
                        if each(key, &entry).is_break() {
                            return Ok(damaged);
                        }
                    }
                    Err(row::Damaged) => damaged += 1,
                }
            }
        }
        for (key, slot) in newer {
            if slot.state.live(now_ms).is_some_and(|entry| each(key, entry).is_break()) {
                break;
            }
        }
        Ok(damaged)
    }
}

/// Hands out the newer entries whose keys come before `key`.
fn before<'g>(
    newer: &mut Peekable<impl Iterator<Item = (&'g Key, &'g Slot)>>,
    key: &[u8],
    now_ms: i64,
    each: &mut impl FnMut(&[u8], &Entry) -> ControlFlow<()>,
) -> ControlFlow<()> {
    while let Some((newer, slot)) = newer.next_if(|(newer, _)| newer[..] < *key) {
        if let Some(entry) = slot.state.live(now_ms) {
            each(newer, entry)?;
        }
    }
    ControlFlow::Continue(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::{Deadline, State};
    use crate::store::batch::BatchEncoder;
    use crate::store::journal::{Journal, Sync};
    use crate::store::merge;
    use crate::store::row::{Compression, Packer};

    const NOW_MS: i64 = 1_000;

    fn live(value: &'static str, deadline: Deadline) -> State {
        State::Live(Entry { value: value.into(), deadline })
    }

    /// A directory whose main file holds `rows`, and whose journal holds `writes`.
    fn directory(rows: &[(&str, State)], journal: impl FnOnce(&mut BatchEncoder)) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let connection = main_file::open_writer(dir.path(), 0).unwrap();
        let mut accounting = Accounting::default();
        let mut generation = Generation::new(1);
        for (key, state) in rows {
            generation.put(key.as_bytes().into(), state.clone());
        }
        let mut packer = Packer::new(Compression { from_bytes: None, level: 1 });
        merge::merge_slice(&connection, &mut accounting, &mut packer, &generation.sorted(), 0).unwrap();
        merge::finish(&connection, &mut accounting, 1).unwrap();
        let mut batch = BatchEncoder::default();
        journal(&mut batch);
        Journal::create(dir.path(), 2, Sync::Deferred).unwrap().commit(batch.bytes()).unwrap();
        dir
    }

    fn read(dir: &Path, keys_max: usize) -> Vec<String> {
        let mut found = Vec::new();
        let contents = Contents::open(dir).unwrap();
        let damaged = contents.each(NOW_MS, |key, entry| {
            found.push(format!("{}={}", key.escape_ascii(), entry.value.escape_ascii()));
            if found.len() == keys_max { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert_eq!(damaged.unwrap(), 0);
        found
    }

    #[test]
    fn journals_go_on_top_and_what_has_expired_is_left_out() {
        let (never, past) = (Deadline::NEVER, Deadline::at(NOW_MS));
        let rows = [
            ("", live("empty key", never)),
            ("b", live("old", never)),
            ("c", live("deleted later", never)),
            ("d", live("expired", past)),
            ("e", live("kept", Deadline::at(NOW_MS + 1))),
            ("f", live("expires by a newer write", never)),
        ];
        let dir = directory(&rows, |journal| {
            journal.put(b"a", &live("first", never));
            journal.put(b"b", &live("new", never));
            journal.put(b"c", &State::Deleted);
            journal.put(b"d2", &live("between", never));
            journal.put(b"f", &live("gone", past));
            journal.put(b"z", &live("last", never));
        });
        let all = ["=empty key", "a=first", "b=new", "d2=between", "e=kept", "z=last"];
        assert_eq!(read(dir.path(), 99), all);
        for stop in 1..all.len() {
            assert_eq!(read(dir.path(), stop), all[..stop]);
        }
    }

    #[test]
    fn a_flush_in_the_journal_hides_the_main_file() {
        let dir = directory(&[("a", live("old", Deadline::NEVER))], |journal| {
            journal.flush();
            journal.put(b"b", &live("new", Deadline::NEVER));
        });
        assert_eq!(read(dir.path(), 99), ["b=new"]);
    }

    #[test]
    fn looking_changes_no_file() {
        let dir = directory(&[("a", live("old", Deadline::NEVER))], BatchEncoder::flush);
        let files = || {
            let mut files: Vec<_> = std::fs::read_dir(dir.path())
                .unwrap()
                .map(|file| {
                    let path = file.unwrap().path();
                    let modified = path.metadata().unwrap().modified().unwrap();
                    (std::fs::read(&path).unwrap(), modified, path)
                })
                .collect();
            files.sort();
            files
        };
        let before = files();
        read(dir.path(), 99);
        let report = crate::store::check(dir.path(), NOW_MS).unwrap();
        assert!(report.problems.is_empty(), "{report:?}");
        assert!(before == files(), "a file has changed, come or gone");
    }
}
