//! `PING [message]`: `PONG`, or the message.

use std::rc::Rc;

use larder_protocol::{Reply, Request};

use super::{Class, Client, Group, Host, Keys, Run, Spec};
use crate::error::CommandError;

pub(super) static SPEC: Spec = Spec {
    name: "ping",
    usage: "[message]",
    arity: -1,
    class: Class::Connection,
    group: Group::Connection,
    keys: Keys::NONE,
    summary: "Answers, to show that the daemon does",
    run: Run::Local(run),
};

fn run(request: Request<'_>, client: &Rc<Client>, _: &Host) -> Result<Reply, CommandError> {
    match (request.get(0), request.len()) {
        // A subscriber gets nothing but messages.
        (message, 1 | 2) if client.only_listens() => {
            let message = message.unwrap_or_default().to_vec();
            Ok(Reply::Array(vec![Reply::bulk("pong"), Reply::bulk(message)]))
        }
        (None, _) => Ok(Reply::Status("PONG")),
        (Some(message), 2) => Ok(Reply::bulk(message.to_vec())),
        _ => Err(CommandError::Arity(SPEC.name)),
    }
}
