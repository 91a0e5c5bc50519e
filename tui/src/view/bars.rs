//! The lines above and below the page: who this is and how it is connected, the pages, the keys.

use std::ops::Range;

use larder_protocol::Stat;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr as _;

use super::table::fit;
use super::theme::{Look, Role};
use crate::app::bindings::{Action, BINDINGS};
use crate::app::msg::LinkState;
use crate::app::page::Page;
use crate::app::{App, Notice, Overlay};
use crate::model::Model;
use crate::model::units::{count, span, time_of_day};

/// The connection in a few words, with its mark: the state is told by words first.
fn state(app: &App) -> (String, Role) {
    match &app.link {
        LinkState::Connecting if app.live.sample.is_none() => ("◌ connecting".to_owned(), Role::Warn),
        LinkState::Connecting => ("◌ reconnecting".to_owned(), Role::Warn),
        LinkState::Lost { .. } => {
            let left = (app.retry_at_ms - app.now_ms).max(0);
            (format!("× reconnecting in {}.{} s", left / 1_000, left / 100 % 10), Role::Bad)
        }
        LinkState::Connected => match (app.silent_ms(), &app.live.sample) {
            (Some(silent), Some(_)) => (format!("◌ no sample for {}", span(silent)), Role::Warn),
            (_, None) => ("◌ waiting for a sample".to_owned(), Role::Warn),
            (None, Some(_)) => ("● live".to_owned(), Role::Good),
        },
    }
}

pub(super) fn header(app: &App, look: &Look, area: Rect, buf: &mut Buffer) {
    let (state, role) = state(app);
    let left = Line::from_iter([
        Span::styled("larder-top ", look.style(Role::Title)),
        Span::styled(state, look.style(role)),
    ]);
    let used = left.width() as u16 + 2;
    buf.set_line(area.x, area.y, &left, area.width);
    let room = usize::from(area.width.saturating_sub(used));
    let facts = fit(&facts(app.shown()), room);
    let facts_width = facts.width();
    buf.set_string(area.right() - facts_width as u16, area.y, &facts, look.style(Role::Text));
    // The socket has what is left between them.
    let room = room.saturating_sub(facts_width + 2);
    if room >= 12 {
        buf.set_string(area.x + used, area.y, fit(&app.socket, room), look.style(Role::Dim));
    }
    for (page, place) in tabs() {
        let role = if page == app.page { Role::Chosen } else { Role::Dim };
        let text = format!(" {} {} ", page as usize + 1, page.title());
        let room = usize::from((area.right()).saturating_sub(place.start));
        if room > 0 {
            buf.set_stringn(area.x + place.start, area.y + 1, text, room, look.style(role));
        }
    }
    window(app, look, Rect { y: area.y + 1, height: 1, ..area }, buf);
}

/// The daemon in a few words; none before it has said anything.
fn facts(model: &Model) -> String {
    if model.sample.is_none() {
        return String::new();
    }
    let dropped =
        if model.dropped > 0 { format!("dropped {}", count(model.dropped as f64)) } else { String::new() };
    let facts = [
        model.text(Stat::Version).to_owned(),
        format!("pid {}", model.stat(Stat::Pid)),
        format!("up {}", span(model.stat(Stat::UptimeMs) as i64)),
        model.text(Stat::Durability).to_owned(),
        dropped,
    ];
    facts.into_iter().filter(|fact| !fact.is_empty()).collect::<Vec<_>>().join("  ")
}

/// What differs from how it begins: the window, a frozen picture, a filter.
fn window(app: &App, look: &Look, area: Rect, buf: &mut Buffer) {
    let mut spans = Vec::new();
    if let Some(frozen) = &app.frozen {
        let since = format!("FROZEN {}", span(app.now_ms - frozen.at_ms));
        spans.extend([Span::styled(since, look.style(Role::Bad)), Span::raw("  ")]);
    }
    if app.filter.is_some() {
        let filter = format!("/{}/", fit(&app.filter_text, 16));
        spans.extend([Span::styled(filter, look.style(Role::Warn)), Span::raw("  ")]);
    }
    spans.push(Span::styled("window ", look.style(Role::Dim)));
    spans.push(Span::styled(format!("{:<4}", app.zoom.label()), look.style(Role::Key)));
    let mut line = Line::from(spans);
    let tabs_end = tabs().last().map_or(0, |(_, place)| place.end);
    let room = area.width.saturating_sub(tabs_end + 1);
    // By the daemon's clock, as the times in the tables are.
    let clock = format!("{} UTC  ", time_of_day(app.axis_ms()));
    if app.shown().sample.is_some() && line.width() + clock.len() <= usize::from(room) {
        line.spans.insert(0, Span::styled(clock, look.style(Role::Dim)));
    }
    while line.width() > usize::from(room) && !line.spans.is_empty() {
        line.spans.pop();
    }
    let width = line.width() as u16;
    buf.set_line(area.right() - width, area.y, &line, width);
}

/// Where the pages' names are in the second line.
pub(super) fn tabs() -> Vec<(Page, Range<u16>)> {
    let mut x = 0;
    let place = |page: Page| {
        let width = page.title().len() as u16 + 4;
        let place = x..x + width;
        x += width;
        (page, place)
    };
    Page::ALL.into_iter().map(place).collect()
}

pub(super) fn footer(app: &App, look: &Look, area: Rect, buf: &mut Buffer) {
    if app.overlay == Overlay::Filter {
        filter(app, look, area, buf);
    } else if let Some(shown) = &app.notice {
        notice(shown, look, area, buf);
    } else {
        keys(app, look, area, buf);
    }
}

/// The line that a filter is typed into.
fn filter(app: &App, look: &Look, area: Rect, buf: &mut Buffer) {
    let (note, role) =
        if app.filter_error { ("  not a regular expression", Role::Bad) } else { ("", Role::Text) };
    let line = Line::from_iter([
        Span::styled("/", look.style(Role::Key)),
        Span::styled(app.filter_text.clone(), look.style(Role::Text)),
        Span::styled("_", look.style(Role::Chosen)),
        Span::styled(note, look.style(role)),
        Span::styled("   Enter keeps it, Esc drops it", look.style(Role::Dim)),
    ]);
    buf.set_line(area.x, area.y, &line, area.width);
}

fn notice(notice: &Notice, look: &Look, area: Rect, buf: &mut Buffer) {
    let (mark, role) = if notice.bad { ("! ", Role::Warn) } else { ("", Role::Good) };
    let width = usize::from(area.width);
    let text = fit(&format!("{mark}{}", notice.text), width);
    buf.set_stringn(area.x, area.y, text, width, look.style(role));
}

/// The keys that are needed most, as far as there is room.
fn keys(app: &App, look: &Look, area: Rect, buf: &mut Buffer) {
    let mut x = 0;
    for binding in BINDINGS.iter().filter(|binding| !binding.footer.is_empty()) {
        if binding.action == Action::CleanUp && !app.allow_writes {
            continue;
        }
        let wide = binding.shown.len() + 1 + binding.footer.len();
        if x + wide > usize::from(area.width) {
            break;
        }
        buf.set_string(area.x + x as u16, area.y, binding.shown, look.style(Role::Key));
        let text_x = area.x + (x + binding.shown.len() + 1) as u16;
        buf.set_string(text_x, area.y, binding.footer, look.style(Role::Dim));
        x += wide + 2;
    }
}
