//! Sockets that were listening before the daemon was started: socket activation.
//!
//! The manager has made them, with owner and mode, and they outlive the daemon: clients that connect while nobody serves wait
//! in the queue. So they are neither made nor removed here. What is a Unix socket and what is TCP is seen by looking; names
//! (`FileDescriptorName=`) are for messages.

use std::env;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsFd;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use listenfd::ListenFd;

/// The listening sockets that the process was started with.
#[derive(Debug, Default)]
pub struct Inherited {
    /// A Unix socket, non-blocking, and where clients find it.
    pub unix: Option<(UnixListener, PathBuf)>,
    /// A TCP socket, non-blocking, and its address.
    pub tcp: Option<(TcpListener, SocketAddr)>,
}

/// Why what the process was given is not used.
#[derive(Debug, thiserror::Error)]
pub enum InheritedError {
    /// There is more than the daemon can serve.
    #[error(
        "the service manager passed several sockets of one sort ({names}), and larderd listens on one Unix socket and one TCP \
         address; leave one ListenStream= of each in the socket unit"
    )]
    Several {
        /// What they are called.
        names: String,
    },
    /// It is no socket, or one of another type.
    #[error(
        "what the service manager passed as {name} is no stream socket: {source}; use ListenStream= with a path or an address"
    )]
    NoStreamSocket {
        /// What it is called.
        name: String,
        /// The system's words.
        source: io::Error,
    },
    /// It is a connection, or was never made to listen.
    #[error(
        "the socket that the service manager passed as {name} does not listen; use Accept=no in the socket unit"
    )]
    NotListening {
        /// What it is called.
        name: String,
    },
    /// It has no path.
    #[error(
        "the socket that the service manager passed as {name} has no path; use ListenStream= with a path"
    )]
    NoPath {
        /// What it is called.
        name: String,
    },
    /// The system refused something.
    #[error(
        "cannot use the socket that the service manager passed as {name}: {source}; correct its socket unit"
    )]
    System {
        /// What it is called.
        name: String,
        /// The system's words.
        source: io::Error,
    },
}

/// The sockets that the process was started with, if any. To be called once, while the process has one thread.
///
/// # Errors
/// Where it was started with something that it cannot serve.
pub fn inherited() -> Result<Inherited, InheritedError> {
    // Variables are inherited, by programs that have nothing to do with the sockets as well.
    let for_us = env::var("LISTEN_PID").is_ok_and(|pid| pid == std::process::id().to_string());
    let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':').filter(|name| !name.is_empty());
    let mut sockets = if for_us { ListenFd::from_env() } else { ListenFd::empty() };
    let mut inherited = Inherited::default();
    for at in 0..sockets.len() {
        let name = names.next().map_or_else(|| format!("number {}", at + 1), str::to_owned);
        if let Ok(Some(unix)) = sockets.take_unix_listener(at) {
            inherited.add_unix(unix, name)?;
        } else {
            let tcp = sockets.take_tcp_listener(at);
            let tcp = tcp.map_err(|source| InheritedError::NoStreamSocket { name: name.clone(), source })?;
            tcp.map(|tcp| inherited.add_tcp(tcp, name)).transpose()?;
        }
    }
    Ok(inherited)
}

impl Inherited {
    fn add_unix(&mut self, listener: UnixListener, name: String) -> Result<(), InheritedError> {
        check_listening(&listener, &name)?;
        let prepare = || listener.set_nonblocking(true).and_then(|()| listener.local_addr());
        let address = prepare().map_err(|source| InheritedError::System { name: name.clone(), source })?;
        let path = address.as_pathname().map(Path::to_path_buf);
        let path = path.ok_or_else(|| InheritedError::NoPath { name: name.clone() })?;
        match self.unix.replace((listener, path)) {
            None => Ok(()),
            Some(_) => Err(InheritedError::Several { names: name }),
        }
    }

    fn add_tcp(&mut self, listener: TcpListener, name: String) -> Result<(), InheritedError> {
        check_listening(&listener, &name)?;
        let prepare = || listener.set_nonblocking(true).and_then(|()| listener.local_addr());
        let address = prepare().map_err(|source| InheritedError::System { name: name.clone(), source })?;
        match self.tcp.replace((listener, address)) {
            None => Ok(()),
            Some(_) => Err(InheritedError::Several { names: name }),
        }
    }
}

fn check_listening(socket: impl AsFd, name: &str) -> Result<(), InheritedError> {
    match rustix::net::sockopt::socket_acceptconn(socket) {
        Ok(true) => Ok(()),
        Ok(false) => Err(InheritedError::NotListening { name: name.to_owned() }),
        Err(error) => Err(InheritedError::System { name: name.to_owned(), source: error.into() }),
    }
}

#[cfg(test)]
mod tests {
    use std::os::linux::net::SocketAddrExt as _;
    use std::os::unix::net::SocketAddr as UnixAddress;

    use super::*;

    #[test]
    fn listening_sockets_will_do_one_of_each_sort() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("larder.sock");
        let mut inherited = Inherited::default();
        inherited.add_unix(UnixListener::bind(&path).unwrap(), "larder".into()).unwrap();
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = tcp.local_addr().unwrap();
        inherited.add_tcp(tcp, "larder".into()).unwrap();
        let ((unix, found), (tcp, at)) = (inherited.unix.as_ref().unwrap(), inherited.tcp.as_ref().unwrap());
        assert_eq!((found, *at), (&path, address));
        for nobody in [unix.accept().map(drop), tcp.accept().map(drop)] {
            assert_eq!(nobody.unwrap_err().kind(), io::ErrorKind::WouldBlock, "accepting must not block");
        }
        let second = UnixListener::bind(dir.path().join("second")).unwrap();
        let error = inherited.add_unix(second, "larder".into()).unwrap_err();
        assert!(error.to_string().contains("leave one ListenStream="), "{error}");
    }

    #[test]
    fn a_socket_without_a_path_will_not() {
        let name = UnixAddress::from_abstract_name(format!("larder-{}", std::process::id())).unwrap();
        let listener = UnixListener::bind_addr(&name).unwrap();
        let error = Inherited::default().add_unix(listener, "odd".into()).unwrap_err();
        assert!(error.to_string().contains("as odd has no path"), "{error}");
    }
}
