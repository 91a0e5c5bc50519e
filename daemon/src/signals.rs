//! Signals, turned into messages.
//!
//! Used by the server's event loop, which is the only receiver. A thread of its own waits for the signals, so that the
//! second request to stop is heard even when the event loop is not turning. Never decides what a signal leads to, but
//! for that second request: it ends the process.

use std::io;
use std::thread;

use signal_hook::consts::signal::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::iterator::Signals;
use tokio::sync::mpsc::{self, Receiver, Sender};

/// What someone outside asks of the daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM or SIGINT: answer what has been asked and stop.
    Stop,
    /// SIGHUP: read the configuration again.
    Reload,
    /// SIGUSR1: log the statistics.
    Report,
}

/// Signals that wait for the event loop. More than a few unanswered reloads or reports mean the same as one.
const WAITING_MAX: usize = 4;

/// Starts listening. From here on these signals no longer end the process by themselves.
///
/// # Errors
/// When the handlers cannot be installed or the thread cannot be started.
pub fn listen() -> io::Result<Receiver<Signal>> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP, SIGUSR1])?;
    let (sender, receiver) = mpsc::channel(WAITING_MAX);
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        let mut forwarder = Forwarder { sender, stopping: false };
        for number in &mut signals {
            if forwarder.forward(number) == Next::Exit {
                // 128 and the signal's number, as a shell reports a process that a signal ended.
                std::process::exit(128 + number);
            }
        }
    })?;
    Ok(receiver)
}

/// What the thread does after a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Wait,
    Exit,
}

struct Forwarder {
    sender: Sender<Signal>,
    /// Whether a stop has been passed on.
    stopping: bool,
}

impl Forwarder {
    /// Never waits: a thread that did would miss the second request to stop.
    fn forward(&mut self, number: i32) -> Next {
        let signal = match number {
            SIGHUP => Signal::Reload,
            SIGUSR1 => Signal::Report,
            _ => Signal::Stop,
        };
        if signal == Signal::Stop {
            // The last place is kept for the stop, so sending fails only when nobody listens any more.
            let passed_on = !self.stopping && self.sender.try_send(signal).is_ok();
            self.stopping = true;
            return if passed_on { Next::Wait } else { Next::Exit };
        }
        if self.sender.capacity() > 1 {
            // A receiver that is gone is on its way out and needs neither.
            let _ = self.sender.try_send(signal);
        }
        Next::Wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forwarder() -> (Forwarder, Receiver<Signal>) {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        (Forwarder { sender, stopping: false }, receiver)
    }

    #[test]
    fn signals_become_messages_in_order() {
        let (mut forwarder, mut receiver) = forwarder();
        for number in [SIGHUP, SIGUSR1, SIGTERM] {
            assert_eq!(forwarder.forward(number), Next::Wait);
        }
        assert_eq!(receiver.try_recv(), Ok(Signal::Reload));
        assert_eq!(receiver.try_recv(), Ok(Signal::Report));
        assert_eq!(receiver.try_recv(), Ok(Signal::Stop));
        assert!(receiver.try_recv().is_err());
    }

    #[test]
    fn a_second_stop_ends_the_process() {
        for (first, second) in [(SIGTERM, SIGTERM), (SIGINT, SIGINT), (SIGINT, SIGTERM)] {
            let (mut forwarder, _receiver) = forwarder();
            assert_eq!(forwarder.forward(first), Next::Wait);
            assert_eq!(forwarder.forward(SIGHUP), Next::Wait);
            assert_eq!(forwarder.forward(second), Next::Exit);
        }
    }

    #[test]
    fn a_stop_gets_through_however_many_reports_wait() {
        let (mut forwarder, mut receiver) = forwarder();
        for _ in 0..100 {
            assert_eq!(forwarder.forward(SIGUSR1), Next::Wait);
        }
        assert_eq!(forwarder.forward(SIGTERM), Next::Wait);
        let mut last = None;
        while let Ok(signal) = receiver.try_recv() {
            last = Some(signal);
        }
        assert_eq!(last, Some(Signal::Stop));
    }

    #[test]
    fn a_stop_that_nobody_hears_ends_the_process() {
        let (mut forwarder, receiver) = forwarder();
        drop(receiver);
        assert_eq!(forwarder.forward(SIGUSR1), Next::Wait);
        assert_eq!(forwarder.forward(SIGTERM), Next::Exit);
    }

    #[test]
    fn a_real_signal_arrives() {
        let mut receiver = listen().unwrap();
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::USR1).unwrap();
        assert_eq!(receiver.blocking_recv(), Some(Signal::Report));
    }
}
