//! A bench for the commands' own tests: runs a line against tiers without files, and compares the answer as one sees it
//! in the line dialect.

use bytes::BytesMut;
use larder_protocol::{FrameLimits, Parser, Progress, Reply, Requests, Stat, Wire, encode};

use super::{REGISTRY, Run, resolve};
use crate::cache::testing::Bare;
use crate::cache::{Rules, Stop, View};
use crate::stats::Counters;

/// Tiers, a clock that only the test moves, and counters.
#[derive(Debug)]
pub(crate) struct Bench {
    bare: Bare,
    counters: Counters,
    now_ms: i64,
    rules: Rules,
}

impl Default for Bench {
    fn default() -> Self {
        Self {
            bare: Bare::default(),
            counters: Counters::new(REGISTRY.len()),
            now_ms: 1_700_000_000_000,
            rules: Rules {
                default_ttl_ms: None,
                max_ttl_ms: None,
                ttl_jitter_percent: 0,
                answer_bytes_max: usize::MAX,
                value_bytes_max: 1_000,
            },
        }
    }
}

impl Bench {
    pub(crate) fn with_rules(change: impl FnOnce(&mut Rules)) -> Self {
        let mut bench = Self::default();
        change(&mut bench.rules);
        bench
    }

    pub(crate) fn with_default_ttl_ms(ms: i64) -> Self {
        Self::with_rules(|rules| rules.default_ttl_ms = Some(ms))
    }

    pub(crate) fn with_answer_bytes_max(bytes: usize) -> Self {
        let mut bench = Self::default();
        bench.rules.answer_bytes_max = bytes;
        bench
    }

    /// Runs `line` and asserts what it is answered, without the line end; lines of an array are joined by a blank.
    #[track_caller]
    pub(crate) fn check(&mut self, line: &str, answer: &str) {
        let mut out = BytesMut::new();
        encode(&self.run(line), Wire::Line, &mut out);
        let text = String::from_utf8_lossy(&out);
        assert_eq!(text.trim_end().replace("\r\n", " "), answer, "{line}");
    }

    /// Runs `line` and commits.
    pub(crate) fn run(&mut self, line: &str) -> Reply {
        let input = format!("{line}\n");
        let mut requests = Requests::default();
        let progress = Parser::new(FrameLimits::default()).parse(input.as_bytes(), &mut requests, 1);
        assert!(!matches!(progress, Progress::Broken(_)), "{line}: {progress:?}");
        let request = requests.get(0, input.as_bytes());
        let Self { bare, counters, now_ms, rules } = self;
        let done =
            resolve(request, 1_000).map_err(Stop::from).and_then(|(_, spec)| match spec.run.of(request) {
                Run::Step(run) => {
                    bare.step(counters, *now_ms, *rules, |view: &mut View<'_>| run(request, view))
                }
                Run::Local(_) | Run::Job(_) | Run::LocalOrJob(..) | Run::StepOrJob(..) | Run::Session(_) => {
                    panic!("{line}: not a command that runs on the cache alone")
                }
            });
        match done {
            Ok(reply) => reply,
            Err(Stop::Error(error)) => Reply::error(error.to_string()),
            Err(Stop::Missing) => panic!("{line}: nothing is ever missing here"),
        }
    }

    pub(crate) fn advance_ms(&mut self, ms: i64) {
        self.now_ms += ms;
    }

    pub(crate) fn now_ms(&self) -> i64 {
        self.now_ms
    }

    pub(crate) fn stat(&self, stat: Stat) -> u64 {
        self.counters.get(stat)
    }
}
