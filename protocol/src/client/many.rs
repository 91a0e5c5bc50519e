//! Commands over many keys at once, in parts of a size that leaves others room.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::commands::{from_json, to_json};
use super::{Client, Error, Ttl};

/// Keys that go into one command of many: a daemon answers others between two of them.
const KEYS_AT_ONCE: usize = 1_000;

/// Bytes of values that go into one command of many.
const BYTES_AT_ONCE: usize = 8 << 20;

impl Client {
    /// The values of many keys, in their order.
    ///
    /// ```
    /// # larderd::fresh::block_on(async |socket| {
    /// # let client = larder_protocol::client::Client::at(socket).await?;
    /// client.set_many([("a", &1), ("b", &2)], None).await?;
    /// assert_eq!(client.get_many::<u32>(["b", "nothing", "a"]).await?, [Some(2), None, Some(1)]);
    /// # Ok(())
    /// # });
    /// ```
    ///
    /// # Errors
    /// Those of the connection, and [`Error::Decode`] where a value is not such JSON.
    pub async fn get_many<T: DeserializeOwned>(
        &self,
        keys: impl IntoIterator<Item = impl AsRef<[u8]>>,
    ) -> Result<Vec<Option<T>>, Error> {
        let keys: Vec<Bytes> = copied(keys);
        let values = self.get_many_of(&keys).await?;
        let decoded =
            keys.iter().zip(values).map(|(key, value)| value.map(|value| from_json(key, &value)).transpose());
        decoded.collect()
    }

    /// The values of many keys as they are stored, in their order.
    ///
    /// # Errors
    /// Those of the connection.
    pub async fn get_many_bytes(
        &self,
        keys: impl IntoIterator<Item = impl AsRef<[u8]>>,
    ) -> Result<Vec<Option<Bytes>>, Error> {
        self.get_many_of(&copied(keys)).await
    }

    async fn get_many_of(&self, keys: &[Bytes]) -> Result<Vec<Option<Bytes>>, Error> {
        let mut values = Vec::with_capacity(keys.len());
        for part in keys.chunks(KEYS_AT_ONCE) {
            let words: Vec<&[u8]> =
                std::iter::once(&b"MGET"[..]).chain(part.iter().map(AsRef::as_ref)).collect();
            values.extend(self.read("MGET", &words).await?.values()?);
        }
        Ok(values)
    }

    /// Stores many values as JSON, with one TTL for all. Up to a thousand of a few MiB together are stored as one step,
    /// more in several.
    ///
    /// # Errors
    /// Those of the connection and of the daemon, and [`Error::Encode`]. Nothing is stored where a value cannot be encoded.
    pub async fn set_many<'a, K: AsRef<[u8]>, T: Serialize + ?Sized + 'a>(
        &self,
        entries: impl IntoIterator<Item = (K, &'a T)>,
        ttl: impl Into<Ttl>,
    ) -> Result<(), Error> {
        let encoded: Result<Vec<_>, Error> = entries
            .into_iter()
            .map(|(key, value)| {
                let value = to_json(key.as_ref(), value)?;
                Ok((Bytes::copy_from_slice(key.as_ref()), Bytes::from(value)))
            })
            .collect();
        self.set_many_of(&encoded?, ttl.into()).await
    }

    /// Stores many values of bytes, with one TTL for all, as [`set_many`](Self::set_many) does.
    ///
    /// # Errors
    /// Those of the connection and of the daemon.
    pub async fn set_many_bytes<K: AsRef<[u8]>, V: AsRef<[u8]>>(
        &self,
        entries: impl IntoIterator<Item = (K, V)>,
        ttl: impl Into<Ttl>,
    ) -> Result<(), Error> {
        let copy = |(key, value): (K, V)| {
            (Bytes::copy_from_slice(key.as_ref()), Bytes::copy_from_slice(value.as_ref()))
        };
        let entries: Vec<_> = entries.into_iter().map(copy).collect();
        self.set_many_of(&entries, ttl.into()).await
    }

    async fn set_many_of(&self, entries: &[(Bytes, Bytes)], ttl: Ttl) -> Result<(), Error> {
        let mut rest = entries;
        while !rest.is_empty() {
            let mut bytes = 0;
            let fits = |(key, value): &&(Bytes, Bytes)| {
                bytes += key.len() + value.len();
                bytes <= BYTES_AT_ONCE
            };
            let count = rest.iter().take(KEYS_AT_ONCE).take_while(fits).count().max(1);
            let (part, after) = rest.split_at(count);
            rest = after;
            let count = count.to_string();
            let ttl = ttl.ms();
            let mut words: Vec<&[u8]> = match &ttl {
                Some(_) => vec![b"MSETEX", count.as_bytes()],
                None => vec![b"MSET"],
            };
            words.extend(part.iter().flat_map(|(key, value)| [&key[..], &value[..]]));
            if let Some(ms) = &ttl {
                words.extend([&b"PX"[..], ms.as_bytes()]);
                self.call("MSETEX", &words).await?.int()?;
            } else {
                self.call("MSET", &words).await?.ok()?;
            }
        }
        Ok(())
    }

    /// Deletes many keys; how many were there.
    ///
    /// # Errors
    /// Those of the connection.
    pub async fn delete_many(&self, keys: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Result<u64, Error> {
        let mut deleted = 0;
        for part in copied(keys).chunks(KEYS_AT_ONCE) {
            let words: Vec<&[u8]> =
                std::iter::once(&b"DEL"[..]).chain(part.iter().map(AsRef::as_ref)).collect();
            deleted += self.call("DEL", &words).await?.count()?;
        }
        Ok(deleted)
    }
}

fn copied(keys: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Vec<Bytes> {
    keys.into_iter().map(|key| Bytes::copy_from_slice(key.as_ref())).collect()
}
