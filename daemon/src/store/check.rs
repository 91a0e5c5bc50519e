//! Whether everything on disk is as it should be: what `larderd check` says. Changes nothing.

use std::path::Path;

use rusqlite::Connection;

use super::accounting::Accounting;
use super::error::StoreError;
use super::look::{self, Journals};
use super::{FileBytes, main_file, row, sql};
use crate::entry::{Deadline, Key};

/// Damaged entries that are named; of the others the number is enough.
const NAMED: usize = 10;

/// Letters of a key that are shown.
const KEY_SHOWN: usize = 60;

/// What was found.
#[derive(Debug, Default)]
pub struct Report {
    /// Sizes of the files.
    pub files: FileBytes,
    /// The database's own figures.
    pub accounting: Accounting,
    /// Entries that could be read and whose checksum is right.
    pub sound: u64,
    /// Of those: past their deadline.
    pub expired: u64,
    /// Journals whose writes the database lacks.
    pub journals: usize,
    /// The writes in them.
    pub unmerged: u64,
    /// What is wrong, a line each; none where all is sound.
    pub problems: Vec<String>,
    /// What is worth knowing, and nothing wrong.
    pub notes: Vec<String>,
}

/// Reads everything in `dir`, which nobody else may be using.
///
/// # Errors
/// Where it cannot be read, whatever it holds.
pub fn check(dir: &Path, now_ms: i64) -> Result<Report, StoreError> {
    let mut report = Report { files: FileBytes::in_dir(dir), ..Report::default() };
    match look::refuse_left_behind(dir) {
        Err(error @ StoreError::Unsound(_)) => report.problems.push(error.to_string()),
        looked => looked?,
    }
    // Where even this does not say up to where the journals are merged, all of them count.
    let mut merged = None;
    if main_file::path_in(dir).exists() {
        match main_file::open_unchanged(dir) {
            Ok(connection) => merged = database(&connection, dir, now_ms, &mut report)?,
            Err(error) if error.is_damage() => report.problems.push(error.to_string()),
            Err(error) => return Err(error),
        }
    }
    let oldest = || {
        Ok(super::journal::Found::all(dir)?.first().map_or(0, |oldest| oldest.generation.saturating_sub(1)))
    };
    let merged = merged.map_or_else(oldest, Ok)?;
    let Journals { unmerged, writes, problems, notes } = look::journals(dir, merged, |_| {})?;
    (report.journals, report.unmerged, report.notes) = (unmerged, writes, notes);
    report.problems.extend(problems);
    Ok(report)
}

/// Checks the main file; up to where it contains the journals, if it says.
fn database(
    connection: &Connection,
    dir: &Path,
    now_ms: i64,
    report: &mut Report,
) -> Result<Option<u64>, StoreError> {
    let mut wrong = |what: &str, outcome: rusqlite::Result<Vec<String>>| {
        match outcome.map_err(StoreError::sqlite("read", &main_file::path_in(dir))) {
            Ok(found) => {
                report.problems.extend(found.into_iter().map(|problem| format!("{what}: {problem}")));
            }
            Err(error) if error.is_damage() => report.problems.push(format!("{what}: {error}")),
            Err(error) => return Err(error),
        }
        Ok(())
    };
    wrong("database", integrity(connection))?;
    let accounting = Accounting::read(connection);
    let counted = Accounting::count(connection);
    let merged = accounting.as_ref().ok().map(|accounting| accounting.merged_generation as u64);
    let known = accounting.as_ref().copied().unwrap_or_default();
    wrong("accounting", accounting.and_then(|says| Ok(differences(&says, &counted?))))?;
    let mut entries = Entries::default();
    let read = entries.read(connection, now_ms);
    let Entries { sound, expired, problems, .. } = entries;
    wrong("entries", Ok(problems))?;
    wrong("entries", read.map(|()| Vec::new()))?;
    (report.accounting, report.sound, report.expired) = (known, sound, expired);
    Ok(merged)
}

/// What SQLite itself finds wrong.
fn integrity(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut check = connection.prepare(sql::INTEGRITY_CHECK)?;
    let found = check.query_map((), |row| row.get::<_, String>(0))?;
    let found: Vec<String> = found.collect::<rusqlite::Result<_>>()?;
    Ok(found.into_iter().filter(|line| line != "ok").collect())
}

fn differences(says: &Accounting, counted: &Accounting) -> Vec<String> {
    [
        ("entries", says.rows, counted.rows),
        ("entries with a TTL", says.ttl_rows, counted.ttl_rows),
        ("bytes as stored", says.stored_bytes, counted.stored_bytes),
        ("bytes as sent", says.raw_bytes, counted.raw_bytes),
    ]
    .into_iter()
    .filter(|(_, says, counted)| says != counted)
    .map(|(what, says, counted)| format!("it says {says} {what}, and there are {counted}"))
    .collect()
}

/// A walk over all rows.
#[derive(Default)]
struct Entries {
    sound: u64,
    expired: u64,
    damaged: u64,
    problems: Vec<String>,
}

impl Entries {
    fn read(&mut self, connection: &Connection, now_ms: i64) -> rusqlite::Result<()> {
        let mut scan = connection.prepare(sql::SCAN_ROWS)?;
        let mut rows = scan.query(())?;
        while let Some(row) = rows.next()? {
            let key: Key = row.get_ref(0)?.as_blob().unwrap_or_default().into();
            match row::unpack(&key, row, 1) {
                Ok(Ok(entry)) => {
                    self.sound += 1;
                    self.expired +=
                        u64::from(entry.deadline.passed(now_ms) && entry.deadline != Deadline::NEVER);
                }
                // A column that holds what it cannot is damage as well.
                Ok(Err(row::Damaged)) | Err(_) => self.damaged(&key),
            }
        }
        if self.damaged > NAMED as u64 {
            self.problems.push(format!("{} wrong checksums in all", self.damaged));
        }
        Ok(())
    }

    fn damaged(&mut self, key: &[u8]) {
        self.damaged += 1;
        if self.problems.len() < NAMED {
            self.problems.push(format!("the checksum of \"{}\" is wrong", shown(key)));
        }
    }
}

fn shown(key: &[u8]) -> String {
    let mut text = key[..key.len().min(KEY_SHOWN)].escape_ascii().to_string();
    if key.len() > KEY_SHOWN {
        text.push_str("...");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buffer::Generation;
    use crate::entry::{Entry, State};
    use crate::store::batch::BatchEncoder;
    use crate::store::journal::{Journal, Sync};
    use crate::store::merge;
    use crate::store::row::{Compression, Packer};

    fn directory() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let connection = main_file::open_writer(dir.path(), 0).unwrap();
        let mut accounting = Accounting::default();
        let mut generation = Generation::new(1);
        for number in 0..20_u8 {
            let deadline = if number < 3 { Deadline::at(5_000) } else { Deadline::NEVER };
            let entry = Entry { value: format!("value {number}").into(), deadline };
            generation.put([b'k', number].into(), State::Live(entry));
        }
        let mut packer = Packer::new(Compression { from_bytes: None, level: 1 });
        merge::merge_slice(&connection, &mut accounting, &mut packer, &generation.sorted(), 0).unwrap();
        merge::finish(&connection, &mut accounting, 1).unwrap();
        drop(Journal::create(dir.path(), 2, Sync::Deferred).unwrap());
        dir
    }

    /// What is found after `sql` was run by someone who knows nothing of larder.
    fn found_after(sql: &str) -> Vec<String> {
        let dir = directory();
        let foreign = Connection::open(main_file::path_in(dir.path())).unwrap();
        foreign.execute_batch(sql).unwrap();
        drop(foreign);
        check(dir.path(), 0).unwrap().problems
    }

    #[test]
    fn a_sound_directory_is_described() {
        let dir = directory();
        let report = check(dir.path(), 6_000).unwrap();
        assert!(report.problems.is_empty(), "{report:?}");
        assert_eq!((report.sound, report.expired, report.accounting.ttl_rows), (20, 3, 3));
        assert_eq!((report.journals, report.unmerged), (1, 0));
        assert!(report.files.main > 0);
    }

    #[test]
    fn the_view_for_people_works_with_any_sqlite() {
        let dir = directory();
        let foreign = Connection::open(main_file::path_in(dir.path())).unwrap();
        let row: (String, i64, String, String) = foreign
            .query_row(
                "SELECT key, value_bytes, value_start, deadline_utc FROM entries_readable ORDER BY key LIMIT 1",
                (),
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
            )
            .unwrap();
        assert_eq!(row, ("k\0".into(), 7, "value 0".into(), "1970-01-01 00:00:05.000".into()));
    }

    #[test]
    fn each_kind_of_damage_is_named() {
        for (sql, problems) in [
            (
                "UPDATE accounting SET rows = 21, raw_bytes = raw_bytes - 5",
                &[
                    "accounting: it says 21 entries, and there are 20",
                    "accounting: it says 185 bytes as sent",
                ][..],
            ),
            (
                "UPDATE entries SET value = 'x' WHERE key = x'6b05'",
                &["entries: the checksum of \"k\\x05\" is wrong"],
            ),
            (
                "UPDATE entries SET deadline = 'soon' WHERE key = x'6b00'",
                &["entries: the checksum of \"k\\x00\""],
            ),
            ("DELETE FROM accounting", &["accounting: cannot read"]),
            ("DROP TABLE accounting", &["accounting: cannot read"]),
        ] {
            let found = found_after(sql);
            for problem in problems {
                assert!(found.iter().any(|line| line.starts_with(problem)), "{sql}: {problem}\n{found:#?}");
            }
        }
        let found = found_after("UPDATE entries SET checksum = checksum + 1");
        assert!(found.contains(&"entries: 20 wrong checksums in all".to_owned()), "{found:#?}");
        assert!(found.len() < 20, "{found:#?}");
    }

    #[test]
    fn journals_that_are_missing_or_no_journals_are_named() {
        let dir = directory();
        drop(Journal::create(dir.path(), 5, Sync::Deferred).unwrap());
        std::fs::write(dir.path().join("journal-000000000006.db"), b"garbage ".repeat(700)).unwrap();
        let problems = check(dir.path(), 0).unwrap().problems;
        assert!(problems[0].starts_with("journals 3 to 4 are missing"), "{problems:?}");
        assert!(problems[1].contains("journal-000000000006.db") && problems.len() == 2, "{problems:?}");
        assert!(matches!(look::refuse_unsound(dir.path(), false), Err(StoreError::Unsound(_))));
    }

    #[test]
    fn what_a_power_cut_left_out_is_told_and_nothing_wrong() {
        for newer_was_forced in [false, true] {
            let dir = directory();
            let mut ends = Vec::new();
            let mut journal = Journal::create(dir.path(), 2, Sync::Deferred).unwrap();
            for key in ["a", "b", "c"] {
                let mut batch = BatchEncoder::default();
                batch.put(key.as_bytes(), &State::Deleted);
                journal.commit(batch.bytes()).unwrap();
                ends.push(journal.bytes() as usize);
            }
            drop(journal);
            let mut newer = Journal::create(dir.path(), 3, Sync::Deferred).unwrap();
            let mut batch = BatchEncoder::default();
            batch.put(b"d", &State::Deleted);
            newer.commit(batch.bytes()).unwrap();
            if newer_was_forced {
                newer.log().sync().unwrap();
            }
            drop(newer);
            let log = dir.path().join("journal-000000000002.db-wal");
            let mut bytes = std::fs::read(&log).unwrap();
            bytes[ends[0]..ends[1]].fill(0);
            std::fs::write(&log, bytes).unwrap();
            let report = check(dir.path(), 0).unwrap();
            if newer_was_forced {
                assert!(report.problems[0].contains("journal-000000000002.db"), "{report:?}");
                assert!(report.notes.is_empty(), "{report:?}");
            } else {
                assert_eq!(
                    (report.unmerged, report.problems.len(), report.notes.len()),
                    (1, 0, 1),
                    "{report:?}"
                );
                let note = &report.notes[0];
                assert!(note.starts_with("journal-000000000002.db: the machine stopped"), "{note}");
                assert!(
                    note.contains("the 1 commit before") && note.ends_with("and 1 journal after it"),
                    "{note}"
                );
            }
        }
    }

    #[test]
    fn a_file_that_is_no_database_is_a_problem_and_none_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(check(dir.path(), 0), Err(StoreError::Io { .. })));
        std::fs::write(main_file::path_in(dir.path()), b"garbage ".repeat(700)).unwrap();
        let report = check(dir.path(), 0).unwrap();
        assert!(report.problems[0].contains("not a database"), "{report:?}");
    }
}
