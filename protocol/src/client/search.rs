//! Results of searches, by what was asked and where.

use std::future::Future;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Client, Error, Key, Ttl, key};

/// Letters of the longest query that stands in a key as it is.
const QUERY_LETTERS: usize = 80;

/// How long results are kept unless told otherwise.
const DEFAULT_TTL: Duration = Duration::from_hours(1);

/// A cache of search results, by query and source. Invalidating a query removes the results of all its sources, however
/// long it is: the query is a part of the namespace.
///
/// ```
/// # larderd::fresh::block_on(async |socket| {
/// # let client = larder_protocol::client::Client::at(socket).await?;
/// use larder_protocol::client::SearchCache;
///
/// let searches = SearchCache::new(&client);
/// searches.set("rust cache", "web", &["moka", "larder"]).await?;
/// searches.set("rust cache", "news", &["larder 0.1"]).await?;
/// let found: Option<Vec<String>> = searches.get("rust cache", "web").await?;
/// assert_eq!(found.unwrap(), ["moka", "larder"]);
/// assert_eq!(searches.invalidate("rust cache").await?, 2);
/// # Ok(())
/// # });
/// ```
#[derive(Clone, Debug)]
pub struct SearchCache {
    client: Client,
    namespace: String,
    ttl: Ttl,
}

impl SearchCache {
    /// A cache in the namespace `search`, which keeps results for an hour.
    #[must_use]
    pub fn new(client: &Client) -> Self {
        Self { client: client.clone(), namespace: "search".to_owned(), ttl: DEFAULT_TTL.into() }
    }

    /// Another namespace, for another kind of results.
    #[must_use]
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = namespace.into();
        self
    }

    /// Another TTL for what is stored from now on.
    #[must_use]
    pub fn ttl(mut self, ttl: impl Into<Ttl>) -> Self {
        self.ttl = ttl.into();
        self
    }

    /// The results that are cached for a query in a source.
    ///
    /// # Errors
    /// Those of the connection, and [`Error::Decode`].
    pub async fn get<T: DeserializeOwned>(&self, query: &str, source: &str) -> Result<Option<T>, Error> {
        self.client.get(self.key(query, source)).await
    }

    /// Stores results.
    ///
    /// # Errors
    /// Those of the connection, and [`Error::Encode`].
    pub async fn set<T: Serialize + ?Sized>(
        &self,
        query: &str,
        source: &str,
        results: &T,
    ) -> Result<(), Error> {
        self.client.set(self.key(query, source), results, self.ttl).await
    }

    /// The cached results, or those of `search`, as [`Client::try_cached`] gets them.
    ///
    /// # Errors
    /// The function's own.
    pub async fn get_or_search<T, E, F, Fut>(&self, query: &str, source: &str, search: F) -> Result<T, E>
    where
        T: Serialize + DeserializeOwned,
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        self.client.try_cached(self.ttl, self.key(query, source), search).await
    }

    /// Removes what every source gave for a query; how many there were.
    ///
    /// # Errors
    /// Those of the connection.
    pub async fn invalidate(&self, query: &str) -> Result<u64, Error> {
        self.client.invalidate_pattern(self.of_query(query).below()).await
    }

    /// Removes everything of this namespace; how many entries there were.
    ///
    /// # Errors
    /// Those of the connection.
    pub async fn clear(&self) -> Result<u64, Error> {
        self.client.invalidate_pattern(Key::new(&self.namespace).below()).await
    }

    fn of_query(&self, query: &str) -> Key {
        let namespace = Key::new(&self.namespace);
        if query.chars().count() > QUERY_LETTERS {
            // A hash of its own, which a query of such letters cannot have: those are escaped.
            return namespace.within_hash(&key::hash(query));
        }
        namespace.within(query)
    }

    fn key(&self, query: &str, source: &str) -> Key {
        self.of_query(query).part(source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Options;

    #[test]
    fn keys_of_a_query_are_below_it_however_long() {
        let client = Client::lazy(Options::new().socket("/nowhere")).expect("the socket is named");
        let cache = SearchCache::new(&client);
        assert_eq!(cache.key("rust", "web").as_str(), "search:rust:web");
        for query in ["rust", "a:b*", &"long ".repeat(100), &"ä".repeat(QUERY_LETTERS)] {
            let below = cache.of_query(query).below();
            let start = below.text().strip_suffix('*').expect("ends in one").replace('\\', "");
            for source in ["web", &"s".repeat(500)] {
                let key = cache.key(query, source);
                assert!(key.as_str().starts_with(&start), "{key} {start}");
            }
            assert!(!cache.key(&format!("{query}x"), "web").as_str().starts_with(&start));
        }
    }
}
