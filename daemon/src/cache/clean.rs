//! Clean-up: removing what has expired, in the interval and on request. One sweep at a time is under way; who asks
//! meanwhile shares the next one.

use std::time::Duration;

use larder_protocol::Stat;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout, timeout_at};

use super::{Cache, Inner};
use crate::error::CommandError;
use crate::store::{Evicted, Store, StoreError, Swept};

/// How often [`Cache::merge_all`] looks again by itself; it is told of every change, so this only bounds an oversight.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// The sweeps under way and asked for.
#[derive(Debug, Default)]
pub(super) struct Cleaning {
    /// Those that the sweep under way is for; `None` where none is.
    sweeping: Option<Vec<Asked>>,
    /// Those that the next sweep is for.
    waiting: Vec<Asked>,
    /// Clean-ups that wait for what is in the write buffer to be merged.
    awaiting_merge: usize,
    /// Expired entries that were dropped by merges for them, and that none of them has answered for yet.
    dropped: u64,
}

/// A clean-up that a client waits for.
#[derive(Debug)]
struct Asked {
    /// Entries already removed for it, from the write buffer.
    dropped: u64,
    /// Told how many were removed in all.
    done: oneshot::Sender<Result<u64, CommandError>>,
}

impl Cleaning {
    /// Whether a client waits for the sweep under way.
    pub(super) fn is_asked_for(&self) -> bool {
        self.sweeping.as_ref().is_some_and(|asked| !asked.is_empty())
    }

    /// A merge has dropped expired entries.
    pub(super) fn merged(&mut self, dropped: u64) {
        if self.awaiting_merge > 0 {
            self.dropped += dropped;
        }
    }
}

/// A clean-up that waits for a merge, counted for as long as it does, also where its client goes away meanwhile.
struct AwaitingMerge<'a>(&'a Cache);

impl<'a> AwaitingMerge<'a> {
    fn new(cache: &'a Cache) -> Self {
        cache.0.inner.borrow_mut().cleaning.awaiting_merge += 1;
        Self(cache)
    }

    /// The entries dropped meanwhile, as far as no other clean-up has answered for them.
    fn claim(self) -> u64 {
        std::mem::take(&mut self.0.0.inner.borrow_mut().cleaning.dropped)
    }
}

impl Drop for AwaitingMerge<'_> {
    fn drop(&mut self) {
        let mut inner = self.0.0.inner.borrow_mut();
        let cleaning = &mut inner.cleaning;
        cleaning.awaiting_merge -= 1;
        if cleaning.awaiting_merge == 0 {
            cleaning.dropped = 0;
        }
    }
}

impl Cache {
    pub(super) async fn clean_in_intervals(self) {
        // The first run is at once: what expired while the daemon was down goes first.
        loop {
            if let Err(error) = self.0.inner.borrow_mut().sweep(None) {
                tracing::warn!("clean-up by interval left out: {error}");
            }
            let began = Instant::now();
            // A shorter interval that comes with a reload counts from the last run as well.
            while timeout_at(began + self.0.live.get().cleanup_interval, self.0.applied.notified())
                .await
                .is_ok()
            {}
        }
    }

    /// Removes everything expired now, from the write buffer as well; the number of entries removed. Where several ask at
    /// the same time, what is removed is counted for one of them.
    ///
    /// # Errors
    /// Where the keeper cannot do it.
    pub async fn clean_up(&self) -> Result<u64, CommandError> {
        let awaiting = AwaitingMerge::new(self);
        // What expired in the write buffer is dropped when it is merged.
        self.merge_all().await?;
        let (done, removed) = oneshot::channel();
        let asked = Asked { dropped: awaiting.claim(), done };
        self.0.inner.borrow_mut().sweep(Some(asked)).map_err(|error| not_begun("the clean-up", &error))?;
        removed.await.map_err(|_| CommandError::Stopping)?
    }

    /// Waits until everything written before is in the main file.
    pub(super) async fn merge_all(&self) -> Result<(), CommandError> {
        self.commit();
        let target = self.0.inner.borrow().tiers.active().id();
        loop {
            let changed = self.0.changed.notified();
            {
                let mut inner = self.0.inner.borrow_mut();
                if inner.tiers.has_merged(target) {
                    return Ok(());
                }
                if let Some(reason) = inner.stuck() {
                    return Err(CommandError::Full(reason.to_owned()));
                }
                if inner.tiers.active().id() == target {
                    self.seal_if(&mut inner, |_, _, _| true);
                }
                // Somebody waits for it.
                inner.tiers.await_merge();
            }
            let _ = timeout(LOOK_AGAIN, changed).await;
        }
    }
}

impl Inner {
    pub(super) fn evicted(&mut self, evicted: &Evicted) {
        self.accounting = evicted.accounting;
        self.counters.add(Stat::Evictions, evicted.rows as u64);
        self.counters.add(Stat::EvictedBytes, evicted.bytes as u64);
        self.counters.add(Stat::Expirations, evicted.expired as u64);
    }

    /// Has expired rows removed, now or right after the sweep under way.
    fn sweep(&mut self, asked: Option<Asked>) -> Result<(), StoreError> {
        let Cleaning { sweeping, waiting, .. } = &mut self.cleaning;
        if sweeping.is_some() {
            // A clean-up by interval while one is under way is left out.
            waiting.extend(asked);
            return Ok(());
        }
        self.store.as_ref().ok_or(StoreError::KeeperGone)?.sweep()?;
        *sweeping = Some(asked.into_iter().collect());
        Ok(())
    }

    pub(super) fn swept(&mut self, swept: &Swept, now_ms: i64) {
        self.accounting = swept.accounting;
        let asked = self.cleaning.sweeping.take().unwrap_or_default();
        let dropped: u64 = asked.iter().map(|asked| asked.dropped).sum();
        let rows = swept.rows as u64 + dropped;
        let counters = &mut self.counters;
        counters.bump(Stat::CleanupRuns);
        counters.add(Stat::CleanupRows, rows);
        counters.add(Stat::Expirations, swept.rows as u64);
        counters.set(Stat::CleanupLastTimeMs, now_ms as u64);
        counters.set(Stat::CleanupLastRows, rows);
        counters.set(Stat::CleanupLastMs, swept.ms);
        counters.add(Stat::CleanupTotalMs, swept.ms);
        let mut swept_rows = swept.rows as u64;
        for Asked { dropped, done } in asked {
            // Whoever asked may have gone away meanwhile.
            let _ = done.send(Ok(dropped + std::mem::take(&mut swept_rows)));
        }
        let waiting = std::mem::take(&mut self.cleaning.waiting);
        if waiting.is_empty() {
            return;
        }
        match self.store.as_ref().ok_or(StoreError::KeeperGone).and_then(Store::sweep) {
            Ok(()) => self.cleaning.sweeping = Some(waiting),
            Err(error) => {
                for Asked { done, .. } in waiting {
                    let _ = done.send(Err(not_begun("the clean-up", &error)));
                }
            }
        }
    }
}

/// What a client is told for whom the keeper could not be asked to do something.
pub(super) fn not_begun(what: &'static str, error: &StoreError) -> CommandError {
    match error {
        StoreError::KeeperBusy => CommandError::KeeperBusy { what },
        _ => CommandError::Stopping,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_keeper_is_not_the_end() {
        let busy = not_begun("the clean-up", &StoreError::KeeperBusy).to_string();
        assert!(busy.starts_with("BUSY the clean-up was not begun") && busy.contains("try again"), "{busy}");
        assert_eq!(not_begun("the clean-up", &StoreError::KeeperGone), CommandError::Stopping);
    }
}
