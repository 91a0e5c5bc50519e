//! The socket of a connection: a Unix socket, or one of TCP where clients can do no better.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::BytesMut;
use tokio::io::{AsyncRead, Interest, ReadBuf, Ready};
use tokio::net::{TcpStream, UnixStream, tcp, unix};

/// A connected socket.
#[derive(Debug)]
pub enum Socket {
    /// Of this machine; who is at the other end is known.
    Unix(UnixStream),
    /// Anybody's who can reach the address.
    Tcp(TcpStream),
}

/// What is received from.
#[derive(Debug)]
pub(super) enum Incoming {
    Unix(unix::OwnedReadHalf),
    Tcp(tcp::OwnedReadHalf),
}

/// What is sent to. Dropped, it tells the client that nothing more will come.
#[derive(Debug)]
pub(super) enum Outgoing {
    Unix(unix::OwnedWriteHalf),
    Tcp(tcp::OwnedWriteHalf),
}

/// Does the same with any of them.
macro_rules! either {
    ($kind:ident, $socket:expr, $inner:ident => $do:expr) => {
        match $socket {
            $kind::Unix($inner) => $do,
            $kind::Tcp($inner) => $do,
        }
    };
}

impl Socket {
    /// See [`UnixStream::try_write`].
    ///
    /// # Errors
    /// As there.
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        either!(Socket, self, inner => inner.try_write(bytes))
    }

    /// Its two directions, which need not be in the same hands.
    pub(super) fn split(self) -> (Incoming, Outgoing) {
        match self {
            Self::Unix(stream) => {
                let (incoming, outgoing) = stream.into_split();
                (Incoming::Unix(incoming), Outgoing::Unix(outgoing))
            }
            Self::Tcp(stream) => {
                let (incoming, outgoing) = stream.into_split();
                (Incoming::Tcp(incoming), Outgoing::Tcp(outgoing))
            }
        }
    }
}

impl Incoming {
    /// See [`UnixStream::poll_read_ready`].
    pub(super) fn poll_read_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(Incoming, self, inner => inner.as_ref().poll_read_ready(context))
    }

    /// See [`UnixStream::ready`]: of either direction.
    pub(super) async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        either!(Incoming, self, inner => inner.as_ref().ready(interest).await)
    }

    /// See [`UnixStream::try_read_buf`].
    pub(super) fn try_read_buf(&self, bytes: &mut BytesMut) -> io::Result<usize> {
        either!(Incoming, self, inner => inner.try_read_buf(bytes))
    }
}

impl AsyncRead for Incoming {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        either!(Incoming, self.get_mut(), inner => Pin::new(inner).poll_read(context, buf))
    }
}

impl Outgoing {
    /// See [`UnixStream::try_write`].
    pub(super) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        either!(Outgoing, self, inner => inner.try_write(bytes))
    }
}
