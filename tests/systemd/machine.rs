//! A machine that systemd runs, made of namespaces and thrown away with its test: `machine.sh` says how.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;

use crate::util::{Client, Outcome, binary, missing, repository, run, succeeds, tool, wait_until};

/// Where the system service listens.
pub(super) const SOCKET: &str = "/run/larder/larder.sock";

/// Where a test puts what it installs from.
pub(super) const SOURCE: &str = "/opt/larder";

/// A booted machine.
pub(super) struct Machine {
    dir: TempDir,
    name: String,
    outer: Child,
    first: u32,
}

impl Machine {
    /// Boots one; `None`, with a note, where that is not possible.
    #[track_caller]
    pub(super) fn boot() -> Option<Self> {
        static BOOTS: AtomicU32 = AtomicU32::new(0);
        for name in ["bash", "unshare", "nsenter", "systemctl"] {
            tool(name)?;
        }
        let no = |why: &str| {
            missing("a systemd in namespaces", why);
            None
        };
        if !rustix::process::geteuid().is_root() {
            return no("run the tests as root");
        }
        if !Path::new("/lib/systemd/systemd").exists() {
            return no("apt-get install systemd");
        }
        let dir = tempfile::tempdir().unwrap();
        let name = format!("larder-test-{}-{}", std::process::id(), BOOTS.fetch_add(1, Ordering::Relaxed));
        let root = dir.path().join("machine");
        fs::create_dir(&root).unwrap();
        let log = File::create(dir.path().join("log")).unwrap();
        let outer = script(&["boot", root.to_str().unwrap(), &name])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut machine = Self { dir, name, outer, first: 0 };
        if machine.wait_for_boot() {
            return Some(machine);
        }
        no(&format!("it may not make namespaces here: {}", machine.log()))
    }

    fn wait_for_boot(&mut self) -> bool {
        wait_until("systemd to run", || {
            if self.outer.try_wait().unwrap().is_some() {
                return Ok(false);
            }
            let pid = self.outer.id();
            let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
            let Some(first) = children.split_whitespace().next() else {
                return Err("no first process".into());
            };
            let comm = fs::read_to_string(format!("/proc/{first}/comm")).unwrap_or_default();
            if comm.trim() != "systemd" {
                return Err(format!("the first process is {comm}"));
            }
            self.first = first.parse().unwrap();
            let state = self.run(&["systemctl", "is-system-running"]);
            if state.stdout.trim() == "running" { Ok(true) } else { Err(state.stdout + &state.stderr) }
        })
    }

    /// A command for within the machine.
    pub(super) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["-t", &self.first.to_string(), "-m", "-p", "-u", "-i", "-C", "-r", "-w"]);
        command.args([
            "env",
            "-i",
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "LC_ALL=C",
        ]);
        command.args(words).stdin(Stdio::null());
        command
    }

    /// Runs a program within the machine.
    #[track_caller]
    pub(super) fn run(&self, words: &[&str]) -> Outcome {
        run(&mut self.command(words))
    }

    /// Runs a program within the machine that should succeed; what it printed.
    #[track_caller]
    pub(super) fn succeeds(&self, words: &[&str]) -> String {
        succeeds(&mut self.command(words))
    }

    /// A file of the machine, as it is found from here.
    pub(super) fn path(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{path}", self.first))
    }

    #[track_caller]
    pub(super) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap()
    }

    #[track_caller]
    pub(super) fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// A connection to the service.
    #[track_caller]
    pub(super) fn client(&self) -> Client {
        Client::connect(&self.path(SOCKET)).unwrap_or_else(|error| panic!("{error}\n{}", self.log()))
    }

    /// A property of a unit.
    #[track_caller]
    pub(super) fn show(&self, unit: &str, property: &str) -> String {
        self.succeeds(&["systemctl", "show", "--value", "--property", property, unit]).trim().to_owned()
    }

    /// Waits until a property of a unit is what it should be.
    #[track_caller]
    pub(super) fn wait_for(&self, unit: &str, property: &str, right: impl Fn(&str) -> bool) -> String {
        wait_until(&format!("{property} of {unit}"), || {
            let value = self.show(unit, property);
            if right(&value) { Ok(value) } else { Err(format!("{value}\n{}", self.log())) }
        })
    }

    /// The daemon's process, as its number is within the machine.
    #[track_caller]
    pub(super) fn main_pid(&self) -> String {
        let pid = self.show("larderd.service", "MainPID");
        assert_ne!(pid, "0", "larderd.service runs\n{}", self.log());
        pid
    }

    /// Puts programs and `systemd/` where the installer takes them from.
    #[track_caller]
    pub(super) fn put_source(&self) {
        let to = self.path(SOURCE);
        let bin = to.join("target/release");
        fs::create_dir_all(&bin).unwrap();
        fs::copy(binary(), bin.join("larderd")).unwrap();
        // Built only where all of the workspace is; the installer does not care what it does.
        let top = binary().with_file_name("larder-top");
        fs::copy(if top.exists() { top } else { binary() }, bin.join("larder-top")).unwrap();
        copy_all(&repository("systemd"), &to.join("systemd"));
    }

    /// Installs larder with the script, as an administrator does.
    #[track_caller]
    pub(super) fn install(&self) -> String {
        self.put_source();
        self.script(&[])
    }

    /// Runs the installer.
    #[track_caller]
    pub(super) fn script(&self, arguments: &[&str]) -> String {
        let mut words = vec!["sh", "/opt/larder/systemd/install.sh"];
        words.extend(arguments);
        self.succeeds(&words)
    }

    /// What systemd and the daemon have logged, for messages of failed tests.
    pub(super) fn log(&self) -> String {
        let boot = fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
        if self.first == 0 {
            return boot;
        }
        let journal = self.run(&["journalctl", "--no-pager", "--lines", "60", "--unit", "larderd*"]);
        boot + &journal.stdout
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if std::thread::panicking() && self.first != 0 {
            eprintln!("--- the machine's log:\n{}---", self.log());
        }
        // With unshare ends the first process, and with that all others.
        let _ = self.outer.kill();
        let _ = self.outer.wait();
        let first = Path::new("/proc").join(self.first.to_string());
        wait_until("the machine to be gone", || {
            let comm = fs::read_to_string(first.join("comm")).unwrap_or_default();
            if self.first == 0 || comm.trim() != "systemd" { Ok(()) } else { Err(comm) }
        });
        let _ = script(&["clean", &self.name]).stdin(Stdio::null()).status();
    }
}

fn script(arguments: &[&str]) -> Command {
    let mut command = Command::new("bash");
    command.arg(repository("tests/systemd/machine.sh")).args(arguments);
    command
}

fn copy_all(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_all(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            fs::set_permissions(&target, fs::Permissions::from_mode(mode)).unwrap();
        }
    }
}
