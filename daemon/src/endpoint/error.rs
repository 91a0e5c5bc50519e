//! What can stand in the way of the daemon's places. Each text names the operation, its object and what to do.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Why the daemon cannot have its directory, lock or socket.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// The system refused an operation.
    #[error("cannot {operation} {}: {source}", .path.display())]
    System {
        /// What was tried, as a verb.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Something on the way to a place is not to be trusted.
    #[error("{} {what}, so {consequence}; {advice}", .path.display())]
    Untrusted {
        /// The directory, link or file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
        /// What could come of it.
        consequence: &'static str,
        /// What to do.
        advice: &'static str,
    },
    /// Another daemon has the data or the socket.
    #[error(
        "another larderd{} is using {} (it holds {}); stop it, or name another place with --{option}",
        process(*.pid), .place.display(), .lock.display()
    )]
    Taken {
        /// The data directory or the socket.
        place: PathBuf,
        /// The lock file.
        lock: PathBuf,
        /// The owner, where the lock file names it.
        pid: Option<u32>,
        /// The option that names the place.
        option: &'static str,
    },
    /// The TCP address cannot be had.
    #[error("cannot listen on {address}: {source}; name another address with --tcp, or none")]
    Tcp {
        /// The address.
        address: SocketAddr,
        /// The system's reason.
        source: io::Error,
    },
    /// Some other program's server listens on the socket.
    #[error("another program is listening on {}; stop it, or name another socket with --socket", .path.display())]
    Live {
        /// The socket.
        path: PathBuf,
    },
    /// The socket's place is taken by something that is not a socket.
    #[error("{} is {what} and not a socket; remove it, or name another socket with --socket", .path.display())]
    NotASocket {
        /// What should have been a socket.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// A path the system cannot bind.
    #[error(
        "the socket's path {} has {length_bytes} bytes, and the system allows {limit_bytes}; name a shorter one with \
         --socket",
        .path.display()
    )]
    TooLong {
        /// The path.
        path: PathBuf,
        /// Its length.
        length_bytes: usize,
        /// The longest one possible.
        limit_bytes: usize,
    },
}

impl EndpointError {
    /// For `map_err` on what the system said to `operation` on `path`.
    pub(super) fn system<E: Into<io::Error>>(operation: &'static str, path: &Path) -> impl FnOnce(E) -> Self {
        let path = path.to_path_buf();
        move |source| Self::System { operation, path, source: source.into() }
    }
}

fn process(pid: Option<u32>) -> String {
    pid.map(|pid| format!(" (process {pid})")).unwrap_or_default()
}
