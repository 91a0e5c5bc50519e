//! What commands know about the daemon.

mod settings;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use larder_protocol::stream::{Event, EventKind};
use larder_protocol::{Kind, Request, Snapshot, Stat, Value};

use super::REGISTRY;
use crate::access::{Role, same_secret};
use crate::aside::Aside;
use crate::cache::{Cache, Count, Loaded, Stop, View};
use crate::clients::{Client, Clients, Paused, Peer};
use crate::config::Settings;
use crate::error::{AccessError, CommandError};
use crate::latency::RunCalls;
use crate::logging::LogHandle;
use crate::pubsub::Channels;
use crate::slow_log::SlowLog;
use crate::stats::Counters;
use crate::stream::Stream;

/// The version of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The version of Redis that clients are told: they decide by it what they may send. The commands there are behave as
/// they do in this version.
pub const REDIS_VERSION: &str = "7.4.0";

/// The daemon, as commands see it.
pub struct Host {
    /// The cache.
    pub cache: Cache,
    /// Random, of this start of the process.
    pub boot_id: String,
    /// The connections there are.
    pub clients: Clients,
    /// What they listen to.
    pub channels: Channels,
    /// What those who listen to larder's own channels are told.
    pub stream: Stream,
    /// Whose commands are held back, and until when.
    paused: Cell<Option<(Paused, i64)>>,
    /// The slow commands of late.
    pub slow_log: RefCell<SlowLog>,
    /// Empty, with its memory: what a run of commands counts in.
    pub calls: RefCell<RunCalls>,
    /// Errors answered, by their code.
    errors: RefCell<BTreeMap<String, u64>>,
    settings: RefCell<Rc<Settings>>,
    /// Names of the settings that CONFIG SET has changed since they were last read.
    changed: RefCell<BTreeSet<&'static str>>,
    /// Those among them that it has changed since a reading began that is not over yet.
    changed_meanwhile: RefCell<BTreeSet<&'static str>>,
    /// Where names of users and groups are looked up that CONFIG SET is given.
    pub aside: Aside,
    /// The file the settings were read from, if there was one.
    pub settings_file: Option<PathBuf>,
    /// For changing the level of the log, where there is one.
    pub log: Option<LogHandle>,
    /// What TCP clients have to give, where that is asked for.
    password: RefCell<Option<Vec<u8>>>,
    snapshots: Cell<u64>,
}

impl Host {
    /// A host for this start of the process.
    #[must_use]
    pub fn new(cache: Cache, settings: Rc<Settings>, boot_id: String) -> Self {
        Self {
            cache,
            boot_id,
            clients: Clients::default(),
            channels: Channels::new(settings.buffer_budget_bytes.max(2 * settings.subscriber_buffer_bytes)),
            stream: Stream::default(),
            paused: Cell::new(None),
            slow_log: RefCell::default(),
            errors: RefCell::default(),
            calls: RefCell::default(),
            settings: RefCell::new(settings),
            changed: RefCell::default(),
            changed_meanwhile: RefCell::default(),
            aside: Aside::default(),
            settings_file: None,
            log: None,
            password: RefCell::default(),
            snapshots: Cell::new(0),
        }
    }

    /// The settings in force. They may be others after the next reload.
    #[must_use]
    pub fn settings(&self) -> Rc<Settings> {
        Rc::clone(&self.settings.borrow())
    }

    /// The role of a client that has just connected; none for as long as it has to give a password first.
    ///
    /// # Errors
    /// Where it may not be here.
    pub fn role_at_first(&self, peer: &Peer) -> Result<Option<Role>, AccessError> {
        let settings = self.settings();
        if peer.tcp.is_some() {
            return Ok(self.password.borrow().is_none().then_some(settings.tcp_role));
        }
        if peer.uid == Peer::NOBODY.uid {
            return Err(AccessError::MayNotConnect { uid: peer.uid });
        }
        let role = settings.lists().role(peer.uid, peer.gid, rustix::process::geteuid().as_raw());
        role.map(Some).ok_or(AccessError::MayNotConnect { uid: peer.uid })
    }

    /// Checks a user's password. Where none is asked for, the default user may give any, as in Redis.
    ///
    /// # Errors
    /// Where there is no such user, or the password is another.
    pub fn check_password(&self, user: &[u8], given: &[u8]) -> Result<(), AccessError> {
        let right = match &*self.password.borrow() {
            Some(password) => same_secret(password, given),
            None => true,
        };
        if right && user == b"default" { Ok(()) } else { Err(AccessError::WrongPassword) }
    }

    /// A client has given the right password.
    pub fn let_in(&self, client: &Client) {
        if client.role.get().is_none() {
            client.role.set(Some(self.settings().tcp_role));
        }
    }

    /// Whether a password is asked for.
    #[must_use]
    pub fn asks_for_password(&self) -> bool {
        self.password.borrow().is_some()
    }

    /// The text that a client is answered with, counted by its code.
    pub fn error_text(&self, error: &CommandError) -> String {
        let text = error.to_string();
        let code = text.split(' ').next().unwrap_or_default();
        let mut errors = self.errors.borrow_mut();
        // All codes are larder's own, so there are few.
        match errors.get_mut(code) {
            Some(count) => *count += 1,
            None => drop(errors.insert(code.to_owned(), 1)),
        }
        text
    }

    /// Errors answered, by their code.
    #[must_use]
    pub fn errors(&self) -> BTreeMap<String, u64> {
        self.errors.borrow().clone()
    }

    /// Begins the counters anew.
    pub fn reset_counters(&self) {
        self.cache.counters_mut(Counters::reset);
        self.errors.borrow_mut().clear();
    }

    /// Keeps a command for SLOWLOG if it took long enough.
    pub fn note_duration(&self, request: Request<'_>, us: u64, client: &Client) {
        let settings = self.settings.borrow();
        if settings.slow_command.is_some_and(|slow| u128::from(us) >= slow.as_micros()) {
            let mut slow_log = self.slow_log.borrow_mut();
            let [from, _] = super::client::addresses(client, self);
            slow_log.add(
                without_secrets(request),
                (self.cache.now_ms(), us),
                (client.id, &client.name.borrow(), from),
                settings.slow_commands_kept,
            );
            self.cache.events().add(
                self.cache.now_ms(),
                Event {
                    kind: EventKind::SlowCommand,
                    ms: Some((us / 1_000) as i64),
                    detail: crate::error::shown(request.name()),
                    ..Event::default()
                },
            );
        }
    }

    /// Holds back commands for a while. Of two pauses the later end counts, and all are held back if one says so.
    pub fn pause(&self, paused: Paused, length: Duration) {
        let until_ms = self.cache.now_ms().saturating_add(length.as_millis().try_into().unwrap_or(i64::MAX));
        let (before, before_ms) = self.paused().unwrap_or((paused, until_ms));
        let both = if before == Paused::All { Paused::All } else { paused };
        self.paused.set(Some((both, until_ms.max(before_ms))));
    }

    /// Lets all commands run again.
    pub fn unpause(&self) {
        self.paused.set(None);
    }

    /// Whose commands are held back now, and until when.
    #[must_use]
    pub fn paused(&self) -> Option<(Paused, i64)> {
        self.paused.get()?;
        let now_ms = self.cache.now_ms();
        let paused = self.paused.get().filter(|(_, until_ms)| *until_ms > now_ms);
        self.paused.set(paused);
        paused
    }

    /// Waits until no commands are held back, or for a moment: a pause can be ended early.
    pub async fn unpaused(&self) {
        const LOOK_AGAIN_MS: i64 = 20;
        if let Some((_, until_ms)) = self.paused() {
            let ms = (until_ms - self.cache.now_ms()).clamp(1, LOOK_AGAIN_MS);
            self.cache.clock().sleep(Duration::from_millis(ms as u64)).await;
        }
    }

    /// Runs one step on the cache, loading what it misses.
    ///
    /// # Errors
    /// Those of the step, and where a row cannot be read.
    pub async fn step<T>(
        &self,
        mut run: impl FnMut(&mut View<'_>) -> Result<T, Stop>,
    ) -> Result<T, CommandError> {
        let mut loaded: Vec<Loaded<'_>> = Vec::new();
        let mut missing = Vec::new();
        loop {
            match self.cache.run(&mut missing, &mut run) {
                Ok(done) => return Ok(done),
                Err(Stop::Error(error)) => return Err(error),
                Err(Stop::Missing) => loaded.push(self.cache.load(std::mem::take(&mut missing)).await),
            }
        }
    }

    /// Every statistic, as of now.
    ///
    /// # Errors
    /// Where the entries cannot be counted.
    pub async fn snapshot(&self) -> Result<Snapshot, CommandError> {
        let count = self.cache.count_roughly().await?;
        self.cache.refresh_gauges().await;
        self.snapshots.set(self.snapshots.get() + 1);
        Ok(self.snapshot_with(count))
    }

    /// Every statistic, as of now, at a cost that can be paid every second: where many writes wait to be merged, the
    /// entries are counted from a small sample of them.
    ///
    /// # Errors
    /// Where the entries cannot be counted.
    pub async fn sample(&self) -> Result<Snapshot, CommandError> {
        let count = self.cache.count_from_sample().await?;
        self.cache.refresh_gauges().await;
        Ok(self.snapshot_with(count))
    }

    fn snapshot_with(&self, count: Count) -> Snapshot {
        let clock = self.cache.clock();
        let mut snapshot = Snapshot::default();
        self.cache.counters(|counters| {
            let counted = |stat: &Stat| matches!(stat.kind(), Kind::Counter | Kind::Gauge);
            for stat in Stat::ALL.iter().copied().filter(counted) {
                snapshot.set(stat, Value::Int(counters.get(stat) as i64));
            }
            let reads = counters.get(Stat::Hits) + counters.get(Stat::Misses);
            let rate = (reads > 0).then(|| counters.get(Stat::Hits) as f64 / reads as f64);
            snapshot.set(Stat::HitRate, Value::Ratio(rate));
            let calls = REGISTRY.iter().zip(counters.latencies.calls());
            let calls = calls.filter(|(_, calls)| calls.count > 0);
            let calls = calls.map(|(spec, calls)| (spec.name.to_owned(), calls.count as i64)).collect();
            snapshot.set(Stat::CommandsByName, Value::Map(calls));
        });
        for (stat, value) in [
            (Stat::Schema, larder_protocol::stats::SCHEMA),
            (Stat::Pid, i64::from(std::process::id())),
            (Stat::Sequence, self.snapshots.get() as i64),
            (Stat::TimeMs, clock.now_ms()),
            (Stat::UptimeMs, clock.uptime_ms()),
            (Stat::Entries, count.entries as i64),
            (Stat::EntriesActive, count.active() as i64),
            (Stat::EntriesExpired, count.expired as i64),
            (Stat::EntriesTtl, count.ttl as i64),
        ] {
            snapshot.set(stat, Value::Int(value));
        }
        for (stat, text) in [
            (Stat::Version, VERSION.to_owned()),
            (Stat::BootId, self.boot_id.clone()),
            (Stat::Durability, self.cache.durability().as_str().to_owned()),
            (Stat::Socket, self.settings().socket.display().to_string()),
        ] {
            snapshot.set(stat, Value::Text(text));
        }
        snapshot
    }
}

/// The words of a request, as they may be shown to others: without passwords, as Redis leaves them out.
fn without_secrets(request: Request<'_>) -> std::vec::IntoIter<&[u8]> {
    let is_auth = |word: &[u8]| word.eq_ignore_ascii_case(b"auth");
    let secret_from = match request.name() {
        name if is_auth(name) => 1,
        name if name.eq_ignore_ascii_case(b"hello") => {
            request.words().position(is_auth).map_or(usize::MAX, |at| at + 1)
        }
        _ => usize::MAX,
    };
    let shown = |(at, word)| if at >= secret_from { &b"(redacted)"[..] } else { word };
    request.words().enumerate().map(shown).collect::<Vec<_>>().into_iter()
}

#[cfg(test)]
mod tests {
    use larder_protocol::{Dialect, OwnedRequest};

    use super::*;

    #[test]
    fn passwords_are_shown_to_nobody() {
        for (words, shown) in [
            ("AUTH secret", "AUTH (redacted)"),
            ("auth default secret", "auth (redacted) (redacted)"),
            ("HELLO 3 AUTH default secret", "HELLO 3 AUTH (redacted) (redacted)"),
            ("HELLO 3 SETNAME me", "HELLO 3 SETNAME me"),
            ("SET auth value", "SET auth value"),
        ] {
            let request = OwnedRequest::new(words.split(' '), Dialect::Line);
            let left: Vec<_> = without_secrets(request.as_request()).map(String::from_utf8_lossy).collect();
            assert_eq!(left.join(" "), shown);
        }
    }
}
