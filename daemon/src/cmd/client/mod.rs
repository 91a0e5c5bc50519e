//! `CLIENT ...`: what a connection says and asks about itself, and about the others.

mod kill;
mod list;

use std::rc::Rc;
use std::time::Duration;

use larder_protocol::limits::NAME_BYTES;
use larder_protocol::{Reply, Request};

use super::help::subcommands;
use super::subcommands::misused;
use super::{Class, Client, Group, Host, Keys, Run, Spec, args};
use crate::clients::{Paused, Replies};
use crate::error::{CommandError, shown};

pub(super) static SPEC: Spec = Spec {
    name: "client",
    usage: "ID | INFO | LIST [TYPE type | ID id [id ...]] | KILL <address | filter value [filter value ...]> | GETNAME | SETNAME name | SETINFO <LIB-NAME name | LIB-VER version> | REPLY <ON | OFF | SKIP> | PAUSE timeout [WRITE | ALL] | UNPAUSE | UNBLOCK id [TIMEOUT | ERROR] | NO-EVICT <ON | OFF> | NO-TOUCH <ON | OFF> | TRACKING OFF | TRACKINGINFO | GETREDIR",
    arity: -2,
    class: Class::Connection,
    group: Group::Connection,
    keys: Keys::NONE,
    summary: "Says or asks something about this connection, or others",
    run: Run::Local(run),
};

/// Where a client connects from, and to. Over the socket that is the socket both times, as Redis has it.
pub(super) fn addresses(client: &Client, host: &Host) -> [String; 2] {
    match client.peer.tcp {
        Some(addresses) => addresses.map(|address| address.to_string()),
        None => [(); 2].map(|()| format!("{}:0", host.settings().socket.display())),
    }
}

fn run(request: Request<'_>, client: &Rc<Client>, host: &Host) -> Result<Reply, CommandError> {
    match &request.arg(0).to_ascii_lowercase()[..] {
        b"id" => Ok(Reply::Int(client.id as i64)),
        b"info" => Ok(Reply::text(list::line(client, host))),
        b"list" => Ok(Reply::text(list::lines(&list::Wanted::parse(request)?, host))),
        b"kill" => kill::run(request, client, host),
        b"getname" if client.name.borrow().is_empty() => Ok(Reply::Nil),
        b"getname" => Ok(Reply::bulk(client.name.borrow().clone())),
        b"setname" => {
            client.name.replace(checked_name(request.arg(1))?);
            Ok(Reply::OK)
        }
        b"setinfo" => set_info(request.arg(1), request.arg(2), client),
        b"reply" => set_replies(request.arg(1), client),
        b"pause" | b"unblock" if request.len() > 4 => Err(misused(&SPEC, request)),
        b"pause" => pause(request, host),
        b"unpause" => {
            host.unpause();
            Ok(Reply::OK)
        }
        // Nobody ever waits for a key.
        b"unblock" => match args::integer(request.arg(1)) {
            Some(_) => Ok(Reply::Int(0)),
            None => Err(CommandError::NotAnInteger),
        },
        b"no-evict" => {
            client.no_evict.set(on_or_off(request.arg(1))?);
            Ok(Reply::OK)
        }
        // Reads never reorder anything by client, so either answer already holds.
        b"no-touch" => on_or_off(request.arg(1)).map(|_| Reply::OK),
        b"tracking" if request.len() == 3 && !on_or_off(request.arg(1))? => Ok(Reply::OK),
        b"tracking" => Err(CommandError::NoTracking),
        b"trackinginfo" => Ok(Reply::map([
            ("flags", Reply::Set(vec![Reply::bulk("off")])),
            ("redirect", Reply::Int(-1)),
            ("prefixes", Reply::Array(Vec::new())),
        ])),
        b"caching" => Err(CommandError::Named(
            "CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled",
        )),
        b"getredir" => Ok(Reply::Int(-1)),
        b"help" => Ok(subcommands(&SPEC)),
        _ => Err(misused(&SPEC, request)),
    }
}

fn set_replies(word: &[u8], client: &Client) -> Result<Reply, CommandError> {
    match &word.to_ascii_lowercase()[..] {
        b"on" => {
            client.replies.set(Replies::On);
            return Ok(Reply::OK);
        }
        b"off" => client.replies.set(Replies::Off),
        // Where answers are off they stay so.
        b"skip" if client.replies.get() == Replies::Off => {}
        b"skip" => client.replies.set(Replies::SkipNext),
        _ => return Err(CommandError::Syntax),
    }
    Ok(Reply::None)
}

/// Holds back everybody's commands, or their writes, for a while.
fn pause(request: Request<'_>, host: &Host) -> Result<Reply, CommandError> {
    let ms = args::integer(request.arg(1))
        .ok_or(CommandError::Named("timeout is not an integer or out of range"))?;
    let ms = u64::try_from(ms).map_err(|_| CommandError::Named("timeout is negative"))?;
    let paused = match request.get(2).map(<[u8]>::to_ascii_lowercase).as_deref() {
        None | Some(b"all") => Paused::All,
        Some(b"write") => Paused::Writes,
        Some(_) => return Err(CommandError::Named("CLIENT PAUSE mode must be WRITE or ALL")),
    };
    host.pause(paused, Duration::from_millis(ms));
    Ok(Reply::OK)
}

/// A client's name: printable and without blanks, as Redis wants it.
pub(super) fn checked_name(name: &[u8]) -> Result<String, CommandError> {
    check_length("client name", name)?;
    let printable = name.iter().all(|byte| (b'!'..=b'~').contains(byte));
    if printable { Ok(shown_whole(name)) } else { Err(CommandError::BadClientName) }
}

fn check_length(what: &'static str, given: &[u8]) -> Result<(), CommandError> {
    if given.len() > NAME_BYTES {
        return Err(CommandError::NameTooLong { what, bytes: given.len(), limit: NAME_BYTES });
    }
    Ok(())
}

fn shown_whole(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn set_info(attribute: &[u8], value: &[u8], client: &Client) -> Result<Reply, CommandError> {
    let field = if attribute.eq_ignore_ascii_case(b"lib-name") {
        &client.library
    } else if attribute.eq_ignore_ascii_case(b"lib-ver") {
        &client.library_version
    } else {
        return Err(CommandError::UnrecognizedOption(shown(attribute)));
    };
    check_length("client information", value)?;
    if !value.iter().all(|byte| (b'!'..=b'~').contains(byte)) {
        return Err(CommandError::BadClientInfo(shown(attribute)));
    }
    field.replace(shown_whole(value));
    Ok(Reply::OK)
}

fn on_or_off(word: &[u8]) -> Result<bool, CommandError> {
    match &word.to_ascii_lowercase()[..] {
        b"on" => Ok(true),
        b"off" => Ok(false),
        _ => Err(CommandError::Syntax),
    }
}
