//! The commands: one file each, and the registry that everything else about them derives from.
//!
//! A command's file holds its documentation, its [`Spec`], `parse` (arguments to a value, nothing touched), `run`, and its
//! tests. To add one: write the file, add it to the two lists below (`mod` and [`REGISTRY`]), add a transcript under
//! `tests/e2e/transcripts`. Look-up, arity errors, HELP, COMMAND and the README's table follow from the registry.
//!
//! Commands return values. They never see sockets, SQL, moka, or which protocol version an answer is written in.

mod args;
mod backup;
mod cleanup;
mod client;
mod command;
mod condition;
mod config;
mod dbsize;
mod del;
mod delex;
mod delpat;
mod durability;
mod echo;
mod exists;
mod expire;
mod flush;
mod get;
mod getex;
mod hello;
mod help;
mod host;
mod incr;
mod incrbyfloat;
mod info;
mod keys;
mod long_double;
mod mget;
mod mset;
mod natural;
mod object;
mod persist;
mod ping;
mod pubsub;
mod quit;
mod randomkey;
mod rename;
mod scan;
mod script;
mod select;
mod set;
mod set_forms;
mod shutdown;
mod slowlog;
mod stats;
mod substring;
#[cfg(test)]
mod testing;
mod time;
mod traits;
mod transaction;
mod ttl;
mod usage;
mod without;

use std::collections::HashMap;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::LazyLock;

use larder_protocol::{Reply, Request};

pub use host::{Host, VERSION};
pub use set::unconditional_deadline;
pub use transaction::{admit, leave, refuse};

use crate::cache::{Stop, Taking, View};
use crate::clients::{Client, Paused, Protocol};
use crate::error::CommandError;
use crate::latency::OpClass;

/// Every command, in alphabetical order.
pub static REGISTRY: &[&Spec] = &[
    &without::ACL,
    &substring::APPEND,
    &select::AUTH,
    &backup::SPEC,
    &durability::BGREWRITEAOF,
    &durability::BGSAVE,
    &cleanup::SPEC,
    &client::SPEC,
    &without::CLUSTER,
    &command::SPEC,
    &config::SPEC,
    &rename::COPY,
    &dbsize::SPEC,
    &object::DEBUG,
    &incr::DECR,
    &incr::DECRBY,
    &del::SPEC,
    &delex::DELEX,
    &delpat::SPEC,
    &delex::DIGEST,
    &transaction::DISCARD,
    &echo::SPEC,
    &script::EVAL,
    &script::EVAL_RO,
    &script::EVALSHA,
    &script::EVALSHA_RO,
    &transaction::EXEC,
    &exists::EXISTS,
    &expire::EXPIRE,
    &expire::EXPIREAT,
    &ttl::EXPIRETIME,
    &flush::FLUSHALL,
    &flush::FLUSHDB,
    &get::SPEC,
    &getex::GETDEL,
    &getex::GETEX,
    &substring::GETRANGE,
    &set_forms::GETSET,
    &hello::SPEC,
    &help::SPEC,
    &incr::INCR,
    &incr::INCRBY,
    &incrbyfloat::SPEC,
    &info::SPEC,
    &keys::SPEC,
    &durability::LASTSAVE,
    &slowlog::LATENCY,
    &object::MEMORY,
    &mget::SPEC,
    &without::MODULE,
    &without::MONITOR,
    &without::MOVE,
    &mset::MSET,
    &mset::MSETEX,
    &mset::MSETNX,
    &transaction::MULTI,
    &object::OBJECT,
    &persist::SPEC,
    &expire::PEXPIRE,
    &expire::PEXPIREAT,
    &ttl::PEXPIRETIME,
    &ping::SPEC,
    &set_forms::PSETEX,
    &pubsub::PSUBSCRIBE,
    &ttl::PTTL,
    &pubsub::PUBLISH,
    &pubsub::PUBSUB,
    &pubsub::PUNSUBSCRIBE,
    &quit::SPEC,
    &randomkey::SPEC,
    &without::READONLY,
    &without::READWRITE,
    &rename::RENAME,
    &rename::RENAMENX,
    &select::RESET,
    &durability::ROLE,
    &durability::SAVE,
    &scan::SPEC,
    &script::SCRIPT,
    &select::SELECT,
    &set::SPEC,
    &set_forms::SETEX,
    &set_forms::SETNX,
    &substring::SETRANGE,
    &shutdown::SPEC,
    &slowlog::SLOWLOG,
    &stats::SPEC,
    &substring::STRLEN,
    &pubsub::SUBSCRIBE,
    &substring::SUBSTR,
    &without::SWAPDB,
    &time::SPEC,
    &exists::TOUCH,
    &ttl::TTL,
    &object::TYPE,
    &del::UNLINK,
    &pubsub::UNSUBSCRIBE,
    &transaction::UNWATCH,
    &durability::WAIT,
    &transaction::WATCH,
];

/// What there is to know about a command without running it.
#[derive(Debug)]
pub struct Spec {
    /// Its name, in lower case.
    pub name: &'static str,
    /// Its arguments, as HELP shows them.
    pub usage: &'static str,
    /// Words including the name: exactly `n`, or with a minus sign at least that many.
    pub arity: i32,
    /// Who may run it and what it does to the data.
    pub class: Class,
    /// Where documentation lists it.
    pub group: Group,
    /// Which of its words are keys.
    pub keys: Keys,
    /// One line.
    pub summary: &'static str,
    /// What runs it.
    pub run: Run,
}

/// What a command does to the data, and so who may run it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Looks at entries.
    Read,
    /// Stores or changes entries.
    Write,
    /// Only deletes: what can still be done when the disk is full.
    Delete,
    /// Looks at or changes the daemon, or deletes everything.
    Admin,
    /// Concerns the connection only.
    Connection,
}

impl Class {
    /// What it does to the room there is, if anything.
    #[must_use]
    pub fn taking(self) -> Option<Taking> {
        match self {
            Self::Write => Some(Taking::Entries),
            Self::Delete => Some(Taking::Deletions),
            Self::Read | Self::Admin | Self::Connection => None,
        }
    }

    /// As what its durations are recorded.
    #[must_use]
    pub fn op(self) -> OpClass {
        match self {
            Self::Read => OpClass::Read,
            Self::Write => OpClass::Write,
            Self::Delete => OpClass::Delete,
            Self::Admin | Self::Connection => OpClass::Other,
        }
    }
}

/// The groups of Redis's own documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Values.
    String,
    /// Keys, whatever they hold.
    Generic,
    /// The daemon.
    Server,
    /// The connection.
    Connection,
    /// Several commands as one.
    Transactions,
    /// Messages.
    PubSub,
    /// Scripts.
    Scripting,
}

impl Group {
    /// Its name in COMMAND DOCS.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Generic => "generic",
            Self::Server => "server",
            Self::Connection => "connection",
            Self::Transactions => "transactions",
            Self::PubSub => "pubsub",
            Self::Scripting => "scripting",
        }
    }
}

/// The positions of a command's keys among its words, the name being word 0, as COMMAND INFO gives them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keys {
    /// Position of the first; 0 where there is none.
    pub first: usize,
    /// Position of the last; negative counts from the end.
    pub last: isize,
    /// Distance between two.
    pub step: usize,
    /// Whether the command usually replaces what is there without looking at it.
    pub overwritten: bool,
    /// Whether the word before the first says how many there are.
    pub counted: bool,
}

impl Keys {
    /// No keys.
    pub const NONE: Self = Self { first: 0, last: 0, step: 0, overwritten: false, counted: false };
    /// The first argument.
    pub const FIRST: Self = Self { first: 1, last: 1, step: 1, overwritten: false, counted: false };
    /// The second argument, after a subcommand.
    pub const SECOND: Self = Self { first: 2, last: 2, step: 1, overwritten: false, counted: false };
    /// The first argument, overwritten.
    pub const FIRST_OVERWRITTEN: Self = Self { overwritten: true, ..Self::FIRST };
    /// Every argument.
    pub const ALL: Self = Self { first: 1, last: -1, step: 1, overwritten: false, counted: false };
    /// Every other argument, overwritten.
    pub const PAIRS: Self = Self { first: 1, last: -1, step: 2, overwritten: true, counted: false };

    /// The keys of a request.
    pub fn of(self, request: Request<'_>) -> impl Iterator<Item = &[u8]> {
        let words = request.len();
        let last =
            if self.last < 0 { words.saturating_add_signed(self.last) } else { self.last.unsigned_abs() };
        let mut count = if self.first == 0 { 0 } else { (last + 1).saturating_sub(self.first) };
        if self.counted {
            let said = request.get(self.first.saturating_sub(2)).and_then(args::integer);
            let said = said.and_then(|said| usize::try_from(said).ok()).unwrap_or(0);
            count = count.min(said.saturating_mul(self.step));
        }
        request.tail(self.first.saturating_sub(1)).take(count).step_by(self.step.max(1))
    }
}

/// A command that takes a while. It owns what it needs, and other commands run beside it.
pub type Job<'a> = Pin<Box<dyn Future<Output = Result<Reply, CommandError>> + 'a>>;

/// How a command runs.
pub enum Run {
    /// In one uninterrupted step on the cache.
    Step(fn(Request<'_>, &mut View<'_>) -> Result<Reply, Stop>),
    /// On the connection and what is known about the daemon.
    Local(fn(Request<'_>, &Rc<Client>, &Host) -> Result<Reply, CommandError>),
    /// Over several turns of the event loop; the arguments are checked at once.
    Job(for<'a> fn(Request<'_>, &'a Host) -> Result<Job<'a>, CommandError>),
    /// As a job, on the connection as well.
    Session(for<'a> fn(Request<'_>, &'a Rc<Client>, &'a Host) -> Result<Job<'a>, CommandError>),
}

impl std::fmt::Debug for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Step(_) => "Step",
            Self::Local(_) => "Local",
            Self::Job(_) => "Job",
            Self::Session(_) => "Session",
        })
    }
}

/// Longest name that is looked up; longer ones cannot be commands.
const NAME_BYTES_MAX: usize = 16;

/// The command of that name in any case, with its place in the registry.
#[must_use]
pub fn find(name: &[u8]) -> Option<(usize, &'static Spec)> {
    static BY_NAME: LazyLock<HashMap<&'static [u8], usize, foldhash::fast::RandomState>> =
        LazyLock::new(|| (0..).zip(REGISTRY).map(|(index, spec)| (spec.name.as_bytes(), index)).collect());
    let mut lower = [0; NAME_BYTES_MAX];
    let lower = lower.get_mut(..name.len())?;
    lower.copy_from_slice(name);
    lower.make_ascii_lowercase();
    let &index = BY_NAME.get(&*lower)?;
    Some((index, REGISTRY[index]))
}

/// The command a request names, its word count and key lengths checked.
///
/// # Errors
/// Where there is no such command, or too few or too many words, or a key that is too long.
pub fn resolve(request: Request<'_>, key_bytes_max: usize) -> Result<(usize, &'static Spec), CommandError> {
    let Some((index, spec)) = find(request.name()) else {
        return Err(CommandError::unknown_command(request.name(), request.args()));
    };
    if !spec.takes(request.len()) {
        return Err(CommandError::Arity(spec.name));
    }
    for key in spec.keys.of(request) {
        if key.len() > key_bytes_max {
            return Err(CommandError::KeyTooLong { bytes: key.len(), limit: key_bytes_max });
        }
    }
    Ok((index, spec))
}

impl Spec {
    /// Whether it is held back while such commands are. CLIENT never is, so that a pause can be ended.
    #[must_use]
    pub fn is_held_back_by(&self, paused: Paused) -> bool {
        match paused {
            Paused::All => self.name != "client",
            Paused::Writes => self.class.taking().is_some() || matches!(self.name, "exec" | "publish"),
        }
    }

    /// Whether a request of that many words, the name included, may be meant.
    #[must_use]
    pub fn takes(&self, words: usize) -> bool {
        let bound = self.arity.unsigned_abs() as usize;
        if self.arity < 0 { words >= bound } else { words == bound }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use larder_protocol::{Dialect, OwnedRequest};

    #[test]
    fn the_registry_is_sorted_unique_and_complete() {
        let names: Vec<_> = REGISTRY.iter().map(|spec| spec.name).collect();
        assert!(names.is_sorted_by(|a, b| a < b), "{names:?}");
        for spec in REGISTRY {
            assert!(spec.name.len() <= NAME_BYTES_MAX, "{}", spec.name);
            assert_eq!(spec.name, spec.name.to_ascii_lowercase());
            assert!(!spec.summary.is_empty() && !spec.summary.ends_with('.'), "{}", spec.name);
            assert!(spec.arity != 0);
            assert_eq!(spec.keys == Keys::NONE, spec.keys.step == 0, "{}", spec.name);
            let (index, found) = find(spec.name.to_ascii_uppercase().as_bytes()).unwrap();
            assert_eq!((REGISTRY[index].name, found.name), (spec.name, spec.name));
        }
        assert!(find(b"nope").is_none());
        assert!(find(&[b'x'; 99]).is_none());
        assert!(find(b"").is_none());
    }

    /// The README's rows, as they have to be.
    fn readme_rows() -> String {
        let escaped = |text: &str| text.replace('|', "\\|");
        REGISTRY.iter().fold(String::new(), |rows, spec| {
            let usage = format!("{} {}", spec.name.to_ascii_uppercase(), escaped(spec.usage));
            format!("{rows}| `{}` | {} |\n", usage.trim_end(), spec.summary)
        })
    }

    #[test]
    fn the_readme_lists_every_command() {
        let readme = include_str!("../../../README.md");
        let begin = "| command | |\n|---|---|\n";
        let rows = readme.split_once(begin).and_then(|(_, rest)| rest.split_once("<!-- end of commands -->"));
        let (rows, _) = rows.expect("the README has a table of commands");
        assert_eq!(rows, readme_rows(), "put these rows into README.md:\n{}", readme_rows());
    }

    #[test]
    fn keys_are_found_where_the_spec_says() {
        let keys = |keys: Keys, words: &str| -> Vec<String> {
            let request = OwnedRequest::new(words.split(' '), Dialect::Line);
            keys.of(request.as_request()).map(|key| String::from_utf8_lossy(key).into_owned()).collect()
        };
        assert_eq!(keys(Keys::FIRST, "set k v"), ["k"]);
        assert_eq!(keys(Keys::ALL, "del a b c"), ["a", "b", "c"]);
        assert_eq!(keys(Keys::PAIRS, "mset a 1 b 2"), ["a", "b"]);
        assert_eq!(keys(Keys::PAIRS, "mset a 1 b"), ["a", "b"]);
        let counted = Keys { first: 2, last: -1, step: 2, overwritten: true, counted: true };
        for (words, expected) in [
            ("msetex 2 a 1 b 2 EX 5", &["a", "b"][..]),
            ("msetex 9 a 1", &["a"]),
            ("msetex -1 a 1", &[]),
            ("msetex x a 1", &[]),
        ] {
            assert_eq!(keys(counted, words), expected, "{words}");
        }
        assert!(keys(Keys::NONE, "ping hello").is_empty());
        assert!(keys(Keys::ALL, "del").is_empty());
    }
}
