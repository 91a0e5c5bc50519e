//! `COMMAND [COUNT | LIST | INFO [name ...] | DOCS [name ...] | GETKEYS command [argument ...]]`: the registry, as Redis
//! clients read it.

use std::rc::Rc;

use larder_protocol::{Dialect, OwnedRequest, Reply, Request};

use super::help::subcommands;
use super::{Class, Client, Group, Host, Keys, REGISTRY, Run, Spec, find};
use crate::error::{CommandError, shown};

pub(super) static SPEC: Spec = Spec {
    name: "command",
    usage: "[COUNT | LIST | INFO [name ...] | DOCS [name ...] | GETKEYS command [argument ...]]",
    arity: -1,
    class: Class::Connection,
    group: Group::Server,
    keys: Keys::NONE,
    summary: "Describes the commands",
    run: Run::Local(run),
};

/// Names that INFO and DOCS describe in one request: many more than there are commands.
const NAMES_MAX: usize = 1_024;

fn run(request: Request<'_>, _: &Rc<Client>, _: &Host) -> Result<Reply, CommandError> {
    let Some(subcommand) = request.get(0) else {
        return Ok(Reply::array(REGISTRY.iter().map(|spec| info(spec))));
    };
    match (&subcommand.to_ascii_lowercase()[..], request.len()) {
        (b"count", 2) => Ok(Reply::int(REGISTRY.len())),
        (b"count", _) => Err(CommandError::Arity("command|count")),
        (b"list", 2) => Ok(Reply::array(REGISTRY.iter().map(|spec| Reply::bulk(spec.name)))),
        (b"list", _) => Err(CommandError::Syntax),
        (b"info", 2) => Ok(Reply::array(REGISTRY.iter().map(|spec| info(spec)))),
        (b"info" | b"docs", words) if words > 2 + NAMES_MAX => {
            Err(CommandError::TooManyNames { limit: NAMES_MAX })
        }
        (b"info", _) => Ok(Reply::array(
            request.tail(1).map(|name| find(name).map_or(Reply::Nil, |(_, spec)| info(spec))),
        )),
        (b"docs", 2) => Ok(Reply::Map(REGISTRY.iter().map(|spec| docs(spec)).collect())),
        (b"docs", _) => {
            Ok(Reply::Map(request.tail(1).filter_map(find).map(|(_, spec)| docs(spec)).collect()))
        }
        (b"help", 2) => Ok(subcommands(&SPEC)),
        (b"getkeys", 4..) => get_keys(request),
        (b"getkeys", _) => Err(CommandError::Arity("command|getkeys")),
        _ => Err(CommandError::UnknownSubcommand { command: "COMMAND", subcommand: shown(subcommand) }),
    }
}

/// The ten fields of Redis 7's COMMAND INFO; the last three (tips, key specifications, subcommands) are empty here.
fn info(spec: &Spec) -> Reply {
    let statuses =
        |names: &[&'static str]| Reply::Set(names.iter().map(|&name| Reply::Status(name)).collect());
    let (flags, category): (&[_], _) = match spec.class {
        Class::Read => (&["readonly"], "@read"),
        Class::Write | Class::Delete => (&["write"], "@write"),
        Class::Admin => (&["admin"], "@admin"),
        Class::Connection => (&["fast"], "@connection"),
    };
    let Keys { first, last, step, .. } = spec.keys;
    Reply::Array(vec![
        Reply::bulk(spec.name),
        Reply::Int(spec.arity.into()),
        statuses(flags),
        Reply::int(first),
        Reply::Int(last as i64),
        Reply::int(step),
        statuses(&[category]),
        Reply::Set(Vec::new()),
        Reply::Set(Vec::new()),
        Reply::Set(Vec::new()),
    ])
}

fn docs(spec: &Spec) -> (Reply, Reply) {
    let fields = [("summary", spec.summary), ("since", "1.0.0"), ("group", spec.group.name())];
    let fields = fields.into_iter().map(|(name, value)| (Reply::bulk(name), Reply::bulk(value))).collect();
    (Reply::bulk(spec.name), Reply::Map(fields))
}

fn get_keys(request: Request<'_>) -> Result<Reply, CommandError> {
    let asked = OwnedRequest::new(request.tail(1), Dialect::Resp);
    let asked = asked.as_request();
    let (_, spec) = find(asked.name()).ok_or(CommandError::GetKeys("Invalid command specified"))?;
    if spec.keys == Keys::NONE {
        return Err(CommandError::GetKeys("The command has no key arguments"));
    }
    if !spec.takes(asked.len()) {
        return Err(CommandError::GetKeys("Invalid number of arguments specified for command"));
    }
    let keys: Vec<_> = spec.keys.of(asked).map(|key| Reply::bulk(key.to_vec())).collect();
    match keys.is_empty() {
        false => Ok(Reply::Array(keys)),
        true if spec.keys.counted => Err(CommandError::GetKeys("Invalid arguments specified for command")),
        true => Err(CommandError::GetKeys("The command has no key arguments")),
    }
}
