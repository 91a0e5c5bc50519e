//! House rules: who may name what. The absences listed in ARCHITECTURE.md, checked on the source text.

use std::fs;
use std::path::{Path, PathBuf};

use crate::util::repository;

/// Words that only the files below some places may contain. Test modules count as well.
const ONLY_IN: &[(&str, &[&str])] = &[
    ("rusqlite", &["daemon/src/store/"]),
    ("r2d2", &["daemon/src/store/"]),
    ("moka::", &["daemon/src/cache/memory.rs"]),
    ("SystemTime::now", &["daemon/src/clock.rs", "daemon/src/logging.rs", "tui/src/clock.rs"]),
    ("signal_hook", &["daemon/src/signals.rs", "tui/src/signals.rs"]),
    ("clap::", &["daemon/src/config/", "tui/src/args.rs"]),
    ("ratatui", &["tui/src/view/", "tui/src/terminal.rs"]),
    ("crossterm", &["tui/src/input.rs", "tui/src/terminal.rs"]),
    ("toml::", &["daemon/src/config/"]),
    ("clap_mangen", &["daemon/src/config/pages.rs", "tui/src/args.rs"]),
    ("listenfd", &["daemon/src/service/"]),
    ("UnixDatagram", &["daemon/src/service/"]),
    (
        "UnixStream",
        &[
            "daemon/src/conn",
            "daemon/src/server",
            "daemon/src/endpoint",
            "daemon/src/logging.rs",
            "daemon/src/offline/ask.rs",
            "daemon/src/offline/warm.rs",
            "daemon/src/warm.rs",
            "protocol/src/client/",
            "tui/src/link/",
        ],
    ),
    ("planted-bugs", &["daemon/src/planted.rs"]),
    ("unsafe ", &[]),
];

/// Words that the files below some place may not contain.
const NEVER_IN: &[(&str, &[&str])] = &[
    ("daemon/src/cmd/", &["crate::store", "crate::conn", "crate::server", "Wire::Resp", "tokio"]),
    ("daemon/src/conn", &["crate::store"]),
    ("daemon/src/store/", &["crate::cmd", "crate::conn", "crate::cache", "crate::server", "crate::config"]),
    ("daemon/src/cache/", &["crate::conn", "crate::server", "crate::cmd", "Wire", "Request<"]),
    ("daemon/src/buffer.rs", &["crate::cache", "crate::store"]),
    ("daemon/src/entry.rs", &["crate::"]),
    // A leaf, but for the mistake that can be planted in it.
    ("daemon/src/clock.rs", &["crate::cache", "crate::cmd", "crate::config", "crate::conn", "crate::store"]),
    ("tui/src/model/", &["crate::app", "crate::view", "crate::link", "std::time", "std::fs", "std::io"]),
    ("tui/src/app/", &["crate::view", "crate::link", "std::time", "std::fs", "std::io"]),
    ("tui/src/view/", &["crate::link", "std::time", "std::fs", "std::io"]),
    ("protocol/src/client/", &["SystemTime", "std::net", "std::fs::File"]),
    (
        "protocol/src/",
        &["std::net", "std::fs", "std::time", "std::thread", "std::io::Read", "tokio::", "crate::client"],
    ),
];

/// Where a rule for a directory does not hold within it.
const EXCEPT: &[(&str, &str)] = &[("protocol/src/", "protocol/src/client/")];

/// A file longer than this, its tests left aside, holds a second subject.
const LINES_MAX: usize = 400;

/// Every source file of the three crates, by its path from the root of the repository, with its text.
pub(crate) fn sources() -> Vec<(String, String)> {
    let root = repository("");
    let mut found = Vec::new();
    let mut open: Vec<PathBuf> = ["daemon/src", "protocol/src", "tui/src"].map(|dir| root.join(dir)).into();
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push((relative(&path, &root), fs::read_to_string(&path).unwrap()));
        }
    }
    assert!(found.len() > 50, "{} files", found.len());
    found
}

fn relative(path: &Path, root: &Path) -> String {
    path.strip_prefix(root).unwrap().to_string_lossy().into_owned()
}

/// Lines of code that contain `word`; comments may name anything.
fn mentions<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = (usize, &'a str)> {
    let code = |line: &str| !line.trim_start().starts_with("//");
    (1..).zip(text.lines()).filter(move |(_, line)| code(line) && line.contains(word))
}

#[test]
fn each_thing_is_named_only_where_it_belongs() {
    let mut strays = Vec::new();
    for (file, text) in sources() {
        for (word, places) in ONLY_IN {
            if !places.iter().any(|place| file.starts_with(place)) {
                let found =
                    mentions(&text, word).map(|(line, text)| format!("{file}:{line}: {word}: {text}"));
                strays.extend(found);
            }
        }
        let holds = |place: &str| {
            file.starts_with(place)
                && !EXCEPT.iter().any(|(whole, part)| *whole == place && file.starts_with(part))
        };
        for (place, words) in NEVER_IN.iter().filter(|(place, _)| holds(place)) {
            for word in *words {
                let found =
                    mentions(&text, word).map(|(line, text)| format!("{file}:{line}: {place}: {text}"));
                strays.extend(found);
            }
        }
    }
    assert!(strays.is_empty(), "these break a rule of ARCHITECTURE.md:\n{}", strays.join("\n"));
}

#[test]
fn the_rules_name_places_that_exist() {
    let sources = sources();
    let places =
        ONLY_IN.iter().flat_map(|(_, places)| places.iter()).chain(NEVER_IN.iter().map(|(place, _)| place));
    for place in places {
        assert!(sources.iter().any(|(file, _)| file.starts_with(place)), "{place}");
    }
}

#[test]
fn no_file_has_grown_a_second_subject() {
    for (file, text) in sources() {
        let lines = text.split("#[cfg(test)]\nmod tests").next().map_or(0, |code| code.lines().count());
        assert!(lines <= LINES_MAX || file.contains("tests"), "{file} has {lines} lines before its tests");
    }
}

#[test]
fn the_protocols_core_depends_on_no_runtime() {
    let manifest = fs::read_to_string(repository("protocol/Cargo.toml")).unwrap();
    let (_, after) = manifest.split_once("\n[dependencies]\n").unwrap();
    let always: Vec<&str> = after
        .lines()
        .take_while(|line| !line.starts_with('['))
        .filter(|line| !line.is_empty() && !line.starts_with('#') && !line.contains("optional = true"))
        .filter_map(|line| line.split(['.', ' ']).next())
        .collect();
    assert_eq!(always, ["bytes", "serde_json", "thiserror"]);
    assert!(manifest.contains("\ndefault = []\n"), "nothing more unless asked for");
}
