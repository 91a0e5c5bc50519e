//! Yielding the processor from long work on threads of its own. Used by the keeper, and by what it calls.
//!
//! Where the event loop is woken on a core that the keeper works on, the kernel may let the keeper finish its turn of some
//! milliseconds first, and a reader waits that long. So the keeper asks every hundred microseconds or so whether somebody
//! else wants to run. Where nobody does, asking costs less than a microsecond.

/// Counts pieces of work and yields every so often.
#[derive(Debug)]
pub struct Yielding {
    every: u32,
    left: u32,
}

impl Yielding {
    /// Yields after every `every` pieces.
    #[must_use]
    pub const fn every(every: u32) -> Self {
        Self { every, left: every }
    }

    /// One piece is done.
    pub fn step(&mut self) {
        self.left -= 1;
        if self.left == 0 {
            self.left = self.every;
            std::thread::yield_now();
        }
    }
}
