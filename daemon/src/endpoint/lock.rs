//! Lock files: they decide which daemon owns a place, and end with the process however it dies.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::process::geteuid;

use super::EndpointError;
use super::directory::{check_owner, prepare_directory};
use crate::files::{open_own, with_suffix};

/// Holds the data directory for this process until it is dropped.
#[derive(Debug)]
#[must_use = "the directory is free again as soon as this is dropped"]
pub struct DataLock {
    _file: File,
}

/// Prepares the data directory as [`prepare_directory`] does and takes it for this process, by locking `larder.lock` in
/// it.
///
/// # Errors
/// [`EndpointError::Taken`] with the owner's pid when another daemon has it; what [`prepare_directory`] finds; a link or
/// somebody else's file among the data.
pub fn lock_data(directory: &Path) -> Result<DataLock, EndpointError> {
    prepare_directory(directory)?;
    let file = take(&directory.join("larder.lock"), directory, "data")?;
    check_contents(directory)?;
    Ok(DataLock { _file: file })
}

/// Fails where a file of the data is a link, or belongs to somebody else. Only its owner can have put it into the
/// directory; it may have come with a copy, or from a time when the directory was open.
fn check_contents(directory: &Path) -> Result<(), EndpointError> {
    let entries = fs::read_dir(directory).map_err(EndpointError::system("list", directory))?;
    for entry in entries {
        let entry = entry.map_err(EndpointError::system("list", directory))?;
        let path = entry.path();
        let metadata = fs::symlink_metadata(&path).map_err(EndpointError::system("look at", &path))?;
        check_owner(&path, &metadata)?;
        if metadata.is_symlink() {
            return Err(EndpointError::Untrusted {
                path,
                what: "is a symbolic link".to_owned(),
                consequence: "what it leads to would be written to as data",
                advice: "put the file itself in its place, or remove it",
            });
        }
    }
    Ok(())
}

/// The process that has the data directory, if one has: the one that the lock file names, if it has that file open. The lock
/// itself is not touched: a daemon that starts in this moment would be refused.
///
/// # Errors
/// Where the system does not tell.
pub fn owner_of_data(directory: &Path) -> io::Result<Option<u32>> {
    let mut file = match File::open(directory.join("larder.lock")) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let locked = file.metadata()?;
    let pid = read_pid(&mut file);
    // Or we would find it open ourselves.
    drop(file);
    let Some(pid) = pid else { return Ok(None) };
    let open = match std::fs::read_dir(format!("/proc/{pid}/fd")) {
        Ok(open) => open,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    // Following the link leads to the open file, whatever its name is by now.
    let same = |found: std::fs::Metadata| (found.dev(), found.ino()) == (locked.dev(), locked.ino());
    let has_it = open.flatten().any(|fd| std::fs::metadata(fd.path()).is_ok_and(same));
    Ok(has_it.then_some(pid))
}

/// Takes the lock that goes with a socket: its path and `.lock`.
pub(super) fn lock_socket(socket: &Path) -> Result<File, EndpointError> {
    take(&with_suffix(socket, ".lock"), socket, "socket")
}

/// Locks the file at `path` and writes our pid into it, for the message a second daemon prints.
///
/// The file stays when the lock is released: were it removed, a daemon that had opened it just before would hold a lock
/// on a file nobody else can find.
fn take(path: &Path, place: &Path, option: &'static str) -> Result<File, EndpointError> {
    let mut file = open_own(path).map_err(|error| {
        closed_to_us(path, &error).unwrap_or(EndpointError::system("open lock file", path)(error))
    })?;
    let metadata = file.metadata().map_err(EndpointError::system("look at lock file", path))?;
    check_owner(path, &metadata)?;
    if !metadata.is_file() {
        let source = io::Error::other("not a regular file");
        return Err(EndpointError::system("use lock file", path)(source));
    }
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let (place, lock) = (place.to_path_buf(), path.to_path_buf());
            return Err(EndpointError::Taken { place, lock, pid: read_pid(&mut file), option });
        }
        Err(TryLockError::Error(source)) => return Err(EndpointError::system("lock", path)(source)),
    }
    write_pid(&mut file).map_err(EndpointError::system("write lock file", path))?;
    Ok(file)
}

/// What it means that a lock file cannot be opened, where that is because it, or the directory it would be in, is
/// somebody else's.
fn closed_to_us(path: &Path, error: &io::Error) -> Option<EndpointError> {
    if error.kind() != io::ErrorKind::PermissionDenied {
        return None;
    }
    let found =
        [path, path.parent()?].into_iter().find_map(|place| Some((place, fs::symlink_metadata(place).ok()?)));
    let (place, owner, us) = found.map(|(place, metadata)| (place, metadata.uid(), geteuid().as_raw()))?;
    (owner != us).then(|| EndpointError::Untrusted {
        path: place.to_path_buf(),
        what: format!("belongs to user {owner} and not to user {us}"),
        consequence: "it is closed to this larderd, as what is beside it may be",
        advice: "run larderd as that user, give what is there to this one with chown -R, or name another place",
    })
}

fn write_pid(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

/// The pid in a lock file, unless its owner is just about to write it.
fn read_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::super::private_tempdir;
    use super::*;

    #[test]
    fn the_second_is_told_who_the_first_is() {
        let base = private_tempdir();
        let data = base.path().join("data");
        let lock = lock_data(&data).unwrap();
        let error = lock_data(&data).unwrap_err().to_string();
        let us = std::process::id();
        assert!(
            error.contains(&format!("another larderd (process {us}) is using {}", data.display())),
            "{error}"
        );
        assert!(error.contains("larder.lock") && error.contains("--data"), "{error}");
        assert_eq!(owner_of_data(&data).unwrap(), Some(us));
        drop(lock);
        assert_eq!(owner_of_data(&data).unwrap(), None);
        drop(lock_data(&data).unwrap());
    }

    #[test]
    fn a_lock_left_behind_is_taken_and_renamed_to_us() {
        let base = private_tempdir();
        let path = base.path().join("larder.lock");
        fs::write(&path, "4194304999 and more\n").unwrap();
        let _lock = lock_data(base.path()).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{}\n", std::process::id()));
    }

    #[test]
    fn a_link_in_the_locks_place_is_not_followed() {
        let base = private_tempdir();
        let precious = base.path().join("precious");
        fs::write(&precious, "precious").unwrap();
        symlink(&precious, base.path().join("larder.lock")).unwrap();
        assert!(matches!(lock_data(base.path()), Err(EndpointError::System { .. })));
        assert_eq!(fs::read_to_string(&precious).unwrap(), "precious");
    }

    #[test]
    fn links_and_foreign_files_among_the_data_are_refused() {
        let base = private_tempdir();
        let data = base.path().join("data");
        prepare_directory(&data).unwrap();
        let precious = base.path().join("precious");
        std::fs::write(&precious, "precious").unwrap();
        for name in ["larder.db", "larder.db-wal", "journal-1.db"] {
            let link = data.join(name);
            symlink(&precious, &link).unwrap();
            let error = lock_data(&data).unwrap_err().to_string();
            assert!(error.contains(name) && error.contains("is a symbolic link"), "{error}");
            std::fs::remove_file(&link).unwrap();
        }
        assert_eq!(std::fs::read_to_string(&precious).unwrap(), "precious");
        if rustix::process::geteuid().as_raw() == 0 {
            let foreign = data.join("larder.db");
            std::fs::write(&foreign, "").unwrap();
            std::os::unix::fs::chown(&foreign, Some(65_534), None).unwrap();
            let error = lock_data(&data).unwrap_err().to_string();
            assert!(error.contains("larder.db belongs to user 65534"), "{error}");
        }
    }
}
