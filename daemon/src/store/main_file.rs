//! Opening the main file, larder.db: how SQLite is set up, and what is checked before anything relies on it. Used by the
//! keeper, which alone writes, by the pool of readers, and by the offline commands.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::error::StoreError;
use super::migrate;
use crate::files::{self, with_suffix};

/// SQLite 3.7.0 to 3.51.2 can lose commits when a checkpoint races another connection's reset of the log.
const SQLITE_FLOOR: (i32, &str) = (3_051_003, "3.51.3");

pub(super) const PAGE_BYTES: u32 = 4096;

/// Page cache of the writing connection: the inner pages of some ten million rows.
const WRITER_CACHE_KIB: u32 = 32 * 1024;

/// Page cache of each reading connection.
const READER_CACHE_KIB: u32 = 4 * 1024;

/// How long the writer waits for readers when it cuts the log back; afterwards it does something else and tries again.
const WRITER_PATIENCE: Duration = Duration::from_millis(20);

/// Cached statements per connection; the store has fewer.
const STATEMENTS: usize = 32;

/// `larder.db` in `dir`.
pub(super) fn path_in(dir: &Path) -> PathBuf {
    dir.join("larder.db")
}

/// The main file's write-ahead log.
pub(super) fn wal_path_in(dir: &Path) -> PathBuf {
    dir.join("larder.db-wal")
}

/// Opens the one connection that writes, creating or migrating the file first; `written` is the time in unix seconds.
pub(super) fn open_writer(dir: &Path, written: i64) -> Result<Connection, StoreError> {
    open_writer_at(&path_in(dir), written)
}

/// As [`open_writer`], under another name.
pub(super) fn open_writer_at(path: &Path, written: i64) -> Result<Connection, StoreError> {
    if rusqlite::version_number() < SQLITE_FLOOR.0 {
        return Err(StoreError::SqliteTooOld { found: rusqlite::version(), needed: SQLITE_FLOOR.1 });
    }
    let sqlite = || StoreError::sqlite("open main file", path);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
    let connection = Connection::open_with_flags(uri(path), flags | common_flags()).map_err(sqlite())?;
    let version: i64 =
        connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(sqlite())?;
    if version > migrate::VERSION {
        return Err(StoreError::NewerSchema {
            path: path.to_owned(),
            found: version,
            known: migrate::VERSION,
        });
    }
    if version == 0 {
        // Only for a new file: setting what is set already would write, and a full disk has no room for that.
        connection
            .execute_batch(&format!("PRAGMA page_size = {PAGE_BYTES}; PRAGMA auto_vacuum = INCREMENTAL;"))
            .map_err(sqlite())?;
    }
    connection
        .execute_batch(&format!(
            "PRAGMA journal_mode = WAL;
             PRAGMA wal_autocheckpoint = 0;
             PRAGMA synchronous = NORMAL;
             PRAGMA cache_size = -{WRITER_CACHE_KIB};"
        ))
        .map_err(sqlite())?;
    connection.busy_timeout(WRITER_PATIENCE).map_err(sqlite())?;
    harden(&connection).map_err(sqlite())?;
    migrate::migrate(&connection, version, written).map_err(StoreError::sqlite("migrate", path))?;
    assert_settings(&connection, path)?;
    Ok(connection)
}

/// Opens the file for reading in such a way that neither it nor anything beside it changes. Nobody else may have it open.
pub(super) fn open_unchanged(dir: &Path) -> Result<Connection, StoreError> {
    let path = path_in(dir);
    let sqlite = || StoreError::sqlite("open", &path);
    let log_bytes = std::fs::metadata(wal_path_in(dir)).map_or(0, |log| log.len());
    let connection = if log_bytes == 0 {
        // Without a log SQLite need not know that there could be one, and creates none.
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
        Connection::open_with_flags(uri_with(&path, "immutable=1"), flags | common_flags())
    } else {
        Connection::open_with_flags(uri(&path), OpenFlags::SQLITE_OPEN_READ_WRITE | common_flags())
    };
    let connection = connection.map_err(sqlite())?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map_err(sqlite())?;
    connection.pragma_update(None, "query_only", true).map_err(sqlite())?;
    harden(&connection).map_err(sqlite())?;
    let found: i64 =
        connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(sqlite())?;
    let known = migrate::VERSION;
    match found {
        _ if found > known => Err(StoreError::NewerSchema { path, found, known }),
        _ if found < known => Err(StoreError::OlderSchema { path, found, known }),
        _ => Ok(connection),
    }
}

/// SQLite ignores what it does not know or cannot do, so what durability rests on is asked for again.
fn assert_settings(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    for (pragma, wanted) in [
        ("journal_mode", "wal"),
        ("synchronous", "1"),
        ("wal_autocheckpoint", "0"),
        ("auto_vacuum", "2"),
        ("trusted_schema", "0"),
        ("cell_size_check", "1"),
    ] {
        let found =
            pragma_text(connection, pragma).map_err(StoreError::sqlite("look at settings of", path))?;
        if found != wanted {
            let path = path.to_owned();
            return Err(StoreError::Setting { path, pragma, wanted, found });
        }
    }
    Ok(())
}

/// The value of a pragma as text, whatever its type.
pub(super) fn pragma_text(connection: &Connection, pragma: &str) -> rusqlite::Result<String> {
    use rusqlite::types::ValueRef;
    connection.pragma_query_value(None, pragma, |row| {
        Ok(match row.get_ref(0)? {
            ValueRef::Integer(number) => number.to_string(),
            ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
            other => format!("{other:?}"),
        })
    })
}

/// Closes a file that nobody else has open, all of it in the one file and on disk.
pub(super) fn close_whole(connection: Connection, path: &Path) -> Result<(), StoreError> {
    connection
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |_| Ok(()))
        .and_then(|()| connection.close().map_err(|(_, error)| error))
        .map_err(StoreError::sqlite("close", path))?;
    std::fs::File::open(path).and_then(|file| file.sync_all()).map_err(StoreError::io("sync", path))
}

/// Takes up to `pages_max` free pages off the file's end, in one transaction. The pragma answers a row for every page, goes
/// on only as long as it is asked for the next, and commits after the last: only then is it known whether it worked.
pub(super) fn vacuum(connection: &Connection, pages_max: usize) -> rusqlite::Result<()> {
    let mut vacuum = connection.prepare(&format!("PRAGMA incremental_vacuum({pages_max})"))?;
    let mut pages = vacuum.query(())?;
    while pages.next()?.is_some() {}
    Ok(())
}

/// Removes a database file with what belongs to it.
pub(super) fn remove(path: &Path) -> Result<(), StoreError> {
    for suffix in ["-wal", "-shm", "-journal", ""] {
        let file = with_suffix(path, suffix);
        files::remove(&file).map_err(StoreError::io("remove", &file))?;
    }
    Ok(())
}

/// Makes names given and taken away in `dir` durable.
pub(super) fn sync_directory(dir: &Path) -> Result<(), StoreError> {
    std::fs::File::open(dir).and_then(|dir| dir.sync_all()).map_err(StoreError::io("sync directory", dir))
}

/// How the pool opens its connections; they can only read.
pub(super) fn reader_manager(dir: &Path) -> r2d2_sqlite::SqliteConnectionManager {
    // Opened for writing because a log that is not in shared memory cannot be shared otherwise; query_only holds.
    r2d2_sqlite::SqliteConnectionManager::file(uri(&path_in(dir)))
        .with_flags(OpenFlags::SQLITE_OPEN_READ_WRITE | common_flags())
        .with_init(|connection| {
            connection.execute_batch(&format!(
                "PRAGMA query_only = ON; PRAGMA cache_size = -{READER_CACHE_KIB};"
            ))?;
            harden(connection)
        })
}

fn common_flags() -> OpenFlags {
    OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI
}

fn harden(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(())
}

/// The file as a URI that asks for the `unix-excl` locking: other processes are kept out and the log's index lives on
/// the heap, so nobody can pull a shared memory file from under the daemon.
pub(super) fn uri(path: &Path) -> String {
    uri_with(path, "vfs=unix-excl")
}

fn uri_with(path: &Path, query: &str) -> String {
    use std::fmt::Write as _;
    use std::os::unix::ffi::OsStrExt as _;
    let mut uri = String::from("file:");
    for &byte in path.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    uri + "?" + query
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_file_gets_the_schema_and_the_settings_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let writer = open_writer(dir.path(), 0).unwrap();
        assert_eq!(pragma_text(&writer, "user_version").unwrap(), migrate::VERSION.to_string());
        assert_settings(&writer, dir.path()).unwrap();
        writer.pragma_update(None, "synchronous", "OFF").unwrap();
        let error = assert_settings(&writer, dir.path()).unwrap_err().to_string();
        assert!(error.contains("synchronous") && error.contains('1'), "{error}");
        drop(writer);
        open_writer(dir.path(), 0).unwrap();
    }

    #[test]
    fn a_newer_schema_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        open_writer(dir.path(), 0).unwrap().pragma_update(None, "user_version", 99).unwrap();
        let error = open_writer(dir.path(), 0).unwrap_err().to_string();
        assert!(error.contains("schema version 99") && error.contains("newer larderd"), "{error}");
    }

    #[test]
    fn odd_paths_work_and_readers_cannot_write() {
        let dir = tempfile::tempdir().unwrap();
        let odd = dir.path().join("what? 100%#é");
        std::fs::create_dir(&odd).unwrap();
        let _writer = open_writer(&odd, 0).unwrap();
        assert!(odd.join("larder.db").exists());
        let pool = r2d2::Pool::builder().max_size(1).build(reader_manager(&odd)).unwrap();
        let reader = pool.get().unwrap();
        let rows: i64 = reader.query_row("SELECT rows FROM accounting", (), |row| row.get(0)).unwrap();
        assert_eq!(rows, 0);
        let refused = reader.execute(crate::store::sql::DELETE_ALL, ()).unwrap_err();
        assert!(refused.to_string().contains("readonly"), "{refused}");
    }

    #[test]
    fn a_slice_of_vacuum_takes_all_its_pages_in_one_commit_and_says_when_it_could_not() {
        let dir = tempfile::tempdir().unwrap();
        let writer = open_writer(dir.path(), 0).unwrap();
        let count = |pragma: &str| pragma_text(&writer, pragma).unwrap().parse::<u64>().unwrap();
        let fill = "INSERT INTO entries VALUES (?1, NULL, 0, NULL, 0, zeroblob(1000000))";
        writer.execute(fill, [b"k"]).unwrap();
        writer.execute(crate::store::sql::DELETE_ALL, ()).unwrap();
        let (all, free) = (count("page_count"), count("freelist_count"));
        assert!(free > 200, "{free}");
        let log = || std::fs::metadata(wal_path_in(dir.path())).unwrap().len();
        let before = log();
        vacuum(&writer, 100).unwrap();
        assert_eq!((count("page_count"), count("freelist_count")), (all - 100, free - 100));
        assert!(log() - before < 20 * u64::from(PAGE_BYTES), "one commit, not a hundred");
        writer.pragma_update(None, "query_only", true).unwrap();
        vacuum(&writer, 100).unwrap_err();
    }
}
