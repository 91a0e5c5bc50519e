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
    let Journals { unmerged, writes, problems } = look::journals(dir, merged, |_| {})?;
    (report.journals, report.unmerged) = (unmerged, writes);
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
                report.problems.extend(found.into_iter().map(|problem| format!("{what}: {problem}")))
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
