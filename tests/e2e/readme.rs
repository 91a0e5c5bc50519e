//! What README.md shows, and the example of STATISTICS.md. The tour of README.md: every block marked `sh tour` or `python tour`
//! is run as it stands there, in order, against one daemon; before `sh tour restarted` that is started again.
//!
//! `$SOCK` is the daemon's socket. A `text` block that follows is what the script prints; in it an ellipsis stands
//! for whatever the line holds from there on. What may be missing is Python's library for Redis.

use std::fs;
use std::process::Command;

use crate::util::{Daemon, bash, binary, python_knows_redis, repository, succeeds, tool, wait_until};

/// One fenced block.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Block {
    /// The line of its opening fence.
    pub line: usize,
    /// What stands behind the opening fence.
    pub info: String,
    pub text: String,
}

#[test]
fn the_tour_is_what_happens() {
    let path = repository("README.md");
    let readme = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let blocks = fenced_blocks(&readme);
    let tours: Vec<_> = blocks
        .iter()
        .enumerate()
        .filter(|(_, block)| block.info.contains(" tour") && !block.info.starts_with("rust"))
        .map(|(index, block)| (block, blocks.get(index + 1).filter(|next| next.info == "text")))
        .collect();
    let count = |info: &str| tours.iter().filter(|(block, _)| block.info == info).count();
    assert!(count("sh tour") > 4 && count("sh tour restarted") == 1 && count("python tour") == 1);
    assert!(tours.iter().all(|(_, expected)| expected.is_some()), "a tour block does not say what it prints");

    for name in ["bash", "nc", "socat", "redis-cli", "python3"] {
        if tool(name).is_none() {
            return;
        }
    }
    let mut daemon = Daemon::start(&[]);
    for (block, expected) in tours {
        if block.info.ends_with("restarted") {
            wait_until("the daemon to be gone", || daemon.ended().ok_or_else(|| "it runs".to_owned()));
            daemon.restart();
        }
        let printed = match block.info.as_str() {
            "python tour" if !python_knows_redis() => continue,
            "python tour" => {
                let mut python = Command::new("python3");
                succeeds(python.args(["-c", &block.text]).env("SOCK", daemon.socket()))
            }
            _ => bash(&daemon, &block.text),
        };
        if let Some(expected) = expected {
            assert!(
                agrees(&expected.text, &printed),
                "README.md:{}: the script printed\n{printed}\nthe README says\n{}",
                block.line,
                expected.text
            );
        }
    }
}

/// The example of STATISTICS.md, against a daemon that nobody else asks anything.
#[test]
fn a_rate_is_made_of_two_looks_at_counters() {
    let Some(python) = tool("python3") else { return };
    let page = fs::read_to_string(repository("daemon/STATISTICS.md")).unwrap();
    let blocks = fenced_blocks(&page);
    let at = blocks.iter().position(|block| block.info == "python tour").unwrap();
    let daemon = Daemon::start(&[]);
    let mut script = Command::new(python);
    let printed = succeeds(script.args(["-c", &blocks[at].text]).env("SOCK", daemon.socket()));
    assert_eq!(printed, blocks[at + 1].text);
}

/// The blocks marked `sh care` are run while a daemon serves, those marked `sh care stopped` while none does, all in one
/// directory, with the daemon's places in the environment.
#[test]
fn looking_after_the_data_is_what_happens() {
    for name in ["bash", "redis-cli", "sqlite3"] {
        if tool(name).is_none() {
            return;
        }
    }
    let readme = fs::read_to_string(repository("README.md")).unwrap();
    let mut daemon = Daemon::start(&[]);
    daemon.client().check("MSET greeting hello empty \"\"", "+OK");
    let here = tempfile::tempdir().unwrap();
    let programs = here.path().join("programs");
    fs::create_dir(&programs).unwrap();
    std::os::unix::fs::symlink(binary(), programs.join("larderd")).unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let mut serving = true;
    let mut blocks = 0;
    for block in fenced_blocks(&readme) {
        let wanted = match block.info.as_str() {
            "sh care" => true,
            "sh care stopped" => false,
            _ => continue,
        };
        blocks += 1;
        if wanted && !serving {
            daemon.restart();
        } else if serving && !wanted {
            daemon.terminate();
        }
        serving = wanted;
        let mut script = Command::new("bash");
        script.args(["-e", "-c", &block.text]).current_dir(here.path()).env("PATH", &path);
        script.env("SOCK", daemon.socket()).env("LARDER_SOCKET", daemon.socket());
        script.env("LARDER_DATA", daemon.dir().join("data"));
        let printed = succeeds(&mut script);
        let expected = match (wanted, blocks) {
            (false, _) => "\nsound\n",
            (true, 1) => "today.db: ",
            (true, _) => "errors: 0",
        };
        assert!(printed.contains(expected), "README.md:{}: {expected}\n{printed}", block.line);
    }
    assert_eq!(blocks, 3);
    daemon.client().check("GET greeting", "=hello");
}

/// The fenced blocks of a page, in order.
pub(crate) fn fenced_blocks(markdown: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (index, line) in markdown.lines().enumerate() {
        match (&mut open, line.strip_prefix("```")) {
            (Some(_), Some("")) => blocks.extend(open.take()),
            (Some(block), _) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, Some(info)) => {
                open = Some(Block { line: index + 1, info: info.trim().to_owned(), text: String::new() });
            }
            (None, None) => {}
        }
    }
    blocks
}

/// Line by line; replies end with CRLF, which a README cannot show.
fn agrees(expected: &str, printed: &str) -> bool {
    let line_agrees = |(expected, printed): (&str, &str)| match expected.split_once('…') {
        Some((start, _)) => printed.starts_with(start),
        None => expected.trim_end() == printed.trim_end(),
    };
    expected.lines().count() == printed.lines().count()
        && expected.lines().zip(printed.lines()).all(line_agrees)
}

#[test]
fn blocks_and_ellipses_are_read_right() {
    let blocks = fenced_blocks("a\n```sh tour\necho 1\n\n```\nb\n```text\n1\n```\n");
    let expected = [(2, "sh tour", "echo 1\n\n"), (7, "text", "1\n")];
    assert_eq!(
        blocks,
        expected.map(|(line, info, text)| Block { line, info: info.into(), text: text.into() })
    );
    assert!(agrees("+OK\n{\"hits\":…\n", "+OK\r\n{\"hits\":5}\r\n"));
    assert!(!agrees("+OK\n", "+OK\n+OK\n"));
    assert!(!agrees("+O…k\n:1\n", "+OK\n:2\n"));
}
