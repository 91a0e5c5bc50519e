//! Whether the cache works, found out by using it: for the watchdog.

use std::rc::Rc;

use super::Cache;
use super::tiers::LookUp;
use crate::clock::Stopwatch;
use crate::entry::{Key, State};
use crate::error::CommandError;
use crate::random;

/// The keys of a probe. Random, so that nobody else has them.
#[derive(Debug)]
pub(super) struct Probe {
    written: Key,
    read: Key,
}

impl Default for Probe {
    fn default() -> Self {
        let key = || format!("\0probe {}", random::name()).as_bytes().into();
        Self { written: key(), read: key() }
    }
}

impl Cache {
    /// Writes something and waits until it is committed, then has a row read from the main file. What is written is the
    /// deletion of a key that nobody has, so that nobody sees anything of it.
    ///
    /// A write that is refused counts as answered: the disk may be full, and that is told by other means.
    ///
    /// # Errors
    /// Where what was committed is not visible, a row cannot be read, or the daemon is about to end.
    pub async fn probe(&self) -> Result<(), CommandError> {
        // Who has the turn to itself may give it up, and all that is written in it.
        self.unheld().await;
        let turn = {
            let mut inner = self.0.inner.borrow_mut();
            let inner = &mut *inner;
            if inner.stopping {
                return Err(CommandError::Stopping);
            }
            inner.tiers.write(&inner.probe.written, State::Deleted);
            Rc::clone(&inner.turn)
        };
        // Where writes are answered before their commit, that may be far off.
        self.commit();
        self.0.work.notify_one();
        match turn.committed().await {
            Err(CommandError::Full(_)) => {}
            outcome => {
                outcome?;
                self.check_probe()?;
            }
        }
        let key = self.0.inner.borrow().probe.read.clone();
        let loaded = self.load(vec![key.clone()]).await;
        let now_ms = self.0.clock.ms_at(Stopwatch::start());
        let found = self.0.inner.borrow_mut().tiers.look_up(&key, now_ms);
        drop(loaded);
        match found {
            LookUp::Failed(error) => Err(super::view::unreadable(&error)),
            LookUp::Known(..) | LookUp::Unknown => Ok(()),
        }
    }

    /// What was committed has to be there.
    fn check_probe(&self) -> Result<(), CommandError> {
        let mut inner = self.0.inner.borrow_mut();
        let inner = &mut *inner;
        match inner.tiers.look_up(&inner.probe.written, self.0.clock.now_ms()) {
            // Unknown is what it is once it has been merged.
            LookUp::Known(None, _) | LookUp::Unknown => Ok(()),
            LookUp::Known(Some(_), _) => Err(CommandError::Unreadable("a deleted key is still there".into())),
            LookUp::Failed(error) => Err(super::view::unreadable(&error)),
        }
    }
}
