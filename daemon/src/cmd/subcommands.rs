//! The words that may follow the name of a command with subcommands, and how many words there may be: checked before the
//! command is queued or run, as Redis checks it, so that a transaction with a slip in it runs nothing.
//!
//! A subcommand whose own code counts the words, because Redis words that otherwise, has no upper bound here.

use std::sync::LazyLock;

use larder_protocol::Request;

use super::{REGISTRY, Spec};
use crate::error::{CommandError, shown_as_redis};

/// Full name, and how many words a request has with it, at least and at most.
struct Row(&'static str, usize, usize);

const MANY: usize = usize::MAX;

const ROWS: &[Row] = &[
    Row("acl|cat", 2, MANY),
    Row("acl|getuser", 3, 3),
    Row("acl|help", 2, 2),
    Row("acl|list", 2, 2),
    Row("acl|log", 2, MANY),
    Row("acl|users", 2, 2),
    Row("acl|whoami", 2, 2),
    Row("client|caching", 3, 3),
    Row("client|getname", 2, 2),
    Row("client|getredir", 2, 2),
    Row("client|help", 2, 2),
    Row("client|id", 2, 2),
    Row("client|info", 2, 2),
    Row("client|kill", 3, MANY),
    Row("client|list", 2, MANY),
    Row("client|no-evict", 3, 3),
    Row("client|no-touch", 3, 3),
    Row("client|pause", 3, MANY),
    Row("client|reply", 3, 3),
    Row("client|setinfo", 4, 4),
    Row("client|setname", 3, 3),
    Row("client|tracking", 3, MANY),
    Row("client|trackinginfo", 2, 2),
    Row("client|unblock", 3, MANY),
    Row("client|unpause", 2, 2),
    Row("command|count", 2, 2),
    Row("command|docs", 2, MANY),
    Row("command|getkeys", 4, MANY),
    Row("command|getkeysandflags", 4, MANY),
    Row("command|help", 2, 2),
    Row("command|info", 2, MANY),
    Row("command|list", 2, MANY),
    Row("config|get", 3, MANY),
    Row("config|help", 2, 2),
    Row("config|resetstat", 2, 2),
    Row("config|rewrite", 2, 2),
    Row("config|set", 4, MANY),
    Row("latency|doctor", 2, 2),
    Row("latency|graph", 3, 3),
    Row("latency|help", 2, 2),
    Row("latency|histogram", 2, MANY),
    Row("latency|history", 3, 3),
    Row("latency|latest", 2, 2),
    Row("latency|reset", 2, MANY),
    Row("memory|doctor", 2, 2),
    Row("memory|help", 2, 2),
    Row("memory|purge", 2, 2),
    Row("memory|usage", 3, MANY),
    Row("module|help", 2, 2),
    Row("module|list", 2, 2),
    Row("object|encoding", 3, 3),
    Row("object|freq", 3, 3),
    Row("object|help", 2, 2),
    Row("object|idletime", 3, 3),
    Row("object|refcount", 3, 3),
    Row("pubsub|channels", 2, MANY),
    Row("pubsub|help", 2, 2),
    Row("pubsub|numpat", 2, 2),
    Row("pubsub|numsub", 2, MANY),
    Row("pubsub|shardchannels", 2, MANY),
    Row("pubsub|shardnumsub", 2, MANY),
    Row("script|exists", 3, MANY),
    Row("script|flush", 2, MANY),
    Row("script|help", 2, 2),
    Row("script|kill", 2, 2),
    Row("script|load", 3, 3),
    Row("slowlog|get", 2, MANY),
    Row("slowlog|help", 2, 2),
    Row("slowlog|len", 2, 2),
    Row("slowlog|reset", 2, 2),
];

/// For each command of the registry, the rows of its subcommands.
static BY_COMMAND: LazyLock<Vec<&'static [Row]>> =
    LazyLock::new(|| REGISTRY.iter().map(|spec| rows(spec.name)).collect());

fn rows(command: &str) -> &'static [Row] {
    let is_its = |row: &Row| row.0.split_once('|').is_some_and(|(name, _)| name == command);
    let begin = ROWS.iter().position(is_its).unwrap_or(0);
    let count = ROWS[begin..].iter().take_while(|row| is_its(row)).count();
    &ROWS[begin..begin + count]
}

/// Whether the word after the name is one of the command's subcommands, with as many words as it takes. Always so for a command
/// without subcommands, and for a request without such a word, of which the arity has been checked.
///
/// # Errors
/// As Redis words them.
pub(super) fn check(index: usize, spec: &Spec, request: Request<'_>) -> Result<(), CommandError> {
    let rows = BY_COMMAND[index];
    let Some(word) = request.get(0).filter(|_| !rows.is_empty()) else { return Ok(()) };
    let is_meant = |row: &&Row| row.0.as_bytes()[spec.name.len() + 1..].eq_ignore_ascii_case(word);
    match rows.iter().find(is_meant) {
        None => Err(unknown(spec, word)),
        Some(Row(name, least, most)) if !(*least..=*most).contains(&request.len()) => {
            Err(CommandError::Arity(name))
        }
        Some(_) => Ok(()),
    }
}

#[cold]
fn unknown(spec: &Spec, word: &[u8]) -> CommandError {
    let command = spec.name.to_ascii_uppercase();
    CommandError::UnknownSubcommand { command, subcommand: shown_as_redis(word) }
}

/// The error where a command counts the words after a subcommand itself, and they are not as many as it takes.
#[cold]
pub(super) fn misused(spec: &Spec, request: Request<'_>) -> CommandError {
    let command = spec.name.to_ascii_uppercase();
    CommandError::SubcommandUse { command, subcommand: shown_as_redis(request.arg(0)) }
}

#[cfg(test)]
mod tests {
    use larder_protocol::{Dialect, OwnedRequest};

    use super::super::{find, resolve};
    use super::*;

    fn checked(words: &str) -> Result<(), String> {
        let request = OwnedRequest::new(words.split(' '), Dialect::Line);
        resolve(request.as_request(), 100).map(drop).map_err(|error| error.to_string())
    }

    #[test]
    fn every_row_is_of_a_command_that_says_so() {
        assert!(ROWS.is_sorted_by(|a, b| a.0 < b.0));
        for Row(name, least, most) in ROWS {
            let (command, word) = name.split_once('|').unwrap();
            let (index, spec) = find(command.as_bytes()).unwrap();
            assert!(!BY_COMMAND[index].is_empty() && least <= most, "{name}");
            let is_told =
                word == "help" || word == "caching" || spec.usage.contains(&word.to_ascii_uppercase());
            assert!(is_told, "{name} is not in the usage: {}", spec.usage);
        }
    }

    #[test]
    fn slips_are_worded_as_in_redis() {
        for (words, error) in [
            ("CLIENT FOO", "ERR unknown subcommand 'FOO'. Try CLIENT HELP."),
            ("object Foo k", "ERR unknown subcommand 'Foo'. Try OBJECT HELP."),
            ("OBJECT freq", "ERR wrong number of arguments for 'object|freq' command"),
            ("CONFIG GET", "ERR wrong number of arguments for 'config|get' command"),
            ("CLIENT KILL", "ERR wrong number of arguments for 'client|kill' command"),
            ("LATENCY LATEST 1", "ERR wrong number of arguments for 'latency|latest' command"),
        ] {
            assert_eq!(checked(words), Err(error.to_owned()), "{words}");
        }
        for words in
            ["COMMAND", "command count", "CLIENT LIST foo", "SLOWLOG GET 1 2", "GET nothing", "Config Get x"]
        {
            assert_eq!(checked(words), Ok(()), "{words}");
        }
    }
}
