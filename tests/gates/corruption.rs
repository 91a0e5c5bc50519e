//! Damaged files: bytes flipped, pages zeroed, garbage, ends cut off, older copies put in place. Every start ends in service,
//! never with a value that is not the last one, and what is damaged is set aside or repaired, once and for all.
//!
//! What no start can notice is left out, as in the end-to-end tests: a larder.db of an earlier time beside a newer log of its own
//! is what SQLite takes for its own.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use tempfile::TempDir;

use crate::report::{Plan, Report, Subject};
use crate::util::damage::{Bases, Last, copy_data, largest_file};
use crate::util::{Client, Daemon, Dice, Reply, wait_until};

const KEYS: u64 = 300;

const SETTINGS: &[&str] = &[
    "--disk-cap",
    "64MiB",
    "--max-value",
    "1MiB",
    "--memory-cap",
    "0",
    "--merge-interval",
    "1h",
    "--compress-from",
    "0",
    "--cleanup-interval",
    "1h",
    "--journal-limit",
    "256KiB",
];

/// Damaged copies of one data directory, before another is made.
const CASES_EACH: u64 = 40;

#[test]
fn gate() {
    run(&Subject::larderd(), Plan::from_environment(20)).end();
}

pub(crate) fn run(subject: &Subject, plan: Plan) -> Report {
    let mut report = Report::new("corruption", plan);
    let mut dice = Dice::new(plan.seed);
    let mut left = plan.count;
    let (mut found, mut whole, mut aside, mut emptied) = (0, 0, 0, 0);
    while left > 0 && !report.is_red() {
        let cases = left.min(CASES_EACH);
        left -= cases;
        let bases = Bases::new(|| subject.start(SETTINGS), KEYS, &mut dice);
        for _ in 0..cases {
            let places = TempDir::new().unwrap();
            let data = places.path().join("data");
            let what = damaged(&bases, &data, &mut dice);
            let mut daemon = Daemon::start_on(
                places,
                &data,
                subject.binary.clone(),
                subject.environment.clone(),
                SETTINGS,
            );
            let first = look(&daemon, &bases.last, &what, &mut report);
            aside += u64::from(
                fs::read_dir(&data)
                    .unwrap()
                    .any(|file| file.unwrap().file_name().to_string_lossy().contains(".corrupt-2")),
            );
            daemon.kill9();
            daemon.restart();
            let second = look(&daemon, &bases.last, &format!("{what}, and again"), &mut report);
            if second != first {
                report.fail(format!(
                    "{what}: {first} keys were found, and {second} after a restart: {}",
                    daemon.output()
                ));
            }
            found += first;
            whole += bases.last.values().filter(|value| value.is_some()).count() as u64;
            emptied += u64::from(first == 0);
        }
    }
    report.count("values found", found);
    report.count("there before the damage", whole);
    report.count("starts that set a file aside", aside);
    report.count("starts that gave everything up", emptied);
    report
}

/// Puts a damaged copy of one of the directories into `data`; says what was done.
fn damaged(bases: &Bases, data: &Path, dice: &mut Dice) -> String {
    let killed = dice.below(4) > 0;
    copy_data(&bases.path(if killed { "killed" } else { "clean" }), data);
    let (begins, ends) = match (killed, dice.below(5)) {
        (true, 0) => ("larder.db", ".db-wal"),
        (true, 1 | 2) => ("journal-", ".db-wal"),
        (true, 3) => ("journal-", ".db"),
        _ => ("larder.db", ".db"),
    };
    let file = largest_file(data, begins, ends);
    let bytes = fs::metadata(&file).unwrap().len();
    let opened = OpenOptions::new().read(true).write(true).open(&file).unwrap();
    let done = match dice.below(5) {
        0 => {
            let count = 1 + dice.below(20);
            for _ in 0..count {
                let at = dice.below(bytes);
                let mut byte = [0];
                opened.read_exact_at(&mut byte, at).unwrap();
                opened.write_all_at(&[byte[0] ^ (1 + dice.below(255) as u8)], at).unwrap();
            }
            format!("{count} bytes flipped")
        }
        1 => {
            let length = dice.below(bytes);
            opened.set_len(length).unwrap();
            format!("cut off at {length} of {bytes}")
        }
        2 => {
            let at = dice.below(bytes / 4_096 + 1) * 4_096;
            let length = (1 + dice.below(3)) * 4_096;
            let length = length.min(bytes - at.min(bytes)) as usize;
            opened.write_all_at(&vec![0; length], at.min(bytes)).unwrap();
            format!("{length} zeros at {at}")
        }
        3 if begins == "larder.db" && ends == ".db" && !killed => {
            fs::copy(bases.path("older/larder.db"), &file).unwrap();
            "an older copy".to_owned()
        }
        _ => {
            let at = if dice.below(2) == 0 { 0 } else { dice.below(bytes) };
            let length = (bytes - at).min(1 + dice.below(20_000));
            opened.write_all_at(&dice.bytes(length as usize), at).unwrap();
            format!("{length} bytes of garbage at {at} of {bytes}")
        }
    };
    let name = file.file_name().unwrap().to_string_lossy().into_owned();
    format!("{}, {name}: {done}", if killed { "killed" } else { "stopped" })
}
/// How many of the keys are there; one with a value that is not its last is a failure. The daemon may start over
/// meanwhile, within its process.
fn look(daemon: &Daemon, last: &Last, what: &str, report: &mut Report) -> u64 {
    let mut client = daemon.client();
    let mut found = 0;
    let mut ask = |request: &[&[u8]]| {
        wait_until(&format!("an answer ({what})"), || match client.pipeline(&[request.to_vec()]) {
            Ok(mut replies) => match replies.remove(0) {
                Reply::Error(error) => Err(error),
                reply => Ok(reply),
            },
            Err(error) => {
                if let Ok(again) = Client::connect(daemon.socket()) {
                    client = again;
                }
                Err(format!("{what}: {error}: {}", daemon.output()))
            }
        })
    };
    for (key, last) in last {
        match ask(&[b"GET", key.as_bytes()]) {
            Reply::Nil => {}
            reply => {
                found += 1;
                if last.as_deref() != Some(reply.bytes()) {
                    let shown: String =
                        String::from_utf8_lossy(&reply.bytes()[..12.min(reply.bytes().len())]).into_owned();
                    report.fail(format!(
                        "{what}: {key} is {shown}..., which is not what it was given last: {}",
                        daemon.output()
                    ));
                }
            }
        }
    }
    ask(&[b"SET", b"health", b"1"]);
    ask(&[b"CLEANUP"]);
    if ask(&[b"GET", b"health"]) != Reply::bulk("1") {
        report.fail(format!("{what}: it does not keep what it is given"));
    }
    ask(&[b"DEL", b"health"]);
    found
}
