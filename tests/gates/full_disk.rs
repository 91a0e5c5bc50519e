//! A small file system that fills up again and again while clients write: reads go on, refused writes say `-FULL`, what was
//! answered is kept, deletions are taken, and service returns by itself when there is room, in the same process.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::report::{Plan, Report, Subject};
use crate::space::Mounted;
use crate::util::{Daemon, Dice, HANG, Reply};

const SIZES: [&str; 3] = ["24m", "40m", "64m"];

#[test]
fn gate() {
    run(&Subject::larderd(), Plan::from_environment(3)).end();
}

pub(crate) fn run(subject: &Subject, plan: Plan) -> Report {
    let mut report = Report::new("full disk", plan);
    let mut dice = Dice::new(plan.seed);
    let (mut refused, mut taken, mut slowest) = (0, 0, Duration::ZERO);
    let mut deleted = 0;
    let mut left = plan.count;
    for size in SIZES.into_iter().cycle() {
        if left == 0 || report.is_red() {
            break;
        }
        let Some(small) = Mounted::in_memory(size) else { return report };
        let data = small.path().join("data");
        let settings = ["--merge-interval", "20ms", "--cleanup-interval", "100ms", "--compress-from", "0"];
        let daemon = Daemon::start_on(
            TempDir::new().unwrap(),
            &data,
            subject.binary.clone(),
            subject.environment.clone(),
            &settings,
        );
        let pid = daemon.pid();
        let mut promised: BTreeMap<String, Option<Vec<u8>>> = BTreeMap::new();
        let cycles = left.min(5);
        left -= cycles;
        for cycle in 0..cycles {
            let what = format!("{size}, cycle {cycle}");
            let mut client = daemon.client();
            let mut full = false;
            // Beside a ballast that takes all but what the daemon holds already, or by the daemon's own writes.
            let ballast = (dice.below(2) == 0).then(|| small.fill());
            for _ in 0..4_000 {
                let key = format!("key:{}", dice.below(6_000));
                let length = 100 + dice.below(9_000) as usize;
                let value = dice.bytes(length);
                match client.args(&[b"SET".as_slice(), key.as_bytes(), &value]) {
                    Reply::Simple(_) => {
                        taken += 1;
                        promised.insert(key, Some(value));
                    }
                    Reply::Error(error) if error.starts_with("FULL") => {
                        refused += 1;
                        full = true;
                        if dice.below(50) == 0 {
                            break;
                        }
                    }
                    reply => {
                        report.fail(format!("{what}: SET was answered {reply}"));
                        break;
                    }
                }
            }
            if !full {
                small.fill();
            }
            for (key, value) in promised.iter().step_by(7) {
                let want = value.as_ref().map_or(Reply::Nil, Reply::bulk);
                let got = client.args(&["GET", key]);
                if got != want {
                    report.fail(format!("{what}: with the disk full {key} is {got}, not {want}"));
                }
            }
            for number in 0..40 {
                let key = format!("key:{number}");
                match client.args(&["DEL", &key]) {
                    Reply::Integer(_) => {
                        deleted += 1;
                        promised.insert(key, None);
                    }
                    Reply::Error(error) if error.starts_with("FULL") => {}
                    reply => report.fail(format!("{what}: DEL was answered {reply}")),
                }
            }
            let _ = ballast;
            // May not be there, where the daemon's own writes filled it.
            let _ = fs::remove_file(small.path().join("ballast"));
            let since = Instant::now();
            let mut removed = 0;
            loop {
                match client.args(&["SET", "again", "1"]) {
                    Reply::Simple(_) => break,
                    Reply::Error(error) if error.starts_with("FULL") => {}
                    reply => report.fail(format!("{what}: SET was answered {reply}")),
                }
                if since.elapsed() > HANG {
                    report.fail(format!(
                        "{what}: no service {HANG:?} after there was room: {}",
                        daemon.output()
                    ));
                    return report;
                }
                // What fills the disk may be the daemon's own: room is then made by whoever wrote it.
                if since.elapsed() > Duration::from_millis(1_500 + 500 * removed) {
                    removed += 1;
                    for key in promised
                        .keys()
                        .filter(|key| key.ends_with(&format!("{}", removed % 10)))
                        .cloned()
                        .collect::<Vec<_>>()
                    {
                        if let Reply::Integer(_) = client.args(&["DEL", &key]) {
                            promised.insert(key, None);
                        }
                    }
                }
                std::thread::sleep(Duration::from_millis(5));
            }
            if removed == 0 {
                slowest = slowest.max(since.elapsed());
            }
            let mut wrong = 0;
            for (key, value) in &promised {
                let want = value.as_ref().map_or(Reply::Nil, Reply::bulk);
                let got = client.args(&["GET", key]);
                wrong += u64::from(got != want);
            }
            if wrong > 0 {
                report.fail(format!(
                    "{what}: {wrong} of {} keys do not hold what was answered",
                    promised.len()
                ));
            }
        }
        if daemon.pid() != pid || daemon.stats().get("pid") != i64::from(pid) {
            report.fail(format!("{size}: it was started again"));
        }
    }
    report.count("writes taken", taken);
    report.count("writes refused with -FULL", refused);
    report.count("deletions taken while full", deleted);
    report.count("ms the slowest return of service", slowest.as_millis());
    report
}
