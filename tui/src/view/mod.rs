//! What the screen shows: a pure function of the app and the look.
//!
//! ```text
//! larder-top ● live  /run/larder/larder.sock      0.1.0  pid 4711  up 3d 4h  commit  dropped 0
//!  1 Overview  2 Traffic  3 Entries  4 Keys  5 Clients                      window 5 m  FROZEN
//! ╭▸ Hit rate ─────────────────────────────────────────────────────────────────────────── 5 m ╮
//! │  now   97.3 %        100 % ┤⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿ │
//! │  5 m   96.9 %              │                                                              │
//! │  start 95.0 %          0 % ┤ memory full, buffer chequered, disk striped, misses blank    │
//! │  memory 90.1 %               -5m                         -2m30                        now │
//! ╰───────────────────────────────────────────────────────────────────────────────────────────╯
//! ╭ Traffic ───────────────────────────────────╮╭ Latency of reads ──────────────────────────╮
//! ╭ Storage ───────────────────────────────────╮╭ Events ────────────────────────────────────╮
//! q quit  ? help  Tab page  Space freeze  - window  Enter panel  s sort  / filter  y copy
//! ```
//!
//! `bars.rs` draws the first two lines and the last, `layout.rs` says where panels are, `panels/` draws them,
//! `overlay.rs` what lies over them; `chart.rs`, `gauge.rs`, `table.rs` are what they are made of.

mod ascii;
mod bars;
pub mod chart;
mod digits;
mod gauge;
mod layout;
mod overlay;
mod palette;
mod panels;
mod table;
pub mod theme;

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};

use crate::app::msg::Msg;
use crate::app::{App, Overlay};
use theme::{Look, Role, Symbols};

/// Below this there is only a word.
pub const WIDTH_MIN: u16 = 40;
/// See there.
pub const HEIGHT_MIN: u16 = 10;

/// Draws the app.
pub fn view(app: &App, look: &Look, frame: &mut Frame<'_>) {
    let area = frame.area();
    draw(app, look, area, frame.buffer_mut());
}

fn draw(app: &App, look: &Look, area: Rect, buf: &mut Buffer) {
    if area.width < WIDTH_MIN || area.height < HEIGHT_MIN {
        too_small(look, area, buf);
    } else {
        let parts = layout::parts(area);
        bars::header(app, look, parts.header, buf);
        for (panel, place) in layout::panels(app, parts.body) {
            panels::draw(panel, app, look, place, buf);
        }
        bars::footer(app, look, parts.footer, buf);
        match app.overlay {
            Overlay::Help => overlay::help(app, look, parts.body, buf),
            Overlay::ConfirmCleanUp => overlay::confirm(look, parts.body, buf),
            Overlay::None | Overlay::Filter => {}
        }
    }
    if look.symbols == Symbols::Ascii {
        ascii::only(area, buf);
    }
}

fn too_small(look: &Look, area: Rect, buf: &mut Buffer) {
    let lines = ["too small", "needs 40x10"];
    let top = area.y + area.height.saturating_sub(lines.len() as u16) / 2;
    for (y, line) in (top..area.bottom()).zip(lines) {
        let x = area.x + area.width.saturating_sub(line.len() as u16) / 2;
        buf.set_stringn(x, y, line, usize::from(area.width), look.style(Role::Warn));
    }
}

/// What a click means.
#[must_use]
pub fn click(app: &App, x: u16, y: u16) -> Option<Msg> {
    let area = Rect::new(0, 0, app.size.0, app.size.1);
    if area.width < WIDTH_MIN || area.height < HEIGHT_MIN {
        return None;
    }
    let parts = layout::parts(area);
    if y == parts.header.y + 1 {
        return bars::tabs()
            .into_iter()
            .find(|(_, tab)| tab.contains(&x))
            .map(|(page, _)| Msg::ChoosePage(page));
    }
    let panels = layout::panels(app, parts.body);
    let hit = panels.into_iter().find(|(_, place)| place.contains(Position { x, y }));
    hit.map(|(panel, _)| Msg::ChoosePanel(panel))
}
