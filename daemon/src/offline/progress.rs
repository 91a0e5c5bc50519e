//! A bar on the terminal for what takes a while. On standard error, and not where that is the terminal that standard
//! output goes to: the bar would get between its lines.

use std::io::{self, IsTerminal as _, Write as _};

use super::human;
use crate::clock::Stopwatch;

/// How often it is drawn.
const EVERY_MS: u64 = 100;

/// Its length in letters.
const BAR: u64 = 30;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Entries,
    Bytes,
}

/// A bar, cleared away when it is dropped.
#[derive(Debug)]
pub(super) struct Progress {
    shown: bool,
    drawn: Option<Stopwatch>,
    unit: Unit,
    total: Option<u64>,
}

impl Progress {
    /// A bar up to `total`, where that is known; `to_stdout` says whether standard output is being written to.
    pub(super) fn new(unit: Unit, total: Option<u64>, to_stdout: bool) -> Self {
        let shown = io::stderr().is_terminal() && !(to_stdout && streams_share_a_terminal());
        Self { shown, drawn: None, unit, total }
    }

    /// Draws it, unless that was done just now.
    pub(super) fn at(&mut self, done: u64) {
        if !self.shown || self.drawn.is_some_and(|drawn| drawn.ms() < EVERY_MS) {
            return;
        }
        self.drawn = Some(Stopwatch::start());
        // A terminal that has gone away is no reason to stop.
        let _ = write!(io::stderr(), "\r{}\x1b[K", line(self.unit, done, self.total));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.drawn.is_some() {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

fn streams_share_a_terminal() -> bool {
    let (out, err) = (io::stdout(), io::stderr());
    let device = |stat: rustix::fs::Stat| (stat.st_dev, stat.st_ino);
    out.is_terminal() && rustix::fs::fstat(out).ok().map(device) == rustix::fs::fstat(err).ok().map(device)
}

fn line(unit: Unit, done: u64, total: Option<u64>) -> String {
    let amount = |number| match unit {
        Unit::Entries => format!("{number} entries"),
        Unit::Bytes => human(number),
    };
    match total {
        Some(total @ 1..) => {
            // What is counted may have been estimated before.
            let done = done.min(total);
            let filled = (u128::from(done) * u128::from(BAR) / u128::from(total)) as usize;
            let percent = u128::from(done) * 100 / u128::from(total);
            let bar = format!("{}{}", "#".repeat(filled), "-".repeat(BAR as usize - filled));
            format!("[{bar}] {percent:>3}% of {}", amount(total))
        }
        _ => amount(done),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_shows_how_far() {
        let half = format!("[{}{}]  50% of 10 entries", "#".repeat(15), "-".repeat(15));
        assert_eq!(line(Unit::Entries, 5, Some(10)), half);
        assert!(line(Unit::Entries, 11, Some(10)).contains("100%"));
        assert!(line(Unit::Bytes, u64::MAX, Some(u64::MAX)).contains("100%"));
        assert_eq!(line(Unit::Bytes, 2_048, None), "2.0 KiB");
        assert_eq!(line(Unit::Bytes, 0, Some(0)), "0 bytes");
    }

    #[test]
    fn where_there_is_no_terminal_nothing_is_drawn() {
        let mut progress = Progress { shown: false, drawn: None, unit: Unit::Bytes, total: None };
        progress.at(5);
        assert!(progress.drawn.is_none());
    }
}
