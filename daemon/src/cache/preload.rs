//! Bringing back what was hot before the start: the keys of the last list are loaded into the memory tier, beside the
//! traffic. [`hot`](super::hot) saves the list.
//!
//! They go the way that clients' misses go, [`Cache::load`], so a row that is no longer current is not kept, and a key
//! that was deleted, overwritten or has expired since is as the tiers have it: the list says only what to ask for.

use std::sync::Arc;
use std::time::Duration;

use larder_protocol::Stat;
use tokio::time::{sleep, timeout};

use super::background::{LOAD_CHUNK, blocking};
use super::hot::IN_INTERVALS_MS_MAX;
use super::tiers::{LookUp, Source};
use super::{Cache, Inner};
use crate::clock::Stopwatch;
use crate::entry::Key;

/// Keys loaded at a time: what one reader does in one go, so that the others are free for clients' misses.
const BATCH: usize = LOAD_CHUNK;

/// Between two batches: the reader that did one is free about half of the time.
const PAUSE: Duration = Duration::from_millis(1);

/// How often a wait for a merge looks again by itself; it is told of every change, so this only bounds an oversight.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// The two times that the list is gone through.
#[derive(Debug)]
enum Pass<'a> {
    /// All keys. Those that the write buffer knows are noted: it may let go of them without the memory tier's having them.
    First(&'a mut Vec<Key>),
    /// What was in the write buffer, after it was merged.
    Second,
}

impl Cache {
    /// Preloads, and saves the list from then on; not before, or a list would lose what is still to be brought back.
    pub(super) async fn keep_hot_keys(self) {
        if self.0.config.hot_keys == 0 {
            let list = Arc::clone(&self.0.hot_list).lock_owned().await;
            blocking(move || list.remove()).await;
            return std::future::pending().await;
        }
        self.preload().await;
        loop {
            sleep(self.0.config.hot_keys_interval).await;
            if !self.0.inner.borrow().stopping {
                self.save_hot_keys(IN_INTERVALS_MS_MAX).await;
            }
        }
    }

    async fn preload(&self) {
        let watch = Stopwatch::start();
        let keys_max = self.0.config.hot_keys;
        let list = Arc::clone(&self.0.hot_list).lock_owned().await;
        let keys = blocking(move || {
            let mut keys = list.read();
            keys.truncate(keys_max);
            // Taken from the end.
            keys.reverse();
            keys
        })
        .await;
        let listed = keys.len();
        let recovering = {
            let mut inner = self.0.inner.borrow_mut();
            inner.hot.is_read = true;
            inner.hot.left = keys;
            inner.tiers.merging() && inner.tiers.releases() == 0
        };
        if listed == 0 {
            return;
        }
        let mut buffered = Vec::new();
        let mut preloaded = self.load_left(Pass::First(&mut buffered)).await;
        if recovering && !buffered.is_empty() {
            // What an earlier run had not merged. Having been asked for, it is taken into the memory tier with the merge,
            // unless the merge was past that already.
            self.first_merge().await;
            // Beside what a stop has left, if one has come.
            self.0.inner.borrow_mut().hot.left.extend(buffered);
            preloaded += self.load_left(Pass::Second).await;
        }
        tracing::info!("preloaded {preloaded} of {listed} hot entries in {} ms", watch.ms());
    }

    /// Loads what is left of the list, for as long as there is room in memory; the number of entries brought back.
    async fn load_left(&self, mut pass: Pass<'_>) -> u64 {
        let mut preloaded = 0;
        loop {
            let batch: Vec<Key> = {
                let inner = self.0.inner.borrow();
                let left = &inner.hot.left;
                if inner.stopping {
                    return preloaded;
                }
                left[left.len().saturating_sub(BATCH)..].to_vec()
            };
            if batch.is_empty() || !self.room_in_memory().await {
                // Dropping many keys takes a while.
                let left = std::mem::take(&mut self.0.inner.borrow_mut().hot.left);
                tokio::task::spawn_blocking(move || drop(left));
                return preloaded;
            }
            let loaded = self.load(batch.clone()).await;
            let now_ms = self.now_ms();
            let brought = self.0.inner.borrow_mut().take_stock(&batch, &mut pass, now_ms);
            drop(loaded);
            let Some(brought) = brought else { return preloaded };
            self.count(Stat::Preloaded, brought);
            preloaded += brought;
            sleep(PAUSE).await;
        }
    }

    /// Whether the memory tier takes more in without dropping something for it.
    async fn room_in_memory(&self) -> bool {
        let memory = self.0.inner.borrow().tiers.memory().clone();
        blocking(move || {
            memory.tidy();
            !memory.is_nearly_full()
        })
        .await
    }

    /// Waits until the write buffer has let go of what an earlier run had not merged.
    async fn first_merge(&self) {
        loop {
            let changed = self.0.changed.notified();
            {
                let inner = self.0.inner.borrow();
                if inner.tiers.releases() > 0 || inner.stopping {
                    return;
                }
            }
            let _ = timeout(LOOK_AGAIN, changed).await;
        }
    }
}

impl Inner {
    /// What has come of a batch whose rows are held: the number of entries brought back. `None` where the main file cannot
    /// be read.
    fn take_stock(&mut self, batch: &[Key], pass: &mut Pass<'_>, now_ms: i64) -> Option<u64> {
        let mut brought = 0;
        let mut skipped = Vec::new();
        for key in batch {
            match (self.tiers.look_up(key, now_ms), &mut *pass) {
                // In memory are those that a merge brought there, in the second pass or while the others were loaded.
                (LookUp::Known(Some(_), Source::Disk | Source::Memory), _) => brought += 1,
                (LookUp::Known(_, Source::Buffer), Pass::First(buffered)) => buffered.push(key.clone()),
                (LookUp::Known(..), _) => {}
                (LookUp::Unknown, _) => skipped.push(key.clone()),
                (LookUp::Failed(_), _) => return None,
            }
        }
        let left = &mut self.hot.left;
        left.truncate(left.len().saturating_sub(batch.len()));
        // A reader leaves some for the next time where values are large. Were it to leave all, this would never end.
        if skipped.len() < batch.len() {
            left.extend(skipped);
        }
        Some(brought)
    }
}
