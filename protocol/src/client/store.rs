//! larder as a store of the `cached` crate, whose attribute macros cache functions.
//!
//! The traits are called `ConcurrentCached` and `ConcurrentCachedAsync` in its current versions (feature `cached`), and
//! `IOCached` and `IOCachedAsync` up to 0.59 (feature `cached-io`). Errors of the cache go to the macros' `map_error`.

use std::fmt::Display;
use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::blocking::wait;
use super::reply::Answered;
use super::{Client, Error, Key, Options, Ttl};

/// A store for `#[concurrent_cached]` and, of older versions, `#[io_cached]`: entries with keys of type `K`, written out,
/// and values of type `V`, as JSON.
///
/// ```
/// # let daemon = larderd::fresh::Daemon::start();
/// # static SOCKET: std::sync::OnceLock<std::path::PathBuf> = std::sync::OnceLock::new();
/// # SOCKET.set(daemon.socket().to_owned()).unwrap();
/// # fn options() -> larder_protocol::client::Options {
/// #     larder_protocol::client::Options::new().socket(SOCKET.get().unwrap())
/// # }
/// # use cached_4 as cached;
/// use std::time::Duration;
/// use cached::macros::concurrent_cached;
/// use larder_protocol::client::{Error, LarderStore};
///
/// #[concurrent_cached(
///     ty = "LarderStore<u64, u64>",
///     create = r#"{ LarderStore::open(options(), "square").unwrap().ttl(Duration::from_secs(60)) }"#,
///     map_error = "|error| error"
/// )]
/// fn square(number: u64) -> Result<u64, Error> {
///     Ok(number * number)
/// }
///
/// assert_eq!(square(12)?, 144);
/// assert_eq!(square(12)?, 144); // from larder, in any process
/// # Ok::<(), Error>(())
/// ```
pub struct LarderStore<K, V> {
    client: Client,
    namespace: String,
    ttl: Ttl,
    refresh: bool,
    types: PhantomData<fn(K) -> V>,
}

impl<K: Display, V: Serialize + DeserializeOwned> LarderStore<K, V> {
    /// A store in a namespace, by a client that there is.
    #[must_use]
    pub fn new(client: &Client, namespace: impl Into<String>) -> Self {
        Self {
            client: client.clone(),
            namespace: namespace.into(),
            ttl: Ttl::NEVER,
            refresh: false,
            types: PhantomData,
        }
    }

    /// A store in a namespace, which connects as `options` say when it is first used.
    ///
    /// # Errors
    /// If nothing says where the socket is.
    pub fn open(options: Options, namespace: impl Into<String>) -> Result<Self, Error> {
        Ok(Self::new(&Client::lazy(options)?, namespace))
    }

    /// How long values are kept.
    #[must_use]
    pub fn ttl(mut self, ttl: impl Into<Ttl>) -> Self {
        self.ttl = ttl.into();
        self
    }

    /// Whether reading a value gives it its whole TTL anew.
    #[must_use]
    pub fn refresh(mut self, refresh: bool) -> Self {
        self.refresh = refresh;
        self
    }

    fn key(&self, key: &K) -> Key {
        Key::new(&self.namespace).part(key)
    }

    /// The value in an answer; none where it is not of this type any more, as when a program with a new type meets what an old
    /// one stored.
    fn value(&self, answered: Answered) -> Result<Option<V>, Error> {
        Ok(answered.value()?.and_then(|value| {
            serde_json::from_slice(&value)
                .inspect_err(|error| {
                    self.client.report(&Error::Misuse(format!(
                        "a value in {} is of another type: {error}",
                        self.namespace
                    )));
                })
                .ok()
        }))
    }

    async fn get(&self, key: &Key) -> Result<Option<V>, Error> {
        let answered = match self.ttl.ms().filter(|_| self.refresh) {
            // To give the whole TTL twice is to give it once, so this is asked once more as well where the connection was lost.
            Some(ms) => {
                self.client.read("GETEX", &[&b"GETEX"[..], key.as_ref(), b"PX", ms.as_bytes()]).await?
            }
            None => self.client.read("GET", &[&b"GET"[..], key.as_ref()]).await?,
        };
        self.value(answered)
    }

    /// Stores a value; the one before.
    async fn set(&self, key: &Key, json: Result<Vec<u8>, Error>) -> Result<Option<V>, Error> {
        let (json, ms) = (json?, self.ttl.ms());
        let mut words = vec![&b"SET"[..], key.as_ref(), &json, b"GET"];
        words.extend(ms.iter().flat_map(|ms| [&b"PX"[..], ms.as_bytes()]));
        self.value(self.client.call("SET", &words).await?)
    }

    async fn remove(&self, key: &Key) -> Result<Option<V>, Error> {
        self.value(self.client.call("GETDEL", &[&b"GETDEL"[..], key.as_ref()]).await?)
    }

    /// Removes everything in the store's namespace.
    ///
    /// # Errors
    /// Those of the connection.
    pub async fn clear(&self) -> Result<(), Error> {
        self.client.delete_pattern(Key::new(&self.namespace).below()).await.map(drop)
    }
}

impl<K, V> Clone for LarderStore<K, V> {
    fn clone(&self) -> Self {
        Self { client: self.client.clone(), namespace: self.namespace.clone(), ..*self }
    }
}

impl<K, V> std::fmt::Debug for LarderStore<K, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LarderStore")
            .field("namespace", &self.namespace)
            .field("ttl", &self.ttl)
            .finish_non_exhaustive()
    }
}

/// Of `cached` 1.0 and later.
#[cfg(feature = "cached")]
mod current {
    use std::fmt::Display;

    use cached_4::{ConcurrentCacheBase, ConcurrentCached, ConcurrentCachedAsync};
    use serde::Serialize;
    use serde::de::DeserializeOwned;

    use super::super::commands::to_json;
    use super::{Error, LarderStore, wait};

    impl<K: Display, V: Serialize + DeserializeOwned> ConcurrentCacheBase for LarderStore<K, V> {
        type Error = Error;
    }

    impl<K: Display + Clone, V: Serialize + DeserializeOwned> ConcurrentCached<K, V> for LarderStore<K, V> {
        fn cache_get(&self, k: &K) -> Result<Option<V>, Error> {
            wait(self.get(&self.key(k)))
        }

        fn cache_set(&self, k: K, v: V) -> Result<Option<V>, Error> {
            let key = self.key(&k);
            wait(self.set(&key, to_json(key.as_ref(), &v)))
        }

        fn cache_remove(&self, k: &K) -> Result<Option<V>, Error> {
            wait(self.remove(&self.key(k)))
        }

        fn cache_remove_entry(&self, k: &K) -> Result<Option<(K, V)>, Error> {
            Ok(wait(self.remove(&self.key(k)))?.map(|value| (k.clone(), value)))
        }

        fn cache_delete(&self, k: &K) -> Result<bool, Error> {
            wait(self.client.delete(self.key(k)))
        }

        fn cache_contains(&self, k: &K) -> Result<bool, Error> {
            wait(self.client.exists(self.key(k)))
        }

        fn cache_clear(&self) -> Result<(), Error> {
            wait(self.clear())
        }

        fn cache_reset(&self) -> Result<(), Error> {
            wait(self.clear())
        }
    }

    impl<K, V> ConcurrentCachedAsync<K, V> for LarderStore<K, V>
    where
        K: Display + Clone + Send + Sync,
        V: Serialize + DeserializeOwned + Send,
    {
        async fn async_cache_get(&self, k: &K) -> Result<Option<V>, Error> {
            self.get(&self.key(k)).await
        }

        async fn async_cache_set(&self, k: K, v: V) -> Result<Option<V>, Error> {
            let key = self.key(&k);
            let json = to_json(key.as_ref(), &v);
            self.set(&key, json).await
        }

        async fn async_cache_remove(&self, k: &K) -> Result<Option<V>, Error> {
            self.remove(&self.key(k)).await
        }

        async fn async_cache_remove_entry(&self, k: &K) -> Result<Option<(K, V)>, Error> {
            Ok(self.remove(&self.key(k)).await?.map(|value| (k.clone(), value)))
        }

        async fn async_cache_delete(&self, k: &K) -> Result<bool, Error> {
            self.client.delete(self.key(k)).await
        }

        async fn async_cache_contains(&self, k: &K) -> Result<bool, Error> {
            self.client.exists(self.key(k)).await
        }

        async fn async_cache_clear(&self) -> Result<(), Error> {
            self.clear().await
        }

        async fn async_cache_reset(&self) -> Result<(), Error> {
            self.clear().await
        }
    }
}

/// Of `cached` up to 0.59.
#[cfg(feature = "cached-io")]
mod before {
    use std::fmt::Display;
    use std::time::Duration;

    use cached::{IOCached, IOCachedAsync};
    use serde::Serialize;
    use serde::de::DeserializeOwned;

    use super::super::commands::to_json;
    use super::{Error, LarderStore, Ttl, wait};

    impl<K: Display, V: Serialize + DeserializeOwned> IOCached<K, V> for LarderStore<K, V> {
        type Error = Error;

        fn cache_get(&self, k: &K) -> Result<Option<V>, Error> {
            wait(self.get(&self.key(k)))
        }

        fn cache_set(&self, k: K, v: V) -> Result<Option<V>, Error> {
            let key = self.key(&k);
            wait(self.set(&key, to_json(key.as_ref(), &v)))
        }

        fn cache_remove(&self, k: &K) -> Result<Option<V>, Error> {
            wait(self.remove(&self.key(k)))
        }

        fn cache_set_refresh(&mut self, refresh: bool) -> bool {
            std::mem::replace(&mut self.refresh, refresh)
        }

        fn cache_lifespan(&self) -> Option<Duration> {
            self.ttl.duration()
        }

        fn cache_set_lifespan(&mut self, ttl: Duration) -> Option<Duration> {
            std::mem::replace(&mut self.ttl, ttl.into()).duration()
        }

        fn cache_unset_lifespan(&mut self) -> Option<Duration> {
            std::mem::replace(&mut self.ttl, Ttl::NEVER).duration()
        }
    }

    #[async_trait::async_trait]
    impl<K, V> IOCachedAsync<K, V> for LarderStore<K, V>
    where
        K: Display + Send + Sync,
        V: Serialize + DeserializeOwned + Send + Sync,
    {
        type Error = Error;

        async fn cache_get(&self, k: &K) -> Result<Option<V>, Error> {
            self.get(&self.key(k)).await
        }

        async fn cache_set(&self, k: K, v: V) -> Result<Option<V>, Error> {
            let key = self.key(&k);
            let json = to_json(key.as_ref(), &v);
            self.set(&key, json).await
        }

        async fn cache_remove(&self, k: &K) -> Result<Option<V>, Error> {
            self.remove(&self.key(k)).await
        }

        fn cache_set_refresh(&mut self, refresh: bool) -> bool {
            std::mem::replace(&mut self.refresh, refresh)
        }

        fn cache_lifespan(&self) -> Option<Duration> {
            self.ttl.duration()
        }

        fn cache_set_lifespan(&mut self, ttl: Duration) -> Option<Duration> {
            std::mem::replace(&mut self.ttl, ttl.into()).duration()
        }

        fn cache_unset_lifespan(&mut self) -> Option<Duration> {
            std::mem::replace(&mut self.ttl, Ttl::NEVER).duration()
        }
    }
}
