//! `RANDOMKEY`: one of the keys, nil where there is none.
//!
//! Each of up to a thousand keys is as likely as the others. Of more, the choice is among a thousand that follow a place
//! drawn at random between keys, so those after a large gap are more likely, as they are in Redis after a long chain.

use larder_protocol::{Reply, Request};

use super::{Class, Group, Host, Job, Keys, Run, Spec};
use crate::error::CommandError;

pub(super) static SPEC: Spec = Spec {
    name: "randomkey",
    usage: "",
    arity: 1,
    class: Class::Read,
    group: Group::Generic,
    keys: Keys::NONE,
    summary: "Gives one of the keys",
    run: Run::Job(run),
};

#[expect(clippy::unnecessary_wraps, reason = "the signature of every job")]
fn run<'a>(_: Request<'_>, host: &'a Host) -> Result<Job<'a>, CommandError> {
    Ok(Box::pin(async move { Ok(host.cache.random_key().await?.map_or(Reply::Nil, Reply::bulk)) }))
}
