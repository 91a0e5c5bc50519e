//! The daemon's places in the file system: its directories, the locks that make it the only one, and its socket.
//!
//! Used by `main` at start, before anything else touches the data. Nothing here trusts a path: a directory others can
//! write to, a link in a socket's or lock's place and a foreign owner are refused, as what is put there would decide
//! whom the clients talk to. Never removes a file that is not a socket, and never a socket while it may have a server.

mod directory;
mod error;
mod lock;
mod socket;
mod tcp;

pub use directory::{User, examine_directory, examine_for_socket, prepare_directory};
pub use error::EndpointError;
pub use lock::{DataLock, lock_data, owner_of_data};
pub use socket::{PATH_BYTES_MAX, Sharing, SocketGuard, listen};
pub use tcp::listen_tcp;

/// A temporary directory for us alone, whatever the umask, below which places can be prepared.
#[cfg(test)]
fn private_tempdir() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt as _;

    let ours = std::fs::Permissions::from_mode(0o700);
    tempfile::Builder::new()
        .permissions(ours)
        .tempdir()
        .expect("the system's directory for such takes one more")
}
