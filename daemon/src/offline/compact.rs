//! `larderd compact`: merges the journals and makes the database as small as its entries allow.

use super::session::Session;
use super::{OfflineError, count, exact, lock};
use crate::clock::Clock;
use crate::config::Settings;
use crate::store::{self, Compacted};

pub(super) fn run(settings: &Settings, clock: Clock) -> Result<(), OfflineError> {
    let _lock = lock(&settings.data, "a running daemon gives room back by itself")?;
    store::refuse_unsound(&settings.data, false)?;
    Session::open(settings, clock)?.close()?;
    let Compacted { before, after, entries } = store::compact(&settings.data, clock.now_ms())?;
    println!("{} in the database", count(entries, "entry", "entries"));
    println!("before: {}", exact(before));
    println!("after:  {}", exact(after));
    Ok(())
}
