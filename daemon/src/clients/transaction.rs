//! The commands that a client has queued with MULTI, until EXEC runs them.

use larder_protocol::{OwnedRequest, Request};

use crate::error::CommandError;

/// What a queued word costs beside its bytes.
const WORD_BYTES: usize = 32;

/// A transaction that has been begun.
#[derive(Debug, Default)]
pub struct Transaction {
    queue: Vec<OwnedRequest>,
    bytes: usize,
    /// Whether a command could not be queued, so that EXEC must not run the others.
    failed: bool,
}

impl Transaction {
    /// Queues a request.
    ///
    /// # Errors
    /// Where the queue would then take more than `limit_bytes`.
    pub fn queue(&mut self, request: Request<'_>, limit_bytes: usize) -> Result<(), CommandError> {
        let bytes: usize = request.words().map(|word| word.len() + WORD_BYTES).sum();
        if self.bytes + bytes > limit_bytes {
            return Err(CommandError::TransactionTooLarge { limit: limit_bytes });
        }
        self.bytes += bytes;
        self.queue.push(request.to_owned());
        Ok(())
    }

    /// A command could not be queued.
    pub fn fail(&mut self) {
        self.failed = true;
        // They will not be run.
        self.queue = Vec::new();
    }

    /// Whether a command could not be queued.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.failed
    }

    /// How many are queued.
    #[must_use]
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// What they take, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The queued requests, in order.
    #[must_use]
    pub fn into_requests(self) -> Vec<OwnedRequest> {
        self.queue
    }
}

#[cfg(test)]
mod tests {
    use larder_protocol::Dialect;

    use super::*;

    #[test]
    fn it_holds_what_fits() {
        let request = OwnedRequest::new(["set", "k", "v"], Dialect::Line);
        let mut transaction = Transaction::default();
        let limit = 2 * (5 + 3 * WORD_BYTES);
        for fits in [true, true, false] {
            let queued = transaction.queue(request.as_request(), limit);
            assert_eq!(queued, if fits { Ok(()) } else { Err(CommandError::TransactionTooLarge { limit }) });
        }
        assert_eq!((transaction.len(), transaction.has_failed()), (2, false));
        transaction.fail();
        assert_eq!((transaction.has_failed(), transaction.into_requests().len()), (true, 0));
    }
}
