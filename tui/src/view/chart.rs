//! A chart with its axes: areas on top of each other, or lines. In Braille, blocks or ASCII.
//!
//! Used by panels, which bring values in as many buckets as [`Chart::buckets`] says. Knows nothing of what they mean.
//! Series differ by pattern, letter and order, not only by colour.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::widgets::Widget;

use super::theme::{Look, Role, Symbols};
use crate::model::units::axis;

/// Cells left of the plot: a label and the axis.
pub const GUTTER: u16 = 8;

/// Values of one thing.
pub struct Series {
    /// One a bucket, the oldest first; none where nothing is known.
    pub values: Vec<Option<f64>>,
    /// What it means.
    pub role: Role,
    /// What it is drawn with in ASCII.
    pub letter: char,
}

/// How series are drawn.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// As areas, each on top of the one before.
    Stacked,
    /// As lines over each other, on a logarithmic axis; 0 is not drawn.
    LogLines,
}

/// A chart.
pub struct Chart<'a> {
    /// How series are drawn.
    pub kind: Kind,
    /// The series; of areas the lowest first, of lines the last is on top.
    pub series: Vec<Series>,
    /// Where the axis begins: 0 for areas.
    pub bottom: f64,
    /// Where the axis ends.
    pub top: f64,
    /// A number at the axis.
    pub label: fn(f64) -> String,
    /// Times at the axis: of the left end, the middle and the right end.
    pub ticks: [&'a str; 3],
    /// Marks of a restart, as parts of the width from the left.
    pub restarts: Vec<f64>,
    /// Letters for buckets, under the plot.
    pub marks: Vec<(usize, char, Role)>,
    /// The look.
    pub look: &'a Look,
}

/// A cell of the plot: the dots that are set, and whose they are.
#[derive(Clone, Default)]
struct Ink {
    dots: u8,
    /// Dots of each series, for the colour of the cell.
    of: [u8; 4],
}

impl Ink {
    /// The series that has most of the cell.
    fn series(&self) -> usize {
        (0..self.of.len()).rev().max_by_key(|&at| self.of[at]).unwrap_or(0)
    }

    fn is_empty(&self) -> bool {
        self.of.iter().all(|&dots| dots == 0)
    }
}

/// The bits of a Braille cell, by column and by row from above.
const BRAILLE: [[u8; 4]; 2] = [[0x01, 0x02, 0x04, 0x40], [0x08, 0x10, 0x20, 0x80]];

/// Full cells of each series, in blocks.
const SHADES: [char; 4] = ['█', '▓', '▒', '░'];

const EIGHTHS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

impl Chart<'_> {
    /// How many buckets a chart in this area has.
    #[must_use]
    pub fn buckets(area: Rect, symbols: Symbols) -> usize {
        usize::from(area.width.saturating_sub(GUTTER)) * horizontal(symbols)
    }

    /// Dots that a cell is high.
    fn vertical(&self) -> usize {
        match (self.look.symbols, self.kind) {
            (Symbols::Braille, _) => 4,
            (Symbols::Block, Kind::Stacked) => 8,
            _ => 1,
        }
    }

    /// Where a value is between the ends of the axis, from 0 to 1.
    fn place(&self, value: f64) -> f64 {
        let part = match self.kind {
            Kind::Stacked => value / self.top,
            Kind::LogLines => (value / self.bottom).ln() / (self.top / self.bottom).ln(),
        };
        if part.is_finite() { part.clamp(0.0, 1.0) } else { 0.0 }
    }

    fn value_at(&self, part: f64) -> f64 {
        match self.kind {
            Kind::Stacked => self.top * part,
            Kind::LogLines => self.bottom * (self.top / self.bottom).powf(part),
        }
    }

    /// The dots of every cell, row by row from above.
    fn ink(&self, width: usize, height: usize) -> Vec<Ink> {
        let (across, up) = (horizontal(self.look.symbols), self.vertical());
        let mut cells = vec![Ink::default(); width * height];
        let set = |x: usize, y: usize, series: usize, shown: bool| {
            let row = height - 1 - y / up;
            let Some(cell) = cells.get_mut(row * width + x / across) else { return };
            cell.of[series] += 1;
            if shown && self.look.symbols == Symbols::Braille {
                cell.dots |= BRAILLE[x % 2][3 - y % 4];
            }
        };
        match self.kind {
            Kind::Stacked => self.stack(width * across, height * up, set),
            Kind::LogLines => self.lines(width * across, height * up, set),
        }
        cells
    }

    /// Sets the dots of areas: x, y from below, the number of the series, and whether its pattern shows the dot.
    fn stack(&self, width: usize, height: usize, mut set: impl FnMut(usize, usize, usize, bool)) {
        for x in 0..width {
            let mut below = 0;
            let mut sum = 0.0;
            for (at, series) in self.series.iter().enumerate() {
                let Some(Some(value)) = series.values.get(x) else { continue };
                sum += value;
                let mut dots = (self.place(sum) * height as f64).round() as usize;
                // What is there is seen, however little it is.
                if sum > 0.0 {
                    dots = dots.max(1);
                }
                for y in below..dots {
                    set(x, y, at, pattern(at, x, y));
                }
                below = below.max(dots);
            }
        }
    }

    /// Sets the dots of lines, as [`stack`](Self::stack) does those of areas.
    fn lines(&self, width: usize, height: usize, mut set: impl FnMut(usize, usize, usize, bool)) {
        for (at, series) in self.series.iter().enumerate() {
            let mut before: Option<usize> = None;
            for x in 0..width {
                let value = series.values.get(x).copied().flatten().filter(|&value| value > 0.0);
                let y = value.map(|value| (self.place(value) * (height - 1) as f64).round() as usize);
                if let Some(y) = y {
                    let from = before.unwrap_or(y);
                    // From one value to the next without a hole.
                    for y in if from < y { (from + 1).min(y)..=y } else { y..=from.saturating_sub(1).max(y) }
                    {
                        set(x, y, at, true);
                    }
                }
                before = y;
            }
        }
    }

    fn symbol(&self, ink: &Ink) -> char {
        match (self.look.symbols, self.kind) {
            // A thin pattern may leave all dots of a cell out; what is there is seen.
            (Symbols::Braille, _) => braille(if ink.dots == 0 { BRAILLE[0][2] } else { ink.dots }),
            (Symbols::Block, Kind::Stacked) => {
                let dots = usize::from(ink.of.iter().sum::<u8>()).min(EIGHTHS.len() - 1);
                if dots + 1 == EIGHTHS.len() { SHADES[ink.series()] } else { EIGHTHS[dots] }
            }
            (Symbols::Block, Kind::LogLines) => '•',
            (Symbols::Ascii, _) => self.series.get(ink.series()).map_or('#', |series| series.letter),
        }
    }

    fn draw_axes(&self, plot: Rect, ticks_y: u16, buf: &mut Buffer) {
        let dim = self.look.style(Role::Dim);
        let steps = if plot.height >= 9 {
            4
        } else if plot.height >= 4 {
            2
        } else {
            1
        };
        for y in 0..plot.height {
            buf.set_string(plot.x - 1, plot.y + y, "│", self.look.style(Role::Border));
        }
        let parts = match self.kind {
            Kind::Stacked => parts(steps, 1),
            Kind::LogLines => {
                // Powers of ten and nothing between them, as many as have a line each.
                let decades = (self.top / self.bottom).log10().round().max(1.0) as u16;
                parts(decades, decades.div_ceil(plot.height.saturating_sub(1).max(1)))
            }
        };
        for part in parts {
            let y = plot.y + ((1.0 - part) * f64::from(plot.height - 1)).round() as u16;
            let label = axis(&(self.label)(self.value_at(part)));
            buf.set_stringn(plot.x - GUTTER, y, format!("{label:>7}"), usize::from(GUTTER) - 1, dim);
            buf.set_string(plot.x - 1, y, "┤", self.look.style(Role::Border));
        }
        let [left, middle, right] = self.ticks;
        buf.set_stringn(plot.x, ticks_y, left, usize::from(plot.width), dim);
        if usize::from(plot.width) > 2 * (left.len() + middle.len() + right.len()) {
            buf.set_string(plot.x + plot.width / 2 - middle.len() as u16 / 2, ticks_y, middle, dim);
        }
        if usize::from(plot.width) > left.len() + right.len() {
            buf.set_string(plot.right() - right.len() as u16, ticks_y, right, dim);
        }
    }
}

impl Widget for &Chart<'_> {
    fn render(self, area: Rect, buf: &mut Buffer) {
        let area = area.intersection(buf.area);
        let marks = u16::from(!self.marks.is_empty() && area.height >= 4);
        if area.width < GUTTER + 4 || area.height < 3 {
            return;
        }
        let plot =
            Rect { x: area.x + GUTTER, width: area.width - GUTTER, height: area.height - 1 - marks, ..area };
        self.draw_axes(plot, area.bottom() - 1, buf);
        let (width, height) = (usize::from(plot.width), usize::from(plot.height));
        for (at, ink) in self.ink(width, height).iter().enumerate().filter(|(_, ink)| !ink.is_empty()) {
            let role = self.series.get(ink.series()).map_or(Role::Text, |series| series.role);
            let (x, y) = (plot.x + (at % width) as u16, plot.y + (at / width) as u16);
            buf[(x, y)].set_char(self.symbol(ink)).set_style(self.look.style(role));
        }
        for &part in &self.restarts {
            let x = plot.x + ((part * f64::from(plot.width)) as u16).min(plot.width - 1);
            for y in plot.y..plot.bottom() {
                buf.set_string(x, y, "╎", self.look.style(Role::Warn));
            }
        }
        if marks > 0 {
            let across = horizontal(self.look.symbols);
            for &(bucket, letter, role) in &self.marks {
                let x = plot.x + (bucket / across) as u16;
                if x < plot.right() {
                    buf[(x, plot.bottom())].set_char(letter).set_style(self.look.style(role));
                }
            }
        }
    }
}

const fn braille(dots: u8) -> char {
    match char::from_u32(0x2800 + dots as u32) {
        Some(c) => c,
        None => ' ',
    }
}

/// What an area is filled with, to stand before its name.
#[must_use]
pub fn key(series: usize, letter: char, symbols: Symbols) -> char {
    match symbols {
        Symbols::Braille => {
            let dots = (0..8).filter(|dot| pattern(series, dot / 4, dot % 4));
            braille(dots.map(|dot| BRAILLE[dot / 4][3 - dot % 4]).sum())
        }
        Symbols::Block => SHADES[series.min(SHADES.len() - 1)],
        Symbols::Ascii => letter,
    }
}

/// Places from 0 to 1: every so manieth of this many steps.
fn parts(steps: u16, every: u16) -> Vec<f64> {
    (0..=steps).step_by(usize::from(every)).map(|step| f64::from(step) / f64::from(steps)).collect()
}

/// Dots that a cell is wide.
const fn horizontal(symbols: Symbols) -> usize {
    if matches!(symbols, Symbols::Braille) { 2 } else { 1 }
}

/// Whether a dot of an area is set: the first is full, the others are thinner, each in its own way.
const fn pattern(series: usize, x: usize, y: usize) -> bool {
    match series {
        0 => true,
        1 => (x + y).is_multiple_of(2),
        2 => y.is_multiple_of(2),
        _ => x.is_multiple_of(2) && y.is_multiple_of(2),
    }
}
