//! `DBSIZE`: the number of keys that can be read, exactly.

use larder_protocol::{Reply, Request};

use super::{Class, Group, Host, Job, Keys, Run, Spec};
use crate::error::CommandError;

pub(super) static SPEC: Spec = Spec {
    name: "dbsize",
    usage: "",
    arity: 1,
    class: Class::Read,
    group: Group::Server,
    keys: Keys::NONE,
    summary: "Counts the keys",
    run: Run::Job(run),
};

#[expect(clippy::unnecessary_wraps, reason = "the signature of every job")]
fn run<'a>(_: Request<'_>, host: &'a Host) -> Result<Job<'a>, CommandError> {
    Ok(Box::pin(async move { Ok(Reply::Int(host.cache.count_exactly().await?.active() as i64)) }))
}
