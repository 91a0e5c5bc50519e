//! Traffic: commands a second by class, now and over time, and bytes.

use larder_protocol::stream::Column;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::widgets::Widget;

use super::Scene;
use super::charts::{areas, series, tallest};
use super::legend::{self, Item};
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
        let classes = CLASSES.into_iter().enumerate().map(|(at, (column, name, role, letter))| {
            let name = format!("{} {name}", key(at, letter, look.symbols));
            Item::new(name, role, &rate(model.rate_now(column)), 8)
        });
        let bytes = [(Column::InputBytes, "in"), (Column::OutputBytes, "out")].map(|(column, name)| {
            let figure = byte_rate(model.rate_now(column));
            Item::new(name, Role::Dim, &figure, 10).with_figure_role(Role::Text)
        });
        let errors = model.rate_now(Column::CommandErrors);
        let errors_role = if errors > 0.0 { Role::Bad } else { Role::Text };
        let errors = Item::new("errors", Role::Dim, &rate(errors), 8).with_figure_role(errors_role);
        let chart = legend::draw(classes.chain(bytes).chain([errors]), look, area, buf);
        let classes = Vec::from(
            CLASSES.map(|(column, _, role, letter)| series(scene, chart, column, How::Rate, role, letter)),
        );
        let top = ceiling(tallest(&classes));
        areas(scene, classes, top, count).render(chart, buf);
    }
}
