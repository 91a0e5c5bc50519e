//! The steps of a cached call: look, wait for one's turn, take the lock, compute, store.
//!
//! Used by [`Caching`], whose methods differ in what may fail and what may be old. What the steps are for is said there.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::sleep;

use super::commands::{from_json, to_json};
use super::invalidate::lock_of;
use super::lock::{Lock, new_token, take_and_look};
use super::reply::Answered;
use super::{Caching, Error, Remaining, SetOptions, Ttl, random};
use crate::Reply;

/// The first and the longest pause between two looks for what another process computes.
const FIRST_LOOK: Duration = Duration::from_millis(2);
const LONGEST_LOOK: Duration = Duration::from_millis(40);

/// Why a cached call has no value.
pub(super) enum Fault<E> {
    /// The function's own error.
    Computing(E),
    /// The cache's, where it is not gone without.
    Caching(Error),
}

/// What to do with an error of the cache.
#[derive(Clone, Copy)]
pub(super) enum Policy {
    /// Tell the hook and go on without.
    GoWithout,
    /// Give it to the caller.
    Strict,
}

/// How far into its key's life a value is.
pub(super) enum Found {
    Fresh(Bytes),
    Stale(Bytes),
    Nothing,
}

/// How the attempt to be the only one computing ended.
pub(super) enum Entered<T> {
    /// Somebody has stored it.
    Value(T, Bytes),
    /// It is ours to compute, and to store.
    Locked(Lock),
    /// It is ours to compute, and cannot be stored.
    Without,
}

impl Caching {
    /// The whole of a cached call.
    pub(super) async fn run<T, E, F, Fut>(
        &self,
        policy: Policy,
        ttl: Ttl,
        stale: Duration,
        key: &[u8],
        compute: F,
    ) -> Result<T, Fault<E>>
    where
        T: Serialize + DeserializeOwned,
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        let found = self.pass(policy, self.client.get_bytes(key).await)?;
        let reachable = found.is_some();
        if let Some(value) = found.flatten().and_then(|bytes| self.decoded(key, &bytes)) {
            return Ok(value);
        }
        let joined = self.client.inner.flights.join(key);
        let mut turn = joined.turn().await;
        if let Some(value) = turn.as_ref().and_then(|bytes| self.decoded(key, bytes)) {
            return Ok(value);
        }
        let entered = if reachable { self.pass(policy, self.enter(key).await)? } else { None };
        let lock = match entered.unwrap_or(Entered::Without) {
            Entered::Value(value, bytes) => {
                *turn = Some(bytes);
                joined.landed();
                return Ok(value);
            }
            Entered::Locked(lock) => Some(lock),
            Entered::Without => None,
        };
        let value = compute().await.map_err(Fault::Computing)?;
        let Some(json) = self.pass(policy, to_json(key, &value))? else { return Ok(value) };
        *turn = Some(json.clone().into());
        let stored = match lock {
            Some(lock) => self.store(lock, key, &json, ttl, stale).await,
            None => Ok(()),
        };
        joined.landed();
        self.pass(policy, stored)?;
        Ok(value)
    }

    /// Computes a value that is stale, unless somebody else does or has.
    pub(super) async fn refresh<T, F, Fut>(&self, ttl: Ttl, stale: Duration, key: &[u8], compute: F)
    where
        T: Serialize,
        F: FnOnce() -> Fut,
        Fut: Future<Output = T>,
    {
        let joined = self.client.inner.flights.join(key);
        let Some(mut turn) = joined.turn_now().filter(|turn| turn.is_none()) else { return };
        let (lock, token) = (lock_of(key), new_token());
        let entered = take_and_look(&self.client, &lock, &token, self.lease, &[b"PTTL", key]).await;
        let done = match entered {
            Ok((true, Reply::Int(left))) => {
                let lock = Lock::held(self.client.clone(), lock, token, self.lease);
                if !is_stale(Remaining::from_pttl(left), stale) {
                    return;
                }
                let value = compute().await;
                match to_json(key, &value) {
                    Ok(json) => {
                        *turn = Some(json.clone().into());
                        self.store(lock, key, &json, ttl, stale).await
                    }
                    Err(error) => Err(error),
                }
            }
            Ok((true, other)) => Err(Error::unexpected("PTTL", &other)),
            Ok((false, _)) => Ok(()),
            Err(error) => Err(error),
        };
        joined.landed();
        if let Err(error) = done {
            self.client.report(&error);
        }
    }

    /// Takes the lock of a key, or waits until whoever has it has stored a value.
    async fn enter<T: DeserializeOwned>(&self, key: &[u8]) -> Result<Entered<T>, Error> {
        let (lock, token) = (lock_of(key), new_token());
        let mut pause = FIRST_LOOK;
        loop {
            let (ours, found) =
                take_and_look(&self.client, &lock, &token, self.lease, &[b"GET", key]).await?;
            let found = Answered { command: "GET", reply: found }.value()?;
            // What cannot be read was reported when it was first looked at, and is to be replaced.
            let value = found.and_then(|bytes| from_json(key, &bytes).ok().map(|value| (value, bytes)));
            if ours {
                let lock = Lock::held(self.client.clone(), lock, token, self.lease);
                return Ok(match value {
                    // The lock is dropped, and so free.
                    Some((value, bytes)) => Entered::Value(value, bytes),
                    None => Entered::Locked(lock),
                });
            }
            if let Some((value, bytes)) = value {
                return Ok(Entered::Value(value, bytes));
            }
            sleep(random::wait(pause)).await;
            pause = (pause * 2).min(LONGEST_LOOK);
        }
    }

    /// Stores a value and frees its lock. Where the lock was lost, the key was invalidated meanwhile: nothing is stored.
    async fn store(
        &self,
        lock: Lock,
        key: &[u8],
        json: &[u8],
        ttl: Ttl,
        stale: Duration,
    ) -> Result<(), Error> {
        let ttl = self.null_ttl.filter(|_| json == b"null").unwrap_or(ttl).jittered(self.jitter).plus(stale);
        let mut options = SetOptions::new().ttl(ttl);
        if !stale.is_zero() {
            // How old a value is, is told by what is left of its time. A SET with a condition, which this always meets, is
            // taken at its word: a daemon with `ttl_jitter_percent` takes nothing off.
            options = options.if_not_equal(new_token());
        }
        lock.release_with(&options.words(key, json)).await.map(drop)
    }

    pub(super) async fn look(&self, key: &[u8], stale: Duration) -> Result<Found, Error> {
        Ok(match self.client.get_bytes_with_ttl(key).await? {
            None => Found::Nothing,
            Some((bytes, left)) if is_stale(left, stale) => Found::Stale(bytes),
            Some((bytes, _)) => Found::Fresh(bytes),
        })
    }

    /// A value that was stored; none, and a report, where it is not of this type.
    pub(super) fn decoded<T: DeserializeOwned>(&self, key: &[u8], bytes: &[u8]) -> Option<T> {
        from_json(key, bytes).inspect_err(|error| self.client.report(error)).ok()
    }

    /// The result, or none and a report where it may be gone without.
    fn pass<T, E>(&self, policy: Policy, result: Result<T, Error>) -> Result<Option<T>, Fault<E>> {
        match (result, policy) {
            (Ok(value), _) => Ok(Some(value)),
            (Err(error), Policy::Strict) => Err(Fault::Caching(error)),
            (Err(error), Policy::GoWithout) => {
                self.client.report(&error);
                Ok(None)
            }
        }
    }
}

/// Whether only the time is left for which a value may be given although it is old.
fn is_stale(left: Remaining, stale: Duration) -> bool {
    left.duration().is_some_and(|left| left <= stale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_stale_in_the_last_part_of_its_life() {
        let second = Duration::from_secs(1);
        assert!(is_stale(Remaining::For(second), second));
        assert!(!is_stale(Remaining::For(second * 2), second));
        assert!(!is_stale(Remaining::Forever, second) && !is_stale(Remaining::Absent, second));
    }
}
