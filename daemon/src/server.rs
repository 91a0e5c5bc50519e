//! The daemon's life: start, accept connections, stop. Wires the parts together and owns the event loop.
//!
//! Stopping: no more connections are accepted, those there are get the answers to what they have sent, what is committed
//! is merged as far as time allows, and the files are closed.

use std::collections::HashMap;
use std::path::PathBuf;
use std::rc::{Rc, Weak};
use std::sync::LazyLock;
use std::time::Duration;

use larder_protocol::stream::{Event, EventKind};
use larder_protocol::{Reply, Stat, Wire, encode};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::runtime::LocalOptions;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::access::Role;
use crate::buffers::Buffers;
use crate::cache::Cache;
use crate::clients::{Client, Peer};
use crate::clock::Clock;
use crate::cmd::{self, Host, REGISTRY};
use crate::config::{ConfigError, Reloaded, Settings};
use crate::conn::{self, Stream};
use crate::error::AccessError;
use crate::logging::LogHandle;
use crate::service::{self, Manager};
use crate::signals::Signal;
use crate::store::{self, StoreError};
use crate::{stream, warm};

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
    /// The file they were read from, if there was one.
    pub settings_file: Option<PathBuf>,
    /// The listening socket, non-blocking.
    pub listener: std::os::unix::net::UnixListener,
    /// Another for clients that cannot use it, non-blocking.
    pub tcp: Option<std::net::TcpListener>,
    /// Connections that the process has file descriptors for.
    pub connections_max: usize,
    /// What the process is told from outside.
    pub signals: mpsc::Receiver<Signal>,
    /// Called once connections are served.
    pub ready: Box<dyn Fn(&Settings)>,
    /// Reads the settings anew, from wherever they came.
    pub reread: Box<dyn Fn() -> Result<Settings, ConfigError>>,
    /// For changing the log.
    pub log: LogHandle,
    /// Who is told how it is going.
    pub manager: Rc<Manager>,
    /// Whether the file of commands in the settings is still to be run.
    pub warm: bool,
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
    /// The password that clients are to give is not there.
    #[error("{0}")]
    Password(String),
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
            Err(ServeError::Store(error)) if error.is_damage() => {
                tracing::error!("{error}");
                start.manager.repairing();
            }
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
    let Start {
        settings,
        settings_file,
        listener,
        tcp,
        connections_max,
        signals,
        ready,
        reread,
        log,
        manager,
        warm,
    } = start;
    // Once in the life of a process: a start after a repair is none for those who use it.
    let warm = std::mem::take(warm);
    let settings = Rc::new(settings.clone());
    let (cache, background) = Cache::open(&settings, Clock::start(), REGISTRY.len())?;
    let listener = listener.try_clone().and_then(UnixListener::from_std).map_err(ServeError::Runtime)?;
    let tcp = tcp.as_ref().map(|tcp| tcp.try_clone().and_then(TcpListener::from_std)).transpose();
    let tcp = tcp.map_err(ServeError::Runtime)?;
    let fatal = cache.fatal().clone();
    let mut host = Host::new(cache, Rc::clone(&settings), boot_id());
    host.settings_file.clone_from(settings_file);
    host.log = Some(log.clone());
    host.read_password(&settings).map_err(ServeError::Password)?;
    let host = Rc::new(host);
    let mut background = background.spawn();
    background.spawn_local(stream::run(Rc::clone(&host)));
    tell(&host, EventKind::Start, cmd::VERSION);
    let mut clients = Connections::new(Rc::clone(&host), *connections_max);
    if manager.listens() {
        background.spawn_local(service::pulse(Rc::clone(&host), Rc::clone(manager)));
    }
    let serving = || {
        ready(&settings);
        manager.serving();
    };
    // Clients that connect meanwhile wait to be accepted, so that nothing older is written over what they write.
    let mut warming = warm.then(|| clients.warm()).flatten();
    if warming.is_none() {
        serving();
    }
    let ended = loop {
        tokio::select! {
            Some(()) = warm::over(&mut warming) => {
                warming = None;
                serving();
            }
            accepted = listener.accept(), if warming.is_none() => {
                clients.accepted(accepted.map(|(stream, _)| (unix_peer(&stream), Stream::Unix(stream)))).await;
            }
            accepted = accept_tcp(tcp.as_ref()), if warming.is_none() => {
                clients.accepted(accepted.and_then(|stream| Ok((tcp_peer(&stream)?, Stream::Tcp(stream))))).await;
            }
            Some(signal) = signals.recv() => match signal {
                Signal::Stop => break Ok(()),
                Signal::Reload => {
                    manager.reloading();
                    manager.reloaded(&reload(&host, reread()));
                }
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
    drop((listener, tcp));
    if ended.is_ok() {
        tracing::info!("stopping");
        manager.stopping();
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
    /// Of each user who is connected, where one may not take all of them.
    users_buffers: HashMap<u32, Weak<Buffers>>,
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
            users_buffers: HashMap::new(),
            tracker: TaskTracker::new(),
            stop: CancellationToken::new(),
            last_id: 0,
            most,
        }
    }

    async fn accepted(&mut self, accepted: std::io::Result<(Peer, Stream)>) {
        let (peer, stream) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Mostly EMFILE. The client stays in the queue of the socket; trying again at once would only spin.
                tracing::error!(
                    "cannot accept a connection: {error}; raise the limit on open files (LimitNOFILE)"
                );
                tokio::time::sleep(ACCEPT_PAUSE).await;
                return;
            }
        };
        let role = match self.admit(&peer) {
            Ok(role) => role,
            Err(error) => return self.reject(&stream, &error),
        };
        self.serve(peer, stream, role);
    }

    /// Has the file of commands in the settings run, if there is one, on a connection within this process.
    fn warm(&mut self) -> Option<warm::Warming> {
        let (stream, warming) = warm::begin(self.host.settings())?;
        // Whoever may write the settings may write entries.
        self.serve(unix_peer(&stream), Stream::Unix(stream), Some(Role::Admin));
        Some(warming)
    }

    fn serve(&mut self, peer: Peer, stream: Stream, role: Option<Role>) {
        self.last_id += 1;
        let client = Rc::new(Client::new(self.last_id, peer, self.host.cache.now_ms()));
        client.role.set(role);
        let listed = Listed::new(Rc::clone(&self.host), Rc::clone(&client));
        let buffers = self.buffers_for(&peer);
        let serve = conn::serve(stream, Rc::clone(&self.host), client, buffers, self.stop.clone());
        self.tracker.spawn_local(async move {
            let _listed = listed;
            serve.await;
        });
    }

    /// Decides, before anything is read, what a new client may do.
    ///
    /// # Errors
    /// Where it may not connect, or there are as many connections as there may be.
    fn admit(&self, peer: &Peer) -> Result<Option<Role>, AccessError> {
        let settings = self.host.settings();
        let limit = settings.max_connections.min(self.most);
        if self.tracker.len() >= limit {
            return Err(AccessError::TooManyClients { limit });
        }
        let role = self.host.role_at_first(peer)?;
        let limit = settings.max_user_connections;
        if limit > 0 && role != Some(Role::Admin) && self.host.clients.of_user(peer.uid) >= limit {
            return Err(AccessError::TooManyOfUser { uid: peer.uid, limit });
        }
        Ok(role)
    }

    /// The buffers that a client's are part of: its user's, where these have a limit of their own.
    fn buffers_for(&mut self, peer: &Peer) -> Rc<Buffers> {
        let most = self.host.settings().max_user_buffer_bytes;
        if most == 0 {
            return Rc::clone(&self.buffers);
        }
        if let Some(buffers) = self.users_buffers.get(&peer.uid).and_then(Weak::upgrade) {
            return buffers;
        }
        self.users_buffers.retain(|_, buffers| buffers.strong_count() > 0);
        let buffers = Rc::new(self.buffers.within(most));
        self.users_buffers.insert(peer.uid, Rc::downgrade(&buffers));
        buffers
    }

    fn reject(&self, stream: &Stream, error: &AccessError) {
        self.host.cache.count(Stat::ConnectionsRejected, 1);
        let mut out = bytes::BytesMut::new();
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
fn unix_peer(stream: &UnixStream) -> Peer {
    match stream.peer_cred() {
        Ok(peer) => Peer { pid: peer.pid(), uid: peer.uid(), gid: peer.gid(), tcp: None },
        Err(error) => {
            tracing::warn!("cannot tell who has connected: {error}");
            Peer::NOBODY
        }
    }
}

/// Over TCP only the addresses are known.
fn tcp_peer(stream: &TcpStream) -> std::io::Result<Peer> {
    // Answers are small, and whoever asked waits for them.
    stream.set_nodelay(true)?;
    Ok(Peer { tcp: Some([stream.peer_addr()?, stream.local_addr()?]), ..Peer::NOBODY })
}

/// The next connection over TCP; never, where nobody listens there.
async fn accept_tcp(listener: Option<&TcpListener>) -> std::io::Result<TcpStream> {
    match listener {
        Some(listener) => listener.accept().await.map(|(stream, _)| stream),
        None => std::future::pending().await,
    }
}

/// Takes over what may change, and says in one line what came of it. Settings that cannot be read or make no sense leave
/// everything as it was.
fn reload(host: &Host, fresh: Result<Settings, ConfigError>) -> String {
    let reloaded = fresh.map_err(|error| error.to_string()).and_then(|fresh| host.reload(&fresh));
    let Reloaded { changed, need_restart } = match reloaded {
        Ok(reloaded) => reloaded,
        Err(error) => {
            for problem in error.lines() {
                tracing::error!("the settings stay as they are: {problem}");
            }
            return "The settings stay as they are: the new ones are wrong, see the log".to_owned();
        }
    };
    tell(host, EventKind::Reload, &changed.join(", "));
    let list = |names: &[&str]| if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
    let outcome = format!("changed: {}; waiting for a restart: {}", list(&changed), list(&need_restart));
    tracing::info!("settings reloaded, {outcome}");
    format!("Settings reloaded, {outcome}")
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
