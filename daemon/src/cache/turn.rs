//! One turn of the event loop: the connections that ran in it share one commit and wait for it together.

use std::cell::{OnceCell, RefCell};
use std::fmt;
use std::future::poll_fn;
use std::rc::Weak;
use std::task::{Poll, Waker};

use crate::error::CommandError;

/// Whether a turn's writes were committed, or the error to answer with where they were not: nothing was changed then, or
/// nobody knows.
pub type Outcome = Result<(), CommandError>;

/// The commit that a turn's writes will get. Whoever's answer depends on it holds the turn and waits.
#[derive(Debug, Default)]
pub struct Turn {
    outcome: OnceCell<Outcome>,
    waiting: RefCell<Vec<Waiting>>,
}

/// What goes on by itself once a turn has ended.
pub trait AtTurnsEnd {
    /// The turn has ended. Called at once by whoever ended it, so nothing may wait here.
    fn turn_ended(&self, outcome: &Outcome);
}

enum Waiting {
    Task(Waker),
    /// Not kept: who has gone meanwhile gets no answer, and what is told keeps the cache, which keeps the turn.
    Answers(Weak<dyn AtTurnsEnd>),
}

impl fmt::Debug for Waiting {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Task(_) => "Task",
            Self::Answers(_) => "Answers",
        })
    }
}

impl Turn {
    /// Resolves when the turn's writes are committed.
    ///
    /// # Errors
    /// The error to answer with where they were not; nothing was changed then, or nobody knows.
    pub async fn committed(&self) -> Outcome {
        poll_fn(|context| {
            if let Some(outcome) = self.outcome.get() {
                return Poll::Ready(outcome.clone());
            }
            self.waiting.borrow_mut().push(Waiting::Task(context.waker().clone()));
            Poll::Pending
        })
        .await
    }

    /// Has `answers` told once the turn has ended. False where it has already, and nobody will be told.
    pub fn tell(&self, answers: Weak<dyn AtTurnsEnd>) -> bool {
        let open = self.outcome.get().is_none();
        if open {
            self.waiting.borrow_mut().push(Waiting::Answers(answers));
        }
        open
    }

    /// How many wait for it.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.borrow().len()
    }

    /// Ends the turn. Those who are told may look at the cache and ask for this turn's outcome.
    pub(super) fn end(&self, outcome: Outcome) {
        let ended_before = self.outcome.set(outcome).is_err();
        debug_assert!(!ended_before, "a turn is committed once");
        let Some(outcome) = self.outcome.get() else { return };
        for waiting in self.waiting.take() {
            match waiting {
                Waiting::Task(waker) => waker.wake(),
                Waiting::Answers(answers) => {
                    if let Some(answers) = answers.upgrade() {
                        answers.turn_ended(outcome);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use super::*;

    #[derive(Default)]
    struct Heard(Cell<u32>);

    impl AtTurnsEnd for Heard {
        fn turn_ended(&self, outcome: &Outcome) {
            assert!(outcome.is_ok());
            self.0.set(self.0.get() + 1);
        }
    }

    #[test]
    fn who_is_still_there_is_told_once_and_nobody_is_kept() {
        let turn = Turn::default();
        let (there, gone) = (Rc::new(Heard::default()), Rc::new(Heard::default()));
        for heard in [&there, &gone] {
            let heard: Weak<Heard> = Rc::downgrade(heard);
            assert!(turn.tell(heard));
        }
        assert_eq!((turn.waiting(), Rc::strong_count(&gone)), (2, 1));
        drop(gone);
        turn.end(Ok(()));
        assert_eq!((turn.waiting(), there.0.get()), (0, 1));
        let late: Weak<Heard> = Rc::downgrade(&there);
        assert!(!turn.tell(late), "it has ended");
    }
}
