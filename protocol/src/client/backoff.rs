//! How long to leave a daemon alone that could not be reached.
//!
//! Used by connections. Waits double from one failure to the next up to a limit, and each is drawn from its upper half, so
//! that a hundred processes do not all knock in the same millisecond.

use std::time::Duration;

use super::random;

/// Waits between attempts.
#[derive(Clone, Debug)]
pub(super) struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Backoff {
    /// As after a success.
    pub(super) fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, next: first.min(longest) }
    }

    /// The wait after one more failure.
    pub(super) fn failed(&mut self) -> Duration {
        let wait = self.next;
        self.next = wait.saturating_mul(2).min(self.longest);
        random::wait(wait)
    }

    /// It works: the next failure is the first again.
    pub(super) fn worked(&mut self) {
        self.next = self.first.min(self.longest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_are_never_the_same_for_all() {
        let ms = Duration::from_millis;
        let mut backoff = Backoff::new(ms(20), ms(100));
        for nominal in [20, 40, 80, 100, 100, 100] {
            let wait = backoff.failed();
            assert!(wait >= ms(nominal / 2) && wait <= ms(nominal), "{nominal}: {wait:?}");
        }
        backoff.worked();
        assert!(backoff.failed() <= ms(20));
        let mut forever = Backoff::new(ms(100), ms(100));
        let first = forever.failed();
        assert!((0..50).any(|_| forever.failed() != first));
        assert!(Backoff::new(ms(500), ms(100)).failed() <= ms(100));
    }
}
