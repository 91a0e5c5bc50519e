//! What the system says about this process: its memory, the processor time it has had, and whether a thread has waited. A
//! leaf; reads `/proc/self`.

use std::fs;

use nix::sys::resource::{UsageWho, getrusage};

/// Ticks a second in which the system counts processor time, for programs.
const TICKS: f64 = 100.0;

/// Memory and processor time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// Memory in use, in bytes.
    pub resident_bytes: u64,
    /// The most that has been in use, in bytes.
    pub peak_bytes: u64,
    /// Processor time of the program itself, in seconds.
    pub user_s: f64,
    /// Processor time of the system on its behalf, in seconds.
    pub system_s: f64,
}

impl Usage {
    /// As of now; zeros for what the system does not tell.
    #[must_use]
    pub fn now() -> Self {
        let read = |name: &str| fs::read_to_string(format!("/proc/self/{name}")).unwrap_or_default();
        Self::parse(&read("status"), &read("stat"))
    }

    fn parse(status: &str, stat: &str) -> Self {
        let kib = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next()?.parse::<u64>().ok()
        };
        // The second field is the program's name in brackets and may hold blanks.
        let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let ticks = |field: usize| after_name.split_whitespace().nth(field)?.parse::<f64>().ok();
        Self {
            resident_bytes: kib("VmRSS:").unwrap_or_default() * 1_024,
            peak_bytes: kib("VmHWM:").unwrap_or_default() * 1_024,
            user_s: ticks(11).unwrap_or_default() / TICKS,
            system_s: ticks(12).unwrap_or_default() / TICKS,
        }
    }
}

/// How often this thread has waited so far, for a disk, a lock or an event: its voluntary context switches, getrusage(2).
/// Time alone cannot tell a disk from a busy machine, where a thread loses the processor without having waited. Takes a
/// quarter of a microsecond.
#[must_use]
pub fn waits() -> u64 {
    // 0 where the system does not say: no thread that has waited for events has that.
    getrusage(UsageWho::RUSAGE_THREAD).map_or(0, |usage| usage.voluntary_context_switches() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_are_found() {
        let stat = "7 (my (odd) name) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 5 0 100 1 2";
        let usage = Usage::parse("Name:\tx\nVmHWM:\t   2048 kB\nVmRSS:\t 1024 kB\n", stat);
        let expected = Usage { resident_bytes: 1 << 20, peak_bytes: 2 << 20, user_s: 2.5, system_s: 0.5 };
        assert_eq!(usage, expected);
        assert_eq!(Usage::parse("", ""), Usage::default());
        assert!(Usage::now().resident_bytes > 0);
    }

    #[test]
    fn sleeping_is_waiting() {
        let before = waits();
        std::thread::sleep(std::time::Duration::from_millis(1));
        assert!(waits() > before);
    }
}
