//! SIGKILL at random moments, some of them while the daemon starts, under pipelined writes from 16 clients: no answered
//! write is lost, nothing that was deleted or overwritten comes back, and every start ends in service.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::report::{Plan, Report, Subject};
use crate::util::load::Load;
use crate::util::{Daemon, Dice};

const CLIENTS: u64 = 16;

/// One start in so many is itself killed before it ends.
const KILLED_STARTS: u64 = 5;

/// Merges, clean-up and new journals all the time, so that some of the kills hit them.
const BUSY: &[&str] = &["--cleanup-interval", "20ms", "--merge-interval", "7ms", "--journal-limit", "64KiB"];

/// Merges now and then, so that some of the kills find much to replay.
const CALM: &[&str] = &["--merge-interval", "300ms"];

/// How many cycles a daemon lives through; the settings change after that.
const CYCLES_EACH: u64 = 50;

#[test]
fn gate() {
    run(&Subject::larderd(), Plan::from_environment(25)).end();
}

pub(crate) fn run(subject: &Subject, plan: Plan) -> Report {
    let mut report = Report::new("kill", plan);
    let mut dice = Dice::new(plan.seed);
    let (mut answered, mut checked, mut slowest, mut replayed) = (0, 0, Duration::ZERO, 0);
    let mut killed_starts = 0;
    let mut left = plan.count;
    let mut settings = [BUSY, CALM].into_iter().cycle();
    while left > 0 && !report.is_red() {
        // The short form sees both as well.
        let cycles = left.min(CYCLES_EACH).min(plan.count.div_ceil(2));
        left -= cycles;
        let mut daemon = subject.start(settings.next().expect("a cycle has no end"));
        let mut loads: Vec<_> = (0..CLIENTS).map(|name| Load::new(name, dice.below(1 << 40))).collect();
        for cycle in 0..cycles {
            answered += under_load(&mut daemon, &mut loads, &mut dice);
            while dice.below(KILLED_STARTS) == 0 {
                daemon.launch();
                thread::sleep(Duration::from_micros(dice.below(25_000)));
                daemon.kill9();
                killed_starts += 1;
            }
            let since = Instant::now();
            daemon.restart();
            slowest = slowest.max(since.elapsed());
            replayed += u64::from(daemon.stats().get("buffer_entries") > 0);
            let mut client = daemon.client();
            for load in &mut loads {
                report.fail_all(
                    load.compare(&mut client).into_iter().map(|what| format!("cycle {cycle}: {what}")),
                );
                checked += load.promised.len();
            }
            let live =
                loads.iter().flat_map(|load| load.promised.values()).filter(|value| value.is_some()).count();
            let there = client.int("DBSIZE");
            if there != live as i64 {
                report.fail(format!("cycle {cycle}: DBSIZE is {there} where {live} keys are known"));
            }
        }
    }
    report.count("answered writes", answered);
    report.count("keys looked at", checked);
    report.count("kills of starts", killed_starts);
    report.count("starts with something left to merge", replayed);
    report.count("ms the slowest start", slowest.as_millis());
    report
}

/// All clients write until the daemon is killed, some tens of milliseconds later; how many writes were answered.
fn under_load(daemon: &mut Daemon, loads: &mut [Load], dice: &mut Dice) -> u64 {
    let answered = AtomicU64::new(0);
    thread::scope(|scope| {
        for load in loads.iter_mut() {
            let mut client = daemon.client();
            let answered = &answered;
            scope.spawn(move || load.write_until_killed(&mut client, answered));
        }
        // What has to be killed is a busy daemon; how long after its first answers is left to chance.
        let began = Instant::now();
        while answered.load(Ordering::Relaxed) < 100 && began.elapsed() < Duration::from_secs(20) {
            thread::sleep(Duration::from_millis(1));
        }
        thread::sleep(Duration::from_micros(dice.below(120_000)));
        daemon.kill9();
    });
    answered.into_inner()
}
