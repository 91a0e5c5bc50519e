//! The client for threads and scripts: the same methods, which block.
//!
//! All blocking clients of a process share one thread that reads and writes; a call hands its request over and sleeps
//! until the answer is there. They work in any thread, those of a runtime included, whose other tasks then wait as well.
//!
//! ```
//! # let daemon = larderd::fresh::Daemon::start();
//! # let socket = daemon.socket();
//! use std::time::Duration;
//! use larder_protocol::{client::blocking::Client, key};
//!
//! let client = Client::at(socket)?; // Client::connect() finds the daemon by itself
//! client.set("answer", &42, Duration::from_secs(60))?;
//! assert_eq!(client.get::<u32>("answer")?, Some(42));
//! let square = client.cached(Duration::from_secs(60), key!("square", 12), || 12 * 12);
//! assert_eq!(square, 144);
//! # Ok::<(), larder_protocol::client::Error>(())
//! ```

use std::future::Future;
use std::path::Path;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::runtime::{Builder, Handle};

use super::{
    Decision, Error, LlmCache, Message, Options, Pattern, RateLimiter, Remaining, Scan, SearchCache,
    SessionCache, SetOptions, Subscription, Ttl,
};
use crate::{Reply, Snapshot};

/// A handle to the daemon. Cheap to clone; clones share connections.
#[derive(Clone, Debug)]
pub struct Client {
    inner: super::Client,
}

/// Methods that wait for the async ones of the same name.
macro_rules! twins {
    ($of:ident: $($name:ident $([$($generics:tt)*])? ($($arg:ident: $kind:ty),*) -> $out:ty;)*) => {
        $(
            #[doc = concat!("Blocks for [`", stringify!($of), "::", stringify!($name), "`](super::", stringify!($of), "::", stringify!($name), ").")]
            ///
            /// # Errors
            /// The same.
            pub fn $name $(<$($generics)*>)? (&self, $($arg: $kind),*) -> $out {
                wait(self.inner.$name($($arg),*))
            }
        )*
    };
}

impl Client {
    /// Connects to the daemon at the [default socket](super::default_socket).
    ///
    /// # Errors
    /// If there is none, or it does not answer.
    pub fn connect() -> Result<Self, Error> {
        Self::open(Options::new())
    }

    /// Connects to the daemon on `socket`.
    ///
    /// # Errors
    /// If there is none, or it does not answer.
    pub fn at(socket: impl AsRef<Path>) -> Result<Self, Error> {
        Self::open(Options::new().socket(socket.as_ref()))
    }

    /// Connects as `options` say.
    ///
    /// # Errors
    /// If there is no daemon, or it does not answer.
    pub fn open(options: Options) -> Result<Self, Error> {
        let client = Self::lazy(options)?;
        client.ping()?;
        Ok(client)
    }

    /// A client that connects when it is first used.
    ///
    /// # Errors
    /// If nothing says where the socket is.
    pub fn lazy(options: Options) -> Result<Self, Error> {
        Ok(Self { inner: super::Client::lazy(options)? })
    }

    /// The same client with another timeout for each call.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        Self { inner: self.inner.with_timeout(timeout) }
    }

    /// The async client behind it, which shares its connections, to be used with [`wait`] or from async code.
    #[must_use]
    pub fn as_async(&self) -> &super::Client {
        &self.inner
    }

    twins! { Client:
        ping() -> Result<(), Error>;
        command(words: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Result<Reply, Error>;
        get[T: DeserializeOwned](key: impl AsRef<[u8]>) -> Result<Option<T>, Error>;
        get_bytes(key: impl AsRef<[u8]>) -> Result<Option<Bytes>, Error>;
        get_many[T: DeserializeOwned](keys: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Result<Vec<Option<T>>, Error>;
        get_many_bytes(keys: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Result<Vec<Option<Bytes>>, Error>;
        set[T: Serialize + ?Sized](key: impl AsRef<[u8]>, value: &T, ttl: impl Into<Ttl>) -> Result<(), Error>;
        set_bytes(key: impl AsRef<[u8]>, value: impl AsRef<[u8]>, ttl: impl Into<Ttl>) -> Result<(), Error>;
        set_with[T: Serialize + ?Sized](key: impl AsRef<[u8]>, value: &T, options: SetOptions) -> Result<bool, Error>;
        set_bytes_with(key: impl AsRef<[u8]>, value: impl AsRef<[u8]>, options: SetOptions) -> Result<bool, Error>;
        set_many['a, K: AsRef<[u8]>, T: Serialize + ?Sized + 'a](
            entries: impl IntoIterator<Item = (K, &'a T)>, ttl: impl Into<Ttl>
        ) -> Result<(), Error>;
        set_many_bytes[K: AsRef<[u8]>, V: AsRef<[u8]>](
            entries: impl IntoIterator<Item = (K, V)>, ttl: impl Into<Ttl>
        ) -> Result<(), Error>;
        exists(key: impl AsRef<[u8]>) -> Result<bool, Error>;
        ttl(key: impl AsRef<[u8]>) -> Result<Remaining, Error>;
        expire(key: impl AsRef<[u8]>, ttl: Duration) -> Result<bool, Error>;
        persist(key: impl AsRef<[u8]>) -> Result<bool, Error>;
        incr(key: impl AsRef<[u8]>, by: i64) -> Result<i64, Error>;
        incr_within(key: impl AsRef<[u8]>, by: i64, window: Duration) -> Result<i64, Error>;
        delete(key: impl AsRef<[u8]>) -> Result<bool, Error>;
        delete_many(keys: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Result<u64, Error>;
        delete_pattern(pattern: impl Into<Pattern>) -> Result<u64, Error>;
        invalidate(key: impl AsRef<[u8]>) -> Result<bool, Error>;
        invalidate_pattern(pattern: impl Into<Pattern>) -> Result<u64, Error>;
        keys(pattern: impl Into<String>) -> Result<Vec<Bytes>, Error>;
        clear() -> Result<(), Error>;
        clean_up() -> Result<u64, Error>;
        size() -> Result<u64, Error>;
        stats() -> Result<Snapshot, Error>;
        publish(channel: impl AsRef<[u8]>, message: impl AsRef<[u8]>) -> Result<u64, Error>;
    }

    /// What `compute` gives, kept under `key` for `ttl`, as [`Client::cached`](super::Client::cached) does it.
    pub fn cached<T>(&self, ttl: impl Into<Ttl>, key: impl AsRef<[u8]>, compute: impl FnOnce() -> T) -> T
    where
        T: Serialize + DeserializeOwned,
    {
        wait(self.inner.cached(ttl, key, || async { compute() }))
    }

    /// As [`cached`](Self::cached), for what can fail.
    ///
    /// # Errors
    /// The function's own.
    pub fn try_cached<T, E>(
        &self,
        ttl: impl Into<Ttl>,
        key: impl AsRef<[u8]>,
        compute: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E>
    where
        T: Serialize + DeserializeOwned,
    {
        wait(self.inner.try_cached(ttl, key, || async { compute() }))
    }

    /// Runs `change`, and once that has succeeded invalidates all keys that match, as
    /// [`Client::invalidating`](super::Client::invalidating) does it.
    ///
    /// # Errors
    /// The function's own; nothing is deleted then.
    pub fn invalidating<T, E>(
        &self,
        pattern: impl Into<Pattern>,
        change: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        wait(self.inner.invalidating(pattern, || async { change() }))
    }

    /// Goes through all keys that match a glob.
    pub fn scan(&self, pattern: impl Into<String>) -> Keys {
        Keys(self.inner.scan(pattern))
    }

    /// Listens to channels; returns once the daemon has confirmed it.
    ///
    /// # Errors
    /// Those of the connection.
    pub fn subscribe(&self, channels: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Result<Messages, Error> {
        wait(self.inner.subscribe(channels)).map(Messages)
    }

    /// Listens to all channels that match one of these globs.
    ///
    /// # Errors
    /// Those of the connection.
    pub fn subscribe_patterns(
        &self,
        patterns: impl IntoIterator<Item = impl AsRef<[u8]>>,
    ) -> Result<Messages, Error> {
        wait(self.inner.subscribe_patterns(patterns)).map(Messages)
    }

    /// Counts a request of `who` against a limit: [`RateLimiter::check`].
    ///
    /// # Errors
    /// Those of the connection.
    pub fn check_rate(&self, name: &str, limit: u64, window: Duration, who: &str) -> Result<Decision, Error> {
        wait(RateLimiter::new(&self.inner, name, limit, window).check(who))
    }

    /// Results of searches: the async cache, for [`wait`].
    #[must_use]
    pub fn searches(&self) -> SearchCache {
        SearchCache::new(&self.inner)
    }

    /// Answers of language models: the async cache, for [`wait`].
    #[must_use]
    pub fn answers(&self) -> LlmCache {
        LlmCache::new(&self.inner)
    }

    /// Sessions: the async cache, for [`wait`].
    #[must_use]
    pub fn sessions<T: Serialize + DeserializeOwned>(&self, ttl: Duration) -> SessionCache<T> {
        SessionCache::new(&self.inner, ttl)
    }
}

/// Keys, one after the other; made by [`Client::scan`].
#[derive(Debug)]
pub struct Keys(Scan);

impl Iterator for Keys {
    type Item = Result<Bytes, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        wait(self.0.next())
    }
}

/// Messages, as they come; made by [`Client::subscribe`].
#[derive(Debug)]
pub struct Messages(Subscription);

impl Messages {
    /// The next message, if there is one within `timeout`.
    pub fn next_within(&mut self, timeout: Duration) -> Option<Result<Message, Error>> {
        wait(async { tokio::time::timeout(timeout, self.0.next()).await.ok().flatten() })
    }
}

impl Iterator for Messages {
    type Item = Result<Message, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        wait(self.0.next())
    }
}

/// Blocks until a future of this client's is done: for what has no method of its own here.
///
/// ```
/// # let daemon = larderd::fresh::Daemon::start();
/// # let client = larder_protocol::client::blocking::Client::at(daemon.socket())?;
/// use larder_protocol::client::blocking::wait;
///
/// let replies = wait(client.as_async().pipeline().command(["INCR", "n"]).command(["INCR", "n"]).run())?;
/// assert_eq!(replies.len(), 2);
/// # Ok::<(), larder_protocol::client::Error>(())
/// ```
///
/// # Panics
/// If the system gives no thread for the connections.
pub fn wait<F: Future>(future: F) -> F::Output {
    // Timers and sockets are those of the thread that reads and writes; polling is done here.
    let _runtime = background().enter();
    // In a runtime's thread, its budget for one poll must not end this one in the middle.
    let mut future = pin!(tokio::task::unconstrained(future));
    let waker = Waker::from(Arc::new(Sleeper(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        thread::park();
    }
}

/// Wakes the thread that waits.
struct Sleeper(Thread);

impl Wake for Sleeper {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// The runtime of all blocking clients, on a thread of its own that lives as long as the process.
fn background() -> &'static Handle {
    static BACKGROUND: OnceLock<Handle> = OnceLock::new();
    BACKGROUND.get_or_init(|| {
        let runtime = Builder::new_current_thread().enable_io().enable_time().build();
        let runtime = runtime.expect("a runtime needs a few file descriptors");
        let handle = runtime.handle().clone();
        let run = move || runtime.block_on(std::future::pending::<()>());
        thread::Builder::new()
            .name("larder-client".to_owned())
            .spawn(run)
            .expect("the system has room for a thread");
        handle
    })
}
