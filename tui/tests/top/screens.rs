//! What the screen looks like: every page and state at several sizes, as text and as styles.
//!
//! A file in `screens/` has both, one below the other. `UPDATE_SCREENS=1` writes them anew.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

use larder_protocol::Stat;
use larder_protocol::stream::EventKind;
use larder_top::app::msg::Key;
use larder_top::app::page::{Page, Panel};
use larder_top::view::theme::{Depth, Look, Palette, Role, Symbols, Theme};
use larder_top::view::view;
use larder_top::{app::App, app::msg::Msg};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier, Style};

use crate::fixtures::Watched;

const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (200, 60)];

/// A look whose colours are the numbers of roles.
fn probe(symbols: Symbols) -> Look {
    let theme = Theme::by(|role| {
        let style = Style::new().fg(Color::Indexed(role as u8));
        if role == Role::Chosen { style.add_modifier(Modifier::REVERSED) } else { style }
    });
    Look { theme, symbols }
}

pub(crate) fn draw(app: &mut App, look: &Look, (width, height): (u16, u16)) -> Buffer {
    larder_top::app::update(app, Msg::Resize(width, height));
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| view(app, look, frame)).unwrap();
    terminal.backend().buffer().clone()
}

/// The text of the screen, line by line.
pub(crate) fn text(buffer: &Buffer) -> Vec<String> {
    let line = |y| {
        let mut line = String::new();
        let mut covered = 0;
        for x in 0..buffer.area.width {
            // The second cell of a wide character holds nothing of its own.
            if covered > 0 {
                covered -= 1;
                continue;
            }
            let symbol = buffer[(x, y)].symbol();
            covered = unicode_width::UnicodeWidthStr::width(symbol).saturating_sub(1);
            line.push_str(symbol);
        }
        line.trim_end().to_owned()
    };
    (0..buffer.area.height).map(line).collect()
}

/// A letter for each cell: that of its role, a dot where there is none.
fn styles(buffer: &Buffer, legend: &mut BTreeMap<char, String>) -> Vec<String> {
    let mut letter = |x, y| {
        let cell = &buffer[(x, y)];
        let letter = match cell.fg {
            _ if cell.modifier.contains(Modifier::REVERSED) => '#',
            Color::Indexed(role) => char::from(b'a' + role),
            _ => return ' ',
        };
        let role = if letter == '#' { Role::Chosen } else { Role::ALL[letter as usize - 'a' as usize] };
        if cell.symbol() == " " && letter != '#' {
            return ' ';
        }
        legend.insert(letter, format!("{role:?}"));
        letter
    };
    (0..buffer.area.height)
        .map(|y| (0..buffer.area.width).map(|x| letter(x, y)).collect::<String>().trim_end().to_owned())
        .collect()
}

fn check(name: &str, app: &mut App, symbols: Symbols, size: (u16, u16)) {
    let buffer = draw(app, &probe(symbols), size);
    let mut legend = BTreeMap::new();
    let (text, styles) = (text(&buffer), styles(&buffer, &mut legend));
    let mut picture = text.join("\n");
    picture.push_str("\n\n");
    for (letter, role) in legend {
        let _ = write!(picture, "{letter}={role} ");
    }
    let _ = writeln!(picture, "\n{}", styles.join("\n"));
    let picture = picture.lines().map(str::trim_end).collect::<Vec<_>>().join("\n") + "\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(format!("tests/top/screens/{name}-{}x{}.txt", size.0, size.1));
    if env::var_os("UPDATE_SCREENS").is_some_and(|value| value == "1") {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, picture).unwrap();
        return;
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(expected == picture, "{} differs; UPDATE_SCREENS=1 takes this:\n{picture}", path.display());
}

fn check_sizes(name: &str, watched: &mut Watched) {
    for size in SIZES {
        check(name, &mut watched.app, Symbols::Braille, size);
    }
}

#[test]
fn every_page_of_a_busy_daemon() {
    let mut watched = Watched::busy();
    for (digit, page) in ('1'..).zip(Page::ALL) {
        watched.key(Key::Char(digit));
        check_sizes(&format!("busy-{}", page.title().to_lowercase()), &mut watched);
    }
}

#[test]
fn before_there_is_anything_to_show() {
    check_sizes("connecting", &mut Watched::connecting());
    check_sizes("offline", &mut Watched::offline());
    check_sizes("first-sample", &mut Watched::first_sample());
}

#[test]
fn frozen() {
    let mut watched = Watched::busy();
    watched.key(Key::Char(' '));
    let before = text(&draw(&mut watched.app, &probe(Symbols::Braille), (80, 24)))[2..].to_vec();
    (0..12).for_each(|_| watched.second());
    let after = text(&draw(&mut watched.app, &probe(Symbols::Braille), (80, 24)))[2..].to_vec();
    assert_eq!(before, after);
    check_sizes("frozen", &mut watched);
    watched.key(Key::Char(' '));
    let released = text(&draw(&mut watched.app, &probe(Symbols::Braille), (80, 24)))[2..].to_vec();
    assert_ne!(after, released);
}

#[test]
fn help_over_the_page() {
    let mut watched = Watched::busy();
    watched.key(Key::Char('?'));
    check_sizes("help", &mut watched);
    check("help", &mut watched.app, Symbols::Braille, (60, 12));
    watched.key(Key::End);
    check("help-end", &mut watched.app, Symbols::Braille, (60, 12));
}

#[test]
fn every_figure_of_storage_is_there_once() {
    let mut watched = Watched::busy();
    // One panel alone on a page without one for entries.
    watched.app.size = (80, 24);
    let storage = watched.app.panels().iter().position(|panel| *panel == Panel::Storage).unwrap();
    (0..storage).for_each(|_| watched.key(Key::Right));
    watched.key(Key::Enter);
    let screen = text(&draw(&mut watched.app, &probe(Symbols::Braille), (80, 24))).join("\n");
    for name in ["entries", "expired", "lag", "evicted", "buffer", "writes", "journal", "WAL", "dropped"] {
        assert_eq!(screen.matches(&format!(" {name} ")).count(), 1, "{name}\n{screen}");
    }
}

#[test]
fn another_daemon_on_the_same_socket() {
    check_sizes("restarted", &mut Watched::restarted());
}

#[test]
fn the_connection_is_lost() {
    let mut watched = Watched::busy();
    watched.lost("the daemon closed the connection");
    watched.silence(1_500);
    check_sizes("reconnecting", &mut watched);
}

#[test]
fn a_full_disk_and_a_question() {
    let mut watched = Watched::busy();
    watched.world.sample.stats.set(Stat::DiskFull, 1);
    watched.world.sample.stats.set(Stat::DiskBytes, 1_i64 << 30);
    watched.second();
    let time_ms = watched.world.time_ms();
    let event = larder_protocol::stream::Event {
        kind: EventKind::DiskFull,
        time_ms,
        cause: "disk_cap".to_owned(),
        ..larder_protocol::stream::Event::default()
    };
    watched.send(Msg::Event(Box::new(event)));
    watched.app.allow_writes = true;
    watched.key(Key::Char('c'));
    check("full-disk-question", &mut watched.app, Symbols::Braille, (80, 24));
}

#[test]
fn a_filter_and_one_panel_alone() {
    let mut watched = Watched::busy();
    watched.keys("4/user|^feed");
    watched.key(Key::Enter);
    watched.key(Key::Enter);
    check("filter-one-panel", &mut watched.app, Symbols::Braille, (80, 24));
}

#[test]
fn blocks_and_ascii() {
    let mut watched = Watched::busy();
    for (name, symbols) in [("block", Symbols::Block), ("ascii", Symbols::Ascii)] {
        for (digit, page) in [('1', "overview"), ('2', "traffic")] {
            watched.key(Key::Char(digit));
            check(&format!("{name}-{page}"), &mut watched.app, symbols, (80, 24));
        }
    }
}

#[test]
fn ascii_is_nothing_else() {
    let mut watched = Watched::restarted();
    watched.world.sample.hot_keys.top[0].name = "näh:日本…".to_owned();
    watched.second();
    for digit in '1'..='5' {
        watched.key(Key::Char(digit));
        for size in SIZES {
            let lines = text(&draw(&mut watched.app, &probe(Symbols::Ascii), size));
            assert!(lines.iter().all(|line| line.is_ascii()), "{digit} {size:?}\n{}", lines.join("\n"));
        }
    }
}

#[test]
fn too_small() {
    let mut watched = Watched::busy();
    for size in [(39, 24), (80, 9), (12, 3), (1, 1)] {
        check("too-small", &mut watched.app, Symbols::Braille, size);
    }
}

#[test]
fn without_colours_nothing_is_coloured() {
    let mut watched = Watched::busy();
    let look = Look { theme: Theme::new(Palette::Dark, Depth::None), symbols: Symbols::Braille };
    let buffer = draw(&mut watched.app, &look, (120, 40));
    assert!(buffer.content().iter().all(|cell| (cell.fg, cell.bg) == (Color::Reset, Color::Reset)));
    let look = Look { theme: Theme::new(Palette::Dark, Depth::Ansi), symbols: Symbols::Braille };
    let buffer = draw(&mut watched.app, &look, (120, 40));
    assert!(buffer.content().iter().all(|cell| !matches!(cell.fg, Color::Rgb(..) | Color::Indexed(_))));
}

#[test]
fn hostile_names_stay_in_their_cells() {
    let mut watched = Watched::busy();
    let evil = "\x1b[2J\x1b]52;c;AAAA\x07\u{202e}evil\r\n\t日本e\u{301}";
    watched.world.advance();
    watched.world.sample.hot_keys.top[0].name = evil.to_owned();
    watched.world.sample.clients[0].comm = evil.to_owned();
    watched.world.sample.slow[0].command = vec![evil.to_owned()];
    watched.world.sample.stats.set(Stat::Durability, evil);
    watched.tick();
    watched.sample();
    for digit in '1'..='5' {
        watched.key(Key::Char(digit));
        for size in SIZES {
            let buffer = draw(&mut watched.app, &probe(Symbols::Braille), size);
            for cell in buffer.content() {
                let bad =
                    |c: char| c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c) || c == '\u{301}';
                assert!(!cell.symbol().contains(bad), "{:?}", cell.symbol());
            }
        }
    }
    watched.key(Key::Char('4'));
    let lines = text(&draw(&mut watched.app, &probe(Symbols::Braille), (120, 40)));
    assert!(lines.iter().any(|line| line.contains("·[2J·]52;c;AAAA··evil···日本e·")), "{}", lines.join("\n"));
}
