//! Signs of life while the daemon serves: the status line, and the watchdog.
//!
//! The watchdog is fed by what clients live on, and not by a timer: something has to be written and committed to the
//! journal, and a row read from the main file, between one sign and the next. A write that is refused, as on a full disk, is
//! an answer as well: restarting would not make room.

use std::rc::Rc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::{Manager, status};
use crate::cmd::Host;
use crate::error::CommandError;

/// Time between two status lines.
const STATUS_INTERVAL: Duration = Duration::from_secs(5);

/// Signs of life within the time in which the manager wants one.
const SIGNS: u32 = 3;

/// Tells the manager how it is going, for as long as the daemon serves.
pub async fn run(host: Rc<Host>, manager: Rc<Manager>) {
    // Each at its own pace: a status line that takes long must not keep the other from being given.
    tokio::join!(tell_status(&host, &manager), feed(&host, &manager));
}

async fn tell_status(host: &Host, manager: &Manager) {
    let mut ticks = interval(STATUS_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        // Entries that cannot be counted are reported by whoever needs them.
        if let Ok(snapshot) = host.sample().await {
            manager.status(&status::line(&snapshot));
        }
    }
}

async fn feed(host: &Host, manager: &Manager) {
    let Some(within) = manager.watchdog() else { return };
    let mut ticks = interval(within / SIGNS);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match host.cache.probe().await {
            Ok(()) => manager.alive(),
            // The manager has been told, and waits for the end.
            Err(CommandError::Stopping) => {}
            Err(error) => tracing::error!("the watchdog is not fed: {error}"),
        }
    }
}
