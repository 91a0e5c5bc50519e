//! The daemon's life: start, accept connections, stop. Wires the parts together and owns the event loop.
//!
//! Stopping: no more connections are accepted, those there are get the answers to what they have sent, what is committed
//! is merged as far as time allows, and the files are closed.

mod connections;
mod listeners;
mod reloading;

use std::path::PathBuf;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::LazyLock;
use std::time::Duration;

use larder_protocol::stream::{Event, EventKind};
use tokio::runtime::LocalOptions;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::cache::Cache;
use crate::clock::Clock;
use crate::cmd::{self, Host, REGISTRY};
use crate::config::Settings;
use crate::logging::LogHandle;
use crate::service::{self, Manager};
use crate::signals::Signal;
use crate::store::{self, StoreError};
use crate::warm::Warming;
use crate::{random, stream, warm};
use connections::Connections;
use listeners::Listeners;
pub use reloading::Reloading;
use reloading::reload;

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
    /// Reads the settings anew.
    pub reloading: Reloading,
    /// For changing the log.
    pub log: LogHandle,
    /// Who is told how it is going.
    pub manager: Rc<Manager>,
    /// Whether the file of commands in the settings is still to be run.
    pub warm: bool,
}

impl Start {
    /// Tells whoever started it that connections are served.
    fn serving(&self) {
        (self.ready)(&self.settings);
        self.manager.serving();
    }
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
    let listeners = Listeners::of(start).map_err(ServeError::Runtime)?;
    let mut daemon = Daemon::begin(start)?;
    let ended = daemon.run(start, &listeners).await;
    drop(listeners);
    if ended.is_ok() {
        daemon.stop(&start.manager).await;
    }
    // Should it begin anew after a repair, then as it was.
    start.settings.clone_from(&daemon.host.settings());
    match daemon.host.cache.abandon().await {
        Some(error) => Err(error.into()),
        None => ended,
    }
}

/// A daemon with its database open.
struct Daemon {
    host: Rc<Host>,
    connections: Connections,
    /// Everything depends on each of these: none ends before the daemon does.
    background: JoinSet<()>,
    /// While a file of commands is run, which comes before the first client.
    warming: Option<Warming>,
}

impl Daemon {
    /// Opens the database and begins what goes on whoever connects.
    fn begin(start: &mut Start) -> Result<Self, ServeError> {
        // Once in the life of a process: a start after a repair is none for those who use it.
        let warm = std::mem::take(&mut start.warm);
        let settings = Rc::new(start.settings.clone());
        let (cache, background) = Cache::open(&settings, Clock::start(), REGISTRY.len())?;
        let mut host = Host::new(cache, Rc::clone(&settings), random::name());
        host.settings_file.clone_from(&start.settings_file);
        host.log = Some(start.log.clone());
        host.read_password(&settings).map_err(ServeError::Password)?;
        let host = Rc::new(host);
        let mut background = background.spawn();
        background.spawn_local(stream::run(Rc::clone(&host)));
        tell(&host, EventKind::Start, cmd::VERSION);
        let mut connections = Connections::new(Rc::clone(&host), start.connections_max);
        if start.manager.listens() {
            background.spawn_local(service::pulse(Rc::clone(&host), Rc::clone(&start.manager)));
        }
        let warming = warm.then(|| connections.warm()).flatten();
        Ok(Self { host, connections, background, warming })
    }

    /// Serves until told to stop.
    ///
    /// # Errors
    /// Where it cannot go on.
    async fn run(&mut self, start: &mut Start, listeners: &Listeners) -> Result<(), ServeError> {
        if self.warming.is_none() {
            start.serving();
        }
        let mut reporting: Option<Report> = None;
        loop {
            tokio::select! {
                Some(()) = warm::over(&mut self.warming) => {
                    self.warming = None;
                    start.serving();
                }
                // Clients wait while it is warmed, so that nothing older is written over what they write.
                accepted = listeners.accept(), if self.warming.is_none() => {
                    self.connections.accepted(accepted).await;
                }
                Some(signal) = start.signals.recv() => match signal {
                    Signal::Stop => return Ok(()),
                    Signal::Reload => {
                        start.manager.reloading();
                        start.reloading.begin(&self.host);
                    }
                    Signal::Report => {
                        // Who asks while one is being made is told the same.
                        reporting.get_or_insert_with(|| Box::pin(report(Rc::clone(&self.host))));
                    }
                },
                Some(()) = reported(&mut reporting) => reporting = None,
                fresh = start.reloading.read() => {
                    start.manager.reloaded(&reload(&self.host, fresh));
                    start.reloading.go_on(&self.host);
                }
                () = self.host.clients.stop().cancelled() => return Ok(()),
                () = self.host.cache.fatal().cancelled() => {
                    // A moment for the answers that say so.
                    tokio::time::sleep(LAST_WORDS).await;
                    return Err(ServeError::Background);
                }
                _ = self.background.join_next() => return Err(ServeError::Background),
            }
        }
    }

    /// Gives clients the answers to what they have sent, and merges what is committed.
    async fn stop(&self, manager: &Manager) {
        tracing::info!("stopping");
        manager.stopping();
        tell(&self.host, EventKind::Stop, "");
        self.connections.drain().await;
        self.host.cache.stop().await;
    }
}

/// Tells those who listen.
fn tell(host: &Host, kind: EventKind, detail: &str) {
    host.cache
        .events()
        .add(host.cache.now_ms(), Event { kind, detail: detail.to_owned(), ..Event::default() });
}

/// Statistics on their way to the log.
type Report = Pin<Box<dyn Future<Output = ()>>>;

/// Where many entries have to be counted, or the disk is slow, it takes a while.
async fn report(host: Rc<Host>) {
    match host.snapshot().await {
        Ok(snapshot) => tracing::info!("statistics {}", snapshot.to_json(None)),
        Err(error) => tracing::error!("no statistics: {error}"),
    }
}

/// Makes the report, if there is one to make.
async fn reported(report: &mut Option<Report>) -> Option<()> {
    report.as_mut()?.await;
    Some(())
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
