//! Everything in ASCII: the last pass over the screen for `--ascii`, so that nothing gets past it.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// Replaces what is not ASCII.
pub(super) fn only(area: Rect, buf: &mut Buffer) {
    for position in area.intersection(buf.area).positions() {
        let cell = &mut buf[position];
        let symbol = cell.symbol();
        if !symbol.is_ascii() {
            let replacement = symbol.chars().next().map_or(' ', replacement);
            cell.set_char(replacement);
        }
    }
}

const fn replacement(c: char) -> char {
    match c {
        '─' | '–' => '-',
        '│' | '╎' => '|',
        '┃' => '#',
        '┤' | '╭' | '╮' | '╰' | '╯' => '+',
        '…' => '~',
        '▼' => 'v',
        '▲' => '^',
        '▸' => '>',
        '●' => '*',
        '◌' => 'o',
        'µ' => 'u',
        '·' => '.',
        '×' => 'x',
        _ => '?',
    }
}
