//! `SELECT 0`, `AUTH`, `RESET`: what clients say about databases, passwords and starting over. There is one database, and
//! no password: who may connect is decided by the socket's permissions.

use std::rc::Rc;

use larder_protocol::{Reply, Request};

use super::args::required_integer;
use super::{Class, Client, Group, Host, Keys, Protocol, Run, Spec, transaction};
use crate::clients::Replies;
use crate::error::CommandError;

pub(super) static SELECT: Spec =
    spec("select", "index", 2, "Chooses the database, which is 0", |request, _, _| {
        match required_integer(request.arg(0))? {
            0 => Ok(Reply::OK),
            index if i32::try_from(index).is_err() => Err(CommandError::NotWithin32Bits),
            _ => Err(CommandError::NoSuchDatabase),
        }
    });

pub(super) static AUTH: Spec =
    spec("auth", "[username] password", -2, "Gives a password; none is set", |request, _, _| {
        match request.len() {
            2 => Err(CommandError::NoPasswordSet),
            3 => check(request.arg(0)).map(|()| Reply::OK),
            _ => Err(CommandError::Syntax),
        }
    });

pub(super) static RESET: Spec =
    spec("reset", "", 1, "Takes the connection back to how it began", |_, client, host| {
        transaction::leave(client, host);
        host.channels.leave(client);
        client.lines.set(false);
        client.replies.set(Replies::On);
        client.name.borrow_mut().clear();
        client.protocol.set(Protocol::Resp2);
        Ok(Reply::Status("RESET"))
    });

const fn spec(
    name: &'static str,
    usage: &'static str,
    arity: i32,
    summary: &'static str,
    run: fn(Request<'_>, &Rc<Client>, &Host) -> Result<Reply, CommandError>,
) -> Spec {
    Spec {
        name,
        usage,
        arity,
        class: Class::Connection,
        group: Group::Connection,
        keys: Keys::NONE,
        summary,
        run: Run::Local(run),
    }
}

/// Redis's default user takes any password while none is set; other users do not exist.
pub(super) fn check(user: &[u8]) -> Result<(), CommandError> {
    if user == b"default" { Ok(()) } else { Err(CommandError::WrongPassword) }
}
