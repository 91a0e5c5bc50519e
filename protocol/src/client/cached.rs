//! Cached calls: compute once, keep the result in the daemon, share it between tasks and processes.
//!
//! A call looks the key up. Where it is missing, one task of this process at a time goes on; it takes a short lock with the
//! daemon, so that one process at a time computes, and looks again. Who does not get the lock waits for the value or the
//! lock, whichever comes first. The result is stored only as long as the lock is held, and whoever invalidates the key
//! takes the lock away: what was computed from the old state of things never overwrites that.
//!
//! Where the daemon is away or fails, the call goes on without it: once for all who wait in this process.

use std::convert::Infallible;
use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::compute::{Fault, Found, Policy};
use super::{Client, Error, Ttl};

/// How long a lock outlives a process that died while computing.
const LEASE: Duration = Duration::from_secs(3);

/// How cached calls are to be made; made by [`Client::caching`]. Cheap to clone.
#[derive(Clone, Debug)]
#[must_use]
pub struct Caching {
    pub(super) client: Client,
    pub(super) jitter: f64,
    pub(super) null_ttl: Option<Ttl>,
    pub(super) lease: Duration,
}

impl Client {
    /// What `compute` gives, kept under `key` for `ttl`: [`Caching::cached`] without further wishes.
    ///
    /// Of all tasks and processes that ask for a missing key, one computes it and the others wait; while it does, there is a
    /// key `larder:lock:KEY` with a short TTL. `compute` must not ask for the same key: it would wait for itself.
    ///
    /// ```
    /// # larderd::fresh::block_on(async |socket| {
    /// # let client = larder_protocol::client::Client::at(socket).await?;
    /// use std::time::Duration;
    /// use larder_protocol::key;
    ///
    /// let hour = Duration::from_secs(3600);
    /// for _ in 0..3 {
    ///     // Runs once.
    ///     let page: String = client.cached(hour, key!("page", path = "/"), || async { "rendered".to_owned() }).await;
    ///     assert_eq!(page, "rendered");
    /// }
    /// # Ok(())
    /// # });
    /// ```
    pub async fn cached<T, F, Fut>(&self, ttl: impl Into<Ttl>, key: impl AsRef<[u8]>, compute: F) -> T
    where
        T: Serialize + DeserializeOwned,
        F: FnOnce() -> Fut,
        Fut: Future<Output = T>,
    {
        self.caching().cached(ttl, key, compute).await
    }

    /// As [`cached`](Self::cached), for what can fail: [`Caching::try_cached`] without further wishes.
    ///
    /// # Errors
    /// The function's own.
    pub async fn try_cached<T, E, F, Fut>(
        &self,
        ttl: impl Into<Ttl>,
        key: impl AsRef<[u8]>,
        compute: F,
    ) -> Result<T, E>
    where
        T: Serialize + DeserializeOwned,
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        self.caching().try_cached(ttl, key, compute).await
    }

    /// Cached calls with wishes: jitter, another TTL for nothing, stale values, errors for the caller.
    pub fn caching(&self) -> Caching {
        Caching { client: self.clone(), jitter: 0.0, null_ttl: None, lease: LEASE }
    }
}

impl Caching {
    /// Shortens each TTL by up to this fraction, at random, so that what is stored together does not expire together.
    pub fn jitter(mut self, fraction: f64) -> Self {
        self.jitter = fraction;
        self
    }

    /// Another TTL for `null`, which is what `None` and `()` are in JSON: that something was not there is often worth
    /// remembering for less long. It is a hit in any case.
    pub fn null_ttl(mut self, ttl: impl Into<Ttl>) -> Self {
        self.null_ttl = Some(ttl.into());
        self
    }

    /// How long others wait for a process that died while computing, 3 s by default. A computation may take longer: its
    /// lock is renewed.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease.max(Duration::from_millis(30));
        self
    }

    /// What `compute` gives, kept under `key` for `ttl`. Of all tasks and processes that ask for a missing key, one
    /// computes it and the others wait. Errors of the cache go to the [hook](super::Options::on_error), and the function
    /// runs.
    pub async fn cached<T, F, Fut>(&self, ttl: impl Into<Ttl>, key: impl AsRef<[u8]>, compute: F) -> T
    where
        T: Serialize + DeserializeOwned,
        F: FnOnce() -> Fut,
        Fut: Future<Output = T>,
    {
        let compute = || async { Ok::<T, Infallible>(compute().await) };
        let Ok(value) = self.try_cached(ttl, key, compute).await;
        value
    }

    /// As [`cached`](Self::cached), for what can fail. An error is not kept: those who waited compute one after the other.
    ///
    /// # Errors
    /// The function's own.
    pub async fn try_cached<T, E, F, Fut>(
        &self,
        ttl: impl Into<Ttl>,
        key: impl AsRef<[u8]>,
        compute: F,
    ) -> Result<T, E>
    where
        T: Serialize + DeserializeOwned,
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        self.run(Policy::GoWithout, ttl.into(), Duration::ZERO, key.as_ref(), compute).await.map_err(
            |fault| match fault {
                Fault::Computing(error) => error,
                Fault::Caching(error) => unreachable!("errors of the cache are gone without: {error}"),
            },
        )
    }

    /// As [`try_cached`](Self::try_cached), giving errors of the cache to the caller: where the daemon is away, the function
    /// does not run.
    ///
    /// # Errors
    /// The function's own, and those of the cache.
    pub async fn strictly_cached<T, E, F, Fut>(
        &self,
        ttl: impl Into<Ttl>,
        key: impl AsRef<[u8]>,
        compute: F,
    ) -> Result<T, E>
    where
        T: Serialize + DeserializeOwned,
        E: From<Error>,
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        self.run(Policy::Strict, ttl.into(), Duration::ZERO, key.as_ref(), compute).await.map_err(|fault| {
            match fault {
                Fault::Computing(error) => error,
                Fault::Caching(error) => error.into(),
            }
        })
    }

    /// As [`cached`](Self::cached), but for another `stale` after `ttl` the old value is given at once, while one task of
    /// one process computes the new one in the background.
    ///
    /// ```
    /// # larderd::fresh::block_on(async |socket| {
    /// # let client = larder_protocol::client::Client::at(socket).await?;
    /// use std::time::Duration;
    ///
    /// let (minute, hour) = (Duration::from_secs(60), Duration::from_secs(3600));
    /// let rates: Vec<f64> = client.caching().cached_or_stale(minute, hour, "rates", || async { vec![1.09] }).await;
    /// assert_eq!(rates, [1.09]);
    /// # Ok(())
    /// # });
    /// ```
    pub async fn cached_or_stale<T, F, Fut>(
        &self,
        ttl: impl Into<Ttl>,
        stale: Duration,
        key: impl AsRef<[u8]>,
        compute: F,
    ) -> T
    where
        T: Serialize + DeserializeOwned + Send + Sync,
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = T> + Send + 'static,
    {
        let (key, ttl) = (key.as_ref(), ttl.into());
        match self.look(key, stale).await {
            Ok(Found::Fresh(bytes)) => {
                if let Some(value) = self.decoded(key, &bytes) {
                    return value;
                }
            }
            Ok(Found::Stale(bytes)) => {
                if let Some(value) = self.decoded(key, &bytes) {
                    let (caching, key) = (self.clone(), Bytes::copy_from_slice(key));
                    tokio::spawn(async move { caching.refresh(ttl, stale, &key, compute).await });
                    return value;
                }
            }
            // Computing will find out the same, and report it.
            Ok(Found::Nothing) | Err(_) => {}
        }
        let compute = || async { Ok::<T, Infallible>(compute().await) };
        match self.run(Policy::GoWithout, ttl, stale, key, compute).await {
            Ok(value) => value,
            Err(Fault::Caching(error)) => unreachable!("errors of the cache are gone without: {error}"),
        }
    }
}
