//! Power cuts: an ext4 of its own is cut off from its disk under load, mounted anew, and a daemon started on what is there.
//! With `fsync` nothing answered is lost; with `commit` nothing that was answered over a second before, and nothing at all
//! that a start had read since, after a kill; and what is there is never damaged. A control, the daemon being made to
//! believe that its syncs succeed, has to lose something: otherwise the cut cuts nothing off.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::report::{Plan, Report, Subject};
use crate::shim::Shim;
use crate::space::{cutter, ext4_image};
use crate::util::{Client, Daemon, Dice, Mounted, Outcome, Reply, encode, larderd, run as run_program};

/// A sync a second, and the time it takes on a busy machine.
const LOST_AT_MOST: Duration = Duration::from_millis(2_500);

const CLIENTS: u64 = 4;
/// Keys of a client; so many more where what was read at a start should take a while to be merged, which forces it as well.
const KEYS: u64 = 60;
const KEYS_MERGED_SLOWLY: u64 = 20_000;

/// Values are shorter than this, in bytes; in some cycles much longer, for which journals have larger pages.
const LENGTHS: u64 = 400;
const LENGTHS_MERGED_SLOWLY: u64 = 4_000;
const LENGTHS_OF_SOME: u64 = 60_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Fsync,
    Commit,
    /// `commit`, with a kill and a start before the cut.
    Killed,
    /// `commit` without the syncs.
    Control,
}

#[test]
fn fsync_loses_nothing() {
    run(&Subject::larderd(), Level::Fsync, Plan::from_environment(3)).end();
}

#[test]
fn commit_loses_a_second_at_most() {
    run(&Subject::larderd(), Level::Commit, Plan::from_environment(3)).end();
}

#[test]
fn what_a_start_has_read_is_kept() {
    run(&Subject::larderd(), Level::Killed, Plan::from_environment(3)).end();
}

#[test]
fn without_syncs_something_is_lost() {
    run(&Subject::larderd(), Level::Control, Plan::from_environment(1)).end();
}

fn run(subject: &Subject, level: Level, plan: Plan) -> Report {
    let name = match level {
        Level::Fsync => "power, fsync",
        Level::Commit => "power, commit",
        Level::Killed => "power, commit, killed before",
        Level::Control => "power, control without syncs",
    };
    let mut report = Report::new(name, plan);
    let places = tempfile::tempdir().unwrap();
    let (Some(cut), Some(shim)) = (cutter(places.path()), Shim::compile()) else { return report.skipped() };
    let mut dice = Dice::new(plan.seed);
    let (mut answered, mut lost, mut oldest, mut given_up) = (0, 0, Duration::ZERO, 0);
    for cycle in 0..plan.count {
        let image = places.path().join("image");
        if ext4_image(&image, 160).is_none() {
            return report.skipped();
        }
        let cut = Cut { level, subject, program: &cut, shim: &shim, cycle };
        let Some(after) = cut.make(&image, &mut dice, &mut report) else { return report.skipped() };
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

/// Writes of a daemon's second life have greater numbers than those of its first.
const SECOND_LIFE: u64 = 1 << 32;

/// What each client writes: values below so many bytes to so many keys, numbered upwards.
#[derive(Clone, Copy)]
struct Load {
    keys: u64,
    lengths: u64,
    first: u64,
}

/// All clients write for a while until `end` ends it.
fn under_load(
    daemon: &mut Daemon,
    answered: &mut Answered,
    load: Load,
    dice: &mut Dice,
    length: Duration,
    end: impl FnOnce(&mut Daemon),
) {
    let all = Mutex::new(answered);
    thread::scope(|scope| {
        for name in 0..CLIENTS {
            let mut client = daemon.client();
            let all = &all;
            let dice = Dice::new(dice.below(1 << 40));
            scope.spawn(move || {
                let written = write_until_cut(name, load, &mut client, dice);
                let mut all = all.lock().unwrap();
                for (key, mut writes) in written {
                    all.entry(key).or_default().append(&mut writes);
                }
            });
        }
        thread::sleep(length);
        end(daemon);
    });
}

/// What was answered for a key: each value, by its number, with the moment at which it was.
type Answered = BTreeMap<String, Vec<(u64, Instant)>>;

/// What happened up to a cut.
struct Before {
    answered: Answered,
    /// When the daemon was started again after a kill: what was answered by then has been read by that start.
    started: Option<Instant>,
    at_cut: Instant,
}

/// One cut, and what it is made with.
struct Cut<'a> {
    level: Level,
    subject: &'a Subject,
    program: &'a Path,
    shim: &'a Shim,
    cycle: u64,
}

impl Cut<'_> {
    /// Cuts `image` off under load and starts on what is left; `None` where the machine does not allow it.
    fn make(&self, image: &Path, dice: &mut Dice, report: &mut Report) -> Option<After> {
        let mounted = Mounted::image(image)?;
        let before = self.cut_off(&mounted, dice);
        mounted.unmount();

        let mounted = Mounted::image(image)?;
        let data = mounted.path().join("data");
        // Without syncs files may be anything.
        if self.level != Level::Control && data.join("larder.db").exists() {
            check_files(&data, report, self.cycle);
        }
        let again = self.start(&data, self.subject.environment.clone());
        let after = self.look_at(&again, &before, report);
        again.client().check("SET health 1", "+OK");
        drop(again);
        mounted.unmount();
        Some(after)
    }

    fn start(&self, data: &Path, environment: Vec<(String, PathBuf)>) -> Daemon {
        let durability = if self.level == Level::Fsync { "fsync" } else { "commit" };
        let settings = [
            "--merge-interval",
            "250ms",
            "--cleanup-interval",
            "400ms",
            "--disk-cap",
            "64MiB",
            "--max-value",
            "64KiB",
            "--durability",
            durability,
        ];
        Daemon::start_on(TempDir::new().unwrap(), data, self.subject.binary.clone(), environment, &settings)
    }

    /// A daemon under load, in the midst of which its file system is cut off.
    fn cut_off(&self, mounted: &Mounted, dice: &mut Dice) -> Before {
        let data = mounted.path().join("data");
        let mut environment = Vec::new();
        if self.level == Level::Control {
            environment = self.shim.environment(&data, Some("sync:1:SKIP:on"));
        }
        environment.extend(self.subject.environment.clone());
        let mut daemon = self.start(&data, environment);
        let mut answered = Answered::new();
        let (keys, lengths) = match self.level {
            Level::Killed => (KEYS_MERGED_SLOWLY, LENGTHS_MERGED_SLOWLY),
            _ if self.cycle % 3 == 2 => (KEYS, LENGTHS_OF_SOME),
            _ => (KEYS, LENGTHS),
        };
        let load = Load { keys, lengths, first: 1 };
        let mut started = None;
        if self.level == Level::Killed {
            // Shorter than between two syncs.
            let length = Duration::from_millis(200 + dice.below(700));
            under_load(&mut daemon, &mut answered, load, dice, length, Daemon::kill9);
            started = Some(Instant::now());
            daemon.restart();
        }
        let shorter = if self.cycle.is_multiple_of(2) { 0 } else { dice.below(400) };
        let length = match self.level {
            Level::Fsync => Duration::from_millis(100 + dice.below(500)),
            // Long enough for a merge, or too short.
            Level::Killed => Duration::from_millis(shorter),
            // Longer than what may be lost.
            Level::Commit | Level::Control => Duration::from_millis(2_600 + dice.below(1_400)),
        };
        let mut at_cut = Instant::now();
        let load = Load { first: SECOND_LIFE, ..load };
        under_load(&mut daemon, &mut answered, load, dice, length, |daemon| {
            at_cut = Instant::now();
            let output = Command::new(self.program).arg(mounted.path()).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            // Whoever is answered from here on was answered after the cut.
            if daemon.ended().is_none() {
                daemon.kill9();
            }
        });
        Before { answered, started, at_cut }
    }

    /// What is left of what was answered before.
    fn look_at(&self, again: &Daemon, before: &Before, report: &mut Report) -> After {
        let may_be_lost = match self.level {
            Level::Fsync => Duration::ZERO,
            Level::Commit | Level::Killed => LOST_AT_MOST,
            Level::Control => Duration::MAX,
        };
        let given_up = u64::from(again.output().contains("given up"));
        let mut after = After { given_up, ..After::default() };
        let mut client = again.client();
        for (key, writes) in &before.answered {
            let found = match client.args(&["GET", key]) {
                Reply::Nil => 0,
                reply => number_of(&reply),
            };
            // Those of the moment of the cut: answered by a daemon that has just been cut off, or not quite any more.
            let earlier: Vec<_> = writes.iter().filter(|(_, when)| *when < before.at_cut).collect();
            after.answered += earlier.len() as u64;
            let lost: Vec<_> = earlier.iter().filter(|(number, _)| *number > found).collect();
            after.lost += lost.len() as u64;
            if let Some((number, when)) = lost.first() {
                let age = before.at_cut - *when;
                after.oldest = after.oldest.max(age);
                if age > may_be_lost || before.started.is_some_and(|started| *when < started) {
                    report.fail(format!(
                        "cycle {}: {key} holds {found}; {number} was answered {age:?} before the cut: {}",
                        self.cycle,
                        again.output()
                    ));
                }
            }
        }
        after
    }
}

fn number_of(reply: &Reply) -> u64 {
    let text = str::from_utf8(reply.bytes()).expect("values are text");
    text.split(':')
        .next()
        .unwrap_or_default()
        .parse()
        .unwrap_or_else(|_| panic!("a value nobody set: {text:?}"))
}

fn write_until_cut(name: u64, load: Load, client: &mut Client, mut dice: Dice) -> Answered {
    let mut answered = Answered::new();
    for number in load.first.. {
        let key = format!("power:{name}:{}", dice.below(load.keys));
        let value = format!("{number}:{}", "v".repeat(dice.below(load.lengths) as usize));
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
