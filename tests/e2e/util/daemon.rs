//! The daemon under test: started in a directory of its own, stopped with its test, and quoted where one fails.

use std::env;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::{Client, Reply, Stats, wait_until};

/// A running `larderd`.
pub(crate) struct Daemon {
    dir: TempDir,
    socket: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(String, PathBuf)>,
    binary: PathBuf,
    child: Option<Child>,
    starts: u32,
}

impl Daemon {
    /// Starts a daemon with `--socket`, `--data` and `arguments`, and waits until it answers.
    #[track_caller]
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (socket, data) = (dir.path().join("larder.sock"), dir.path().join("data"));
        let mut all = vec!["--socket".into(), path_text(&socket), "--data".into(), path_text(&data)];
        all.extend(arguments.iter().map(ToString::to_string));
        Self::start_with(dir, socket, all, Vec::new())
    }

    /// As [`start`](Self::start), another binary and with variables of its own.
    #[track_caller]
    pub(crate) fn start_other(
        binary: PathBuf,
        environment: Vec<(String, PathBuf)>,
        arguments: &[&str],
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        Self::start_on(dir, &data, binary, environment, arguments)
    }

    /// As [`start_other`](Self::start_other), with a socket that every user can reach.
    #[track_caller]
    pub(crate) fn start_for_all(
        binary: PathBuf,
        environment: Vec<(String, PathBuf)>,
        arguments: &[&str],
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o711)).unwrap();
        let data = dir.path().join("data");
        let mut all = vec!["--socket-mode", "0666"];
        all.extend(arguments);
        Self::start_on(dir, &data, binary, environment, &all)
    }

    /// As [`start_other`](Self::start_other), with its data in `data`.
    #[track_caller]
    pub(crate) fn start_on(
        dir: TempDir,
        data: &Path,
        binary: PathBuf,
        environment: Vec<(String, PathBuf)>,
        arguments: &[&str],
    ) -> Self {
        let mut daemon = Self::prepare_on(dir, data, binary, environment, arguments);
        daemon.restart();
        daemon
    }

    /// As [`start_on`](Self::start_on), not started yet.
    pub(crate) fn prepare_on(
        dir: TempDir,
        data: &Path,
        binary: PathBuf,
        environment: Vec<(String, PathBuf)>,
        arguments: &[&str],
    ) -> Self {
        let socket = dir.path().join("larder.sock");
        let mut all = vec!["--socket".into(), path_text(&socket), "--data".into(), path_text(data)];
        all.extend(arguments.iter().map(ToString::to_string));
        Self { dir, socket, arguments: all, environment, binary, child: None, starts: 0 }
    }

    /// Starts a daemon that finds its places by itself, and waits until it answers on `socket`.
    #[track_caller]
    pub(crate) fn start_with(
        dir: TempDir,
        socket: PathBuf,
        arguments: Vec<String>,
        environment: Vec<(String, PathBuf)>,
    ) -> Self {
        let mut daemon =
            Self { dir, socket, arguments, environment, binary: binary(), child: None, starts: 0 };
        daemon.restart();
        daemon
    }

    /// Starts again what was stopped, on the same data.
    #[track_caller]
    pub(crate) fn restart(&mut self) {
        self.launch();
        self.wait_until_ready();
    }

    /// Starts it and does not wait until it serves.
    #[track_caller]
    pub(crate) fn launch(&mut self) {
        assert!(self.child.is_none(), "stop it first");
        self.starts += 1;
        let log = File::create(self.log()).unwrap();
        let mut command = program(&self.binary, &self.arguments);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        self.child = Some(command.spawn().expect("larderd is built"));
    }

    /// Waits until what was launched answers.
    #[track_caller]
    pub(crate) fn wait_until_ready(&mut self) {
        wait_until("the daemon to answer PING", || {
            if let Some(status) = self.child.as_mut().unwrap().try_wait().unwrap() {
                self.child = None;
                panic!(
                    "larderd {:?} ended with {status} instead of serving:\n{}",
                    self.arguments,
                    self.output()
                );
            }
            let mut client = Client::connect(&self.socket).map_err(|error| error.to_string())?;
            client.send(b"PING\n").and_then(|()| client.read()).map_err(|error| error.to_string()).and_then(
                |reply| {
                    if reply == Reply::Simple(b"PONG".to_vec()) { Ok(()) } else { Err(reply.to_string()) }
                },
            )
        });
    }

    /// SIGKILL: no warning, no last words.
    pub(crate) fn kill9(&mut self) {
        let mut child = self.child.take().expect("running");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// SIGTERM, as service managers send it; returns how the daemon ended.
    #[track_caller]
    pub(crate) fn terminate(&mut self) -> ExitStatus {
        self.stop_by(Signal::TERM)
    }

    /// Any signal that should end the daemon; returns how it ended.
    #[track_caller]
    pub(crate) fn stop_by(&mut self, signal: Signal) -> ExitStatus {
        self.signal(signal);
        self.wait()
    }

    /// Waits for it to end by itself; returns how it ended.
    #[track_caller]
    pub(crate) fn wait(&mut self) -> ExitStatus {
        wait_for_exit(&mut self.child.take().expect("running"))
    }

    /// How it ended by itself, where it has; then it can be restarted.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        let status = self.child.as_mut().map(|child| child.try_wait().unwrap())??;
        self.child = None;
        Some(status)
    }

    /// Whether it was started and has not been stopped, or found to have ended.
    pub(crate) fn is_running(&self) -> bool {
        self.child.is_some()
    }

    /// Gives it variables from the next start on.
    pub(crate) fn set_environment(&mut self, environment: Vec<(String, PathBuf)>) {
        self.environment = environment;
    }

    /// A signal that leaves it running.
    #[track_caller]
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(self.child.as_ref().expect("running")), signal).unwrap();
    }

    /// A new RESP connection.
    #[track_caller]
    pub(crate) fn client(&self) -> Client {
        Client::connect(&self.socket).expect("the daemon accepts")
    }

    /// A new connection that speaks lines.
    #[track_caller]
    pub(crate) fn lines(&self) -> Client {
        self.client().in_lines()
    }

    /// The statistics, over a connection of their own.
    #[track_caller]
    pub(crate) fn stats(&self) -> Stats {
        self.client().stats()
    }

    /// Fails unless a new client is served.
    #[track_caller]
    pub(crate) fn check_healthy(&self) {
        let mut client = self.client();
        client.check("SET health 1", "+OK");
        client.check("INCR health", ":2");
        client.check("GET health", "=2");
        client.check("DEL health", ":1");
    }

    /// Waits until the connection that asks is the only one.
    #[track_caller]
    pub(crate) fn wait_for_no_other_connection(&self) {
        let mut client = self.client();
        wait_until("all other connections to be gone", || client.stats().is("connections", 1));
    }

    /// Where it listens.
    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// The directory that holds everything of this daemon; the test may put files there too.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Where it keeps its files, if it was started with [`start`](Self::start).
    pub(crate) fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// Gives an option another value, from the next start on.
    #[track_caller]
    pub(crate) fn set(&mut self, option: &str, value: &str) {
        let at =
            self.arguments.iter().position(|argument| argument == option).expect("an option it was given");
        value.clone_into(&mut self.arguments[at + 1]);
    }

    /// The process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().expect("running").id()
    }

    /// What it has printed since its last start, on both streams.
    pub(crate) fn output(&self) -> String {
        fs::read_to_string(self.log()).unwrap_or_default()
    }

    fn log(&self) -> PathBuf {
        self.dir.path().join(format!("output.{}", self.starts))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself; then there is nothing left to do.
            let _ = child.kill();
            let _ = child.wait();
        }
        if thread::panicking() {
            eprintln!("--- output of larderd {:?}:\n{}---", self.arguments, self.output());
        }
    }
}

/// How a program that should end by itself did.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs a program to its end, without input unless the command brings some; one that hangs is killed, and a failure.
#[track_caller]
pub(crate) fn run(command: &mut Command) -> Outcome {
    let dir = tempfile::tempdir().unwrap();
    let (stdout, stderr) = (dir.path().join("stdout"), dir.path().join("stderr"));
    command.stdout(File::create(&stdout).unwrap()).stderr(File::create(&stderr).unwrap());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let status = wait_for_exit(&mut child);
    let text = |path| String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
    Outcome { status, stdout: text(stdout), stderr: text(stderr) }
}

/// `larderd` with arguments, free of any LARDER_ setting of whoever runs the tests.
pub(crate) fn larderd<A: AsRef<OsStr>>(arguments: &[A]) -> Command {
    program(&binary(), arguments)
}

fn program<A: AsRef<OsStr>>(binary: &Path, arguments: &[A]) -> Command {
    let mut command = Command::new(binary);
    for (name, _) in env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"LARDER_") {
            command.env_remove(name);
        }
    }
    command.args(arguments).stdin(Stdio::null());
    command
}

/// The binary under test.
pub(crate) fn binary() -> PathBuf {
    env::var_os("LARDER_TEST_BINARY").map_or_else(|| env!("CARGO_BIN_EXE_larderd").into(), PathBuf::from)
}

/// Waits for the end of a child; kills it and fails where it does not come.
#[track_caller]
fn wait_for_exit(child: &mut Child) -> ExitStatus {
    let _guard = KillOnPanic(Pid::from_child(child));
    wait_until("the process to end", || child.try_wait().unwrap().ok_or_else(|| "still running".to_owned()))
}

/// A child that outlives its deadline must not outlive its test.
struct KillOnPanic(Pid);

impl Drop for KillOnPanic {
    fn drop(&mut self) {
        if thread::panicking() {
            // Gone meanwhile is fine.
            let _ = kill_process(self.0, Signal::KILL);
        }
    }
}

fn path_text(path: &Path) -> String {
    path.to_str().expect("temporary directories have plain names").to_owned()
}

/// Bytes of a page of each journal in this data directory, the oldest first: bytes 16 and 17 of a database file.
pub(crate) fn journal_pages(data: &Path) -> Vec<u16> {
    let files = fs::read_dir(data).unwrap().map(|entry| entry.unwrap().path());
    let is_journal = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy();
        name.starts_with("journal-") && name.ends_with(".db")
    };
    let mut journals: Vec<_> = files.filter(is_journal).collect();
    journals.sort();
    let size = |path: &PathBuf| Some(u16::from_be_bytes(fs::read(path).ok()?.get(16..18)?.try_into().ok()?));
    journals.iter().filter_map(size).collect()
}
