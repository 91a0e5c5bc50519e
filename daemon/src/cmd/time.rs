//! `TIME`: the daemon's clock, as unix seconds and microseconds of the second. It goes on evenly from the start, whatever
//! happens to the system's clock.

use std::rc::Rc;

use larder_protocol::{Reply, Request};

use super::{Class, Client, Group, Host, Keys, Run, Spec};
use crate::error::CommandError;

const US_PER_S: i64 = 1_000_000;

pub(super) static SPEC: Spec = Spec {
    name: "time",
    usage: "",
    arity: 1,
    class: Class::Connection,
    group: Group::Server,
    keys: Keys::NONE,
    summary: "Tells the time",
    run: Run::Local(run),
};

#[expect(clippy::unnecessary_wraps, reason = "the signature of every local command")]
fn run(_: Request<'_>, _: &Rc<Client>, host: &Host) -> Result<Reply, CommandError> {
    let now_us = host.cache.clock().now_us();
    Ok(Reply::array([now_us / US_PER_S, now_us % US_PER_S].map(|part| part.to_string())))
}
