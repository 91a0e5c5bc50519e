//! Entries: how many, with a TTL, expired and still there, and for how long; over time.

use larder_protocol::Stat;
use larder_protocol::stream::Column;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::widgets::Widget;

use super::Scene;
use super::charts::{areas, series, tallest};
use super::legend::{self, Item};
use crate::model::history::How;
use crate::model::units::{ceiling, count, span};
use crate::view::chart::Series;
use crate::view::theme::Role;

/// The panel.
pub(super) struct Entries<'a>(pub Scene<'a>);

impl Widget for Entries<'_> {
    fn render(self, area: Rect, buf: &mut Buffer) {
        let scene = self.0;
        let (model, look) = (scene.app.shown(), scene.look);
        let expired = model.stat(Stat::EntriesExpired);
        let items = [
            ("total", count(model.stat(Stat::Entries)), Role::Entries),
            ("with TTL", count(model.stat(Stat::EntriesTtl)), Role::Dim),
            ("expired", count(expired), if expired > 0.0 { Role::Expired } else { Role::Dim }),
            ("lag", span(model.expiry_lag_ms()), Role::Dim),
        ];
        let items = items.map(|(name, figure, role)| Item::new(name, role, &figure, 7));
        let chart = legend::draw(items, look, area, buf);
        let all = series(scene, chart, Column::Entries, How::Last, Role::Entries, '#');
        let expired = series(scene, chart, Column::EntriesExpired, How::Last, Role::Expired, 'x');
        // The expired are part of all: what is not expired stands below them.
        let active = all
            .values
            .iter()
            .zip(&expired.values)
            .map(|(all, expired)| Some((all.as_ref()? - expired.as_ref()?).max(0.0)));
        let active = Series { values: active.collect(), role: all.role, letter: all.letter };
        let stack = vec![active, expired];
        let top = ceiling(tallest(&stack));
        areas(scene, stack, top, count).render(chart, buf);
    }
}
