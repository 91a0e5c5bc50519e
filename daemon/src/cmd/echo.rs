//! `ECHO message`: the message.

use std::rc::Rc;

use larder_protocol::{Reply, Request};

use super::{Class, Client, Group, Host, Keys, Run, Spec};
use crate::error::CommandError;

pub(super) static SPEC: Spec = Spec {
    name: "echo",
    usage: "message",
    arity: 2,
    class: Class::Connection,
    group: Group::Connection,
    keys: Keys::NONE,
    summary: "Gives the message back",
    run: Run::Local(run),
};

#[expect(clippy::unnecessary_wraps, reason = "the signature of every local command")]
fn run(request: Request<'_>, _: &Rc<Client>, _: &Host) -> Result<Reply, CommandError> {
    Ok(Reply::bulk(request.arg(0).to_vec()))
}
