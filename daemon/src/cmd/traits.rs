//! What Redis says of its commands beyond where their keys are: flags, access categories, what is done with each key.
//!
//! Clients decide by it what they may send to a replica, retry, or queue. COMMAND and ACL CAT read it. For commands that
//! Redis 7 does not have, it follows from what they do to the data.

use super::{Class, Group, Keys, Spec};

/// All categories, in Redis's order.
pub(super) const CATEGORIES: [&str; 21] = [
    "keyspace",
    "read",
    "write",
    "set",
    "sortedset",
    "list",
    "hash",
    "string",
    "bitmap",
    "hyperloglog",
    "geo",
    "stream",
    "pubsub",
    "admin",
    "fast",
    "slow",
    "blocking",
    "dangerous",
    "connection",
    "transaction",
    "scripting",
];

/// Commands that Redis calls dangerous without calling them administrative.
const DANGEROUS: [&str; 7] = ["flushall", "flushdb", "info", "keys", "lastsave", "role", "swapdb"];

/// Commands about keys that are not in the group of such.
const KEYSPACE: [&str; 4] = ["dbsize", "flushall", "flushdb", "swapdb"];

/// A command of Redis 7.
struct Row {
    name: &'static str,
    flags: &'static str,
    /// What is done with each key; where there are several, with the first and the second.
    keys: &'static str,
}

const fn row(name: &'static str, flags: &'static str, keys: &'static str) -> Row {
    Row { name, flags, keys }
}

/// As Redis 7.0 answers them to COMMAND INFO, in alphabetical order.
const REDIS: &[Row] = &[
    row("acl", "", ""),
    row("append", "write denyoom fast", "RW insert"),
    row("auth", "noscript loading stale fast no_auth allow_busy", ""),
    row("bgrewriteaof", "admin noscript no_async_loading", ""),
    row("bgsave", "admin noscript no_async_loading", ""),
    row("client", "", ""),
    row("cluster", "", ""),
    row("command", "loading stale", ""),
    row("config", "", ""),
    row("copy", "write denyoom", "RO access; OW update"),
    row("dbsize", "readonly fast", ""),
    row("debug", "admin noscript loading stale", ""),
    row("decr", "write denyoom fast", "RW access update"),
    row("decrby", "write denyoom fast", "RW access update"),
    row("del", "write", "RM delete"),
    row("discard", "noscript loading stale fast allow_busy", ""),
    row("echo", "loading stale fast", ""),
    row("eval", "noscript stale skip_monitor no_mandatory_keys", "RW access update"),
    row("evalsha", "noscript stale skip_monitor no_mandatory_keys", "RW access update"),
    row("exec", "noscript loading stale skip_slowlog", ""),
    row("exists", "readonly fast", "RO"),
    row("expire", "write fast", "RW update"),
    row("expireat", "write fast", "RW update"),
    row("expiretime", "readonly fast", "RO access"),
    row("flushall", "write", ""),
    row("flushdb", "write", ""),
    row("get", "readonly fast", "RO access"),
    row("getdel", "write fast", "RW access delete"),
    row("getex", "write fast", "RW access update"),
    row("getrange", "readonly", "RO access"),
    row("getset", "write denyoom fast", "RW access update"),
    row("hello", "noscript loading stale fast no_auth allow_busy", ""),
    row("incr", "write denyoom fast", "RW access update"),
    row("incrby", "write denyoom fast", "RW access update"),
    row("incrbyfloat", "write denyoom fast", "RW access update"),
    row("info", "loading stale", ""),
    row("keys", "readonly", ""),
    row("lastsave", "loading stale fast", ""),
    row("latency", "", ""),
    row("memory", "", ""),
    row("mget", "readonly fast", "RO access"),
    row("module", "", ""),
    row("monitor", "admin noscript loading stale", ""),
    row("move", "write fast", "RW access update"),
    row("mset", "write denyoom", "OW update"),
    row("msetnx", "write denyoom", "OW insert"),
    row("multi", "noscript loading stale fast allow_busy", ""),
    row("object", "", ""),
    row("persist", "write fast", "RW update"),
    row("pexpire", "write fast", "RW update"),
    row("pexpireat", "write fast", "RW update"),
    row("pexpiretime", "readonly fast", "RO access"),
    row("ping", "fast", ""),
    row("psetex", "write denyoom", "OW update"),
    row("psubscribe", "pubsub noscript loading stale", ""),
    row("pttl", "readonly fast", "RO access"),
    row("publish", "pubsub loading stale fast", ""),
    row("pubsub", "", ""),
    row("punsubscribe", "pubsub noscript loading stale", ""),
    row("quit", "noscript loading stale fast no_auth allow_busy", ""),
    row("randomkey", "readonly", ""),
    row("readonly", "loading stale fast", ""),
    row("readwrite", "loading stale fast", ""),
    row("rename", "write", "RW access delete; OW update"),
    row("renamenx", "write fast", "RW access delete; OW insert"),
    row("reset", "noscript loading stale fast no_auth allow_busy", ""),
    row("role", "noscript loading stale fast", ""),
    row("save", "admin noscript no_async_loading no_multi", ""),
    row("scan", "readonly", ""),
    row("script", "", ""),
    row("select", "loading stale fast", ""),
    row("set", "write denyoom", "RW access update variable_flags"),
    row("setex", "write denyoom", "OW update"),
    row("setnx", "write denyoom fast", "OW insert"),
    row("setrange", "write denyoom", "RW update"),
    row("shutdown", "admin noscript loading stale no_multi allow_busy", ""),
    row("slowlog", "", ""),
    row("strlen", "readonly fast", "RO"),
    row("subscribe", "pubsub noscript loading stale", ""),
    row("substr", "readonly", "RO access"),
    row("swapdb", "write fast", ""),
    row("time", "loading stale fast", ""),
    row("touch", "readonly fast", "RO"),
    row("ttl", "readonly fast", "RO access"),
    row("type", "readonly fast", "RO"),
    row("unlink", "write fast", "RM delete"),
    row("unsubscribe", "pubsub noscript loading stale", ""),
    row("unwatch", "noscript loading stale fast allow_busy", ""),
    row("wait", "noscript", ""),
    row("watch", "noscript loading stale fast allow_busy", "RO"),
];

fn in_redis(spec: &Spec) -> Option<&'static Row> {
    REDIS.binary_search_by(|row| row.name.cmp(spec.name)).ok().map(|at| &REDIS[at])
}

/// A command's flags.
pub(super) fn flags(spec: &Spec) -> Vec<&'static str> {
    let flags = match (in_redis(spec), spec.class) {
        (Some(row), _) => row.flags,
        (None, Class::Read) => "readonly",
        (None, Class::Write) => "write denyoom",
        (None, Class::Delete) => "write",
        (None, Class::Admin) => "admin noscript loading stale",
        (None, Class::Connection) => "noscript loading stale fast",
    };
    // As Redis does for keys that are counted by an argument: clients then ask GETKEYS.
    flags.split_whitespace().chain(spec.keys.counted.then_some("movablekeys")).collect()
}

/// The categories it is in, without the `@`.
pub(super) fn categories(spec: &Spec) -> Vec<&'static str> {
    let flags = flags(spec);
    let has = |flag| flags.contains(&flag);
    let container = in_redis(spec).is_some_and(|row| row.flags.is_empty());
    let grouped = match spec.group {
        _ if container || spec.name == "wait" => None,
        Group::String => Some("string"),
        Group::Generic => Some("keyspace"),
        Group::Connection => Some("connection"),
        Group::Transactions => Some("transaction"),
        Group::Scripting => Some("scripting"),
        Group::PubSub => Some("pubsub"),
        Group::Server => None,
    };
    let named = |names: &[&str]| names.contains(&spec.name);
    let all = [
        (named(&KEYSPACE), "keyspace"),
        (has("readonly"), "read"),
        (has("write"), "write"),
        (named(&["role", "lastsave"]) || has("admin"), "admin"),
        (named(&DANGEROUS) || has("admin"), "dangerous"),
        (named(&["command", "wait"]), "connection"),
        (has("fast"), "fast"),
        (!has("fast"), "slow"),
    ];
    grouped.into_iter().chain(all.into_iter().filter_map(|(is, category)| is.then_some(category))).collect()
}

/// What it does with its keys: one list of flags for all of them, or one for each of two.
pub(super) fn key_flags(spec: &Spec) -> Vec<Vec<&'static str>> {
    if spec.keys == Keys::NONE {
        return Vec::new();
    }
    let flags = match (in_redis(spec), spec.class) {
        (Some(row), _) if !row.keys.is_empty() => row.keys,
        (_, Class::Write) => "RW access update",
        (_, Class::Delete) => "RM delete",
        _ => "RO access",
    };
    flags.split("; ").map(|flags| flags.split(' ').collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd::{REGISTRY, find};

    #[test]
    fn rows_are_in_order_and_have_commands() {
        assert!(REDIS.is_sorted_by(|a, b| a.name < b.name));
        for row in REDIS {
            let (_, spec) = find(row.name.as_bytes()).unwrap_or_else(|| panic!("{}", row.name));
            assert!(row.keys.is_empty() || spec.keys != Keys::NONE, "{}", row.name);
        }
    }

    #[test]
    fn flags_and_categories_fit_what_commands_do() {
        for spec in REGISTRY {
            let (flags, categories) = (flags(spec), categories(spec));
            assert!(categories.iter().all(|category| CATEGORIES.contains(category)), "{}", spec.name);
            assert_eq!(categories.contains(&"fast"), flags.contains(&"fast"), "{}", spec.name);
            if spec.class == Class::Read && spec.keys != Keys::NONE {
                assert!(!flags.contains(&"write"), "{}", spec.name);
            }
            assert_eq!(key_flags(spec).is_empty(), spec.keys == Keys::NONE, "{}", spec.name);
        }
        let of = |name: &str| categories(find(name.as_bytes()).unwrap().1);
        assert_eq!(of("get"), ["string", "read", "fast"]);
        assert_eq!(of("flushall"), ["keyspace", "write", "dangerous", "slow"]);
        assert_eq!(of("client"), ["slow"]);
        assert_eq!(of("delpat"), ["keyspace", "write", "slow"]);
        assert_eq!(
            key_flags(find(b"rename").unwrap().1),
            [["RW", "access", "delete"].to_vec(), vec!["OW", "update"]]
        );
    }
}
