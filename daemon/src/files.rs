//! What the standard library lacks for files. A leaf.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

/// `path` with `suffix` at its end: the name of what belongs to a file and lies beside it.
#[must_use]
pub fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut path = OsString::from(path);
    path.push(suffix);
    path.into()
}

/// What `done` to a file came to, where it does not matter if there is none.
///
/// # Errors
/// As `done`, but for a file that is not there.
pub fn if_there(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

/// Removes a file, if there is one.
///
/// # Errors
/// Where it stays.
pub fn remove(path: &Path) -> io::Result<()> {
    if_there(std::fs::remove_file(path))
}

/// Opens a file for reading and writing, for this user alone where it has to be created first. Not through a link: that could
/// lead to a file that is ours but not to be overwritten.
///
/// # Errors
/// Where it cannot be opened.
pub fn open_own(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
        .open(path)
}

/// Reads what there is, at least a byte unless the input has ended; the number of bytes.
///
/// # Errors
/// Where the input cannot be read.
pub fn read_some(source: &mut dyn Read, buf: &mut [u8]) -> io::Result<usize> {
    loop {
        match source.read(buf) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suffix_follows_the_whole_name() {
        assert_eq!(with_suffix(Path::new("/d/larder.db"), "-wal"), Path::new("/d/larder.db-wal"));
    }

    #[test]
    fn what_is_not_there_needs_no_removing() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        remove(&file).unwrap();
        assert!(!file.exists());
        remove(&file).unwrap();
        assert!(remove(dir.path()).is_err());
    }

    #[test]
    fn reading_goes_on_after_a_signal() {
        struct Interrupted(bool);
        impl Read for Interrupted {
            fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
                if std::mem::take(&mut self.0) {
                    return Err(ErrorKind::Interrupted.into());
                }
                buf[0] = b'x';
                Ok(1)
            }
        }
        assert_eq!(read_some(&mut Interrupted(true), &mut [0; 4]).unwrap(), 1);
    }
}
