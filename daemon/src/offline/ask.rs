//! Asking a running daemon, through its socket.

use std::io::{self, Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;

use std::time::Duration;

use bytes::BytesMut;
use larder_protocol::{Decoder, Reply, ReplyLimits, encode_command};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};

use super::OfflineError;
use crate::error::without_code;

/// Bytes of a reply that are read at once.
const READ_BYTES: usize = 4_096;

const CONFIG_GET_DATA: &[&[u8]] = &[b"CONFIG", b"GET", b"data"];

/// Has the daemon on `socket` write a backup to `target`, an absolute path; the size of the file. Refused where the
/// daemon's data is not in `data`.
pub(super) fn backup(socket: &Path, target: &Path, data: Option<&Path>) -> Result<u64, OfflineError> {
    let mut daemon = Daemon::connect(socket)?;
    if let Some(data) = data {
        daemon.has_its_data_in(data)?;
    }
    match daemon.ask(&[b"BACKUP", target.as_os_str().as_bytes()])? {
        Reply::Int(bytes) => Ok(bytes as u64),
        other => Err(daemon.unexpected("BACKUP", &other)),
    }
}

/// Why a daemon does not answer PING.
#[derive(Debug)]
pub(super) enum Silent {
    /// Nobody can be connected to.
    Unreachable(io::Error),
    /// Somebody is there, and this is what came of it.
    Odd(String),
}

/// Asks whoever listens on `socket` for PONG, and whether its data is in `data`. Gives up where an answer takes longer than
/// `patience`.
pub(super) fn ping(socket: &Path, data: &Path, patience: Duration) -> Result<(), Silent> {
    let stream = connect_within(socket, patience).map_err(Silent::Unreachable)?;
    let mut daemon = Daemon { socket, stream, decoder: Decoder::new(ReplyLimits::default()) };
    let odd = |error: OfflineError| Silent::Odd(error.to_string());
    match daemon.ask(&[b"PING"]).map_err(odd)? {
        Reply::Status("PONG") => {}
        other => return Err(odd(daemon.unexpected("PING", &other))),
    }
    match daemon.ask(CONFIG_GET_DATA) {
        Ok(reply) => daemon.says_its_data_is_in(data, &reply).map_err(odd),
        // Not everybody may ask for settings.
        Err(_) => Ok(()),
    }
}

/// A connection on which nothing takes longer than `patience`; where the queue of the socket is full, connecting would.
fn connect_within(socket: &Path, patience: Duration) -> io::Result<UnixStream> {
    let address = SocketAddrUnix::new(socket)?;
    let stream = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    for direction in [Timeout::Send, Timeout::Recv] {
        set_socket_timeout(&stream, direction, Some(patience))?;
    }
    connect(&stream, &address)?;
    Ok(UnixStream::from(stream))
}

/// A connection that asks one thing at a time.
struct Daemon<'a> {
    socket: &'a Path,
    stream: UnixStream,
    decoder: Decoder,
}

impl<'a> Daemon<'a> {
    fn connect(socket: &'a Path) -> Result<Self, OfflineError> {
        let stream = UnixStream::connect(socket).map_err(|error| {
            OfflineError::Daemon(format!(
                "a daemon runs on the data and has to be asked, and it cannot be reached on {}: {error}; name its socket \
                 with --socket",
                socket.display()
            ))
        })?;
        Ok(Self { socket, stream, decoder: Decoder::new(ReplyLimits::default()) })
    }

    /// Two daemons on one machine: the right one must be asked.
    fn has_its_data_in(&mut self, data: &Path) -> Result<(), OfflineError> {
        let reply = self.ask(CONFIG_GET_DATA)?;
        self.says_its_data_is_in(data, &reply)
    }

    fn says_its_data_is_in(&self, data: &Path, reply: &Reply) -> Result<(), OfflineError> {
        let Reply::Array(words) = reply else { return Err(self.unexpected("CONFIG GET data", reply)) };
        let [_, Reply::Bulk(theirs)] = words.as_slice() else {
            return Err(self.unexpected("CONFIG GET data", reply));
        };
        let theirs = Path::new(std::ffi::OsStr::from_bytes(theirs));
        if theirs == data || theirs.canonicalize().ok() == data.canonicalize().ok() {
            return Ok(());
        }
        Err(OfflineError::Daemon(format!(
            "the daemon on {} has its data in {} and not in {}; name the socket of the other with --socket",
            self.socket.display(),
            theirs.display(),
            data.display()
        )))
    }

    /// Sends a request and waits for its reply, however long it takes. An error reply is an error.
    fn ask(&mut self, words: &[&[u8]]) -> Result<Reply, OfflineError> {
        let lost = |error: std::io::Error| {
            OfflineError::Daemon(format!("the daemon on {} went away: {error}", self.socket.display()))
        };
        let mut bytes = BytesMut::new();
        encode_command(words, &mut bytes);
        self.stream.write_all(&bytes).map_err(lost)?;
        bytes.clear();
        loop {
            let mut read = [0; READ_BYTES];
            let len = self.stream.read(&mut read).map_err(lost)?;
            if len == 0 {
                return Err(lost(std::io::ErrorKind::UnexpectedEof.into()));
            }
            bytes.extend_from_slice(&read[..len]);
            match self.decoder.decode(&mut bytes) {
                Ok(None) => {}
                Ok(Some(Reply::Error(text))) => {
                    return Err(OfflineError::Daemon(format!("the daemon says: {}", without_code(&text))));
                }
                Ok(Some(reply)) => return Ok(reply),
                Err(error) => return Err(OfflineError::Daemon(error.to_string())),
            }
        }
    }

    fn unexpected(&self, request: &str, reply: &Reply) -> OfflineError {
        let socket = self.socket.display();
        OfflineError::Daemon(format!(
            "what listens on {socket} answers {request} with {reply:?}: is it larderd?"
        ))
    }
}
