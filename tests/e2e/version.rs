//! What `larderd --version` says, and how the build finds the commit.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::util::{larderd, succeeds, tool};

#[path = "../../daemon/build/commit.rs"]
mod commit;

#[test]
fn the_version_names_the_commit_and_sqlite() {
    let said = succeeds(&mut larderd(&["--version"]));
    let (program, rest) = said.trim_end().split_once(' ').unwrap();
    let (version, details) = rest.split_once(" (").unwrap();
    assert_eq!((program, version), ("larderd", env!("CARGO_PKG_VERSION")));
    let (commit, sqlite) = details.split_once("SQLite ").unwrap();
    assert!(sqlite.strip_suffix(')').unwrap().split('.').all(|part| part.parse::<u32>().is_ok()), "{said}");
    // Release builds know their commit where they are built in a repository.
    if let Some(commit) = commit.strip_prefix("commit ") {
        assert!(commit.len() > ", ".len() && commit.ends_with(", "), "{said}");
    } else {
        assert_eq!(commit, "");
    }
}

#[test]
fn the_commit_is_that_of_this_repository_or_none() {
    let Some(git) = tool("git") else { return };
    let here = tempfile::tempdir().unwrap();
    let repository = here.path().join("larder");
    fs::create_dir(&repository).unwrap();
    assert!(commit::Commit::of(&repository).is_none(), "a tarball");
    let run = |words: &[&str]| {
        let mut command = Command::new(&git);
        command.current_dir(&repository).args(["-c", "user.name=n", "-c", "user.email=e@x"]).args(words);
        succeeds(command.stdin(Stdio::null()).env("GIT_CONFIG_GLOBAL", "/dev/null"))
    };
    run(&["init", "--quiet"]);
    assert!(commit::Commit::of(&repository).is_none(), "nothing is committed yet");
    run(&["commit", "--quiet", "--allow-empty", "--message", "first"]);
    let first = commit::Commit::of(&repository).unwrap();
    assert!(run(&["rev-parse", "HEAD"]).starts_with(&first.name) && first.name.len() == 12, "{first:?}");
    assert!(first.changes_with.iter().any(|file| file.ends_with("logs/HEAD")), "{first:?}");
    let inner = repository.join("unpacked");
    fs::create_dir(&inner).unwrap();
    assert!(commit::Commit::of(&inner).is_none(), "a tarball unpacked within another repository");
    assert!(commit::Commit::of(Path::new("/nowhere")).is_none());
}
