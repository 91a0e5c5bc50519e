use super::*;

/// A backlog of steps in which something is hit `each` times.
fn backlog(step_ms: i64, times: impl Iterator<Item = i64>, each: i64) -> Backlog {
    let points = times.map(|time_ms| {
        let mut point = Point::new(time_ms);
        point.set(Column::Hits, each);
        point.set(Column::Entries, time_ms / 1_000);
        point
    });
    Backlog { step_ms, points: points.collect(), ..Backlog::default() }
}

fn seconds(range: std::ops::RangeInclusive<i64>) -> impl Iterator<Item = i64> {
    range.map(|second| second * 1_000)
}

fn state(time_ms: i64, hits: i64) -> (Snapshot, Latency) {
    let mut snapshot = Snapshot::default();
    snapshot.set(Stat::TimeMs, time_ms);
    snapshot.set(Stat::Hits, hits);
    (snapshot, Latency::default())
}

#[test]
fn sums_of_a_window_are_exact() {
    let mut history = History::default();
    history.backlog(&backlog(1_000, seconds(1..=300), 10));
    assert!((history.sum(Zoom::Minute, 300_000, Column::Hits) - 600.0).abs() < 1e-9);
    assert!((history.sum(Zoom::FiveMinutes, 300_000, Column::Hits) - 3_000.0).abs() < 1e-9);
    // Half a step reaches into the window at each end.
    assert!((history.sum(Zoom::Minute, 299_500, Column::Hits) - 600.0).abs() < 1e-9);
    assert!((history.known_ms(Zoom::HalfHour, 300_000) - 300_000.0).abs() < 1e-6);
}

#[test]
fn long_windows_take_coarse_steps_and_the_newest_fine_ones_and_count_nothing_twice() {
    let mut history = History::default();
    history.backlog(&backlog(10_000, (1..=30).map(|step| step * 10_000), 100));
    history.backlog(&backlog(1_000, seconds(5..=305), 10));
    assert!((history.sum(Zoom::HalfHour, 305_000, Column::Hits) - 3_050.0).abs() < 1e-9);
    let buckets = history.buckets(Zoom::HalfHour, 305_000, 180, Column::Hits, How::Rate);
    let known: Vec<_> = buckets.into_iter().flatten().collect();
    assert_eq!(known.len(), 31);
    assert!(known.iter().all(|rate| (rate - 10.0).abs() < 1e-9), "{known:?}");
}

#[test]
fn buckets_stand_still_while_time_goes_by() {
    let mut history = History::default();
    history.backlog(&backlog(1_000, seconds(1..=100), 7));
    let at = |now_ms| history.buckets(Zoom::Minute, now_ms, 30, Column::Hits, How::Sum);
    assert_eq!(at(100_000), at(99_001));
    assert_eq!(at(100_000)[1..], at(102_000)[..29]);
    assert_eq!(at(102_000)[29], None);
    // A step that is longer than a bucket is in every bucket that it covers.
    let narrow = history.buckets(Zoom::Minute, 100_000, 240, Column::Hits, How::Rate);
    assert!(narrow.iter().all(|rate| (rate.unwrap() - 7.0).abs() < 1e-9));
    let last = history.buckets(Zoom::Minute, 100_000, 6, Column::Entries, How::Last);
    assert_eq!(last, [50, 60, 70, 80, 90, 100].map(|entries| Some(f64::from(entries))));
    assert_eq!(history.buckets(Zoom::Minute, 100_000, 0, Column::Hits, How::Max), []);
}

#[test]
fn samples_make_fine_steps_and_coarse_ones() {
    let mut history = History::default();
    let mut before = state(0, 0);
    for second in 1..=25 {
        let now = state(second * 1_000, second * 4);
        history.step((&before.0, &before.1), (&now.0, &now.1));
        before = now;
    }
    assert_eq!(history.fine.len(), 25);
    let coarse: Vec<_> = history.coarse.iter().map(|step| step.point.get(Column::Hits)).collect();
    assert_eq!(coarse, [40, 40]);
    assert!((history.sum(Zoom::ThreeHours, 25_000, Column::Hits) - 100.0).abs() < 1e-9);
    // Time that stands still or goes back is no step.
    history.step((&before.0, &before.1), (&before.0, &before.1));
    assert_eq!(history.fine.len(), 25);
}

#[test]
fn a_restart_leaves_a_gap_and_a_reconnection_does_not() {
    let mut history = History::default();
    history.backlog(&backlog(1_000, seconds(1..=100), 10));
    history.interrupt();
    history.backlog(&backlog(1_000, seconds(50..=110), 10));
    assert_eq!(history.gaps().count(), 0);
    assert!((history.sum(Zoom::FiveMinutes, 110_000, Column::Hits) - 1_100.0).abs() < 1e-9);
    history.restart();
    history.backlog(&backlog(1_000, seconds(131..=140), 10));
    assert_eq!(history.gaps().collect::<Vec<_>>(), [Gap { from_ms: 110_000, to_ms: 130_000 }]);
    let buckets = history.buckets(Zoom::Minute, 140_000, 6, Column::Hits, How::Sum);
    assert_eq!(buckets, [Some(100.0), Some(100.0), Some(100.0), None, None, Some(100.0)]);
}

#[test]
fn what_is_kept_is_bounded() {
    let mut history = History::default();
    for start in 0..4 {
        history.backlog(&backlog(50, (1..=5_000).map(|at| start * 250_000 + at * 50), 1));
        history.backlog(&backlog(10_000, (1..=2_000).map(|at| start * 20_000_000 + at * 10_000), 1));
    }
    assert!(history.fine.len() <= FINE_MAX && history.coarse.len() <= COARSE_MAX);
    for second in 0..1_000 {
        history.restart();
        history.backlog(&backlog(1_000, seconds(90_000 + second * 3..=90_000 + second * 3), 1));
    }
    assert_eq!(history.gaps().count(), GAPS_MAX);
}
