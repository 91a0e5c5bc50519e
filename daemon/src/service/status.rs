//! The line that `systemctl status` shows.

use larder_protocol::{Snapshot, Stat, Value};

/// How the daemon is doing: `Serving 1,204 entries, hit rate 98.1 %, last clean-up 12 s ago removed 3`.
pub(super) fn line(snapshot: &Snapshot) -> String {
    let entries = snapshot.int(Stat::EntriesActive).max(0);
    let noun = if entries == 1 { "entry" } else { "entries" };
    let reads = match snapshot.get(Stat::HitRate) {
        Value::Ratio(Some(rate)) => format!("hit rate {:.1} %", rate * 100.0),
        _ => "not read yet".to_owned(),
    };
    let last_ms = snapshot.int(Stat::CleanupLastTimeMs);
    let cleanup = if last_ms > 0 {
        let ago = ago((snapshot.int(Stat::TimeMs) - last_ms).max(0) / 1_000);
        format!("last clean-up {ago} ago removed {}", grouped(snapshot.int(Stat::CleanupLastRows)))
    } else {
        "no clean-up yet".to_owned()
    };
    let full = match snapshot.int(Stat::DiskFull) {
        0 => "",
        _ => "; the disk is full, and only deletions are taken",
    };
    format!("Serving {} {noun}, {reads}, {cleanup}{full}", grouped(entries))
}

/// Seconds in the unit that says enough.
fn ago(seconds: i64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        _ => format!("{} h", seconds / 3_600),
    }
}

/// The number with its thousands set apart.
fn grouped(number: i64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_how_much_how_well_and_when() {
        let mut snapshot = Snapshot::default();
        snapshot.set(Stat::EntriesActive, Value::Int(1));
        assert_eq!(line(&snapshot), "Serving 1 entry, not read yet, no clean-up yet");
        for (stat, value) in [
            (Stat::EntriesActive, Value::Int(1_204_000)),
            (Stat::HitRate, Value::Ratio(Some(0.9812))),
            (Stat::TimeMs, Value::Int(1_000_000)),
            (Stat::CleanupLastTimeMs, Value::Int(988_000)),
            (Stat::CleanupLastRows, Value::Int(3)),
        ] {
            snapshot.set(stat, value);
        }
        let all = "Serving 1,204,000 entries, hit rate 98.1 %, last clean-up 12 s ago removed 3";
        assert_eq!(line(&snapshot), all);
        snapshot.set(Stat::DiskFull, Value::Int(1));
        assert!(line(&snapshot).ends_with("; the disk is full, and only deletions are taken"));
    }

    #[test]
    fn spans_and_numbers_are_readable() {
        assert_eq!([ago(0), ago(119), ago(120), ago(7_300)], ["0 s", "119 s", "2 min", "2 h"]);
        assert_eq!([grouped(0), grouped(999), grouped(1_000)], ["0", "999", "1,000"]);
    }
}
