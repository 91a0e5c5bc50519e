//! The file that a backup is written to: under another name until it is whole and on disk, so that nobody takes half a
//! backup for one, and gone without a trace where it does not get that far. Used by the keeper.

use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use super::FileSystem;
use super::error::StoreError;
use super::main_file;
use crate::files::{open_own, with_suffix};

/// A backup under way. Removed when it is dropped unfinished.
#[derive(Debug)]
pub(super) struct Part {
    target: PathBuf,
    directory: PathBuf,
    path: PathBuf,
    file: File,
}

impl Part {
    /// Creates the file that becomes `target`, an absolute path.
    ///
    /// # Errors
    /// Where there is a `target` already, or another backup is being written to it, or the file cannot be created.
    pub(super) fn create(target: &Path) -> Result<Self, StoreError> {
        let (Some(parent), Some(name)) = (target.parent(), target.file_name()) else {
            let source = ErrorKind::IsADirectory.into();
            return Err(StoreError::io("write a backup to", target)(source));
        };
        // SQLite is told to follow no link, and means every directory on the way.
        let directory = parent.canonicalize().map_err(StoreError::io("find directory", parent))?;
        let target = directory.join(name);
        let path = with_suffix(&target, ".part");
        loop {
            refuse_existing(&target)?;
            let file = open_own(&path).map_err(StoreError::io("create backup", &path))?;
            let part =
                Self { target: target.clone(), directory: directory.clone(), path: path.clone(), file };
            if part.claim()? {
                return Ok(part);
            }
            // Another backup has ended in that moment.
        }
    }

    /// Empties the file for this backup alone. False where it is not, or not any more, what has this name: another backup was
    /// finished between the opening and the lock, and what was opened is that one now; or it was given up.
    fn claim(&self) -> Result<bool, StoreError> {
        let io = || StoreError::io("create backup", &self.path);
        // One that is there but not locked was left by a process that was killed.
        match self.file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::BackupUnderWay { path: self.path.clone() });
            }
            Err(TryLockError::Error(source)) => return Err(io()(source)),
        }
        if !self.has_its_name() {
            return Ok(false);
        }
        self.file.set_len(0).map_err(io())?;
        Ok(true)
    }

    /// Whether the file is the one that its path leads to.
    fn has_its_name(&self) -> bool {
        let there = std::fs::symlink_metadata(&self.path).map(|there| (there.dev(), there.ino()));
        there.is_ok_and(|there| self.file.metadata().is_ok_and(|ours| (ours.dev(), ours.ino()) == there))
    }

    /// The file, for SQLite to write to.
    pub(super) fn open(&self) -> Result<Connection, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_NOFOLLOW;
        let sqlite = || StoreError::sqlite("create backup", &self.path);
        let connection = Connection::open_with_flags(&self.path, flags).map_err(sqlite())?;
        // It is forced to disk once, when it is whole; and what fails is removed, not rolled back.
        connection
            .execute_batch("PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF;")
            .map_err(sqlite())?;
        Ok(connection)
    }

    /// Where it is being written.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// A handle for whoever may need its room more.
    pub(super) fn rival(&self) -> Result<Rival, StoreError> {
        let file = self.file.try_clone().map_err(StoreError::io("hold", &self.path))?;
        Ok(Rival { path: self.path.clone(), file })
    }

    /// Whether it takes its room from where `dir` is.
    pub(super) fn shares_room_with(&self, dir: &Path) -> bool {
        let ours = self.file.metadata().map(|file| file.dev());
        ours.ok() == std::fs::metadata(dir).map(|dir| dir.dev()).ok()
    }

    /// Fails unless there is room for `needed` more bytes.
    pub(super) fn need_room(&self, needed: u64) -> Result<(), StoreError> {
        need_room("the backup", &self.directory, needed)
    }

    /// Makes it durable under its own name; its size in bytes. SQLite must have closed it.
    pub(super) fn finish(self) -> Result<u64, StoreError> {
        let sync = || StoreError::io("sync backup", &self.path);
        self.file.sync_all().map_err(sync())?;
        let bytes = self.file.metadata().map_err(sync())?.len();
        match renameat_with(CWD, &self.path, CWD, &self.target, RenameFlags::NOREPLACE) {
            Err(Errno::INVAL | Errno::NOSYS) => {
                // A file system that cannot promise it.
                refuse_existing(&self.target)?;
                std::fs::rename(&self.path, &self.target).map_err(StoreError::io("finish", &self.target))?;
            }
            Err(Errno::EXIST) => return Err(StoreError::Exists { path: self.target.clone() }),
            renamed => renamed.map_err(|errno| StoreError::io("finish", &self.target)(errno.into()))?,
        }
        main_file::sync_directory(&self.directory)?;
        Ok(bytes)
    }
}

/// A backup under way, seen by what needs room on the same file system.
#[derive(Debug)]
pub(super) struct Rival {
    path: PathBuf,
    file: File,
}

impl Rival {
    /// Gives its room back, with whatever is still being written to it. What there is to say about that.
    pub(super) fn give_way(self) -> StoreError {
        let Self { path, file } = self;
        if let Err(error) =
            main_file::remove(&path).and_then(|()| file.set_len(0).map_err(StoreError::io("cut off", &path)))
        {
            tracing::warn!("{error}");
        }
        StoreError::io("write backup", &path)(rustix::io::Errno::NOSPC.into())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // Where it was finished, or has given way, the name may be somebody else's by now; and so may the file, where it is locked.
        if self.file.try_lock().is_ok()
            && self.has_its_name()
            && let Err(error) = main_file::remove(&self.path)
        {
            tracing::warn!("{error}");
        }
    }
}

/// Fails unless the file system of `directory` has room for `needed_bytes` more.
pub(super) fn need_room(what: &'static str, directory: &Path, needed_bytes: u64) -> Result<(), StoreError> {
    let free_bytes = FileSystem::of(directory)?.free_bytes;
    if free_bytes >= needed_bytes {
        return Ok(());
    }
    Err(StoreError::NoRoom { what, directory: directory.to_owned(), needed_bytes, free_bytes })
}

fn refuse_existing(target: &Path) -> Result<(), StoreError> {
    match std::fs::symlink_metadata(target) {
        Ok(_) => Err(StoreError::Exists { path: target.to_owned() }),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(source) => Err(StoreError::io("look at", target)(source)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn it_is_there_when_finished_and_leaves_nothing_otherwise() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("copy.db");
        let names = || std::fs::read_dir(dir.path()).unwrap().count();
        drop(Part::create(&target).unwrap());
        assert_eq!(names(), 0);
        let part = Part::create(&target).unwrap();
        let second = Part::create(&target).unwrap_err().to_string();
        assert!(second.contains("another backup"), "{second}");
        let copy = part.open().unwrap();
        copy.execute_batch("CREATE TABLE t (x)").unwrap();
        drop(copy);
        let bytes = part.finish().unwrap();
        let metadata = std::fs::metadata(&target).unwrap();
        assert_eq!((names(), metadata.len(), metadata.permissions().mode() & 0o777), (1, bytes, 0o600));
        let exists = Part::create(&target).unwrap_err().to_string();
        assert!(exists.contains("copy.db exists already"), "{exists}");
    }

    #[test]
    fn one_that_was_left_behind_is_used_and_a_file_that_came_meanwhile_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("copy.db");
        std::fs::write(dir.path().join("copy.db.part"), "left behind").unwrap();
        let part = Part::create(&target).unwrap();
        std::fs::write(&target, "precious").unwrap();
        assert!(matches!(part.finish(), Err(StoreError::Exists { .. })));
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "precious");
        assert!(!dir.path().join("copy.db.part").exists());
    }

    #[test]
    fn a_backup_that_ends_while_another_begins_stays_what_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("copy.db");
        let first = Part::create(&target).unwrap();
        std::fs::write(first.path(), "whole").unwrap();
        // The second has opened the file, and has not come to lock it.
        let opened = |path: &Path| Part {
            target: target.clone(),
            directory: dir.path().to_owned(),
            path: path.to_owned(),
            file: open_own(path).unwrap(),
        };
        let second = opened(first.path());
        let under_way = second.claim().unwrap_err().to_string();
        assert!(under_way.contains("another backup"), "{under_way}");
        first.finish().unwrap();
        assert!(!second.claim().unwrap());
        drop(second);
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "whole");
        // The same where the first is given up, and a third has begun meanwhile: that one's file stays.
        std::fs::remove_file(&target).unwrap();
        let first = Part::create(&target).unwrap();
        let second = opened(first.path());
        drop(first);
        let third = Part::create(&target).unwrap();
        assert!(!second.claim().unwrap());
        drop(second);
        assert!(third.path().exists());
        third.finish().unwrap();
    }

    #[test]
    fn want_of_room_is_said_in_bytes() {
        let dir = tempfile::tempdir().unwrap();
        need_room("the test", dir.path(), 1).unwrap();
        let error = need_room("the test", dir.path(), u64::MAX).unwrap_err().to_string();
        assert!(error.contains("no room for the test") && error.contains(&u64::MAX.to_string()), "{error}");
    }
}
