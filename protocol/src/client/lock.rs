//! Locks between processes, which free themselves.
//!
//! A lock is a key with a token that nobody else knows and a short TTL, its lease. As long as the holder lives, a task
//! renews the lease; when the holder dies, the lock is free when the lease is over. Only the holder's own token is ever
//! renewed or deleted.

use std::time::Duration;

use bytes::BytesMut;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use tokio::time::sleep;

use super::handle::encode_all;
use super::{Client, Error, SetOptions, random};
use crate::{Reply, encode_command};

/// How often a lease is renewed before it could end.
const RENEWALS: u32 = 3;

/// A lock that is held; made by [`Client::try_lock`]. Freed when it is dropped, or by [`release`](Self::release), which
/// waits until it is.
#[derive(Debug)]
pub struct Lock {
    client: Client,
    key: Vec<u8>,
    token: String,
    renewal: AbortHandle,
    released: bool,
}

impl Client {
    /// Takes the lock called `key`, if nobody has it. The lease is how long it outlives a holder that dies.
    ///
    /// ```
    /// # larderd::fresh::block_on(async |socket| {
    /// # let client = larder_protocol::client::Client::at(socket).await?;
    /// use std::time::Duration;
    ///
    /// let lease = Duration::from_secs(5);
    /// let lock = client.try_lock("lock:report", lease).await?.expect("nobody has it");
    /// assert!(client.try_lock("lock:report", lease).await?.is_none());
    /// assert!(lock.release().await?, "it was ours to the end");
    /// assert!(client.try_lock("lock:report", lease).await?.is_some());
    /// # Ok(())
    /// # });
    /// ```
    ///
    /// # Errors
    /// Those of the connection and of the daemon.
    pub async fn try_lock(&self, key: impl AsRef<[u8]>, lease: Duration) -> Result<Option<Lock>, Error> {
        let (key, token) = (key.as_ref().to_vec(), new_token());
        let free = self.set_bytes_with(&key, &token, SetOptions::new().if_absent().ttl(lease)).await?;
        Ok(free.then(|| Lock::held(self.clone(), key, token, lease)))
    }
}

/// A token of this attempt alone.
pub(super) fn new_token() -> String {
    random::hex::<16>()
}

impl Lock {
    /// A lock whose key has been set, and has to be renewed from now on.
    pub(super) fn held(client: Client, key: Vec<u8>, token: String, lease: Duration) -> Self {
        let renewal = tokio::spawn(renew(client.clone(), key.clone(), token.clone(), lease)).abort_handle();
        Self { client, key, token, renewal, released: false }
    }

    /// Frees it; whether it was still held, and had not been lost in between: to a daemon that was away for longer than the
    /// lease, or to somebody who deleted it.
    ///
    /// # Errors
    /// Those of the connection. It is then free when its lease is over.
    pub async fn release(mut self) -> Result<bool, Error> {
        self.renewal.abort();
        self.released = true;
        self.client.call("DELEX", &[b"DELEX", &self.key[..], b"IFEQ", self.token.as_bytes()]).await?.yes()
    }

    /// Stores a value and frees the lock, as one step, if the lock is still held; whether it was.
    pub(super) async fn release_with(mut self, words: &[impl AsRef<[u8]>]) -> Result<bool, Error> {
        // From here on nothing but what would end the lock changes its key, but for a renewal under way.
        self.renewal.abort();
        let connection = self.client.connection();
        let mut look = encode_all(&[&b"WATCH"[..], &self.key]);
        encode_command(&[&b"GET"[..], &self.key], &mut look);
        let mut replace = encode_all(&["MULTI"]);
        encode_command(words, &mut replace);
        encode_command(&[&b"DEL"[..], &self.key], &mut replace);
        encode_command(&["EXEC"], &mut replace);
        for _ in 0..=RENEWALS {
            let token = connection.exchange("WATCH", 2, look.clone()).await?.pop();
            if token.as_ref().and_then(Reply::as_bytes) != Some(self.token.as_bytes()) {
                break;
            }
            let mut replies = connection.exchange("EXEC", 4, replace.clone()).await?;
            match replies.pop() {
                Some(Reply::NilArray | Reply::Nil) => {}
                Some(Reply::Array(done)) => {
                    self.released = true;
                    return refused("SET", done).map_or(Ok(true), Err);
                }
                other => {
                    // Why it could not be queued stands before it.
                    replies.extend(other);
                    return Err(
                        refused("SET", replies).unwrap_or_else(|| Error::unexpected("EXEC", &Reply::Nil))
                    );
                }
            }
        }
        Ok(false)
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.renewal.abort();
        if self.released {
            return;
        }
        // Without a runtime the lease has to end by itself.
        let Ok(runtime) = Handle::try_current() else { return };
        let (client, key, token) =
            (self.client.clone(), std::mem::take(&mut self.key), std::mem::take(&mut self.token));
        runtime.spawn(async move {
            // Where that fails, the lease ends by itself as well.
            let _ = client.call("DELEX", &[b"DELEX", &key[..], b"IFEQ", token.as_bytes()]).await;
        });
    }
}

/// The first error among replies.
fn refused(command: &str, replies: Vec<Reply>) -> Option<Error> {
    replies.into_iter().find_map(|reply| match reply {
        Reply::Error(message) => Some(Error::Refused { command: command.to_owned(), message }),
        _ => None,
    })
}

/// Renews a lease until it is lost, or this is aborted.
async fn renew(client: Client, key: Vec<u8>, token: String, lease: Duration) {
    let options = SetOptions::new().if_equal(token.as_bytes()).ttl(lease);
    loop {
        sleep(lease / RENEWALS).await;
        // An error may pass before the lease is over; a lock that is lost does not come back.
        if let Ok(false) = client.set_bytes_with(&key, &token, options.clone()).await {
            return;
        }
    }
}

/// Takes a lock, and looks at a key after that, in one round trip. Whether it was taken, and what was found.
pub(super) async fn take_and_look(
    client: &Client,
    lock: &[u8],
    token: &str,
    lease: Duration,
    then: &[&[u8]],
) -> Result<(bool, Reply), Error> {
    let mut bytes = BytesMut::new();
    encode_command(&SetOptions::new().if_absent().ttl(lease).words(lock, token.as_bytes()), &mut bytes);
    encode_command(then, &mut bytes);
    let [set, found] = client.exchange_several("SET", bytes).await?;
    Ok((set.done()?, found.reply))
}
