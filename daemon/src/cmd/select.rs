//! `SELECT 0`, `AUTH`, `RESET`: what clients say about databases, passwords and starting over. There is one database and
//! one user. A password is asked of TCP clients alone, and only where one is set: who is at the other end of the socket is
//! known without.

use larder_protocol::Reply;

use super::args::required_integer;
use super::{Class, Family, Group, Keys, Protocol, Spec, transaction};
use crate::clients::Replies;
use crate::error::{AccessError, CommandError};

const FAMILY: Family = Family { class: Class::Connection, group: Group::Connection, keys: Keys::NONE };

pub(super) static SELECT: Spec =
    FAMILY.local("select", "index", 2, "Chooses the database, which is 0", |request, _, _| {
        match required_integer(request.arg(0))? {
            0 => Ok(Reply::OK),
            index if i32::try_from(index).is_err() => Err(CommandError::NotWithin32Bits),
            _ => Err(CommandError::NoSuchDatabase),
        }
    });

pub(super) static AUTH: Spec = FAMILY.local(
    "auth",
    "[username] password",
    -2,
    "Gives the password, where one is asked for",
    |request, client, host| {
        match request.len() {
            2 if !host.asks_for_password() => return Err(AccessError::NoPasswordSet.into()),
            2 => host.check_password(b"default", request.arg(0))?,
            3 => host.check_password(request.arg(0), request.arg(1))?,
            _ => return Err(CommandError::Syntax),
        }
        host.let_in(client);
        Ok(Reply::OK)
    },
);

pub(super) static RESET: Spec =
    FAMILY.local("reset", "", 1, "Takes the connection back to how it began", |_, client, host| {
        transaction::leave(client, host);
        host.channels.leave(client);
        client.lines.set(false);
        client.replies.set(Replies::On);
        client.name.borrow_mut().clear();
        client.protocol.set(Protocol::Resp2);
        if client.peer.tcp.is_some() && host.asks_for_password() {
            client.role.set(None);
        }
        Ok(Reply::Status("RESET"))
    });
