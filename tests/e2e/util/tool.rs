//! Programs that are not part of Rust: found, or named together with the package that has them.

use std::env;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{Daemon, Outcome, run};

/// Which Debian package has a program.
const PACKAGES: &[(&str, &str)] = &[
    ("apt-cache", "apt"),
    ("bash", "bash"),
    ("dpkg", "dpkg"),
    ("git", "git"),
    ("man", "man-db"),
    ("nc", "netcat-openbsd"),
    ("nsenter", "util-linux"),
    ("python3", "python3"),
    ("redis-benchmark", "redis-tools"),
    ("redis-cli", "redis-tools"),
    ("redis-server", "redis-server"),
    ("socat", "socat"),
    ("sqlite3", "sqlite3"),
    ("systemctl", "systemd"),
    ("systemd-analyze", "systemd"),
    ("systemd-socket-activate", "systemd"),
    ("unshare", "util-linux"),
    ("zsh", "zsh"),
];

/// The path of a program; `None`, with a note, where the test has to be skipped.
#[track_caller]
pub(crate) fn tool(name: &str) -> Option<PathBuf> {
    let (_, package) = PACKAGES.iter().find(|(known, _)| *known == name).expect("the tool is in PACKAGES");
    let found = env::split_paths(&env::var_os("PATH").unwrap_or_default())
        .map(|dir| dir.join(name))
        .find(|path| path.is_file() && is_usable(name, path));
    if found.is_none() {
        missing(name, &format!("apt-get install {package}"));
    }
    found
}

/// Says that the running test is skipped for want of `what`; a failure where the environment asks for everything.
#[track_caller]
pub(crate) fn missing(what: &str, remedy: &str) {
    assert!(
        env::var_os("LARDER_REQUIRE_TOOLS").is_none_or(|value| value != "1"),
        "LARDER_REQUIRE_TOOLS=1 and this machine has no {what} ({remedy})"
    );
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    // Past the test runner's capture: a skipped test passes, and what a passing test prints is not shown.
    let _ = writeln!(io::stderr(), "{test}: skipped: needs {what} ({remedy})");
}

/// Compiles `source`, a path in the repository, to `to`; `false`, with a note, where there is no C compiler.
#[track_caller]
pub(crate) fn compile(source: &str, options: &[&str], to: &Path) -> bool {
    let mut compiler = Command::new("cc");
    compiler
        .args(["-O1", "-Wall", "-Wextra", "-Werror", "-o"])
        .arg(to)
        .arg(super::repository(source))
        .args(options);
    let Ok(output) = compiler.output() else {
        missing("cc", "apt-get install gcc libc6-dev");
        return false;
    };
    assert!(output.status.success(), "{source}: {}", String::from_utf8_lossy(&output.stderr));
    true
}

/// What makes a library of it that can be preloaded.
pub(crate) const PRELOADED: &[&str] = &["-shared", "-fPIC", "-ldl"];

/// There are several programs called nc; only OpenBSD's has both -U and -N.
fn is_usable(name: &str, path: &Path) -> bool {
    if name != "nc" {
        return true;
    }
    let help = Command::new(path).arg("-h").stdin(Stdio::null()).output();
    help.is_ok_and(|help| String::from_utf8_lossy(&help.stderr).contains("OpenBSD"))
}

/// Whether Python has a redis-py that can be told which protocol to speak, so 5 or newer; notes it where it has not.
#[track_caller]
pub(crate) fn python_knows_redis() -> bool {
    let look = "import redis; assert int(redis.__version__.split('.')[0]) >= 5";
    let probe = run(Command::new("python3").args(["-c", look]).stdin(Stdio::null()));
    if !probe.status.success() {
        missing("redis-py 5 or newer", "pip install redis in an environment; Debian 12 has an older one");
    }
    probe.status.success()
}

/// Runs a program that should succeed and returns what it printed on standard output.
#[track_caller]
pub(crate) fn succeeds(command: &mut Command) -> String {
    let Outcome { status, stdout, stderr } = run(command);
    assert!(status.success(), "{command:?} ended with {status}\nstdout:\n{stdout}\nstderr:\n{stderr}");
    stdout
}

/// Runs a bash script that should succeed, with `$SOCK` set to the daemon's socket.
#[track_caller]
pub(crate) fn bash(daemon: &Daemon, script: &str) -> String {
    succeeds(
        Command::new("bash").args(["-e", "-c", script]).env("SOCK", daemon.socket()).stdin(Stdio::null()),
    )
}
