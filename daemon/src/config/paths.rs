//! The surroundings of the process as values, and the places that follow from them.
//!
//! Used by the loader for the defaults of `socket` and `data` and for the configuration file. The places follow the XDG
//! Base Directory Specification; root, who often has no session, gets the system's places of the Filesystem Hierarchy
//! Standard instead. A variable that is set wins for root too: it was set on purpose, and a test or container that
//! points it elsewhere must not end up in /var. Never creates anything.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use larder_protocol::places::OwnSockets;

/// The environment variables, the user and where session directories are.
#[derive(Clone, Debug)]
pub struct Environment {
    variables: BTreeMap<OsString, OsString>,
    uid: u32,
    /// The root directory, below which session directories are; elsewhere in tests.
    root: PathBuf,
}

impl Environment {
    /// What surrounds this process: its variables and its effective user.
    #[must_use]
    pub fn of_process() -> Self {
        Self::new(rustix::process::geteuid().as_raw(), std::env::vars_os())
    }

    /// The surroundings of user `uid` with these variables. A variable that is set to nothing counts as not set, as
    /// unit files and shells can often not do better.
    #[must_use]
    pub fn new<K: Into<OsString>, V: Into<OsString>>(
        uid: u32,
        variables: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let variables = variables.into_iter().map(|(name, value)| (name.into(), value.into()));
        Self {
            variables: variables.filter(|(_, value)| !value.is_empty()).collect(),
            uid,
            root: PathBuf::from("/"),
        }
    }

    /// The value of a variable.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        self.variables.get(OsStr::new(name)).map(OsString::as_os_str)
    }

    /// The names of all variables that begin with `LARDER_`.
    pub(super) fn ours(&self) -> impl Iterator<Item = &str> {
        self.variables.keys().filter_map(|name| name.to_str()).filter(|name| name.starts_with("LARDER_"))
    }

    /// A directory named by a variable. The specification has relative paths ignored.
    fn directory(&self, name: &str) -> Option<PathBuf> {
        self.get(name).map(PathBuf::from).filter(|path| path.is_absolute())
    }

    fn is_root(&self) -> bool {
        self.uid == 0
    }

    /// Where the socket is when nothing says otherwise; or what is missing.
    pub(super) fn default_socket(&self) -> Result<PathBuf, String> {
        let variable = |name: &str| self.get(name).map(OsStr::to_owned);
        let OwnSockets { in_session, otherwise } = OwnSockets::of(variable, Some(self.uid), &self.root);
        // `su`, cron and many containers have none.
        let is_there = |socket: &PathBuf| socket.ancestors().nth(2).is_some_and(Path::is_dir);
        in_session
            .filter(is_there)
            .or(otherwise)
            .ok_or_else(|| "neither XDG_RUNTIME_DIR nor XDG_STATE_HOME nor HOME is set".to_owned())
    }

    /// Where the data is when nothing says otherwise; or what is missing.
    pub(super) fn default_data(&self) -> Result<PathBuf, String> {
        if let Some(state) = self.directory("XDG_STATE_HOME") {
            return Ok(state.join("larder"));
        }
        if self.is_root() {
            return Ok(PathBuf::from("/var/lib/larder"));
        }
        match self.directory("HOME") {
            Some(home) => Ok(home.join(".local/state/larder")),
            None => Err("neither XDG_STATE_HOME nor HOME is set".to_owned()),
        }
    }

    /// The configuration file that is read if it exists.
    pub(super) fn default_file(&self) -> Option<PathBuf> {
        if let Some(config) = self.directory("XDG_CONFIG_HOME") {
            return Some(config.join("larder/larder.toml"));
        }
        if self.is_root() {
            return Some(PathBuf::from("/etc/larder/larder.toml"));
        }
        self.directory("HOME").map(|home| home.join(".config/larder/larder.toml"))
    }

    #[cfg(test)]
    pub(super) fn with_root(mut self, root: &Path) -> Self {
        self.root = root.to_path_buf();
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_follow_the_variables_and_the_user() {
        let none: [(&str, &str); 0] = [];
        let xdg =
            [("XDG_RUNTIME_DIR", "/r"), ("XDG_STATE_HOME", "/s"), ("XDG_CONFIG_HOME", "/c"), ("HOME", "/h")];
        for uid in [0, 1000] {
            let set = Environment::new(uid, xdg);
            assert_eq!(set.default_socket().unwrap(), Path::new("/r/larder/larder.sock"));
            assert_eq!(set.default_data().unwrap(), Path::new("/s/larder"));
            assert_eq!(set.default_file().unwrap(), Path::new("/c/larder/larder.toml"));
        }

        let root = Environment::new(0, [("HOME", "/root")]);
        assert_eq!(root.default_socket().unwrap(), Path::new("/run/larder/larder.sock"));
        assert_eq!(root.default_data().unwrap(), Path::new("/var/lib/larder"));
        assert_eq!(root.default_file().unwrap(), Path::new("/etc/larder/larder.toml"));

        let home = Environment::new(1000, [("HOME", "/h")]);
        assert_eq!(home.default_data().unwrap(), Path::new("/h/.local/state/larder"));
        assert_eq!(home.default_file().unwrap(), Path::new("/h/.config/larder/larder.toml"));

        let bare = Environment::new(1000, none);
        assert!(bare.default_data().unwrap_err().contains("HOME"));
        assert!(Environment::new(1000, [("HOME", "relative")]).default_data().is_err());
        assert_eq!(bare.default_file(), None);
    }

    #[test]
    fn a_session_directory_serves_without_the_variable() {
        let root = tempfile::tempdir().unwrap();
        let user = Environment::new(1000, [("HOME", "/h")]).with_root(root.path());
        assert_eq!(user.default_socket().unwrap(), Path::new("/h/.local/state/larder/larder.sock"));
        let session = root.path().join("run/user/1000");
        std::fs::create_dir_all(&session).unwrap();
        assert_eq!(user.default_socket().unwrap(), session.join("larder/larder.sock"));
    }

    #[test]
    fn empty_and_relative_variables_count_as_unset() {
        let odd = Environment::new(0, [("XDG_RUNTIME_DIR", ""), ("XDG_STATE_HOME", "relative")]);
        assert_eq!(odd.default_socket().unwrap(), Path::new("/run/larder/larder.sock"));
        assert_eq!(odd.default_data().unwrap(), Path::new("/var/lib/larder"));
    }
}
