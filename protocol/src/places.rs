//! Where a daemon's socket is when nothing says so.
//!
//! Asked by the daemon, the Rust client and the dashboard, so that they meet. The places follow the XDG Base Directory
//! Specification; root has the system's place of the Filesystem Hierarchy Standard, and a user without a session directory
//! (`su`, cron, many containers) a place beside the data. Looks at nothing: which of the places are there is for the caller
//! to find out.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The socket in a directory for such things.
const SOCKET: &str = "larder/larder.sock";

/// Where a user's own daemon puts its socket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnSockets {
    /// If the directory of the user's session is there: the one above `larder/`.
    pub in_session: Option<PathBuf>,
    /// Otherwise. Nowhere, where the environment says neither.
    pub otherwise: Option<PathBuf>,
}

impl OwnSockets {
    /// Those of `user`, by user id. `variable` is the environment, in which what is set to nothing counts as not set; `root`
    /// is `/`, elsewhere in tests.
    #[must_use]
    pub fn of(variable: impl Fn(&str) -> Option<OsString>, user: Option<u32>, root: &Path) -> Self {
        // The specification has relative paths ignored.
        let directory = |name| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let only = |socket| Self { in_session: None, otherwise: Some(socket) };
        if let Some(runtime) = directory("XDG_RUNTIME_DIR") {
            return only(runtime.join(SOCKET));
        }
        if user == Some(0) {
            return only(of_the_machine(root));
        }
        let state = directory("XDG_STATE_HOME").or_else(|| Some(directory("HOME")?.join(".local/state")));
        Self {
            in_session: user.map(|user| root.join("run/user").join(user.to_string()).join(SOCKET)),
            otherwise: state.map(|state| state.join(SOCKET)),
        }
    }
}

/// Where `user` looks for a daemon, the likeliest place first: what `LARDER_SOCKET` names and nothing else; otherwise
/// the user's own daemon and then the machine's.
#[must_use]
pub fn sockets(variable: impl Fn(&str) -> Option<OsString>, user: Option<u32>, root: &Path) -> Vec<PathBuf> {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty());
    if let Some(named) = set("LARDER_SOCKET") {
        return vec![named.into()];
    }
    let OwnSockets { in_session, otherwise } = OwnSockets::of(set, user, root);
    let machine = Some(of_the_machine(root)).filter(|machine| otherwise.as_ref() != Some(machine));
    [in_session, otherwise, machine].into_iter().flatten().collect()
}

/// Where the machine's service listens.
fn of_the_machine(root: &Path) -> PathBuf {
    root.join("run").join(SOCKET)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looked_for(variables: &[(&str, &str)], user: u32) -> Vec<String> {
        let variable = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value))
        };
        let places = sockets(variable, Some(user), Path::new("/"));
        places.iter().map(|place| place.display().to_string()).collect()
    }

    #[test]
    fn a_user_finds_the_own_daemon_and_then_the_machines() {
        let both = [("LARDER_SOCKET", "/tmp/l.sock"), ("XDG_RUNTIME_DIR", "/r"), ("HOME", "/h")];
        assert_eq!(looked_for(&both, 7), ["/tmp/l.sock"]);
        assert_eq!(looked_for(&both[1..], 7), ["/r/larder/larder.sock", "/run/larder/larder.sock"]);
        assert_eq!(looked_for(&[("LARDER_SOCKET", "")], 0), ["/run/larder/larder.sock"]);
        assert_eq!(
            looked_for(&[("XDG_RUNTIME_DIR", "relative"), ("HOME", "/h")], 7),
            [
                "/run/user/7/larder/larder.sock",
                "/h/.local/state/larder/larder.sock",
                "/run/larder/larder.sock"
            ]
        );
        assert_eq!(looked_for(&[("XDG_STATE_HOME", "/s"), ("HOME", "/h")], 7)[1], "/s/larder/larder.sock");
    }

    #[test]
    fn a_daemon_never_takes_the_machines_place_for_a_user() {
        let none = |_: &str| None;
        assert_eq!(OwnSockets::of(none, None, Path::new("/")), OwnSockets::default());
        let user = OwnSockets::of(none, Some(7), Path::new("/x"));
        assert_eq!(user.in_session, Some(PathBuf::from("/x/run/user/7/larder/larder.sock")));
        assert_eq!(user.otherwise, None);
        let root = OwnSockets::of(none, Some(0), Path::new("/x"));
        assert_eq!(root.otherwise, Some(PathBuf::from("/x/run/larder/larder.sock")));
    }
}
