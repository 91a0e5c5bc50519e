//! A connection of one's own, for what several calls have to do on the same one.

use std::sync::Mutex;

use bytes::BytesMut;
use tokio::sync::{mpsc, oneshot};

use super::handle::{encoded, locked};
use super::pipe::{self, Answer, Failure, Request};
use super::{Client, Error};
use crate::Reply;

/// Commands that no connection of this client can run.
const NEVER: &[(&str, &str)] = &[
    ("SUBSCRIBE", "use subscribe()"),
    ("PSUBSCRIBE", "use subscribe_patterns()"),
    ("UNSUBSCRIBE", "drop the subscription"),
    ("PUNSUBSCRIBE", "drop the subscription"),
    ("HELLO", "the client has chosen the protocol"),
    ("RESET", "drop the connection and open another"),
    ("QUIT", "drop the connection"),
];

/// A connection that nobody else uses: see [`Client::connection`].
#[derive(Debug)]
pub struct Connection {
    client: Client,
    /// None until it is first used.
    sender: Mutex<Option<mpsc::Sender<Request>>>,
}

impl Client {
    /// A connection of its own, for WATCH and MULTI over several calls. Where it ends, it is not replaced: what was
    /// watched would be forgotten.
    ///
    /// ```
    /// # larderd::fresh::block_on(async |socket| {
    /// # let client = larder_protocol::client::Client::at(socket).await?;
    /// use larder_protocol::Reply;
    ///
    /// client.set("stock", &3, None).await?;
    /// let own = client.connection();
    /// own.command(["WATCH", "stock"]).await?;
    /// client.set("stock", &2, None).await?;
    /// own.command(["MULTI"]).await?;
    /// own.command(["SET", "stock", "9"]).await?;
    /// assert_eq!(own.command(["EXEC"]).await?, Reply::NilArray, "somebody else was faster");
    /// # Ok(())
    /// # });
    /// ```
    #[must_use]
    pub fn connection(&self) -> Connection {
        Connection { client: self.clone(), sender: Mutex::new(None) }
    }
}

impl Connection {
    /// Runs any command but those for messages. An error reply is an error.
    ///
    /// # Errors
    /// Those of the daemon, and [`Error::Lost`] from the moment on that the connection has ended.
    pub async fn command(&self, words: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Result<Reply, Error> {
        let (bytes, command) = encoded(words, NEVER)?;
        match self.exchange(&command, 1, bytes).await?.pop().unwrap_or(Reply::None) {
            Reply::Error(message) => Err(Error::Refused { command, message }),
            reply => Ok(reply),
        }
    }

    /// Sends several encoded commands together; an error reply stands where its answer would.
    pub(super) async fn exchange(
        &self,
        command: &str,
        wanted: usize,
        bytes: BytesMut,
    ) -> Result<Vec<Reply>, Error> {
        let sender =
            locked(&self.sender).get_or_insert_with(|| pipe::open(self.client.opening(false))).clone();
        let (to, answer) = oneshot::channel();
        let request = Request { bytes: bytes.freeze(), answer: Answer::Many { wanted, got: Vec::new(), to } };
        let after = self.client.timeout;
        let gone =
            || Failure::Lost("it has ended, and what was watched or queued on it is forgotten".to_owned());
        let exchange = async {
            sender.send(request).await.map_err(|_| gone())?;
            answer.await.unwrap_or_else(|_| Err(gone()))
        };
        match tokio::time::timeout(after, exchange).await {
            Ok(answered) => answered.map_err(|failure| match failure {
                // Nothing was sent, and yet what was watched or queued before is lost.
                Failure::Unsent(_) => self.client.failed(command, gone()),
                failure => self.client.failed(command, failure),
            }),
            Err(_) => Err(Error::Timeout { command: command.to_owned(), after }),
        }
    }
}
