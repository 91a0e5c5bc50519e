//! One connection that many callers share: their requests go out one after the other without waiting for answers, and
//! answers go back to whom they belong, in order.
//!
//! Used by the handle. A task of its own reads and writes. It connects when something is to be sent, notices the end of a
//! connection at once, and connects anew for the next request; while the daemon is away, requests fail at once until the
//! back-off lets it try again. What was handed to a connection that ends is never sent again here.

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::backoff::Backoff;
use super::handle::encode_all;
use crate::{Decoder, Reply, ReplyLimits};

/// Requests that wait for the connection's task; beyond it callers wait.
const QUEUED: usize = 1_024;

/// Requests sent and not answered yet; beyond it the rest stays queued.
const IN_FLIGHT: usize = 8_192;

/// Bytes of requests collected for one write.
const WRITE_BYTES: usize = 256 << 10;

/// Why a request has no answer.
#[derive(Clone, Debug)]
pub(super) enum Failure {
    /// There is no connection, so it was not sent.
    Unreachable(Arc<io::Error>),
    /// The connection turned out to have ended, before a byte of it was written.
    Unsent(String),
    /// The connection ended while it was under way.
    Lost(String),
}

/// Encoded commands, sent together and answered together.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) bytes: Bytes,
    pub(super) answer: Answer,
}

/// Who waits for how many replies.
#[derive(Debug)]
pub(super) enum Answer {
    One(oneshot::Sender<Result<Reply, Failure>>),
    Many {
        wanted: usize,
        got: Vec<Reply>,
        to: oneshot::Sender<Result<Vec<Reply>, Failure>>,
    },
    /// What the connection itself says at its beginning.
    Greeting,
}

impl Answer {
    /// Whether nobody waits any more.
    fn is_given_up(&self) -> bool {
        match self {
            Self::One(to) => to.is_closed(),
            Self::Many { to, .. } => to.is_closed(),
            Self::Greeting => false,
        }
    }

    fn fail(self, failure: Failure) {
        // Who has stopped waiting needs no answer.
        match self {
            Self::One(to) => drop(to.send(Err(failure))),
            Self::Many { to, .. } => drop(to.send(Err(failure))),
            Self::Greeting => {}
        }
    }
}

/// What a connection is opened with.
#[derive(Clone, Debug)]
pub(super) struct Opening {
    pub(super) socket: Arc<Path>,
    pub(super) name: Option<String>,
    pub(super) backoff: Backoff,
    /// Whether a connection that has ended is followed by another.
    pub(super) again: bool,
}

/// What every connection says at its beginning, for CLIENT LIST: commands that are each answered once.
pub(super) fn greeting(name: Option<&str>) -> Vec<BytesMut> {
    let mut commands = vec![
        encode_all(&["CLIENT", "SETINFO", "LIB-NAME", "larder-protocol"]),
        encode_all(&["CLIENT", "SETINFO", "LIB-VER", env!("CARGO_PKG_VERSION")]),
    ];
    commands.extend(name.map(|name| encode_all(&["CLIENT", "SETNAME", name])));
    commands
}

/// Starts the task of a connection on the current runtime. It ends when the last sender is dropped and everything
/// is answered.
pub(super) fn open(opening: Opening) -> mpsc::Sender<Request> {
    let (sender, requests) = mpsc::channel(QUEUED);
    tokio::spawn(run(opening, requests));
    sender
}

async fn run(mut opening: Opening, mut requests: mpsc::Receiver<Request>) {
    // Until when the daemon is left alone, and why.
    let mut resting: Option<(Instant, Arc<io::Error>)> = None;
    while let Some(first) = requests.recv().await {
        if first.answer.is_given_up() {
            continue;
        }
        if let Some((until, why)) = &resting
            && Instant::now() < *until
        {
            first.answer.fail(Failure::Unreachable(Arc::clone(why)));
            continue;
        }
        match UnixStream::connect(&opening.socket).await {
            Ok(stream) => {
                resting = None;
                let ended = Connection::new(stream, &opening).serve(first, &mut requests).await;
                if ended.answered {
                    opening.backoff.worked();
                } else {
                    // It accepts and closes: not to be asked all the time either.
                    let why = io::Error::new(io::ErrorKind::ConnectionAborted, ended.reason);
                    resting = Some((Instant::now() + opening.backoff.failed(), Arc::new(why)));
                }
                if !opening.again {
                    // Whoever still sends learns that it is gone.
                    return;
                }
            }
            Err(error) => {
                let why = Arc::new(error);
                resting = Some((Instant::now() + opening.backoff.failed(), Arc::clone(&why)));
                first.answer.fail(Failure::Unreachable(why));
            }
        }
    }
}

/// How a connection ended.
struct Ended {
    /// Whether the daemon ever answered on it.
    answered: bool,
    reason: String,
}

/// An open connection.
struct Connection {
    stream: UnixStream,
    decoder: Decoder,
    input: BytesMut,
    output: BytesMut,
    waiting: VecDeque<Waiting>,
    /// Bytes handed over since the connection began, and those of them that were written.
    taken: u64,
    written: u64,
    answered: bool,
    /// What the daemon refused of the greeting: where it has too many clients, that is the reason.
    refused: Option<String>,
}

impl Connection {
    fn new(stream: UnixStream, opening: &Opening) -> Self {
        let (mut output, mut waiting, mut taken) = (BytesMut::new(), VecDeque::new(), 0);
        for command in greeting(opening.name.as_deref()) {
            let request = Request { bytes: command.freeze(), answer: Answer::Greeting };
            add(request, &mut output, &mut waiting, &mut taken);
        }
        Self {
            stream,
            decoder: Decoder::new(ReplyLimits::default()),
            input: BytesMut::new(),
            output,
            waiting,
            taken,
            written: 0,
            answered: false,
            refused: None,
        }
    }

    /// Serves until the connection ends or nobody can ask any more.
    async fn serve(mut self, first: Request, requests: &mut mpsc::Receiver<Request>) -> Ended {
        add(first, &mut self.output, &mut self.waiting, &mut self.taken);
        let reason = match self.exchange(requests).await {
            Ok(()) => "closed".to_owned(),
            Err(reason) => self.refused.take().unwrap_or(reason),
        };
        for Waiting { from, answer } in self.waiting {
            let reason = reason.clone();
            answer.fail(if from >= self.written { Failure::Unsent(reason) } else { Failure::Lost(reason) });
        }
        Ended { answered: self.answered, reason }
    }

    async fn exchange(&mut self, requests: &mut mpsc::Receiver<Request>) -> Result<(), String> {
        let (mut reader, mut writer) = self.stream.split();
        let mut asking = true;
        while asking || !self.waiting.is_empty() {
            let room = asking && self.output.len() < WRITE_BYTES && self.waiting.len() < IN_FLIGHT;
            tokio::select! {
                biased;
                // First, so that the end of a connection is noticed before a request is handed to it.
                read = reader.read_buf(&mut self.input) => {
                    match read {
                        Ok(0) => return Err("larder closed it".to_owned()),
                        Ok(_) => {}
                        Err(error) => return Err(error.to_string()),
                    }
                    while let Some(reply) = self.decoder.decode(&mut self.input).map_err(|error| error.to_string())? {
                        self.answered |= deliver(reply, &mut self.waiting, &mut self.refused)?;
                    }
                }
                request = requests.recv(), if room => match request {
                    Some(request) => {
                        add(request, &mut self.output, &mut self.waiting, &mut self.taken);
                        // What else is there goes out with it.
                        while self.output.len() < WRITE_BYTES && self.waiting.len() < IN_FLIGHT {
                            let Ok(request) = requests.try_recv() else { break };
                            add(request, &mut self.output, &mut self.waiting, &mut self.taken);
                        }
                    }
                    None => asking = false,
                },
                written = writer.write_buf(&mut self.output), if !self.output.is_empty() => {
                    match written {
                        Ok(bytes) => self.written += bytes as u64,
                        Err(error) => {
                            // It has closed the connection; why, it may have said before.
                            while reader.read_buf(&mut self.input).await.is_ok_and(|bytes| bytes > 0) {}
                            while let Ok(Some(reply)) = self.decoder.decode(&mut self.input) {
                                self.answered |= deliver(reply, &mut self.waiting, &mut self.refused)?;
                            }
                            return Err(error.to_string());
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

/// Who waits for a reply to a request that begins so many bytes after the connection's beginning.
#[derive(Debug)]
struct Waiting {
    from: u64,
    answer: Answer,
}

fn add(request: Request, output: &mut BytesMut, waiting: &mut VecDeque<Waiting>, taken: &mut u64) {
    if request.answer.is_given_up() {
        return;
    }
    output.extend_from_slice(&request.bytes);
    waiting.push_back(Waiting { from: *taken, answer: request.answer });
    *taken += request.bytes.len() as u64;
}

/// Gives a reply to whom it belongs. Whether it answers something that a caller asked.
fn deliver(
    reply: Reply,
    waiting: &mut VecDeque<Waiting>,
    refused: &mut Option<String>,
) -> Result<bool, String> {
    match waiting.front_mut().map(|waiting| &mut waiting.answer) {
        None => match reply {
            // Said before the connection is closed.
            Reply::Error(text) => Err(text),
            other => Err(format!("larder sent {other:?}, which nobody had asked for")),
        },
        Some(Answer::Greeting) => {
            if let Reply::Error(text) = reply {
                *refused = Some(text);
            }
            waiting.pop_front();
            Ok(false)
        }
        Some(Answer::Many { wanted, got, .. }) if got.len() + 1 < *wanted => {
            got.push(reply);
            Ok(true)
        }
        Some(_) => {
            match waiting.pop_front().map(|waiting| waiting.answer) {
                // Who has stopped waiting needs no answer.
                Some(Answer::One(to)) => drop(to.send(Ok(reply))),
                Some(Answer::Many { mut got, to, .. }) => {
                    got.push(reply);
                    drop(to.send(Ok(got)));
                }
                Some(Answer::Greeting) | None => unreachable!("it was looked at a moment ago"),
            }
            Ok(true)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_go_to_whom_they_belong() {
        let (one, mut one_got) = oneshot::channel();
        let (many, mut many_got) = oneshot::channel();
        let answers =
            [Answer::Greeting, Answer::One(one), Answer::Many { wanted: 2, got: Vec::new(), to: many }];
        let mut waiting: VecDeque<_> = answers.map(|answer| Waiting { from: 0, answer }).into();
        let mut refused = None;
        let mut deliver = |reply| deliver(reply, &mut waiting, &mut refused);
        assert_eq!(deliver(Reply::error("ERR no")), Ok(false));
        assert_eq!(deliver(Reply::Int(1)), Ok(true));
        assert!(matches!(one_got.try_recv(), Ok(Ok(Reply::Int(1)))));
        assert_eq!(deliver(Reply::Int(2)), Ok(true));
        assert!(many_got.try_recv().is_err(), "not whole yet");
        assert_eq!(deliver(Reply::Int(3)), Ok(true));
        assert_eq!(many_got.try_recv().ok().and_then(Result::ok), Some(vec![Reply::Int(2), Reply::Int(3)]));
        assert_eq!(
            deliver(Reply::error("ERR max number of clients reached")),
            Err("ERR max number of clients reached".into())
        );
        assert_eq!(refused.as_deref(), Some("ERR no"));
    }

    #[test]
    fn what_nobody_waits_for_is_not_sent() {
        let (to, got) = oneshot::channel();
        let (mut output, mut waiting) = (BytesMut::new(), VecDeque::new());
        drop(got);
        let mut taken = 0;
        add(Request { bytes: "x".into(), answer: Answer::One(to) }, &mut output, &mut waiting, &mut taken);
        assert!(output.is_empty() && waiting.is_empty() && taken == 0);
        let greeting = || Request { bytes: "greeting".into(), answer: Answer::Greeting };
        add(greeting(), &mut output, &mut waiting, &mut taken);
        add(greeting(), &mut output, &mut waiting, &mut taken);
        assert_eq!((waiting[1].from, taken), (8, 16));
    }
}
