//! How much a transaction may do: short commands can do much, such as a SETRANGE far into a key, or the same GET many times.

use larder_protocol::Reply;

use crate::cache::{Stop, View};
use crate::cmd::Host;
use crate::error::CommandError;

/// What a transaction may write and answer, each: twice of what may be queued.
pub(super) struct Bound {
    limit: usize,
    answered: usize,
}

impl Bound {
    pub(super) fn new(host: &Host) -> Self {
        Self { limit: 2 * host.settings().frame_limits().request_bytes, answered: 0 }
    }

    pub(super) fn check_writes(&self, view: &View<'_>) -> Result<(), Stop> {
        if view.uncommitted_bytes() < self.limit { Ok(()) } else { Err(self.exceeded().into()) }
    }

    pub(super) fn check_answer(&mut self, done: Result<Reply, CommandError>) -> Result<Reply, CommandError> {
        let reply = done?;
        let bytes = bytes(&reply);
        if self.answered + bytes > self.limit {
            return Err(self.exceeded());
        }
        self.answered += bytes;
        Ok(reply)
    }

    fn exceeded(&self) -> CommandError {
        CommandError::TransactionTooLarge { limit: self.limit }
    }
}

/// About the length of an answer.
fn bytes(reply: &Reply) -> usize {
    match reply {
        Reply::Bulk(text) | Reply::Verbatim { text, .. } => text.len(),
        Reply::StatusOwned(text) | Reply::Error(text) => text.len(),
        Reply::Array(items) | Reply::Set(items) | Reply::Push(items) | Reply::Several(items) => {
            items.iter().map(bytes).sum()
        }
        Reply::Map(pairs) => pairs.iter().map(|(key, value)| bytes(key) + bytes(value)).sum(),
        Reply::Status(_)
        | Reply::Int(_)
        | Reply::Nil
        | Reply::NilArray
        | Reply::Double(_)
        | Reply::Bool(_)
        | Reply::None => 0,
    }
}
