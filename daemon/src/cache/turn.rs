//! One turn of the event loop: the connections that ran in it share one commit and wait for it together.

use std::cell::{OnceCell, RefCell};
use std::future::poll_fn;
use std::task::{Poll, Waker};

use crate::error::CommandError;

/// The commit that a turn's writes will get. Whoever's answer depends on it holds the turn and waits.
#[derive(Debug, Default)]
pub struct Turn {
    outcome: OnceCell<Result<(), CommandError>>,
    waiting: RefCell<Vec<Waker>>,
}

impl Turn {
    /// Resolves when the turn's writes are committed.
    ///
    /// # Errors
    /// The error to answer with where they were not; nothing was changed then, or nobody knows.
    pub async fn committed(&self) -> Result<(), CommandError> {
        poll_fn(|context| {
            if let Some(outcome) = self.outcome.get() {
                return Poll::Ready(outcome.clone());
            }
            self.waiting.borrow_mut().push(context.waker().clone());
            Poll::Pending
        })
        .await
    }

    /// How many wait for it.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.borrow().len()
    }

    pub(super) fn end(&self, outcome: Result<(), CommandError>) {
        let ended_before = self.outcome.set(outcome).is_err();
        debug_assert!(!ended_before, "a turn is committed once");
        for waker in self.waiting.borrow_mut().drain(..) {
            waker.wake();
        }
    }
}
