//! How long work on a thread of its own steps back for the event loop. Used by the keeper and by what it calls.
//!
//! Where the event loop is woken on a core that another thread works on, the kernel may let that finish its turn of some
//! milliseconds first, and a reader waits that long: giving the core up by `sched_yield` only helps whoever waits already.
//! A thread that sleeps is never in the way. So work that can wait goes on in bursts of fifty microseconds and sleeps
//! between them for a multiple of that.
//!
//! The haste is a thread's own and not handed down: what sorts, merges and frees is called by tests and offline commands as
//! well, which are in no one's way.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use crate::clock::Stopwatch;

/// How long a thread works before it steps back, in microseconds. Each sleep costs a change of context, some 5 us.
const BURST_US: u64 = 50;

/// The longest sleep. A burst is much longer than it should be where one piece of work is large.
const SLEEP_MAX: Duration = Duration::from_millis(20);

/// How much others come first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Haste {
    /// Writers wait for it, or the end of the process: a sleep would cost the merge a tenth of its speed, so it only yields.
    #[default]
    Urgent,
    /// One client waits for its end, and all others come first: a third of one core at most.
    Wanted,
    /// Nobody waits: a fifth of one core at most.
    Leisure,
}

impl Haste {
    /// How many times as long as it has worked a thread sleeps.
    const fn rests(self) -> u32 {
        match self {
            Self::Urgent => 0,
            Self::Wanted => 2,
            Self::Leisure => 4,
        }
    }
}

/// What a thread does between two sleeps.
#[derive(Clone, Copy, Debug)]
struct Burst {
    watch: Stopwatch,
    cpu: Duration,
}

impl Burst {
    fn begin() -> Self {
        Self { watch: Stopwatch::start(), cpu: cpu_of_thread() }
    }

    /// Time on the processor: where others had it, or the disk was waited for, nobody is owed a sleep.
    fn worked(self) -> Duration {
        cpu_of_thread().saturating_sub(self.cpu)
    }
}

fn cpu_of_thread() -> Duration {
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(used.tv_sec as u64, used.tv_nsec as u32)
}

thread_local! {
    static HASTE: RefCell<Rc<dyn Fn() -> Haste>> = RefCell::new(Rc::new(|| Haste::Urgent));
    static BURST: Cell<Option<Burst>> = const { Cell::new(None) };
}

/// Does some work on this thread, with a haste that is asked for after every burst.
pub fn by<T>(haste: impl Fn() -> Haste + 'static, work: impl FnOnce() -> T) -> T {
    let before = HASTE.replace(Rc::new(haste));
    // The thread may have waited for something to do until now.
    BURST.set(Some(Burst::begin()));
    let done = work();
    HASTE.set(before);
    done
}

/// The haste of this thread at this moment.
pub fn haste() -> Haste {
    let haste = HASTE.with_borrow(Rc::clone);
    haste()
}

/// Counts pieces of work, and looks at the clock every so often.
#[derive(Debug)]
pub struct Steps {
    every: u32,
    left: u32,
}

impl Steps {
    /// Looks every `every` pieces, which should take some ten microseconds.
    #[must_use]
    pub const fn every(every: u32) -> Self {
        Self { every, left: every }
    }

    /// One piece is done.
    pub fn step(&mut self) {
        self.left -= 1;
        if self.left == 0 {
            self.left = self.every;
            step_back_after_a_burst();
        }
    }
}

/// Sleeps, or yields, if the thread has worked for a burst since it last did.
pub fn step_back_after_a_burst() {
    let Some(burst) = BURST.get() else { return BURST.set(Some(Burst::begin())) };
    if burst.watch.us() < BURST_US {
        return;
    }
    match haste().rests() {
        0 => std::thread::yield_now(),
        rests => std::thread::sleep((burst.worked() * rests).min(SLEEP_MAX)),
    }
    BURST.set(Some(Burst::begin()));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a thread that has worked for three bursts sleeps for as long.
    fn slept(haste: Haste) -> bool {
        by(
            move || haste,
            || {
                let end = cpu_of_thread() + Duration::from_micros(3 * BURST_US);
                while cpu_of_thread() < end {}
                let watch = Stopwatch::start();
                let mut steps = Steps::every(2);
                steps.step();
                steps.step();
                watch.us() >= 3 * BURST_US
            },
        )
    }

    #[test]
    fn it_sleeps_for_as_long_as_it_has_worked_or_longer_where_it_may() {
        assert!(slept(Haste::Wanted));
        assert!(slept(Haste::Leisure));
    }
}
