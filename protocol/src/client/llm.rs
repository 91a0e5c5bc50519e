//! What language models answered, by the text and by what was asked about it.

use std::future::Future;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Client, Error, Key, Ttl, key};

/// How long answers are kept unless told otherwise.
const DEFAULT_TTL: Duration = Duration::from_hours(2);

/// A cache of language models' answers, by a SHA-256 of the text and the type of analysis. Kept for two hours unless told
/// otherwise.
///
/// ```
/// # larderd::fresh::block_on(async |socket| {
/// # let client = larder_protocol::client::Client::at(socket).await?;
/// use larder_protocol::client::LlmCache;
///
/// let answers = LlmCache::new(&client);
/// let text = "A very long article ...";
/// for _ in 0..2 {
///     // Asks the model once.
///     let summary: Result<String, std::io::Error> =
///         answers.get_or_ask(text, "summary", || async { Ok("It is long.".to_owned()) }).await;
///     assert_eq!(summary?, "It is long.");
/// }
/// assert_eq!(answers.get::<String>(text, "sentiment").await?, None);
/// # Ok(())
/// # });
/// ```
#[derive(Clone, Debug)]
pub struct LlmCache {
    client: Client,
    namespace: String,
    ttl: Ttl,
}

impl LlmCache {
    /// A cache in the namespace `llm`.
    #[must_use]
    pub fn new(client: &Client) -> Self {
        Self { client: client.clone(), namespace: "llm".to_owned(), ttl: DEFAULT_TTL.into() }
    }

    /// Another namespace: that of a model, since another one answers something else.
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

    /// The answer that is cached for a text and a type of analysis.
    ///
    /// # Errors
    /// Those of the connection, and [`Error::Decode`].
    pub async fn get<T: DeserializeOwned>(&self, text: &str, analysis: &str) -> Result<Option<T>, Error> {
        self.client.get(self.key(text, analysis)).await
    }

    /// Stores an answer.
    ///
    /// # Errors
    /// Those of the connection, and [`Error::Encode`].
    pub async fn set<T: Serialize + ?Sized>(
        &self,
        text: &str,
        analysis: &str,
        answer: &T,
    ) -> Result<(), Error> {
        self.client.set(self.key(text, analysis), answer, self.ttl).await
    }

    /// The cached answer, or that of `ask`, as [`Client::try_cached`] gets it.
    ///
    /// # Errors
    /// The function's own.
    pub async fn get_or_ask<T, E, F, Fut>(&self, text: &str, analysis: &str, ask: F) -> Result<T, E>
    where
        T: Serialize + DeserializeOwned,
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        self.client.try_cached(self.ttl, self.key(text, analysis), ask).await
    }

    /// Removes all answers of a type of analysis; how many there were.
    ///
    /// # Errors
    /// Those of the connection.
    pub async fn invalidate(&self, analysis: &str) -> Result<u64, Error> {
        self.client.invalidate_pattern(Key::new(&self.namespace).within(analysis).below()).await
    }

    /// Removes everything of this namespace; how many entries there were.
    ///
    /// # Errors
    /// Those of the connection.
    pub async fn clear(&self) -> Result<u64, Error> {
        self.client.invalidate_pattern(Key::new(&self.namespace).below()).await
    }

    fn key(&self, text: &str, analysis: &str) -> Key {
        Key::new(&self.namespace).within(analysis).within_hash(&key::hash(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Options;

    #[test]
    fn keys_hold_the_type_and_a_hash_of_the_text() {
        let client = Client::lazy(Options::new().socket("/nowhere")).expect("the socket is named");
        let cache = LlmCache::new(&client).namespace("model-1");
        let key = cache.key("", "summary");
        assert_eq!(
            key.as_str(),
            "model-1:summary:#e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        assert_ne!(cache.key("a", "summary"), cache.key("b", "summary"));
        assert_ne!(cache.key("a", "summary"), cache.key("a", "sentiment"));
    }
}
