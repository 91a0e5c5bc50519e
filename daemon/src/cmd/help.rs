//! `HELP [command]`: what commands there are, or how one of them is used; one line each.

use std::rc::Rc;

use larder_protocol::{Reply, Request};

use super::{Class, Client, Group, Host, Keys, REGISTRY, Run, Spec, find};
use crate::error::{CommandError, shown};

pub(super) static SPEC: Spec = Spec {
    name: "help",
    usage: "[command]",
    arity: -1,
    class: Class::Connection,
    group: Group::Server,
    keys: Keys::NONE,
    summary: "Lists the commands, or explains one",
    run: Run::Local(run),
};

fn run(request: Request<'_>, _: &Rc<Client>, _: &Host) -> Result<Reply, CommandError> {
    if request.len() > 2 {
        return Err(CommandError::Arity(SPEC.name));
    }
    let Some(word) = request.get(0) else {
        return Ok(Reply::array(REGISTRY.iter().map(|spec| Reply::bulk(line(spec)))));
    };
    let (_, spec) = find(word).ok_or_else(|| CommandError::NoHelp(shown(word)))?;
    Ok(Reply::bulk(line(spec)))
}

/// What HELP of a command with subcommands answers: a line for each, between those that Redis begins and ends with.
pub(super) fn subcommands(spec: &Spec) -> Reply {
    let name = spec.name.to_ascii_uppercase();
    // Where all subcommands are in brackets, the command needs none.
    let inner = spec.usage.strip_prefix('[').and_then(|usage| usage.strip_suffix(']'));
    let usage = inner.unwrap_or(spec.usage);
    let mut depth = 0;
    let subcommands = usage.split(|c| {
        depth += i32::from(c == '<' || c == '[') - i32::from(c == '>' || c == ']');
        c == '|' && depth == 0
    });
    let first = format!("{name} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:");
    let lines = std::iter::once(first).chain(subcommands.map(|subcommand| subcommand.trim().to_owned()));
    Reply::array(lines.chain(["HELP".to_owned(), "    Prints this help.".to_owned()]).map(Reply::status))
}

fn line(spec: &Spec) -> String {
    let mut line = spec.name.to_ascii_uppercase();
    if !spec.usage.is_empty() {
        line.push(' ');
        line.push_str(spec.usage);
    }
    line + " -- " + spec.summary
}
