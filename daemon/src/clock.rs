//! The one place that reads the time. Everything else is handed milliseconds.
//!
//! Deadlines are kept as unix milliseconds so that they survive a restart, yet a jump of the wall clock must neither
//! lengthen nor cut a running TTL. So the wall clock is read once, at start, and carried on by the monotonic clock.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Unix time that only ever moves forward, at the monotonic clock's pace.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    anchor_unix_ms: i64,
    anchor: Instant,
}

impl Clock {
    /// Anchors the clock to the wall clock of this moment.
    #[must_use]
    pub fn start() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { anchor_unix_ms: since_epoch.as_millis() as i64, anchor: Instant::now() }
    }

    /// Milliseconds since the unix epoch.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        self.anchor_unix_ms + self.uptime_ms()
    }

    /// Milliseconds since the clock was started.
    #[must_use]
    pub fn uptime_ms(&self) -> i64 {
        self.anchor.elapsed().as_millis() as i64
    }
}

/// A running measurement, for durations that go into the statistics.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts measuring.
    #[must_use]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Whole microseconds since the start.
    #[must_use]
    pub fn us(&self) -> u64 {
        self.0.elapsed().as_micros() as u64
    }

    /// Whole milliseconds since the start.
    #[must_use]
    pub fn ms(&self) -> u64 {
        self.0.elapsed().as_millis() as u64
    }
}
