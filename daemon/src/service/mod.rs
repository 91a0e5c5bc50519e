//! What the daemon and a service manager (systemd, or whoever speaks its protocol) tell each other.
//!
//! Used by `main`, which asks for the sockets it was started with, and by the server, which says how it is doing:
//! `sd_notify(3)` and `sd_listen_fds(3)` describe both. Where no manager listens, everything here does nothing. Never waits
//! for the manager: a message that it has no room for is left out.

mod listen;
mod notify;
mod pulse;
mod status;

use std::time::Duration;

pub use listen::{Inherited, InheritedError, inherited};
pub use pulse::run as pulse;

use notify::Notifier;

/// How long a repair within the process may take before the watchdog ends it after all.
const REPAIR: Duration = Duration::from_mins(30);

/// The way to the service manager, if there is one.
#[derive(Debug)]
pub struct Manager {
    notifier: Option<Notifier>,
    watchdog: Option<Duration>,
}

impl Manager {
    /// Nobody.
    #[must_use]
    pub fn none() -> Self {
        Self { notifier: None, watchdog: None }
    }

    /// The one that started this process, as the environment says.
    #[must_use]
    pub fn of_process() -> Self {
        let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
        // The variables are inherited; the watchdog's are meant for the process they name.
        let ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let watchdog = number("WATCHDOG_USEC").filter(|&us| ours && us > 0).map(Duration::from_micros);
        match std::env::var_os("NOTIFY_SOCKET").map(|address| Notifier::to(&address)) {
            Some(Ok(notifier)) => Self { notifier: Some(notifier), watchdog },
            Some(Err(error)) => {
                tracing::warn!("cannot reach the service manager on NOTIFY_SOCKET: {error}");
                Self::none()
            }
            None => Self::none(),
        }
    }

    /// Whether anyone listens.
    #[must_use]
    pub fn listens(&self) -> bool {
        self.notifier.is_some()
    }

    /// The time within which the manager wants a sign of life, if it does.
    #[must_use]
    pub fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// Connections are served from now on.
    pub fn serving(&self) {
        let watchdog =
            self.watchdog.map(|within| format!("WATCHDOG_USEC={}\nWATCHDOG=1\n", within.as_micros()));
        self.send(&format!("READY=1\nSTATUS=Serving\n{}", watchdog.unwrap_or_default()));
    }

    /// The settings are being read again, until [`reloaded`](Self::reloaded).
    pub fn reloading(&self) {
        // The manager tells by the time whether this is the reload it has asked for.
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let us = now.tv_sec * 1_000_000 + now.tv_nsec / 1_000;
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={us}\nSTATUS=Reading the settings\n"));
    }

    /// The settings have been read, with this outcome.
    pub fn reloaded(&self, outcome: &str) {
        self.send(&format!("READY=1\nSTATUS={outcome}\n"));
    }

    /// The daemon is about to end.
    pub fn stopping(&self) {
        self.send(
            "STOPPING=1\nSTATUS=Answering what was asked, and writing what is not in the database yet\n",
        );
    }

    /// The files are being repaired, and nobody is served meanwhile.
    pub fn repairing(&self) {
        let watchdog = self.watchdog.map(|_| format!("WATCHDOG_USEC={}\n", REPAIR.as_micros()));
        self.send(&format!("STATUS=Repairing damaged files\n{}", watchdog.unwrap_or_default()));
    }

    /// How it is going, in one line.
    pub fn status(&self, text: &str) {
        self.send(&format!("STATUS={text}\n"));
    }

    /// The sign of life.
    pub fn alive(&self) {
        self.send("WATCHDOG=1\n");
    }

    fn send(&self, message: &str) {
        let Some(notifier) = &self.notifier else { return };
        if let Err(error) = notifier.send(message) {
            let what = message.split('=').next().unwrap_or_default();
            tracing::debug!("the service manager was not told {what}: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;

    use super::*;

    #[test]
    fn states_are_what_sd_notify_describes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        let watchdog = Some(Duration::from_secs(30));
        let us = Manager { notifier: Some(Notifier::to(path.as_os_str()).unwrap()), watchdog };
        let hear = || {
            let mut bytes = [0; 512];
            let length = manager.recv(&mut bytes).unwrap();
            String::from_utf8(bytes[..length].to_vec()).unwrap()
        };
        us.serving();
        assert_eq!(hear(), "READY=1\nSTATUS=Serving\nWATCHDOG_USEC=30000000\nWATCHDOG=1\n");
        us.reloading();
        let said = hear();
        let us_since_boot = said.lines().find_map(|line| line.strip_prefix("MONOTONIC_USEC=")).unwrap();
        assert!(said.starts_with("RELOADING=1\n") && us_since_boot.parse::<u64>().unwrap() > 0, "{said}");
        us.reloaded("as before");
        assert_eq!(hear(), "READY=1\nSTATUS=as before\n");
        us.repairing();
        assert!(hear().contains("WATCHDOG_USEC=1800000000\n"));
        us.stopping();
        assert!(hear().starts_with("STOPPING=1\n"));
        us.alive();
        assert_eq!(hear(), "WATCHDOG=1\n");
    }

    #[test]
    fn without_a_manager_nothing_happens() {
        let nobody = Manager::none();
        nobody.serving();
        nobody.stopping();
        assert!(!nobody.listens());
    }
}
