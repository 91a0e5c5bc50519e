//! `CLIENT ID | INFO | GETNAME | SETNAME name | SETINFO attribute value | NO-EVICT on|off | NO-TOUCH on|off`: what a
//! connection says and asks about itself.

use std::rc::Rc;

use larder_protocol::limits::NAME_BYTES;
use larder_protocol::{Reply, Request};

use super::help::subcommands;
use super::{Class, Client, Group, Host, Keys, Run, Spec};
use crate::error::{CommandError, shown};

pub(super) static SPEC: Spec = Spec {
    name: "client",
    usage: "ID | INFO | GETNAME | SETNAME name | SETINFO <LIB-NAME name | LIB-VER version> | NO-EVICT <ON | OFF> | NO-TOUCH <ON | OFF>",
    arity: -2,
    class: Class::Connection,
    group: Group::Connection,
    keys: Keys::NONE,
    summary: "Says or asks something about this connection",
    run: Run::Local(run),
};

fn run(request: Request<'_>, client: &Rc<Client>, host: &Host) -> Result<Reply, CommandError> {
    let subcommand = request.arg(0).to_ascii_lowercase();
    match (&subcommand[..], request.len()) {
        (b"id", 2) => Ok(Reply::Int(client.id as i64)),
        (b"info", 2) => Ok(Reply::text(info(client, host.cache.now_ms()))),
        (b"getname", 2) if client.name.borrow().is_empty() => Ok(Reply::Nil),
        (b"getname", 2) => Ok(Reply::bulk(client.name.borrow().clone())),
        (b"setname", 3) => {
            client.name.replace(checked_name(request.arg(1))?);
            Ok(Reply::OK)
        }
        (b"setinfo", 4) => set_info(request.arg(1), request.arg(2), client),
        (b"no-evict" | b"no-touch", 3) => on_or_off(request.arg(1)),
        (b"help", 2) => Ok(subcommands(&SPEC)),
        (b"id", _) => Err(CommandError::Arity("client|id")),
        (b"info", _) => Err(CommandError::Arity("client|info")),
        (b"getname", _) => Err(CommandError::Arity("client|getname")),
        (b"setname", _) => Err(CommandError::Arity("client|setname")),
        (b"setinfo", _) => Err(CommandError::Arity("client|setinfo")),
        (b"no-evict", _) => Err(CommandError::Arity("client|no-evict")),
        (b"no-touch", _) => Err(CommandError::Arity("client|no-touch")),
        _ => Err(CommandError::UnknownSubcommand { command: "CLIENT", subcommand: shown(request.arg(0)) }),
    }
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

fn on_or_off(word: &[u8]) -> Result<Reply, CommandError> {
    // Connections are never evicted and reads never reorder anything by client, so either answer already holds.
    let known = word.eq_ignore_ascii_case(b"on") || word.eq_ignore_ascii_case(b"off");
    if known { Ok(Reply::OK) } else { Err(CommandError::Syntax) }
}

fn info(client: &Client, now_ms: i64) -> String {
    format!(
        "id={} name={} age={} db=0 resp={} lib-name={} lib-ver={}\n",
        client.id,
        client.name.borrow(),
        (now_ms - client.connected_ms) / 1_000,
        client.protocol.get().version(),
        client.library.borrow(),
        client.library_version.borrow(),
    )
}
