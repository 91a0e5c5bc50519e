//! The documents against the code: every block that can be pasted is run or says why not, every place that is named exists,
//! every file is on the map, every error is explained.

use std::fs;
use std::path::Path;

use super::readme::fenced_blocks;
use crate::util::repository;

/// What can be pasted.
const PASTED: [&str; 6] = ["sh", "bash", "console", "python", "rust", "js"];

/// Page, mark of a block, and the file that runs those blocks, which contains the last word of the mark.
const RUNNERS: &[(&str, &str, &str)] = &[
    ("README.md", "sh tour", "tests/e2e/readme.rs"),
    ("README.md", "sh tour restarted", "tests/e2e/readme.rs"),
    ("README.md", "python tour", "tests/e2e/readme.rs"),
    ("README.md", "rust tour", "tests/client/readme.rs"),
    ("README.md", "sh service", "tests/systemd/service.rs"),
    ("systemd/README.md", "sh service", "tests/systemd/service.rs"),
    ("README.md", "sh care", "tests/e2e/readme.rs"),
    ("README.md", "sh care stopped", "tests/e2e/readme.rs"),
    ("daemon/STATISTICS.md", "python tour", "tests/e2e/readme.rs"),
    ("protocol/COOKBOOK.md", "sh nc", "tests/client/cookbook.rs"),
    ("protocol/COOKBOOK.md", "sh socat", "tests/client/cookbook.rs"),
    ("protocol/COOKBOOK.md", "python redis-py", "tests/clients/python/cookbook.py"),
    ("protocol/COOKBOOK.md", "python cashews", "tests/clients/python/cookbook.py"),
    ("protocol/COOKBOOK.md", "python django", "tests/clients/python/cookbook.py"),
    ("protocol/COOKBOOK.md", "python limits", "tests/clients/python/cookbook.py"),
    ("protocol/COOKBOOK.md", "js ioredis", "tests/clients/node/cookbook.mjs"),
    ("protocol/COOKBOOK.md", "js keyv", "tests/clients/node/cookbook.mjs"),
];

/// Begins the comment above a block that is not run.
const NOT_RUN: &str = "<!-- not run: ";

/// Every page of the repository, with its text.
fn pages() -> Vec<(String, String)> {
    let root = repository("");
    let mut found = Vec::new();
    for directory in ["", "daemon", "protocol", "tui", "tests", "tests/gates", "systemd"] {
        for entry in fs::read_dir(root.join(directory)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "md") {
                let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
                found.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    assert!(found.len() > 8, "{}", found.len());
    found
}

fn page(name: &str) -> String {
    fs::read_to_string(repository(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// What stands between backticks and looks like a path from the root of the repository: `{a,b}` are both, and what ends with
/// a star begins so.
fn places(text: &str) -> Vec<String> {
    let quoted = text.split('`').skip(1).step_by(2);
    let is_path = |word: &&str| {
        word.contains('/')
            && !word.starts_with(['/', '$', '~'])
            && word.chars().all(|letter| letter.is_ascii_alphanumeric() || "/._-@{},*".contains(letter))
    };
    let top = |word: &&str| {
        ["daemon/", "protocol/", "tui/", "tests/", "systemd/"].iter().any(|top| word.starts_with(top))
            || [".ci/run", ".cargo/config.toml"].contains(word)
    };
    quoted.filter(is_path).filter(top).flat_map(expanded).collect()
}

/// `a{b,c}d` as `abd` and `acd`.
fn expanded(word: &str) -> Vec<String> {
    let Some((before, rest)) = word.split_once('{') else { return vec![word.to_owned()] };
    let (choices, after) = rest.split_once('}').unwrap_or_else(|| panic!("{word} has no closing brace"));
    choices.split(',').flat_map(|choice| expanded(&format!("{before}{choice}{after}"))).collect()
}

fn exists(place: &str) -> bool {
    let Some(start) = place.strip_suffix('*') else { return repository(place).exists() };
    let path = repository(start);
    let name = path.file_name().unwrap().to_str().unwrap();
    let entries = fs::read_dir(path.parent().unwrap());
    entries.is_ok_and(|entries| {
        entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with(name))
    })
}

#[test]
fn every_block_that_can_be_pasted_is_run_or_says_why_not() {
    let mut wrong = Vec::new();
    for (name, text) in pages() {
        let lines: Vec<&str> = text.lines().collect();
        for block in fenced_blocks(&text) {
            let language = block.info.split(' ').next().unwrap_or_default();
            if !PASTED.contains(&language) {
                continue;
            }
            let at = format!("{name}:{}: ```{}", block.line, block.info);
            // The line above the fence, of which the number is known from 1.
            let above = block.line.checked_sub(2).map_or("", |index| lines[index]);
            let runner = RUNNERS.iter().find(|(page, info, _)| *page == name && *info == block.info);
            match (runner, above.strip_prefix(NOT_RUN)) {
                (Some((_, _, file)), None) => {
                    let last = block.info.rsplit(' ').next().unwrap();
                    if !page(file).contains(last) {
                        wrong.push(format!("{at}: {file} does not look for it"));
                    }
                }
                (None, Some(why)) if why.trim_end_matches(" -->").len() > 10 => {}
                _ => wrong.push(format!("{at}: neither run by a test nor below {NOT_RUN}WHY -->")),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_place_that_a_page_names_exists() {
    let mut missing = Vec::new();
    for (name, text) in pages() {
        // What was is history there.
        if name == "tests/gates/LEDGER.md" || name == "CHANGELOG.md" {
            continue;
        }
        let reasons = text.lines().filter_map(|line| line.strip_prefix(NOT_RUN));
        let named = reasons.flat_map(|line| line.split(' ')).filter(|word| word.contains('/'));
        let named = named.map(|word| word.trim_end_matches([',', ';']).to_owned());
        for place in places(&text).into_iter().chain(named) {
            if !exists(&place) {
                missing.push(format!("{name}: {place}"));
            }
        }
        let here = Path::new(&name).parent().unwrap().to_owned();
        let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for link in links.filter(|link| !link.contains("://") && !link.contains(char::is_whitespace)) {
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let path =
                if file.is_empty() { name.clone() } else { here.join(file).to_str().unwrap().to_owned() };
            let target = fs::read_to_string(repository(&path)).unwrap_or_default();
            let is_heading = |line: &str| line.starts_with('#') && anchor(line) == heading;
            if !repository(&path).exists() || (!heading.is_empty() && !target.lines().any(is_heading)) {
                missing.push(format!("{name}: link to {link}"));
            }
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

/// What a heading is linked to by.
fn anchor(heading: &str) -> String {
    let words = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = words.chars().filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter));
    kept.map(|letter| if letter == ' ' { '-' } else { letter }).collect()
}

/// Every source file of the daemon, the protocol and the dashboard is in a row of ARCHITECTURE.md's code map, by its name, its
/// directory, or the start of its name.
#[test]
fn the_code_map_has_every_file() {
    let text = page("ARCHITECTURE.md");
    let (_, map) = text.split_once("## Code map").unwrap();
    let map = map.split("\n## ").next().unwrap();
    let mut places = Vec::new();
    for row in map.lines().filter(|line| line.starts_with("| `")) {
        let cell = row.split('|').nth(1).unwrap();
        let mut directory = String::new();
        for word in cell.split('`').skip(1).step_by(2) {
            // Only the first of a row is whole; the others stand in the same crate's sources.
            let is_whole = word.starts_with("daemon/")
                || word.starts_with("protocol/")
                || word.starts_with("tui/")
                || word.starts_with("tests/")
                || word.starts_with("systemd/");
            let word = if is_whole { word.to_owned() } else { format!("{directory}{word}") };
            if let Some((crate_name, _)) = word.split_once("/src/") {
                directory = format!("{crate_name}/src/");
            }
            places.extend(expanded(&word));
        }
    }
    let mut missing: Vec<_> =
        places.iter().filter(|place| !exists(place)).map(|place| format!("{place} is not there")).collect();
    let mut open: Vec<_> = ["daemon/src", "protocol/src", "tui/src"].map(repository).into();
    let root = repository("");
    let mut files = 0;
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        files += 1;
        let name = path.strip_prefix(&root).unwrap().to_str().unwrap();
        let is_on_the_map = places.iter().any(|place| {
            name == place
                || (place.ends_with('/') && name.starts_with(place.as_str()))
                || place.strip_suffix('*').is_some_and(|start| name.starts_with(start))
        });
        if !is_on_the_map {
            missing.push(format!("{name} is in no row"));
        }
    }
    assert!(files > 200 && places.len() > 50, "{files} files, {} places", places.len());
    assert!(missing.is_empty(), "ARCHITECTURE.md, code map:\n{}", missing.join("\n"));
}

/// Where errors are made of texts that stand in the code; it holds what follows the code `ERR`.
const ERR_HOLDER: &str = "Named(";

/// The text that begins with the quote at the start of `code`, what is filled in as an ellipsis.
fn literal(code: &str) -> Option<String> {
    let mut letters = code.trim_start().strip_prefix('"')?.chars().peekable();
    let mut text = String::new();
    while let Some(letter) = letters.next() {
        match letter {
            '"' => return Some(text),
            '\\' => match letters.next()? {
                '\n' => while letters.next_if(|next| next.is_whitespace()).is_some() {},
                escaped => text.push(escaped),
            },
            '{' => {
                text.push('…');
                let _ = letters.find(|end| *end == '}');
            }
            _ => text.push(letter),
        }
    }
    None
}

/// Every text of an error in the code, as the page should have it.
fn error_texts() -> std::collections::BTreeSet<String> {
    let mut texts = std::collections::BTreeSet::new();
    for (_, code) in super::architecture::sources() {
        let code = code.split("#[cfg(test)]\nmod tests").next().unwrap();
        texts.extend(code.split("#[error(").skip(1).filter_map(literal));
        let held = code.split(ERR_HOLDER).skip(1).filter_map(literal);
        texts.extend(held.map(|text| format!("ERR {text}")));
    }
    // Those that only pass on what another one says.
    texts.retain(|text| text.trim_start_matches("ERR ").chars().any(|letter| letter != '…'));
    texts
}

#[test]
fn every_error_is_explained() {
    let text = page("daemon/ERRORS.md");
    let rows =
        text.lines().filter_map(|line| line.strip_prefix("| `")).filter_map(|row| row.split_once("` | "));
    let (codes, rows): (Vec<_>, Vec<_>) =
        rows.partition(|(shown, _)| !shown.contains(' ') && !shown.contains('…'));
    assert!(!codes.is_empty());
    let explained: std::collections::BTreeSet<_> =
        rows.iter().map(|(shown, _)| shown.replace("\\|", "|")).collect();
    assert_eq!(explained.len(), rows.len(), "one of them is there twice");
    for (shown, advice) in &rows {
        let advice = advice.trim_end_matches(" |");
        assert!(advice.len() > 4, "{shown}: what to do?");
        // What was wrong ends there, and what to do begins.
        assert!(!advice.starts_with("As it says") || shown.contains([';', ':', ',']), "{shown} says nothing");
    }
    let texts = error_texts();
    assert!(texts.len() > 150, "{}", texts.len());
    let missing: Vec<_> = texts.difference(&explained).collect();
    let gone: Vec<_> = explained.difference(&texts).filter(|shown| shown.contains(' ')).collect();
    assert!(
        missing.is_empty() && gone.is_empty(),
        "ERRORS.md lacks {missing:#?}\nand has what no error says: {gone:#?}"
    );
}

#[test]
fn places_and_anchors_are_read_right() {
    assert_eq!(
        places("in `daemon/src/{a,b}.rs`, `tests/x*`, not `/etc/x`, `a b`, `cmd/mod.rs` or daemon/"),
        ["daemon/src/a.rs", "daemon/src/b.rs", "tests/x*"]
    );
    assert_eq!(anchor("## What it is, and isn't"), "what-it-is-and-isnt");
    assert!(exists("daemon/src/li*") && !exists("daemon/src/nothing*") && exists("daemon/src/lib.rs"));
}
