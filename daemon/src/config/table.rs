//! The table of settings. To add one: a field in [`Settings`](super::Settings), a row in `rows.rs`.
//!
//! Used by everything in this module that reads, checks, prints or documents settings, and by whatever else lists them
//! (CONFIG GET, the example file, SETTINGS.md). Knows values as text and as fields; never where a text came from.

mod rows;

use std::time::Duration;

pub use rows::SETTINGS;

use super::kind::Kind;
use super::units::{show_bytes, show_span};

/// One row: a setting with everything that is known about it.
#[derive(Debug)]
pub struct Setting {
    /// The key in the file. The option and the variable derive from it: `memory_cap`, `--memory-cap`,
    /// `LARDER_MEMORY_CAP`.
    pub name: &'static str,
    /// What the help lists it under.
    pub group: Group,
    /// Its type, its range and the field it fills.
    pub kind: Kind,
    /// Its value when no source gives one.
    pub default: Fallback,
    /// Whether a reload changes it, or only a restart.
    pub live: bool,
    /// One sentence or two, starting with what it is. Without a full stop, as the help goes on in brackets.
    pub help: &'static str,
}

/// The headings of the help, in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Where the socket and the data are.
    Places,
    /// Who may connect, and as what.
    Access,
    /// How writes reach the disk.
    Durability,
    /// What is kept on disk.
    Disk,
    /// What is kept in memory.
    Memory,
    /// How entries end.
    Expiry,
    /// What one client may ask for, and all together.
    Limits,
    /// What it tells of itself and of keys to those who ask.
    Statistics,
    /// What is logged.
    Log,
}

impl Group {
    /// The heading.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Places => "Places",
            Self::Access => "Access",
            Self::Durability => "Durability",
            Self::Disk => "Disk",
            Self::Memory => "Memory",
            Self::Expiry => "Expiry",
            Self::Limits => "Limits",
            Self::Statistics => "Statistics and events",
            Self::Log => "Log",
        }
    }
}

/// A value for a setting that no source mentions.
#[derive(Clone, Copy, Debug)]
pub enum Fallback {
    /// As one would write it.
    Text(&'static str),
    /// Bytes or a count, taken from a constant.
    Number(u64),
    /// Seconds, taken from a constant.
    Secs(u64),
    /// Worked out from the user and the environment; the text describes it.
    PerUser(&'static str),
}

impl Fallback {
    /// The default as text, unless it differs from user to user.
    #[must_use]
    pub fn fixed(self, kind: &Kind) -> Option<String> {
        match self {
            Self::Text(text) => Some(text.to_owned()),
            Self::Number(number) if matches!(kind, Kind::Count(..)) => Some(number.to_string()),
            Self::Number(bytes) => Some(show_bytes(bytes)),
            Self::Secs(secs) => Some(show_span(Duration::from_secs(secs))),
            Self::PerUser(_) => None,
        }
    }

    /// The default as the help shows it.
    #[must_use]
    pub fn describe(self, kind: &Kind) -> String {
        match self {
            Self::PerUser(text) => text.to_owned(),
            _ => self.fixed(kind).unwrap_or_default(),
        }
    }
}

/// The row of the setting called `name`.
#[must_use]
pub fn find(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.name == name)
}

impl Setting {
    /// The option that sets it, without the dashes in front.
    #[must_use]
    pub fn option(&self) -> String {
        self.name.replace('_', "-")
    }

    /// The environment variable that sets it.
    #[must_use]
    pub fn variable(&self) -> String {
        format!("LARDER_{}", self.name.to_ascii_uppercase())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;

    #[test]
    fn names_are_unique_and_plain() {
        for (at, setting) in SETTINGS.iter().enumerate() {
            assert!(setting.name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{}", setting.name);
            assert!(SETTINGS[..at].iter().all(|earlier| earlier.name != setting.name), "{}", setting.name);
            assert!(!setting.help.ends_with('.') && !setting.help.is_empty(), "{}", setting.name);
        }
    }

    #[test]
    fn groups_are_not_scattered() {
        let mut groups: Vec<_> = SETTINGS.iter().map(|setting| setting.group.title()).collect();
        groups.dedup();
        let mut unique = groups.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(groups.len(), unique.len(), "{groups:?}");
    }

    #[test]
    fn each_row_reads_its_default_into_its_own_field_and_shows_it_back() {
        let defaults = Settings::default();
        for setting in SETTINGS {
            let Some(text) = setting.default.fixed(&setting.kind) else { continue };
            let mut settings = defaults.clone();
            setting.kind.read(&mut settings, text.as_ref()).unwrap();
            assert_eq!(settings, defaults, "{}", setting.name);
            assert_eq!(setting.kind.show(&settings), text, "{}", setting.name);
        }
    }

    #[test]
    fn no_two_rows_share_a_field() {
        let other = |kind: &Kind| match kind {
            Kind::Path(_) | Kind::MaybePath(_) => "/elsewhere",
            Kind::MaybeGroup(_) | Kind::Users(_) | Kind::Groups(_) => "12345",
            Kind::Role(_) => "admin",
            Kind::MaybeAddress(_) => "[::1]:6379",
            Kind::Mode(_) => "0640",
            Kind::Bytes(..) | Kind::Length(..) => "768KiB",
            Kind::Count(..) => "17",
            Kind::Span(..) | Kind::MaybeSpan(..) => "321ms",
            Kind::Durability(_) => "fsync",
            Kind::Level(_) => "debug",
            Kind::Format(_) => "json",
            Kind::Told(_) => "KE",
        };
        for setting in SETTINGS {
            let mut settings = Settings::default();
            setting.kind.read(&mut settings, other(&setting.kind).as_ref()).unwrap();
            for shown in SETTINGS {
                let changed = shown.kind.show(&settings) != shown.kind.show(&Settings::default());
                assert_eq!(changed, shown.name == setting.name, "{} and {}", setting.name, shown.name);
            }
        }
    }
}
