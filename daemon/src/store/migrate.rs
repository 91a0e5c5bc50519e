//! The schema's versions, and the way from each to the next. Used when the main file is opened for writing.
//!
//! `PRAGMA user_version` names the version of a file. A migration is one transaction: a start that dies on the way finds
//! the file as it was. To change the schema: keep the old text as `schema_<version>.sql` for the test below, change
//! `schema.sql`, raise [`VERSION`], and add the step.

use rusqlite::Connection;

use super::accounting::{Accounting, Rows};
use super::row::{Compression, Packer};
use super::sql;
use crate::entry::{Deadline, Entry, Key};

/// The newest schema this code knows.
pub(super) const VERSION: i64 = 2;

/// Takes a file of version `from` (0: just created) to [`VERSION`]. `written` is the time in unix seconds.
pub(super) fn migrate(connection: &Connection, from: i64, written: i64) -> rusqlite::Result<()> {
    if from == VERSION {
        return Ok(());
    }
    let transaction = connection.unchecked_transaction()?;
    match from {
        1 => from_1(&transaction, written)?,
        _ => transaction.execute_batch(sql::SCHEMA)?,
    }
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()
}

/// Version 1 had rows without bookkeeping and checksum. They are written anew, which takes some microseconds each.
fn from_1(connection: &Connection, written: i64) -> rusqlite::Result<()> {
    connection.execute_batch(
        "DROP VIEW entries_readable;
         DROP INDEX entries_by_deadline;
         ALTER TABLE entries RENAME TO entries_1;
         ALTER TABLE accounting RENAME TO accounting_1;",
    )?;
    connection.execute_batch(sql::SCHEMA)?;
    let mut accounting = Accounting {
        merged_generation: connection
            .query_row("SELECT merged_generation FROM accounting_1", (), |row| row.get(0))?,
        ..Accounting::default()
    };
    let mut packer = Packer::new(Compression { from_bytes: None, level: 1 });
    let mut added = Rows::new(connection, &mut accounting)?;
    let mut old = connection.prepare("SELECT key, value, deadline FROM entries_1 ORDER BY key")?;
    let mut rows = old.query(())?;
    while let Some(row) = rows.next()? {
        let key: Key = row.get_ref(0)?.as_blob()?.into();
        let value = bytes::Bytes::copy_from_slice(row.get_ref(1)?.as_blob()?);
        let entry = Entry { value, deadline: Deadline::from_stored(row.get(2)?) };
        added.put(&key, None, &packer.pack(&key, &entry, written))?;
    }
    drop((rows, added));
    drop(old);
    accounting.write(connection)?;
    connection.execute_batch("DROP TABLE entries_1; DROP TABLE accounting_1")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::main_file;

    #[test]
    fn a_file_of_version_1_keeps_its_entries_and_its_place_among_the_journals() {
        let dir = tempfile::tempdir().unwrap();
        let old = Connection::open(main_file::path_in(dir.path())).unwrap();
        old.execute_batch(&format!(
            "PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL; {}
             INSERT INTO entries VALUES (x'61', x'3132', NULL), (x'62', x'', 5000), (x'ff00', zeroblob(9000), 1);
             UPDATE accounting SET rows = 3, ttl_rows = 2, content_bytes = 9006, merged_generation = 41;
             PRAGMA user_version = 1;",
            include_str!("schema_1.sql")
        ))
        .unwrap();
        drop(old);
        // Twice: the second time there is nothing left to do.
        for _ in 0..2 {
            let connection = main_file::open_writer(dir.path(), 1_000).unwrap();
            let accounting = Accounting::read(&connection).unwrap();
            let expected = Accounting {
                rows: 3,
                ttl_rows: 2,
                stored_bytes: 9_006,
                raw_bytes: 9_006,
                merged_generation: 41,
            };
            assert_eq!(accounting, expected);
            let get = |key: &[u8]| {
                connection
                    .query_row(sql::GET, [key], |row| crate::store::row::unpack(key, row, 0))
                    .unwrap()
                    .unwrap()
            };
            assert_eq!(get(b"a"), Entry::forever("12"));
            assert_eq!(get(b"b").deadline, Deadline::at(5_000));
            assert_eq!(get(b"\xff\0").value.len(), 9_000);
            let readable: i64 =
                connection.query_row("SELECT count(*) FROM entries_readable", (), |row| row.get(0)).unwrap();
            assert_eq!(readable, 3);
        }
    }
}
