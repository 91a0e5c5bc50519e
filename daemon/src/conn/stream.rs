//! The socket of a connection: a Unix socket, or one of TCP where clients can do no better.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::BytesMut;
use tokio::io::{AsyncRead, Interest, ReadBuf, Ready};
use tokio::net::{TcpStream, UnixStream};

/// A connected socket.
#[derive(Debug)]
pub enum Stream {
    /// Of this machine; who is at the other end is known.
    Unix(UnixStream),
    /// Anybody's who can reach the address.
    Tcp(TcpStream),
}

/// Does the same with either.
macro_rules! either {
    ($stream:expr, $inner:ident => $do:expr) => {
        match $stream {
            Stream::Unix($inner) => $do,
            Stream::Tcp($inner) => $do,
        }
    };
}

impl Stream {
    /// See [`UnixStream::poll_read_ready`].
    pub(super) fn poll_read_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => stream.poll_read_ready(context))
    }

    /// See [`UnixStream::ready`].
    pub(super) async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        either!(self, stream => stream.ready(interest).await)
    }

    /// See [`UnixStream::try_write`].
    ///
    /// # Errors
    /// As there.
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        either!(self, stream => stream.try_write(bytes))
    }

    /// See [`UnixStream::try_read_buf`].
    pub(super) fn try_read_buf(&self, bytes: &mut BytesMut) -> io::Result<usize> {
        either!(self, stream => stream.try_read_buf(bytes))
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        either!(self.get_mut(), stream => Pin::new(stream).poll_read(context, buf))
    }
}
