//! The socket of a connection: a Unix socket, or one of TCP where clients can do no better.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::BytesMut;
use tokio::io::{AsyncRead, Interest, ReadBuf, Ready};
use tokio::net::{TcpStream, UnixStream};

/// A connected socket.
#[derive(Debug)]
pub enum Socket {
    /// Of this machine; who is at the other end is known.
    Unix(UnixStream),
    /// Anybody's who can reach the address.
    Tcp(TcpStream),
}

/// Does the same with either.
macro_rules! either {
    ($socket:expr, $inner:ident => $do:expr) => {
        match $socket {
            Socket::Unix($inner) => $do,
            Socket::Tcp($inner) => $do,
        }
    };
}

impl Socket {
    /// See [`UnixStream::poll_read_ready`].
    pub(super) fn poll_read_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, inner => inner.poll_read_ready(context))
    }

    /// See [`UnixStream::ready`].
    pub(super) async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        either!(self, inner => inner.ready(interest).await)
    }

    /// See [`UnixStream::try_write`].
    ///
    /// # Errors
    /// As there.
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        either!(self, inner => inner.try_write(bytes))
    }

    /// See [`UnixStream::try_read_buf`].
    pub(super) fn try_read_buf(&self, bytes: &mut BytesMut) -> io::Result<usize> {
        either!(self, inner => inner.try_read_buf(bytes))
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        either!(self.get_mut(), inner => Pin::new(inner).poll_read(context, buf))
    }
}
