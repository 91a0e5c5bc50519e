//! The legend above a chart: names with their figures, in as many lines as they need.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::view::theme::{Look, Role};

/// Lines that are left to the chart before a legend gets its second.
const CHART_LINES_MIN: u16 = 3;

/// A name with its figure.
pub(super) struct Item {
    name: String,
    role: Role,
    figure: String,
    figure_role: Role,
}

impl Item {
    /// `figure` takes at least `width` cells, so that what follows it stays in its place. `role` is the name's, and that of its
    /// part of the chart.
    pub(super) fn new(name: impl Into<String>, role: Role, figure: &str, width: usize) -> Self {
        Self { name: name.into(), role, figure: format!("{figure:<width$}"), figure_role: Role::Strong }
    }

    /// The same with a role of its own for the figure.
    pub(super) fn with_figure_role(self, figure_role: Role) -> Self {
        Self { figure_role, ..self }
    }
}

/// Draws a legend at the top of `area`; what is left for the chart.
pub(super) fn draw(items: impl IntoIterator<Item = Item>, look: &Look, area: Rect, buf: &mut Buffer) -> Rect {
    let lines = wrapped(items, look, area.width);
    let lines_max = area.height.saturating_sub(CHART_LINES_MIN).max(1).min(area.height);
    let height = (lines.len() as u16).min(lines_max);
    for (y, line) in (area.y..area.y + height).zip(&lines) {
        buf.set_line(area.x, y, line, area.width);
    }
    Rect { y: area.y + height, height: area.height - height, ..area }
}

fn wrapped(items: impl IntoIterator<Item = Item>, look: &Look, width: u16) -> Vec<Line<'static>> {
    let mut lines = vec![Line::default()];
    for Item { name, role, figure, figure_role } in items {
        let name = Span::styled(format!(" {name} "), look.style(role));
        let needed = name.width() + figure.trim_end().chars().count();
        let used = lines.last().map_or(0, Line::width);
        if used > 0 && used + needed > usize::from(width) {
            lines.push(Line::default());
        }
        if let Some(line) = lines.last_mut() {
            line.spans.extend([name, Span::styled(figure, look.style(figure_role))]);
        }
    }
    lines
}
