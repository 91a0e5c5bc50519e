//! `larderd compact`: merges the journals and makes the database as small as its entries allow.

use super::session::Session;
use super::{OfflineError, count, human, lock};
use crate::clock::Clock;
use crate::config::Settings;
use crate::store::{self, Compacted, FileBytes};

pub(super) fn run(settings: &Settings, clock: Clock) -> Result<(), OfflineError> {
    let _lock = lock(&settings.data, "a running daemon gives room back by itself")?;
    store::refuse_unsound(&settings.data, false)?;
    let before = FileBytes::in_dir(&settings.data);
    Session::open(settings, clock)?.close()?;
    let Compacted { before: merged, after, entries } = store::compact(&settings.data, clock.now_ms())?;
    println!(
        "{}: the database had {} ({} with its log and journals) and has {}",
        count(entries, "entry", "entries"),
        human(merged),
        human(before.main + before.wal + before.journals),
        human(after)
    );
    println!("bytes before {merged} after {after}");
    Ok(())
}
