//! Going through keys page by page.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;

use super::reply::Answered;
use super::{Client, Error};
use crate::Reply;

/// Keys asked for at once.
const PAGE: &str = "500";

/// All keys that match a glob, as a stream; made by [`Client::scan`]. Each key comes at most once; one that is there from
/// the beginning to the end does come. After an error there is nothing more.
#[must_use = "nothing is asked before it is polled"]
pub struct Scan {
    client: Client,
    pattern: String,
    page: VecDeque<Bytes>,
    state: State,
}

/// The next page on its way: its cursor and its keys.
type Asking = Pin<Box<dyn Future<Output = Result<(Bytes, Vec<Bytes>), Error>> + Send>>;

enum State {
    /// The cursor of the next page.
    At(Bytes),
    Asking(Asking),
    Ended,
}

impl Client {
    /// Goes through all keys that match a glob, beside the traffic.
    ///
    /// ```
    /// # larderd::fresh::block_on(async |socket| {
    /// # let client = larder_protocol::client::Client::at(socket).await?;
    /// client.set_many([("user:1", &1), ("user:2", &2), ("other", &3)], None).await?;
    /// let mut users = client.scan("user:*");
    /// let mut found = Vec::new();
    /// while let Some(key) = users.next().await {
    ///     found.push(key?);
    /// }
    /// found.sort();
    /// assert_eq!(found, ["user:1", "user:2"]);
    /// # Ok(())
    /// # });
    /// ```
    pub fn scan(&self, pattern: impl Into<String>) -> Scan {
        let state = State::At(Bytes::from_static(b"0"));
        Scan { client: self.clone(), pattern: pattern.into(), page: VecDeque::new(), state }
    }

    /// All keys that match a glob, in no order.
    ///
    /// # Errors
    /// Those of the connection.
    pub async fn keys(&self, pattern: impl Into<String>) -> Result<Vec<Bytes>, Error> {
        let mut scan = self.scan(pattern);
        let mut keys = Vec::new();
        while let Some(key) = scan.next().await {
            keys.push(key?);
        }
        Ok(keys)
    }
}

impl Scan {
    /// The next key; none at the end.
    pub async fn next(&mut self) -> Option<Result<Bytes, Error>> {
        poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }
}

impl Stream for Scan {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(key) = self.page.pop_front() {
                return Poll::Ready(Some(Ok(key)));
            }
            match &mut self.state {
                State::Ended => return Poll::Ready(None),
                State::At(cursor) => {
                    let cursor = cursor.clone();
                    self.state =
                        State::Asking(Box::pin(ask(self.client.clone(), cursor, self.pattern.clone())));
                }
                State::Asking(asking) => match std::task::ready!(asking.as_mut().poll(context)) {
                    Ok((cursor, keys)) => {
                        self.page = keys.into();
                        self.state = if &cursor[..] == b"0" { State::Ended } else { State::At(cursor) };
                    }
                    Err(error) => {
                        self.state = State::Ended;
                        return Poll::Ready(Some(Err(error)));
                    }
                },
            }
        }
    }
}

async fn ask(client: Client, cursor: Bytes, pattern: String) -> Result<(Bytes, Vec<Bytes>), Error> {
    let words = [&b"SCAN"[..], &cursor, b"MATCH", pattern.as_bytes(), b"COUNT", PAGE.as_bytes()];
    let reply = client.read("SCAN", &words).await?.reply;
    let wrong = || Error::unexpected("SCAN", &reply);
    let Reply::Array(parts) = &reply else { return Err(wrong()) };
    let [Reply::Bulk(cursor), keys] = &parts[..] else { return Err(wrong()) };
    let keys = Answered { command: "SCAN", reply: keys.clone() }.values()?;
    Ok((cursor.clone(), keys.into_iter().flatten().collect()))
}

impl std::fmt::Debug for Scan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scan").field("pattern", &self.pattern).finish_non_exhaustive()
    }
}
