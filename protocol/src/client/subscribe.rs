//! Messages, as streams.
//!
//! A subscription has a connection and a task of its own. Where the connection ends it says so, connects again with
//! back-off, and listens to the same channels; what was sent meanwhile is lost, as it is with Redis.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use super::backoff::Backoff;
use super::handle::encode_all;
use super::pipe::greeting;
use super::{Client, Error};
use crate::{Decoder, Reply, ReplyLimits};

/// Messages read ahead. Beyond it they wait in the socket, then with the daemon, which at some point disconnects.
const AHEAD: usize = 1_024;

/// A message that somebody sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Where it was sent.
    pub channel: Bytes,
    /// The pattern that brought it here, for [`Client::subscribe_patterns`].
    pub pattern: Option<Bytes>,
    /// What it says.
    pub payload: Bytes,
}

/// The messages of some channels, as a stream that does not end by itself; made by [`Client::subscribe`].
///
/// An error in it means that messages may be missing here: the connection was lost. The messages after it are those of the
/// next connection.
#[derive(Debug)]
pub struct Subscription {
    messages: mpsc::Receiver<Result<Message, Error>>,
    task: AbortHandle,
}

impl Client {
    /// Listens to channels; returns once the daemon has confirmed it.
    ///
    /// ```
    /// # larderd::fresh::block_on(async |socket| {
    /// # let client = larder_protocol::client::Client::at(socket).await?;
    /// let mut news = client.subscribe(["news"]).await?;
    /// client.publish("news", "hello").await?;
    /// let message = news.next().await.expect("it does not end")?;
    /// assert_eq!((&message.channel[..], &message.payload[..]), (&b"news"[..], &b"hello"[..]));
    /// # Ok(())
    /// # });
    /// ```
    ///
    /// # Errors
    /// Those of the connection.
    pub async fn subscribe(
        &self,
        channels: impl IntoIterator<Item = impl AsRef<[u8]>>,
    ) -> Result<Subscription, Error> {
        self.listen("SUBSCRIBE", channels).await
    }

    /// Listens to all channels that match one of these globs.
    ///
    /// # Errors
    /// Those of the connection.
    pub async fn subscribe_patterns(
        &self,
        patterns: impl IntoIterator<Item = impl AsRef<[u8]>>,
    ) -> Result<Subscription, Error> {
        self.listen("PSUBSCRIBE", patterns).await
    }

    async fn listen(
        &self,
        command: &'static str,
        names: impl IntoIterator<Item = impl AsRef<[u8]>>,
    ) -> Result<Subscription, Error> {
        let names: Vec<Bytes> = names.into_iter().map(|name| Bytes::copy_from_slice(name.as_ref())).collect();
        if names.is_empty() {
            return Err(Error::Misuse(format!("{command} needs a channel at least")));
        }
        let words: Vec<&[u8]> =
            std::iter::once(command.as_bytes()).chain(names.iter().map(AsRef::as_ref)).collect();
        let greeting = greeting(self.inner.options.name.as_deref());
        let greetings = greeting.len();
        let mut request: BytesMut = greeting.into_iter().flatten().collect();
        request.unsplit(encode_all(&words));
        let mut listener = Listener {
            client: self.clone(),
            command,
            request: request.freeze(),
            greetings,
            wanted: names.len(),
        };
        let patience = self.inner.options.timeout;
        let late = |_| Error::Timeout { command: command.to_owned(), after: patience };
        let connection = timeout(patience, listener.connect()).await.map_err(late)??;
        let (sender, messages) = mpsc::channel(AHEAD);
        let task = tokio::spawn(async move { listener.run(connection, &sender).await }).abort_handle();
        Ok(Subscription { messages, task })
    }
}

impl Subscription {
    /// The next message. None only where the runtime is ending.
    pub async fn next(&mut self) -> Option<Result<Message, Error>> {
        self.messages.recv().await
    }
}

impl Stream for Subscription {
    type Item = Result<Message, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.messages.poll_recv(context)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What the task of a subscription knows.
struct Listener {
    client: Client,
    command: &'static str,
    /// All that is sent: the greeting, and what to listen to.
    request: Bytes,
    /// Answers to the greeting.
    greetings: usize,
    /// Channels or patterns that are to be confirmed.
    wanted: usize,
}

/// A connection that messages come in on.
struct Incoming {
    stream: UnixStream,
    decoder: Decoder,
    input: BytesMut,
}

impl Listener {
    async fn run(&mut self, mut connection: Incoming, sender: &mpsc::Sender<Result<Message, Error>>) {
        let options = &self.client.inner.options;
        let mut backoff = Backoff::new(options.first_wait, options.longest_wait);
        loop {
            let lost = loop {
                match connection.receive().await {
                    Ok(reply) => {
                        if let Some(message) = message(reply)
                            && sender.send(Ok(message)).await.is_err()
                        {
                            return;
                        }
                    }
                    Err(reason) => break self.lost(reason),
                }
            };
            if sender.send(Err(lost)).await.is_err() {
                return;
            }
            connection = loop {
                if let Ok(connection) = self.connect().await {
                    break connection;
                }
                sleep(backoff.failed()).await;
            };
            backoff.worked();
        }
    }

    /// Connects, and waits until the daemon has confirmed every channel.
    async fn connect(&mut self) -> Result<Incoming, Error> {
        let socket = &self.client.inner.socket;
        let unreachable = |error| Error::Unreachable { socket: Arc::clone(socket), source: Arc::new(error) };
        let stream = UnixStream::connect(socket).await.map_err(unreachable)?;
        let mut connection =
            Incoming { stream, decoder: Decoder::new(ReplyLimits::default()), input: BytesMut::new() };
        if let Err(error) = connection.stream.write_all(&self.request).await {
            // It has closed the connection; why, it may have said before.
            return Err(match connection.receive().await {
                Ok(Reply::Error(message)) => self.refused(message),
                _ => unreachable(error),
            });
        }
        // A daemon that does not know what it is told there answers with errors. Where it has too many clients it says so there.
        let mut refused = None;
        for _ in 0..self.greetings {
            match connection.receive().await {
                Ok(Reply::Error(message)) => refused = Some(message),
                Ok(_) => {}
                Err(reason) => return Err(refused.map_or_else(|| self.lost(reason), |why| self.refused(why))),
            }
        }
        for _ in 0..self.wanted {
            match connection.receive().await {
                Ok(Reply::Error(message)) => return Err(self.refused(message)),
                Ok(Reply::Array(_) | Reply::Push(_)) => {}
                Ok(other) => return Err(Error::unexpected(self.command, &other)),
                Err(reason) => return Err(self.lost(reason)),
            }
        }
        Ok(connection)
    }

    fn refused(&self, message: String) -> Error {
        Error::Refused { command: self.command.to_owned(), message }
    }

    fn lost(&self, reason: String) -> Error {
        Error::Lost {
            command: self.command.to_owned(),
            socket: Arc::clone(&self.client.inner.socket),
            reason,
        }
    }
}

impl Incoming {
    async fn receive(&mut self) -> Result<Reply, String> {
        loop {
            match self.decoder.decode(&mut self.input) {
                Ok(Some(reply)) => return Ok(reply),
                Ok(None) => {}
                Err(error) => return Err(error.to_string()),
            }
            match self.stream.read_buf(&mut self.input).await {
                Ok(0) => return Err("larder closed it".to_owned()),
                Ok(_) => {}
                Err(error) => return Err(error.to_string()),
            }
        }
    }
}

/// The message that a reply is; confirmations are none.
fn message(reply: Reply) -> Option<Message> {
    let (Reply::Array(parts) | Reply::Push(parts)) = reply else { return None };
    match &parts[..] {
        [Reply::Bulk(kind), Reply::Bulk(channel), Reply::Bulk(payload)] if &kind[..] == b"message" => {
            Some(Message { channel: channel.clone(), pattern: None, payload: payload.clone() })
        }
        [Reply::Bulk(kind), Reply::Bulk(pattern), Reply::Bulk(channel), Reply::Bulk(payload)]
            if &kind[..] == b"pmessage" =>
        {
            Some(Message {
                channel: channel.clone(),
                pattern: Some(pattern.clone()),
                payload: payload.clone(),
            })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_told_from_confirmations() {
        let words = |words: &[&str]| Reply::array(words.iter().map(|word| Some((*word).to_owned())));
        let plain = message(words(&["message", "c", "hi"])).expect("is one");
        assert_eq!((plain.channel, plain.pattern, plain.payload), ("c".into(), None, "hi".into()));
        let matched = message(words(&["pmessage", "c*", "c1", "hi"])).expect("is one");
        assert_eq!((matched.pattern, matched.channel), (Some("c*".into()), "c1".into()));
        assert_eq!(message(words(&["subscribe", "c", "1"])), None);
        assert_eq!(message(Reply::OK), None);
    }
}
