//! The commands that a client has queued with MULTI, until EXEC runs them.

use larder_protocol::{OwnedRequest, Request};

use crate::error::CommandError;
use crate::kept::Kept;

/// What a queued word costs beside its bytes.
const WORD_BYTES: usize = 32;

/// A transaction that has been begun.
#[derive(Debug, Default)]
pub struct Transaction {
    queue: Vec<OwnedRequest>,
    bytes: usize,
    kept: Kept,
    /// Whether a command could not be queued, so that EXEC must not run the others.
    failed: bool,
}

impl Transaction {
    /// An empty one, whose queue counts as `kept`.
    #[must_use]
    pub fn new(kept: Kept) -> Self {
        Self { kept, ..Self::default() }
    }

    /// Queues a request.
    ///
    /// # Errors
    /// Where the queue would then take more than `limit_bytes`, or what all clients keep together more than it may.
    pub fn queue(&mut self, request: Request<'_>, limit_bytes: usize) -> Result<(), CommandError> {
        let bytes: usize = request.words().map(|word| word.len() + WORD_BYTES).sum();
        if self.bytes + bytes > limit_bytes {
            return Err(CommandError::TransactionTooLarge { limit: limit_bytes });
        }
        self.kept.resize(self.bytes + bytes)?;
        self.bytes += bytes;
        self.queue.push(request.to_owned());
        Ok(())
    }

    /// A command could not be queued.
    pub fn fail(&mut self) {
        self.failed = true;
        // They will not be run.
        self.queue = Vec::new();
        self.bytes = 0;
        self.kept = Kept::default();
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

    /// The queued requests, in order, and what they count as for as long as they are there.
    #[must_use]
    pub fn into_requests(self) -> (Vec<OwnedRequest>, Kept) {
        (self.queue, self.kept)
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use larder_protocol::Dialect;

    use super::*;
    use crate::kept::Keeping;

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
        assert_eq!((transaction.has_failed(), transaction.into_requests().0.len()), (true, 0));
    }

    #[test]
    fn it_counts_for_as_long_as_there_is_something_in_it() {
        let keeping = Rc::new(Keeping::new(6_000));
        let request = OwnedRequest::new(["set", "k", &"v".repeat(4_000)], Dialect::Line);
        let mut transaction = Transaction::new(Kept::within(&keeping));
        for fits in [true, true, false] {
            let queued = transaction.queue(request.as_request(), 1 << 20);
            let expected = if fits { Ok(()) } else { Err(CommandError::NoRoomToKeep { limit_bytes: 6_000 }) };
            assert_eq!(queued, expected);
        }
        let (queue, kept) = transaction.into_requests();
        assert_eq!((queue.len(), keeping.used_bytes() > 4_000), (2, true));
        drop(kept);
        assert_eq!(keeping.used_bytes(), 0);
        let mut transaction = Transaction::new(Kept::within(&keeping));
        transaction.queue(request.as_request(), 1 << 20).unwrap();
        transaction.queue(request.as_request(), 1 << 20).unwrap();
        transaction.fail();
        assert_eq!((keeping.used_bytes(), transaction.bytes()), (0, 0));
    }
}
