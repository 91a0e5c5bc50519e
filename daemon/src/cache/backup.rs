//! Backups of what is stored, while it is being written. One at a time is under way.

use std::path::PathBuf;

use larder_protocol::Stat;
use tokio::sync::oneshot;

use super::clean::not_begun;
use super::{Cache, Inner};
use crate::error::CommandError;
use crate::store::{BackedUp, StoreError};

/// The backup under way.
#[derive(Debug, Default)]
pub(super) enum BackingUp {
    #[default]
    None,
    /// What was written before is being merged.
    AwaitingMerge,
    /// The keeper is writing it, for whoever hears of its end here.
    Copying(oneshot::Sender<Result<u64, CommandError>>),
}

/// A backup that waits for a merge. Where its client goes away meanwhile it is off.
struct AwaitingMerge<'a>(&'a Cache);

impl Drop for AwaitingMerge<'_> {
    fn drop(&mut self) {
        let backing_up = &mut self.0.0.inner.borrow_mut().backing_up;
        if matches!(backing_up, BackingUp::AwaitingMerge) {
            *backing_up = BackingUp::None;
        }
    }
}

impl Cache {
    /// Writes a copy of the database to `target`, an absolute path: with everything that was answered before, and
    /// possibly some of what is written meanwhile. The size of the copy.
    ///
    /// # Errors
    /// Where another is under way, or it cannot be written; nothing is left of it then.
    pub async fn back_up(&self, target: PathBuf) -> Result<u64, CommandError> {
        {
            let backing_up = &mut self.0.inner.borrow_mut().backing_up;
            if !matches!(backing_up, BackingUp::None) {
                return Err(CommandError::BackupUnderWay);
            }
            *backing_up = BackingUp::AwaitingMerge;
        }
        let awaiting = AwaitingMerge(self);
        self.merge_all().await.map_err(|error| match error {
            CommandError::Full(why) => CommandError::NoBackup(why),
            other => other,
        })?;
        let (done, copied) = oneshot::channel();
        {
            let mut inner = self.0.inner.borrow_mut();
            let store = inner.store.as_ref().ok_or(CommandError::Stopping)?;
            store.back_up(target).map_err(|error| not_begun("the backup", &error))?;
            inner.backing_up = BackingUp::Copying(done);
        }
        drop(awaiting);
        copied.await.map_err(|_| CommandError::Stopping)?
    }
}

impl Inner {
    pub(super) fn backed_up(&mut self, outcome: Result<BackedUp, StoreError>, now_ms: i64) {
        let BackingUp::Copying(done) = std::mem::take(&mut self.backing_up) else { return };
        let answer = match outcome {
            Ok(BackedUp { bytes, ms }) => {
                self.counters.bump(Stat::Backups);
                self.counters.set(Stat::BackupLastTimeMs, now_ms as u64);
                self.counters.set(Stat::BackupLastMs, ms);
                self.counters.set(Stat::BackupLastBytes, bytes);
                tracing::info!("backup of {bytes} bytes written in {ms} ms");
                Ok(bytes)
            }
            Err(StoreError::KeeperGone) => Err(CommandError::Stopping),
            Err(error) => {
                tracing::error!("no backup: {error}");
                Err(CommandError::NoBackup(error.to_string()))
            }
        };
        // Whoever asked may have gone away meanwhile; the backup is as good.
        let _ = done.send(answer);
    }
}
