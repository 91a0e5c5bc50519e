//! Room for the connections in the process's table of open files.
//!
//! Used by `main` at start. The usual soft limit of 1024 is there for programs that call `select`; the hard limit is
//! what the administrator means. Never touches the hard limit, and never fails the start: with fewer files there are
//! fewer connections.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files the daemon needs beside its connections: the database with its log and index, once for each reader, the
/// journal, locks, the listening socket, standard streams and the event loop's own.
const OTHER_FILES: u64 = 512;

/// The limit on open files as it is now, and as the settings would have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenFiles {
    /// Files that may be open at one time.
    pub allowed: u64,
    /// Files needed for all connections that the settings allow.
    pub wanted: u64,
}

impl OpenFiles {
    /// Connections there are files for. Beyond them the daemon's own files would be in danger, so no more are taken.
    #[must_use]
    pub fn connections(&self) -> usize {
        // Where the limit is very low, some of the room kept for other files has to do.
        self.allowed.saturating_sub(OTHER_FILES).max(self.allowed / 2) as usize
    }

    /// What to tell the administrator, if the limit is too low.
    #[must_use]
    pub fn warning(&self) -> Option<String> {
        let Self { allowed, wanted } = *self;
        (allowed < wanted).then(|| {
            let connections = self.connections();
            format!(
                "only {allowed} files may be open, enough for about {connections} connections; raise the limit to \
                 {wanted} (LimitNOFILE= in the unit, ulimit -Hn in a shell) or lower max_connections"
            )
        })
    }
}

/// Raises the soft limit on open files as far as `max_connections` connections need and the hard limit allows.
/// Where the system refuses, as a service's system call filter may, the limit stays what it is.
#[must_use]
pub fn raise(max_connections: usize) -> OpenFiles {
    let wanted = (max_connections as u64).saturating_add(OTHER_FILES);
    let now = getrlimit(Resource::Nofile);
    let mut soft = raised(now, wanted);
    let change = Rlimit { current: soft, maximum: now.maximum };
    if soft != now.current && setrlimit(Resource::Nofile, change).is_err() {
        soft = now.current;
    }
    // No limit at all is more than anyone wants.
    OpenFiles { allowed: soft.unwrap_or(u64::MAX), wanted }
}

/// As [`raise`] would leave it, without changing anything.
#[must_use]
pub fn look(max_connections: usize) -> OpenFiles {
    let wanted = (max_connections as u64).saturating_add(OTHER_FILES);
    OpenFiles { allowed: raised(getrlimit(Resource::Nofile), wanted).unwrap_or(u64::MAX), wanted }
}

/// As it is for process `pid`; `None` where the system does not tell.
#[must_use]
pub fn of_process(pid: u32, max_connections: usize) -> Option<OpenFiles> {
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).ok()?;
    let soft = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    let soft = soft.split_whitespace().next()?;
    let allowed = if soft == "unlimited" { u64::MAX } else { soft.parse().ok()? };
    Some(OpenFiles { allowed, wanted: (max_connections as u64).saturating_add(OTHER_FILES) })
}

/// The soft limit to set: what is wanted, but neither above the hard limit nor below what there is. `None` is no limit.
fn raised(now: Rlimit, wanted: u64) -> Option<u64> {
    let soft = now.current?;
    let reachable = now.maximum.map_or(wanted, |hard| wanted.min(hard));
    Some(soft.max(reachable))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_rises_to_what_is_wanted_or_possible() {
        let cases = [
            (Some(1024), Some(1_048_576), 10_512, Some(10_512)),
            (Some(1024), Some(4096), 10_512, Some(4096)),
            (Some(1024), None, 10_512, Some(10_512)),
            (Some(20_000), Some(1_048_576), 10_512, Some(20_000)),
            (None, None, 10_512, None),
        ];
        for (current, maximum, wanted, expected) in cases {
            assert_eq!(raised(Rlimit { current, maximum }, wanted), expected, "{current:?} {maximum:?}");
        }
    }

    #[test]
    fn connections_leave_files_for_everything_else() {
        assert_eq!(OpenFiles { allowed: 10_512, wanted: 10_512 }.connections(), 10_000);
        assert_eq!(OpenFiles { allowed: 80, wanted: 10_512 }.connections(), 40);
    }

    #[test]
    fn the_real_limit_is_raised_and_reported() {
        let files = raise(1);
        assert_eq!(files.wanted, 1 + OTHER_FILES);
        assert_eq!(getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX), files.allowed);
        assert_eq!(of_process(std::process::id(), 1), Some(files));
        assert_eq!(look(1), files);
    }

    #[test]
    fn only_a_low_limit_is_worth_a_warning() {
        assert_eq!(OpenFiles { allowed: 10_512, wanted: 10_512 }.warning(), None);
        let warning = OpenFiles { allowed: 1024, wanted: 10_512 }.warning().unwrap();
        assert!(warning.contains("about 512 connections") && warning.contains("10512"), "{warning}");
    }
}
