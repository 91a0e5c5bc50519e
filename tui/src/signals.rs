//! Signals, turned into messages by a thread of its own; and stopping the process as Ctrl-Z does.

use std::io;
use std::sync::mpsc::SyncSender;
use std::thread;

use signal_hook::consts::signal::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP};
use signal_hook::iterator::Signals;

use crate::app::msg::Msg;

/// Starts listening. From here on these signals no longer end or stop the process by themselves.
///
/// # Errors
/// When the handlers cannot be installed or the thread cannot be started.
pub fn listen(sender: SyncSender<Msg>) -> io::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGTSTP])?;
    let run = move || {
        for number in &mut signals {
            let msg = if number == SIGTSTP { Msg::Suspend } else { Msg::Signal(number) };
            if sender.send(msg).is_err() {
                return;
            }
        }
    };
    thread::Builder::new().name("signals".to_owned()).spawn(run).map(drop)
}

/// Stops the process until it is continued.
///
/// # Errors
/// If the system refuses.
pub fn stop() -> io::Result<()> {
    signal_hook::low_level::emulate_default_handler(SIGTSTP)
}
