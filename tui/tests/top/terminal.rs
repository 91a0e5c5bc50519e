//! The program in a real terminal, which tmux is: typed at, looked at, killed; and the terminal it leaves behind.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, io, thread};

use crate::fake::Fake;
use crate::fixtures::{START_MS, World};

/// Bounds a hang, and nothing else.
const HANG: Duration = Duration::from_mins(1);

/// A tmux of its own with one shell in it.
struct Tmux {
    dir: tempfile::TempDir,
}

/// Says that the running test is skipped for want of a program; a failure where the environment asks for everything.
fn missing(what: &str, package: &str) {
    let required = env::var_os("LARDER_REQUIRE_TOOLS").is_some_and(|value| value == "1");
    assert!(!required, "LARDER_REQUIRE_TOOLS=1 and this machine has no {what} (apt-get install {package})");
    let test = thread::current().name().unwrap_or("a test").to_owned();
    // Past the test runner's capture: what a passing test prints is not shown.
    let note = format_args!("{test}: skipped: needs {what} (apt-get install {package})\n");
    let _ = io::Write::write_fmt(&mut io::stderr(), note);
}

impl Tmux {
    /// None, with a note, where there is no tmux; a failure where the environment asks for everything.
    fn start(columns: u16, rows: u16) -> Option<Self> {
        let found =
            env::split_paths(&env::var_os("PATH").unwrap_or_default()).any(|dir| dir.join("tmux").is_file());
        if !found {
            missing("tmux", "tmux");
            return None;
        }
        let tmux = Self { dir: tempfile::tempdir().unwrap() };
        let (x, y) = (columns.to_string(), rows.to_string());
        tmux.tmux(&["new-session", "-d", "-x", &x, "-y", &y, "env PS1='$ ' TERM=screen-256color sh"]);
        tmux.until("a prompt", |screen| screen.contains('$'));
        Some(tmux)
    }

    fn tmux(&self, words: &[&str]) -> String {
        let mut command = Command::new("tmux");
        // No configuration and no server of whoever runs the tests; UTF-8 in any locale.
        command.args(["-f", "/dev/null", "-u", "-S"]).arg(self.dir.path().join("tmux")).args(words);
        command.env_remove("TMUX").env_remove("NO_COLOR").stdin(Stdio::null());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("larder.sock")
    }

    fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    fn keys(&self, keys: &[&str]) {
        self.tmux(&[&["send-keys"], keys].concat());
    }

    /// Waits until the screen is as wanted, and returns it.
    fn until(&self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let give_up = Instant::now() + HANG;
        loop {
            let screen = self.screen();
            if wanted(&screen) {
                return screen;
            }
            assert!(Instant::now() < give_up, "waited for {what}:\n{screen}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// A command in the shell, and what `stty` says before and after it.
    fn run(&self, command: &str) {
        let note = |name: &str| format!("stty -g > {}", self.dir.path().join(name).display());
        let before = note("before");
        let after = note("after");
        self.keys(&["-l", &format!("{before}; {command}; echo code $?; {after}; echo do''ne")]);
        self.keys(&["Enter"]);
    }

    fn top(&self, words: &str) {
        self.run(&format!(
            "{} --socket {} {words}",
            env!("CARGO_BIN_EXE_larder-top"),
            self.socket().display()
        ));
    }

    /// The program has ended with a code, and the terminal is what it was.
    fn is_sane(&self, code: i32) {
        let screen = self.until("the end", |screen| screen.contains("done"));
        assert!(screen.contains(&format!("code {code}\n")), "{code}:\n{screen}");
        let stty = |name: &str| fs::read_to_string(self.dir.path().join(name)).unwrap();
        assert_eq!(stty("before"), stty("after"));
        let flags = "#{alternate_on} #{cursor_flag} #{mouse_any_flag}";
        assert_eq!(self.tmux(&["display-message", "-p", flags]).trim(), "0 1 0");
        self.keys(&["-l", "clear; echo ty''ped"]);
        self.keys(&["Enter"]);
        self.until("the shell", |screen| screen.contains("typed"));
    }

    fn kill(&self, signal: &str) {
        let words = [
            "-x",
            "-f",
            &format!("{} --socket {}.*", env!("CARGO_BIN_EXE_larder-top"), self.socket().display()),
        ];
        let found = Command::new("pgrep").args(words).output().unwrap();
        let found = String::from_utf8_lossy(&found.stdout).into_owned();
        let ids: Vec<&str> = found.split_whitespace().collect();
        assert_eq!(ids.len(), 1, "{found}");
        assert!(Command::new("kill").args([signal, ids[0]]).status().unwrap().success());
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}

fn busy(socket: &Path) -> Fake {
    Fake::start(socket, World::aged("first", START_MS, 900))
}

#[test]
fn pages_keys_and_a_restart() {
    let Some(tmux) = Tmux::start(100, 30) else { return };
    let fake = busy(&tmux.socket());
    tmux.top("--allow-writes");
    let screen = tmux.until("live figures", |screen| screen.contains("● live"));
    for word in ["Hit rate", "Traffic", "Latency of reads", "Storage", "Events", "pid 4711", "window 5 m"] {
        assert!(screen.contains(word), "{word}\n{screen}");
    }
    for (key, word) in [
        ("2", "Latency by command"),
        ("3", "Clean-up"),
        ("4", "Hot prefixes"),
        ("Tab", "Slow commands"),
        ("BTab", "Hot keys"),
    ] {
        tmux.keys(&[key]);
        tmux.until(word, |screen| screen.contains(word));
    }
    tmux.keys(&["-"]);
    tmux.until("a longer window", |screen| screen.contains("window 30 m"));
    tmux.keys(&["-l", "/^user"]);
    tmux.until("the filter", |screen| screen.contains("/^user_") && !screen.contains("geo:"));
    tmux.keys(&["Enter"]);
    tmux.keys(&["Space"]);
    tmux.until("a frozen picture", |screen| screen.contains("FROZEN"));
    tmux.keys(&["Escape"]);
    tmux.keys(&["Escape"]);
    tmux.until("all again", |screen| !screen.contains("FROZEN") && screen.contains("geo:"));
    tmux.keys(&["?"]);
    tmux.until("help", |screen| screen.contains("this help"));
    tmux.keys(&["Escape"]);
    tmux.keys(&["c"]);
    tmux.until("the question", |screen| screen.contains("Clean up now?"));
    tmux.keys(&["y"]);
    tmux.until("the answer", |screen| screen.contains("clean-up removed 812 entries"));
    // The daemon is another one now.
    drop(fake);
    tmux.until("the loss", |screen| screen.contains("reconnecting"));
    tmux.keys(&["1"]);
    let _fake = Fake::start(&tmux.socket(), World::aged("second", START_MS + 1_000_000, 30));
    tmux.until("the new one, and the gap", |screen| screen.contains("pid 5022") && screen.contains('╎'));
    tmux.tmux(&["resize-window", "-x", "38", "-y", "12"]);
    tmux.until("too small", |screen| screen.contains("too small"));
    tmux.tmux(&["resize-window", "-x", "130", "-y", "45"]);
    tmux.until("the page again", |screen| screen.contains("Hot prefixes"));
    tmux.keys(&["q"]);
    tmux.is_sane(0);
}

#[test]
fn signals_leave_a_sane_terminal() {
    let Some(tmux) = Tmux::start(80, 24) else { return };
    let _fake = busy(&tmux.socket());
    for (signal, code) in [("-TERM", 143), ("-HUP", 129), ("-INT", 130)] {
        tmux.top("--mouse");
        tmux.until("live figures", |screen| screen.contains("● live"));
        tmux.kill(signal);
        tmux.is_sane(code);
    }
}

#[test]
fn suspending_gives_the_terminal_back_for_a_while() {
    let Some(tmux) = Tmux::start(80, 24) else { return };
    let _fake = busy(&tmux.socket());
    tmux.keys(&["-l", "set -m; clear"]);
    tmux.keys(&["Enter"]);
    tmux.top("");
    tmux.until("live figures", |screen| screen.contains("● live"));
    tmux.keys(&["C-z"]);
    tmux.until("the shell", |screen| screen.contains("Stopped") && !screen.contains("● live"));
    assert_eq!(tmux.tmux(&["display-message", "-p", "#{alternate_on} #{cursor_flag}"]).trim(), "0 1");
    tmux.keys(&["-l", "clear; fg; echo code $?; echo do''ne"]);
    tmux.keys(&["Enter"]);
    tmux.until("live figures again", |screen| screen.contains("● live"));
    tmux.keys(&["2"]);
    tmux.until("keys again", |screen| screen.contains("Latency by command"));
    tmux.keys(&["q"]);
    tmux.until("the end", |screen| screen.contains("code 0") && screen.contains("done"));
}

/// Not a test by itself: what `a_panic_leaves_a_sane_terminal` runs in its terminal.
#[test]
#[ignore = "takes the terminal and panics: `a_panic_leaves_a_sane_terminal` runs it in a terminal of its own"]
fn panics_on_the_screen() {
    let mut screen = larder_top::terminal::Screen::open(true).unwrap();
    screen.draw(|frame| frame.render_widget("drawn", frame.area())).unwrap();
    thread::spawn(|| panic!("on purpose")).join().unwrap_err();
}

#[test]
fn a_panic_leaves_a_sane_terminal() {
    let Some(tmux) = Tmux::start(80, 24) else { return };
    let program = env::current_exe().unwrap();
    tmux.run(&format!("{} --ignored --exact terminal::panics_on_the_screen --nocapture", program.display()));
    let screen = tmux.until("the end", |screen| screen.contains("done"));
    assert!(screen.contains("on purpose"), "{screen}");
    tmux.is_sane(101);
}

/// Preloaded into the program: its terminal refuses, once, to say where the mouse is.
const NO_MOUSE: &str = r#"
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>
ssize_t write(int fd, const void *from, size_t length) {
    static const char mouse[] = "\033[?1000h";
    static int refused;
    if (fd == 1 && !refused && memmem(from, length, mouse, sizeof mouse - 1)) {
        refused = 1;
        errno = EIO;
        return -1;
    }
    return syscall(SYS_write, fd, from, length);
}
"#;

#[test]
fn a_terminal_that_refuses_the_mouse_is_given_back() {
    let Some(tmux) = Tmux::start(80, 24) else { return };
    let (source, library) = (tmux.dir.path().join("no_mouse.c"), tmux.dir.path().join("no_mouse.so"));
    fs::write(&source, NO_MOUSE).unwrap();
    let compiled = Command::new("cc").args(["-shared", "-fPIC", "-o"]).args([&library, &source]).output();
    let Ok(compiled) = compiled else { return missing("a C compiler", "gcc libc6-dev") };
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    tmux.run(&format!(
        "LD_PRELOAD={} {} --mouse --socket {}",
        library.display(),
        env!("CARGO_BIN_EXE_larder-top"),
        tmux.socket().display()
    ));
    let screen = tmux.until("the end", |screen| screen.contains("done"));
    assert!(screen.contains("larder-top: Input/output error"), "{screen}");
    tmux.is_sane(1);
}
