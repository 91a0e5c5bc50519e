//! What commands know about the daemon.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use larder_protocol::stream::{Event, EventKind};
use larder_protocol::{Kind, Request, Snapshot, Stat, Value};

use super::REGISTRY;
use crate::cache::{Cache, Count, Loaded, Stop, View};
use crate::clients::{Client, Clients, Paused};
use crate::config::{Reloaded, Settings};
use crate::error::CommandError;
use crate::latency::RunCalls;
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
    pub calls: Cell<RunCalls>,
    /// Errors answered, by their code.
    errors: RefCell<BTreeMap<String, u64>>,
    settings: RefCell<Rc<Settings>>,
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
            channels: Channels::default(),
            stream: Stream::default(),
            paused: Cell::new(None),
            slow_log: RefCell::default(),
            errors: RefCell::default(),
            calls: Cell::default(),
            settings: RefCell::new(settings),
            snapshots: Cell::new(0),
        }
    }

    /// The settings in force. They may be others after the next reload.
    #[must_use]
    pub fn settings(&self) -> Rc<Settings> {
        Rc::clone(&self.settings.borrow())
    }

    /// Takes over those of `fresh` that may change while the daemon runs.
    pub fn reload(&self, fresh: &Settings) -> Reloaded {
        let mut settings = (*self.settings()).clone();
        let reloaded = settings.reload(fresh);
        self.cache.apply(&settings);
        self.settings.replace(Rc::new(settings));
        reloaded
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
            let (time, client) = ((self.cache.now_ms(), us), (client.id, client.name.borrow()));
            slow_log.add(request.words(), time, (client.0, &client.1), settings.slow_commands_kept);
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
