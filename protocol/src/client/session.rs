//! Sessions: data of a visitor, behind an id that nobody can guess.

use std::marker::PhantomData;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::commands::from_json;
use super::ttl::ms;
use super::{Client, Error, Key, SetOptions, random};

/// Random bytes of an id.
const ID_BYTES: usize = 24;

/// Sessions with data of type `T`, which end by themselves.
///
/// ```
/// # larderd::fresh::block_on(async |socket| {
/// # let client = larder_protocol::client::Client::at(socket).await?;
/// use std::time::Duration;
/// use larder_protocol::client::SessionCache;
///
/// let sessions: SessionCache<String> = SessionCache::new(&client, Duration::from_secs(1800));
/// let id = sessions.create(&"ann".to_owned()).await?;
/// assert_eq!(sessions.get(&id).await?.as_deref(), Some("ann"));
/// assert!(sessions.update(&id, &"ann, cart: 2".to_owned()).await?);
/// assert!(sessions.delete(&id).await?);
/// assert!(!sessions.update(&id, &"too late".to_owned()).await?, "what is gone does not come back");
/// # Ok(())
/// # });
/// ```
pub struct SessionCache<T> {
    client: Client,
    namespace: String,
    ttl: Duration,
    sliding: bool,
    data: PhantomData<fn(&T) -> T>,
}

impl<T: Serialize + DeserializeOwned> SessionCache<T> {
    /// Sessions in the namespace `session`, which end `ttl` after they were created or last extended.
    #[must_use]
    pub fn new(client: &Client, ttl: Duration) -> Self {
        Self {
            client: client.clone(),
            namespace: "session".to_owned(),
            ttl,
            sliding: false,
            data: PhantomData,
        }
    }

    /// Another namespace.
    #[must_use]
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = namespace.into();
        self
    }

    /// Whether getting a session extends it, and so does updating it.
    #[must_use]
    pub fn sliding(mut self, sliding: bool) -> Self {
        self.sliding = sliding;
        self
    }

    /// Begins a session; its id, 48 letters that can stand in a cookie.
    ///
    /// # Errors
    /// Those of the connection, and [`Error::Encode`].
    pub async fn create(&self, data: &T) -> Result<String, Error> {
        let id = random::hex::<ID_BYTES>();
        self.client.set(self.key(&id), data, self.ttl).await?;
        Ok(id)
    }

    /// The data of a session, if it has not ended.
    ///
    /// # Errors
    /// Those of the connection, and [`Error::Decode`].
    pub async fn get(&self, id: &str) -> Result<Option<T>, Error> {
        let key = self.key(id);
        if !self.sliding {
            return self.client.get(&key).await;
        }
        let words = [&b"GETEX"[..], key.as_ref(), b"PX", &ms(self.ttl).into_bytes()];
        let value = self.client.call("GETEX", &words).await?.value()?;
        value.map(|value| from_json(key.as_ref(), &value)).transpose()
    }

    /// Replaces the data of a session, which keeps the time it has left, or is extended if it is
    /// [sliding](Self::sliding); whether there is such a session.
    ///
    /// # Errors
    /// Those of the connection, and [`Error::Encode`].
    pub async fn update(&self, id: &str, data: &T) -> Result<bool, Error> {
        let options = SetOptions::new().if_present();
        let options = if self.sliding { options.ttl(self.ttl) } else { options.keep_ttl() };
        self.client.set_with(self.key(id), data, options).await
    }

    /// Lets a session live for the whole TTL from now on; whether there is such a session.
    ///
    /// # Errors
    /// Those of the connection.
    pub async fn extend(&self, id: &str) -> Result<bool, Error> {
        self.client.expire(self.key(id), self.ttl).await
    }

    /// Ends a session; whether there was one.
    ///
    /// # Errors
    /// Those of the connection.
    pub async fn delete(&self, id: &str) -> Result<bool, Error> {
        self.client.delete(self.key(id)).await
    }

    fn key(&self, id: &str) -> Key {
        Key::new(&self.namespace).part(id)
    }
}

impl<T> Clone for SessionCache<T> {
    fn clone(&self) -> Self {
        Self { client: self.client.clone(), namespace: self.namespace.clone(), ..*self }
    }
}

impl<T> std::fmt::Debug for SessionCache<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionCache")
            .field("namespace", &self.namespace)
            .field("ttl", &self.ttl)
            .field("sliding", &self.sliding)
            .finish_non_exhaustive()
    }
}
