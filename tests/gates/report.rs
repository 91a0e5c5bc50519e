//! How much a gate does, what it runs, and what it says at its end. Used by every gate; knows none of them.
//!
//! `LARDER_GATE_COUNT` is how much (cycles, operations or whatever the gate counts), `LARDER_GATE_SEED` where its random
//! numbers begin. Without them a gate takes its short form.

use std::env;
use std::fmt::Display;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::util::{Daemon, binary};

/// What a gate is run against: the daemon as it is built, or one with a mistake in it.
#[derive(Clone)]
pub(crate) struct Subject {
    pub(crate) binary: PathBuf,
    pub(crate) environment: Vec<(String, PathBuf)>,
}

impl Subject {
    /// The daemon under test.
    pub(crate) fn larderd() -> Self {
        Self { binary: binary(), environment: Vec::new() }
    }

    /// Starts it in a directory of its own.
    #[track_caller]
    pub(crate) fn start(&self, arguments: &[&str]) -> Daemon {
        Daemon::start_other(self.binary.clone(), self.environment.clone(), arguments)
    }

    /// As [`start`](Self::start), with a socket that every user can reach.
    #[track_caller]
    pub(crate) fn start_for_all(&self, arguments: &[&str]) -> Daemon {
        Daemon::start_for_all(self.binary.clone(), self.environment.clone(), arguments)
    }
}

/// How much a gate does, and with which random numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) count: u64,
    pub(crate) seed: u64,
}

impl Plan {
    /// `short`, unless the environment says how much.
    pub(crate) fn from_environment(short: u64) -> Self {
        Self {
            count: number("LARDER_GATE_COUNT").unwrap_or(short),
            seed: number("LARDER_GATE_SEED").unwrap_or(1),
        }
    }
}

/// The 99th percentile in microseconds; 0 of none.
pub(crate) fn percentile_99_us(latencies: &mut [Duration]) -> u128 {
    latencies.sort_unstable();
    latencies.get(latencies.len() * 99 / 100).map_or(0, Duration::as_micros)
}

fn number(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is {text:?}, which is no number")))
}

/// What a gate has counted and what went wrong.
pub(crate) struct Report {
    gate: &'static str,
    plan: Plan,
    began: Instant,
    counts: Vec<(&'static str, String)>,
    failures: Vec<String>,
    skipped: bool,
}

/// So many failures are told of; more would say the same.
const TOLD: usize = 12;

impl Report {
    pub(crate) fn new(gate: &'static str, plan: Plan) -> Self {
        Self { gate, plan, began: Instant::now(), counts: Vec::new(), failures: Vec::new(), skipped: false }
    }

    /// A figure for the ledger.
    pub(crate) fn count(&mut self, what: &'static str, figure: impl Display) {
        self.counts.push((what, figure.to_string()));
    }

    /// Something that must not happen has happened.
    pub(crate) fn fail(&mut self, what: impl Into<String>) {
        self.failures.push(what.into());
    }

    pub(crate) fn fail_all(&mut self, what: impl IntoIterator<Item = String>) {
        self.failures.extend(what);
    }

    /// The machine lacks what the gate needs, which has been said.
    pub(crate) fn skipped(mut self) -> Self {
        self.skipped = true;
        self
    }

    /// Whether that is so.
    pub(crate) fn was_skipped(&self) -> bool {
        self.skipped
    }

    /// Whether anything has failed so far.
    pub(crate) fn is_red(&self) -> bool {
        !self.failures.is_empty()
    }

    /// What the ledger gets.
    pub(crate) fn line(&self) -> String {
        let counts: Vec<_> = self.counts.iter().map(|(what, figure)| format!("{figure} {what}")).collect();
        format!(
            "gate {}: seed {}, count {}: {}; {} failures; {:.1} s",
            self.gate,
            self.plan.seed,
            self.plan.count,
            counts.join(", "),
            self.failures.len(),
            self.began.elapsed().as_secs_f64()
        )
    }

    /// Prints the figures and fails where something did.
    #[track_caller]
    pub(crate) fn end(self) {
        // Past the test runner's capture: the figures are what a gate is run for.
        let _ = writeln!(io::stderr(), "{}", self.line());
        assert!(!self.is_red(), "{}\n{}", self.line(), self.told());
    }

    /// The first failures.
    pub(crate) fn told(&self) -> String {
        let more = self.failures.len().saturating_sub(TOLD);
        let told = self.failures.iter().take(TOLD).cloned().collect::<Vec<_>>().join("\n");
        if more > 0 { format!("{told}\n... and {more} more") } else { told }
    }
}
