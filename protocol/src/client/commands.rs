//! The client's commands, one method each.
//!
//! Keys are anything that is bytes: `&str`, `String`, [`Key`](super::Key). Values are JSON by way of serde, or bytes as they
//! are by the methods that say so.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::reply::Answered;
use super::ttl::ms;
use super::{Client, Error, Pattern, Remaining, SetOptions, Ttl};
use crate::{Reply, Snapshot, encode_command};

impl Client {
    /// Asks whether the daemon answers.
    ///
    /// # Errors
    /// If it does not.
    pub async fn ping(&self) -> Result<(), Error> {
        self.read("PING", &["PING"]).await?.ok()
    }

    /// The value of a key, read from JSON; none where there is no such key. A stored `null` is a value: ask for an
    /// `Option` to tell it from a missing key.
    ///
    /// # Errors
    /// Those of the connection, and [`Error::Decode`] where the value is not such JSON.
    pub async fn get<T: DeserializeOwned>(&self, key: impl AsRef<[u8]>) -> Result<Option<T>, Error> {
        let key = key.as_ref();
        self.get_bytes(key).await?.map(|value| from_json(key, &value)).transpose()
    }

    /// The value of a key as it is stored.
    ///
    /// # Errors
    /// Those of the connection.
    pub async fn get_bytes(&self, key: impl AsRef<[u8]>) -> Result<Option<Bytes>, Error> {
        self.read("GET", &[b"GET", key.as_ref()]).await?.value()
    }

    /// Stores a value as JSON. `ttl` is a duration, or `None` for ever.
    ///
    /// # Errors
    /// Those of the connection and of the daemon (a full disk), and [`Error::Encode`].
    pub async fn set<T: Serialize + ?Sized>(
        &self,
        key: impl AsRef<[u8]>,
        value: &T,
        ttl: impl Into<Ttl>,
    ) -> Result<(), Error> {
        let (key, ttl) = (key.as_ref(), ttl.into());
        let value = to_json(key, value)?;
        self.set_bytes(key, value, ttl).await
    }

    /// Stores bytes as they are.
    ///
    /// # Errors
    /// Those of the connection and of the daemon.
    pub async fn set_bytes(
        &self,
        key: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
        ttl: impl Into<Ttl>,
    ) -> Result<(), Error> {
        self.set_bytes_with(key, value, SetOptions::new().ttl(ttl)).await.map(drop)
    }

    /// Stores a value as JSON under conditions; whether it was stored.
    ///
    /// ```
    /// # larderd::fresh::block_on(async |socket| {
    /// # let client = larder_protocol::client::Client::at(socket).await?;
    /// use larder_protocol::client::SetOptions;
    ///
    /// assert!(client.set_with("leader", "me", SetOptions::new().if_absent()).await?);
    /// assert!(!client.set_with("leader", "you", SetOptions::new().if_absent()).await?);
    /// assert!(client.set_with("leader", "you", SetOptions::new().if_equal(r#""me""#)).await?);
    /// # Ok(())
    /// # });
    /// ```
    ///
    /// # Errors
    /// Those of the connection and of the daemon, and [`Error::Encode`].
    pub async fn set_with<T: Serialize + ?Sized>(
        &self,
        key: impl AsRef<[u8]>,
        value: &T,
        options: SetOptions,
    ) -> Result<bool, Error> {
        let key = key.as_ref();
        let value = to_json(key, value)?;
        self.set_bytes_with(key, value, options).await
    }

    /// Stores bytes under conditions; whether they were stored.
    ///
    /// # Errors
    /// Those of the connection and of the daemon.
    pub async fn set_bytes_with(
        &self,
        key: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
        options: SetOptions,
    ) -> Result<bool, Error> {
        let words = options.words(key.as_ref(), value.as_ref());
        self.call("SET", &words).await?.done()
    }

    /// Whether there is such a key.
    ///
    /// # Errors
    /// Those of the connection.
    pub async fn exists(&self, key: impl AsRef<[u8]>) -> Result<bool, Error> {
        self.read("EXISTS", &[b"EXISTS", key.as_ref()]).await?.yes()
    }

    /// How long a key still lives.
    ///
    /// # Errors
    /// Those of the connection.
    pub async fn ttl(&self, key: impl AsRef<[u8]>) -> Result<Remaining, Error> {
        Ok(Remaining::from_pttl(self.read("PTTL", &[b"PTTL", key.as_ref()]).await?.int()?))
    }

    /// Gives a key another TTL; whether there is such a key.
    ///
    /// # Errors
    /// Those of the connection and of the daemon.
    pub async fn expire(&self, key: impl AsRef<[u8]>, ttl: Duration) -> Result<bool, Error> {
        self.call("PEXPIRE", &[b"PEXPIRE", key.as_ref(), ms(ttl).as_bytes()]).await?.yes()
    }

    /// Takes a key's TTL away; whether it had one.
    ///
    /// # Errors
    /// Those of the connection and of the daemon.
    pub async fn persist(&self, key: impl AsRef<[u8]>) -> Result<bool, Error> {
        self.call("PERSIST", &[b"PERSIST", key.as_ref()]).await?.yes()
    }

    /// Adds to the whole number of a key, which counts as 0 where it is absent; the sum.
    ///
    /// # Errors
    /// Those of the connection and of the daemon: the value may be no number, or the sum too large.
    pub async fn incr(&self, key: impl AsRef<[u8]>, by: i64) -> Result<i64, Error> {
        self.call("INCRBY", &[b"INCRBY", key.as_ref(), by.to_string().as_bytes()]).await?.int()
    }

    /// As [`incr`](Self::incr), with a TTL that the key gets only if this creates it: a counter that starts anew every
    /// `window`.
    ///
    /// # Errors
    /// Those of the connection and of the daemon.
    pub async fn incr_within(&self, key: impl AsRef<[u8]>, by: i64, window: Duration) -> Result<i64, Error> {
        let (by, window) = (by.to_string(), ms(window));
        self.call("INCRBY", &[b"INCRBY", key.as_ref(), by.as_bytes(), b"PX", window.as_bytes()]).await?.int()
    }

    /// Deletes a key; whether it was there.
    ///
    /// # Errors
    /// Those of the connection.
    pub async fn delete(&self, key: impl AsRef<[u8]>) -> Result<bool, Error> {
        self.call("DEL", &[b"DEL", key.as_ref()]).await?.yes()
    }

    /// Deletes all keys that match, as a glob unless it says otherwise; how many there were.
    ///
    /// ```
    /// # larderd::fresh::block_on(async |socket| {
    /// # let client = larder_protocol::client::Client::at(socket).await?;
    /// use larder_protocol::client::Pattern;
    ///
    /// client.set_many([("user:1:name", "ann"), ("user:1:mail", "a@x"), ("user:2:name", "bob")], None).await?;
    /// assert_eq!(client.delete_pattern("user:1:*").await?, 2);
    /// assert_eq!(client.delete_pattern(Pattern::like("user:%")).await?, 1);
    /// # Ok(())
    /// # });
    /// ```
    ///
    /// # Errors
    /// Those of the connection, and those of the daemon for a pattern that makes no sense.
    pub async fn delete_pattern(&self, pattern: impl Into<Pattern>) -> Result<u64, Error> {
        let pattern = pattern.into();
        self.call_long("DELPAT", &pattern.words()).await?.count()
    }

    /// Deletes everything.
    ///
    /// # Errors
    /// Those of the connection.
    pub async fn clear(&self) -> Result<(), Error> {
        self.call_long("FLUSHALL", &["FLUSHALL"]).await?.ok()
    }

    /// Removes all expired entries now; how many there were.
    ///
    /// # Errors
    /// Those of the connection and of the daemon.
    pub async fn clean_up(&self) -> Result<u64, Error> {
        self.call_long("CLEANUP", &["CLEANUP"]).await?.count()
    }

    /// How many keys there are.
    ///
    /// # Errors
    /// Those of the connection.
    pub async fn size(&self) -> Result<u64, Error> {
        self.read("DBSIZE", &["DBSIZE"]).await?.count()
    }

    /// Every statistic of the daemon.
    ///
    /// ```
    /// # larderd::fresh::block_on(async |socket| {
    /// # let client = larder_protocol::client::Client::at(socket).await?;
    /// use larder_protocol::Stat;
    ///
    /// client.get::<u32>("nothing").await?;
    /// assert_eq!(client.stats().await?.int(Stat::Misses), 1);
    /// # Ok(())
    /// # });
    /// ```
    ///
    /// # Errors
    /// Those of the connection.
    pub async fn stats(&self) -> Result<Snapshot, Error> {
        let text = self.read("STATS", &["STATS"]).await?.text()?;
        Snapshot::from_json(&text).map_err(|_| Error::unexpected("STATS", &Reply::from(text)))
    }

    /// Sends a message to all who listen to a channel; how many did.
    ///
    /// # Errors
    /// Those of the connection.
    pub async fn publish(&self, channel: impl AsRef<[u8]>, message: impl AsRef<[u8]>) -> Result<u64, Error> {
        self.call("PUBLISH", &[b"PUBLISH", channel.as_ref(), message.as_ref()]).await?.count()
    }

    /// The value of a key and what is left of its life, in one round trip.
    ///
    /// # Errors
    /// Those of the connection.
    pub async fn get_bytes_with_ttl(
        &self,
        key: impl AsRef<[u8]>,
    ) -> Result<Option<(Bytes, Remaining)>, Error> {
        let mut bytes = BytesMut::new();
        encode_command(&[b"GET", key.as_ref()], &mut bytes);
        encode_command(&[b"PTTL", key.as_ref()], &mut bytes);
        let [value, left] = match self.exchange_several("GET", bytes.clone()).await {
            // As with all that only reads.
            Err(Error::Lost { .. }) => self.exchange_several("GET", bytes).await?,
            found => found?,
        };
        let left = Remaining::from_pttl(left.int()?);
        // It may have expired, or been deleted, between the two.
        Ok(value.value()?.filter(|_| left != Remaining::Absent).map(|value| (value, left)))
    }

    /// Runs `N` encoded commands in one round trip; an error reply to any is an error.
    pub(super) async fn exchange_several<const N: usize>(
        &self,
        command: &'static str,
        bytes: BytesMut,
    ) -> Result<[Answered; N], Error> {
        let replies = self.exchange_many(command, N, bytes).await?;
        let answered = replies.into_iter().map(|reply| match reply {
            Reply::Error(message) => Err(Error::Refused { command: command.to_owned(), message }),
            reply => Ok(Answered { command, reply }),
        });
        let answered: Vec<_> = answered.collect::<Result<_, _>>()?;
        Ok(answered.try_into().expect("as many replies came as were wanted"))
    }
}

pub(super) fn to_json<T: Serialize + ?Sized>(key: &[u8], value: &T) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(value).map_err(|error| Error::encode(key, error))
}

pub(super) fn from_json<T: DeserializeOwned>(key: &[u8], value: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(value).map_err(|error| Error::decode::<T>(key, error))
}
