//! Many keys that expire together, while the wall clock jumps forwards and back: nothing is served past its deadline,
//! nothing goes before it, and the clean-up takes everything in the end.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::report::{Plan, Report, Subject, percentile_99_us};
use crate::shim::Shim;
use crate::util::{Client, Daemon, Dice, Reply, wait_for_clock, wait_until};

/// The daemon's clock is in whole milliseconds, and read at another moment than this process's.
const SLACK: Duration = Duration::from_millis(5);

/// By how much the wall clock jumps.
const JUMPS_MS: [i64; 4] = [3_600_000, -3_600_000, 60_000, 0];

#[test]
fn gate() {
    run(&Subject::larderd(), Plan::from_environment(50_000)).end();
}

pub(crate) fn run(subject: &Subject, plan: Plan) -> Report {
    let mut report = Report::new("expiry", plan);
    let Some(shim) = Shim::compile() else { return report };
    let mut environment = subject.environment.clone();
    // No files are meant: it is the clock alone.
    environment.extend(shim.environment("/nonexistent".as_ref(), None));
    let daemon = Daemon::start_other(
        subject.binary.clone(),
        environment,
        &["--cleanup-interval", "500ms", "--merge-interval", "50ms", "--memory-cap", "8MiB"],
    );

    let mut client = daemon.client();
    let lifetime = Duration::from_millis(2_500 + plan.count / 100);
    let began = Instant::now();
    let until = began + lifetime;
    write_together(&mut client, plan.count, until);
    report.count("ms to write them", began.elapsed().as_millis());

    let done = AtomicBool::new(false);
    let (mut before, mut during) = (Vec::new(), Vec::new());
    let mut looked = (0, Vec::new());
    thread::scope(|scope| {
        let watcher = scope.spawn(|| watch_deadlines(&mut daemon.client(), plan.seed, &done));
        let jumper = scope.spawn(|| jump(&shim, &done));
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let mut number = 0;
            while Instant::now() < until + Duration::from_millis(1_500) {
                number += 1;
                let sent = Instant::now();
                client.args(&["GET", &format!("together:{}", number * 7_919 % plan.count)]);
                let into = if sent < until { &mut before } else { &mut during };
                into.push(sent.elapsed());
            }
            wait_until("the clean-up to take everything", || {
                let expired = client.stats().get("expirations");
                let all = expired >= plan.count as i64;
                if all { Ok(()) } else { Err(format!("{expired} of {}", plan.count)) }
            });
        }));
        done.store(true, Ordering::Relaxed);
        jumper.join().expect("it only sleeps");
        looked = watcher.join().expect("it returns what it finds");
        if let Err(panic) = outcome {
            report.fail(format!("{:?}", panic.downcast_ref::<String>()));
        }
    });
    report.count("ms from the deadline until all were removed", (until.elapsed()).as_millis());
    report.count("deadlines watched", looked.0);
    report.count("us the 99th percentile of GET before", percentile_99_us(&mut before));
    report.count("us during", percentile_99_us(&mut during));
    report.fail_all(looked.1);
    report
}

/// Writes so many keys that all expire at `until`.
fn write_together(client: &mut Client, count: u64, until: Instant) {
    let value = "v".repeat(64);
    for first in (0..count).step_by(1_000) {
        let set = |number: u64| {
            let left = until.saturating_duration_since(Instant::now()).as_millis().max(1);
            ["SET", &format!("together:{number}"), &value, "PX", &left.to_string()]
                .map(str::to_owned)
                .to_vec()
        };
        let requests: Vec<_> = (first..(first + 1_000).min(count)).map(set).collect();
        let replies = client.pipeline(&requests).unwrap();
        assert!(replies.iter().all(|reply| *reply == Reply::ok()));
    }
}

/// Has the wall clock jump until `done`. Every jump lasts long enough for deadlines to fall into it.
fn jump(shim: &Shim, done: &AtomicBool) {
    for &jump in JUMPS_MS.iter().cycle() {
        shim.shift_clock(jump);
        let next = Instant::now() + Duration::from_millis(300);
        while Instant::now() < next {
            if done.load(Ordering::Relaxed) {
                return;
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// When it was sent and answered, its name, and its life.
struct Due {
    sent: Instant,
    answered: Instant,
    key: String,
    life: Duration,
}

/// Writes keys with short deadlines and reads each around its own, until `done`: how many, and what was wrong.
fn watch_deadlines(client: &mut Client, seed: u64, done: &AtomicBool) -> (u64, Vec<String>) {
    let mut dice = Dice::new(seed);
    let (mut watched, mut wrong) = (0, Vec::new());
    let mut due: VecDeque<Due> = VecDeque::new();
    while !done.load(Ordering::Relaxed) {
        let life = Duration::from_millis(40 + dice.below(400));
        let key = format!("due:{watched}");
        let sent = Instant::now();
        let reply = client.args(&["SET", &key, "v", "PX", &life.as_millis().to_string()]);
        if reply != Reply::ok() {
            wrong.push(format!("SET {key}: {reply}"));
        }
        due.push_back(Due { sent, answered: Instant::now(), key, life });
        watched += 1;
        due.retain(|Due { sent, answered, key, life }| {
            let before = Instant::now();
            let reply = client.args(&["GET", key]);
            let after = Instant::now();
            if before > *answered + *life + SLACK {
                if reply != Reply::Nil {
                    wrong.push(format!(
                        "{key} with a life of {life:?} was served {:?} after it was set",
                        before - *answered
                    ));
                }
                return false;
            }
            if reply == Reply::Nil {
                if after + SLACK < *sent + *life {
                    wrong.push(format!("{key} with a life of {life:?} was gone after {:?}", after - *sent));
                }
                return false;
            }
            true
        });
        if due.len() > 30 {
            wait_for_clock(Instant::now() + Duration::from_millis(5));
        }
    }
    (watched, wrong)
}
