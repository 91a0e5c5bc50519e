//! Reads the configuration file: flat TOML, one key a setting.
//!
//! Used by the loader. Turns the file into keys, texts and line numbers; whether a key is a setting and its text a
//! value is not known here.

use std::fs::File;
use std::io::{self, Read as _};
use std::ops::Range;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::error::Problem;

/// Bytes of the file. A file beyond it is something else that was named by mistake.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// One key of the file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub key: String,
    pub value: Value,
    /// Counted from 1.
    pub line: usize,
}

/// A value of the file, as text.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// A string.
    Text(String),
    /// A number or a boolean, as it was written.
    Bare(String),
    /// Something no setting is; the word for it.
    Other(&'static str),
}

/// Reads the file. `None` when there is none and it `may_be_missing`.
pub(super) fn read(path: &Path, may_be_missing: bool) -> Result<Option<Vec<Entry>>, Problem> {
    match read_text(path) {
        Ok(text) => parse(path, &text).map(Some),
        Err(error) if may_be_missing && error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Problem::Read { path: path.to_path_buf(), source }),
    }
}

fn read_text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(io::Error::other("larger than 1MiB, which no configuration is"));
    }
    Ok(text)
}

fn parse(path: &Path, text: &str) -> Result<Vec<Entry>, Problem> {
    let table = DeTable::parse(text).map_err(|error| Problem::Syntax {
        path: path.to_path_buf(),
        line: line_of(text, error.span().unwrap_or_default()),
        message: error.message().to_owned(),
    })?;
    let mut entries: Vec<_> = table
        .into_inner()
        .into_iter()
        .map(|(key, value)| Entry {
            line: line_of(text, key.span()),
            key: key.into_inner().into_owned(),
            value: value_of(value.into_inner()),
        })
        .collect();
    // The parser's table is sorted by key; problems read better in the order of the file.
    entries.sort_by_key(|entry| entry.line);
    Ok(entries)
}

fn value_of(value: DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::Text(text.into_owned()),
        DeValue::Integer(number) => {
            let prefix = match number.radix() {
                2 => "0b",
                8 => "0o",
                16 => "0x",
                _ => "",
            };
            Value::Bare(format!("{prefix}{}", number.as_str()))
        }
        DeValue::Float(number) => Value::Bare(number.as_str().to_owned()),
        DeValue::Boolean(truth) => Value::Bare(truth.to_string()),
        DeValue::Datetime(_) => Value::Other("a date"),
        DeValue::Array(_) => Value::Other("a list"),
        DeValue::Table(_) => Value::Other("a table"),
    }
}

fn line_of(text: &str, span: Range<usize>) -> usize {
    let before = text.get(..span.start).unwrap_or(text);
    before.matches('\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Vec<(String, Value, usize)> {
        let entries = parse(Path::new("larder.toml"), text).unwrap();
        entries.into_iter().map(|entry| (entry.key, entry.value, entry.line)).collect()
    }

    #[test]
    fn keys_values_and_lines() {
        let text = "# larder\nreaders = 8\n\nmemory_cap = \"1GiB\"\nsocket_mode = 0o660\nbig = 1_000\nf = 1.5\nb = true\n";
        let bare = |text: &str| Value::Bare(text.to_owned());
        assert_eq!(
            parsed(text),
            [
                ("readers".to_owned(), bare("8"), 2),
                ("memory_cap".to_owned(), Value::Text("1GiB".to_owned()), 4),
                ("socket_mode".to_owned(), bare("0o660"), 5),
                ("big".to_owned(), bare("1000"), 6),
                ("f".to_owned(), bare("1.5"), 7),
                ("b".to_owned(), bare("true"), 8),
            ]
        );
        assert_eq!(parsed("[memory]\ncap = 1\n")[0], ("memory".to_owned(), Value::Other("a table"), 1));
        assert_eq!(parsed("a = [1]\nb = 2020-01-01\n")[1].1, Value::Other("a date"));
        assert_eq!(parsed(""), []);
    }

    #[test]
    fn what_is_not_toml_says_where() {
        for (text, line) in [
            ("readers = 8\nreaders = 9\n", 2),
            ("a = 1\n\nsocket_mode = 0600\n", 3),
            ("\noops", 2),
            ("a = \"x\n", 1),
        ] {
            match parse(Path::new("larder.toml"), text) {
                Err(Problem::Syntax { line: at, .. }) => assert_eq!(at, line, "{text:?}"),
                other => panic!("{text:?}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_missing_file_is_an_error_only_when_it_was_named() {
        let directory = tempfile::tempdir().unwrap();
        let missing = directory.path().join("larder.toml");
        assert!(read(&missing, true).unwrap().is_none());
        let error = read(&missing, false).unwrap_err().to_string();
        assert!(error.contains("larder.toml: No such file"), "{error}");
        // A directory in the file's place is not the same as no file.
        assert!(read(directory.path(), true).is_err());
    }

    #[test]
    fn a_huge_file_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("larder.toml");
        std::fs::write(&path, "#".repeat(FILE_BYTES_MAX as usize + 1)).unwrap();
        assert!(read(&path, true).unwrap_err().to_string().contains("1MiB"));
    }
}
