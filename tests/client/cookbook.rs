//! The shell's part of protocol/COOKBOOK.md, run as it stands there. What needs packages of Python and Node is run by
//! `tests/clients/run.py`, which installs them.

use std::fs;

use crate::util::{Daemon, bash, repository, tool};

/// The socket that the page names.
const DEFAULT_SOCKET: &str = "/run/larder/larder.sock";

/// The block that opens with this, and the text below it.
fn recipe(opening: &str) -> (String, String) {
    let page = fs::read_to_string(repository("protocol/COOKBOOK.md")).unwrap();
    let (_, after) = page.split_once(&format!("```{opening}\n")).unwrap_or_else(|| panic!("no {opening}"));
    let (script, after) = after.split_once("```\n").unwrap();
    let printed = after.strip_prefix("\n```text\n").and_then(|text| text.split_once("```")).unwrap().0;
    (script.to_owned(), printed.to_owned())
}

#[track_caller]
fn runs(program: &str) {
    let (Some(_), Some(_)) = (tool("bash"), tool(program)) else { return };
    let (script, printed) = recipe(&format!("sh {program}"));
    assert!(script.contains(DEFAULT_SOCKET) && script.contains(program), "{script}");
    let daemon = Daemon::start(&[]);
    let socket = daemon.socket().to_str().unwrap();
    assert_eq!(bash(&daemon, &script.replace(DEFAULT_SOCKET, socket)), printed);
}

#[test]
fn nc_gets_or_computes() {
    runs("nc");
}

#[test]
fn socat_locks_and_limits() {
    runs("socat");
}
