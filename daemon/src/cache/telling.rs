//! Changes of keys, for those who are told of them: noted as commands run, told after their commit.

use super::{Cache, Inner};
use crate::notices::{Notice, NoticeKind, Told};

impl Cache {
    /// Which changes of keys are told from now on.
    pub(super) fn tell_changes(&self, told: Told) {
        let inner = &mut *self.0.inner.borrow_mut();
        inner.notices.tell(told);
        inner
            .tiers
            .memory()
            .removed_keys()
            .want(told.tells(NoticeKind::Expired) || told.tells(NoticeKind::Evicted));
    }

    /// Changes of keys that are committed and have not been told yet, and where they are to be told.
    #[must_use]
    pub fn take_notices(&self) -> (Told, Vec<Notice>) {
        let Inner { notices, tiers, .. } = &mut *self.0.inner.borrow_mut();
        notices.add(tiers.memory().removed_keys().take());
        notices.take()
    }

    /// Resolves when there are changes to tell.
    pub async fn noticed(&self) {
        self.0.noticed.notified().await;
    }
}
