//! `larderd backup`: one file with all entries, from a running daemon or without one.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::session::Session;
use super::{OfflineError, ask, exact, lock, stream};
use crate::clock::Clock;
use crate::config::{Config, Origin, Settings};
use crate::store;

pub(super) fn run(file: &Path, config: &Config, clock: Clock) -> Result<(), OfflineError> {
    let settings = &config.settings;
    // The daemon has a working directory of its own.
    let target = std::path::absolute(file).map_err(stream("resolve", file.display().to_string()))?;
    let bytes = if names_only_the_socket(config) {
        from_daemon(&target, settings, None)?
    } else {
        match lock(&settings.data, "") {
            Ok(_lock) => without_daemon(&target, settings, clock)?,
            Err(OfflineError::Running { .. }) => from_daemon(&target, settings, Some(&settings.data))?,
            Err(error) => return Err(error),
        }
    };
    println!("{}: {}", target.display(), exact(bytes));
    Ok(())
}

/// Whether somebody named a daemon by its socket, and no directory.
fn names_only_the_socket(config: &Config) -> bool {
    let by_option = |name| matches!(config.origin(name), Some(Origin::Option(_)));
    by_option("socket") && !by_option("data")
}

fn from_daemon(target: &Path, settings: &Settings, data: Option<&Path>) -> Result<u64, OfflineError> {
    let bytes = ask::backup(&settings.socket, target, data)?;
    // A service often has a /tmp of its own. Whoever may not look there, cannot tell.
    if std::fs::metadata(target).is_err_and(|error| error.kind() == ErrorKind::NotFound) {
        return Err(OfflineError::Daemon(format!(
            "the daemon has written {}, and it is not there: the daemon sees other files under that name, as services \
             do in /tmp; name a directory that it shares, such as its data directory",
            target.display()
        )));
    }
    Ok(bytes)
}

fn without_daemon(target: &Path, settings: &Settings, clock: Clock) -> Result<u64, OfflineError> {
    store::refuse_unsound(&settings.data, false)?;
    let mut session = Session::open(settings, clock)?;
    let copied = session.back_up(PathBuf::from(target));
    session.close()?;
    Ok(copied?.bytes)
}
