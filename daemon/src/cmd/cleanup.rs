//! `CLEANUP`: removes everything that has expired, now; answers how many entries that were. They could not be read any
//! more before it either: this gives back their room.

use larder_protocol::{Reply, Request};

use super::{Class, Group, Host, Job, Keys, Run, Spec};
use crate::error::CommandError;

pub(super) static SPEC: Spec = Spec {
    name: "cleanup",
    usage: "",
    arity: 1,
    class: Class::Delete,
    group: Group::Server,
    keys: Keys::NONE,
    summary: "Removes all expired entries now",
    run: Run::Job(run),
};

#[expect(clippy::unnecessary_wraps, reason = "the signature of every job")]
fn run<'a>(_: Request<'_>, host: &'a Host) -> Result<Job<'a>, CommandError> {
    Ok(Box::pin(async move { Ok(Reply::Int(host.cache.clean_up().await? as i64)) }))
}
