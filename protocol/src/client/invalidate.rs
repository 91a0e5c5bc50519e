//! Deleting what is cached because it is no longer true.
//!
//! A cached call that is computing holds a lock, and stores its result only if it still does. Invalidating deletes the lock
//! with the key, so that what was computed from the old state of things is not stored after it.

use bytes::BytesMut;

use super::{Client, Error, Pattern};
use crate::encode_command;

/// What the keys of locks begin with.
const LOCKS: &str = "larder:lock:";

/// The key of a key's lock.
pub(super) fn lock_of(key: &[u8]) -> Vec<u8> {
    [LOCKS.as_bytes(), key].concat()
}

impl Client {
    /// Deletes a key, and keeps cached calls that are computing it from storing what they began before; whether it was there.
    ///
    /// # Errors
    /// Those of the connection.
    pub async fn invalidate(&self, key: impl AsRef<[u8]>) -> Result<bool, Error> {
        let key = key.as_ref();
        self.inner.flights.forget(key);
        let mut bytes = BytesMut::new();
        // The lock first: between the two nothing old can be stored.
        encode_command(&[b"DEL", &lock_of(key)[..]], &mut bytes);
        encode_command(&[b"DEL", key], &mut bytes);
        let [_, deleted] = self.exchange_several("DEL", bytes).await?;
        deleted.yes()
    }

    /// As [`invalidate`](Self::invalidate), for all keys that match; how many there were.
    ///
    /// # Errors
    /// Those of the connection, and those of the daemon for a pattern that makes no sense.
    pub async fn invalidate_pattern(&self, pattern: impl Into<Pattern>) -> Result<u64, Error> {
        let pattern = pattern.into();
        self.inner.flights.forget_all();
        self.delete_pattern(pattern.after(LOCKS)).await?;
        self.delete_pattern(pattern).await
    }

    /// Runs `change`, and once that has succeeded invalidates all keys that match. An error of the cache goes to the
    /// [hook](super::Options::on_error): the change is done, and what is cached lives on until its TTL.
    ///
    /// ```
    /// # larderd::fresh::block_on(async |socket| {
    /// # let client = larder_protocol::client::Client::at(socket).await?;
    /// client.set("user:7:profile", "old", None).await?;
    /// let saved: Result<u32, std::io::Error> = client.invalidating("user:7:*", || async { Ok(7) }).await;
    /// assert_eq!(saved?, 7);
    /// assert!(!client.exists("user:7:profile").await?);
    /// # Ok(())
    /// # });
    /// ```
    ///
    /// # Errors
    /// The function's own; nothing is deleted then.
    pub async fn invalidating<T, E, F, Fut>(&self, pattern: impl Into<Pattern>, change: F) -> Result<T, E>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        let changed = change().await?;
        if let Err(error) = self.invalidate_pattern(pattern).await {
            self.report(&error);
        }
        Ok(changed)
    }

    /// As [`invalidating`](Self::invalidating), giving errors of the cache to the caller.
    ///
    /// # Errors
    /// The function's own, or that the change is done and nothing could be deleted.
    pub async fn strictly_invalidating<T, E, F, Fut>(
        &self,
        pattern: impl Into<Pattern>,
        change: F,
    ) -> Result<T, E>
    where
        E: From<Error>,
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        let changed = change().await?;
        self.invalidate_pattern(pattern).await?;
        Ok(changed)
    }
}
