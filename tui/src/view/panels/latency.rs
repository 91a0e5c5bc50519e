//! Latency over time: the median, the 99th and the 99.9th percentile of a class, on a logarithmic axis.

use larder_protocol::stream::{Class, Column};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::widgets::Widget;

use super::Scene;
use super::charts::{restarts, series};
use super::legend::{self, Item};
use crate::model::history::How;
use crate::model::units::{NONE, latency};
use crate::view::chart::{Chart, Kind};
use crate::view::theme::Role;

/// The panel of a class.
pub(super) struct LatencyPanel<'a> {
    scene: Scene<'a>,
    class: Class,
    columns: [Column; 3],
}

pub(super) const READS: fn(Scene<'_>) -> LatencyPanel<'_> = |scene| LatencyPanel {
    scene,
    class: Class::Read,
    columns: [Column::ReadP50Ns, Column::ReadP99Ns, Column::ReadP999Ns],
};

pub(super) const WRITES: fn(Scene<'_>) -> LatencyPanel<'_> = |scene| LatencyPanel {
    scene,
    class: Class::Write,
    columns: [Column::WriteP50Ns, Column::WriteP99Ns, Column::WriteP999Ns],
};

/// What the axis shows while nothing has been measured.
const USUAL_NS: (f64, f64) = (10e3, 10e6);

const PERCENTILES: [(&str, f64, Role, char); 3] =
    [("p50", 0.5, Role::P50, '.'), ("p99", 0.99, Role::P99, 'o'), ("p99.9", 0.999, Role::P999, '^')];

impl Widget for LatencyPanel<'_> {
    fn render(self, area: Rect, buf: &mut Buffer) {
        let Scene { app, look } = self.scene;
        let window = app.shown().latency(app.zoom).0;
        let histogram = window.class(self.class);
        let items = PERCENTILES.map(|(name, share, role, _)| {
            let figure = histogram.percentile(share).map_or_else(|| NONE.to_owned(), |ns| latency(ns as f64));
            Item::new(name, role, &figure, 7)
        });
        let chart = legend::draw(items, look, area, buf);
        let lines: Vec<_> = self
            .columns
            .iter()
            .zip(PERCENTILES)
            // The median is drawn last: it is what is seen where they meet.
            .rev()
            .map(|(&column, (_, _, role, letter))| series(self.scene, chart, column, How::Max, role, letter))
            .collect();
        let values =
            || lines.iter().flat_map(|series| series.values.iter().flatten()).filter(|&&ns| ns > 0.0);
        let range = values().fold(None, |range, &ns| match range {
            None => Some((ns, ns)),
            Some((least, most)) => Some((ns.min(least), ns.max(most))),
        });
        let (least, most) = range.unwrap_or(USUAL_NS);
        // Whole decades: the axis rarely moves.
        let bottom = 10_f64.powf(least.log10().floor());
        let top = 10_f64.powf(most.log10().ceil()).max(bottom * 10.0);
        let chart_widget = Chart {
            kind: Kind::LogLines,
            series: lines,
            bottom,
            top,
            label: latency,
            ticks: app.zoom.ticks(),
            restarts: restarts(self.scene),
            marks: Vec::new(),
            look,
        };
        chart_widget.render(chart, buf);
    }
}
