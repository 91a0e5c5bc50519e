//! What commands know about the daemon.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use larder_protocol::{Kind, Snapshot, Stat, Value};

use super::REGISTRY;
use crate::cache::{Cache, Count, Loaded, Stop, View};
use crate::clients::Clients;
use crate::config::{Reloaded, Settings};
use crate::error::CommandError;
use crate::pubsub::Channels;

/// The version of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The version of Redis that clients are told: they decide by it what they may send. The commands there are behave as
/// they do in this version.
pub const REDIS_VERSION: &str = "7.4.0";

/// The daemon, as commands see it.
#[derive(Debug)]
pub struct Host {
    /// The cache.
    pub cache: Cache,
    /// Random, of this start of the process.
    pub boot_id: String,
    /// The connections there are.
    pub clients: Clients,
    /// What they listen to.
    pub channels: Channels,
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
            let calls = REGISTRY.iter().zip(counters.calls());
            let calls = calls.filter(|&(_, &calls)| calls > 0);
            let calls = calls.map(|(spec, &calls)| (spec.name.to_owned(), calls as i64)).collect();
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
