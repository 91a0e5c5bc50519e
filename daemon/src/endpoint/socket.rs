//! The listening socket: bound with its final mode, removed only by its owner.

use std::fs::{self, File, Metadata, Permissions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, fchmod};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen as start, socket_with,
};

use super::EndpointError;
use super::directory::{check_owner, prepare_for_socket};
use super::lock::lock_socket;

/// Bytes of a socket's path: `sockaddr_un` has room for 108 with the zero at the end (unix(7)).
pub const PATH_BYTES_MAX: usize = 107;

/// Connections that may wait to be accepted; the system lowers it to its own bound (net.core.somaxconn). Large, because
/// a client that finds the queue full is refused.
const BACKLOG: i32 = 4096;

/// Removes the socket when it is dropped, if it is still the one that was bound, and then releases its lock.
#[derive(Debug)]
#[must_use = "the socket is removed as soon as this is dropped"]
pub struct SocketGuard {
    path: PathBuf,
    device: u64,
    inode: u64,
    /// Released after the removal, as a field is dropped after its owner's `drop`.
    _lock: File,
}

impl SocketGuard {
    /// Where the socket is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for SocketGuard {
    fn drop(&mut self) {
        let still_ours = |found: &Metadata| (found.dev(), found.ino()) == (self.device, self.inode);
        if fs::symlink_metadata(&self.path).is_ok_and(|found| still_ours(&found)) {
            // On failure a stale socket stays, which the next daemon replaces.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Who may connect to a socket, as far as the file system decides.
#[derive(Clone, Copy, Debug)]
pub struct Sharing {
    /// Permission bits.
    pub mode: u32,
    /// The group that they are about, where it is not the process's.
    pub group: Option<u32>,
}

/// Listens on a Unix socket at `path`; accepting does not block. Prepares its directory, takes its lock (`<path>.lock`)
/// and replaces a socket that a dead daemon left. A directory that was not there can be passed by whom the socket is
/// shared with.
///
/// The socket gets its mode before it has a name: Linux creates the name with the socket's own bits, less the umask. So
/// there is no instant at which it is wider, whatever the umask, which belongs to the whole process and stays alone.
///
/// # Errors
/// [`EndpointError::Taken`] or [`EndpointError::Live`] when someone else serves this socket, and what else is in the
/// way.
pub fn listen(path: &Path, sharing: Sharing) -> Result<(UnixListener, SocketGuard), EndpointError> {
    let length_bytes = path.as_os_str().as_bytes().len();
    if length_bytes > PATH_BYTES_MAX {
        let path = path.to_path_buf();
        return Err(EndpointError::TooLong { path, length_bytes, limit_bytes: PATH_BYTES_MAX });
    }
    let address = SocketAddrUnix::new(path).map_err(EndpointError::system("use as a socket", path))?;
    // A bare name has an empty parent, which is the working directory.
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let is_new = fs::symlink_metadata(directory).is_err();
    prepare_for_socket(directory)?;
    if is_new {
        // Who may write to the socket, which is to connect, may pass.
        let passable = (sharing.mode >> 1) & 0o011;
        give(directory, Sharing { mode: 0o700 | passable, ..sharing })?;
    }
    let lock = lock_socket(path)?;
    remove_stale(path, &address)?;

    let socket = new_socket().map_err(EndpointError::system("create a socket for", path))?;
    // For as long as the group is another, nothing is for the group.
    let bits = if sharing.group.is_some() { sharing.mode & !0o070 } else { sharing.mode };
    fchmod(&socket, Mode::from_raw_mode(bits)).map_err(EndpointError::system("set the mode of", path))?;
    bind(&socket, &address).map_err(EndpointError::system("bind", path))?;
    let metadata = fs::symlink_metadata(path).map_err(EndpointError::system("look at", path))?;
    let guard =
        SocketGuard { path: path.to_path_buf(), device: metadata.dev(), inode: metadata.ino(), _lock: lock };
    // Gives back what the umask took. Before listening, so that the first client already meets the final mode.
    give(path, sharing)?;
    start(&socket, BACKLOG).map_err(EndpointError::system("listen on", path))?;
    Ok((UnixListener::from(socket), guard))
}

/// Gives a path its group and then its mode.
fn give(path: &Path, Sharing { mode, group }: Sharing) -> Result<(), EndpointError> {
    if group.is_some() {
        chown(path, None, group).map_err(EndpointError::system("set the group (socket_group) of", path))?;
    }
    fs::set_permissions(path, Permissions::from_mode(mode))
        .map_err(EndpointError::system("set the mode of", path))
}

fn new_socket() -> Result<OwnedFd, Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
}

/// Removes a socket without a server from `path`. The lock is ours, so no larderd serves it; that no other program
/// does is found out by knocking.
fn remove_stale(path: &Path, address: &SocketAddrUnix) -> Result<(), EndpointError> {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(EndpointError::system("look at", path)(error)),
    };
    let file_type = metadata.file_type();
    if !file_type.is_socket() {
        let what = match file_type {
            kind if kind.is_symlink() => "a symbolic link",
            kind if kind.is_dir() => "a directory",
            kind if kind.is_file() => "a file",
            _ => "a device or pipe",
        };
        return Err(EndpointError::NotASocket { path: path.to_path_buf(), what });
    }
    check_owner(path, &metadata)?;
    let knock = new_socket().map_err(EndpointError::system("create a socket to try", path))?;
    match connect(&knock, address) {
        // EAGAIN: there is a server, and its queue is full. EPROTOTYPE: there is one of another type.
        Ok(()) | Err(Errno::AGAIN | Errno::PROTOTYPE) => {
            Err(EndpointError::Live { path: path.to_path_buf() })
        }
        Err(Errno::CONNREFUSED) => {
            fs::remove_file(path).map_err(EndpointError::system("remove the stale socket", path))
        }
        // It went away by itself.
        Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(EndpointError::system("try the old socket", path)(error)),
    }
}

#[cfg(test)]
mod tests;
