//! The types of settings: how each is read from text, checked against its range and printed.
//!
//! Used by the table's rows and by everything that reads or prints one. Knows no setting by name and no source.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::units::{self, show_bytes, show_span};
use super::{Durability, Format, Level, Settings};
use crate::access::Role;
use crate::access::names::{Groups, Named, Users};
use crate::notices::Told;

/// How to reach one field of [`Settings`].
#[derive(Debug)]
pub struct Field<T> {
    pub(super) of: fn(&Settings) -> &T,
    pub(super) of_mut: fn(&mut Settings) -> &mut T,
}

/// A setting's type, with its range where it has one.
#[derive(Debug)]
pub enum Kind {
    /// A path of a file or directory.
    Path(Field<PathBuf>),
    /// A path of a file, or nothing for none.
    MaybePath(Field<Option<PathBuf>>),
    /// Permission bits.
    Mode(Field<u32>),
    /// A group, or nothing for none.
    MaybeGroup(Field<Option<Named>>),
    /// Users.
    Users(Field<Users>),
    /// Groups.
    Groups(Field<Groups>),
    /// What a client may do.
    Role(Field<Role>),
    /// An IP address and a port, or nothing for none.
    MaybeAddress(Field<Option<SocketAddr>>),
    /// A size that is stored, on disk or in memory.
    Bytes(Field<u64>, RangeInclusive<u64>),
    /// A size of something that is held in memory whole.
    Length(Field<usize>, RangeInclusive<u64>),
    /// A number of things.
    Count(Field<usize>, RangeInclusive<u64>),
    /// A duration.
    Span(Field<Duration>, RangeInclusive<Duration>),
    /// A duration, or 0 for none.
    MaybeSpan(Field<Option<Duration>>, RangeInclusive<Duration>),
    /// When a write is answered.
    Durability(Field<Durability>),
    /// The least important event that is logged.
    Level(Field<Level>),
    /// What a line of the log looks like.
    Format(Field<Format>),
    /// Which changes of keys are told.
    Told(Field<Told>),
}

/// Does the same with the field, whatever its type.
macro_rules! with_field {
    ($kind:expr, $field:ident => $do:expr) => {
        match $kind {
            Kind::Path($field) => $do,
            Kind::MaybePath($field) => $do,
            Kind::Mode($field) => $do,
            Kind::MaybeGroup($field) => $do,
            Kind::Users($field) => $do,
            Kind::Groups($field) => $do,
            Kind::Role($field) => $do,
            Kind::MaybeAddress($field) => $do,
            Kind::Bytes($field, _) => $do,
            Kind::Length($field, _) => $do,
            Kind::Count($field, _) => $do,
            Kind::Span($field, _) => $do,
            Kind::MaybeSpan($field, _) => $do,
            Kind::Durability($field) => $do,
            Kind::Level($field) => $do,
            Kind::Format($field) => $do,
            Kind::Told($field) => $do,
        }
    };
}

impl Kind {
    /// What stands for the value in the help.
    #[must_use]
    pub fn placeholder(&self) -> &'static str {
        match self {
            Self::Path(_) | Self::MaybePath(_) => "PATH",
            Self::MaybeGroup(_) => "GROUP",
            Self::Users(_) => "USERS",
            Self::Groups(_) => "GROUPS",
            Self::Role(_) => "ROLE",
            Self::MaybeAddress(_) => "ADDRESS:PORT",
            Self::Mode(_) => "MODE",
            Self::Bytes(..) | Self::Length(..) => "SIZE",
            Self::Count(..) => "N",
            Self::Span(..) | Self::MaybeSpan(..) => "DURATION",
            Self::Durability(_) => "WHEN",
            Self::Level(_) => "LEVEL",
            Self::Format(_) => "FORMAT",
            Self::Told(_) => "LETTERS",
        }
    }

    /// Whether the file holds the value as a string rather than as a number.
    #[must_use]
    pub fn is_text(&self) -> bool {
        !matches!(self, Self::Count(..))
    }

    /// The range as the help shows it, where there is one.
    #[must_use]
    pub fn range(&self) -> Option<String> {
        match self {
            Self::Bytes(_, range) | Self::Length(_, range) => {
                Some(format!("{} to {}", show_bytes(*range.start()), show_bytes(*range.end())))
            }
            Self::Count(_, range) => Some(format!("{} to {}", range.start(), range.end())),
            Self::Span(_, range) | Self::MaybeSpan(_, range) => {
                Some(format!("{} to {}", show_span(*range.start()), show_span(*range.end())))
            }
            Self::Path(_)
            | Self::MaybePath(_)
            | Self::Mode(_)
            | Self::MaybeGroup(_)
            | Self::Users(_)
            | Self::Groups(_)
            | Self::Role(_)
            | Self::MaybeAddress(_)
            | Self::Durability(_)
            | Self::Level(_)
            | Self::Format(_)
            | Self::Told(_) => None,
        }
    }

    /// Whether two settings differ in it. A list of groups does where their members differ.
    #[must_use]
    pub fn differs(&self, a: &Settings, b: &Settings) -> bool {
        with_field!(self, field => (field.of)(a) != (field.of)(b))
    }

    /// Takes the value over.
    pub fn copy(&self, from: &Settings, to: &mut Settings) {
        with_field!(self, field => (field.of)(from).clone_into((field.of_mut)(to)));
    }

    /// Whether its text is the path of something.
    #[must_use]
    pub fn is_path(&self) -> bool {
        matches!(self, Self::Path(_) | Self::MaybePath(_))
    }

    /// Reads `text`, checks its range and stores the value in its field. Nothing is stored when it is wrong.
    ///
    /// # Errors
    /// What is wrong with the text, and what would be right; without the setting's name and the text itself.
    pub fn read(&self, settings: &mut Settings, text: &OsStr) -> Result<(), String> {
        match self {
            Self::Path(field) => {
                *(field.of_mut)(settings) = read_path(text)?;
                return Ok(());
            }
            Self::MaybePath(field) => {
                *(field.of_mut)(settings) = if text.is_empty() { None } else { Some(read_path(text)?) };
                return Ok(());
            }
            _ => {}
        }
        let text = text.to_str().ok_or("not UTF-8")?;
        match self {
            Self::Path(_) | Self::MaybePath(_) => {
                unreachable!("paths need not be UTF-8 and were read above")
            }
            Self::MaybeGroup(field) => {
                *(field.of_mut)(settings) = if text.is_empty() { None } else { Some(Named::group(text)?) };
            }
            Self::Users(field) => *(field.of_mut)(settings) = text.parse()?,
            Self::Groups(field) => *(field.of_mut)(settings) = text.parse()?,
            Self::Role(field) => *(field.of_mut)(settings) = choose(text, Role::ALL, Role::as_str)?,
            Self::MaybeAddress(field) => *(field.of_mut)(settings) = read_address(text)?,
            Self::Mode(field) => *(field.of_mut)(settings) = units::parse_mode(text)?,
            Self::Bytes(field, range) => {
                *(field.of_mut)(settings) = self.in_range(units::parse_bytes(text)?, range)?;
            }
            Self::Length(field, range) => {
                *(field.of_mut)(settings) = to_usize(self.in_range(units::parse_bytes(text)?, range)?)?;
            }
            Self::Count(field, range) => {
                *(field.of_mut)(settings) = to_usize(self.in_range(units::parse_count(text)?, range)?)?;
            }
            Self::Span(field, range) => {
                *(field.of_mut)(settings) = self.in_range(units::parse_span(text)?, range)?;
            }
            Self::MaybeSpan(field, range) => {
                let span = self.in_range(units::parse_span(text)?, range)?;
                *(field.of_mut)(settings) = (!span.is_zero()).then_some(span);
            }
            Self::Durability(field) => {
                *(field.of_mut)(settings) = choose(text, Durability::ALL, Durability::as_str)?;
            }
            Self::Level(field) => *(field.of_mut)(settings) = choose(text, Level::ALL, Level::as_str)?,
            Self::Format(field) => *(field.of_mut)(settings) = choose(text, Format::ALL, Format::as_str)?,
            Self::Told(field) => *(field.of_mut)(settings) = text.parse()?,
        }
        Ok(())
    }

    /// The value in its field, as [`Kind::read`] takes it.
    #[must_use]
    pub fn show(&self, settings: &Settings) -> String {
        match self {
            Self::Path(field) => (field.of)(settings).display().to_string(),
            Self::MaybePath(field) => {
                (field.of)(settings).as_ref().map(|path| path.display().to_string()).unwrap_or_default()
            }
            Self::MaybeGroup(field) => shown((field.of)(settings).as_ref()),
            Self::Users(field) => (field.of)(settings).to_string(),
            Self::Groups(field) => (field.of)(settings).to_string(),
            Self::Role(field) => (field.of)(settings).as_str().to_owned(),
            Self::MaybeAddress(field) => shown((field.of)(settings).as_ref()),
            Self::Mode(field) => format!("{:04o}", (field.of)(settings)),
            Self::Bytes(field, _) => show_bytes(*(field.of)(settings)),
            Self::Length(field, _) => show_bytes(*(field.of)(settings) as u64),
            Self::Count(field, _) => (field.of)(settings).to_string(),
            Self::Span(field, _) => show_span(*(field.of)(settings)),
            Self::MaybeSpan(field, _) => show_span((field.of)(settings).unwrap_or_default()),
            Self::Durability(field) => (field.of)(settings).as_str().to_owned(),
            Self::Level(field) => (field.of)(settings).as_str().to_owned(),
            Self::Format(field) => (field.of)(settings).as_str().to_owned(),
            Self::Told(field) => (field.of)(settings).to_string(),
        }
    }

    fn in_range<T: PartialOrd + Copy>(&self, value: T, range: &RangeInclusive<T>) -> Result<T, String> {
        if range.contains(&value) {
            return Ok(value);
        }
        let range = self.range().expect("a kind with a range can show it");
        Err(format!("out of range; from {range}"))
    }
}

/// A value, or nothing where there is none.
fn shown(value: Option<&impl ToString>) -> String {
    value.map(ToString::to_string).unwrap_or_default()
}

fn read_address(text: &str) -> Result<Option<SocketAddr>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let address = text.replace("localhost:", "127.0.0.1:");
    address.parse().map(Some).map_err(|_| "not an address and port such as 127.0.0.1:6379".to_owned())
}

/// A path that is meant the same from anywhere: `~` and `$HOME` are a shell's business and would become a directory of
/// that name.
fn read_path(text: &OsStr) -> Result<PathBuf, String> {
    let path = Path::new(text);
    if text.is_empty() {
        Err("an empty path".to_owned())
    } else if path.starts_with("~") || text.as_encoded_bytes().starts_with(b"$") {
        Err("~ and variables are not expanded here; write the path out".to_owned())
    } else {
        Ok(path.to_path_buf())
    }
}

fn choose<T: Copy>(text: &str, all: &[T], word: fn(T) -> &'static str) -> Result<T, String> {
    all.iter().copied().find(|choice| word(*choice) == text).ok_or_else(|| {
        let words: Vec<_> = all.iter().map(|choice| word(*choice)).collect();
        format!("not one of {}", words.join(", "))
    })
}

fn to_usize(number: u64) -> Result<usize, String> {
    usize::try_from(number).map_err(|_| "too large for this machine".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::table::find;

    #[test]
    fn bad_values_say_what_would_be_right() {
        let cases = [
            ("memory_cap", "12 parsecs", "not a size; use bytes or a unit like 64MiB"),
            ("readers", "65", "out of range; from 1 to 64"),
            ("readers", "0", "out of range; from 1 to 64"),
            ("sync_interval", "2s", "out of range; from 1ms to 1s"),
            ("durability", "Commit", "not one of commit, fsync, memory"),
            ("log_level", "trace", "not one of error, warn, info, debug"),
            ("log_format", "xml", "not one of text, json"),
            ("socket", "", "an empty path"),
            ("tcp", "6379", "not an address and port such as 127.0.0.1:6379"),
            ("tcp_role", "root", "not one of read-only, normal, admin"),
            ("data", "~/larder", "~ and variables are not expanded here; write the path out"),
            ("data", "$HOME/larder", "~ and variables are not expanded here; write the path out"),
        ];
        for (name, text, why) in cases {
            let mut settings = Settings::default();
            let result = find(name).unwrap().kind.read(&mut settings, text.as_ref());
            assert_eq!(result, Err(why.to_owned()), "{name} = {text}");
            assert_eq!(settings, Settings::default(), "a wrong value must not be stored");
        }
    }
}
