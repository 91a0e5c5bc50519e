//! The socket that a service manager listens on: one datagram for each message.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// A connection to the manager.
#[derive(Debug)]
pub(super) struct Notifier(UnixDatagram);

impl Notifier {
    /// Connects to the address in `NOTIFY_SOCKET`: a path, or after an `@` a name without a file.
    pub(super) fn to(address: &OsStr) -> io::Result<Self> {
        let address = match address.as_bytes() {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
            [b'/', ..] => SocketAddr::from_pathname(address)?,
            _ => return Err(io::Error::new(io::ErrorKind::Unsupported, "neither a path nor @name")),
        };
        let socket = UnixDatagram::unbound()?;
        // The event loop says most of it, and must not stand still because the manager does.
        socket.set_nonblocking(true)?;
        socket.connect_addr(&address)?;
        Ok(Self(socket))
    }

    pub(super) fn send(&self, message: &str) -> io::Result<()> {
        self.0.send(message.as_bytes()).map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_without_a_file_work_as_well() {
        let name = format!("larder-test-{}", std::process::id());
        let manager = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        Notifier::to(format!("@{name}").as_ref()).unwrap().send("READY=1\n").unwrap();
        let mut bytes = [0; 64];
        let length = manager.recv(&mut bytes).unwrap();
        assert_eq!(&bytes[..length], b"READY=1\n");
        assert!(Notifier::to("vsock:2:1".as_ref()).is_err());
    }

    #[test]
    fn a_manager_that_does_not_read_holds_nobody_up() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let _manager = UnixDatagram::bind(&path).unwrap();
        let notifier = Notifier::to(path.as_os_str()).unwrap();
        let full = (0..100_000).find_map(|_| notifier.send("WATCHDOG=1\n").err());
        assert_eq!(full.map(|error| error.kind()), Some(io::ErrorKind::WouldBlock));
    }
}
