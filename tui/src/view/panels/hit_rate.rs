//! Hit rate: now, in the window, since the start; where hits come from; over time as shares of all reads.

use larder_protocol::stream::Column;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget;

use super::Scene;
use super::charts::{areas, series};
use crate::model::Reads;
use crate::model::history::How;
use crate::model::units::{maybe_percent, percent};
use crate::view::chart;
use crate::view::digits;
use crate::view::gauge::draw_bar;
use crate::view::theme::{Role, Symbols};

/// The panel.
pub(super) struct HitRate<'a>(pub Scene<'a>);

/// One of the parts of reads.
type Pick = fn(&Reads) -> f64;

/// Where reads are answered, the nearest first.
const TIERS: [(Column, Role, char); 4] = [
    (Column::MemoryHits, Role::Memory, '#'),
    (Column::BufferHits, Role::Buffer, '='),
    (Column::DiskHits, Role::Disk, '-'),
    (Column::Misses, Role::Miss, ' '),
];

/// Width of the numbers.
const NUMBERS: u16 = 28;

/// From this height on the first number is drawn large.
const LARGE: u16 = 11;

/// From this height on each number has a line of its own.
const ROOMY: u16 = 7;

impl Widget for HitRate<'_> {
    fn render(self, area: Rect, buf: &mut Buffer) {
        let numbers = Rect { width: NUMBERS.min(area.width), ..area };
        self.numbers(numbers, buf);
        let place = Rect { x: area.x + numbers.width, width: area.width - numbers.width, ..area };
        let scene = self.0;
        let mut shares = Vec::from(
            TIERS.map(|(column, role, letter)| series(scene, place, column, How::Rate, role, letter)),
        );
        for at in 0..shares[0].values.len() {
            let all: f64 = shares.iter().filter_map(|series| series.values[at]).sum();
            for series in &mut shares {
                series.values[at] = series.values[at].filter(|_| all > 0.0).map(|value| value / all);
            }
        }
        // Misses are what is left above the hits.
        shares.pop();
        areas(scene, shares, 1.0, axis).render(place, buf);
    }
}

fn axis(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

impl HitRate<'_> {
    fn numbers(&self, area: Rect, buf: &mut Buffer) {
        let (app, look) = (self.0.app, self.0.look);
        let model = app.shown();
        let now = model.reads_now();
        let window = model.reads_of(app.zoom, app.axis_ms());
        let large = area.height >= LARGE && look.symbols != Symbols::Ascii;
        let mut y = area.y;
        let mut row =
            |name: &str, value: String, role: Role, share: Option<(f64, Role)>, buf: &mut Buffer| {
                if y < area.bottom() {
                    buf.set_stringn(area.x + 1, y, format!("{name:<7}"), 7, look.style(Role::Dim));
                    buf.set_stringn(area.x + 8, y, format!("{value:>7}"), 7, look.style(role));
                    if let Some((share, role)) = share {
                        let bar = Rect {
                            x: area.x + 17,
                            y,
                            width: 8.min(area.right().saturating_sub(area.x + 17)),
                            height: 1,
                        };
                        draw_bar(bar, share, role, look, buf);
                    }
                }
                y += 1;
            };
        if large {
            for _ in 0..3 {
                row("", String::new(), Role::Text, None, buf);
            }
            // After the rows, which are blank.
            let role = mood(now.hit_rate());
            let place = Rect { x: area.x + 1, width: area.width - 1, height: 3, ..area };
            digits::draw(&maybe_percent(now.hit_rate()), place, look.style(role), buf);
        }
        row("now", maybe_percent(now.hit_rate()), mood(now.hit_rate()), None, buf);
        let ever = maybe_percent(model.reads_ever().hit_rate());
        if area.height >= ROOMY {
            row(app.zoom.label(), maybe_percent(window.hit_rate()), Role::Strong, None, buf);
            row("start", ever, Role::Strong, None, buf);
        } else {
            let beside = Line::from_iter([
                Span::styled("start ", look.style(Role::Dim)),
                Span::styled(ever, look.style(Role::Strong)),
            ]);
            buf.set_line(area.x + 16, area.y + 1, &beside, area.width.saturating_sub(16));
            row(app.zoom.label(), maybe_percent(window.hit_rate()), Role::Strong, None, buf);
        }
        if large {
            row("", String::new(), Role::Text, None, buf);
        }
        let rows_above = match (large, area.height >= ROOMY) {
            (true, _) => 7,
            (_, true) => 3,
            _ => 2,
        };
        // The split is of the window, which is steadier than the last second.
        let of = |pick: Pick| window.share(pick(&window)).unwrap_or(0.0);
        let parts: [(&str, Role, Pick); 4] = [
            ("memory", Role::Memory, |reads| reads.memory),
            ("buffer", Role::Buffer, |reads| reads.buffer),
            ("disk", Role::Disk, |reads| reads.disk),
            ("misses", Role::Miss, |reads| reads.misses),
        ];
        for (at, (name, role, pick)) in parts.into_iter().enumerate() {
            // Before the name stands what its part of the chart is filled with; misses are what is left empty.
            let filling = if at < TIERS.len() - 1 { chart::key(at, TIERS[at].2, look.symbols) } else { ' ' };
            let y_of_row = area.y + rows_above + at as u16;
            if y_of_row < area.bottom() {
                buf.set_string(area.x, y_of_row, filling.to_string(), look.style(role));
            }
            row(name, percent(of(pick)), role, Some((of(pick), role)), buf);
        }
    }
}

/// How it looks: most caches live above 80 %, and below 50 % something is wrong.
fn mood(rate: Option<f64>) -> Role {
    match rate {
        Some(rate) if rate >= 0.8 => Role::Good,
        Some(rate) if rate >= 0.5 => Role::Warn,
        Some(_) => Role::Bad,
        None => Role::Dim,
    }
}
