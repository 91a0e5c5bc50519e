//! The subcommands: looking after a data directory while no daemon runs on it. `larderd backup` also works while one does,
//! by asking it, and `larderd warm` only while one does.
//!
//! Used by `main`. Each takes the data directory's lock, so that no daemon comes in between, prints its result on standard
//! output, and what went wrong on standard error. What touches the files is in the store; nothing here knows SQL.

mod ask;
mod backup;
mod check;
mod compact;
mod doctor;
mod export;
mod import;
mod progress;
mod session;
mod warm;

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::clock::Clock;
use crate::config::{Config, Level, Task};
use crate::endpoint::{self, DataLock, EndpointError};
use crate::logging;
use crate::store::StoreError;

/// The status of a check that could not look.
const COULD_NOT_LOOK: u8 = 2;

/// Why a subcommand did not do what it should.
#[derive(Debug, thiserror::Error)]
enum OfflineError {
    /// Something about the directory or its lock.
    #[error(transparent)]
    Endpoint(EndpointError),
    /// A daemon runs on the data.
    #[error("{source}; {instead}")]
    Running {
        /// Which, and where.
        source: EndpointError,
        /// What can be done while it does.
        instead: &'static str,
    },
    /// There is nothing to work on.
    #[error("there is no data directory {}; name it with --data", .0.display())]
    NoData(PathBuf),
    /// Something about the files.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A stream that is read or written.
    #[error("cannot {action} {name}: {source}")]
    Stream {
        /// As a verb.
        action: &'static str,
        /// The file's path, or which of the standard streams.
        name: String,
        /// The system's own words.
        source: io::Error,
    },
    /// The daemon could not be asked, or said no.
    #[error("{0}")]
    Daemon(String),
    /// Done in part; the text says how far.
    #[error("{0}")]
    Partly(String),
}

/// Does what `task` says. The process's exit status.
#[must_use]
pub fn run(task: &Task, config: &Config) -> ExitCode {
    // A start of the daemon is worth a line of the log, and these start parts of it.
    let level = if config.settings.log_level == Level::Error { Level::Error } else { Level::Warn };
    let journal = std::env::var_os("JOURNAL_STREAM");
    let style = logging::Style::detect(journal.as_deref());
    let _ = logging::init(level, config.settings.log_format, style);
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let settings = &config.settings;
    let clock = Clock::start();
    let done = match task {
        Task::Check => match check::run(settings, clock) {
            Ok(true) => return ExitCode::SUCCESS,
            Ok(false) => return ExitCode::FAILURE,
            Err(error) => {
                eprintln!("larderd: {error}");
                return ExitCode::from(COULD_NOT_LOOK);
            }
        },
        Task::Doctor => return if doctor::run(config) { ExitCode::SUCCESS } else { ExitCode::FAILURE },
        Task::Compact => compact::run(settings, clock),
        Task::Backup { file } => backup::run(file, config, clock),
        Task::Export { output } => export::run(output.as_deref(), settings, clock),
        Task::Import { input } => import::run(input.as_deref(), settings, clock),
        Task::Warm { input } => warm::run(input.as_deref(), settings),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("larderd: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Takes the data directory, which must exist. Where a daemon has it, the error says what to do `instead`.
fn lock(data: &Path, instead: &'static str) -> Result<DataLock, OfflineError> {
    if !data.is_dir() {
        return Err(OfflineError::NoData(data.to_owned()));
    }
    lock_or_create(data, instead)
}

/// As [`lock`], creating the directory where it is missing.
fn lock_or_create(data: &Path, instead: &'static str) -> Result<DataLock, OfflineError> {
    endpoint::lock_data(data).map_err(|error| match error {
        source @ EndpointError::Taken { .. } => OfflineError::Running { source, instead },
        other => OfflineError::Endpoint(other),
    })
}

/// For `map_err`: names what was done to which stream.
fn stream(action: &'static str, name: impl Into<String>) -> impl FnOnce(io::Error) -> OfflineError {
    let name = name.into();
    move |source| OfflineError::Stream { action, name, source }
}

/// What an input is called in messages.
fn input_name(input: Option<&Path>) -> String {
    input.map_or_else(|| "standard input".to_owned(), |path| path.display().to_string())
}

/// Bytes as people read them: `12.3 MiB`.
#[expect(clippy::cast_precision_loss, reason = "rounded to one decimal anyway")]
fn human(bytes: u64) -> String {
    let mut amount = bytes as f64;
    for unit in ["bytes", "KiB", "MiB", "GiB"] {
        if amount < 1024.0 {
            return if unit == "bytes" { format!("{bytes} bytes") } else { format!("{amount:.1} {unit}") };
        }
        amount /= 1024.0;
    }
    format!("{amount:.1} TiB")
}

/// As [`human`], with the number that a script would want.
fn exact(bytes: u64) -> String {
    if bytes < 1_024 { human(bytes) } else { format!("{} ({bytes} bytes)", human(bytes)) }
}

/// `1 entry`, `2 entries`.
fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_readable() {
        for (bytes, text) in [
            (0, "0 bytes"),
            (1_023, "1023 bytes"),
            (1_024, "1.0 KiB"),
            (12_897_485, "12.3 MiB"),
            (5 << 30, "5.0 GiB"),
            (3 << 40, "3.0 TiB"),
            (u64::MAX, "16777216.0 TiB"),
        ] {
            assert_eq!(human(bytes), text);
        }
        assert_eq!(
            (count(1, "entry", "entries"), count(0, "entry", "entries")),
            ("1 entry".into(), "0 entries".into())
        );
    }
}
