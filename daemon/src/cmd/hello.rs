//! `HELLO [2 | 3 [AUTH user password] [SETNAME name]]`: chooses the version of RESP and says who answers.

use std::rc::Rc;

use larder_protocol::{Reply, Request};

use super::host::{REDIS_VERSION, VERSION};
use super::{Class, Client, Group, Host, Keys, Protocol, Run, Spec, args, client};
use crate::error::{AccessError, CommandError};

pub(super) static SPEC: Spec = Spec {
    name: "hello",
    usage: "[protover [AUTH username password] [SETNAME clientname]]",
    arity: -1,
    class: Class::Connection,
    group: Group::Connection,
    keys: Keys::NONE,
    summary: "Chooses the protocol version and tells who answers",
    run: Run::Local(run),
};

fn run(request: Request<'_>, client: &Rc<Client>, host: &Host) -> Result<Reply, CommandError> {
    let protocol = match request.get(0).map(args::integer) {
        None => client.protocol.get(),
        Some(None) => return Err(CommandError::ProtocolVersionNotAnInteger),
        Some(Some(2)) => Protocol::Resp2,
        Some(Some(3)) => Protocol::Resp3,
        Some(Some(_)) => return Err(CommandError::NoProto),
    };
    let mut name = None;
    let mut authenticated = false;
    let mut words = request.tail(1);
    while let Some(option) = words.next() {
        if option.eq_ignore_ascii_case(b"auth")
            && let (Some(user), Some(password)) = (words.next(), words.next())
        {
            host.check_password(user, password)?;
            authenticated = true;
        } else if option.eq_ignore_ascii_case(b"setname")
            && let Some(given) = words.next()
        {
            name = Some(client::checked_name(given)?);
        } else {
            return Err(CommandError::HelloOption(crate::error::shown(option)));
        }
    }
    if authenticated {
        host.let_in(client);
    }
    if client.role.get().is_none() {
        return Err(AccessError::HelloNotAuthenticated.into());
    }
    if let Some(name) = name {
        client.name.replace(name);
    }
    client.protocol.set(protocol);
    let fields = [
        ("server", Reply::bulk("redis")),
        ("version", Reply::bulk(REDIS_VERSION)),
        ("proto", Reply::Int(protocol.version())),
        ("id", Reply::Int(client.id as i64)),
        ("mode", Reply::bulk("standalone")),
        ("role", Reply::bulk("master")),
        ("modules", Reply::Array(Vec::new())),
        ("larder_version", Reply::bulk(VERSION)),
    ];
    Ok(Reply::map(fields))
}
