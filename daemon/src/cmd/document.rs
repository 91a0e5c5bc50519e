//! The commands as documents, by subject: README's overview and the tables of COMMANDS.md. Tests alone, which keep them up to
//! date.

use std::fmt::Write as _;

use super::{REGISTRY, find};
use crate::documents::{keep, keep_contents};

/// The subjects in the order of the documents, and the commands of each: those that most look for stand first.
const SUBJECTS: [(&str, &str); 13] = [
    ("Values", "GET SET MGET MSET MSETNX MSETEX GETEX GETDEL GETSET SETNX SETEX PSETEX DELEX DIGEST"),
    ("Counters", "INCR INCRBY INCRBYFLOAT DECR DECRBY"),
    ("Parts of values", "APPEND STRLEN GETRANGE SUBSTR SETRANGE"),
    ("Keys", "DEL UNLINK EXISTS TOUCH TYPE RENAME RENAMENX COPY"),
    ("Expiry", "TTL PTTL EXPIRE PEXPIRE EXPIREAT PEXPIREAT EXPIRETIME PEXPIRETIME PERSIST CLEANUP"),
    ("Many keys", "DELPAT SCAN KEYS RANDOMKEY DBSIZE FLUSHALL FLUSHDB"),
    ("Transactions", "MULTI EXEC DISCARD WATCH UNWATCH"),
    ("Messages", "SUBSCRIBE UNSUBSCRIBE PSUBSCRIBE PUNSUBSCRIBE PUBLISH PUBSUB"),
    ("Scripts", "EVAL EVALSHA EVAL_RO EVALSHA_RO SCRIPT"),
    ("Connection", "HELLO AUTH CLIENT SELECT PING ECHO RESET QUIT"),
    ("Looking at the daemon", "HELP STATS INFO SLOWLOG LATENCY COMMAND TIME OBJECT MEMORY DEBUG"),
    ("Running the daemon", "CONFIG BACKUP SHUTDOWN LASTSAVE"),
    (
        "For clients of Redis",
        "ACL BGREWRITEAOF BGSAVE CLUSTER MODULE MONITOR MOVE READONLY READWRITE ROLE SAVE SWAPDB WAIT",
    ),
];

#[test]
fn every_command_has_one_subject() {
    let listed: Vec<_> = SUBJECTS.iter().flat_map(|(_, names)| names.split(' ')).collect();
    for spec in REGISTRY {
        let name = spec.name.to_ascii_uppercase();
        let times = listed.iter().filter(|listed| **listed == name).count();
        assert_eq!(times, 1, "put {name} into one of SUBJECTS, in daemon/src/cmd/document.rs");
    }
    assert_eq!(listed.len(), REGISTRY.len());
}

#[test]
fn the_documents_list_every_command() {
    let mut overview = String::from("| | |\n|---|---|\n");
    let mut page = String::new();
    for (title, names) in SUBJECTS {
        let shown: Vec<_> = names.split(' ').map(|name| format!("`{name}`")).collect();
        writeln!(overview, "| {title} | {} |", shown.join(" ")).unwrap();
        writeln!(page, "\n## {title}\n\n| command | |\n|---|---|").unwrap();
        for name in names.split(' ') {
            let (_, spec) = find(name.as_bytes()).unwrap_or_else(|| panic!("there is no {name}"));
            let usage = format!("{name} {}", spec.usage.replace('|', "\\|"));
            writeln!(page, "| `{}` | {} |", usage.trim_end(), spec.summary).unwrap();
        }
    }
    keep("README.md", "commands", &overview);
    keep("daemon/COMMANDS.md", "commands", &(page + "\n"));
    keep_contents("daemon/COMMANDS.md");
}
