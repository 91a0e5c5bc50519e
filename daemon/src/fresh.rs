//! A daemon within this process, in a directory that goes with it: for examples and the documentation's tests.
//!
//! Used by the examples and doc tests of `larder-protocol`, which have no binary to start. It is the daemon itself, on a
//! thread, with default settings but for its places. Never used by `larderd`.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;

use tokio::sync::mpsc as tokio_mpsc;

use crate::config::{Format, Level, Settings};
use crate::endpoint::{self, Sharing};
use crate::logging::{self, Style};
use crate::server::{self, Reloading, Start};
use crate::service::Manager;
use crate::signals::Signal;

/// A running daemon, stopped when dropped.
#[derive(Debug)]
pub struct Daemon {
    directory: PathBuf,
    socket: PathBuf,
    signals: tokio_mpsc::Sender<Signal>,
    thread: Option<JoinHandle<()>>,
}

impl Daemon {
    /// Starts a daemon with nothing in it, and returns when it can be reached.
    ///
    /// # Panics
    /// If it cannot be started.
    #[must_use]
    pub fn start() -> Self {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let directory = std::env::temp_dir().join(format!("larder-fresh-{}-{number}", std::process::id()));
        let socket = directory.join("larder.sock");
        let settings = Settings {
            socket: socket.clone(),
            socket_mode: 0o600,
            data: directory.join("data"),
            ..Settings::default()
        };
        let (signals, receiver) = tokio_mpsc::channel(1);
        let (listening, listens) = mpsc::channel();
        let serve = move || {
            let _data = endpoint::lock_data(&settings.data).expect("the directory is new");
            let sharing = Sharing { mode: 0o600, group: None };
            let (listener, _socket) =
                endpoint::listen(&settings.socket, sharing).expect("the directory is new");
            // From here on connections wait until they are served.
            listening.send(()).expect("whoever starts a daemon waits for it");
            let start = Start {
                settings,
                settings_file: None,
                listener,
                tcp: None,
                connections_max: 1_000,
                signals: receiver,
                ready: Box::new(|_| {}),
                reloading: Reloading::by(|| Ok(Settings::default())),
                log: logging::init(Level::Warn, Format::Text, Style::Plain),
                manager: Rc::new(Manager::none()),
                warm: false,
            };
            server::run(start).expect("a daemon in a new directory serves until it is told to stop");
        };
        let thread = std::thread::Builder::new().name("larderd".to_owned()).spawn(serve);
        let thread = thread.expect("the system has room for a thread");
        listens.recv().expect("the daemon says on standard error why it did not start");
        Self { directory, socket, signals, thread: Some(thread) }
    }

    /// Where it listens.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.signals.try_send(Signal::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        // A directory in /tmp that cannot be removed is no reason to fail.
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// Runs an example on a runtime of its own, with the socket of a fresh daemon.
///
/// # Panics
/// If the example fails.
pub fn block_on<F: Future<Output = Result<(), Box<dyn std::error::Error>>>>(
    example: impl FnOnce(PathBuf) -> F,
) {
    let daemon = Daemon::start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let done =
        runtime.expect("a runtime needs a few file descriptors").block_on(example(daemon.socket.clone()));
    if let Err(error) = done {
        panic!("{error}");
    }
}
