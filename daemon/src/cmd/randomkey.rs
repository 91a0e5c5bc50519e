//! `RANDOMKEY`: one of the keys, nil where there is none.
//!
//! Each is about as likely as the others. Expired ones never come. The database is not gone through, and larder keeps
//! nothing for this: see `cache/random_key.rs` for how even the chances are.

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
