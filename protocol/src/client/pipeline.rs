//! Several commands in one round trip.

use bytes::BytesMut;

use super::handle::{encode_all, encoded_shared};
use super::{Client, Error};
use crate::Reply;

/// Commands that are sent together; made by [`Client::pipeline`].
#[derive(Debug)]
#[must_use = "nothing is sent before run()"]
pub struct Pipeline {
    client: Client,
    bytes: BytesMut,
    count: usize,
    atomic: bool,
    wrong: Option<Error>,
}

impl Client {
    /// Collects commands, to be sent together.
    ///
    /// ```
    /// # larderd::fresh::block_on(async |socket| {
    /// # let client = larder_protocol::client::Client::at(socket).await?;
    /// use larder_protocol::Reply;
    ///
    /// let replies = client.pipeline().command(["SET", "n", "1"]).command(["INCR", "n"]).run().await?;
    /// assert_eq!(replies, [Reply::OK, Reply::Int(2)]);
    ///
    /// // All or nothing, and nobody sees a part of it:
    /// let replies = client.pipeline().atomic().command(["INCR", "n"]).command(["GET", "n"]).run().await?;
    /// assert_eq!(replies, [Reply::Int(3), Reply::bulk("3")]);
    /// # Ok(())
    /// # });
    /// ```
    pub fn pipeline(&self) -> Pipeline {
        Pipeline { client: self.clone(), bytes: BytesMut::new(), count: 0, atomic: false, wrong: None }
    }
}

impl Pipeline {
    /// Adds a command.
    pub fn command(mut self, words: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Self {
        match encoded_shared(words) {
            Ok((bytes, _)) => {
                self.bytes.unsplit(bytes);
                self.count += 1;
            }
            Err(error) => self.wrong = self.wrong.or(Some(error)),
        }
        self
    }

    /// Has the commands run as one transaction, between MULTI and EXEC.
    pub fn atomic(mut self) -> Self {
        self.atomic = true;
        self
    }

    /// Sends the commands and waits for their replies. An error reply to one of them is its reply, and the others run.
    ///
    /// # Errors
    /// Those of the connection; a command that cannot be shared; and for a transaction, that the daemon would not begin it
    /// because of one of its commands.
    pub async fn run(self) -> Result<Vec<Reply>, Error> {
        let Self { client, bytes, count, atomic, wrong } = self;
        match wrong {
            Some(error) => Err(error),
            None if count == 0 => Ok(Vec::new()),
            None if atomic => transaction(&client, &bytes, count).await,
            None => client.exchange_many("a pipeline", count, bytes).await,
        }
    }
}

async fn transaction(client: &Client, commands: &[u8], count: usize) -> Result<Vec<Reply>, Error> {
    let mut bytes = encode_all(&["MULTI"]);
    bytes.extend_from_slice(commands);
    bytes.unsplit(encode_all(&["EXEC"]));
    let mut replies = client.exchange_many("EXEC", count + 2, bytes).await?;
    match replies.pop() {
        Some(Reply::Array(replies)) => Ok(replies),
        Some(Reply::Error(abort)) => {
            // Why: the reply to the command that would not be queued.
            let why = replies
                .into_iter()
                .find_map(|reply| if let Reply::Error(why) = reply { Some(why) } else { None });
            Err(Error::Refused { command: "EXEC".to_owned(), message: why.unwrap_or(abort) })
        }
        other => Err(Error::unexpected("EXEC", &other.unwrap_or(Reply::Nil))),
    }
}
