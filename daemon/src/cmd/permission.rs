//! Which role a command needs. What a client's role is, is decided in `access.rs`.
//!
//! It follows from the command's class; what the class is too coarse for stands in the two lists below. Checked before a
//! command is queued or run, so a transaction with a command in it that its client may not run runs nothing.

use larder_protocol::Request;

use super::{Class, Client, Spec};
use crate::access::Role;
use crate::error::AccessError;

/// Commands of which some words after the name need another role than the rest: name, role of the rest, role of those.
const IN_PARTS: [(&str, Role, Role, &[&str]); 5] = [
    ("client", Role::ReadOnly, Role::Admin, &["kill", "pause", "unpause", "unblock"]),
    ("config", Role::ReadOnly, Role::Admin, &["set", "rewrite", "resetstat"]),
    ("latency", Role::ReadOnly, Role::Admin, &["reset"]),
    ("script", Role::Normal, Role::Admin, &["flush", "kill"]),
    ("slowlog", Role::ReadOnly, Role::Admin, &["reset"]),
];

/// Commands that need another role than others of their class.
const EXCEPTIONS: [(&str, Role); 4] = [
    ("lastsave", Role::ReadOnly),
    ("publish", Role::Normal),
    ("role", Role::ReadOnly),
    ("wait", Role::ReadOnly),
];

/// What may be sent before a password that is asked for has been given.
const BEFORE_PASSWORD: [&str; 4] = ["auth", "hello", "quit", "reset"];

/// The least role that may run the request.
fn needed(spec: &Spec, request: Request<'_>) -> Role {
    match spec.class {
        Class::Read => return Role::ReadOnly,
        Class::Write | Class::Delete => return Role::Normal,
        Class::Admin | Class::Connection => {}
    }
    if let Some((_, rest, special, words)) = IN_PARTS.iter().find(|(name, ..)| *name == spec.name) {
        let word = request.get(0).unwrap_or_default();
        let is_special = words.iter().any(|special| word.eq_ignore_ascii_case(special.as_bytes()));
        return if is_special { *special } else { *rest };
    }
    match EXCEPTIONS.iter().find(|(name, _)| *name == spec.name) {
        Some((_, role)) => *role,
        None if spec.class == Class::Admin => Role::Admin,
        None => Role::ReadOnly,
    }
}

/// Whether the client may run the request.
///
/// # Errors
/// Where it may not, as Redis words it.
pub fn check(spec: &Spec, request: Request<'_>, client: &Client) -> Result<(), AccessError> {
    match client.role.get() {
        Some(Role::Admin) => Ok(()),
        Some(role) if role >= needed(spec, request) => Ok(()),
        Some(_) => Err(AccessError::NoPermission(full_name(spec, request))),
        None if BEFORE_PASSWORD.contains(&spec.name) => Ok(()),
        None => Err(AccessError::NotAuthenticated),
    }
}

/// The command's name, with the word that makes the difference where there is one.
fn full_name(spec: &Spec, request: Request<'_>) -> String {
    match request.get(0) {
        Some(word) if IN_PARTS.iter().any(|(name, ..)| *name == spec.name) => {
            format!("{}|{}", spec.name, crate::error::shown(&word.to_ascii_lowercase()))
        }
        _ => spec.name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use larder_protocol::{Dialect, OwnedRequest};

    use super::super::{REGISTRY, find};
    use super::*;
    use crate::clients::Peer;

    fn checked(role: Option<Role>, words: &str) -> Result<(), String> {
        let request = OwnedRequest::new(words.split(' '), Dialect::Line);
        let client = Client::new(1, Peer::default(), 0);
        client.role.set(role);
        let (_, spec) = find(request.as_request().name()).unwrap();
        check(spec, request.as_request(), &client).map_err(|error| error.to_string())
    }

    /// Every command, by the least role that may run it. A new one has to be put where it belongs.
    #[test]
    fn each_command_needs_a_role() {
        let needing = |role: Role| {
            let with = |words: &str| checked(Some(role), words).is_ok();
            let below = Role::ALL.iter().rev().find(|below| **below < role);
            let without = |words: &str| below.is_some_and(|below| checked(Some(*below), words).is_ok());
            let names = REGISTRY.iter().map(|spec| spec.name);
            names.filter(|name| with(name) && !without(name)).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(needing(Role::Admin), "backup bgrewriteaof bgsave debug flushall flushdb save shutdown");
        assert_eq!(
            needing(Role::Normal),
            "append cleanup copy decr decrby del delex delpat eval eval_ro evalsha evalsha_ro expire expireat getdel \
             getex getset incr incrby incrbyfloat move mset msetex msetnx persist pexpire pexpireat psetex publish \
             rename renamenx script set setex setnx setrange unlink"
        );
        let looking = needing(Role::ReadOnly);
        for name in ["get", "scan", "stats", "info", "subscribe", "config", "client", "slowlog", "multi"] {
            assert!(looking.split(' ').any(|other| other == name), "{name} in {looking}");
        }
    }

    #[test]
    fn some_words_need_more_than_others() {
        for (words, least) in [
            ("config get x", Role::ReadOnly),
            ("CONFIG SET x y", Role::Admin),
            ("client list", Role::ReadOnly),
            ("client Kill id 4", Role::Admin),
            ("slowlog reset", Role::Admin),
            ("script load x", Role::Normal),
        ] {
            for role in Role::ALL {
                assert_eq!(
                    checked(Some(*role), words).is_ok(),
                    *role >= least,
                    "{words} as {}",
                    role.as_str()
                );
            }
        }
        for (name, .., words) in IN_PARTS {
            let usage = find(name.as_bytes()).unwrap().1.usage;
            for word in words {
                assert!(usage.contains(&word.to_ascii_uppercase()), "{name} has no {word}");
            }
        }
        for (name, _) in EXCEPTIONS {
            assert!(find(name.as_bytes()).is_some(), "{name}");
        }
    }

    #[test]
    fn refusals_are_worded_as_in_redis() {
        for (role, words, error) in [
            (
                Some(Role::Normal),
                "FLUSHALL",
                "NOPERM this user has no permissions to run the 'flushall' command",
            ),
            (
                Some(Role::Normal),
                "Config Set a b",
                "NOPERM this user has no permissions to run the 'config|set' command",
            ),
            (None, "get a", "NOAUTH Authentication required."),
        ] {
            assert_eq!(checked(role, words), Err(error.to_owned()));
        }
        assert!(checked(None, "auth x").is_ok() && checked(None, "hello 3").is_ok());
    }
}
