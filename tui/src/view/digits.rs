//! Large digits, three lines high, for the number to look at first.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

/// The three lines of a character.
const fn glyph(c: char) -> Option<[&'static str; 3]> {
    Some(match c {
        '0' => ["█▀█", "█ █", "▀▀▀"],
        '1' => ["▀█ ", " █ ", "▀▀▀"],
        '2' => ["▀▀█", "█▀▀", "▀▀▀"],
        '3' => ["▀▀█", " ▀█", "▀▀▀"],
        '4' => ["█ █", "▀▀█", "  ▀"],
        '5' => ["█▀▀", "▀▀█", "▀▀▀"],
        '6' => ["█▀▀", "█▀█", "▀▀▀"],
        '7' => ["▀▀█", "  █", "  ▀"],
        '8' => ["█▀█", "█▀█", "▀▀▀"],
        '9' => ["█▀█", "▀▀█", "▀▀▀"],
        '.' => [" ", " ", "▀"],
        '%' => ["▀ ▄▀", "▄▀ ▄", "    "],
        '–' => ["   ", "▀▀▀", "   "],
        ' ' => ["", "", ""],
        _ => return None,
    })
}

/// Writes a number into an area at least three lines high.
pub(super) fn draw(text: &str, area: Rect, style: Style, buf: &mut Buffer) {
    let mut x = area.x;
    for lines in text.chars().filter_map(glyph) {
        for (y, line) in (area.y..area.bottom()).zip(lines) {
            let room = usize::from(area.right().saturating_sub(x));
            if room > 0 {
                buf.set_stringn(x, y, line, room, style);
            }
        }
        x += lines[0].chars().count() as u16 + 1;
    }
}
