//! The gates can fail: each mistake of `daemon/src/planted.rs`, put into a daemon, turns the gate named here red. The daemon
//! with the mistakes is a binary of its own, `larderd-planted`, built here; the one that the other gates are run against has
//! none of them.

use std::io::{self, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

use crate::report::{Plan, Report, Subject};
use crate::util::{binary, repository};
use crate::{expiry, kill, linear, model};

/// The daemon with mistakes: beside the real one, in the same profile and from the same dependencies.
static PLANTED: LazyLock<PathBuf> = LazyLock::new(|| {
    let real = PathBuf::from(env!("CARGO_BIN_EXE_larderd"));
    let profile_dir = real.parent().expect("target/<profile>/larderd");
    let mut build = Command::new(env!("CARGO"));
    build.args([
        "build",
        "--quiet",
        "-p",
        "larderd",
        "--bin",
        "larderd-planted",
        "--features",
        "planted-bugs",
    ]);
    if profile_dir.file_name().is_some_and(|profile| profile == "release") {
        build.arg("--release");
    }
    build.arg("--target-dir").arg(profile_dir.parent().expect("target/<profile>"));
    build.current_dir(repository("")).stdin(Stdio::null());
    let output = build.output().expect("cargo is there, since it runs this");
    assert!(output.status.success(), "{build:?}: {}", String::from_utf8_lossy(&output.stderr));
    profile_dir.join("larderd-planted")
});

fn subject(bug: &str) -> Subject {
    Subject { binary: PLANTED.clone(), environment: vec![("LARDERD_PLANTED_BUG".into(), bug.into())] }
}

/// Runs a gate on a daemon with `bug`, with several seeds if need be, until it is red; and says in what way it was.
#[track_caller]
fn turns_red(bug: &str, gate: impl Fn(&Subject, u64) -> Report) {
    let subject = subject(bug);
    for seed in 1..=5 {
        // Gates end at their first failures; one that ends in a panic is red as well.
        let outcome = catch_unwind(AssertUnwindSafe(|| gate(&subject, seed)));
        let told = match outcome {
            Ok(report) if report.is_red() => {
                format!("{}\n    {}", report.line(), report.told().lines().next().unwrap_or_default())
            }
            Ok(report) if report.was_skipped() => return,
            Ok(_) => continue,
            Err(panic) => panic
                .downcast_ref::<String>()
                .map_or("a panic", |text| text.lines().next().unwrap_or_default())
                .to_owned(),
        };
        let _ = writeln!(io::stderr(), "gate planted: {bug}: red with seed {seed}: {told}");
        return;
    }
    panic!("{bug} was planted, and the gate stayed green");
}

#[test]
fn answer_before_commit_turns_kill_red() {
    turns_red("AnswerBeforeCommit", |subject, seed| kill::run(subject, Plan { count: 10, seed }));
}

#[test]
fn publish_before_commit_turns_linear_red() {
    let often = Duration::from_millis(60);
    turns_red("PublishBeforeCommit", |subject, seed| {
        linear::run(subject, Plan { count: 40_000, seed }, Some(often))
    });
}

#[test]
fn a_stale_fill_turns_linear_red() {
    turns_red("StaleFill", |subject, seed| linear::run(subject, Plan { count: 60_000, seed }, None));
}

#[test]
fn an_unmerged_eviction_turns_linear_red() {
    turns_red("UnmergedEviction", |subject, seed| linear::run(subject, Plan { count: 40_000, seed }, None));
}

#[test]
fn a_lost_tombstone_turns_kill_red() {
    turns_red("LostTombstone", |subject, seed| kill::run(subject, Plan { count: 10, seed }));
}

#[test]
fn a_double_replay_turns_kill_red() {
    turns_red("DoubleReplay", |subject, seed| kill::run(subject, Plan { count: 10, seed }));
}

#[test]
fn a_ttl_by_the_wall_clock_turns_expiry_red() {
    turns_red("WallClockTtl", |subject, seed| expiry::run(subject, Plan { count: 2_000, seed }));
}

#[test]
fn a_dropped_reply_turns_model_red() {
    turns_red("DroppedReply", |subject, seed| model::run(subject, Plan { count: 20_000, seed }));
}

/// The mistakes are in a binary of their own: the one under test knows nothing of them.
#[test]
fn the_daemon_under_test_has_no_mistakes_to_choose_from() {
    if cfg!(feature = "planted-bugs") {
        // Where everything is switched on, so are they.
        return;
    }
    let bytes = std::fs::read(binary()).unwrap();
    let name = b"LARDERD_PLANTED_BUG";
    assert!(!bytes.windows(name.len()).any(|window| window == name), "{} has them", binary().display());
}
