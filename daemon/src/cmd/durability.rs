//! `SAVE`, `BGSAVE`, `BGREWRITEAOF`, `LASTSAVE`, `WAIT replicas timeout`, `ROLE`: what tools ask about keeping data safe.
//! Everything answered is committed already, and there is nobody to copy it to.

use larder_protocol::{Reply, Stat};

use super::args::required_integer;
use super::{Class, Family, Group, Keys, Spec};
use crate::error::CommandError;

const FAMILY: Family = Family { class: Class::Admin, group: Group::Server, keys: Keys::NONE };

pub(super) static SAVE: Spec =
    FAMILY.local("save", "", 1, "Answers OK: what is answered is committed", |_, _, _| Ok(Reply::OK));

pub(super) static BGSAVE: Spec = FAMILY.local(
    "bgsave",
    "[SCHEDULE]",
    -1,
    "Answers as Redis does: what is answered is committed",
    |request, _, _| match (request.get(0), request.len()) {
        (None, _) => Ok(Reply::status("Background saving started")),
        (Some(word), 2) if word.eq_ignore_ascii_case(b"schedule") => {
            Ok(Reply::status("Background saving started"))
        }
        _ => Err(CommandError::Syntax),
    },
);

pub(super) static BGREWRITEAOF: Spec =
    FAMILY.local("bgrewriteaof", "", 1, "Answers as Redis does: journals are merged all along", |_, _, _| {
        Ok(Reply::status("Background append only file rewriting started"))
    });

pub(super) static LASTSAVE: Spec = FAMILY.local(
    "lastsave",
    "",
    1,
    "Tells when data was last forced to disk, in unix seconds",
    |_, _, host| {
        Ok(Reply::Int(host.cache.counters(|counters| counters.get(Stat::SyncLastTimeMs)) as i64 / 1_000))
    },
);

pub(super) static WAIT: Spec =
    FAMILY.local("wait", "numreplicas timeout", 3, "Answers 0: there are no replicas", |request, _, _| {
        required_integer(request.arg(0))?;
        match super::args::integer(request.arg(1)) {
            Some(0..) => Ok(Reply::Int(0)),
            Some(_) => Err(CommandError::Named("timeout is negative")),
            None => Err(CommandError::Named("timeout is not an integer or out of range")),
        }
    });

pub(super) static ROLE: Spec =
    FAMILY.local("role", "", 1, "Answers master: there are no replicas", |_, _, _| {
        Ok(Reply::Array(vec![Reply::bulk("master"), Reply::Int(0), Reply::Array(Vec::new())]))
    });
