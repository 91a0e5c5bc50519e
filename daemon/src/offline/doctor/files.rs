//! The database, as far as its header tells, and the SQLite that is built in.

use std::path::Path;

use super::Finding;
use crate::store;

pub(super) fn look(data: &Path) -> Vec<Finding> {
    const WHAT: &str = "SQLite";
    let built_in = store::sqlite_version();
    let fine = |text: String| vec![Finding::fine(WHAT, text)];
    match store::header(data) {
        Ok(None) => fine(format!("{built_in}, built in; no database yet")),
        Ok(Some(header)) if !header.known => {
            let text = format!("the database has schema {}, which is newer than this larderd", header.schema);
            vec![Finding::wrong(WHAT, text, "run the larderd that wrote it, or a newer one")]
        }
        Ok(Some(header)) => {
            let store::Header { schema, sqlite, .. } = header;
            // What was written last may still be in the log.
            let schema = if schema == 0 { String::new() } else { format!("has schema {schema} and ") };
            fine(format!("{built_in}, built in; the database {schema}was written by {sqlite}"))
        }
        Err(error) => {
            let text = format!("larder.db in {} cannot be read: {error}", data.display());
            vec![Finding::wrong(
                WHAT,
                text,
                "run this as the daemon's user or as root; larderd check says more",
            )]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::offline::doctor::Verdict;

    #[test]
    fn a_database_tells_its_versions() {
        let dir = tempfile::tempdir().unwrap();
        let verdict = || look(dir.path())[0].verdict;
        assert_eq!(verdict(), Verdict::Fine);
        let file = dir.path().join("larder.db");
        std::fs::write(&file, [b'x'; 200]).unwrap();
        assert_eq!(verdict(), Verdict::Wrong);
        let mut header = [0; 100];
        header[..16].copy_from_slice(b"SQLite format 3\0");
        header[60..64].copy_from_slice(&1_u32.to_be_bytes());
        header[96..].copy_from_slice(&3_051_003_u32.to_be_bytes());
        std::fs::write(&file, header).unwrap();
        let found = look(dir.path());
        assert!(found[0].text.contains("schema 1 and was written by 3.51.3"), "{found:?}");
        header[63] = 200;
        std::fs::write(&file, header).unwrap();
        assert_eq!(verdict(), Verdict::Wrong);
    }
}
