//! Forces the journals to disk at least once an interval, so that a power cut under durability `commit` costs at most
//! that much. On a thread of its own: a slow disk must not hold up the event loop, nor the keeper.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::mpsc;

use super::error::StoreError;
use super::journal::Log;

/// What the syncer tells the event loop.
#[derive(Debug)]
pub enum Synced {
    /// A journal was forced to disk.
    Done,
    /// The disk failed to take what it had promised to hold: nothing more may be answered.
    Failed(std::io::Error),
}

/// The loop's end of the syncer.
#[derive(Debug)]
pub(super) struct Syncer {
    logs: Option<SyncSender<Arc<Log>>>,
    thread: JoinHandle<()>,
}

impl Syncer {
    /// Starts the thread. It syncs every log it was told to watch for as long as somebody else holds it.
    pub(super) fn start(interval: Duration) -> Result<(Self, mpsc::Receiver<Synced>), StoreError> {
        // Logs are few: one a generation. Reports are dropped when nobody takes them; failures are waited for.
        let (logs, inbox) = sync_channel(16);
        let (outbox, reports) = mpsc::channel(16);
        let thread = std::thread::Builder::new()
            .name("syncer".into())
            .spawn(move || work(interval, &inbox, &outbox))
            .map_err(StoreError::io("start thread", "syncer".as_ref()))?;
        Ok((Self { logs: Some(logs), thread }, reports))
    }

    /// Syncs `log` from now on.
    pub(super) fn watch(&self, log: Arc<Log>) {
        if let Some(logs) = &self.logs {
            // Waits only where sixteen generations began within one interval.
            let _ = logs.send(log);
        }
    }

    /// Ends the thread after one last sync.
    pub(super) fn stop(mut self) {
        self.logs = None;
        let _ = self.thread.join();
    }
}

struct Watched {
    log: Weak<Log>,
    /// Commits at the last sync.
    synced: u64,
}

fn work(interval: Duration, inbox: &Receiver<Arc<Log>>, outbox: &mpsc::Sender<Synced>) {
    let mut watched: Vec<Watched> = Vec::new();
    loop {
        // A new log begins a round as well, so that a burst of them cannot put the sync of the others off.
        let stopping = match inbox.recv_timeout(interval) {
            Ok(log) => {
                watched.push(Watched { log: Arc::downgrade(&log), synced: 0 });
                false
            }
            Err(RecvTimeoutError::Timeout) => false,
            Err(RecvTimeoutError::Disconnected) => true,
        };
        watched.retain_mut(|watched| {
            let Some(log) = watched.log.upgrade() else { return false };
            match sync(&log, &mut watched.synced) {
                Ok(false) => {}
                // Only counted: a report that nobody takes may be lost.
                Ok(true) => drop(outbox.try_send(Synced::Done)),
                // Nobody there to hear it: the process is ending already.
                Err(error) => drop(outbox.blocking_send(Synced::Failed(error))),
            }
            true
        });
        if stopping {
            return;
        }
    }
}

/// Forces `log` to disk if it has new commits; whether it had.
fn sync(log: &Log, synced: &mut u64) -> std::io::Result<bool> {
    let commits = log.commits();
    if commits == *synced {
        return Ok(false);
    }
    log.sync()?;
    *synced = commits;
    Ok(true)
}
