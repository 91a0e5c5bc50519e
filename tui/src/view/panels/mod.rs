//! The panels: each a widget over the app.

mod charts;
mod cleanup;
mod entries;
mod hit_rate;
mod latency;
mod legend;
mod storage;
mod traffic;

use ratatui::buffer::Buffer;
use ratatui::layout::{Alignment, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Widget};

use super::table::TableWidget;
use super::theme::{Look, Role};
use crate::app::App;
use crate::app::msg::LinkState;
use crate::app::page::Panel;
use crate::model::tables::Table;
use crate::model::units::span;

/// What every panel is drawn from.
#[derive(Clone, Copy)]
struct Scene<'a> {
    app: &'a App,
    look: &'a Look,
}

/// Draws a panel with its frame.
pub(super) fn draw(panel: Panel, app: &App, look: &Look, area: Rect, buf: &mut Buffer) {
    let inner = frame(panel, app, look, area, buf);
    let scene = Scene { app, look };
    if app.shown().sample.is_none() && app.shown().history.last().is_none() {
        waiting(scene, inner, buf);
        return;
    }
    match panel {
        Panel::HitRate => hit_rate::HitRate(scene).render(inner, buf),
        Panel::Traffic => traffic::Traffic(scene).render(inner, buf),
        Panel::Latency => latency::READS(scene).render(inner, buf),
        Panel::WriteLatency => latency::WRITES(scene).render(inner, buf),
        Panel::Entries => entries::Entries(scene).render(inner, buf),
        Panel::Storage => storage::Storage(scene).render(inner, buf),
        Panel::Cleanup => cleanup::Cleanup(scene).render(inner, buf),
        Panel::LatencyTable
        | Panel::Events
        | Panel::HotKeys
        | Panel::HotPrefixes
        | Panel::Clients
        | Panel::Slow => {
            if let Some(table) = panel.table() {
                table_panel(panel, table, scene, inner, buf);
            }
        }
    }
}

/// The frame; returns what is inside.
fn frame(panel: Panel, app: &App, look: &Look, area: Rect, buf: &mut Buffer) -> Rect {
    let focused = app.panel() == panel;
    let (role, mark) = if focused { (Role::Focus, "▸ ") } else { (Role::Border, " ") };
    let title = Line::from_iter([
        Span::styled(mark, look.style(role)),
        Span::styled(panel.title(), look.style(Role::Title)),
        Span::raw(" "),
    ]);
    let mut block =
        Block::bordered().border_type(BorderType::Rounded).border_style(look.style(role)).title(title);
    if let Some(note) = note(panel, app) {
        let note = Line::styled(format!(" {note} "), look.style(Role::Dim)).alignment(Alignment::Right);
        if note.width() + panel.title().len() + 6 <= usize::from(area.width) {
            block = block.title(note);
        }
    }
    let inner = block.inner(area);
    block.render(area, buf);
    inner
}

/// What stands at the right of the title: what the numbers cover, or how many rows there are.
fn note(panel: Panel, app: &App) -> Option<String> {
    let model = app.shown();
    let since = |since_ms: i64| {
        let now = model.now_ms(0);
        (since_ms > 0).then(|| format!("of {}", span(now - since_ms)))
    };
    match panel {
        Panel::HotKeys => since(model.sample.as_ref()?.hot_keys.since_ms),
        Panel::HotPrefixes => since(model.sample.as_ref()?.hot_prefixes.since_ms),
        Panel::LatencyTable => Some(
            model
                .latency(app.zoom)
                .1
                .map_or_else(|| "since start".to_owned(), |known| format!("of {}", span(known))),
        ),
        Panel::Clients => {
            let (shown, all) =
                (app.rows(Table::Clients).len(), model.stat(larder_protocol::Stat::Connections));
            Some(format!("{shown} of {all}"))
        }
        Panel::Events | Panel::Slow => panel.table().map(|table| app.rows(table).len().to_string()),
        Panel::Storage => None,
        _ => Some(app.zoom.label().to_owned()),
    }
}

fn table_panel(panel: Panel, table: Table, scene: Scene<'_>, area: Rect, buf: &mut Buffer) {
    let rows = scene.app.rows(table);
    let empty = match (scene.app.filter.is_some(), table) {
        (true, _) => "nothing matches the filter",
        (_, Table::Slow) => "no slow commands",
        (_, Table::Events) => "nothing has happened yet",
        (_, Table::Clients) => "nobody is connected",
        _ => "nothing was read yet",
    };
    let widget = TableWidget {
        table,
        rows: &rows,
        order: scene.app.order(table),
        chosen: scene.app.row(table),
        focused: scene.app.panel() == panel,
        empty,
        look: scene.look,
    };
    widget.render(area, buf);
    scroll_bar(widget.from(area.height), rows.len(), scene.look, area, buf);
}

/// Where in a long table one is: a part of the frame's right side is thicker.
fn scroll_bar(from: usize, rows: usize, look: &Look, area: Rect, buf: &mut Buffer) {
    let shown = usize::from(area.height.saturating_sub(1));
    if rows <= shown || shown == 0 || area.right() >= buf.area.right() {
        return;
    }
    let length = (shown * shown / rows).max(1);
    let start = from * (shown - length) / (rows - shown);
    for y in start..start + length {
        let y = area.y + 1 + y as u16;
        buf.set_string(area.right(), y, "┃", look.style(Role::Dim));
    }
}

/// What stands in every panel before there is anything to show.
fn waiting(scene: Scene<'_>, area: Rect, buf: &mut Buffer) {
    let (text, role) = match &scene.app.link {
        LinkState::Connecting => ("connecting".to_owned(), Role::Dim),
        LinkState::Connected => ("waiting for the first sample".to_owned(), Role::Dim),
        LinkState::Lost { reason, .. } => (reason.clone(), Role::Warn),
    };
    if area.height > 0 {
        let text = super::table::fit(&text, usize::from(area.width.saturating_sub(2)));
        buf.set_stringn(
            area.x + 1,
            area.y + (area.height - 1) / 2,
            text,
            usize::from(area.width),
            scene.look.style(role),
        );
    }
}
