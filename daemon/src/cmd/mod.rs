//! The commands: one file each, and the registry that everything else about them derives from.
//!
//! A command's file holds its documentation, its [`Spec`], `parse` (arguments to a value, nothing touched), `run`, and its
//! tests. To add one: write the file, add it to the two lists below (`mod` and [`REGISTRY`]) and to its subject in `document.rs`,
//! add a transcript under `tests/e2e/transcripts`. Look-up, arity errors, HELP, COMMAND and the tables of README.md and COMMANDS.md
//! follow from the registry.
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
#[cfg(test)]
mod document;
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
mod permission;
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
mod spec;
mod stats;
mod subcommands;
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
use std::sync::LazyLock;

use larder_protocol::Request;

pub use host::{Host, VERSION};
pub use permission::check as check_permission;
pub use set::unconditional_deadline;
pub use spec::{Class, Family, Group, Job, Keys, Run, Spec, StepFn};
pub use transaction::{admit, leave, refuse};

use crate::clients::{Client, Protocol};
use crate::error::CommandError;

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
/// Where there is no such command or subcommand, or too few or too many words, or a key that is too long.
pub fn resolve(request: Request<'_>, key_bytes_max: usize) -> Result<(usize, &'static Spec), CommandError> {
    let Some((index, spec)) = find(request.name()) else {
        return Err(CommandError::unknown_command(request.name(), request.args()));
    };
    if !spec.takes(request.len()) {
        return Err(CommandError::Arity(spec.name));
    }
    subcommands::check(index, spec, request)?;
    for key in spec.keys.of(request) {
        if key.len() > key_bytes_max {
            return Err(CommandError::KeyTooLong { bytes: key.len(), limit: key_bytes_max });
        }
    }
    Ok((index, spec))
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
