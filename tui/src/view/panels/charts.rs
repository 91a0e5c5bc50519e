//! What charts of all panels have in common: the window, its restarts, and columns of the history as series.

use larder_protocol::stream::Column;
use ratatui::layout::Rect;

use super::Scene;
use crate::model::history::How;
use crate::view::chart::{Chart, Kind, Series};
use crate::view::theme::Role;

/// A column of the history as a series.
pub(super) fn series(
    scene: Scene<'_>,
    area: Rect,
    column: Column,
    how: How,
    role: Role,
    letter: char,
) -> Series {
    let app = scene.app;
    let count = Chart::buckets(area, scene.look.symbols);
    let values = app.shown().history.buckets(app.zoom, app.axis_ms(), count, column, how);
    Series { values, role, letter }
}

/// The largest sum of all series in a bucket.
pub(super) fn tallest(series: &[Series]) -> f64 {
    let buckets = series.iter().map(|series| series.values.len()).max().unwrap_or(0);
    let sum = |at| series.iter().filter_map(|series| series.values.get(at).copied().flatten()).sum::<f64>();
    (0..buckets).map(sum).fold(0.0, f64::max)
}

/// Areas on an axis from 0 to `top`.
pub(super) fn areas(scene: Scene<'_>, series: Vec<Series>, top: f64, label: fn(f64) -> String) -> Chart<'_> {
    Chart {
        kind: Kind::Stacked,
        series,
        bottom: 0.0,
        top,
        label,
        ticks: scene.app.zoom.ticks(),
        restarts: restarts(scene),
        marks: Vec::new(),
        look: scene.look,
    }
}

/// Where in the window the daemon was started anew, from 0 to 1.
pub(super) fn restarts(scene: Scene<'_>) -> Vec<f64> {
    let app = scene.app;
    let from = app.axis_ms() - app.zoom.ms();
    let part = |time_ms: i64| (time_ms - from) as f64 / app.zoom.ms() as f64;
    app.shown().history.gaps().map(|gap| part(gap.to_ms)).filter(|part| (0.0..1.0).contains(part)).collect()
}
