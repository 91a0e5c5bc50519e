//! What lies over the page: the keys, and the question before a clean-up.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::widgets::{Block, BorderType, Clear, Widget};

use super::theme::{Look, Role};
use crate::app::App;
use crate::app::bindings::BINDINGS;

/// A frame in the middle, with nothing of the page in it; what is inside.
fn dialog(title: &str, look: &Look, (width, height): (u16, u16), body: Rect, buf: &mut Buffer) -> Rect {
    let (width, height) = (width.min(body.width), height.min(body.height));
    let area =
        Rect { x: body.x + (body.width - width) / 2, y: body.y + (body.height - height) / 2, width, height };
    Clear.render(area, buf);
    let block = Block::bordered()
        .border_type(BorderType::Rounded)
        .border_style(look.style(Role::Focus))
        .title(format!(" {title} "))
        .title_style(look.style(Role::Title));
    let inner = block.inner(area);
    block.render(area, buf);
    inner
}

pub(super) fn help(app: &App, look: &Look, body: Rect, buf: &mut Buffer) {
    let size = (58, BINDINGS.len() as u16 + 2);
    let inner = dialog("Keys", look, size, body, buf);
    let last = app.help_last();
    let from = app.help_from.min(last);
    for (y, binding) in (inner.y..inner.bottom()).zip(BINDINGS.iter().skip(from)) {
        buf.set_stringn(inner.x + 1, y, format!("{:>5}", binding.shown), 5, look.style(Role::Key));
        let room = usize::from(inner.width.saturating_sub(9));
        buf.set_stringn(inner.x + 8, y, binding.help, room, look.style(Role::Text));
    }
    if last > 0 {
        let note = if from < last { " Down for more " } else { " Up for more " };
        let x = inner.right().saturating_sub(note.len() as u16 + 1);
        buf.set_string(x, inner.bottom(), note, look.style(Role::Dim));
    }
}

pub(super) fn confirm(look: &Look, body: Rect, buf: &mut Buffer) {
    let inner = dialog("Clean up now?", look, (54, 5), body, buf);
    let lines = [
        ("The daemon removes every expired entry from disk.", Role::Text),
        ("", Role::Text),
        ("y does it, any other key leaves it.", Role::Key),
    ];
    for (y, (line, role)) in (inner.y..inner.bottom()).zip(lines) {
        let room = usize::from(inner.width.saturating_sub(1));
        buf.set_stringn(inner.x + 1, y, line, room, look.style(role));
    }
}
