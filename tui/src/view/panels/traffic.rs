//! Traffic: commands a second by class, now and over time, and bytes.

use larder_protocol::stream::Column;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget;

use super::Scene;
use super::charts::{areas, series, tallest};
use crate::model::history::How;
use crate::model::units::{byte_rate, ceiling, count, rate};
use crate::view::chart::key;
use crate::view::theme::Role;

/// The panel.
pub(super) struct Traffic<'a>(pub Scene<'a>);

const CLASSES: [(Column, &str, Role, char); 4] = [
    (Column::ReadCalls, "reads", Role::Read, 'r'),
    (Column::WriteCalls, "writes", Role::Write, 'w'),
    (Column::DeleteCalls, "deletes", Role::Delete, 'd'),
    (Column::OtherCalls, "other", Role::Other, 'o'),
];

impl Widget for Traffic<'_> {
    fn render(self, area: Rect, buf: &mut Buffer) {
        let scene = self.0;
        let (model, look) = (scene.app.shown(), scene.look);
        let mut spans = Vec::new();
        for (at, (column, name, role, letter)) in CLASSES.into_iter().enumerate() {
            let filling = key(at, letter, look.symbols);
            spans.push(Span::styled(format!(" {filling} {name} "), look.style(role)));
            spans
                .push(Span::styled(format!("{:<8}", rate(model.rate_now(column))), look.style(Role::Strong)));
        }
        for (column, name) in [(Column::InputBytes, "in"), (Column::OutputBytes, "out")] {
            spans.push(Span::styled(format!(" {name} "), look.style(Role::Dim)));
            spans.push(Span::styled(
                format!("{:<10}", byte_rate(model.rate_now(column))),
                look.style(Role::Text),
            ));
        }
        let errors = model.rate_now(Column::CommandErrors);
        let role = if errors > 0.0 { Role::Bad } else { Role::Text };
        spans.push(Span::styled(" errors ", look.style(Role::Dim)));
        spans.push(Span::styled(format!("{:<8}", rate(errors)), look.style(role)));
        let lines = wrapped(spans, area.width);
        let legend = (lines.len() as u16).min(area.height.saturating_sub(3).max(1));
        for (y, line) in (area.y..area.y + legend.min(area.height)).zip(&lines) {
            buf.set_line(area.x, y, line, area.width);
        }
        let chart =
            Rect { y: area.y + legend.min(area.height), height: area.height.saturating_sub(legend), ..area };
        let classes = Vec::from(
            CLASSES.map(|(column, _, role, letter)| series(scene, chart, column, How::Rate, role, letter)),
        );
        let top = ceiling(tallest(&classes));
        areas(scene, classes, top, count).render(chart, buf);
    }
}

/// Names with their numbers, two spans each, in as many lines as they need.
pub(super) fn wrapped(spans: Vec<Span<'static>>, width: u16) -> Vec<Line<'static>> {
    let mut lines: Vec<Line<'static>> = vec![Line::default()];
    let mut spans = spans.into_iter();
    while let (Some(name), Some(value)) = (spans.next(), spans.next()) {
        let line = lines.last().map_or(0, Line::width);
        if line > 0 && line + name.width() + value.content.trim_end().chars().count() > usize::from(width) {
            lines.push(Line::default());
        }
        if let Some(line) = lines.last_mut() {
            line.spans.extend([name, value]);
        }
    }
    lines
}
