//! The unit files as systemd judges them without running them, and what they have in common.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::util::{binary, larderd, repository, run, succeeds, tool};

/// The most exposure `systemd-analyze security` may find, in tenths. Debian allows its redis-server 12.
const MOST_EXPOSURE: &str = "5";

/// The units below `systemd/`, with the binary under test in the place of the installed one; templates with a name.
fn copy_units(from: &str, to: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(repository(from)).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.extension().is_some_and(|extension| extension == "service" || extension == "socket") {
            let text = fs::read_to_string(&path).unwrap();
            assert!(name.ends_with(".socket") || text.contains("ExecStart=/usr/bin/larderd"), "{text}");
            fs::write(to.join(&name), text.replace("/usr/bin/larderd", binary().to_str().unwrap())).unwrap();
            names.push(name);
        }
    }
    names.sort();
    names
}

#[track_caller]
fn analyze(scope: &[&str], arguments: &[&str], units: &Path, unit: &str) {
    let Some(analyze) = tool("systemd-analyze") else { return };
    let unit = unit.replace('@', "@name");
    let outcome = run(Command::new(analyze)
        .args(scope)
        .args(arguments)
        .arg(units.join(&unit))
        .env("SYSTEMD_UNIT_PATH", format!("{}:", units.display()))
        .env("XDG_RUNTIME_DIR", units)
        .stdin(Stdio::null()));
    assert!(outcome.status.success(), "{unit}: {}\n{}", outcome.stdout, outcome.stderr);
    let about_it = outcome.stderr.lines().find(|line| line.contains("larder"));
    assert_eq!(about_it, None, "a warning: {}", outcome.stderr);
}

#[test]
fn the_units_verify() {
    for (from, scope, count) in [("systemd", "--system", 4), ("systemd/user", "--user", 2)] {
        let dir = tempfile::tempdir().unwrap();
        let units = copy_units(from, dir.path());
        assert_eq!(units.len(), count, "{units:?}");
        for unit in units {
            analyze(&[scope], &["verify", "--man=no"], dir.path(), &unit);
        }
    }
}

#[test]
fn the_services_are_hardened() {
    let dir = tempfile::tempdir().unwrap();
    for unit in copy_units("systemd", dir.path()) {
        if unit.ends_with(".service") {
            let arguments = ["security", "--offline=true", "--no-pager", "--threshold", MOST_EXPOSURE];
            analyze(&[], &arguments, dir.path(), &unit);
        }
    }
}

/// The examples are for what systemd 252 knows, but for the one that says otherwise.
#[test]
fn the_examples_are_drop_ins_that_verify() {
    for entry in fs::read_dir(repository("systemd/examples")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let unit = if text.contains("[Socket]") { "larderd.socket" } else { "larderd.service" };
        assert!(text.contains(&format!("/etc/systemd/system/{unit}.d/")), "{name} says where it goes");
        if name.starts_with("systemd-") {
            continue;
        }
        let dir = tempfile::tempdir().unwrap();
        copy_units("systemd", dir.path());
        let drop_ins = dir.path().join(format!("{unit}.d"));
        fs::create_dir(&drop_ins).unwrap();
        fs::copy(&path, drop_ins.join(name)).unwrap();
        analyze(&["--system"], &["verify", "--man=no"], dir.path(), unit);
    }
}

/// The template is the service with other places: what is decided for the one holds for the other.
#[test]
fn the_template_differs_in_its_places_only() {
    let read = |name: &str| fs::read_to_string(repository("systemd").join(name)).unwrap();
    for kind in ["service", "socket"] {
        let directives = |text: &str| {
            let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        let (one, many) =
            (directives(&read(&format!("larderd.{kind}"))), directives(&read(&format!("larderd@.{kind}"))));
        assert_eq!(one.len(), many.len());
        let differs = one.iter().zip(&many).filter(|(one, many)| one != many);
        for (one, many) in differs {
            assert_eq!(one.split('=').next(), many.split('=').next());
            assert!(many.contains("%i"), "{one} and {many}");
        }
    }
}

#[test]
fn the_installer_refuses_what_it_does_not_know() {
    let script = repository("systemd/install.sh");
    let outcome = run(Command::new("sh").arg(&script).arg("--unistall").stdin(Stdio::null()));
    assert!(!outcome.status.success() && outcome.stderr.contains("--unistall"), "{outcome:?}");
    let help = succeeds(Command::new("sh").arg(&script).arg("--help").stdin(Stdio::null()));
    for option in ["--uninstall", "--user", "--prefix", "DESTDIR"] {
        assert!(help.contains(option), "{help}");
    }
    let dir = tempfile::tempdir().unwrap();
    let outcome = run(Command::new("sh")
        .arg(&script)
        .args(["--binaries", dir.path().to_str().unwrap()])
        .env("DESTDIR", dir.path())
        .stdin(Stdio::null()));
    assert!(!outcome.status.success() && outcome.stderr.contains("cargo build --release"), "{outcome:?}");
}

/// `systemd/generated` is what the program prints; `UPDATE_DOCUMENTS=1` writes it anew.
#[test]
fn manual_and_completions_are_those_of_this_program() {
    let print = |arguments: &[&str]| succeeds(&mut larderd(arguments));
    let mut pages = vec![("larderd.8".to_owned(), print(&["--man"]))];
    let help = print(&["--help"]);
    let subcommands = help.split("looking after the data:").nth(1).unwrap().split("\n\n").next().unwrap();
    for line in subcommands.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   ")) {
        let name = line.split_whitespace().next().unwrap();
        pages.push((format!("larderd-{name}.8"), print(&["--man", name])));
    }
    assert!(pages.len() >= 7, "{help}");
    for (shell, file) in [("bash", "larderd.bash"), ("zsh", "_larderd"), ("fish", "larderd.fish")] {
        pages.push((file.to_owned(), print(&["--completions", shell])));
    }
    let dir = repository("systemd/generated");
    for (file, text) in pages {
        let path = dir.join(&file);
        if std::env::var_os("UPDATE_DOCUMENTS").is_some() {
            fs::write(&path, &text).unwrap();
        }
        let there = fs::read_to_string(&path).unwrap_or_default();
        assert!(there == text, "{} is out of date: run this test with UPDATE_DOCUMENTS=1", path.display());
    }
}

#[test]
fn the_manual_is_one_that_man_can_show() {
    let Some(man) = tool("man") else { return };
    for page in fs::read_dir(repository("systemd/generated")).unwrap() {
        let path = page.unwrap().path();
        if !matches!(path.extension().and_then(|extension| extension.to_str()), Some("1" | "8")) {
            continue;
        }
        let outcome = run(Command::new(&man)
            .args(["--warnings=w", "--local-file", "--encoding=utf8"])
            .arg(&path)
            .env("MANWIDTH", "100")
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::null()));
        assert!(outcome.status.success(), "{}: {}", path.display(), outcome.stderr);
        assert_eq!(outcome.stderr, "", "{}", path.display());
        assert!(outcome.stdout.contains("SYNOPSIS"), "{}", outcome.stdout);
    }
}

#[test]
fn completions_are_scripts_that_shells_can_read() {
    for (shell, pattern) in [("bash", ".bash"), ("zsh", "_larder")] {
        let Some(shell) = tool(shell) else { continue };
        for script in fs::read_dir(repository("systemd/generated")).unwrap() {
            let path = script.unwrap().path();
            if path.to_string_lossy().contains(pattern) {
                succeeds(Command::new(&shell).arg("-n").arg(&path).stdin(Stdio::null()));
            }
        }
    }
}
