//! The daemon's counters: one slot per row of the statistics table, owned by the event loop.
//!
//! Plain integers: only the loop counts. What happens on other threads is reported to the loop and counted there.

use hdrhistogram::Histogram;
use larder_protocol::{Kind, Stat};

/// Counters and gauges by [`Stat`], and calls by command.
#[derive(Debug)]
pub struct Counters {
    values: [u64; Stat::ALL.len()],
    /// What was called, by the command's place in the registry.
    calls: Vec<Calls>,
}

/// The calls of one command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Calls {
    /// How many.
    pub count: u64,
    /// How many of them were answered with an error.
    pub failed: u64,
    /// How many requests named it and were not run.
    pub rejected: u64,
    /// How long they ran together, in nanoseconds. Short commands that run one after the other are measured together,
    /// and each has its part of that.
    pub ns: u64,
}

impl Counters {
    /// All zero, for a registry of `commands` commands.
    #[must_use]
    pub fn new(commands: usize) -> Self {
        Self { values: [0; Stat::ALL.len()], calls: vec![Calls::default(); commands] }
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
        self.calls[index].count += calls;
        self.calls[index].ns += ns;
    }

    /// Counts a call that was answered with an error.
    pub fn failed(&mut self, index: usize) {
        self.calls[index].failed += 1;
    }

    /// Counts a request that was not run.
    pub fn rejected(&mut self, index: usize) {
        self.calls[index].rejected += 1;
    }

    /// Begins all counters anew; gauges stay as they are.
    pub fn reset(&mut self) {
        for stat in Stat::ALL.iter().filter(|stat| stat.kind() == Kind::Counter) {
            self.values[*stat as usize] = 0;
        }
        self.calls.fill(Calls::default());
    }

    /// Calls by the command's place in the registry.
    #[must_use]
    pub fn calls(&self) -> &[Calls] {
        &self.calls
    }
}

/// How long something took, each time, in microseconds: percentiles within one percent, in constant memory.
#[derive(Debug)]
pub struct Durations(Histogram<u32>);

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
        self.0.saturating_record(us);
    }

    /// The duration that so many percent did not exceed, 0 where there were none.
    #[must_use]
    pub fn at(&self, percent: f64) -> u64 {
        self.0.value_at_percentile(percent)
    }
}
