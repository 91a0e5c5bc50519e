//! How long to wait before the next attempt to connect.

/// The first wait, and the longest.
const FIRST_MS: u64 = 250;
const LONGEST_MS: u64 = 5_000;

/// Waits that double up to a limit.
#[derive(Clone, Debug)]
pub struct Backoff {
    next_ms: u64,
}

impl Default for Backoff {
    /// As after a success.
    fn default() -> Self {
        Self { next_ms: FIRST_MS }
    }
}

impl Backoff {
    /// The wait after one more failure, in milliseconds.
    pub fn failed(&mut self) -> u64 {
        let wait = self.next_ms;
        self.next_ms = (wait * 2).min(LONGEST_MS);
        wait
    }

    /// The connection works: the next failure is the first again.
    pub fn worked(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_five_seconds_and_begin_anew_after_a_success() {
        let mut backoff = Backoff::default();
        let waits: Vec<u64> = (0..8).map(|_| backoff.failed()).collect();
        assert_eq!(waits, [250, 500, 1_000, 2_000, 4_000, 5_000, 5_000, 5_000]);
        backoff.worked();
        assert_eq!([backoff.failed(), backoff.failed()], [250, 500]);
        let mut backoff = Backoff::default();
        assert!((0..1_000).all(|_| backoff.failed() <= LONGEST_MS));
    }
}
