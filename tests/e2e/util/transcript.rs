//! Transcripts: what each command answers, written once, replayed in both dialects and against Redis.
//!
//! A file `transcripts/<command>.txt` holds requests and replies, in the notation of [`Reply`]:
//!
//! ```text
//! # a comment
//! > SET k v EX 100
//! +OK
//! > TTL k
//! :99..100
//! larder> DELPAT k*
//! :1
//! ```
//!
//! `larder>` marks what Redis does not have, or answers otherwise. `:a..b` is any integer from a to b, and an
//! ellipsis at the end of an error stands for the rest of it. Every file starts with an empty database.

use std::fs;
use std::path::PathBuf;

use super::{Client, Reply, repository};

/// One file.
pub(crate) struct Transcript {
    path: PathBuf,
    steps: Vec<Step>,
}

struct Step {
    line: usize,
    larder_only: bool,
    request: String,
    expected: Expected,
}

enum Expected {
    Exactly(Reply),
    Between(i64, i64),
    ErrorStarting(String),
}

impl Transcript {
    /// Every transcript there is, in the order of their names.
    #[track_caller]
    pub(crate) fn all() -> Vec<Self> {
        let dir = repository("tests/e2e/transcripts");
        let mut paths: Vec<_> = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
        paths.sort();
        assert!(!paths.is_empty(), "{} has transcripts", dir.display());
        paths.into_iter().map(Self::load).collect()
    }

    /// The names of the commands in it.
    pub(crate) fn commands(&self) -> impl Iterator<Item = String> {
        self.steps.iter().filter_map(|step| step.request.split(' ').next()).map(str::to_uppercase)
    }

    /// Replays it on a connection to larder; adds what differs to `mistakes`.
    #[track_caller]
    pub(crate) fn replay(&self, client: &mut Client, lines: bool, mistakes: &mut Vec<String>) {
        client.check("FLUSHALL", "+OK");
        for step in &self.steps {
            self.take(step, client, lines, mistakes);
        }
    }

    /// Replays what Redis has too on a connection to Redis.
    #[track_caller]
    pub(crate) fn replay_on_redis(&self, client: &mut Client, mistakes: &mut Vec<String>) {
        client.check("FLUSHALL", "+OK");
        for step in self.steps.iter().filter(|step| !step.larder_only) {
            self.take(step, client, false, mistakes);
        }
    }

    #[track_caller]
    fn take(&self, step: &Step, client: &mut Client, lines: bool, mistakes: &mut Vec<String>) {
        let got = client.cmd(&step.request);
        if let Err(want) = step.expected.accepts(&got, lines) {
            mistakes.push(format!(
                "{}:{}: {}\n    expected {want}\n    got      {got}",
                self.path.display(),
                step.line,
                step.request
            ));
        }
    }

    #[track_caller]
    fn load(path: PathBuf) -> Self {
        let text = fs::read_to_string(&path).unwrap();
        let lines = text.lines().enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        let lines: Vec<_> = lines.map(|(index, line)| (index + 1, line)).collect();
        let steps = lines
            .chunks(2)
            .map(|pair| {
                let fault = |what: &str| -> ! { panic!("{}:{}: {what}", path.display(), pair[0].0) };
                let [(line, request), (_, reply)] = *pair else { fault("a request without a reply") };
                let (larder_only, request) =
                    match (request.strip_prefix("> "), request.strip_prefix("larder> ")) {
                        (Some(shared), _) => (false, shared),
                        (_, Some(own)) => (true, own),
                        _ => fault("a request starts with '> ' or 'larder> '"),
                    };
                let expected = Expected::parse(reply).unwrap_or_else(|error| fault(&error));
                Step { line, larder_only, request: request.to_owned(), expected }
            })
            .collect();
        Self { path, steps }
    }
}

impl Expected {
    fn parse(notation: &str) -> Result<Self, String> {
        if let Some((low, high)) = notation.strip_prefix(':').and_then(|range| range.split_once("..")) {
            let bound = |text: &str| text.parse().map_err(|_| format!("not a range: {notation}"));
            return Ok(Self::Between(bound(low)?, bound(high)?));
        }
        if let Some(start) = notation.strip_prefix('-').and_then(|text| text.strip_suffix('…')) {
            return Ok(Self::ErrorStarting(start.to_owned()));
        }
        Reply::parse(notation).map(Self::Exactly)
    }

    /// `Err` with what was wanted, where `got` is something else.
    fn accepts(&self, got: &Reply, lines: bool) -> Result<(), String> {
        match (self, got) {
            (Self::Exactly(reply), got) => {
                let want = if lines { reply.clone().in_line() } else { reply.clone() };
                if *got == want { Ok(()) } else { Err(want.to_string()) }
            }
            (Self::Between(low, high), Reply::Integer(value)) if (low..=high).contains(&value) => Ok(()),
            (Self::ErrorStarting(start), Reply::Error(text)) if text.starts_with(start) => Ok(()),
            (Self::Between(low, high), _) => Err(format!(":{low}..{high}")),
            (Self::ErrorStarting(start), _) => Err(format!("-{start}…")),
        }
    }
}
