//! Keeping the front within its room, beside the commands.

use std::time::Duration;

use super::Cache;
use super::background::at_leisure;

impl Cache {
    /// Whoever finds the front too large and has done as much as a command may leaves the rest to this.
    pub(super) async fn keep_the_front_small(self) {
        loop {
            self.0.front_is_behind.notified().await;
            self.fit_front().await;
        }
    }

    /// Has the front give up what the memory tier has taken since; others run in between.
    pub(super) async fn fit_front(&self) {
        while !self.0.inner.borrow_mut().tiers.copies_mut().fit_front() {
            tokio::task::yield_now().await;
        }
    }

    /// moka lets go of what is as old as this by itself.
    pub(super) async fn empty_the_front_in_intervals(self, half: Duration) {
        loop {
            tokio::time::sleep(half).await;
            let front = self.0.inner.borrow_mut().tiers.copies_mut().take_front();
            at_leisure(move || front.free());
        }
    }
}
