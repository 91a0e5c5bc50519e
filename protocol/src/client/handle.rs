//! The client's core: choosing a connection, sending, waiting for the answer, and saying what went wrong.
//!
//! Used by every method of the client. Knows commands only as words, and which of them cannot share a connection.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::BytesMut;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout_at};

use super::backoff::Backoff;
use super::flight::Flights;
use super::pipe::{self, Answer, Failure, Opening, Request};
use super::reply::Answered;
use super::{Error, Options};
use crate::{Reply, encode_command};

/// Requests on a connection that are taken for none when the least busy one is chosen: many requests on one connection
/// share system calls, and that is worth more than spreading them.
const CROWD: usize = 64;

/// How often a call with patience tries again.
const RETRY_EVERY: Duration = Duration::from_millis(25);

/// How often a request is handed to a connection that turns out to have ended: a daemon that accepts and closes is away.
const UNSENT_TRIES: u32 = 3;

/// Commands that change what a connection is, and so cannot be run on a shared one, with what to use instead.
const NOT_SHARED: &[(&str, &str)] = &[
    ("SUBSCRIBE", "use subscribe()"),
    ("PSUBSCRIBE", "use subscribe_patterns()"),
    ("UNSUBSCRIBE", "drop the subscription"),
    ("PUNSUBSCRIBE", "drop the subscription"),
    ("MULTI", "use pipeline().atomic(), or connection() together with WATCH"),
    ("EXEC", "use pipeline().atomic(), or connection() together with WATCH"),
    ("DISCARD", "use connection()"),
    ("WATCH", "use connection()"),
    ("UNWATCH", "use connection()"),
    ("HELLO", "the client has chosen the protocol"),
    ("RESET", "the connection is shared"),
    ("QUIT", "drop the client"),
];

/// A handle to the daemon. Cheap to clone; clones share connections.
///
/// Its methods may be called from any task of a tokio runtime that has IO and timers enabled. Requests of many tasks share
/// a connection and system calls; answers never mix. A connection that ended is replaced when next needed.
///
/// ```
/// # larderd::fresh::block_on(async |socket| {
/// # // A program says Client::connect(); the daemon of this example listens elsewhere.
/// use std::time::Duration;
/// use larder_protocol::client::Client;
///
/// let client = Client::at(socket).await?;
/// client.set("user:7", &("ann", 31), Duration::from_secs(60)).await?;
/// let user: Option<(String, u32)> = client.get("user:7").await?;
/// assert_eq!(user, Some(("ann".into(), 31)));
/// # Ok(())
/// # });
/// ```
#[derive(Clone)]
pub struct Client {
    pub(super) inner: Arc<Inner>,
    pub(super) timeout: Duration,
    long_timeout: Duration,
}

/// What clones share.
pub(super) struct Inner {
    pub(super) options: Options,
    pub(super) socket: Arc<Path>,
    pipes: Vec<Pipe>,
    pub(super) flights: Flights,
    went_without: AtomicU64,
}

/// A place for a connection.
struct Pipe {
    /// None until it is first needed.
    sender: Mutex<Option<mpsc::Sender<Request>>>,
    /// Requests handed over and not answered yet.
    load: AtomicUsize,
}

/// Counts a request as long as it is under way.
struct Loaded<'a>(&'a AtomicUsize);

impl Drop for Loaded<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Client {
    /// Connects to the daemon at the [default socket](super::default_socket).
    ///
    /// # Errors
    /// If there is none, or it does not answer.
    pub async fn connect() -> Result<Self, Error> {
        Self::open(Options::new()).await
    }

    /// Connects to the daemon on `socket`.
    ///
    /// # Errors
    /// If there is none, or it does not answer.
    pub async fn at(socket: impl AsRef<Path>) -> Result<Self, Error> {
        Self::open(Options::new().socket(socket.as_ref())).await
    }

    /// Connects as `options` say.
    ///
    /// # Errors
    /// If there is no daemon, or it does not answer.
    pub async fn open(options: Options) -> Result<Self, Error> {
        let client = Self::lazy(options)?;
        client.ping().await?;
        Ok(client)
    }

    /// A client that connects when it is first used: for programs that start whether the daemon runs or not.
    ///
    /// # Errors
    /// If nothing says where the socket is.
    pub fn lazy(options: Options) -> Result<Self, Error> {
        let (timeout, long_timeout) = (options.timeout, options.long_timeout);
        let pipes = (0..options.connections)
            .map(|_| Pipe { sender: Mutex::new(None), load: AtomicUsize::new(0) })
            .collect();
        let inner = Inner {
            socket: options.place()?,
            pipes,
            options,
            flights: Flights::default(),
            went_without: AtomicU64::new(0),
        };
        Ok(Self { inner: Arc::new(inner), timeout, long_timeout })
    }

    /// The same client with another timeout for each call.
    ///
    /// ```
    /// # larderd::fresh::block_on(async |socket| {
    /// # let client = larder_protocol::client::Client::at(socket).await?;
    /// use std::time::Duration;
    ///
    /// let hurried = client.with_timeout(Duration::from_millis(500));
    /// assert_eq!(hurried.get::<u32>("nothing").await?, None);
    /// # Ok(())
    /// # });
    /// ```
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        Self { inner: Arc::clone(&self.inner), timeout, long_timeout: timeout }
    }

    /// The socket it connects to.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.inner.socket
    }

    /// Runs any command. An error reply is an error.
    ///
    /// ```
    /// # larderd::fresh::block_on(async |socket| {
    /// # let client = larder_protocol::client::Client::at(socket).await?;
    /// use larder_protocol::Reply;
    ///
    /// assert_eq!(client.command(["APPEND", "log", "line"]).await?, Reply::Int(4));
    /// assert!(client.command(["NOSUCH"]).await.is_err());
    /// # Ok(())
    /// # });
    /// ```
    ///
    /// # Errors
    /// Those of the connection and of the daemon; and commands that would change the connection others share, such as
    /// SUBSCRIBE or MULTI, are [`Error::Misuse`], which names what there is instead.
    pub async fn command(&self, words: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Result<Reply, Error> {
        let (bytes, name) = encoded(words, NOT_SHARED)?;
        self.exchange(&name, self.timeout, bytes).await
    }

    /// How many cached calls went on without the cache because of an error, this client and its clones together.
    #[must_use]
    pub fn went_without(&self) -> u64 {
        self.inner.went_without.load(Ordering::Relaxed)
    }

    /// Reports an error that its caller does not get.
    pub(super) fn report(&self, error: &Error) {
        self.inner.went_without.fetch_add(1, Ordering::Relaxed);
        if let Some(hook) = &self.inner.options.on_error {
            hook(error);
        }
    }

    /// Runs a command that may change something.
    pub(super) async fn call<W: AsRef<[u8]>>(
        &self,
        command: &'static str,
        words: &[W],
    ) -> Result<Answered, Error> {
        let reply = self.exchange(command, self.timeout, encode_all(words)).await?;
        Ok(Answered { command, reply })
    }

    /// As [`call`](Self::call), for what may take long.
    pub(super) async fn call_long<W: AsRef<[u8]>>(
        &self,
        command: &'static str,
        words: &[W],
    ) -> Result<Answered, Error> {
        let reply = self.exchange(command, self.long_timeout, encode_all(words)).await?;
        Ok(Answered { command, reply })
    }

    /// Runs a command that only reads: once more where the connection was lost.
    pub(super) async fn read<W: AsRef<[u8]>>(
        &self,
        command: &'static str,
        words: &[W],
    ) -> Result<Answered, Error> {
        let bytes = encode_all(words);
        let reply = match self.exchange(command, self.timeout, bytes.clone()).await {
            Err(Error::Lost { .. }) => self.exchange(command, self.timeout, bytes).await?,
            reply => reply?,
        };
        Ok(Answered { command, reply })
    }

    async fn exchange(&self, command: &str, timeout: Duration, bytes: BytesMut) -> Result<Reply, Error> {
        let bytes = bytes.freeze();
        let make = || {
            let (to, answer) = oneshot::channel();
            (Request { bytes: bytes.clone(), answer: Answer::One(to) }, answer)
        };
        match self.send(command, timeout, make).await? {
            Reply::Error(message) => Err(Error::Refused { command: command.to_owned(), message }),
            reply => Ok(reply),
        }
    }

    /// Sends several encoded commands together; an error reply stands where its answer would.
    pub(super) async fn exchange_many(
        &self,
        command: &str,
        wanted: usize,
        bytes: BytesMut,
    ) -> Result<Vec<Reply>, Error> {
        if wanted == 0 {
            return Ok(Vec::new());
        }
        let bytes = bytes.freeze();
        let make = || {
            let (to, answer) = oneshot::channel();
            let answer_to = Answer::Many { wanted, got: Vec::with_capacity(wanted), to };
            (Request { bytes: bytes.clone(), answer: answer_to }, answer)
        };
        self.send(command, self.timeout, make).await
    }

    async fn send<T>(
        &self,
        command: &str,
        timeout: Duration,
        make: impl Fn() -> (Request, oneshot::Receiver<Result<T, Failure>>),
    ) -> Result<T, Error> {
        let began = Instant::now();
        let late = |_| Error::Timeout { command: command.to_owned(), after: timeout };
        let deadline = began.checked_add(timeout).unwrap_or_else(|| began + Duration::from_hours(24 * 365));
        let mut handed = 0;
        loop {
            handed += 1;
            let (request, answer) = make();
            let tried = timeout_at(deadline, self.hand_over(request, answer)).await.map_err(late)?;
            let failure = match tried {
                Ok(answered) => return Ok(answered),
                Err(failure) => failure,
            };
            let patient = began.elapsed() < self.inner.options.patience && Instant::now() < deadline;
            match failure {
                // On the next connection, then.
                Failure::Unsent(_) if handed < UNSENT_TRIES => {}
                Failure::Unreachable(_) if patient => sleep(RETRY_EVERY).await,
                failure => return Err(self.failed(command, failure)),
            }
        }
    }

    async fn hand_over<T>(
        &self,
        request: Request,
        answer: oneshot::Receiver<Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let pipe = self.least_busy();
        pipe.load.fetch_add(1, Ordering::Relaxed);
        let _loaded = Loaded(&pipe.load);
        let sender = pipe.sender(|| self.opening(true));
        let gone = || Failure::Lost("the runtime that served it has ended".to_owned());
        sender.send(request).await.map_err(|_| gone())?;
        answer.await.unwrap_or_else(|_| Err(gone()))
    }

    fn least_busy(&self) -> &Pipe {
        let busy = |pipe: &&Pipe| pipe.load.load(Ordering::Relaxed) / CROWD;
        self.inner.pipes.iter().min_by_key(busy).expect("a client has a connection at least")
    }

    pub(super) fn opening(&self, again: bool) -> Opening {
        let Options { name, first_wait, longest_wait, .. } = &self.inner.options;
        Opening {
            socket: Arc::clone(&self.inner.socket),
            name: name.clone(),
            backoff: Backoff::new(*first_wait, *longest_wait),
            again,
        }
    }

    pub(super) fn failed(&self, command: &str, failure: Failure) -> Error {
        let socket = Arc::clone(&self.inner.socket);
        match failure {
            Failure::Unreachable(source) => Error::Unreachable { socket, source },
            Failure::Unsent(reason) => {
                let source = Arc::new(io::Error::new(io::ErrorKind::ConnectionAborted, reason));
                Error::Unreachable { socket, source }
            }
            Failure::Lost(reason) => Error::Lost { command: command.to_owned(), socket, reason },
        }
    }
}

impl Pipe {
    /// Of the running connection, or of a new one: the first, or one for a task that went with its runtime.
    fn sender(&self, opening: impl FnOnce() -> Opening) -> mpsc::Sender<Request> {
        let mut sender = locked(&self.sender);
        match &*sender {
            Some(running) if !running.is_closed() => running.clone(),
            _ => sender.insert(pipe::open(opening())).clone(),
        }
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("socket", &self.inner.socket)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// A lock whose holder cannot have left anything half done.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn encode_all<W: AsRef<[u8]>>(words: &[W]) -> BytesMut {
    let mut bytes = BytesMut::new();
    encode_command(words, &mut bytes);
    bytes
}

/// The command's bytes and its name; refused where it is one of `refused`.
pub(super) fn encoded(
    words: impl IntoIterator<Item = impl AsRef<[u8]>>,
    refused: &[(&str, &str)],
) -> Result<(BytesMut, String), Error> {
    let words: Vec<_> = words.into_iter().collect();
    let Some(name) = words.first().map(AsRef::as_ref) else {
        return Err(Error::Misuse("a command has at least a name".to_owned()));
    };
    let name = String::from_utf8_lossy(name).to_uppercase();
    let turns_replies_off =
        name == "CLIENT" && words.get(1).is_some_and(|word| word.as_ref().eq_ignore_ascii_case(b"reply"));
    let instead = refused.iter().find(|(word, _)| *word == name).map(|(_, instead)| *instead);
    if let Some(instead) = instead.or_else(|| turns_replies_off.then_some("every request here has an answer"))
    {
        return Err(Error::Misuse(format!("{name} cannot be run on this connection: {instead}")));
    }
    Ok((encode_all(&words), name))
}

/// As [`encoded`], for one of several commands on a shared connection.
pub(super) fn encoded_shared(
    words: impl IntoIterator<Item = impl AsRef<[u8]>>,
) -> Result<(BytesMut, String), Error> {
    encoded(words, NOT_SHARED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_share_a_connection_is_refused_with_what_to_do_instead() {
        for (words, hint) in [
            (&["subscribe", "c"][..], "use subscribe()"),
            (&["Multi"], "pipeline().atomic()"),
            (&["CLIENT", "reply", "OFF"], "has an answer"),
            (&[], "at least a name"),
        ] {
            let error = encoded(words, NOT_SHARED).expect_err("should be refused").to_string();
            assert!(error.contains(hint), "{words:?}: {error}");
        }
        assert!(encoded(["MULTI"], &[]).is_ok() && encoded(["CLIENT", "LIST"], NOT_SHARED).is_ok());
    }

    #[test]
    fn nothing_is_opened_before_it_is_used() {
        let client =
            Client::lazy(Options::new().socket("/nowhere/larder.sock")).expect("the socket is named");
        assert_eq!(client.socket(), Path::new("/nowhere/larder.sock"));
        assert!(format!("{client:?}").contains("/nowhere"));
        assert_eq!(client.went_without(), 0);
    }
}
