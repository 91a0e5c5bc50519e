//! The samples of the last minutes and hours, in two steps: what opens a subscription to `larder:stats`.

use std::collections::VecDeque;
use std::time::Duration;

use larder_protocol::stream::{BACKLOG, Backlog, Latency, Point};
use larder_protocol::{Snapshot, Stat};

/// Samples come a little early or late.
const JITTER_MS: i64 = 100;

/// Both series.
#[derive(Debug)]
pub(super) struct History {
    series: [Series; BACKLOG.len()],
    /// The messages as last made: several listeners may come before the next sample.
    made: Option<(Duration, Vec<String>)>,
}

#[derive(Debug)]
struct Series {
    step_ms: i64,
    kept: usize,
    points: VecDeque<Point>,
    /// The state at the end of the last point.
    last: Option<(Snapshot, Latency)>,
}

impl Default for History {
    fn default() -> Self {
        let series =
            BACKLOG.map(|(step_ms, kept)| Series { step_ms, kept, points: VecDeque::new(), last: None });
        Self { series, made: None }
    }
}

impl History {
    /// Adds what has happened since, to those series whose step is over.
    pub(super) fn add(&mut self, snapshot: &Snapshot, latency: &Latency) {
        self.made = None;
        for series in &mut self.series {
            series.add(snapshot, latency);
        }
    }

    /// The messages that say all of it that is no older than `back`, from the coarsest step to the finest.
    pub(super) fn backlog(&mut self, boot_id: &str, back: Duration) -> Vec<String> {
        if let Some((made_for, messages)) = &self.made
            && *made_for == back
        {
            return messages.clone();
        }
        let messages = self.series.iter().rev().map(|series| series.backlog(boot_id, back).to_json());
        let messages: Vec<String> = messages.collect();
        self.made = Some((back, messages.clone()));
        messages
    }
}

impl Series {
    fn add(&mut self, snapshot: &Snapshot, latency: &Latency) {
        let Some((earlier, then)) = &self.last else {
            self.last = Some((snapshot.clone(), latency.clone()));
            return;
        };
        let passed_ms = snapshot.int(Stat::TimeMs) - earlier.int(Stat::TimeMs);
        if passed_ms < self.step_ms - JITTER_MS {
            return;
        }
        if self.points.len() == self.kept {
            self.points.pop_front();
        }
        self.points.push_back(Point::between((earlier, then), (snapshot, latency)));
        self.last = Some((snapshot.clone(), latency.clone()));
    }

    fn backlog(&self, boot_id: &str, back: Duration) -> Backlog {
        let points = (back.as_millis() / self.step_ms as u128) as usize;
        Backlog {
            boot_id: boot_id.to_owned(),
            step_ms: self.step_ms,
            points: self.points.iter().skip(self.points.len().saturating_sub(points)).cloned().collect(),
            ..Backlog::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use larder_protocol::stream::{Column, Message};

    use super::*;

    fn read(json: &str) -> Backlog {
        match Message::from_json(json).unwrap() {
            Message::Backlog(backlog) => backlog,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_step_sums_what_happened_in_it_and_the_oldest_go() {
        let mut history = History::default();
        for second in 0..4_000_i64 {
            let mut snapshot = Snapshot::default();
            snapshot.set(Stat::TimeMs, second * 1_000 + second % 7);
            snapshot.set(Stat::Hits, second * 3);
            snapshot.set(Stat::Entries, second);
            history.add(&snapshot, &Latency::default());
        }
        let messages = history.backlog("b", Duration::from_hours(3));
        let [coarse, fine] = &messages[..] else { panic!("two series") };
        let (coarse, fine) = (read(coarse), read(fine));
        assert_eq!((coarse.step_ms, coarse.points.len()), (10_000, 399));
        assert_eq!((fine.step_ms, fine.points.len()), (1_000, 300));
        let hits = |backlog: &Backlog| backlog.points.last().unwrap().get(Column::Hits);
        assert_eq!((hits(&coarse), hits(&fine)), (30, 3));
        assert_eq!(fine.points.last().unwrap().get(Column::Entries), 3_999);
        // Less of it, where that is wanted: the last of each.
        let messages = history.backlog("b", Duration::from_mins(1));
        let [coarse, fine] = &messages[..] else { panic!("two series") };
        let (coarse, fine) = (read(coarse), read(fine));
        assert_eq!((coarse.points.len(), fine.points.len()), (6, 60));
        assert_eq!(fine.points.last().unwrap().get(Column::Entries), 3_999);
    }
}
