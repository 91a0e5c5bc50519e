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

impl Widget for Storage<'_> {
    fn render(self, area: Rect, buf: &mut Buffer) {
        let scene = self.0;
        let (model, look) = (scene.app.shown(), scene.look);
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
        let gauges = [
            Gauge { name: " memory", share: memory, text: memory_text, role: Role::Memory, look },
            Gauge { name: disk_name, share: disk, text: disk_text, role: disk_role, look },
        ];
        let mut y = area.y;
        for gauge in gauges {
            if y < area.bottom() {
                gauge.render(Rect { y, height: 1, width: area.width.saturating_sub(1), ..area }, buf);
            }
            y += 1;
        }
        let entries = [
            [
                ("entries", count(model.stat(Stat::Entries))),
                ("expired", count(model.stat(Stat::EntriesExpired))),
            ],
            [("lag", span(model.expiry_lag_ms())), ("evicted", rate(model.rate_now(Column::Evictions)))],
        ];
        let files = [
            [
                ("buffer", bytes(model.stat(Stat::BufferBytes))),
                ("writes", count(model.stat(Stat::BufferEntries))),
            ],
            [("journal", bytes(model.stat(Stat::JournalBytes))), ("WAL", bytes(model.stat(Stat::WalBytes)))],
            [
                ("evicted", rate(model.rate_now(Column::Evictions))),
                ("dropped", rate(model.rate_now(Column::MemoryEvictions))),
            ],
        ];
        // Where entries have no panel of their own, they come first.
        let apart = scene.app.panels().contains(&Panel::Entries);
        for pair in entries.into_iter().filter(|_| !apart).chain(files) {
            if y >= area.bottom() {
                return;
            }
            for (at, (name, value)) in pair.into_iter().enumerate() {
                let x = area.x + 1 + at as u16 * 19;
                let room = usize::from(area.right().saturating_sub(x));
                if room > 0 {
                    buf.set_stringn(x, y, name, room, look.style(Role::Dim));
                    let value = format!("{value:>9}");
                    buf.set_stringn(
                        (x + 8).min(area.right() - 1),
                        y,
                        value,
                        room.saturating_sub(8),
                        look.style(Role::Text),
                    );
                }
            }
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
