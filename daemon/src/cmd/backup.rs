//! `BACKUP path`: writes a copy of the database to a new file, while everything else goes on; answers its size in bytes.
//!
//! The copy holds all that was answered before, and is a whole `larder.db`: put into an empty data directory it is what a
//! daemon starts with. The daemon writes it, as its own user. `larderd backup` asks for it where a daemon runs.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use larder_protocol::{Reply, Request};

use super::{Class, Group, Host, Job, Keys, Run, Spec};
use crate::error::{CommandError, shown};

pub(super) static SPEC: Spec = Spec {
    name: "backup",
    usage: "path",
    arity: 2,
    class: Class::Admin,
    group: Group::Server,
    keys: Keys::NONE,
    summary: "Writes a copy of the database to a new file",
    run: Run::Job(run),
};

fn parse(request: Request<'_>) -> Result<PathBuf, CommandError> {
    let word = request.arg(0);
    let path = Path::new(OsStr::from_bytes(word));
    let names_a_file = !word.contains(&0) && !word.ends_with(b"/") && path.file_name().is_some();
    if !path.is_absolute() || !names_a_file {
        return Err(CommandError::NotAbsolute(shown(word)));
    }
    Ok(path.to_owned())
}

fn run<'a>(request: Request<'_>, host: &'a Host) -> Result<Job<'a>, CommandError> {
    let target = parse(request)?;
    Ok(Box::pin(async move { Ok(Reply::Int(host.cache.back_up(target).await? as i64)) }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use larder_protocol::{Dialect, OwnedRequest};

    #[test]
    fn only_an_absolute_path_of_a_file_is_taken() {
        let parsed = |path: &str| parse(OwnedRequest::new(["BACKUP", path], Dialect::Resp).as_request());
        assert_eq!(parsed("/var/backups/larder.db"), Ok(PathBuf::from("/var/backups/larder.db")));
        for path in ["", "larder.db", "./x", "/", "/tmp/", "/tmp/..", "/tmp/a\0b"] {
            assert_eq!(parsed(path), Err(CommandError::NotAbsolute(path.to_owned())), "{path:?}");
        }
    }
}
