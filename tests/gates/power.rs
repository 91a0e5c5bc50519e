//! Power cuts: an ext4 of its own is cut off from its disk under load, mounted anew, and a daemon started on what is there.
//! With `fsync` nothing answered is lost; with `commit` nothing that was answered over a second before; and what is there is
//! never damaged. A control, the daemon being made to believe that its syncs succeed, has to lose something: otherwise the
//! cut cuts nothing off.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::report::{Plan, Report, Subject};
use crate::shim::Shim;
use crate::space::{Mounted, cutter, ext4_image};
use crate::util::{Client, Daemon, Dice, Outcome, Reply, encode, larderd, run as run_program};

/// A sync a second, and the time it takes on a busy machine.
const LOST_AT_MOST: Duration = Duration::from_millis(2_500);

const CLIENTS: u64 = 4;
const KEYS: u64 = 60;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Fsync,
    Commit,
    /// `commit` without the syncs.
    Control,
}

#[test]
fn fsync_loses_nothing() {
    run(Level::Fsync, Plan::from_environment(3)).end();
}

#[test]
fn commit_loses_a_second_at_most() {
    run(Level::Commit, Plan::from_environment(3)).end();
}

#[test]
fn without_syncs_something_is_lost() {
    run(Level::Control, Plan::from_environment(1)).end();
}

fn run(level: Level, plan: Plan) -> Report {
    let name = match level {
        Level::Fsync => "power, fsync",
        Level::Commit => "power, commit",
        Level::Control => "power, control without syncs",
    };
    let mut report = Report::new(name, plan);
    let places = tempfile::tempdir().unwrap();
    let (Some(cut), Some(shim)) = (cutter(places.path()), Shim::compile()) else { return report };
    let mut dice = Dice::new(plan.seed);
    let (mut answered, mut lost, mut oldest, mut given_up) = (0, 0, Duration::ZERO, 0);
    for cycle in 0..plan.count {
        let image = places.path().join("image");
        if ext4_image(&image, 160).is_none() {
            return report;
        }
        let Some(after) = one_cut(level, &image, &cut, &shim, &mut dice, &mut report, cycle) else {
            return report;
        };
        answered += after.answered;
        lost += after.lost;
        oldest = oldest.max(after.oldest);
        given_up += after.given_up;
    }
    if level == Level::Control && lost == 0 {
        report.fail("without syncs nothing was lost: the cut cuts nothing off");
    }
    report.count("answered writes", answered);
    report.count("answered writes lost", lost);
    report.count("ms before the cut the oldest of them was answered", oldest.as_millis());
    report.count("starts that gave entries up", given_up);
    report
}

#[derive(Default)]
struct After {
    answered: u64,
    lost: u64,
    oldest: Duration,
    given_up: u64,
}

/// What was answered for a key: each value, by its number, with the moment at which it was.
type Answered = BTreeMap<String, Vec<(u64, Instant)>>;

fn one_cut(
    level: Level,
    image: &Path,
    cut: &Path,
    shim: &Shim,
    dice: &mut Dice,
    report: &mut Report,
    cycle: u64,
) -> Option<After> {
    let mounted = Mounted::image(image)?;
    let data = mounted.path().join("data");
    let mut settings =
        vec!["--merge-interval", "250ms", "--cleanup-interval", "400ms", "--disk-cap", "64MiB"];
    settings.extend([
        "--max-value",
        "64KiB",
        "--durability",
        if level == Level::Fsync { "fsync" } else { "commit" },
    ]);
    let mut environment = Vec::new();
    if level == Level::Control {
        environment = shim.environment(&data, Some("sync:1:SKIP:on"));
    }
    let subject = Subject::larderd();
    let mut daemon = Daemon::start_on(TempDir::new().unwrap(), &data, subject.binary, environment, &settings);
    let all: Mutex<Answered> = Mutex::default();
    let mut at_cut = Instant::now();
    thread::scope(|scope| {
        for number in 0..CLIENTS {
            let mut client = daemon.client();
            let all = &all;
            let dice = Dice::new(dice.below(1 << 40));
            scope.spawn(move || {
                let answered = write_until_cut(number, &mut client, dice);
                all.lock().unwrap().extend(answered);
            });
        }
        thread::sleep(match level {
            Level::Fsync => Duration::from_millis(100 + dice.below(500)),
            // Longer than what may be lost.
            _ => Duration::from_millis(2_600 + dice.below(1_400)),
        });
        at_cut = Instant::now();
        let output = Command::new(cut).arg(mounted.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        // Whoever is answered from here on was answered after the cut.
        if daemon.ended().is_none() {
            daemon.kill9();
        }
    });
    mounted.unmount();

    let mounted = Mounted::image(image)?;
    let data = mounted.path().join("data");
    let mut after = After::default();
    // Without syncs files may be anything.
    if level != Level::Control && data.join("larder.db").exists() {
        check_files(&data, report, cycle);
    }
    let again =
        Daemon::start_on(TempDir::new().unwrap(), &data, Subject::larderd().binary, Vec::new(), &settings);
    after.given_up = u64::from(again.output().contains("given up"));
    let may_be_lost = match level {
        Level::Fsync => Duration::ZERO,
        Level::Commit => LOST_AT_MOST,
        Level::Control => Duration::MAX,
    };
    let mut client = again.client();
    for (key, writes) in all.into_inner().unwrap() {
        let found = match client.args(&["GET", &key]) {
            Reply::Nil => 0,
            reply => number_of(&reply),
        };
        // Those of the moment of the cut: answered by a daemon that has just been cut off, or not quite any more.
        let before: Vec<_> = writes.iter().filter(|(_, when)| *when < at_cut).collect();
        after.answered += before.len() as u64;
        let lost: Vec<_> = before.iter().filter(|(number, _)| *number > found).collect();
        after.lost += lost.len() as u64;
        if let Some((number, when)) = lost.first() {
            let age = at_cut - *when;
            after.oldest = after.oldest.max(age);
            if age > may_be_lost {
                report.fail(format!(
                    "cycle {cycle}: {key} holds {found}; {number} was answered {age:?} before the cut: {}",
                    again.output()
                ));
            }
        }
    }
    client.check("SET health 1", "+OK");
    drop((client, again));
    mounted.unmount();
    Some(after)
}

fn number_of(reply: &Reply) -> u64 {
    let text = str::from_utf8(reply.bytes()).expect("values are text");
    text.split(':')
        .next()
        .unwrap_or_default()
        .parse()
        .unwrap_or_else(|_| panic!("a value nobody set: {text:?}"))
}

fn write_until_cut(name: u64, client: &mut Client, mut dice: Dice) -> Answered {
    let mut answered = Answered::new();
    for number in 1.. {
        let key = format!("power:{name}:{}", dice.below(KEYS));
        let value = format!("{number}:{}", "v".repeat(dice.below(400) as usize));
        let reply = client.send(&encode(&["SET", &key, &value])).and_then(|()| client.read());
        let now = Instant::now();
        match reply {
            Ok(Reply::Simple(_)) => answered.entry(key).or_default().push((number, now)),
            // Refused, or the end: it has been cut off.
            _ => break,
        }
    }
    answered
}

fn check_files(data: &Path, report: &mut Report, cycle: u64) {
    let text = data.to_str().expect("temporary directories have plain names");
    let Outcome { status, stdout, stderr } = run_program(&mut larderd(&["check", "--data", text]));
    if status.code() == Some(1) {
        report.fail(format!("cycle {cycle}: larderd check: {stdout}{stderr}"));
    }
}
