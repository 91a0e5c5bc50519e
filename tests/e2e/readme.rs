//! The tour of README.md: every block marked `sh tour` is run as it stands there, in order, against one fresh daemon.
//!
//! `$SOCK` is the daemon's socket. A `text` block that follows is what the script prints; in it an ellipsis stands
//! for whatever the line holds from there on.

use std::fs;

use crate::util::{Daemon, bash, repository, tool};

/// One fenced block.
#[derive(Debug, PartialEq, Eq)]
struct Block {
    /// The line of its opening fence.
    line: usize,
    /// What stands behind the opening fence.
    info: String,
    text: String,
}

#[test]
fn the_tour_is_what_happens() {
    let path = repository("README.md");
    let readme = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let blocks = fenced_blocks(&readme);
    let tours: Vec<_> = blocks
        .iter()
        .enumerate()
        .filter(|(_, block)| block.info == "sh tour")
        .map(|(index, block)| (block, blocks.get(index + 1).filter(|next| next.info == "text")))
        .collect();
    assert!(!tours.is_empty(), "README.md has no block that opens with ```sh tour");
    assert!(tours.iter().any(|(_, expected)| expected.is_some()), "no tour block says what it prints");

    for name in ["bash", "nc", "socat", "redis-cli", "python3"] {
        let uses =
            |text: &str| text.split(|c: char| !(c.is_alphanumeric() || c == '-')).any(|word| word == name);
        let needed = name == "bash" || tours.iter().any(|(block, _)| uses(&block.text));
        if needed && tool(name).is_none() {
            return;
        }
    }
    let daemon = Daemon::start(&[]);
    for (block, expected) in tours {
        let printed = bash(&daemon, &block.text);
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

fn fenced_blocks(markdown: &str) -> Vec<Block> {
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
