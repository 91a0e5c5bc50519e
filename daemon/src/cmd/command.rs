//! `COMMAND [COUNT | LIST | INFO [name ...] | DOCS [name ...] | GETKEYS command [argument ...]]`: the registry, as Redis
//! clients read it.

use std::rc::Rc;

use larder_protocol::{Dialect, OwnedRequest, Reply, Request};

use super::help::subcommands;
use super::subcommands::misused;
use super::traits::{categories, flags, key_flags};
use super::{Class, Client, Group, Host, Keys, REGISTRY, Run, Spec, args, find, usage};
use crate::error::CommandError;
use crate::glob::Pattern;

pub(super) static SPEC: Spec = Spec {
    name: "command",
    usage: "[COUNT | LIST [FILTERBY <MODULE name | ACLCAT category | PATTERN pattern>] | INFO [name ...] | DOCS [name ...] | GETKEYS command [argument ...] | GETKEYSANDFLAGS command [argument ...]]",
    arity: -1,
    class: Class::Connection,
    group: Group::Server,
    keys: Keys::NONE,
    summary: "Describes the commands",
    run: Run::Local(run),
};

/// Names that INFO and DOCS describe in one request: many more than there are commands.
pub(super) const NAMES_MAX: usize = 1_024;

fn run(request: Request<'_>, _: &Rc<Client>, _: &Host) -> Result<Reply, CommandError> {
    let Some(subcommand) = request.get(0) else {
        return Ok(Reply::array(REGISTRY.iter().map(|spec| info(spec))));
    };
    match (&subcommand.to_ascii_lowercase()[..], request.len()) {
        (b"count", _) => Ok(Reply::int(REGISTRY.len())),
        (b"list", 2) => Ok(names(|_| true)),
        (b"list", 5) if request.arg(1).eq_ignore_ascii_case(b"filterby") => {
            list_filtered(request.arg(2), request.arg(3))
        }
        (b"list", _) => Err(CommandError::Syntax),
        (b"info", 2) => Ok(Reply::array(REGISTRY.iter().map(|spec| info(spec)))),
        (b"info" | b"docs", words) if words > 2 + NAMES_MAX => {
            Err(CommandError::TooManyNames { limit: NAMES_MAX })
        }
        (b"info", _) => Ok(Reply::array(
            request.tail(1).map(|name| find(name).map_or(Reply::Nil, |(_, spec)| info(spec))),
        )),
        (b"docs", 2) => Ok(Reply::map(REGISTRY.iter().map(|spec| docs(spec)))),
        (b"docs", _) => Ok(Reply::map(request.tail(1).filter_map(find).map(|(_, spec)| docs(spec)))),
        (b"help", _) => Ok(subcommands(&SPEC)),
        (b"getkeys", _) => get_keys(request).map(|(keys, _)| Reply::Array(keys)),
        (b"getkeysandflags", _) => {
            let (keys, spec) = get_keys(request)?;
            let all = key_flags(spec);
            let flags = all.iter().chain(std::iter::repeat(&all[all.len() - 1]));
            let with_flags =
                |(key, flags): (Reply, &Vec<_>)| Reply::Array(vec![key, statuses(flags.clone())]);
            Ok(Reply::array(keys.into_iter().zip(flags).map(with_flags)))
        }
        _ => Err(misused(&SPEC, request)),
    }
}

fn names(wanted: impl Fn(&Spec) -> bool) -> Reply {
    Reply::array(REGISTRY.iter().filter(|spec| wanted(spec)).map(|spec| Reply::bulk(spec.name)))
}

fn list_filtered(by: &[u8], value: &[u8]) -> Result<Reply, CommandError> {
    match &by.to_ascii_lowercase()[..] {
        // There are no modules.
        b"module" => Ok(names(|_| false)),
        b"aclcat" => {
            let wanted = value.to_ascii_lowercase();
            Ok(names(|spec| categories(spec).iter().any(|category| category.as_bytes() == wanted)))
        }
        b"pattern" => {
            let pattern = Pattern::glob(args::pattern(value)?);
            Ok(names(|spec| pattern.matches(spec.name.as_bytes())))
        }
        _ => Err(CommandError::Syntax),
    }
}

/// The ten fields of Redis 7's COMMAND INFO; tips and subcommands are empty here.
fn info(spec: &Spec) -> Reply {
    // As Redis does for keys that are counted by an argument: clients then ask GETKEYS.
    let Keys { first, last, step, .. } = if spec.keys.counted { Keys::NONE } else { spec.keys };
    let categories = categories(spec).into_iter().map(|category| Reply::status(format!("@{category}")));
    Reply::Array(vec![
        Reply::bulk(spec.name),
        Reply::Int(spec.arity.into()),
        statuses(flags(spec)),
        Reply::int(first),
        Reply::Int(last as i64),
        Reply::int(step),
        Reply::Set(categories.collect()),
        Reply::Set(Vec::new()),
        Reply::Set(key_specs(spec)),
        Reply::Set(Vec::new()),
    ])
}

fn statuses(names: Vec<&'static str>) -> Reply {
    Reply::Set(names.into_iter().map(Reply::Status).collect())
}

/// Where keys are and what is done with them: one specification, or one for each of two keys.
fn key_specs(spec: &Spec) -> Vec<Reply> {
    let Keys { first, last, step, counted, .. } = spec.keys;
    let all = key_flags(spec);
    let each = all.len() > 1;
    let specs = all.into_iter().zip(first..).map(|(flags, at)| {
        // A range ends so far from its beginning, or so far from the end.
        let last = if each {
            0
        } else if last < 0 {
            last
        } else {
            last - at as isize
        };
        let (begin, kind, find) = if counted {
            let find = [("keynumidx", 0), ("firstkey", 1), ("keystep", step)];
            (at - 1, "keynum", find.map(|(name, value)| (name, Reply::int(value))))
        } else {
            let find = [("lastkey", last), ("keystep", step as isize), ("limit", 0)];
            (at, "range", find.map(|(name, value)| (name, Reply::Int(value as i64))))
        };
        let begin = Reply::map([("index", Reply::int(begin))]);
        Reply::map([
            ("flags", statuses(flags)),
            ("begin_search", Reply::map([("type", Reply::bulk("index")), ("spec", begin)])),
            ("find_keys", Reply::map([("type", Reply::bulk(kind)), ("spec", Reply::map(find))])),
        ])
    });
    specs.collect()
}

fn docs(spec: &Spec) -> (&'static str, Reply) {
    let mut fields = vec![
        ("summary", Reply::bulk(spec.summary)),
        ("since", Reply::bulk("1.0.0")),
        ("group", Reply::bulk(spec.group.name())),
    ];
    if !spec.usage.is_empty() {
        fields.push(("arguments", usage::arguments(spec.usage)));
    }
    (spec.name, Reply::map(fields))
}

/// The keys of the command that is asked about; at least the command has some.
fn get_keys(request: Request<'_>) -> Result<(Vec<Reply>, &'static Spec), CommandError> {
    let asked = OwnedRequest::new(request.tail(1), Dialect::Resp);
    let asked = asked.as_request();
    let (_, spec) = find(asked.name()).ok_or(CommandError::Named("Invalid command specified"))?;
    if spec.keys == Keys::NONE {
        return Err(CommandError::Named("The command has no key arguments"));
    }
    if !spec.takes(asked.len()) {
        return Err(CommandError::Named("Invalid number of arguments specified for command"));
    }
    let keys: Vec<_> = spec.keys.of(asked).map(|key| Reply::bulk(key.to_vec())).collect();
    match keys.is_empty() {
        false => Ok((keys, spec)),
        true if spec.keys.counted => Err(CommandError::Named("Invalid arguments specified for command")),
        true => Err(CommandError::Named("The command has no key arguments")),
    }
}
