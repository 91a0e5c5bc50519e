//! Sockets that were listening before the daemon was started: socket activation.
//!
//! The manager has made the socket, with its owner and mode, and it outlives the daemon: clients that connect while
//! nobody serves wait in its queue. So it is neither made nor removed here.

use std::env;
use std::io;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use listenfd::ListenFd;

/// The listening socket that the process was started with.
#[derive(Debug)]
pub struct Inherited {
    /// The socket, non-blocking.
    pub listener: UnixListener,
    /// Where clients find it.
    pub path: PathBuf,
}

/// Why what the process was given is not used.
#[derive(Debug, thiserror::Error)]
pub enum InheritedError {
    /// There is more than the daemon can serve.
    #[error(
        "the service manager passed {count} sockets ({names}), and larderd listens on one; leave one ListenStream= in the \
         socket unit"
    )]
    Several {
        /// How many.
        count: usize,
        /// What they are called.
        names: String,
    },
    /// It is no socket, or another sort of socket.
    #[error(
        "the socket that the service manager passed is no Unix stream socket: {0}; use ListenStream= with a path"
    )]
    Sort(#[source] io::Error),
    /// It is a connection, or was never made to listen.
    #[error("the socket that the service manager passed does not listen; use Accept=no in the socket unit")]
    NotListening,
    /// It has no path.
    #[error("the socket that the service manager passed has no path; use ListenStream= with a path")]
    NoPath,
    /// The system refused something.
    #[error("cannot use the socket that the service manager passed: {0}")]
    System(#[source] io::Error),
}

/// The socket that the process was started with; `None` where it was started with none. To be called once, while the
/// process has one thread.
///
/// # Errors
/// Where it was started with something else than one listening Unix socket.
pub fn inherited() -> Result<Option<Inherited>, InheritedError> {
    // Variables are inherited, by programs that have nothing to do with the sockets as well.
    let for_us = env::var("LISTEN_PID").is_ok_and(|pid| pid == std::process::id().to_string());
    let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut sockets = if for_us { ListenFd::from_env() } else { ListenFd::empty() };
    match sockets.len() {
        0 => Ok(None),
        1 => {
            let taken = sockets.take_unix_listener(0).map_err(InheritedError::Sort)?;
            taken.map(check).transpose()
        }
        count => Err(InheritedError::Several { count, names: names.replace(':', ", ") }),
    }
}

fn check(listener: UnixListener) -> Result<Inherited, InheritedError> {
    let listens = rustix::net::sockopt::socket_acceptconn(&listener);
    if !listens.map_err(|error| InheritedError::System(error.into()))? {
        return Err(InheritedError::NotListening);
    }
    let address = listener.local_addr().map_err(InheritedError::System)?;
    let path = address.as_pathname().map(Path::to_path_buf).ok_or(InheritedError::NoPath)?;
    listener.set_nonblocking(true).map_err(InheritedError::System)?;
    Ok(Inherited { listener, path })
}

#[cfg(test)]
mod tests {
    use std::os::linux::net::SocketAddrExt as _;
    use std::os::unix::net::SocketAddr;

    use super::*;

    #[test]
    fn a_listening_socket_with_a_path_will_do() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("larder.sock");
        let inherited = check(UnixListener::bind(&path).unwrap()).unwrap();
        assert_eq!(inherited.path, path);
        let nobody = inherited.listener.accept().unwrap_err();
        assert_eq!(nobody.kind(), io::ErrorKind::WouldBlock, "accepting must not block");
    }

    #[test]
    fn a_socket_without_a_path_will_not() {
        let name = SocketAddr::from_abstract_name(format!("larder-{}", std::process::id())).unwrap();
        let error = check(UnixListener::bind_addr(&name).unwrap()).unwrap_err();
        assert!(error.to_string().contains("ListenStream="), "{error}");
    }
}
