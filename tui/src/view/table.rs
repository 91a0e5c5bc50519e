//! A table: columns of fixed width, so that nothing jumps; those that find no room are left out, by their rank.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::widgets::Widget;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::gauge::draw_bar;
use super::theme::{Look, Role};
use crate::model::tables::{ColumnSpec, Order, Row, Table, Tone};
use larder_protocol::stream::Class;

/// A table with its head.
pub struct TableWidget<'a> {
    /// Which it is.
    pub table: Table,
    /// Its rows.
    pub rows: &'a [Row],
    /// How they are sorted.
    pub order: Order,
    /// The chosen row.
    pub chosen: usize,
    /// Whether the chosen row is marked.
    pub focused: bool,
    /// What stands there instead of no rows.
    pub empty: &'a str,
    /// The look.
    pub look: &'a Look,
}

impl TableWidget<'_> {
    /// The first row that is shown, where the table with its head is so high: the chosen one stays in sight.
    pub fn from(&self, height: u16) -> usize {
        let chosen = self.chosen.min(self.rows.len().saturating_sub(1));
        (chosen + 1).saturating_sub(usize::from(height.saturating_sub(1)))
    }
}

impl Widget for &TableWidget<'_> {
    fn render(self, area: Rect, buf: &mut Buffer) {
        let area = area.intersection(buf.area);
        if area.width < 4 || area.height < 2 {
            return;
        }
        let places = places(self.table.columns(), area.width);
        self.draw_head(&places, area, buf);
        if self.rows.is_empty() {
            let (room, dim) = (usize::from(area.width), self.look.style(Role::Dim));
            buf.set_stringn(area.x, area.y + 1, self.empty, room, dim);
        }
        let chosen = self.chosen.min(self.rows.len().saturating_sub(1));
        let from = self.from(area.height);
        let height = usize::from(area.height) - 1;
        for (line, row) in self.rows.iter().enumerate().skip(from).take(height) {
            let area = Rect { y: area.y + 1 + (line - from) as u16, height: 1, ..area };
            self.draw_row(row, &places, area, buf);
            if self.focused && line == chosen {
                buf.set_style(area, self.look.style(Role::Chosen));
            }
        }
    }
}

impl TableWidget<'_> {
    fn draw_head(&self, places: &[Place], area: Rect, buf: &mut Buffer) {
        for &(at, x, width) in places {
            let column = &self.table.columns()[at];
            let mark = match (self.order.column == Some(at), self.order.reversed == column.number) {
                (true, true) => "▲",
                (true, false) => "▼",
                (false, _) => "",
            };
            let title = format!("{mark}{}", column.title);
            put(buf, area.x + x, area.y, width, &title, column.number, self.look.style(Role::Dim));
        }
    }

    fn draw_row(&self, row: &Row, places: &[Place], area: Rect, buf: &mut Buffer) {
        for &(at, x, width) in places {
            let Some(cell) = row.cells.get(at) else { continue };
            let column = &self.table.columns()[at];
            let x = area.x + x;
            if column.bar {
                let bar = Rect { x, y: area.y, width, height: 1 };
                draw_bar(bar, cell.value, Role::Read, self.look, buf);
            } else {
                let role = if toned(self.table, at) { role(row.tone) } else { Role::Text };
                put(buf, x, area.y, width, &cell.text, column.number, self.look.style(role));
            }
        }
    }
}

/// Whether the column shows what the row is about.
const fn toned(table: Table, column: usize) -> bool {
    match table {
        Table::Events | Table::HotKeys | Table::HotPrefixes => column == 1,
        Table::Latency => column == 0,
        Table::Clients => column == 11,
        Table::Slow => false,
    }
}

const fn role(tone: Tone) -> Role {
    match tone {
        Tone::Plain => Role::Text,
        Tone::Of(Class::Read) => Role::Read,
        Tone::Of(Class::Write) => Role::Write,
        Tone::Of(Class::Delete) => Role::Delete,
        Tone::Of(Class::Other) => Role::Other,
        Tone::Warning => Role::Warn,
        Tone::Alarm => Role::Bad,
        Tone::Good => Role::Good,
        Tone::Cleanup => Role::Cleanup,
        Tone::Upkeep => Role::Upkeep,
    }
}

/// A column's number, where it begins, and how wide it is.
type Place = (usize, u16, u16);

/// Which columns find room, and where.
fn places(columns: &[ColumnSpec], width: u16) -> Vec<Place> {
    let mut shown: Vec<usize> = (0..columns.len()).collect();
    let need = |shown: &[usize]| -> u16 {
        shown.iter().map(|&at| columns[at].width + 1).sum::<u16>().saturating_sub(1)
    };
    while need(&shown) > width && shown.len() > 1 {
        let Some((place, _)) = shown.iter().enumerate().max_by_key(|(_, at)| columns[**at].rank) else {
            break;
        };
        shown.remove(place);
    }
    let left = width.saturating_sub(need(&shown));
    let mut x = 0;
    let place = |at: usize| {
        let more = if columns[at].flexible { left } else { 0 };
        let width = (columns[at].width + more).min(width.saturating_sub(x));
        let place = (at, x, width);
        x += width + 1;
        place
    };
    shown.into_iter().map(place).collect()
}

/// A text in a field, cut where it is too long, numbers to the right.
fn put(buf: &mut Buffer, x: u16, y: u16, width: u16, text: &str, right: bool, style: ratatui::style::Style) {
    let room = usize::from(width);
    let shown = fit(text, room);
    let pad = if right { room.saturating_sub(shown.width()) } else { 0 };
    if room > 0 {
        buf.set_stringn(x + pad as u16, y, shown, room - pad, style);
    }
}

/// The text, or as much of its beginning as fits before an ellipsis.
#[must_use]
pub fn fit(text: &str, room: usize) -> String {
    if text.width() <= room {
        return text.to_owned();
    }
    let mut shown = String::new();
    let mut used = 1;
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used > room {
            break;
        }
        shown.push(c);
    }
    if room > 0 {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_to_the_cell() {
        assert_eq!([fit("abc", 3), fit("abcd", 3), fit("日本語", 4), fit("x", 0)], ["abc", "ab…", "日…", ""]);
    }

    #[test]
    fn columns_stand_still_and_the_least_needed_go_first() {
        for table in Table::ALL {
            for width in 1..300 {
                let places = places(table.columns(), width);
                assert!(!places.is_empty());
                assert!(places.iter().all(|(_, x, columns)| x + columns <= width), "{table:?} {width}");
                assert!(places.is_sorted_by_key(|(at, x, _)| (*at, *x)));
            }
        }
        let shown = |width| {
            places(Table::Clients.columns(), width).into_iter().map(|(at, ..)| at).collect::<Vec<_>>()
        };
        assert_eq!(shown(200).len(), Table::Clients.columns().len());
        assert_eq!(shown(66), [0, 1, 2, 4, 8, 12]);
    }
}
