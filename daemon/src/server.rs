//! The daemon's life: start, accept connections, stop. Wires the parts together and owns the event loop.
//!
//! Stopping: no more connections are accepted, those there are get the answers to what they have sent, what is committed
//! is merged as far as time allows, and the files are closed.

mod connections;

use std::path::PathBuf;
use std::rc::Rc;
use std::sync::LazyLock;
use std::time::Duration;

use larder_protocol::stream::{Event, EventKind};
use tokio::net::{TcpListener, UnixListener};
use tokio::runtime::LocalOptions;
use tokio::sync::mpsc;

use crate::cache::Cache;
use crate::clock::Clock;
use crate::cmd::{self, Host, REGISTRY};
use crate::config::{ConfigError, Reloaded, Settings};
use crate::conn::Socket;
use crate::logging::LogHandle;
use crate::service::{self, Manager};
use crate::signals::Signal;
use crate::store::{self, StoreError};
use crate::{stream, warm};
use connections::{Connections, accept_tcp, tcp_peer, unix_peer};

/// How long clients may still be answered once the daemon cannot go on.
const LAST_WORDS: Duration = Duration::from_millis(100);

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
    #[error(
        "cannot start the event loop: {0}; is a limit on open files or threads reached (ulimit -n, ulimit -u)?"
    )]
    Runtime(#[source] std::io::Error),
    /// The password that clients are to give is not there.
    #[error("{0}")]
    Password(String),
    /// A part that everything depends on panicked.
    #[error(
        "a background task ended unexpectedly, which is a bug: report it with the log above, and start larderd again"
    )]
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
        settings: kept,
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
    let settings = Rc::new(kept.clone());
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
                clients.accepted(accepted.map(|(stream, _)| (unix_peer(&stream), Socket::Unix(stream)))).await;
            }
            accepted = accept_tcp(tcp.as_ref()), if warming.is_none() => {
                let accepted = accepted
                    .and_then(|(stream, from)| Ok((tcp_peer(&stream, from)?, Socket::Tcp(stream))));
                clients.accepted(accepted).await;
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
    // Should it begin anew after a repair, then as it was.
    kept.clone_from(&host.settings());
    match host.cache.abandon().await {
        Some(error) => Err(error.into()),
        None => ended,
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

/// The program's version, the commit it was built from where that is known, and SQLite's version, as `--version` prints them.
#[must_use]
pub fn version() -> &'static str {
    static VERSION: LazyLock<String> = LazyLock::new(|| {
        let commit = match env!("LARDER_COMMIT") {
            "" => String::new(),
            commit => format!("commit {commit}, "),
        };
        format!("{} ({commit}SQLite {})", crate::cmd::VERSION, store::sqlite_version())
    });
    &VERSION
}
