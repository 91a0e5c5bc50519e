//! Any size, any page, any state: nothing panics, and nothing is drawn outside.

use larder_top::app::msg::{Key, Msg};
use larder_top::view::theme::{Depth, Look, Palette, Symbols, Theme};

use crate::fixtures::Watched;
use crate::screens::draw;

fn sizes() -> impl Iterator<Item = (u16, u16)> {
    // Every small size, where arithmetic is tight, and steps of primes up to the largest.
    let small = (1..=46).flat_map(|width| (1..=14).map(move |height| (width, height)));
    let large =
        (1..=300).step_by(37).flat_map(|width| (1..=100).step_by(11).map(move |height| (width, height)));
    small.chain(large).chain([(300, 100), (300, 1), (1, 100)])
}

#[test]
fn no_size_is_too_small_or_too_large() {
    let states = [Watched::connecting(), Watched::offline(), Watched::first_sample(), Watched::restarted()];
    for mut watched in states {
        watched.app.allow_writes = true;
        for (at, size) in sizes().enumerate() {
            let symbols = [Symbols::Braille, Symbols::Block, Symbols::Ascii][at % 3];
            let look = Look { theme: Theme::new(Palette::Light, Depth::Indexed), symbols };
            // Another page, panel or overlay each time.
            let key =
                [Key::Tab, Key::Right, Key::Enter, Key::Char('?'), Key::Char('c'), Key::Esc, Key::Char('-')]
                    [at % 7];
            watched.send(Msg::Key(key));
            let buffer = draw(&mut watched.app, &look, size);
            assert_eq!((buffer.area.width, buffer.area.height), size);
        }
    }
}
