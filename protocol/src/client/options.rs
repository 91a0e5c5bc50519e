//! Where the daemon is, and how patient a client is with it.
//!
//! Used by whoever makes a client. The default socket is found by the daemon's own rules, from the environment. Opens
//! nothing.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::Error;
use crate::places;

/// Told of errors that a caller does not get to see: see [`Options::on_error`].
pub type ErrorHook = Arc<dyn Fn(&Error) + Send + Sync>;

/// How a client connects and waits.
///
/// ```
/// use std::time::Duration;
/// use larder_protocol::client::Options;
///
/// let options = Options::new().socket("/run/larder/larder.sock").timeout(Duration::from_millis(200)).connections(4);
/// assert!(format!("{options:?}").contains("200ms"));
/// ```
#[derive(Clone)]
#[must_use]
pub struct Options {
    pub(super) socket: Option<PathBuf>,
    pub(super) connections: usize,
    pub(super) timeout: Duration,
    pub(super) long_timeout: Duration,
    pub(super) patience: Duration,
    pub(super) first_wait: Duration,
    pub(super) longest_wait: Duration,
    pub(super) name: Option<String>,
    pub(super) on_error: Option<ErrorHook>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            socket: None,
            connections: 2,
            timeout: Duration::from_secs(5),
            long_timeout: Duration::from_mins(1),
            patience: Duration::ZERO,
            first_wait: Duration::from_millis(10),
            longest_wait: Duration::from_secs(1),
            name: None,
            on_error: None,
        }
    }
}

impl Options {
    /// The default socket, two connections, five seconds for an answer.
    pub fn new() -> Self {
        Self::default()
    }

    /// The daemon's socket. Otherwise what `$LARDER_SOCKET` names; otherwise that of the user's own daemon or the machine's, in
    /// the order of [`places`](crate::places::sockets).
    pub fn socket(mut self, path: impl Into<PathBuf>) -> Self {
        self.socket = Some(path.into());
        self
    }

    /// Connections that requests are spread over, at least one. More than the first are opened only under load.
    pub fn connections(mut self, most: usize) -> Self {
        self.connections = most.max(1);
        self
    }

    /// How long a call waits for its answer, getting a connection included. What goes through many entries (deleting by
    /// pattern, clearing, cleaning up) gets at least a minute, unless this is set: then everything has this long.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        (self.timeout, self.long_timeout) = (timeout, timeout);
        self
    }

    /// How long a call keeps trying where the daemon is away. Not at all by default: a cache that is away is best gone
    /// without. It never sends twice what may have been carried out.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// How long the daemon is left alone after it could not be reached: `first` after the first failure, twice as long
    /// after each further one, `longest` at most, a little less at random. Calls in between fail at once. 10 ms and 1 s
    /// by default.
    pub fn backoff(mut self, first: Duration, longest: Duration) -> Self {
        (self.first_wait, self.longest_wait) = (first, longest);
        self
    }

    /// The name that the daemon's list of clients and the dashboard show.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Is told of every error that is kept from the caller: cached calls go on without the cache, and this is where one
    /// hears of it. Called on the task that met the error; should return soon.
    pub fn on_error(mut self, hook: impl Fn(&Error) + Send + Sync + 'static) -> Self {
        self.on_error = Some(Arc::new(hook));
        self
    }

    /// The socket to connect to.
    pub(super) fn place(&self) -> Result<Arc<Path>, Error> {
        match &self.socket {
            Some(path) => Ok(path.as_path().into()),
            None => default_socket().map(Into::into),
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("socket", &self.socket)
            .field("connections", &self.connections)
            .field("timeout", &self.timeout)
            .field("patience", &self.patience)
            .field("backoff", &(self.first_wait, self.longest_wait))
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Where a daemon that was started without a word about it listens, for this user or the whole machine.
///
/// # Errors
/// If nothing in the environment says so and no daemon's socket is in the usual places.
pub fn default_socket() -> Result<PathBuf, Error> {
    // Set to nothing is not set.
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    find_socket(set, Path::new("/"))
}

/// As [`default_socket`], for these variables and the directories below `root`: the first place where there is a socket. Where
/// the user has a session, a daemon may come up there later.
fn find_socket(variable: impl Fn(&str) -> Option<OsString>, root: &Path) -> Result<PathBuf, Error> {
    use std::os::unix::fs::MetadataExt as _;
    let is_certain = ["LARDER_SOCKET", "XDG_RUNTIME_DIR"]
        .iter()
        .any(|name| variable(name).is_some_and(|value| !value.is_empty()));
    // Whose process this is, without a crate for one system call.
    let user = std::fs::metadata("/proc/self").map(|own| own.uid()).ok();
    let places = places::sockets(variable, user, root);
    let there = places.iter().find(|socket| socket.exists());
    there.or_else(|| places.first().filter(|_| is_certain || user == Some(0))).cloned().ok_or_else(|| {
        let looked: Vec<_> = places.iter().map(|place| place.display().to_string()).collect();
        Error::NoSocket(format!("there is none at {}", looked.join(" or ")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(variables: &[(&str, &str)], root: &Path) -> PathBuf {
        let variable = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value))
        };
        find_socket(variable, root).expect("there is one")
    }

    #[test]
    fn the_environment_says_where_the_socket_is() {
        let root = Path::new("/nowhere");
        let both = [("LARDER_SOCKET", "/tmp/l.sock"), ("XDG_RUNTIME_DIR", "/run/user/7")];
        assert_eq!(found(&both, root), Path::new("/tmp/l.sock"));
        assert_eq!(found(&both[1..], root), Path::new("/run/user/7/larder/larder.sock"));
        assert_eq!(
            found(&[("LARDER_SOCKET", ""), both[1]], root),
            Path::new("/run/user/7/larder/larder.sock"),
            "set to nothing is not set"
        );
    }

    #[test]
    fn options_are_what_they_were_set_to() {
        let options = Options::new().socket("/s").connections(0).timeout(Duration::from_secs(1)).name("n");
        assert_eq!((options.connections, options.long_timeout), (1, Duration::from_secs(1)));
        assert_eq!(options.place().expect("was set").as_ref(), Path::new("/s"));
        assert_eq!(Options::new().long_timeout, Duration::from_mins(1));
    }
}
