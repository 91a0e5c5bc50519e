//! The listening sockets, and who is at the other end of what connects to them.
//!
//! Used by the server's loop alone.

use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use super::Start;
use crate::clients::Peer;
use crate::conn::Socket;

/// The sockets that clients connect to.
pub(super) struct Listeners {
    unix: UnixListener,
    tcp: Option<TcpListener>,
}

impl Listeners {
    /// Those that the daemon was started with, which stay open when these are dropped.
    ///
    /// # Errors
    /// Where the process has too few file descriptors.
    pub(super) fn of(start: &Start) -> io::Result<Self> {
        let unix = start.listener.try_clone().and_then(UnixListener::from_std)?;
        let tcp = start.tcp.as_ref().map(|tcp| tcp.try_clone().and_then(TcpListener::from_std));
        Ok(Self { unix, tcp: tcp.transpose()? })
    }

    /// Waits for the next connection. Nothing is lost where the wait is given up.
    ///
    /// # Errors
    /// Where the system refuses it, or it has gone before it was looked at.
    pub(super) async fn accept(&self) -> io::Result<(Peer, Socket)> {
        tokio::select! {
            accepted = self.unix.accept() => {
                let (stream, _) = accepted?;
                Ok((unix_peer(&stream), Socket::Unix(stream)))
            }
            accepted = accept_tcp(self.tcp.as_ref()) => {
                let (stream, from) = accepted?;
                Ok((tcp_peer(&stream, from)?, Socket::Tcp(stream)))
            }
        }
    }
}

/// The next connection over TCP; never, where nobody listens there.
async fn accept_tcp(listener: Option<&TcpListener>) -> io::Result<(TcpStream, SocketAddr)> {
    match listener {
        Some(listener) => listener.accept().await,
        None => std::future::pending().await,
    }
}

/// Who is at the other end. Where the system does not tell, nobody in particular.
pub(super) fn unix_peer(stream: &UnixStream) -> Peer {
    match stream.peer_cred() {
        Ok(peer) => Peer { pid: peer.pid(), uid: peer.uid(), gid: peer.gid(), tcp: None },
        Err(error) => {
            tracing::warn!("cannot tell who has connected: {error}");
            Peer::NOBODY
        }
    }
}

/// Over TCP only the addresses are known.
fn tcp_peer(stream: &TcpStream, from: SocketAddr) -> io::Result<Peer> {
    // Answers are small, and whoever asked waits for them.
    stream.set_nodelay(true)?;
    Ok(Peer { tcp: Some([from, stream.local_addr()?]), ..Peer::NOBODY })
}
