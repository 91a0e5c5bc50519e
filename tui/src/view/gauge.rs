//! How full something is: name, bar, share, and what of what, in one line.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::widgets::Widget;

use super::theme::{Look, Role, Symbols};

/// A line with a bar.
pub struct Gauge<'a> {
    /// What it is.
    pub name: &'a str,
    /// From 0 to 1; none where there is no limit, and no bar then.
    pub share: Option<f64>,
    /// What of what.
    pub text: String,
    /// What it means.
    pub role: Role,
    /// The look.
    pub look: &'a Look,
}

/// Width of the name, and of the text behind the bar.
const NAME: u16 = 8;
const TEXT: u16 = 21;

impl Widget for &Gauge<'_> {
    fn render(self, area: Rect, buf: &mut Buffer) {
        let area = area.intersection(buf.area);
        if area.is_empty() {
            return;
        }
        let (dim, width) = (self.look.style(Role::Dim), usize::from(area.width));
        buf.set_stringn(area.x, area.y, self.name, width.min(usize::from(NAME)), dim);
        let after_name = area.width.saturating_sub(NAME);
        // The numbers are there first, and the bar has what is left.
        let bar = after_name.saturating_sub(TEXT + 1);
        let text_x = area.x + NAME.min(area.width) + if bar >= 4 { bar + 1 } else { 0 };
        let room = usize::from(area.right().saturating_sub(text_x));
        buf.set_stringn(text_x, area.y, format!("{:>21}", self.text), room, self.look.style(Role::Text));
        if bar >= 4 {
            let Some(share) = self.share else { return };
            draw_bar(
                Rect { x: area.x + NAME, y: area.y, width: bar, height: 1 },
                share,
                self.role,
                self.look,
                buf,
            );
        }
    }
}

/// A bar of eighths of a cell on a dim ground.
pub fn draw_bar(area: Rect, share: f64, role: Role, look: &Look, buf: &mut Buffer) {
    const PARTS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (share.clamp(0.0, 1.0) * f64::from(area.width) * 8.0).round() as usize;
    let eighths = if share > 0.0 { eighths.max(1) } else { eighths };
    for at in 0..usize::from(area.width) {
        let x = area.x + at as u16;
        let filled = eighths.saturating_sub(at * 8).min(8);
        let (symbol, role) = match (look.symbols, filled) {
            (Symbols::Ascii, 0) => ("-", Role::Border),
            (Symbols::Ascii, _) => ("#", role),
            (_, 0) => ("─", Role::Border),
            (_, 8) => ("█", role),
            (_, part) => (PARTS[part], role),
        };
        buf.set_string(x, area.y, symbol, look.style(role));
    }
}
