//! The socket: subscribes, reads messages, and connects again when it has to.
//!
//! Used by the loop, which gets messages from a thread of its own, and by the output without a terminal, which reads a
//! [`Subscription`] directly. Blocking reads: a process that is stopped reads nothing, and the daemon counts what it
//! misses.

mod backoff;

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc::SyncSender;
use std::thread;
use std::time::Duration;

use bytes::BytesMut;
use larder_protocol::stream::{EVENTS_CHANNEL, Event, Message, STATS_CHANNEL};
use larder_protocol::{DecodeError, Decoder, Reply, ReplyLimits, Stat, encode_command};

pub use backoff::Backoff;

use crate::app::msg::{LinkState, Msg};

/// Bytes read at once.
const READ_BYTES: usize = 64 << 10;

/// How long a clean-up that was asked for may take.
const CLEAN_UP_MAX: Duration = Duration::from_mins(5);

/// What goes wrong on the socket.
#[derive(Debug)]
pub enum LinkError {
    /// The system says no.
    Io(io::Error),
    /// The daemon closed the connection.
    Closed,
    /// What came is no reply.
    Decode(DecodeError),
    /// The daemon says no.
    Refused(String),
}

impl std::fmt::Display for LinkError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Io(error) => match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => write!(
                    f,
                    "nobody listens ({error}); start larderd, or name its socket with --socket or LARDER_SOCKET"
                ),
                io::ErrorKind::PermissionDenied => {
                    write!(
                        f,
                        "{error}: whoever owns the socket says who may use it (socket_mode, socket_group)"
                    )
                }
                _ => write!(f, "{error}"),
            },
            Self::Closed => f.write_str("the daemon closed the connection; its log says why"),
            Self::Decode(error) => write!(f, "{error}; is it larderd that listens there?"),
            Self::Refused(error) => write!(f, "the daemon says: {error}"),
        }
    }
}

impl From<io::Error> for LinkError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// A connection that replies are read from.
struct Connection {
    stream: UnixStream,
    decoder: Decoder,
    buffer: BytesMut,
    chunk: Box<[u8]>,
}

impl Connection {
    fn open(socket: &Path, words: &[&str]) -> Result<Self, LinkError> {
        let mut stream = UnixStream::connect(socket)?;
        let mut command = BytesMut::new();
        encode_command(words, &mut command);
        stream.write_all(&command)?;
        let decoder = Decoder::new(ReplyLimits::default());
        Ok(Self { stream, decoder, buffer: BytesMut::new(), chunk: vec![0; READ_BYTES].into() })
    }

    fn reply(&mut self) -> Result<Reply, LinkError> {
        loop {
            if let Some(reply) = self.decoder.decode(&mut self.buffer).map_err(LinkError::Decode)? {
                return Ok(reply);
            }
            match self.stream.read(&mut self.chunk) {
                Ok(0) => return Err(LinkError::Closed),
                Ok(count) => self.buffer.extend_from_slice(&self.chunk[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Which channel a message came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// `larder:stats`.
    Stats,
    /// `larder:events`.
    Events,
}

/// A subscription to channels of the daemon.
pub struct Subscription {
    connection: Connection,
}

impl Subscription {
    /// Connects, and subscribes to the statistics and, if asked for, the events.
    ///
    /// # Errors
    /// If there is no daemon, or the system refuses.
    pub fn open(socket: &Path, events: bool) -> Result<Self, LinkError> {
        let words = ["SUBSCRIBE", STATS_CHANNEL, EVENTS_CHANNEL];
        let connection = Connection::open(socket, if events { &words } else { &words[..2] })?;
        Ok(Self { connection })
    }

    /// The next message, as it came. Blocks.
    ///
    /// # Errors
    /// If the connection ends, or the daemon refuses the subscription.
    pub fn receive(&mut self) -> Result<(Channel, String), LinkError> {
        loop {
            match self.connection.reply()? {
                Reply::Array(parts) | Reply::Push(parts) => {
                    if let [Reply::Bulk(kind), Reply::Bulk(channel), Reply::Bulk(text)] = &parts[..]
                        && &kind[..] == b"message"
                    {
                        let channel = if &channel[..] == EVENTS_CHANNEL.as_bytes() {
                            Channel::Events
                        } else {
                            Channel::Stats
                        };
                        return Ok((channel, String::from_utf8_lossy(text).into_owned()));
                    }
                }
                Reply::Error(error) => return Err(LinkError::Refused(error)),
                _ => {}
            }
        }
    }
}

/// Lets samples through that are an interval apart, and everything else.
#[derive(Debug)]
pub struct Pace {
    interval_ms: i64,
    last_ms: Option<i64>,
}

impl Pace {
    /// An interval in milliseconds; 0 lets everything through.
    #[must_use]
    pub const fn new(interval_ms: i64) -> Self {
        Self { interval_ms, last_ms: None }
    }

    /// Whether this one is due. Counters only grow, so nothing is lost with those that are not.
    pub fn is_due(&mut self, message: &Message) -> bool {
        let Message::Sample(sample) = message else { return true };
        let time_ms = sample.stats.int(Stat::TimeMs);
        // A twentieth early is on time: timers are late by different amounts.
        let early = self.interval_ms / 20;
        let due = self.last_ms.is_none_or(|last| !(0..self.interval_ms - early).contains(&(time_ms - last)));
        if due {
            self.last_ms = Some(time_ms);
        }
        due
    }
}

/// Starts the thread that reads the stream, for as long as the receiver lives.
///
/// # Errors
/// If the thread cannot be started.
pub fn spawn(socket: PathBuf, interval_ms: i64, sender: SyncSender<Msg>) -> io::Result<()> {
    let run = move || {
        let mut backoff = Backoff::default();
        loop {
            if sender.send(Msg::Link(LinkState::Connecting)).is_err() {
                return;
            }
            let Err(error) = read(&socket, interval_ms, &sender, &mut backoff) else { return };
            let retry_in_ms = backoff.failed();
            let reason = format!("{}: {error}", socket.display());
            if sender.send(Msg::Link(LinkState::Lost { reason, retry_in_ms })).is_err() {
                return;
            }
            thread::sleep(Duration::from_millis(retry_in_ms));
        }
    };
    thread::Builder::new().name("link".to_owned()).spawn(run).map(drop)
}

/// Passes messages on until the connection fails; ends without an error where nobody listens any more.
fn read(
    socket: &Path,
    interval_ms: i64,
    sender: &SyncSender<Msg>,
    backoff: &mut Backoff,
) -> Result<(), LinkError> {
    let mut subscription = Subscription::open(socket, true)?;
    let mut pace = Pace::new(interval_ms);
    let mut connected = false;
    loop {
        let (channel, text) = subscription.receive()?;
        if !connected {
            // Only a message shows that it works: a daemon that accepts and closes is not to be asked all the time.
            connected = true;
            backoff.worked();
            if sender.send(Msg::Link(LinkState::Connected)).is_err() {
                return Ok(());
            }
        }
        let msg = match channel {
            Channel::Stats => match Message::from_json(&text) {
                Ok(message) if pace.is_due(&message) => Msg::Stats(Box::new(message)),
                Ok(_) => continue,
                Err(error) => Msg::Unreadable(error.to_string()),
            },
            Channel::Events => match Event::from_json(&text) {
                Ok(event) => Msg::Event(Box::new(event)),
                Err(error) => Msg::Unreadable(error.to_string()),
            },
        };
        if sender.send(msg).is_err() {
            return Ok(());
        }
    }
}

/// Has the daemon clean up, on a connection and a thread of its own; the outcome comes as a message.
///
/// # Errors
/// If the thread cannot be started.
pub fn clean_up(socket: PathBuf, sender: SyncSender<Msg>) -> io::Result<()> {
    let run = move || {
        let ask = || -> Result<i64, LinkError> {
            let mut connection = Connection::open(&socket, &["CLEANUP"])?;
            connection.stream.set_read_timeout(Some(CLEAN_UP_MAX))?;
            match connection.reply()? {
                Reply::Int(rows) => Ok(rows),
                Reply::Error(error) => Err(LinkError::Refused(error)),
                _ => Err(LinkError::Refused("something that is no number".to_owned())),
            }
        };
        // Nobody waits for it any more if that fails.
        let _ = sender.send(Msg::CleanedUp(ask().map_err(|error| error.to_string())));
    };
    thread::Builder::new().name("clean-up".to_owned()).spawn(run).map(drop)
}

#[cfg(test)]
mod tests {
    use larder_protocol::stream::{Backlog, Sample};

    use super::*;

    #[test]
    fn samples_are_let_through_at_the_interval() {
        let at = |time_ms: i64| {
            let mut sample = Sample::default();
            sample.stats.set(Stat::TimeMs, time_ms);
            Message::Sample(Box::new(sample))
        };
        let mut pace = Pace::new(2_000);
        let due: Vec<i64> =
            (0..10).map(|at| at * 1_000 + at % 3).filter(|&time| pace.is_due(&at(time))).collect();
        assert_eq!(due, [0, 2_002, 4_001, 6_000, 8_002]);
        // Time that went back is no reason to wait.
        assert!(pace.is_due(&at(10)) && pace.is_due(&Message::Backlog(Backlog::default())));
        let mut all = Pace::new(0);
        assert!((0..5).all(|time| all.is_due(&at(time))));
    }
}
