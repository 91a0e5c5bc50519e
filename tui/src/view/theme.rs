//! What things look like: a style for each meaning, the palettes, and the symbols charts are drawn with.
//!
//! One colour per meaning, wherever it is shown. Nothing is told by colour alone: charts have patterns and an order,
//! states have words and marks.

use ratatui::style::{Color, Modifier, Style};

use super::palette;

/// What charts and frames are drawn with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Symbols {
    /// Braille dots: two by four in a cell.
    #[default]
    Braille,
    /// Blocks: eight levels in a cell, for fonts without Braille.
    Block,
    /// Nothing but ASCII.
    Ascii,
}

/// A palette.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Palette {
    /// For dark backgrounds.
    #[default]
    Dark,
    /// For light backgrounds.
    Light,
    /// Colours that most people with a colour vision deficiency tell apart.
    ColourBlind,
}

/// How many colours the terminal has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Depth {
    /// All of them.
    #[default]
    True,
    /// 256.
    Indexed,
    /// 16, as the terminal's own theme has them.
    Ansi,
    /// None.
    None,
}

/// What something means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(usize)]
pub enum Role {
    /// Words and numbers.
    Text,
    /// What is there for orientation: units, axes, heads.
    Dim,
    /// Frames.
    Border,
    /// The frame of the chosen panel.
    Focus,
    /// Titles.
    Title,
    /// Keys, and the page that is shown.
    Key,
    /// The number to look at first.
    Strong,
    /// Hits from memory, and the memory tier.
    Memory,
    /// Hits from the write buffer, and the buffer.
    Buffer,
    /// Hits from the disk, and the disk.
    Disk,
    /// Misses.
    Miss,
    /// Read commands.
    Read,
    /// Write commands.
    Write,
    /// Delete commands.
    Delete,
    /// Other commands.
    Other,
    /// The median.
    P50,
    /// The 99th percentile.
    P99,
    /// The 99.9th percentile.
    P999,
    /// Entries.
    Entries,
    /// Entries that have expired and are still there.
    Expired,
    /// Clean-up.
    Cleanup,
    /// Merges, checkpoints.
    Upkeep,
    /// It is well.
    Good,
    /// It deserves a look.
    Warn,
    /// It is not well.
    Bad,
    /// The chosen row.
    Chosen,
}

impl Role {
    /// All of them, by number.
    pub const ALL: [Self; 26] = [
        Self::Text,
        Self::Dim,
        Self::Border,
        Self::Focus,
        Self::Title,
        Self::Key,
        Self::Strong,
        Self::Memory,
        Self::Buffer,
        Self::Disk,
        Self::Miss,
        Self::Read,
        Self::Write,
        Self::Delete,
        Self::Other,
        Self::P50,
        Self::P99,
        Self::P999,
        Self::Entries,
        Self::Expired,
        Self::Cleanup,
        Self::Upkeep,
        Self::Good,
        Self::Warn,
        Self::Bad,
        Self::Chosen,
    ];
}

/// A style for every role.
#[derive(Clone, Debug)]
pub struct Theme {
    styles: [Style; Role::ALL.len()],
}

impl Theme {
    /// A theme from a function.
    pub fn by(style: impl Fn(Role) -> Style) -> Self {
        Self { styles: Role::ALL.map(style) }
    }

    /// The theme of a palette, in as many colours as there are.
    #[must_use]
    pub fn new(palette: Palette, depth: Depth) -> Self {
        Self::by(|role| {
            let colour = match depth {
                Depth::None => None,
                Depth::Ansi => palette::ansi(role, palette),
                Depth::True => palette::rgb(role, palette).map(|(r, g, b)| Color::Rgb(r, g, b)),
                Depth::Indexed => {
                    palette::rgb(role, palette).map(|rgb| Color::Indexed(palette::nearest(rgb)))
                }
            };
            let style = Style::new().add_modifier(emphasis(role, depth == Depth::None));
            colour.map_or(style, |colour| style.fg(colour))
        })
    }

    /// The style of a role.
    #[must_use]
    pub const fn style(&self, role: Role) -> Style {
        self.styles[role as usize]
    }
}

/// What stands out without colour.
const fn emphasis(role: Role, alone: bool) -> Modifier {
    match role {
        Role::Chosen => Modifier::REVERSED,
        Role::Title | Role::Key | Role::Strong | Role::Bad => Modifier::BOLD,
        Role::Focus | Role::Warn if alone => Modifier::BOLD,
        Role::Dim | Role::Border if alone => Modifier::DIM,
        _ => Modifier::empty(),
    }
}

/// Everything a view needs beside the app.
#[derive(Clone, Debug)]
pub struct Look {
    /// Styles.
    pub theme: Theme,
    /// Symbols.
    pub symbols: Symbols,
}

impl Look {
    /// The style of a role.
    #[must_use]
    pub const fn style(&self, role: Role) -> Style {
        self.theme.style(role)
    }
}
