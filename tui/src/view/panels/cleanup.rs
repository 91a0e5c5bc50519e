//! Clean-up on the time axis: a bar for what runs removed, and letters for clean-ups, merges and checkpoints.

use larder_protocol::Stat;
use larder_protocol::stream::Column;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::widgets::Widget;

use super::Scene;
use super::charts::{areas, series, tallest};
use super::legend::{self, Item};
use crate::model::history::How;
use crate::model::units::{NONE, ceiling, count, latency, span};
use crate::view::theme::Role;

/// The panel.
pub(super) struct Cleanup<'a>(pub Scene<'a>);

impl Widget for Cleanup<'_> {
    fn render(self, area: Rect, buf: &mut Buffer) {
        let scene = self.0;
        let (app, look) = (scene.app, scene.look);
        let model = app.shown();
        let sum = |column| count(model.history.sum(app.zoom, app.axis_ms(), column).round());
        let last = model.stat(Stat::CleanupLastTimeMs);
        let (ago, last_rows, last_ms) = if last > 0.0 {
            (
                format!("{} ago", span((app.axis_ms() as f64 - last) as i64)),
                count(model.stat(Stat::CleanupLastRows)),
                latency(model.stat(Stat::CleanupLastMs) * 1e6),
            )
        } else {
            (NONE.to_owned(), NONE.to_owned(), NONE.to_owned())
        };
        // The letters are those under the chart.
        let items = [
            ("last run", ago, 12, Role::Cleanup),
            ("removed", last_rows, 7, Role::Dim),
            ("in", last_ms, 8, Role::Dim),
            ("c runs", sum(Column::CleanupRuns), 7, Role::Dim),
            ("rows", sum(Column::CleanupRows), 7, Role::Dim),
            ("m merges", sum(Column::Merges), 7, Role::Upkeep),
            ("k checkpoints", sum(Column::Checkpoints), 7, Role::Upkeep),
        ];
        let items = items.map(|(name, figure, width, role)| Item::new(name, role, &figure, width));
        let chart_area = legend::draw(items, look, area, buf);
        let rows = series(scene, chart_area, Column::CleanupRows, How::Sum, Role::Cleanup, '#');
        let stack = vec![rows];
        let top = ceiling(tallest(&stack));
        let mut chart = areas(scene, stack, top, count);
        // The later ones are drawn over the earlier: what is rare is seen.
        for (column, letter, role) in [
            (Column::Merges, 'm', Role::Upkeep),
            (Column::CleanupRuns, 'c', Role::Cleanup),
            (Column::Checkpoints, 'k', Role::Upkeep),
        ] {
            let happened = series(scene, chart_area, column, How::Sum, role, letter).values;
            let buckets =
                happened.iter().enumerate().filter(|(_, value)| value.is_some_and(|value| value > 0.0));
            chart.marks.extend(buckets.map(|(bucket, _)| (bucket, letter, role)));
        }
        chart.render(chart_area, buf);
    }
}
