//! Numbers as people read them: three significant digits and a unit, never wider than the field they are made for.
//!
//! Used by tables, panels and the summary. What is not known is an en dash, as wide as a number would be.

/// What stands where there is no number.
pub const NONE: &str = "–";

/// Three significant digits: `9.87`, `98.7`, `987`.
fn digits(value: f64) -> String {
    // A number that would round up to another digit is taken for it.
    if value.abs() < 9.995 {
        format!("{value:.2}")
    } else if value.abs() < 99.95 {
        format!("{value:.1}")
    } else {
        format!("{value:.0}")
    }
}

fn scaled(value: f64, base: f64, units: &[&str], separator: &str) -> String {
    let (mut value, mut at) = (value, 0);
    // From 999.5 on three digits would round to 1000, which has the next unit.
    let limit = if base > 1_000.0 { 1_023.5 } else { 999.5 };
    while value.abs() >= limit && at + 1 < units.len() {
        value /= base;
        at += 1;
    }
    if at == 0 && value.fract().abs() < f64::EPSILON {
        return format!("{value:.0}{separator}{}", units[0]).trim_end().to_owned();
    }
    format!("{}{separator}{}", digits(value), units[at]).trim_end().to_owned()
}

/// A count: `0`, `812`, `12.3k`, `1.20M`. At most 6 wide.
#[must_use]
pub fn count(value: f64) -> String {
    scaled(value, 1_000.0, &["", "k", "M", "G", "T"], "")
}

/// Something per second: `0/s`, `0.20/s`, `12.3k/s`. At most 8 wide.
#[must_use]
pub fn rate(value: f64) -> String {
    format!("{}/s", count(if value < 0.005 { 0.0 } else { value }))
}

/// Bytes: `0 B`, `41.2 MiB`. At most 8 wide, but for 1000 to 1023 of a unit.
#[must_use]
pub fn bytes(value: f64) -> String {
    scaled(value, 1_024.0, &["B", "KiB", "MiB", "GiB", "TiB"], " ")
}

/// Bytes a second.
#[must_use]
pub fn byte_rate(value: f64) -> String {
    format!("{}/s", bytes(value.round()))
}

/// A duration in nanoseconds, for latencies: `950 ns`, `12.3 µs`, `1.20 ms`, `2.50 s`. At most 7 wide below 1000 s.
#[must_use]
pub fn latency(ns: f64) -> String {
    scaled(ns, 1_000.0, &["ns", "µs", "ms", "s"], " ")
}

/// A share from 0 to 1: `97.3 %`, `100 %`. At most 6 wide.
#[must_use]
pub fn percent(share: f64) -> String {
    let share = share * 100.0;
    // Only what is whole says so: 99.97 % is not 100 %.
    let shown = if share > 99.9 && share < 100.0 { 99.9 } else { share };
    if shown >= 100.0 { "100 %".to_owned() } else { format!("{shown:.1} %") }
}

/// A share, where there is one.
#[must_use]
pub fn maybe_percent(share: Option<f64>) -> String {
    share.map_or_else(|| NONE.to_owned(), percent)
}

/// A time span in milliseconds, two units of it: `0 s`, `12 s`, `3m 20s`, `4h 5m`, `12d 3h`. At most 7 wide below 100
/// days.
#[must_use]
pub fn span(ms: i64) -> String {
    let seconds = ms.max(0) / 1_000;
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    if days > 0 {
        format!("{days}d {hours}h")
    } else if hours > 0 {
        format!("{hours}h {minutes}m")
    } else if minutes > 0 {
        format!("{minutes}m {}s", seconds % 60)
    } else {
        format!("{seconds} s")
    }
}

/// The time of day of a wall clock in milliseconds since 1970, in UTC: `14:03:07`.
#[must_use]
pub fn time_of_day(ms: i64) -> String {
    let seconds = ms.div_euclid(1_000).rem_euclid(86_400);
    format!("{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

/// The next of 1, 1.5, 2, 3, 4, 5, 6 and 8 times a power of ten: where the axis of a chart ends, so that it rarely
/// moves.
#[must_use]
pub fn ceiling(value: f64) -> f64 {
    if value <= 0.0 || !value.is_finite() {
        return 1.0;
    }
    let power = 10_f64.powf(value.log10().floor());
    [1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0]
        .into_iter()
        .map(|step| step * power)
        .find(|&top| top >= value * 0.999_999)
        .unwrap_or(10.0 * power)
}

/// A number at an axis: without the digits that are nothing there, `20k` for `20.0k`.
#[must_use]
pub fn axis(text: &str) -> String {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number =
        if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { number };
    format!("{number}{unit}")
}

/// As [`ceiling`], for bytes: 1, 2, 4, ... 512 of a unit.
#[must_use]
pub fn byte_ceiling(value: f64) -> f64 {
    if value <= 1.0 || !value.is_finite() { 1.0 } else { 2_f64.powf(value.log2().ceil()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits_and_a_unit() {
        let shown = [0.0, 7.0, 812.0, 999.4, 999.6, 12_345.0, 1_200_000.0, 9.87e12].map(count);
        assert_eq!(shown, ["0", "7", "812", "999", "1.00k", "12.3k", "1.20M", "9.87T"]);
        assert_eq!([0.0, 0.2, 12_345.0].map(rate), ["0/s", "0.20/s", "12.3k/s"]);
        let shown = [0.0, 512.0, 1_024.0, 43_201_331.0, 1_073_741_824.0].map(bytes);
        assert_eq!(shown, ["0 B", "512 B", "1.00 KiB", "41.2 MiB", "1.00 GiB"]);
        assert_eq!(
            [950.0, 12_300.0, 1_200_000.0, 2.5e9].map(latency),
            ["950 ns", "12.3 µs", "1.20 ms", "2.50 s"]
        );
        assert_eq!([0.0, 0.973, 0.9999, 1.0].map(percent), ["0.0 %", "97.3 %", "99.9 %", "100 %"]);
        assert_eq!(maybe_percent(None), NONE);
    }

    #[test]
    fn fields_are_never_wider_than_promised() {
        let mut value = 0.001_f64;
        while value < 1e15 {
            assert!(count(value).len() <= 6, "{}", count(value));
            assert!(rate(value).len() <= 8, "{}", rate(value));
            assert!(bytes(value.round()).len() <= 9, "{}", bytes(value.round()));
            assert!(value >= 1e12 || latency(value.round()).chars().count() <= 7, "{}", latency(value));
            assert!(value > 8_639_999_000.0 || span(value as i64).len() <= 7, "{}", span(value as i64));
            value *= 1.01;
        }
    }

    #[test]
    fn spans_have_two_units_and_times_are_of_the_day() {
        let shown = [-5, 999, 12_000, 200_000, 14_700_000, 1_047_600_000].map(span);
        assert_eq!(shown, ["0 s", "0 s", "12 s", "3m 20s", "4h 5m", "12d 3h"]);
        assert_eq!([0, 50_587_123, -1].map(time_of_day), ["00:00:00", "14:03:07", "23:59:59"]);
    }

    #[test]
    fn axes_end_at_round_numbers() {
        let tops = [0.0, 0.7, 1.0, 1.1, 4.0, 7.0, 1_999.0, f64::NAN].map(ceiling);
        assert_eq!(tops.map(count), ["1", "0.80", "1", "1.50", "4", "8", "2.00k", "1"]);
        let shown = ["20.0k", "1.00 ms", "0.05", "31.6 µs", "1.05k", "100"].map(axis);
        assert_eq!(shown, ["20k", "1 ms", "0.05", "31.6 µs", "1.05k", "100"]);
        assert_eq!(
            [0.0, 3.0, 1_024.0, 1_025.0].map(byte_ceiling).map(bytes),
            ["1 B", "4 B", "1.00 KiB", "2.00 KiB"]
        );
    }
}
