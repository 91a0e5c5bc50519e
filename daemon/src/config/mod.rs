//! The daemon's settings: what there is to set, where each value came from, and how it is read, checked and shown.
//!
//! Used by `main` at start and at each reload; everything else is handed a [`Settings`]. One table ([`table`]) names
//! every setting with its type, default, range and help, and `--help`, `--print-config`, the keys of the TOML file, the
//! `LARDER_*` variables, the options and the suggestions for misspelled names all derive from it. A source earlier in
//! this list wins: option, environment, file, default.
//!
//! Never reads the process's own arguments or environment (both are handed in), changes nothing on disk but the settings file
//! when asked to ([`rewrite`]), and never opens the socket or the data.

mod args;
pub mod document;
mod error;
mod file;
pub mod kind;
mod load;
mod nearest;
mod pages;
mod paths;
mod rewrite;
pub mod table;
mod task;
pub mod units;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use error::{ConfigError, Origin, Problem};
pub use load::{Command, Config, load};
pub use paths::Environment;
pub use rewrite::rewrite;
pub use task::Task;

use larder_protocol::{FrameLimits, limits};
use table::SETTINGS;

use crate::access::names::{Groups, Named, Users};
use crate::access::{Lists, Role};
use crate::notices::Told;

/// Every setting's value. The fields are in the order of the table, where each has its meaning, unit and range.
#[expect(missing_docs, reason = "the table's help says what each is; a second wording would drift from it")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub socket: PathBuf,
    pub socket_mode: u32,
    pub socket_group: Option<Named>,
    pub data: PathBuf,
    pub warm: Option<PathBuf>,
    pub admin_users: Users,
    pub admin_groups: Groups,
    pub read_only_users: Users,
    pub read_only_groups: Groups,
    pub allowed_users: Users,
    pub allowed_groups: Groups,
    pub tcp: Option<SocketAddr>,
    pub tcp_role: Role,
    pub password_file: Option<PathBuf>,
    pub durability: Durability,
    pub sync_interval: Duration,
    pub flush_interval: Duration,
    pub journal_limit_bytes: u64,
    pub disk_cap_bytes: u64,
    pub compress_from_bytes: usize,
    pub compression_level: usize,
    pub memory_cap_bytes: u64,
    pub memory_max_age: Option<Duration>,
    pub hot_keys: usize,
    pub hot_keys_interval: Duration,
    pub buffer_cap_bytes: u64,
    pub merge_interval: Duration,
    pub merge_bytes: u64,
    pub readers: usize,
    pub default_ttl: Option<Duration>,
    pub max_ttl: Option<Duration>,
    pub ttl_jitter_percent: usize,
    pub cleanup_interval: Duration,
    pub cleanup_slice_rows: usize,
    pub max_connections: usize,
    pub max_user_connections: usize,
    pub max_user_buffer_bytes: usize,
    pub idle_timeout: Option<Duration>,
    pub max_line_bytes: usize,
    pub max_args: usize,
    pub max_key_bytes: usize,
    pub max_value_bytes: usize,
    pub output_limit_bytes: usize,
    pub output_stall: Duration,
    pub half_request_timeout: Duration,
    pub buffer_budget_bytes: usize,
    /// Unread messages of a subscriber at which it is disconnected, in bytes.
    pub subscriber_buffer_bytes: usize,
    pub notify_keyspace_events: Told,
    pub stats_interval: Duration,
    pub stats_backlog: Duration,
    pub slow_command: Option<Duration>,
    pub slow_commands_kept: usize,
    pub log_level: Level,
    pub log_format: Format,
}

/// When a write is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// After the operating system has it: survives the death of the daemon.
    #[default]
    Commit,
    /// After the disk has it: survives the death of the machine.
    Fsync,
    /// At once; the journal follows within the flush interval.
    Memory,
}

impl Durability {
    /// All of them, in the order the help lists them.
    pub const ALL: &[Self] = &[Self::Commit, Self::Fsync, Self::Memory];

    /// The word that sets it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Commit => "commit",
            Self::Fsync => "fsync",
            Self::Memory => "memory",
        }
    }
}

/// The least important kind of event that is still logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Level {
    /// What the daemon could not do.
    Error,
    /// What an administrator should look at.
    Warn,
    /// Start, stop, reload and other rare events.
    #[default]
    Info,
    /// Enough to follow one connection.
    Debug,
}

impl Level {
    /// All of them, in the order the help lists them.
    pub const ALL: &[Self] = &[Self::Error, Self::Warn, Self::Info, Self::Debug];

    /// The word that sets it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }
}

/// What a line of the log looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Words, for people.
    #[default]
    Text,
    /// An object with its fields, for programs.
    Json,
}

impl Format {
    /// All of them, in the order the help lists them.
    pub const ALL: &[Self] = &[Self::Text, Self::Json];

    /// The word that sets it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
        }
    }
}

/// The table's defaults. The two paths are empty, because their defaults depend on the user: enough for a unit test,
/// which names its own, and never what [`load`] returns.
impl Default for Settings {
    fn default() -> Self {
        let mut settings = Self {
            socket: PathBuf::new(),
            socket_mode: 0,
            socket_group: None,
            data: PathBuf::new(),
            warm: None,
            admin_users: Users::default(),
            admin_groups: Groups::default(),
            read_only_users: Users::default(),
            read_only_groups: Groups::default(),
            allowed_users: Users::default(),
            allowed_groups: Groups::default(),
            tcp: None,
            tcp_role: Role::default(),
            password_file: None,
            durability: Durability::default(),
            sync_interval: Duration::ZERO,
            flush_interval: Duration::ZERO,
            journal_limit_bytes: 0,
            disk_cap_bytes: 0,
            compress_from_bytes: 0,
            compression_level: 0,
            memory_cap_bytes: 0,
            memory_max_age: None,
            hot_keys: 0,
            hot_keys_interval: Duration::ZERO,
            buffer_cap_bytes: 0,
            merge_interval: Duration::ZERO,
            merge_bytes: 0,
            readers: 0,
            default_ttl: None,
            max_ttl: None,
            ttl_jitter_percent: 0,
            cleanup_interval: Duration::ZERO,
            cleanup_slice_rows: 0,
            max_connections: 0,
            max_user_connections: 0,
            max_user_buffer_bytes: 0,
            idle_timeout: None,
            max_line_bytes: 0,
            max_args: 0,
            max_key_bytes: 0,
            max_value_bytes: 0,
            output_limit_bytes: 0,
            output_stall: Duration::ZERO,
            half_request_timeout: Duration::ZERO,
            buffer_budget_bytes: 0,
            subscriber_buffer_bytes: 0,
            notify_keyspace_events: Told::default(),
            stats_interval: Duration::ZERO,
            stats_backlog: Duration::ZERO,
            slow_command: None,
            slow_commands_kept: 0,
            log_level: Level::default(),
            log_format: Format::default(),
        };
        for setting in SETTINGS {
            if let Some(text) = setting.default.fixed(&setting.kind) {
                setting
                    .kind
                    .read(&mut settings, text.as_ref())
                    .expect("the table's tests read every default");
            }
        }
        settings
    }
}

/// What a reload did with the settings that differ.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reloaded {
    /// Names of the settings that now have their new value.
    pub changed: Vec<&'static str>,
    /// Names of the settings whose new value waits for a restart.
    pub need_restart: Vec<&'static str>,
}

impl Settings {
    /// What the request parser enforces.
    #[must_use]
    pub fn frame_limits(&self) -> FrameLimits {
        let room_beside_value = limits::REQUEST_BYTES - limits::VALUE_BYTES;
        FrameLimits {
            line_bytes: self.max_line_bytes,
            line_args: limits::LINE_ARGS,
            args: self.max_args,
            value_bytes: self.max_value_bytes,
            request_bytes: self.max_value_bytes.saturating_add(room_beside_value),
        }
    }

    /// The lists that decide on a client's role.
    #[must_use]
    pub fn lists(&self) -> Lists<'_> {
        Lists {
            admin: (&self.admin_users, &self.admin_groups),
            read_only: (&self.read_only_users, &self.read_only_groups),
            allowed: (&self.allowed_users, &self.allowed_groups),
        }
    }

    /// Bytes that all files together may take, if there is a limit.
    #[must_use]
    pub fn disk_cap(&self) -> Option<u64> {
        (self.disk_cap_bytes > 0).then_some(self.disk_cap_bytes)
    }

    /// The size from which values are compressed, if they are.
    #[must_use]
    pub fn compress_from(&self) -> Option<usize> {
        (self.compress_from_bytes > 0).then_some(self.compress_from_bytes)
    }

    /// What is wrong where clients of other machines could use the daemon without a password.
    #[must_use]
    pub fn open_to_strangers(&self) -> Option<String> {
        let tcp = self.tcp.filter(|tcp| !tcp.ip().is_loopback() && self.password_file.is_none())?;
        Some(format!(
            "tcp ({tcp}) is open to other machines, which may do what tcp_role says; set password_file, or use a loopback \
             address such as 127.0.0.1"
        ))
    }

    /// Takes sockets that were made already in the place of those that are set. The settings that were not used.
    ///
    /// # Errors
    /// Where the TCP address is open to other machines, and there is no password.
    pub fn adopt(
        &mut self,
        socket: Option<&Path>,
        tcp: Option<SocketAddr>,
    ) -> Result<Vec<String>, ConfigError> {
        let mut unused = Vec::new();
        if let Some(path) = socket.filter(|path| *path != self.socket) {
            unused.push(format!("socket ({})", self.socket.display()));
            path.clone_into(&mut self.socket);
        }
        if let Some(address) = tcp.filter(|address| Some(*address) != self.tcp) {
            unused.extend(self.tcp.map(|set| format!("tcp ({set})")));
            self.tcp = Some(address);
        }
        match self.open_to_strangers() {
            Some(problem) => Err(ConfigError::Settings(vec![Problem::Conflict(problem)])),
            None => Ok(unused),
        }
    }

    /// The value of the setting called `name`, as a person would write it.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<String> {
        table::find(name).map(|setting| setting.kind.show(self))
    }

    /// Takes over from `fresh` what may change while the daemon runs, and says which settings differ.
    pub fn reload(&mut self, fresh: &Self) -> Reloaded {
        let mut reloaded = Reloaded::default();
        for setting in SETTINGS {
            if !setting.kind.differs(fresh, self) {
                continue;
            }
            if setting.live {
                setting.kind.copy(fresh, self);
                reloaded.changed.push(setting.name);
            } else {
                reloaded.need_restart.push(setting.name);
            }
        }
        reloaded
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_the_documented_ones() {
        let settings = Settings::default();
        assert_eq!(settings.socket_mode, 0o600);
        assert_eq!(settings.durability, Durability::Commit);
        assert_eq!(settings.memory_cap_bytes, 64 << 20);
        assert_eq!(settings.buffer_cap_bytes, 256 << 20);
        assert_eq!(settings.disk_cap(), Some(10 << 30));
        assert_eq!(settings.compress_from(), Some(1 << 10));
        assert_eq!(settings.sync_interval, Duration::from_secs(1));
        assert_eq!(settings.default_ttl, None);
        assert_eq!(settings.readers, 4);
        assert_eq!(settings.max_value_bytes, larder_protocol::limits::VALUE_BYTES);
        assert_eq!(settings.output_stall.as_secs(), larder_protocol::limits::OUTPUT_STALL_SECS);
        assert_eq!(settings.log_level, Level::Info);
    }

    #[test]
    fn sockets_that_are_there_go_before_those_that_are_set() {
        let mut settings = Settings { socket: "/set".into(), ..Settings::default() };
        assert!(settings.adopt(None, None).unwrap().is_empty());
        let local = ([127, 0, 0, 1], 6379).into();
        assert_eq!(settings.adopt(Some(Path::new("/there")), Some(local)).unwrap(), ["socket (/set)"]);
        assert_eq!((settings.socket.as_path(), settings.tcp), (Path::new("/there"), Some(local)));
        let open = ([0, 0, 0, 0], 6379).into();
        let error = settings.adopt(None, Some(open)).unwrap_err().to_string();
        assert!(error.contains("0.0.0.0:6379") && error.contains("password_file"), "{error}");
    }

    #[test]
    fn a_reload_takes_what_may_change_and_names_the_rest() {
        let mut running = Settings::default();
        let fresh = Settings { log_level: Level::Debug, readers: 8, ..Settings::default() };
        let reloaded = running.reload(&fresh);
        assert_eq!(reloaded.changed, ["log_level"]);
        assert_eq!(reloaded.need_restart, ["readers"]);
        assert_eq!((running.log_level, running.readers), (Level::Debug, 4));
        assert_eq!(running.reload(&running.clone()), Reloaded::default());
    }

    #[test]
    fn get_shows_values_by_name() {
        let settings = Settings::default();
        assert_eq!(settings.get("memory_cap").as_deref(), Some("64MiB"));
        assert_eq!(settings.get("default_ttl").as_deref(), Some("0"));
        assert_eq!(settings.get("no_such_setting"), None);
    }
}
