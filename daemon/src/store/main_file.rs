//! Opening the main file, larder.db: how SQLite is set up, and the schema with its migrations. Used by the keeper,
//! which alone writes, and by the pool of readers.

use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::error::StoreError;
use super::sql;

/// The newest schema this code knows; `PRAGMA user_version` of the file.
const SCHEMA_VERSION: i64 = 1;

/// SQLite 3.7.0 to 3.51.2 can lose commits when a checkpoint races another connection's reset of the log.
const SQLITE_FLOOR: (i32, &str) = (3_051_003, "3.51.3");

const PAGE_BYTES: u32 = 4096;

/// Page cache of the writing connection: the inner pages of some ten million rows.
const WRITER_CACHE_KIB: u32 = 32 * 1024;

/// Page cache of each reading connection.
const READER_CACHE_KIB: u32 = 4 * 1024;

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

/// Opens the one connection that writes, creating or migrating the file first.
pub(super) fn open_writer(dir: &Path) -> Result<Connection, StoreError> {
    if rusqlite::version_number() < SQLITE_FLOOR.0 {
        return Err(StoreError::SqliteTooOld { found: rusqlite::version(), needed: SQLITE_FLOOR.1 });
    }
    let path = path_in(dir);
    let sqlite = || StoreError::sqlite("open main file", &path);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
    let connection = Connection::open_with_flags(uri(&path), flags | common_flags()).map_err(sqlite())?;
    let version: i64 =
        connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(sqlite())?;
    if version > SCHEMA_VERSION {
        return Err(StoreError::NewerSchema { path, found: version, known: SCHEMA_VERSION });
    }
    connection
        .execute_batch(&format!(
            "PRAGMA page_size = {PAGE_BYTES};
             PRAGMA auto_vacuum = INCREMENTAL;
             PRAGMA journal_mode = WAL;
             PRAGMA wal_autocheckpoint = 0;
             PRAGMA synchronous = NORMAL;
             PRAGMA cache_size = -{WRITER_CACHE_KIB};"
        ))
        .map_err(sqlite())?;
    harden(&connection).map_err(sqlite())?;
    migrate(&connection, version).map_err(StoreError::sqlite("migrate main file", &path))?;
    Ok(connection)
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

fn migrate(connection: &Connection, from: i64) -> rusqlite::Result<()> {
    if from < 1 {
        connection.execute_batch(&format!(
            "BEGIN IMMEDIATE; {} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;",
            sql::SCHEMA
        ))?;
    }
    Ok(())
}

/// The file as a URI that asks for the `unix-excl` locking: other processes are kept out and the log's index lives on
/// the heap, so nobody can pull a shared memory file from under the daemon.
fn uri(path: &Path) -> String {
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
    uri + "?vfs=unix-excl"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_file_gets_the_schema_and_the_settings_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let writer = open_writer(dir.path()).unwrap();
        let pragma = |name: &str| -> String {
            writer
                .pragma_query_value(None, name, |row| row.get_ref(0).map(|value| format!("{value:?}")))
                .unwrap()
        };
        assert_eq!(pragma("user_version"), "Integer(1)");
        assert_eq!(pragma("auto_vacuum"), "Integer(2)");
        assert!(pragma("journal_mode").contains("[119, 97, 108]"), "wal");
        drop(writer);
        open_writer(dir.path()).unwrap();
    }

    #[test]
    fn a_newer_schema_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        open_writer(dir.path()).unwrap().pragma_update(None, "user_version", 99).unwrap();
        let error = open_writer(dir.path()).unwrap_err().to_string();
        assert!(error.contains("schema version 99") && error.contains("newer larderd"), "{error}");
    }

    #[test]
    fn odd_paths_work_and_readers_cannot_write() {
        let dir = tempfile::tempdir().unwrap();
        let odd = dir.path().join("what? 100%#é");
        std::fs::create_dir(&odd).unwrap();
        let _writer = open_writer(&odd).unwrap();
        assert!(odd.join("larder.db").exists());
        let pool = r2d2::Pool::builder().max_size(1).build(reader_manager(&odd)).unwrap();
        let reader = pool.get().unwrap();
        let rows: i64 = reader.query_row("SELECT rows FROM accounting", (), |row| row.get(0)).unwrap();
        assert_eq!(rows, 0);
        let refused = reader.execute(sql::DELETE_ALL, ()).unwrap_err();
        assert!(refused.to_string().contains("readonly"), "{refused}");
    }
}
