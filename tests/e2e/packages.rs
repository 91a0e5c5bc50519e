//! Real data, on a sample: `tests/packages.py`, which by itself takes every record there is.

use std::process::{Command, Stdio};

use crate::util::{binary, missing, repository, succeeds, tool};

#[test]
fn package_records_come_back_identical() {
    let (Some(python), Some(_)) = (tool("python3"), tool("nc")) else { return };
    let mut command = Command::new(python);
    command.arg(repository("tests/packages.py")).arg("--larderd").arg(binary()).args(["--limit", "2000"]);
    if !has_records() {
        missing("package records", "apt-get update; the test makes records up instead");
        command.arg("--generated");
    }
    let output = succeeds(command.stdin(Stdio::null()));
    assert!(output.contains("every record is as it should be"), "{output}");
}

/// Whether this machine has a Debian package list that is worth loading.
fn has_records() -> bool {
    tool("apt-cache").is_some_and(|apt_cache| {
        let output = Command::new(apt_cache).arg("dumpavail").stdin(Stdio::null()).output();
        output.is_ok_and(|output| output.status.success() && output.stdout.len() > 10_000)
    })
}
