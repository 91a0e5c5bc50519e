//! Memory and disk: how full each is, what waits between them, and what had to go.

use larder_protocol::Stat;
use larder_protocol::stream::Column;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::widgets::Widget;

use super::Scene;
use super::charts::{areas, series, tallest};
use crate::app::page::Panel;
use crate::model::history::How;
use crate::model::units::{byte_ceiling, bytes, count, rate, span};
use crate::view::gauge::Gauge;
use crate::view::theme::Role;

/// The panel.
pub(super) struct Storage<'a>(pub Scene<'a>);

/// From this share of its limit on the disk deserves a look.
const NEARLY_FULL: f64 = 0.9;

/// Lines of text, and how high a chart below them is at least.
const CHART_MIN: u16 = 6;

/// Figures in a line.
const IN_A_LINE: usize = 2;

/// A name and its figure.
type Figure = (&'static str, String);

impl Storage<'_> {
    /// How full memory and disk are.
    fn gauges(&self) -> [Gauge<'_>; 2] {
        let (model, look) = (self.0.app.shown(), self.0.look);
        let usage = |used, cap| {
            let (used, cap) = (model.stat(used), model.stat(cap));
            let share = (cap > 0.0).then(|| used / cap);
            let text = if cap > 0.0 { format!("{} of {}", bytes(used), bytes(cap)) } else { bytes(used) };
            (share, text)
        };
        let (memory, memory_text) = usage(Stat::MemoryBytes, Stat::MemoryCapBytes);
        let (disk, disk_text) = usage(Stat::DiskBytes, Stat::DiskCapBytes);
        let full = model.stat(Stat::DiskFull) > 0.0;
        let nearly = disk.is_some_and(|share| share >= NEARLY_FULL);
        let (disk_name, disk_role) = match (full, nearly) {
            (true, _) => (" FULL !", Role::Bad),
            (_, true) => (" disk !", Role::Warn),
            _ => (" disk", Role::Disk),
        };
        [
            Gauge { name: " memory", share: memory, text: memory_text, role: Role::Memory, look },
            Gauge { name: disk_name, share: disk, text: disk_text, role: disk_role, look },
        ]
    }

    /// The figures below. Where entries have no panel of their own, they come first.
    fn figures(&self) -> Vec<Figure> {
        let model = self.0.app.shown();
        let evicted = ("evicted", rate(model.rate_now(Column::Evictions)));
        let stores = [
            ("buffer", bytes(model.stat(Stat::BufferBytes))),
            ("writes", count(model.stat(Stat::BufferEntries))),
            ("journal", bytes(model.stat(Stat::JournalBytes))),
            ("WAL", bytes(model.stat(Stat::WalBytes))),
        ];
        let dropped = ("dropped", rate(model.rate_now(Column::MemoryEvictions)));
        let mut figures = Vec::new();
        if self.0.app.panels().contains(&Panel::Entries) {
            figures.extend(stores);
            figures.push(evicted);
        } else {
            figures.extend([
                ("entries", count(model.stat(Stat::Entries))),
                ("expired", count(model.stat(Stat::EntriesExpired))),
                ("lag", span(model.expiry_lag_ms())),
                evicted,
            ]);
            figures.extend(stores);
        }
        figures.push(dropped);
        figures
    }

    fn draw_figures(&self, line: &[Figure], area: Rect, buf: &mut Buffer) {
        let look = self.0.look;
        for (at, (name, value)) in line.iter().enumerate() {
            let x = area.x + 1 + at as u16 * 19;
            let room = usize::from(area.right().saturating_sub(x));
            if room > 0 {
                buf.set_stringn(x, area.y, name, room, look.style(Role::Dim));
                let (x, room) = ((x + 8).min(area.right() - 1), room.saturating_sub(8));
                buf.set_stringn(x, area.y, format!("{value:>9}"), room, look.style(Role::Text));
            }
        }
    }
}

impl Widget for Storage<'_> {
    fn render(self, area: Rect, buf: &mut Buffer) {
        let scene = self.0;
        let mut y = area.y;
        for gauge in self.gauges() {
            if y < area.bottom() {
                gauge.render(Rect { y, height: 1, width: area.width.saturating_sub(1), ..area }, buf);
            }
            y += 1;
        }
        for line in self.figures().chunks(IN_A_LINE) {
            if y >= area.bottom() {
                return;
            }
            self.draw_figures(line, Rect { y, height: 1, ..area }, buf);
            y += 1;
        }
        let left = area.bottom().saturating_sub(y);
        if left >= CHART_MIN {
            let chart = Rect { y, height: left, ..area };
            let stack = vec![series(scene, chart, Column::DiskBytes, How::Last, Role::Disk, '#')];
            let top = byte_ceiling(tallest(&stack));
            areas(scene, stack, top, bytes).render(chart, buf);
        }
    }
}
