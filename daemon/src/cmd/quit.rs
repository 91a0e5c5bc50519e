//! `QUIT`: answers, then closes the connection.

use std::rc::Rc;

use larder_protocol::{Reply, Request};

use super::{Class, Client, Group, Host, Keys, Run, Spec};
use crate::error::CommandError;

pub(super) static SPEC: Spec = Spec {
    name: "quit",
    usage: "",
    arity: -1,
    class: Class::Connection,
    group: Group::Connection,
    keys: Keys::NONE,
    summary: "Closes the connection",
    run: Run::Local(run),
};

#[expect(clippy::unnecessary_wraps, reason = "the signature of every local command")]
fn run(_: Request<'_>, client: &Rc<Client>, _: &Host) -> Result<Reply, CommandError> {
    client.quit.set(true);
    Ok(Reply::OK)
}
