//! The one place that reads the time. Everything else is handed milliseconds.
//!
//! Deadlines are kept as unix milliseconds so that they survive a restart, yet a jump of the wall clock must neither
//! lengthen nor cut a running TTL. So the wall clock is read once, at start, and carried on by the monotonic clock.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::planted::{Bug, planted};

const US_PER_MS: i64 = 1_000;

/// Unix time that only ever moves forward, at the monotonic clock's pace.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    anchor_unix_us: i64,
    anchor: Instant,
}

impl Clock {
    /// Anchors the clock to the wall clock of this moment.
    #[must_use]
    pub fn start() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { anchor_unix_us: since_epoch.as_micros() as i64, anchor: Instant::now() }
    }

    /// Milliseconds since the unix epoch.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        self.now_us() / US_PER_MS
    }

    /// Microseconds since the unix epoch.
    #[must_use]
    pub fn now_us(&self) -> i64 {
        if planted(Bug::WallClockTtl) {
            return Self::start().anchor_unix_us;
        }
        self.anchor_unix_us + self.anchor.elapsed().as_micros() as i64
    }

    /// The milliseconds since the unix epoch at which `watch` was started.
    #[must_use]
    pub fn ms_at(&self, watch: Stopwatch) -> i64 {
        if planted(Bug::WallClockTtl) {
            return self.now_ms();
        }
        let since_start = watch.0.saturating_duration_since(self.anchor);
        (self.anchor_unix_us + since_start.as_micros() as i64) / US_PER_MS
    }

    /// Milliseconds since the clock was started.
    #[must_use]
    pub fn uptime_ms(&self) -> i64 {
        self.anchor.elapsed().as_millis() as i64
    }

    /// Waits.
    pub async fn sleep(self, length: std::time::Duration) {
        tokio::time::sleep(length).await;
    }
}

/// A moment as `20261125T091500Z`, for names of files.
#[must_use]
pub fn utc_stamp(unix_ms: i64) -> String {
    let seconds = unix_ms.div_euclid(1_000);
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil_from_days(days);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

/// Year, month and day of a day counted from 1970-01-01, in the Gregorian calendar. Howard Hinnant's algorithm
/// (chrono-Compatible Low-Level Date Algorithms, `civil_from_days`): years begin in March, so that the leap day is last.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
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

    /// Nanoseconds since the start.
    #[must_use]
    pub fn ns(&self) -> u64 {
        self.0.elapsed().as_nanos() as u64
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_counts_microseconds() {
        let clock = Clock::start();
        let mut before = clock.now_us();
        assert!((clock.now_ms() - before / US_PER_MS) < 60_000);
        // Whole milliseconds alone would be counted in thousands.
        let mut steps = (0..100_000).map(|_| {
            let now = clock.now_us();
            let step = now - before;
            before = now;
            step
        });
        assert!(steps.any(|step| step % US_PER_MS != 0));
    }

    #[test]
    fn stamps_are_dates() {
        assert_eq!(utc_stamp(0), "19700101T000000Z");
        assert_eq!(utc_stamp(951_827_696_000), "20000229T123456Z");
        assert_eq!(utc_stamp(1_795_592_100_999), "20261125T073500Z");
        assert_eq!(utc_stamp(4_107_542_399_000), "21000228T235959Z");
    }
}
