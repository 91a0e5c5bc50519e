//! The Debian package: built by cargo-deb, installed, upgraded, removed and purged by dpkg on a machine of its own.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::machine::Machine;
use crate::util::{binary, missing, repository, succeeds, tool};

/// Builds the package from the binaries that are there.
fn build(to: &std::path::Path) -> Option<PathBuf> {
    let found =
        env::split_paths(&env::var_os("PATH").unwrap_or_default()).any(|dir| dir.join("cargo-deb").is_file());
    if !found {
        missing("cargo-deb", "cargo install cargo-deb");
        return None;
    }
    let larderd = binary();
    if !larderd.with_file_name("larder-top").is_file() {
        missing("larder-top beside larderd", "cargo build --workspace, with the profile of the tests");
        return None;
    }
    // `target/debug` is the profile `dev`.
    let directory = larderd.parent().unwrap();
    let profile = match directory.file_name().unwrap().to_str().unwrap() {
        "debug" => "dev",
        other => other,
    };
    let file = to.join("larder.deb");
    let mut deb = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    deb.args([
        "deb",
        "--package",
        "larderd",
        "--no-build",
        "--no-strip",
        "--fast",
        "--locked",
        "--profile",
        profile,
    ]);
    deb.arg("--output").arg(&file).current_dir(repository("")).stdin(Stdio::null());
    deb.env("CARGO_TARGET_DIR", directory.parent().unwrap());
    succeeds(&mut deb);
    Some(file)
}

#[test]
fn the_package_starts_the_socket_and_goes_without_a_trace() {
    let dir = tempfile::tempdir().unwrap();
    if tool("dpkg").is_none() {
        return;
    }
    let Some(package) = build(dir.path()) else { return };
    let Some(machine) = Machine::boot() else { return };
    fs::copy(package, machine.path("/tmp/larder.deb")).unwrap();
    machine.succeeds(&["dpkg", "--install", "/tmp/larder.deb"]);
    assert_eq!(machine.show("larderd.socket", "ActiveState"), "active");
    assert_eq!(machine.show("larderd.socket", "UnitFileState"), "enabled");
    assert_eq!(machine.show("larderd.service", "ActiveState"), "inactive");
    machine.client().check("SET k v", "+OK");
    assert_eq!(machine.show("larderd.service", "Type"), "notify");
    let mode = machine.succeeds(&["stat", "--format", "%a %U", "/var/lib/larder"]);
    assert_eq!(mode.trim(), "700 larder");
    assert_eq!(machine.succeeds(&["find", "/var/lib/larder", "-perm", "/077"]), "");
    let doctor = machine.succeeds(&["larderd", "doctor"]);
    assert!(doctor.ends_with("nothing is wrong\n"), "{doctor}");
    for file in [
        "/usr/share/man/man8/larderd.8.gz",
        "/usr/share/man/man1/larder-top.1.gz",
        "/usr/share/bash-completion/completions/larderd",
        "/usr/share/doc/larder/examples/another-group.conf",
        "/usr/bin/larder-top",
    ] {
        assert!(machine.path(file).exists(), "{file}");
    }

    // An upgrade is a restart; what the administrator has disabled stays disabled.
    let pid = machine.main_pid();
    machine.succeeds(&["systemctl", "disable", "--quiet", "larderd.socket"]);
    machine.succeeds(&["dpkg", "--install", "/tmp/larder.deb"]);
    machine.client().check("GET k", "=v");
    assert_ne!(machine.main_pid(), pid);
    assert_eq!(machine.show("larderd.socket", "UnitFileState"), "disabled");
    machine.succeeds(&["systemctl", "enable", "--quiet", "larderd.socket"]);

    machine.succeeds(&["dpkg", "--remove", "larder"]);
    assert!(!machine.path("/run/larder/larder.sock").exists());
    assert!(machine.path("/var/lib/larder/larder.db").exists(), "data stays until the package is purged");
    machine.succeeds(&["dpkg", "--install", "/tmp/larder.deb"]);
    machine.client().check("GET k", "=v");
    machine.succeeds(&["dpkg", "--purge", "larder"]);
    let words = ["find", "/etc", "/run", "/usr/bin", "/usr/lib/systemd", "/var/lib", "-iname", "*larder*"];
    let left = machine.succeeds(&words);
    let ours = |line: &&str| !line.starts_with("/var/lib/dpkg/") && !line.starts_with("/run/systemd/");
    assert_eq!(left.lines().filter(ours).collect::<Vec<_>>(), Vec::<&str>::new());
}
