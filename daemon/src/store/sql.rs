//! Every SQL statement larder runs, in one place, and how a key is bound to one. Used by the store only.

use rusqlite::ToSql;
use rusqlite::types::ToSqlOutput;

use crate::entry::Key;

/// A key is a blob.
impl ToSql for Key {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(&self[..]))
    }
}

/// Tables, index and view of the main file.
pub(super) const SCHEMA: &str = include_str!("schema.sql");

/// The journal: a batch of writes per row, as [`batch`](super::batch) encodes it.
pub(super) const JOURNAL_SCHEMA: &str =
    "CREATE TABLE batches (number INTEGER PRIMARY KEY, writes BLOB NOT NULL)";

pub(super) const JOURNAL_APPEND: &str = "INSERT INTO batches (number, writes) VALUES (?1, ?2)";
/// Commits are numbered from 1 on.
pub(super) const JOURNAL_COMMITS: &str = "SELECT coalesce(max(number), 0) FROM batches";
pub(super) const JOURNAL_REPLAY: &str = "SELECT writes FROM batches ORDER BY number";

/// The columns that [`row::unpack`](super::row::unpack) reads, in its order.
pub(super) const GET: &str =
    "SELECT deadline, written, raw_bytes, checksum, value FROM entries WHERE key = ?1";
/// The same, with NULL for a value of more than ?2 bytes, whose pages are not read then.
pub(super) const GET_SMALL: &str = "SELECT deadline, written, raw_bytes, checksum,
            CASE WHEN coalesce(raw_bytes, length(value)) <= ?2 THEN value END
     FROM entries WHERE key = ?1";
/// What accounting needs to know of a row.
pub(super) const SIZE: &str = "SELECT length(value), raw_bytes, deadline FROM entries WHERE key = ?1";
/// The same for one row after the other, from ?1 on.
pub(super) const SCAN_SIZES: &str = "SELECT key, length(value), raw_bytes, deadline FROM entries
     WHERE key >= ?1 ORDER BY key";
pub(super) const PUT: &str = "REPLACE INTO entries (key, deadline, written, raw_bytes, checksum, value)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
pub(super) const DELETE: &str = "DELETE FROM entries WHERE key = ?1";
/// Without WHERE and triggers, SQLite frees whole pages instead of deleting rows one by one.
pub(super) const DELETE_ALL: &str = "DELETE FROM entries";

pub(super) const EXPIRED: &str = "SELECT key, length(value), raw_bytes, deadline FROM entries
     WHERE deadline <= ?1 ORDER BY deadline LIMIT ?2";
pub(super) const COUNT_EXPIRED: &str = "SELECT count(*) FROM entries WHERE deadline <= ?1";

/// Keys from ?1 on and below ?2, from the greatest down.
pub(super) const SCAN_BELOW: &str =
    "SELECT key, deadline FROM entries WHERE key >= ?1 AND key < ?2 ORDER BY key DESC";
/// Keys from ?1 on, from the greatest down.
pub(super) const SCAN: &str = "SELECT key, deadline FROM entries WHERE key >= ?1 ORDER BY key DESC";
/// The first key from ?1 on.
pub(super) const KEY_FROM: &str = "SELECT key, deadline FROM entries WHERE key >= ?1 ORDER BY key LIMIT 1";
/// The last key below ?1.
pub(super) const KEY_BELOW: &str =
    "SELECT key, deadline FROM entries WHERE key < ?1 ORDER BY key DESC LIMIT 1";
/// The last key.
pub(super) const KEY_LAST: &str = "SELECT key, deadline FROM entries ORDER BY key DESC LIMIT 1";
/// What eviction looks at, from ?1 on.
pub(super) const SCAN_AGES: &str = "SELECT key, length(value), raw_bytes, deadline, written FROM entries
     WHERE key >= ?1 ORDER BY key LIMIT ?2";
/// Whole rows in order, the key first.
pub(super) const SCAN_ROWS: &str =
    "SELECT key, deadline, written, raw_bytes, checksum, value FROM entries ORDER BY key";
/// The same from the end.
pub(super) const SCAN_ROWS_BACKWARDS: &str =
    "SELECT key, deadline, written, raw_bytes, checksum, value FROM entries ORDER BY key DESC";

/// What the accounting should say, counted.
pub(super) const COUNT_ALL: &str = "SELECT count(*), count(deadline), total(length(key) + length(value)),
            total(length(key) + coalesce(raw_bytes, length(value))),
            (SELECT merged_generation FROM accounting)
     FROM entries";
pub(super) const READ_ACCOUNTING: &str =
    "SELECT rows, ttl_rows, stored_bytes, raw_bytes, merged_generation FROM accounting";
pub(super) const WRITE_ACCOUNTING: &str = "UPDATE accounting
     SET rows = ?1, ttl_rows = ?2, stored_bytes = ?3, raw_bytes = ?4, merged_generation = ?5";

pub(super) const INTEGRITY_CHECK: &str = "PRAGMA integrity_check(20)";
/// Writes the whole database anew, without free pages, to the file ?1.
pub(super) const COMPACT: &str = "VACUUM INTO ?1";
