//! Output without a terminal, from the program itself.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Output, Stdio};

use larder_protocol::stream::{Column, Message};

use crate::fake::Fake;
use crate::fixtures::{START_MS, World};

fn top(socket: &std::path::Path, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_larder-top"));
    command.arg("--socket").arg(socket).args(words).env_remove("LARDER_SOCKET").stdin(Stdio::null());
    command
}

fn printed(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// The first lines that the program prints; then nobody reads any more.
fn first_lines(mut command: Command, count: usize) -> (Vec<String>, Option<i32>) {
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let reader = BufReader::new(child.stdout.take().unwrap());
    let lines = reader.lines().take(count).collect::<Result<_, _>>().unwrap();
    (lines, child.wait().unwrap().code())
}

#[test]
fn once_prints_a_summary_of_what_is() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("s");
    let _fake = Fake::start(&socket, World::aged("first", START_MS, 400));
    let (code, out, err) = printed(&top(&socket, &["--once"]).output().unwrap());
    assert_eq!((code, err.as_str()), (Some(0), ""));
    for word in [
        "larder    0.1.0 pid 4711",
        "hit rate  now 9",
        "traffic   reads ",
        "latency   reads p50 ",
        "entries   ",
        "memory    6",
    ] {
        assert!(out.contains(word), "{word}\n{out}");
    }
}

#[test]
fn json_is_what_the_daemon_sends_a_line_each() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("s");
    let _fake = Fake::start(&socket, World::aged("first", START_MS, 30));
    let (lines, code) = first_lines(top(&socket, &["--json"]), 3);
    assert_eq!(code, Some(0), "a reader that has enough is no error");
    for line in lines {
        assert!(matches!(Message::from_json(&line), Ok(Message::Sample(_))), "{line}");
    }
}

#[test]
fn csv_has_a_head_and_a_step_a_line_at_the_interval() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("s");
    let _fake = Fake::start(&socket, World::aged("first", START_MS, 30));
    let (lines, code) = first_lines(top(&socket, &["--csv", "--interval", "2"]), 4);
    assert_eq!(code, Some(0));
    let fields: Vec<Vec<&str>> = lines.iter().map(|line| line.split(',').collect()).collect();
    assert_eq!(fields[0][..4], ["time_ms", "span_ms", "hit_rate", "hits"]);
    for line in &fields[1..] {
        assert_eq!(line.len(), Column::ALL.len() + 3);
        assert_eq!(line[1], "2000");
        let (rate, hits): (f64, i64) = (line[2].parse().unwrap(), line[3].parse().unwrap());
        assert!(rate > 0.5 && hits > 5_000, "{line:?}");
    }
}

#[test]
fn what_goes_wrong_is_said_and_has_its_code() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("s");
    for form in ["--once", "--json", "--csv"] {
        let (code, _, err) = printed(&top(&socket, &[form]).output().unwrap());
        assert_eq!(code, Some(1), "{form}");
        assert!(err.contains("No such file") && err.lines().count() == 1, "{err}");
    }
    let (code, out, err) = printed(&top(&socket, &[]).output().unwrap());
    assert_eq!((code, out.as_str()), (Some(2), ""));
    assert!(err.contains("--once"), "{err}");
    let (code, _, err) = printed(&top(&socket, &["--jsno"]).output().unwrap());
    assert_eq!(code, Some(2));
    assert!(err.contains("--json"), "{err}");
    // A daemon that goes away ends the output.
    let fake = Fake::start(&socket, World::new("first", START_MS));
    let mut child = top(&socket, &["--json"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    out.read_line(&mut String::new()).unwrap();
    drop(fake);
    out.read_to_string(&mut String::new()).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
}

#[test]
fn help_version_and_completions_are_printed() {
    let dir = tempfile::tempdir().unwrap();
    for (words, expected) in [
        (&["--help"][..], "--allow-writes"),
        (&["--version"], env!("CARGO_PKG_VERSION")),
        (&["--completions", "bash"], "complete -F"),
    ] {
        let (code, out, _) = printed(&top(dir.path(), words).output().unwrap());
        assert_eq!(code, Some(0));
        assert!(out.contains(expected), "{out}");
    }
}

/// `systemd/generated` has what the program prints, for packages; `UPDATE_DOCUMENTS=1` writes it anew.
#[test]
fn manual_and_completions_are_those_of_this_program() {
    let dir = tempfile::tempdir().unwrap();
    let generated = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../systemd/generated");
    for (words, file) in [
        (&["--man"][..], "larder-top.1"),
        (&["--completions", "bash"], "larder-top.bash"),
        (&["--completions", "zsh"], "_larder-top"),
        (&["--completions", "fish"], "larder-top.fish"),
    ] {
        let (code, out, _) = printed(&top(dir.path(), words).output().unwrap());
        assert_eq!(code, Some(0));
        let path = generated.join(file);
        if std::env::var_os("UPDATE_DOCUMENTS").is_some() {
            std::fs::write(&path, &out).unwrap();
        }
        let there = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(there == out, "{file} is out of date: run this test with UPDATE_DOCUMENTS=1");
    }
}
