//! What can be wrong with a configuration, and where a value came from.
//!
//! Used by the loader and shown to whoever starts the daemon. Each text names the setting, what is wrong with it and
//! where it was set, so that nobody has to search for it.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Where a setting's value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nothing set it.
    Default,
    /// A line of the configuration file.
    File {
        /// The file as it was named.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
    },
    /// The environment variable of this name.
    Environment(String),
    /// The option of this name, without its dashes.
    Option(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}, line {line}", path.display()),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Option(name) => write!(f, "option --{name}"),
        }
    }
}

/// Why there is no configuration to run with.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The command line is not one: the text is the complete message, with the usage.
    #[error("{0}")]
    Usage(String),
    /// The settings are wrong; everything found wrong, one line each.
    #[error("{}", lines(.0))]
    Settings(Vec<Problem>),
}

impl ConfigError {
    /// The process's exit status, by sysexits.h: 64 for the command line (`EX_USAGE`), 78 for the settings
    /// (`EX_CONFIG`). A service manager that knows them does not restart what cannot start.
    #[must_use]
    pub fn exit_status(&self) -> u8 {
        match self {
            Self::Usage(_) => 64,
            Self::Settings(_) => 78,
        }
    }
}

/// One thing wrong with the settings.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// A value that cannot be read or is out of range.
    #[error("{name} = {shown}: {why} ({origin})")]
    Value {
        /// The setting.
        name: &'static str,
        /// The value as it was written, in quotes if it was text.
        shown: String,
        /// What is wrong with it.
        why: String,
        /// Where it was set.
        origin: Origin,
    },
    /// A key of the file that is no setting.
    #[error("unknown setting \"{key}\"{}{} ({origin})", suggest(.nearest.as_deref()), hint(.nearest.as_deref()))]
    Key {
        /// The key.
        key: String,
        /// The setting that was probably meant.
        nearest: Option<String>,
        /// Where it stands.
        origin: Origin,
    },
    /// A variable that is no setting, but nearly one.
    #[error("unknown environment variable {variable}{}", suggest(Some(.nearest)))]
    Variable {
        /// The variable.
        variable: String,
        /// The variable that was probably meant.
        nearest: String,
    },
    /// A file that is not TOML.
    #[error("{message} ({}, line {line}); a setting is a line such as memory_cap = \"64MiB\"", .path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The parser's words.
        message: String,
    },
    /// A file that cannot be read.
    #[error("cannot read the configuration file {}: {source}; let this user read it, or name another with --config", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// A place that has no default for this user.
    #[error("no default for {name}: {why}; name one with --{name} or {variable}")]
    NoPlace {
        /// The setting.
        name: &'static str,
        /// What is missing.
        why: String,
        /// The variable that would set it.
        variable: String,
    },
    /// Two settings that do not go together.
    #[error("{0}")]
    Conflict(String),
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

fn suggest(nearest: Option<&str>) -> String {
    nearest.map(|name| format!("; did you mean {name}?")).unwrap_or_default()
}

fn hint(nearest: Option<&str>) -> &'static str {
    if nearest.is_some() { "" } else { "; --help lists them all" }
}
