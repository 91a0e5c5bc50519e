//! The colours of each palette, and how they become fewer.

use ratatui::style::Color;

use super::theme::{Palette, Role};

type Rgb = (u8, u8, u8);

/// The colour of a role; none is the terminal's own.
pub(super) const fn rgb(role: Role, palette: Palette) -> Option<Rgb> {
    match palette {
        Palette::Dark => dark(role),
        Palette::Light => light(role),
        Palette::ColourBlind => colour_blind(role),
    }
}

const fn dark(role: Role) -> Option<Rgb> {
    Some(match role {
        Role::Text | Role::Title | Role::Strong => return None,
        Role::Dim => (128, 134, 152),
        Role::Border => (72, 78, 96),
        Role::Focus | Role::Key => (122, 190, 255),
        Role::Memory | Role::Good => (126, 211, 122),
        Role::Buffer => (88, 208, 190),
        Role::Disk => (190, 150, 245),
        Role::Miss | Role::Bad => (245, 105, 115),
        Role::Read => (95, 165, 250),
        Role::Write => (250, 170, 95),
        Role::Delete => (240, 130, 190),
        Role::Other => (150, 156, 175),
        Role::P50 => (120, 200, 225),
        Role::P99 | Role::Expired | Role::Warn => (242, 205, 100),
        Role::P999 => (240, 140, 95),
        Role::Entries => (170, 180, 255),
        Role::Cleanup => (215, 195, 150),
        Role::Upkeep => (140, 165, 200),
        Role::Chosen => (205, 215, 235),
    })
}

const fn light(role: Role) -> Option<Rgb> {
    Some(match role {
        Role::Text | Role::Title | Role::Strong => return None,
        Role::Dim => (105, 110, 125),
        Role::Border => (170, 175, 190),
        Role::Focus | Role::Key => (20, 95, 190),
        Role::Memory | Role::Good => (40, 130, 45),
        Role::Buffer => (0, 125, 125),
        Role::Disk => (125, 65, 200),
        Role::Miss | Role::Bad => (195, 25, 50),
        Role::Read => (25, 90, 200),
        Role::Write => (190, 90, 0),
        Role::Delete => (185, 40, 125),
        Role::Other => (95, 100, 115),
        Role::P50 => (0, 115, 150),
        Role::P99 | Role::Expired | Role::Warn => (150, 110, 0),
        Role::P999 => (185, 70, 20),
        Role::Entries => (75, 75, 200),
        Role::Cleanup => (120, 95, 40),
        Role::Upkeep => (60, 95, 135),
        Role::Chosen => (40, 50, 75),
    })
}

/// From the eight colours of Okabe and Ito, on dark or light.
const fn colour_blind(role: Role) -> Option<Rgb> {
    const ORANGE: Rgb = (230, 159, 0);
    const SKY: Rgb = (86, 180, 233);
    const GREEN: Rgb = (0, 158, 115);
    const YELLOW: Rgb = (240, 228, 66);
    const VERMILLION: Rgb = (213, 94, 0);
    const PURPLE: Rgb = (204, 121, 167);
    Some(match role {
        Role::Text | Role::Title | Role::Strong => return None,
        Role::Dim | Role::Other | Role::Upkeep => (140, 140, 140),
        Role::Border => (90, 90, 90),
        Role::Focus | Role::Key | Role::Memory | Role::Good | Role::Read | Role::P50 => SKY,
        Role::Buffer | Role::Entries | Role::Cleanup => GREEN,
        Role::Disk | Role::Delete => PURPLE,
        Role::Miss | Role::Bad | Role::P999 => VERMILLION,
        Role::Write | Role::P99 => ORANGE,
        Role::Expired | Role::Warn => YELLOW,
        Role::Chosen => (210, 210, 210),
    })
}

/// The colour of a role in a terminal of 16, where the terminal's theme says what they are.
pub(super) const fn ansi(role: Role, palette: Palette) -> Option<Color> {
    let blind = matches!(palette, Palette::ColourBlind);
    Some(match role {
        Role::Text | Role::Title | Role::Strong | Role::Chosen => return None,
        Role::Dim | Role::Border | Role::Other | Role::Upkeep => Color::DarkGray,
        Role::Memory | Role::Good if blind => Color::Cyan,
        Role::Buffer | Role::Cleanup if blind => Color::Green,
        Role::Memory | Role::Good => Color::Green,
        Role::Focus | Role::Key | Role::P50 | Role::Buffer | Role::Cleanup => Color::Cyan,
        Role::Disk | Role::Delete => Color::Magenta,
        Role::Miss | Role::Bad | Role::P999 => Color::Red,
        Role::Read | Role::Entries => Color::Blue,
        Role::Write | Role::P99 | Role::Expired | Role::Warn => Color::Yellow,
    })
}

/// The nearest of the 256 colours that do not depend on the terminal's theme.
pub(super) fn nearest((r, g, b): Rgb) -> u8 {
    const LEVELS: [u8; 6] = [0, 95, 135, 175, 215, 255];
    let level = |value: u8| (0..6_u8).min_by_key(|&at| LEVELS[at as usize].abs_diff(value)).unwrap_or(0);
    let distance = |other: Rgb| {
        let part = |a: u8, b: u8| u32::from(a.abs_diff(b)).pow(2);
        part(r, other.0) + part(g, other.1) + part(b, other.2)
    };
    let at = [r, g, b].map(level);
    let cube = at.map(|level| LEVELS[level as usize]);
    let grey = ((u32::from(r) + u32::from(g) + u32::from(b)) / 3).saturating_sub(3) / 10;
    let grey = grey.min(23) as u8;
    let shade = 8 + 10 * grey;
    if distance((shade, shade, shade)) < distance((cube[0], cube[1], cube[2])) {
        232 + grey
    } else {
        16 + 36 * at[0] + 6 * at[1] + at[2]
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_nearest_of_256_is_a_neighbour() {
        let found = [(0, 0, 0), (255, 255, 255), (95, 135, 175), (128, 128, 128), (255, 0, 0)].map(nearest);
        assert_eq!(found, [16, 231, 67, 244, 196]);
    }

    #[test]
    fn what_is_shown_side_by_side_has_different_colours() {
        let together: [&[Role]; 4] = [
            &[Role::Memory, Role::Buffer, Role::Disk, Role::Miss],
            &[Role::Read, Role::Write, Role::Delete, Role::Other],
            &[Role::P50, Role::P99, Role::P999],
            &[Role::Entries, Role::Expired],
        ];
        for palette in [Palette::Dark, Palette::Light, Palette::ColourBlind] {
            for roles in together {
                let all: HashSet<_> = roles.iter().map(|&role| rgb(role, palette)).collect();
                assert_eq!(all.len(), roles.len(), "{palette:?} {roles:?}");
                let few: HashSet<_> = roles.iter().map(|&role| rgb(role, palette).map(nearest)).collect();
                assert_eq!(few.len(), roles.len(), "{palette:?} {roles:?} of 256");
                let ansi: HashSet<_> = roles.iter().map(|&role| ansi(role, palette)).collect();
                assert_eq!(ansi.len(), roles.len(), "{palette:?} {roles:?} of 16");
            }
        }
    }
}
