//! What keys do: by the table of bindings, or as letters where something is typed or asked.

use regex::RegexBuilder;

use super::bindings::{Action, action};
use super::msg::{Effect, Key};
use super::page::Page;
use super::{App, Frozen, Overlay};
use crate::model::summary::summary;

/// Letters of a filter.
const FILTER_MAX: usize = 128;

/// Bytes that a filter's program may have.
const FILTER_SIZE: usize = 1 << 20;

/// Acts on a key.
pub(super) fn pressed(app: &mut App, key: Key) -> Option<Effect> {
    let global = matches!(key, Key::Ctrl(_));
    match app.overlay {
        Overlay::Filter if !global => return typed(app, key),
        Overlay::ConfirmCleanUp if !global => return answered(app, key),
        Overlay::Help if !global => return help(app, key),
        _ => {}
    }
    act(app, action(key)?, key)
}

fn act(app: &mut App, action: Action, key: Key) -> Option<Effect> {
    match action {
        Action::Quit => return Some(Effect::Quit(0)),
        Action::Suspend => return Some(Effect::Suspend),
        Action::Redraw => return Some(Effect::Redraw),
        Action::Copy => return copy(app),
        Action::Help => {
            app.overlay = Overlay::Help;
            app.help_from = 0;
        }
        Action::NextPage => turn(app, app.page.step(1)),
        Action::PreviousPage => turn(app, app.page.step(Page::ALL.len() - 1)),
        Action::Digit => {
            if let Key::Char(digit) = key
                && let Some(page) =
                    digit.to_digit(10).and_then(|digit| Page::ALL.get((digit as usize).wrapping_sub(1)))
            {
                turn(app, *page);
            }
        }
        Action::Freeze => freeze(app),
        Action::ZoomIn => app.zoom = app.zoom.closer(),
        Action::ZoomOut => app.zoom = app.zoom.farther(),
        Action::Maximise => app.maximised = !app.maximised,
        Action::NextPanel => move_panel(app, 1),
        Action::PreviousPanel => move_panel(app, app.panels().len() - 1),
        Action::RowUp => app.move_row(-1),
        Action::RowDown => app.move_row(1),
        Action::RowsUp => app.move_row(-10),
        Action::RowsDown => app.move_row(10),
        Action::FirstRow => app.move_row(isize::MIN),
        Action::LastRow => app.move_row(isize::MAX),
        Action::Sort => sort(app),
        Action::Reverse => {
            if let Some(table) = app.table() {
                app.orders[table as usize].reversed ^= true;
            }
        }
        Action::Filter => app.overlay = Overlay::Filter,
        Action::CleanUp => {
            if !app.allow_writes {
                app.say("clean-up is off: start larder-top with --allow-writes", true);
            } else if app.cleaning {
                app.say("a clean-up is running already", true);
            } else {
                app.overlay = Overlay::ConfirmCleanUp;
            }
        }
        Action::Back => back(app),
    }
    None
}

fn turn(app: &mut App, page: Page) {
    app.page = page;
    app.maximised = false;
}

fn freeze(app: &mut App) {
    app.frozen = match app.frozen.take() {
        Some(_) => None,
        None => Some(Box::new(Frozen { model: app.live.clone(), at_ms: app.now_ms })),
    };
}

fn move_panel(app: &mut App, by: usize) {
    let panels = app.panels().len();
    let chosen = &mut app.chosen[app.page as usize];
    *chosen = ((*chosen).min(panels - 1) + by) % panels;
}

/// By the next column; after the last one, as the rows come.
fn sort(app: &mut App) {
    let Some(table) = app.table() else { return };
    let order = &mut app.orders[table as usize];
    let next = order.column.map_or(0, |column| column + 1);
    // A bar shows what stands beside it.
    order.column = (next..table.columns().len()).find(|&column| !table.columns()[column].bar);
    order.reversed = false;
}

fn back(app: &mut App) {
    if app.maximised {
        app.maximised = false;
    } else if !app.filter_text.is_empty() {
        app.filter_text.clear();
        compile(app);
    } else {
        app.frozen = None;
    }
}

fn copy(app: &mut App) -> Option<Effect> {
    let row = app.panel().table().and_then(|table| {
        let rows = app.rows(table);
        let at = app.row(table).min(rows.len().saturating_sub(1));
        rows.into_iter().nth(at).map(|row| row.copy)
    });
    if row.is_none() && app.shown().sample.is_none() {
        app.say("there is nothing to copy yet", true);
        return None;
    }
    let (text, what) = row.map_or_else(|| (summary(app.shown()), "the summary"), |row| (row, "the row"));
    app.say(format!("copied {what} to the clipboard, where the terminal allows it"), false);
    Some(Effect::Copy(text))
}

fn typed(app: &mut App, key: Key) -> Option<Effect> {
    match key {
        Key::Enter => {
            app.overlay = Overlay::None;
            // What is shown is what is applied: the last that could be.
            if app.filter_error {
                app.filter_text =
                    app.filter.as_ref().map_or_else(String::new, |filter| filter.as_str().to_owned());
            }
        }
        Key::Esc => {
            app.overlay = Overlay::None;
            app.filter_text.clear();
        }
        Key::Backspace => {
            app.filter_text.pop();
        }
        Key::Char(c) if app.filter_text.chars().count() < FILTER_MAX => app.filter_text.push(c),
        _ => {}
    }
    compile(app);
    None
}

/// Takes what is typed as the filter; what is not whole yet leaves the one before.
fn compile(app: &mut App) {
    app.filter_error = false;
    if app.filter_text.is_empty() {
        app.filter = None;
        return;
    }
    match RegexBuilder::new(&app.filter_text).case_insensitive(true).size_limit(FILTER_SIZE).build() {
        Ok(filter) => app.filter = Some(filter),
        Err(_) => app.filter_error = true,
    }
}

fn answered(app: &mut App, key: Key) -> Option<Effect> {
    app.overlay = Overlay::None;
    if matches!(key, Key::Char('y' | 'Y')) {
        app.cleaning = true;
        app.say("cleaning up", false);
        return Some(Effect::CleanUp);
    }
    None
}

fn help(app: &mut App, key: Key) -> Option<Effect> {
    match action(key) {
        Some(Action::RowDown) => app.scroll_help(1),
        Some(Action::RowUp) => app.scroll_help(-1),
        Some(Action::RowsDown) => app.scroll_help(10),
        Some(Action::RowsUp) => app.scroll_help(-10),
        Some(Action::FirstRow) => app.scroll_help(isize::MIN),
        Some(Action::LastRow) => app.scroll_help(isize::MAX),
        Some(Action::Quit) => return Some(Effect::Quit(0)),
        _ => app.overlay = Overlay::None,
    }
    None
}
