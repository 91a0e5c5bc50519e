//! Rate limits that all processes of a machine share.

use std::time::Duration;

use bytes::BytesMut;

use super::ttl::ms;
use super::{Client, Error, Key, Remaining};
use crate::encode_command;

/// So many requests in a window of time, for each of those who ask.
///
/// The window begins with the first request and ends that long after it, whatever comes in between. A check is one round
/// trip and one step of the daemon: never is one more allowed than the limit, however many processes ask at once. Refused
/// requests do not prolong anything. Counters outlive a restart of the daemon.
///
/// ```
/// # larderd::fresh::block_on(async |socket| {
/// # let client = larder_protocol::client::Client::at(socket).await?;
/// use std::time::Duration;
/// use larder_protocol::client::RateLimiter;
///
/// let logins = RateLimiter::new(&client, "login", 3, Duration::from_secs(60));
/// for remaining in [2, 1, 0] {
///     assert_eq!(logins.check("ann").await?.remaining, remaining);
/// }
/// let fourth = logins.check("ann").await?;
/// assert!(!fourth.allowed && fourth.reset_in <= Duration::from_secs(60));
/// assert!(logins.check("bob").await?.allowed);
/// # Ok(())
/// # });
/// ```
#[derive(Clone, Debug)]
pub struct RateLimiter {
    client: Client,
    name: String,
    limit: u64,
    window: Duration,
}

/// What a check found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Whether this request is within the limit.
    pub allowed: bool,
    /// How many there may be in a window.
    pub limit: u64,
    /// How many more may come in this window.
    pub remaining: u64,
    /// When the window ends, and with it a refusal.
    pub reset_in: Duration,
}

impl RateLimiter {
    /// A limit called `name`: `limit` requests within `window`.
    #[must_use]
    pub fn new(client: &Client, name: impl Into<String>, limit: u64, window: Duration) -> Self {
        Self { client: client.clone(), name: name.into(), limit, window }
    }

    /// Counts a request of `who`, and says whether it is within the limit.
    ///
    /// # Errors
    /// Those of the connection: whether to let requests through while the daemon is away is for the caller to decide.
    pub async fn check(&self, who: &str) -> Result<Decision, Error> {
        let (key, window) = (self.key(who), ms(self.window));
        let mut bytes = BytesMut::new();
        encode_command(&[&b"INCR"[..], key.as_ref(), b"PX", window.as_bytes()], &mut bytes);
        encode_command(&[&b"PTTL"[..], key.as_ref()], &mut bytes);
        let [count, left] = self.client.exchange_several("INCR", bytes).await?;
        let (count, left) = (count.count()?, Remaining::from_pttl(left.int()?));
        Ok(self.decision(count <= self.limit, count, left))
    }

    /// How `who` stands, without counting a request: `allowed` says whether one would be.
    ///
    /// # Errors
    /// Those of the connection.
    pub async fn peek(&self, who: &str) -> Result<Decision, Error> {
        let key = self.key(who);
        let found = self.client.get_bytes_with_ttl(&key).await?;
        let (count, left) = match found {
            Some((count, left)) => (super::commands::from_json(key.as_ref(), &count)?, left),
            None => (0, Remaining::For(self.window)),
        };
        Ok(self.decision(count < self.limit, count, left))
    }

    /// How many more requests of `who` are within the limit.
    ///
    /// # Errors
    /// Those of the connection.
    pub async fn remaining(&self, who: &str) -> Result<u64, Error> {
        Ok(self.peek(who).await?.remaining)
    }

    /// Begins anew for `who`; whether anything had been counted.
    ///
    /// # Errors
    /// Those of the connection.
    pub async fn reset(&self, who: &str) -> Result<bool, Error> {
        self.client.delete(self.key(who)).await
    }

    fn decision(&self, allowed: bool, count: u64, left: Remaining) -> Decision {
        let reset_in = left.duration().unwrap_or(Duration::ZERO);
        Decision { allowed, limit: self.limit, remaining: self.limit.saturating_sub(count), reset_in }
    }

    fn key(&self, who: &str) -> Key {
        Key::new("rate_limit").within(&self.name).part(who)
    }
}
