//! The unit file as systemd judges it, without a running systemd.

use std::fs;
use std::process::{Command, Stdio};

use crate::util::{binary, repository, run, tool};

/// The most exposure `systemd-analyze security` may find, in tenths. Debian allows its redis-server 12.
const MOST_EXPOSURE: &str = "5";

/// `systemd-analyze` on the unit, with the binary under test in the place of the installed one.
#[track_caller]
fn analyze(arguments: &[&str]) {
    let Some(analyze) = tool("systemd-analyze") else { return };
    let dir = tempfile::tempdir().unwrap();
    let unit = fs::read_to_string(repository("systemd/larderd.service")).unwrap();
    assert!(unit.contains("ExecStart=/usr/bin/larderd "), "{unit}");
    let copy = dir.path().join("larderd.service");
    fs::write(&copy, unit.replace("/usr/bin/larderd", binary().to_str().unwrap())).unwrap();
    let outcome = run(Command::new(analyze).args(arguments).arg(&copy).stdin(Stdio::null()));
    assert!(outcome.status.success(), "{}\n{}", outcome.stdout, outcome.stderr);
    let about_it = outcome.stderr.lines().find(|line| line.contains("larderd.service"));
    assert_eq!(about_it, None, "a warning: {}", outcome.stderr);
}

#[test]
fn the_unit_verifies() {
    analyze(&["verify", "--man=no"]);
}

#[test]
fn the_unit_is_hardened() {
    analyze(&["security", "--offline=true", "--no-pager", "--threshold", MOST_EXPOSURE]);
}
