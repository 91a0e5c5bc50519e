//! Hit rate: now, in the window, since the start; where hits come from; over time as shares of all reads.

use larder_protocol::Stat;
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
use crate::view::theme::{Look, Role, Symbols};

/// The panel.
pub(super) struct HitRate<'a>(pub Scene<'a>);

/// A place where reads are answered.
struct Tier {
    name: &'static str,
    column: Column,
    /// Its part of reads.
    part: fn(&Reads) -> f64,
    role: Role,
    /// What its area is filled with in ASCII.
    letter: char,
}

/// Where reads are answered, the nearest first; misses, which nobody answers, last.
const TIERS: [Tier; 4] = [
    Tier {
        name: "memory",
        column: Column::MemoryHits,
        part: |reads| reads.memory,
        role: Role::Memory,
        letter: '#',
    },
    Tier {
        name: "buffer",
        column: Column::BufferHits,
        part: |reads| reads.buffer,
        role: Role::Buffer,
        letter: '=',
    },
    Tier { name: "disk", column: Column::DiskHits, part: |reads| reads.disk, role: Role::Disk, letter: '-' },
    Tier {
        name: "misses",
        column: Column::Misses,
        part: |reads| reads.misses,
        role: Role::Miss,
        letter: ' ',
    },
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
        let mut shares =
            Vec::from(TIERS.map(|tier| series(scene, place, tier.column, How::Rate, tier.role, tier.letter)));
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
        let window = app.shown().reads_of(app.zoom, app.axis_ms());
        let mut rows = Rows { area, y: area.y, look, buf };
        let large = area.height >= LARGE && look.symbols != Symbols::Ascii;
        if large {
            rows.large_rate(app.shown().reads_now().hit_rate());
        }
        self.rates(&window, &mut rows);
        if large {
            rows.y += 1;
        }
        // The split is of the window, which is steadier than the last second.
        for (at, tier) in TIERS.iter().enumerate() {
            let filling = if at < TIERS.len() - 1 { chart::key(at, tier.letter, look.symbols) } else { ' ' };
            rows.share(tier, window.share((tier.part)(&window)).unwrap_or(0.0), filling);
        }
        self.at_once(&mut rows);
    }

    /// Of the look-ups on disk since the start, those that took no way to another thread: where there is room.
    fn at_once(&self, rows: &mut Rows<'_>) {
        let model = self.0.app.shown();
        let looked_up = model.stat(Stat::DiskReads);
        let at_once = (looked_up > 0.0).then(|| model.stat(Stat::DiskReadsAtOnce) / looked_up);
        rows.number("at once", &maybe_percent(at_once), Role::Text);
        if let Some(share) = at_once {
            rows.bar(share, Role::Disk);
        }
    }

    /// The hit rate now, in the window, and since the start: where there is little room, the last beside the others.
    fn rates(&self, window: &Reads, rows: &mut Rows<'_>) {
        let app = self.0.app;
        let now = app.shown().reads_now().hit_rate();
        rows.number("now", &maybe_percent(now), mood(now));
        let ever = maybe_percent(app.shown().reads_ever().hit_rate());
        let roomy = rows.area.height >= ROOMY;
        if !roomy {
            rows.beside("start", &ever);
        }
        rows.number(app.zoom.label(), &maybe_percent(window.hit_rate()), Role::Strong);
        if roomy {
            rows.number("start", &ever, Role::Strong);
        }
    }
}

/// Rows of numbers, one below the other; what does not fit into the area is not drawn.
struct Rows<'a> {
    area: Rect,
    /// Of the next row.
    y: u16,
    look: &'a Look,
    buf: &'a mut Buffer,
}

impl Rows<'_> {
    /// Three rows of large digits.
    fn large_rate(&mut self, rate: Option<f64>) {
        let place = Rect { x: self.area.x + 1, y: self.y, width: self.area.width - 1, height: 3 };
        digits::draw(&maybe_percent(rate), place, self.look.style(mood(rate)), self.buf);
        self.y += 3;
    }

    fn number(&mut self, name: &str, value: &str, role: Role) {
        if self.y < self.area.bottom() {
            let x = self.area.x + 1;
            self.buf.set_stringn(x, self.y, format!("{name:<7}"), 7, self.look.style(Role::Dim));
            self.buf.set_stringn(x + 7, self.y, format!("{value:>7}"), 7, self.look.style(role));
        }
        self.y += 1;
    }

    /// A number in the row of the next one, at its right.
    fn beside(&mut self, name: &str, value: &str) {
        let line = Line::from_iter([
            Span::styled(format!("{name} "), self.look.style(Role::Dim)),
            Span::styled(value.to_owned(), self.look.style(Role::Strong)),
        ]);
        self.buf.set_line(self.area.x + 16, self.y, &line, self.area.width.saturating_sub(16));
    }

    /// The share of a tier, with a bar. Before the name stands what its part of the chart is filled with.
    fn share(&mut self, tier: &Tier, share: f64, filling: char) {
        let Self { area, y, look, .. } = *self;
        self.number(tier.name, &percent(share), tier.role);
        if y < area.bottom() {
            self.buf.set_string(area.x, y, filling.to_string(), look.style(tier.role));
        }
        self.bar(share, tier.role);
    }

    /// A bar at the right of the row above.
    fn bar(&mut self, share: f64, role: Role) {
        let Self { area, look, .. } = *self;
        let y = self.y - 1;
        if y < area.bottom() {
            let x = area.x + 17;
            let bar = Rect { x, y, width: 8.min(area.right().saturating_sub(x)), height: 1 };
            draw_bar(bar, share, role, look, self.buf);
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
