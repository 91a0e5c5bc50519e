//! Where things are.

use ratatui::layout::{Constraint, Layout, Rect};

use crate::app::App;
use crate::app::page::{Page, Panel};

/// The parts of the screen.
pub(super) struct Parts {
    pub header: Rect,
    pub body: Rect,
    pub footer: Rect,
}

pub(super) fn parts(area: Rect) -> Parts {
    let [header, body, footer] =
        Layout::vertical([Constraint::Length(2), Constraint::Min(0), Constraint::Length(1)]).areas(area);
    Parts { header, body, footer }
}

/// The panels that are shown, and where.
pub(super) fn panels(app: &App, body: Rect) -> Vec<(Panel, Rect)> {
    if app.maximised {
        return vec![(app.panel(), body)];
    }
    let panels = app.panels();
    let rows: &[(u16, usize)] = match (app.page, panels.len()) {
        (Page::Overview, 7) => &[(36, 1), (24, 2), (18, 2), (22, 2)],
        (Page::Overview, _) => &[(38, 1), (33, 2), (29, 2)],
        (Page::Traffic, _) => &[(36, 1), (34, 2), (30, 1)],
        (Page::Entries, _) => &[(34, 2), (36, 1), (30, 1)],
        // Side by side where names have room, otherwise one above the other.
        (Page::Keys, _) if body.width >= 100 => &[(100, 2)],
        (Page::Keys, _) => &[(50, 1), (50, 1)],
        (Page::Clients, _) => &[(65, 1), (35, 1)],
    };
    let heights = Layout::vertical(rows.iter().map(|&(part, _)| Constraint::Fill(part))).split(body);
    let mut left = panels.iter().copied();
    let mut found = Vec::new();
    for (&(_, count), &row) in rows.iter().zip(heights.iter()) {
        let places = Layout::horizontal(vec![Constraint::Fill(1); count]).split(row);
        found.extend(left.by_ref().take(count).zip(places.iter().copied()));
    }
    debug_assert_eq!(found.len(), panels.len(), "the rows above have a place for each panel of the page");
    found
}
