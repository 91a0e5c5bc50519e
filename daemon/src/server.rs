//! The daemon's life: start, accept connections, stop. Wires the parts together and owns the event loop.
//!
//! Stopping: no more connections are accepted, those there are get the answers to what they have sent, what is committed
//! is merged as far as time allows, and the files are closed.

use std::rc::Rc;
use std::sync::LazyLock;
use std::time::Duration;

use larder_protocol::stream::{Event, EventKind};
use larder_protocol::{Reply, Stat, Wire, encode};
use tokio::net::{UnixListener, UnixStream};
use tokio::runtime::LocalOptions;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::buffers::Buffers;
use crate::cache::Cache;
use crate::clients::{Client, Peer};
use crate::clock::Clock;
use crate::cmd::{self, Host, REGISTRY};
use crate::config::{ConfigError, Reloaded, Settings};
use crate::conn;
use crate::error::CommandError;
use crate::logging::LogHandle;
use crate::signals::Signal;
use crate::store::{self, StoreError};
use crate::stream;

/// How long connections may take to finish once the daemon is stopping.
const DRAIN: Duration = Duration::from_millis(1_500);

/// How long clients may still be answered once the daemon cannot go on.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// Pause after the system refused a connection for want of file descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Threads that may block: one for every reader connection, and some for freeing memory and stopping.
const EXTRA_BLOCKING_THREADS: usize = 2;

/// How often a process repairs its database before it gives up: damage that comes back is the disk's.
const REPAIRS_MAX: u32 = 3;

/// What the daemon is started with.
pub struct Start {
    /// The settings in force.
    pub settings: Settings,
    /// The listening socket, non-blocking.
    pub listener: std::os::unix::net::UnixListener,
    /// Connections that the process has file descriptors for.
    pub connections_max: usize,
    /// What the process is told from outside.
    pub signals: mpsc::Receiver<Signal>,
    /// Called once connections are served.
    pub ready: fn(&Settings),
    /// Reads the settings anew, from wherever they came.
    pub reread: Box<dyn Fn() -> Result<Settings, ConfigError>>,
    /// For changing the level of the log.
    pub log: LogHandle,
}

/// Why the daemon ended other than by being told to.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The files could not be opened, or failed later.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The event loop could not be started.
    #[error("cannot start the event loop: {0}")]
    Runtime(#[source] std::io::Error),
    /// A part that everything depends on panicked.
    #[error("a background task ended unexpectedly; see the log above")]
    Background,
}

/// Serves until told to stop. Blocks.
///
/// # Errors
/// Where it cannot start, or cannot go on.
pub fn run(mut start: Start) -> Result<(), ServeError> {
    for _ in 0..REPAIRS_MAX {
        match run_once(&mut start) {
            // Connections are cut off, but new ones wait in the listening socket meanwhile.
            Err(ServeError::Store(error)) if error.is_damage() => tracing::error!("{error}"),
            ended => return ended,
        }
    }
    run_once(&mut start)
}

fn run_once(start: &mut Start) -> Result<(), ServeError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .max_blocking_threads(start.settings.readers + EXTRA_BLOCKING_THREADS)
        .build_local(LocalOptions::default())
        .map_err(ServeError::Runtime)?;
    runtime.block_on(serve(start))
}

async fn serve(start: &mut Start) -> Result<(), ServeError> {
    let Start { settings, listener, connections_max, signals, ready, reread, log } = start;
    let settings = Rc::new(settings.clone());
    let (cache, background) = Cache::open(&settings, Clock::start(), REGISTRY.len())?;
    let listener = listener.try_clone().and_then(UnixListener::from_std).map_err(ServeError::Runtime)?;
    let fatal = cache.fatal().clone();
    let host = Rc::new(Host::new(cache, Rc::clone(&settings), boot_id()));
    let mut background = background.spawn();
    background.spawn_local(stream::run(Rc::clone(&host)));
    tell(&host, EventKind::Start, cmd::VERSION);
    let mut clients = Connections::new(Rc::clone(&host), *connections_max);
    ready(&settings);
    let ended = loop {
        tokio::select! {
            accepted = listener.accept() => clients.accepted(accepted.map(|(stream, _)| stream)).await,
            Some(signal) = signals.recv() => match signal {
                Signal::Stop => break Ok(()),
                Signal::Reload => reload(&host, reread(), log),
                Signal::Report => report(&host).await,
            },
            () = host.clients.stop().cancelled() => break Ok(()),
            () = fatal.cancelled() => {
                // A moment for the answers that say so.
                tokio::time::sleep(LAST_WORDS).await;
                break Err(ServeError::Background);
            }
            _ = background.join_next() => break Err(ServeError::Background),
        }
    };
    drop(listener);
    if ended.is_ok() {
        tracing::info!("stopping");
        tell(&host, EventKind::Stop, "");
        clients.drain().await;
        host.cache.stop().await;
    }
    match host.cache.abandon().await {
        Some(error) => Err(error.into()),
        None => ended,
    }
}

/// The connections there are.
struct Connections {
    host: Rc<Host>,
    buffers: Rc<Buffers>,
    tracker: TaskTracker,
    stop: CancellationToken,
    last_id: u64,
    most: usize,
}

impl Connections {
    fn new(host: Rc<Host>, most: usize) -> Self {
        let budget_bytes = host.settings().buffer_budget_bytes;
        Self {
            host,
            buffers: Rc::new(Buffers::new(budget_bytes)),
            tracker: TaskTracker::new(),
            stop: CancellationToken::new(),
            last_id: 0,
            most,
        }
    }

    async fn accepted(&mut self, accepted: std::io::Result<UnixStream>) {
        let stream = match accepted {
            Ok(stream) => stream,
            Err(error) => {
                // Mostly EMFILE. The client stays in the queue of the socket; trying again at once would only spin.
                tracing::error!(
                    "cannot accept a connection: {error}; raise the limit on open files (LimitNOFILE)"
                );
                tokio::time::sleep(ACCEPT_PAUSE).await;
                return;
            }
        };
        let limit = self.host.settings().max_connections.min(self.most);
        if self.tracker.len() >= limit {
            self.reject(&stream, limit);
            return;
        }
        self.last_id += 1;
        let client = Rc::new(Client::new(self.last_id, peer(&stream), self.host.cache.now_ms()));
        let listed = Listed::new(Rc::clone(&self.host), Rc::clone(&client));
        let serve =
            conn::serve(stream, Rc::clone(&self.host), client, Rc::clone(&self.buffers), self.stop.clone());
        self.tracker.spawn_local(async move {
            let _listed = listed;
            serve.await;
        });
    }

    fn reject(&self, stream: &UnixStream, limit: usize) {
        self.host.cache.count(Stat::ConnectionsRejected, 1);
        let mut out = bytes::BytesMut::new();
        let error = CommandError::TooManyClients { limit };
        encode(&Reply::error(error.to_string()), Wire::Resp2, &mut out);
        // The socket is new and empty, so this fits; who has gone already does not care.
        let _ = stream.try_write(&out);
    }

    /// Lets connections finish what they have begun.
    async fn drain(&self) {
        self.stop.cancel();
        self.tracker.close();
        if tokio::time::timeout(DRAIN, self.tracker.wait()).await.is_err() {
            tracing::warn!("{} connections were cut off while stopping", self.tracker.len());
        }
    }
}

/// Lists and counts a connection for as long as it lives, and the ways it can end.
struct Listed {
    host: Rc<Host>,
    client: Rc<Client>,
}

impl Listed {
    fn new(host: Rc<Host>, client: Rc<Client>) -> Self {
        host.cache.count(Stat::Connections, 1);
        host.cache.count(Stat::ConnectionsTotal, 1);
        host.clients.add(&client);
        Self { host, client }
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        let Self { host, client } = self;
        cmd::leave(client, host);
        host.channels.leave(client);
        host.clients.remove(client.id);
        host.cache.uncount(Stat::Connections, 1);
        if std::thread::panicking() {
            // The panic's own message is on stderr already; the other connections go on.
            host.cache.count(Stat::ConnectionsFailed, 1);
        }
    }
}

/// Who is at the other end. Where the system does not tell, nobody in particular.
fn peer(stream: &UnixStream) -> Peer {
    match stream.peer_cred() {
        Ok(peer) => Peer { pid: peer.pid(), uid: peer.uid(), gid: peer.gid() },
        Err(error) => {
            tracing::warn!("cannot tell who has connected: {error}");
            Peer { pid: None, uid: u32::MAX, gid: u32::MAX }
        }
    }
}

/// Takes over what may change. Settings that cannot be read or make no sense leave everything as it was.
fn reload(host: &Host, fresh: Result<Settings, ConfigError>, log: &LogHandle) {
    let fresh = match fresh {
        Ok(fresh) => fresh,
        Err(error) => {
            tracing::error!("the settings stay as they are: {error}");
            return;
        }
    };
    let Reloaded { changed, need_restart } = host.reload(&fresh);
    log.set_level(host.settings().log_level);
    tell(host, EventKind::Reload, &changed.join(", "));
    let list = |names: &[&str]| if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
    tracing::info!(
        "settings reloaded, changed: {}; waiting for a restart: {}",
        list(&changed),
        list(&need_restart)
    );
}

/// Tells those who listen.
fn tell(host: &Host, kind: EventKind, detail: &str) {
    host.cache
        .events()
        .add(host.cache.now_ms(), Event { kind, detail: detail.to_owned(), ..Event::default() });
}

async fn report(host: &Host) {
    match host.snapshot().await {
        Ok(snapshot) => tracing::info!("statistics {}", snapshot.to_json(None)),
        Err(error) => tracing::error!("no statistics: {error}"),
    }
}

/// A random name for this start of the process.
fn boot_id() -> String {
    use std::hash::{BuildHasher as _, Hasher as _};
    // The standard library's hasher keys come from the operating system's random source.
    let random = || std::hash::RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", random(), random())
}

/// The program's version and SQLite's, as `--version` prints them.
#[must_use]
pub fn version() -> &'static str {
    static VERSION: LazyLock<String> =
        LazyLock::new(|| format!("{} (SQLite {})", crate::cmd::VERSION, store::sqlite_version()));
    &VERSION
}
