//! Looking at a data directory that no daemon is running on, without changing it. Used by the check, by the export, and
//! before anything else is done without a daemon: what a start would have to repair is left to a start.

use std::collections::VecDeque;
use std::path::Path;

use super::accounting::Accounting;
use super::batch::Write;
use super::error::StoreError;
use super::journal::{Found, Replayed};
use super::{main_file, repair};

/// What the journals are like.
#[derive(Debug, Default)]
pub(super) struct Journals {
    /// Those whose writes the main file lacks.
    pub(super) unmerged: usize,
    /// The writes in them, several of a key included.
    pub(super) writes: u64,
    /// What is wrong with them.
    pub(super) problems: Vec<String>,
    /// What is worth knowing, and nothing wrong.
    pub(super) notes: Vec<String>,
}

/// Goes through the journals newer than generation `merged`, as a start would, and calls `each` for every write.
pub(super) fn journals(dir: &Path, merged: u64, mut each: impl FnMut(Write)) -> Result<Journals, StoreError> {
    let mut journals = Journals::default();
    let mut expected = merged + 1;
    let mut found: VecDeque<_> =
        Found::all(dir)?.into_iter().filter(|journal| journal.generation > merged).collect();
    while let Some(journal) = found.pop_front() {
        if journal.generation != expected {
            journals.problems.push(format!(
                "journals {expected} to {} are missing: what is older than they are would be given up by the next start",
                journal.generation - 1
            ));
        }
        expected = journal.generation + 1;
        journals.unmerged += 1;
        let replayed = journal.replay(|batch| {
            journals.writes += batch.len() as u64;
            batch.into_iter().for_each(&mut each);
        });
        match journal.judged(replayed, &found) {
            Err(error) if error.is_damage() => journals.problems.push(format!(
                "{error}: the next start would set it aside, and give up what is older than it is"
            )),
            // What a power cut has left out was promised to nobody.
            Ok(Replayed { gap: true, commits }) => {
                let left_out = found.len();
                journals.notes.push(format!(
                    "{}: the machine stopped before its last writes had all reached the disk; the {} before them are whole, \
                     and the next start leaves out what is behind{}",
                    journal.name(),
                    count(commits, "commit", "commits"),
                    if left_out == 0 {
                        String::new()
                    } else {
                        format!(", and {} after it", count(left_out as u64, "journal", "journals"))
                    }
                ));
                found.clear();
            }
            replayed => drop(replayed?),
        }
    }
    Ok(journals)
}

fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// What the main file says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Version of its schema.
    pub schema: u32,
    /// Whether this program knows that schema.
    pub known: bool,
    /// Version of the SQLite that last wrote it.
    pub sqlite: String,
}

/// Reads the main file's header, also while a daemon uses the file; `None` where there is no main file.
///
/// # Errors
/// Where it cannot be read, or is no database.
pub fn header(dir: &Path) -> std::io::Result<Option<Header>> {
    let mut bytes = [0; 100];
    match std::fs::File::open(main_file::path_in(dir)) {
        Ok(mut file) => std::io::Read::read_exact(&mut file, &mut bytes)?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    }
    if !bytes.starts_with(b"SQLite format 3\0") {
        return Err(std::io::Error::other("it is no SQLite database"));
    }
    // Offsets of the database header (sqlite.org/fileformat2.html, 1.3).
    let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
    let (schema, sqlite) = (number(60), number(96));
    Ok(Some(Header {
        schema,
        known: i64::from(schema) <= super::migrate::VERSION,
        sqlite: format!("{}.{}.{}", sqlite / 1_000_000, sqlite / 1_000 % 1_000, sqlite % 1_000),
    }))
}

/// Fails where the main file is missing or was found damaged before.
pub(super) fn refuse_left_behind(dir: &Path) -> Result<(), StoreError> {
    if repair::is_reported(dir) {
        return Err(StoreError::Unsound("an earlier run found larder.db damaged".to_owned()));
    }
    let main = main_file::path_in(dir);
    match main.try_exists() {
        Ok(true) => Ok(()),
        Ok(false) if repair::new_in(dir).exists() => {
            Err(StoreError::Unsound("a repair of larder.db was cut short".to_owned()))
        }
        Ok(false) => Err(StoreError::io("open", &main)(rustix::io::Errno::NOENT.into())),
        Err(source) => Err(StoreError::io("open", &main)(source)),
    }
}

/// Fails where a start would have to repair or give up something. A directory without a database is fine where
/// `or_empty`.
///
/// # Errors
/// What is wrong, or in the way of finding out.
pub fn refuse_unsound(dir: &Path, or_empty: bool) -> Result<(), StoreError> {
    let empty =
        !main_file::path_in(dir).exists() && !repair::new_in(dir).exists() && !repair::is_reported(dir);
    if or_empty && empty && Found::all(dir)?.is_empty() {
        return Ok(());
    }
    refuse_left_behind(dir)?;
    let unsound = |error: StoreError| {
        if error.is_damage() { StoreError::Unsound(error.to_string()) } else { error }
    };
    let connection = match main_file::open_unchanged(dir) {
        // A start takes it to the newest version, and so does whoever opens it for writing.
        Err(StoreError::OlderSchema { .. }) => return Ok(()),
        opened => opened.map_err(unsound)?,
    };
    let accounting = Accounting::read(&connection)
        .map_err(StoreError::sqlite("read accounting of", &main_file::path_in(dir)))
        .map_err(unsound)?;
    drop(connection);
    let journals = journals(dir, accounting.merged_generation as u64, |_| {})?;
    journals.problems.into_iter().next().map_or(Ok(()), |problem| Err(StoreError::Unsound(problem)))
}
