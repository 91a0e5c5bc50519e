//! Every SQL statement larder runs, in one place. Used by the store only.

/// Tables, index and view of the main file.
pub(super) const SCHEMA: &str = include_str!("schema.sql");

/// The journal: a batch of writes per row, as [`batch`](super::batch) encodes it.
pub(super) const JOURNAL_SCHEMA: &str =
    "CREATE TABLE batches (number INTEGER PRIMARY KEY, writes BLOB NOT NULL)";

pub(super) const JOURNAL_APPEND: &str = "INSERT INTO batches (number, writes) VALUES (?1, ?2)";
pub(super) const JOURNAL_REPLAY: &str = "SELECT writes FROM batches ORDER BY number";

pub(super) const GET: &str = "SELECT value, deadline FROM entries WHERE key = ?1";
pub(super) const SIZE: &str = "SELECT length(value), deadline FROM entries WHERE key = ?1";
pub(super) const INSERT: &str = "INSERT INTO entries (key, value, deadline) VALUES (?1, ?2, ?3)";
pub(super) const UPDATE: &str = "UPDATE entries SET value = ?2, deadline = ?3 WHERE key = ?1";
pub(super) const DELETE: &str = "DELETE FROM entries WHERE key = ?1";
/// Without WHERE and triggers, SQLite frees whole pages instead of deleting rows one by one.
pub(super) const DELETE_ALL: &str = "DELETE FROM entries";

pub(super) const EXPIRED: &str =
    "SELECT key, length(value) FROM entries WHERE deadline <= ?1 ORDER BY deadline LIMIT ?2";
pub(super) const COUNT_EXPIRED: &str = "SELECT count(*) FROM entries WHERE deadline <= ?1";

/// Keys from ?1 on and below ?2, from the greatest down.
pub(super) const SCAN_BELOW: &str =
    "SELECT key, deadline FROM entries WHERE key >= ?1 AND key < ?2 ORDER BY key DESC";
/// Keys from ?1 on, from the greatest down.
pub(super) const SCAN: &str = "SELECT key, deadline FROM entries WHERE key >= ?1 ORDER BY key DESC";

pub(super) const READ_ACCOUNTING: &str =
    "SELECT rows, ttl_rows, content_bytes, merged_generation FROM accounting";
pub(super) const WRITE_ACCOUNTING: &str =
    "UPDATE accounting SET rows = ?1, ttl_rows = ?2, content_bytes = ?3, merged_generation = ?4";
