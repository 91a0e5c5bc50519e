//! What was: the steps of the last three hours, fine for the last five minutes, across restarts of the daemon.
//!
//! Used by the model, which fills it, and by charts and summaries, which take sums and buckets out of it. Bounded.
//! Every figure is exact as far as steps go: a step that reaches into a window counts by the part that does.

use std::collections::VecDeque;

use larder_protocol::stream::{Backlog, Column, Latency, Point};
use larder_protocol::{Snapshot, Stat};

use super::zoom::Zoom;

/// Length of a coarse step.
const COARSE_MS: i64 = 10_000;

/// Steps kept, whatever the interval.
const FINE_MAX: usize = 3_000;
const COARSE_MAX: usize = 1_100;

/// Gaps kept.
const GAPS_MAX: usize = 64;

/// What happened in a stretch of time.
#[derive(Clone, Debug)]
pub struct Step {
    /// The figures; `time_ms` is the end.
    pub point: Point,
    /// How long it was.
    pub span_ms: i64,
}

/// A stretch of time that nothing is known of, because the daemon was another one after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The end of the last step before.
    pub from_ms: i64,
    /// The beginning of the first step after.
    pub to_ms: i64,
}

/// What a bucket of a chart says of the steps in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// Growth a second.
    Rate,
    /// Growth, of the steps that end in the bucket: what happened once is in one bucket.
    Sum,
    /// A gauge at the end.
    Last,
    /// The largest.
    Max,
}

/// Steps of the process that is there now and of those before it.
#[derive(Clone, Debug, Default)]
pub struct History {
    fine: VecDeque<Step>,
    coarse: VecDeque<Step>,
    gaps: VecDeque<Gap>,
    /// Where the coarse step began that is not over yet.
    begun: Option<(Snapshot, Latency)>,
    /// Whether the next step is the first of another process.
    restarted: bool,
}

impl History {
    /// Takes what the daemon says of the time before; what is known already is skipped.
    pub fn backlog(&mut self, backlog: &Backlog) {
        let mut before: Option<i64> = None;
        for point in &backlog.points {
            let usual = backlog.step_ms.max(1);
            let since = before.map_or(usual, |time| point.time_ms - time);
            // A step that would be much longer than usual follows a time without any.
            let span_ms = if (1..=usual + usual / 2).contains(&since) { since } else { usual };
            before = Some(point.time_ms);
            let step = Step { point: point.clone(), span_ms };
            if backlog.step_ms < COARSE_MS { self.push_fine(step) } else { self.push_coarse(step) }
        }
    }

    /// Takes the step between two samples of one process.
    pub fn step(&mut self, earlier: (&Snapshot, &Latency), later: (&Snapshot, &Latency)) {
        let span_ms = later.0.int(Stat::TimeMs) - earlier.0.int(Stat::TimeMs);
        if span_ms <= 0 {
            return;
        }
        self.push_fine(Step { point: Point::between(earlier, later), span_ms });
        let (snapshot, latency) = self.begun.get_or_insert_with(|| (earlier.0.clone(), earlier.1.clone()));
        let span_ms = later.0.int(Stat::TimeMs) - snapshot.int(Stat::TimeMs);
        if span_ms >= COARSE_MS {
            let point = Point::between((snapshot, latency), later);
            self.begun = Some((later.0.clone(), later.1.clone()));
            self.push_coarse(Step { point, span_ms });
        }
    }

    /// Another process follows: its counters begin anew.
    pub fn restart(&mut self) {
        self.begun = None;
        self.restarted = true;
    }

    /// The connection was lost: what comes is of the same process, but not the continuation of the step that was
    /// begun.
    pub fn interrupt(&mut self) {
        self.begun = None;
    }

    fn push_fine(&mut self, step: Step) {
        let begin = step.point.time_ms - step.span_ms;
        if let Some(last) = self.fine.back() {
            if step.point.time_ms <= last.point.time_ms {
                return;
            }
            if self.restarted {
                self.gaps
                    .push_back(Gap { from_ms: last.point.time_ms, to_ms: begin.max(last.point.time_ms) });
                if self.gaps.len() > GAPS_MAX {
                    self.gaps.pop_front();
                }
            }
        }
        self.restarted = false;
        let oldest = step.point.time_ms - Zoom::FiveMinutes.ms();
        self.fine.push_back(step);
        while self.fine.len() > FINE_MAX || self.fine.front().is_some_and(|step| step.point.time_ms < oldest)
        {
            self.fine.pop_front();
        }
    }

    fn push_coarse(&mut self, step: Step) {
        if self.coarse.back().is_some_and(|last| step.point.time_ms <= last.point.time_ms) {
            return;
        }
        let oldest = step.point.time_ms - Zoom::ThreeHours.ms();
        self.coarse.push_back(step);
        while self.coarse.len() > COARSE_MAX
            || self.coarse.front().is_some_and(|step| step.point.time_ms < oldest)
        {
            self.coarse.pop_front();
        }
    }

    /// The last step.
    #[must_use]
    pub fn last(&self) -> Option<&Step> {
        self.fine.back()
    }

    /// Where the process changed.
    pub fn gaps(&self) -> impl Iterator<Item = Gap> {
        self.gaps.iter().copied()
    }

    /// The steps that a window is made of, the oldest first. What is older than the fine steps, or asked for a longer
    /// window, is coarse; the newest are fine in any case.
    fn steps(&self, zoom: Zoom) -> impl Iterator<Item = &Step> {
        let long = zoom.ms() > Zoom::FiveMinutes.ms();
        let coarse_end =
            if long { self.coarse.back().map_or(i64::MIN, |step| step.point.time_ms) } else { i64::MIN };
        let coarse = self.coarse.iter().filter(move |_| long);
        let fine = self.fine.iter().filter(move |step| step.point.time_ms - step.span_ms >= coarse_end);
        coarse.chain(fine)
    }

    /// What a counter grew by in the window.
    #[must_use]
    pub fn sum(&self, zoom: Zoom, now_ms: i64, column: Column) -> f64 {
        let from = now_ms - zoom.ms();
        self.steps(zoom).map(|step| step.point.get(column) as f64 * overlap(step, from, now_ms)).sum()
    }

    /// How much of the window is known, in milliseconds.
    #[must_use]
    pub fn known_ms(&self, zoom: Zoom, now_ms: i64) -> f64 {
        let from = now_ms - zoom.ms();
        self.steps(zoom).map(|step| step.span_ms as f64 * overlap(step, from, now_ms)).sum()
    }

    /// The window in `count` buckets of equal length, the oldest first; none where nothing is known. Buckets begin at
    /// multiples of their length, so that a chart moves and does not change its shape.
    #[must_use]
    pub fn buckets(
        &self,
        zoom: Zoom,
        now_ms: i64,
        count: usize,
        column: Column,
        how: How,
    ) -> Vec<Option<f64>> {
        let Some((length, begin)) = grid(zoom, now_ms, count) else { return Vec::new() };
        let mut buckets: Vec<Option<f64>> = vec![None; count];
        // How much of each bucket is known, in milliseconds.
        let mut known = vec![0.0; count];
        for step in self.steps(zoom) {
            let (from, to) = (step.point.time_ms - step.span_ms, step.point.time_ms);
            if to <= begin {
                continue;
            }
            let first = ((from - begin).max(0) / length) as usize;
            let last = ((to - 1 - begin).max(0) / length) as usize;
            for at in first..=last.min(count.saturating_sub(1)) {
                let edge = begin + at as i64 * length;
                let ends_here = (edge + 1..=edge + length).contains(&to);
                let part =
                    if how == How::Sum && ends_here { 1.0 } else { overlap(step, edge, edge + length) };
                if part <= 0.0 {
                    continue;
                }
                let value = step.point.get(column) as f64;
                let bucket = &mut buckets[at];
                *bucket = Some(match how {
                    How::Sum if !ends_here => bucket.unwrap_or(0.0),
                    How::Rate | How::Sum => bucket.unwrap_or(0.0) + value * part,
                    How::Last => value,
                    How::Max => bucket.unwrap_or(0.0).max(value),
                });
                known[at] += part * step.span_ms as f64;
            }
        }
        if how == How::Rate {
            for (bucket, known) in buckets.iter_mut().zip(known) {
                *bucket = bucket.map(|value| value * 1_000.0 / f64::max(known, 1.0));
            }
        }
        buckets
    }
}

/// Length of a bucket, and where the first one begins.
#[must_use]
pub fn grid(zoom: Zoom, now_ms: i64, count: usize) -> Option<(i64, i64)> {
    let buckets = i64::try_from(count).ok().filter(|&count| count > 0)?;
    let length = (zoom.ms() / buckets).max(1);
    let end = (now_ms + length - 1).div_euclid(length) * length;
    Some((length, end - buckets * length))
}

/// The part of a step, from 0 to 1, that is between two times.
fn overlap(step: &Step, from: i64, to: i64) -> f64 {
    let (begin, end) = (step.point.time_ms - step.span_ms, step.point.time_ms);
    let common = end.min(to) - begin.max(from);
    if common <= 0 { 0.0 } else { common as f64 / step.span_ms as f64 }
}

#[cfg(test)]
#[path = "history_tests.rs"]
mod tests;
