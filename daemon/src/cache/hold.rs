//! Having a turn to oneself: what a transaction needs whose commands take several turns of the event loop.
//!
//! While a [`Hold`] is there nothing is committed, other connections run no commands, and walks begun by its owner see
//! what the owner has written. So what the owner does is one step for everybody else, and one commit in the journal.
//! Transactions without such commands do not need it: they run in one step anyway.

use std::future::poll_fn;
use std::pin::Pin;

use super::Cache;
use crate::error::CommandError;

/// The turn, for as long as this is held. Dropped without [`commit`](Self::commit), what was written is forgotten.
#[derive(Debug)]
pub struct Hold<'a> {
    cache: &'a Cache,
    committed: bool,
}

impl Cache {
    /// Waits until nobody else has the turn, commits what was written before, and takes it.
    pub async fn hold(&self) -> Hold<'_> {
        self.unheld().await;
        self.commit();
        self.0.held.set(true);
        Hold { cache: self, committed: false }
    }

    /// Whether somebody has the turn to himself, so that no command may run.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.0.held.get()
    }

    /// Waits until nobody has the turn to himself.
    pub async fn unheld(&self) {
        loop {
            let changed = self.0.changed.notified();
            if !self.is_held() {
                return;
            }
            changed.await;
        }
    }

    /// Whether what runs now must keep away from the tiers because somebody else has the turn.
    pub(super) fn is_held_by_another(&self) -> bool {
        self.0.held.get() && !self.0.holder_runs.get()
    }
}

impl Hold<'_> {
    /// Runs `work` as the owner.
    pub async fn run<T>(&self, mut work: Pin<Box<dyn Future<Output = T> + '_>>) -> T {
        poll_fn(|context| {
            self.enter(true);
            let polled = work.as_mut().poll(context);
            self.enter(false);
            polled
        })
        .await
    }

    /// Commits everything that was written, together.
    ///
    /// # Errors
    /// Where that failed: nothing of it was done, or nobody knows.
    pub async fn commit(mut self) -> Result<(), CommandError> {
        self.committed = true;
        let cache = self.cache;
        let written = cache.0.inner.borrow().tiers.has_pending();
        let turn = cache.turn().filter(|_| written);
        drop(self);
        cache.commit();
        match turn {
            Some(turn) => turn.committed().await,
            None => Ok(()),
        }
    }

    fn enter(&self, inside: bool) {
        self.cache.0.holder_runs.set(inside);
        let mut inner = self.cache.0.inner.borrow_mut();
        inner.tiers.show_pending(inside);
        inner.walks.forget_pending();
    }
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        self.enter(false);
        if !self.committed {
            let inner = &mut *self.cache.0.inner.borrow_mut();
            inner.tiers.discard();
            inner.notices.discard();
        }
        self.cache.0.held.set(false);
        self.cache.0.changed.notify_waiters();
    }
}
