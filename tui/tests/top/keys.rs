//! What keys do: every one in the table of bindings, and those that type, ask and close.

use larder_top::app::bindings::{Action, BINDINGS};
use larder_top::app::msg::{Effect, Key, Msg};
use larder_top::app::page::{Page, Panel};
use larder_top::app::{App, Overlay, update};
use larder_top::model::tables::Table;
use larder_top::model::zoom::Zoom;

use crate::fixtures::Watched;

fn press(app: &mut App, key: Key) -> Option<Effect> {
    update(app, Msg::Key(key))
}

fn char(app: &mut App, c: char) -> Option<Effect> {
    press(app, Key::Char(c))
}

/// Everything about the app that keys change.
fn state(app: &App) -> String {
    let tables = Table::ALL.map(|table| (app.order(table), app.row(table)));
    format!(
        "{:?} {:?} {:?} {} {:?} {:?} {:?} {:?}",
        app.page,
        app.zoom,
        app.panel(),
        app.maximised,
        app.overlay,
        app.frozen.is_some(),
        app.filter_text,
        tables
    )
}

#[test]
fn every_key_of_the_table_does_something() {
    for binding in BINDINGS {
        for &key in binding.keys {
            let mut watched = Watched::busy_for_keys();
            // In the middle of everything, so that each key has somewhere to go.
            watched.app.page = Page::Keys;
            watched.app.allow_writes = true;
            press(&mut watched.app, Key::PageDown);
            watched.app.zoom = Zoom::HalfHour;
            let before = state(&watched.app);
            let effect = press(&mut watched.app, key);
            let changed = state(&watched.app) != before;
            let same_page = binding.action == Action::Digit && key == Key::Char('4');
            let nothing_open = binding.action == Action::Back;
            assert!(changed || effect.is_some() || same_page || nothing_open, "{key:?} {:?}", binding.action);
        }
    }
}

#[test]
fn leaving_suspending_redrawing() {
    let mut app = App::new("/s", 0);
    assert_eq!(char(&mut app, 'q'), Some(Effect::Quit(0)));
    assert_eq!(press(&mut app, Key::Ctrl('c')), Some(Effect::Quit(0)));
    assert_eq!(press(&mut app, Key::Ctrl('z')), Some(Effect::Suspend));
    assert_eq!(press(&mut app, Key::Ctrl('l')), Some(Effect::Redraw));
    assert_eq!(update(&mut app, Msg::Suspend), Some(Effect::Suspend));
    assert_eq!(update(&mut app, Msg::Resumed), Some(Effect::Redraw));
    assert_eq!(update(&mut app, Msg::Signal(15)), Some(Effect::Quit(143)));
    assert_eq!(press(&mut app, Key::Backspace), None);
}

#[test]
fn pages_go_round_and_digits_name_them() {
    let mut app = App::new("/s", 0);
    let seen: Vec<Page> = (0..6)
        .map(|_| {
            let page = app.page;
            press(&mut app, Key::Tab);
            page
        })
        .collect();
    assert_eq!(seen[..5], Page::ALL);
    assert_eq!(seen[5], Page::Overview);
    press(&mut app, Key::BackTab);
    press(&mut app, Key::BackTab);
    assert_eq!(app.page, Page::Clients);
    for (digit, page) in ('1'..).zip(Page::ALL) {
        char(&mut app, digit);
        assert_eq!(app.page, page);
    }
}

#[test]
fn windows_end_at_the_shortest_and_the_longest() {
    let mut app = App::new("/s", 0);
    assert_eq!(app.zoom, Zoom::FiveMinutes);
    (0..5).for_each(|_| drop(char(&mut app, '-')));
    assert_eq!(app.zoom, Zoom::ThreeHours);
    char(&mut app, '+');
    assert_eq!(app.zoom, Zoom::HalfHour);
    (0..5).for_each(|_| drop(char(&mut app, '=')));
    assert_eq!(app.zoom, Zoom::Minute);
}

#[test]
fn panels_are_chosen_shown_alone_and_left_again() {
    let mut app = App::new("/s", 0);
    assert_eq!(app.panel(), Panel::HitRate);
    press(&mut app, Key::Left);
    assert_eq!(app.panel(), Panel::Events);
    press(&mut app, Key::Right);
    press(&mut app, Key::Right);
    assert_eq!(app.panel(), Panel::Traffic);
    press(&mut app, Key::Enter);
    assert!(app.maximised);
    press(&mut app, Key::Esc);
    assert!(!app.maximised);
    press(&mut app, Key::Enter);
    press(&mut app, Key::Tab);
    assert!(!app.maximised, "another page is shown whole");
    // What is chosen on a wide screen is on the narrow one too.
    update(&mut app, Msg::Resize(200, 60));
    app.page = Page::Overview;
    update(&mut app, Msg::ChoosePanel(Panel::HotPrefixes));
    assert_eq!(app.panel(), Panel::HotPrefixes);
    update(&mut app, Msg::Resize(80, 24));
    assert_eq!(app.panel(), Panel::Events);
}

#[test]
fn rows_stop_at_both_ends() {
    let mut watched = Watched::busy_for_keys();
    let app = &mut watched.app;
    app.page = Page::Keys;
    let row = |app: &App| app.row(Table::HotKeys);
    press(app, Key::Up);
    assert_eq!(row(app), 0);
    char(app, 'j');
    press(app, Key::Down);
    char(app, 'k');
    assert_eq!(row(app), 1);
    press(app, Key::PageDown);
    assert_eq!(row(app), 11);
    press(app, Key::End);
    assert_eq!(row(app), 23);
    press(app, Key::PageUp);
    update(app, Msg::Scroll(3));
    assert_eq!(row(app), 16);
    char(app, 'g');
    assert_eq!(row(app), 0);
}

#[test]
fn tables_are_sorted_by_each_column_and_reversed() {
    let mut watched = Watched::busy_for_keys();
    let app = &mut watched.app;
    app.page = Page::Keys;
    let first = |app: &App| app.rows(Table::HotKeys)[0].cells[0].text.clone();
    let reads =
        |app: &App| app.rows(Table::HotKeys).iter().map(|row| row.cells[2].text.clone()).collect::<Vec<_>>();
    assert_eq!(first(app), "user:1000");
    let largest_first = reads(app);
    char(app, 'S');
    let smallest_first = reads(app);
    assert_eq!(largest_first.iter().rev().collect::<Vec<_>>(), smallest_first.iter().collect::<Vec<_>>());
    // On from reads: share, misses, as they come, name.
    (0..4).for_each(|_| drop(char(app, 's')));
    assert_eq!((app.order(Table::HotKeys).column, app.order(Table::HotKeys).reversed), (Some(0), false));
    let names: Vec<_> = app.rows(Table::HotKeys).iter().map(|row| row.cells[0].text.clone()).collect();
    assert!(names.is_sorted());
    // A chart has no rows: the keys are about the table of the page.
    app.page = Page::Traffic;
    assert_eq!(app.panel(), Panel::Traffic);
    char(app, 's');
    assert_eq!(app.order(Table::Latency).column, Some(0));
}

#[test]
fn samples_are_overdue_by_the_interval_that_was_asked_for() {
    let mut watched = Watched::busy_for_keys();
    let app = &mut watched.app;
    app.now_ms = app.live.arrived_ms + 4_500;
    assert_eq!(app.silent_ms(), Some(4_500));
    app.interval_ms = 5_000;
    assert_eq!(app.silent_ms(), None);
    app.now_ms = app.live.arrived_ms + 15_001;
    assert_eq!(app.silent_ms(), Some(15_001));
}

#[test]
fn a_filter_is_typed_kept_and_dropped() {
    let mut watched = Watched::busy_for_keys();
    let app = &mut watched.app;
    app.page = Page::Keys;
    char(app, '/');
    "^USER:[0-9".chars().for_each(|c| drop(char(app, c)));
    assert!(app.filter_error, "not closed yet");
    char(app, ']');
    assert!(!app.filter_error);
    // While typing, letters are letters.
    char(app, 'q');
    press(app, Key::Backspace);
    press(app, Key::Enter);
    assert_eq!((app.overlay, app.filter_text.as_str()), (Overlay::None, "^USER:[0-9]"));
    let rows = app.rows(Table::HotKeys);
    assert!(!rows.is_empty() && rows.iter().all(|row| row.cells[0].text.starts_with("user:")));
    // What cannot be applied is not shown as if it were.
    char(app, '/');
    char(app, '(');
    assert!(app.filter_error);
    press(app, Key::Enter);
    assert_eq!((app.filter_error, app.filter_text.as_str()), (false, "^USER:[0-9]"));
    press(app, Key::Esc);
    assert!(app.filter.is_none());
    char(app, '/');
    "x".chars().for_each(|c| drop(char(app, c)));
    press(app, Key::Esc);
    assert!(app.filter.is_none() && app.filter_text.is_empty());
    char(app, '/');
    (0..1_000).for_each(|_| drop(char(app, 'a')));
    assert_eq!(app.filter_text.len(), 128);
    assert_eq!(press(app, Key::Ctrl('c')), Some(Effect::Quit(0)));
}

#[test]
fn clean_up_asks_first_and_only_where_writes_are_allowed() {
    let mut app = App::new("/s", 0);
    assert_eq!(char(&mut app, 'c'), None);
    assert_eq!(app.overlay, Overlay::None);
    assert!(app.notice.as_ref().unwrap().text.contains("--allow-writes"));
    app.allow_writes = true;
    for refusal in [Key::Char('n'), Key::Esc, Key::Enter, Key::Char('c')] {
        char(&mut app, 'c');
        assert_eq!(app.overlay, Overlay::ConfirmCleanUp);
        assert_eq!(press(&mut app, refusal), None);
        assert_eq!(app.overlay, Overlay::None);
    }
    char(&mut app, 'c');
    assert_eq!(char(&mut app, 'y'), Some(Effect::CleanUp));
    char(&mut app, 'c');
    assert_eq!(app.overlay, Overlay::None, "one at a time");
    update(&mut app, Msg::CleanedUp(Ok(7)));
    assert!(app.notice.as_ref().unwrap().text.contains("7 entries"));
    char(&mut app, 'c');
    assert_eq!(app.overlay, Overlay::ConfirmCleanUp);
    char(&mut app, 'y');
    update(&mut app, Msg::CleanedUp(Err("no\x1b[2J".to_owned())));
    assert!(app.notice.as_ref().unwrap().text.ends_with("no·[2J"));
    update(&mut app, Msg::Tick(60_000));
    assert!(app.notice.is_none());
}

#[test]
fn copying_takes_the_row_or_a_summary() {
    let mut app = App::new("/s", 0);
    assert_eq!(char(&mut app, 'y'), None);
    let mut watched = Watched::busy_for_keys();
    let Some(Effect::Copy(text)) = char(&mut watched.app, 'y') else { panic!() };
    assert!(text.contains("hit rate") && text.contains("since start"), "{text}");
    watched.app.page = Page::Keys;
    press(&mut watched.app, Key::Down);
    assert_eq!(char(&mut watched.app, 'y'), Some(Effect::Copy("feed:timeline:8919".to_owned())));
}

#[test]
fn freezing_holds_what_is_shown_and_goes_on_collecting() {
    let mut watched = Watched::busy_for_keys();
    let commands = |app: &App| app.shown().stat(larder_protocol::Stat::Commands);
    char(&mut watched.app, ' ');
    let (before, axis) = (commands(&watched.app), watched.app.axis_ms());
    (0..3).for_each(|_| watched.second());
    assert!((commands(&watched.app) - before).abs() < 1.0 && watched.app.axis_ms() == axis);
    press(&mut watched.app, Key::Esc);
    assert!(commands(&watched.app) > before);
    assert_eq!(watched.app.axis_ms(), axis + 3_000);
}

#[test]
fn help_is_read_and_closed() {
    let mut app = App::new("/s", 0);
    char(&mut app, '?');
    press(&mut app, Key::Down);
    press(&mut app, Key::Down);
    press(&mut app, Key::Up);
    assert_eq!((app.overlay, app.help_from), (Overlay::Help, 1));
    char(&mut app, '2');
    assert_eq!((app.overlay, app.page), (Overlay::None, Page::Overview));
    char(&mut app, 'h');
    assert_eq!((app.overlay, app.help_from), (Overlay::Help, 0));
    assert_eq!(char(&mut app, 'q'), Some(Effect::Quit(0)));
}

#[test]
fn help_is_scrolled_by_all_keys_of_tables_and_no_farther_than_its_end() {
    let mut app = App::new("/s", 0);
    update(&mut app, Msg::Resize(60, 12));
    char(&mut app, '?');
    let last = app.help_last();
    assert!(last > 10);
    for (key, from) in [
        (Key::End, last),
        // What is beyond the end needs no way back.
        (Key::Down, last),
        (Key::Up, last - 1),
        (Key::PageDown, last),
        (Key::PageUp, last - 10),
        (Key::Char('G'), last),
        (Key::Home, 0),
        (Key::Up, 0),
    ] {
        press(&mut app, key);
        assert_eq!((app.overlay, app.help_from), (Overlay::Help, from), "{key:?}");
    }
    update(&mut app, Msg::Scroll(3));
    assert_eq!(app.help_from, 3, "the mouse does as well");
    press(&mut app, Key::End);
    // There is nothing to scroll any more.
    update(&mut app, Msg::Resize(80, 60));
    press(&mut app, Key::Down);
    assert_eq!((app.overlay, app.help_from), (Overlay::Help, 0));
}

#[test]
fn clicks_choose_pages_and_panels() {
    let mut watched = Watched::busy_for_keys();
    update(&mut watched.app, Msg::Resize(120, 40));
    let app = &mut watched.app;
    let click = |app: &mut App, x, y| {
        if let Some(msg) = larder_top::view::click(app, x, y) {
            update(app, msg);
        }
    };
    click(app, 100, 30);
    assert_eq!(app.panel(), Panel::Storage);
    click(app, 14, 1);
    assert_eq!(app.page, Page::Traffic);
    for (x, y) in [(0, 0), (119, 1), (0, 39), (500, 500)] {
        click(app, x, y);
    }
    assert_eq!(app.page, Page::Traffic);
    update(app, Msg::Resize(5, 5));
    assert!(larder_top::view::click(app, 1, 1).is_none());
}
