//! A small file system that fills up again and again while clients write: reads go on, refused writes say `-FULL`, what was
//! answered is kept, deletions are taken, and service returns by itself when there is room, in the same process.

use std::collections::BTreeMap;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::report::{Plan, Report, Subject};
use crate::shim::Shim;
use crate::util::{Client, Daemon, Dice, HANG, Mounted, Reply, wait_until};

const SIZES: [&str; 3] = ["24m", "40m", "64m"];

/// Cycles on one file system.
const CYCLES_EACH: u64 = 5;

const SETTINGS: &[&str] =
    &["--merge-interval", "20ms", "--cleanup-interval", "100ms", "--compress-from", "0"];

#[test]
fn gate() {
    run(&Subject::larderd(), Plan::from_environment(3)).end();
}

pub(crate) fn run(subject: &Subject, plan: Plan) -> Report {
    let mut report = Report::new("full disk", plan);
    let mut dice = Dice::new(plan.seed);
    let mut tally = Tally::default();
    let mut left = plan.count;
    for size in SIZES.into_iter().cycle() {
        if left == 0 || report.is_red() {
            break;
        }
        let Some(small) = Mounted::in_memory(size) else { return report };
        let data = small.path().join("data");
        let (binary, environment) = (subject.binary.clone(), subject.environment.clone());
        let daemon = Daemon::start_on(TempDir::new().unwrap(), &data, binary, environment, SETTINGS);
        let mut held = Held::default();
        let cycles = left.min(CYCLES_EACH);
        left -= cycles;
        for cycle in 0..cycles {
            let what = format!("{size}, cycle {cycle}");
            held.cycle(&small, &daemon, &mut dice, &what, &mut tally, &mut report);
        }
        if daemon.stats().get("pid") != i64::from(daemon.pid()) {
            report.fail(format!("{size}: it was started again"));
        }
    }
    report.count("writes taken", tally.taken);
    report.count("writes refused with -FULL", tally.refused);
    report.count("deletions taken while full", tally.deleted);
    report.count("ms the slowest return of service", tally.slowest.as_millis());
    report
}

#[derive(Default)]
struct Tally {
    taken: u64,
    refused: u64,
    deleted: u64,
    slowest: Duration,
}

/// What was answered for each key.
#[derive(Default)]
struct Held(BTreeMap<String, Option<Vec<u8>>>);

impl Held {
    /// Full, and room again.
    fn cycle(
        &mut self,
        small: &Mounted,
        daemon: &Daemon,
        dice: &mut Dice,
        what: &str,
        tally: &mut Tally,
        report: &mut Report,
    ) {
        let mut client = daemon.client();
        // Beside a ballast that takes all but what the daemon holds already, or by the daemon's own writes.
        if dice.below(2) == 0 {
            small.fill();
        }
        if !self.write_until_full(&mut client, dice, what, tally, report) {
            small.fill();
        }
        self.check(&mut client, 7, &format!("{what}, full"), report);
        for number in 0..40 {
            tally.deleted += u64::from(self.delete(&mut client, &format!("key:{number}")));
        }
        // Not there, where the daemon's own writes filled it.
        let _ = fs::remove_file(small.path().join("ballast"));
        if let Some(took) = self.wait_for_service(&mut client, what, report) {
            tally.slowest = tally.slowest.max(took);
        }
        self.check(&mut client, 1, &format!("{what}, room again"), report);
    }

    /// Whether a write was refused.
    fn write_until_full(
        &mut self,
        client: &mut Client,
        dice: &mut Dice,
        what: &str,
        tally: &mut Tally,
        report: &mut Report,
    ) -> bool {
        let mut full = false;
        for _ in 0..4_000 {
            let key = format!("key:{}", dice.below(6_000));
            let length = 100 + dice.below(9_000) as usize;
            let value = dice.bytes(length);
            match client.args(&[b"SET".as_slice(), key.as_bytes(), &value]) {
                Reply::Simple(_) => {
                    tally.taken += 1;
                    self.0.insert(key, Some(value));
                }
                Reply::Error(error) if error.starts_with("FULL") => {
                    tally.refused += 1;
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
        full
    }

    /// Every so many-th key holds what was answered.
    fn check(&self, client: &mut Client, every: usize, what: &str, report: &mut Report) {
        let wrong = self.0.iter().step_by(every).filter(|(key, value)| {
            let want = value.as_ref().map_or(Reply::Nil, Reply::bulk);
            client.args(&["GET", key]) != want
        });
        let wrong = wrong.count();
        if wrong > 0 {
            report.fail(format!(
                "{what}: {wrong} of {} keys do not hold what was answered",
                self.0.len() / every
            ));
        }
    }

    fn delete(&mut self, client: &mut Client, key: &str) -> bool {
        let taken = matches!(client.args(&["DEL", key]), Reply::Integer(_));
        if taken {
            self.0.insert(key.to_owned(), None);
        }
        taken
    }

    /// How long it took until writes were taken, if that came by itself. Where it was the daemon's own entries that filled the
    /// disk, somebody has to delete some.
    fn wait_for_service(&mut self, client: &mut Client, what: &str, report: &mut Report) -> Option<Duration> {
        let since = Instant::now();
        let mut deletions = 0;
        loop {
            match client.args(&["SET", "again", "1"]) {
                Reply::Simple(_) => return (deletions == 0).then(|| since.elapsed()),
                Reply::Error(error) if error.starts_with("FULL") => {}
                reply => report.fail(format!("{what}: SET was answered {reply}")),
            }
            if since.elapsed() > HANG {
                report.fail(format!("{what}: no service {HANG:?} after there was room"));
                return None;
            }
            if since.elapsed() > Duration::from_millis(1_500 + 500 * deletions) {
                deletions += 1;
                let last = (deletions % 10).to_string();
                let some: Vec<_> = self.0.keys().filter(|key| key.ends_with(&last)).cloned().collect();
                for key in some {
                    self.delete(client, &key);
                }
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Where the database's log has no room, nothing is merged, and only deletions are taken: as far as the journal has its share of
/// the disk, and no further.
#[test]
fn deletions_stay_within_the_journals_share() {
    const KEYS: usize = 12_000;
    const NEVER: i64 = 1 << 40;
    let Some(shim) = Shim::compile() else { return };
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let fault = format!("write:{NEVER}:ENOSPC:on");
    let environment = shim.environment(&data.join("larder.db-wal"), Some(&fault));
    let settings = ["--disk-cap", "64MiB", "--max-value", "64KiB", "--merge-interval", "20ms"];
    let daemon = Daemon::start_on(
        tempfile::tempdir().unwrap(),
        &data,
        Subject::larderd().binary,
        environment,
        &settings,
    );
    let mut client = daemon.client();
    let keys: Vec<String> = (0..KEYS).map(|number| format!("key:{number}")).collect();
    for some in keys.chunks(500) {
        let requests: Vec<_> = some.iter().map(|key| vec!["SET", key, "v"]).collect();
        client.pipeline(&requests).unwrap();
    }
    client.check("CLEANUP", ":0");
    shim.count_writes_from(NEVER);
    wait_until("entries to be refused", || match client.cmd("SET probe 1") {
        Reply::Error(text) if text.starts_with("FULL") => Ok(()),
        other => Err(other.to_string()),
    });
    // One commit each, which is some thousands of bytes in the journal.
    let taken = keys.iter().take_while(|key| client.args(&["DEL", key]) == Reply::Integer(1)).count();
    let journals = client.stats().get("journal_bytes");
    assert!((500..KEYS).contains(&taken), "{taken} deletions were taken, and then {journals} bytes");
    assert!(journals <= 2 * (64 << 20) / 8, "{journals} bytes of journals after {taken} deletions");
    client.check(&format!("GET {}", keys[KEYS - 1]), "=v");
    shim.count_writes_from(1);
    wait_until("service to return", || match client.cmd("SET probe 1") {
        Reply::Simple(_) => Ok(()),
        other => Err(other.to_string()),
    });
    assert_eq!(client.int("DBSIZE"), (KEYS - taken + 1) as i64);
    daemon.check_healthy();
}
