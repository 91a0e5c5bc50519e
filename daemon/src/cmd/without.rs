//! `ACL`, `CLUSTER`, `MODULE`, `MONITOR`, `MOVE`, `READONLY`, `READWRITE`, `SWAPDB`: what larder has nothing of, answered as
//! a Redis without it answers, because client libraries and tools ask. There is one user, one database, one server.

use std::rc::Rc;

use larder_protocol::{Reply, Request};

use super::args::{integer, required_integer};
use super::help::subcommands;
use super::subcommands::misused;
use super::traits::{CATEGORIES, categories};
use super::{Class, Client, Family, Group, Host, Keys, REGISTRY, Spec};
use crate::error::{CommandError, shown};

const FAMILY: Family = Family { class: Class::Connection, group: Group::Server, keys: Keys::NONE };

pub(super) static ACL: Spec = FAMILY.local(
    "acl",
    "CAT [category] | GETUSER name | LIST | LOG [count | RESET] | USERS | WHOAMI",
    -2,
    "Tells of the one user there is: the socket's permissions decide who may connect",
    acl,
);

pub(super) static CLUSTER: Spec =
    FAMILY.local("cluster", "subcommand", -2, "Answers as a Redis without clusters", |_, _, _| {
        Err(CommandError::Named("This instance has cluster support disabled"))
    });

pub(super) static MODULE: Spec =
    FAMILY.local("module", "LIST", -2, "Lists modules, of which there are none", |request, _, _| {
        match &request.arg(0).to_ascii_lowercase()[..] {
            b"list" => Ok(Reply::Array(Vec::new())),
            b"help" => Ok(subcommands(&MODULE)),
            _ => Err(misused(&MODULE, request)),
        }
    });

pub(super) static MONITOR: Spec =
    FAMILY.local("monitor", "", 1, "Answers an error: nothing shows every command", |_, _, _| {
        Err(CommandError::Named("MONITOR is not there: see SLOWLOG, INFO commandstats and STATS"))
    });

pub(super) static READONLY: Spec = Spec {
    group: Group::Connection,
    ..FAMILY.local("readonly", "", 1, "Answers as a Redis without clusters", |_, _, _| {
        Err(CommandError::Named("This instance has cluster support disabled"))
    })
};

pub(super) static READWRITE: Spec = Spec {
    group: Group::Connection,
    ..FAMILY.local("readwrite", "", 1, "Answers as a Redis without clusters", |_, _, _| {
        Err(CommandError::Named("This instance has cluster support disabled"))
    })
};

pub(super) static MOVE: Spec = Spec {
    class: Class::Write,
    group: Group::Generic,
    keys: Keys::FIRST,
    ..FAMILY.local("move", "key db", 3, "Answers an error: there is one database", |request, _, _| {
        match required_integer(request.arg(1))? {
            0 => Err(CommandError::Named("source and destination objects are the same")),
            _ => Err(CommandError::NoSuchDatabase),
        }
    })
};

pub(super) static SWAPDB: Spec = FAMILY.local(
    "swapdb",
    "index1 index2",
    3,
    "Swaps database 0, the only one, with itself",
    |request, _, _| {
        let first = integer(request.arg(0)).ok_or(CommandError::Named("invalid first DB index"))?;
        let second = integer(request.arg(1)).ok_or(CommandError::Named("invalid second DB index"))?;
        if (first, second) == (0, 0) { Ok(Reply::OK) } else { Err(CommandError::NoSuchDatabase) }
    },
);

fn acl(request: Request<'_>, _: &Rc<Client>, _: &Host) -> Result<Reply, CommandError> {
    let bulks = |texts: &[&'static str]| Reply::array(texts.iter().map(|&text| Reply::bulk(text)));
    match (&request.arg(0).to_ascii_lowercase()[..], request.len()) {
        (b"whoami", _) => Ok(Reply::bulk("default")),
        (b"users", _) => Ok(bulks(&["default"])),
        (b"list", _) => Ok(bulks(&["user default on nopass ~* &* +@all"])),
        (b"cat", 2) => Ok(bulks(&CATEGORIES)),
        (b"cat", 3) => {
            let wanted = request.arg(1).to_ascii_lowercase();
            let Some(wanted) = CATEGORIES.iter().find(|category| category.as_bytes() == wanted) else {
                return Err(CommandError::UnknownCategory(shown(request.arg(1))));
            };
            let within = REGISTRY.iter().filter(|spec| categories(spec).contains(wanted));
            Ok(Reply::array(within.map(|spec| Reply::bulk(spec.name))))
        }
        (b"getuser", _) if request.arg(1) == b"default" => {
            let fields = [
                ("flags", Reply::Set(vec![Reply::bulk("on"), Reply::bulk("nopass")])),
                ("passwords", Reply::Array(Vec::new())),
                ("commands", Reply::bulk("+@all")),
                ("keys", Reply::bulk("~*")),
                ("channels", Reply::bulk("&*")),
                ("selectors", Reply::Array(Vec::new())),
            ];
            Ok(Reply::map(fields))
        }
        (b"getuser", _) => Ok(Reply::Nil),
        (b"log", 3) if request.arg(1).eq_ignore_ascii_case(b"reset") => Ok(Reply::OK),
        // Who was refused what is not kept.
        (b"log", 2) => Ok(Reply::Array(Vec::new())),
        (b"log", 3) => required_integer(request.arg(1)).map(|_| Reply::Array(Vec::new())),
        (b"help", _) => Ok(subcommands(&ACL)),
        _ => Err(misused(&ACL, request)),
    }
}
