//! The daemon's counters: one slot per row of the statistics table, and the durations of commands, owned by the event
//! loop.
//!
//! Plain integers: only the loop counts. What happens on other threads is reported to the loop and counted there.

use hdrhistogram::Histogram;
use larder_protocol::{Kind, Stat};

use crate::hot_keys::HotKeys;
use crate::latency::Latencies;

/// Counters and gauges by [`Stat`], and the durations of commands.
#[derive(Debug)]
pub struct Counters {
    values: [u64; Stat::ALL.len()],
    /// Which commands were called, and how long they took.
    pub latencies: Latencies,
    /// Which keys are read most.
    pub hot_keys: HotKeys,
}

impl Counters {
    /// All zero, for a registry of `commands` commands.
    #[must_use]
    pub fn new(commands: usize) -> Self {
        Self {
            values: [0; Stat::ALL.len()],
            latencies: Latencies::new(commands),
            hot_keys: HotKeys::default(),
        }
    }

    /// Adds one.
    pub fn bump(&mut self, stat: Stat) {
        self.add(stat, 1);
    }

    /// Adds `n`.
    pub fn add(&mut self, stat: Stat, n: u64) {
        self.values[stat as usize] += n;
    }

    /// Takes `n` off a gauge.
    pub fn sub(&mut self, stat: Stat, n: u64) {
        self.values[stat as usize] -= n;
    }

    /// Sets a gauge.
    pub fn set(&mut self, stat: Stat, n: u64) {
        self.values[stat as usize] = n;
    }

    /// Raises a maximum.
    pub fn raise(&mut self, stat: Stat, n: u64) {
        let value = &mut self.values[stat as usize];
        *value = n.max(*value);
    }

    /// The value of a counter or gauge.
    #[must_use]
    pub fn get(&self, stat: Stat) -> u64 {
        self.values[stat as usize]
    }

    /// Counts calls of the command at `index` in the registry, and how long they took.
    pub fn called(&mut self, index: usize, calls: u64, ns: u64) {
        self.values[Stat::Commands as usize] += calls;
        self.latencies.called(index, calls, ns);
    }

    /// Begins all counters anew; gauges stay as they are.
    pub fn reset(&mut self) {
        for stat in Stat::ALL.iter().filter(|stat| stat.kind() == Kind::Counter) {
            self.values[*stat as usize] = 0;
        }
        self.latencies.reset();
    }
}

/// How long something took, each time, in microseconds: percentiles within one percent, in constant memory.
#[derive(Debug)]
pub struct Durations(Histogram<u64>);

impl Default for Durations {
    fn default() -> Self {
        /// Longer ones count as this long.
        const MINUTE_US: u64 = 60_000_000;
        Self(Histogram::new_with_bounds(1, MINUTE_US, 2).expect("these bounds are sound"))
    }
}

impl Durations {
    /// Adds one.
    pub fn record(&mut self, us: u64) {
        self.record_n(us, 1);
    }

    /// Adds `n` that took as long.
    pub fn record_n(&mut self, us: u64, n: u64) {
        self.0.saturating_record_n(us, n);
    }

    /// Pairs of a duration and how many there were about as long, the shortest first. The durations are always out of the
    /// same 2,000 or so, so that of two moments' pairs a reader can take the difference.
    pub fn sparse(&self) -> impl Iterator<Item = (u64, u64)> {
        self.0.iter_recorded().map(|step| (step.value_iterated_to(), step.count_at_value()))
    }

    /// The duration that so many percent did not exceed, 0 where there were none.
    #[must_use]
    pub fn at(&self, percent: f64) -> u64 {
        self.0.value_at_percentile(percent)
    }
}
