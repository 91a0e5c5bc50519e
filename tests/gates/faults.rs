//! System calls that fail: the Nth write, sync, truncate or open on the daemon's files, once or from then on, with an error,
//! for want of room, or half done. No answered write is lost, no file is left that `larderd check` objects to, nothing hangs.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::report::{Plan, Report, Subject};
use crate::shim::{KINDS, Shim};
use crate::util::{Client, Daemon, Outcome, Reply, larderd, missing, run as run_program};

/// Nothing takes longer than this; on a machine that is busy it may take longer than the five seconds that are the aim.
const HANG: Duration = Duration::from_secs(20);

const SETTINGS: &[&str] = &[
    "--merge-interval",
    "1h",
    "--cleanup-interval",
    "1h",
    "--sync-interval",
    "100ms",
    "--journal-limit",
    "128KiB",
    "--disk-cap",
    "64MiB",
    "--max-value",
    "64KiB",
    "--compress-from",
    "0",
];

/// In what ways a call of a kind can fail.
const WAYS: [(&str, &[&str]); 4] = [
    ("write", &["EIO:once", "EIO:on", "ENOSPC:once", "ENOSPC:on", "SHORT:once", "SHORT:on"]),
    ("sync", &["EIO:once", "EIO:on", "ENOSPC:once"]),
    ("truncate", &["EIO:once", "EIO:on", "ENOSPC:once"]),
    ("open", &["EIO:once", "EIO:on", "ENOSPC:once"]),
];

/// `LARDER_GATE_COUNT` is the most points to try; 0 stands for all. Without it every so many-th is tried, starting with the
/// seed's.
#[test]
fn gate() {
    run(&Subject::larderd(), Plan::from_environment(60)).end();
}

pub(crate) fn run(subject: &Subject, plan: Plan) -> Report {
    let mut report = Report::new("faults", plan);
    let Some(shim) = Shim::compile() else { return report };
    // Once without a fault, to see how many calls there are.
    let calm = attempt(subject, &shim, None, &mut report);
    if report.is_red() {
        return report;
    }
    report.count("calls without a fault", format!("{:?}", calm.calls));
    if calm.calls[0] == 0 {
        missing("a larderd that takes preloaded libraries", "link it dynamically");
        return report;
    }
    let mut points = Vec::new();
    for (kind, ways) in WAYS {
        let at = KINDS.iter().position(|known| *known == kind).expect("the shim knows it");
        for number in 1..=calm.calls[at] {
            points.extend(ways.iter().map(|way| format!("{kind}:{number}:{way}")));
        }
    }
    report.count("fault points there are", points.len());
    let chosen: Vec<_> = if plan.count == 0 {
        points
    } else {
        // Spread over all of them, other ones with every seed.
        let every = (points.len() as u64).div_ceil(plan.count).max(1);
        points.into_iter().skip((plan.seed % every) as usize).step_by(every as usize).collect()
    };
    report.count("tried", chosen.len());
    let (mut hit, mut ended, mut refused, mut slowest) = (0, 0, 0, Duration::ZERO);
    for fault in &chosen {
        let outcome = attempt(subject, &shim, Some(fault), &mut report);
        hit += u64::from(outcome.faults > 0);
        ended += u64::from(outcome.ended);
        refused += outcome.refused;
        slowest = slowest.max(outcome.slowest);
    }
    report.count("hit a call", hit);
    report.count("ended the daemon", ended);
    report.count("writes refused", refused);
    report.count("ms the slowest answer or start", slowest.as_millis());
    report
}

#[derive(Default)]
struct Attempt {
    calls: [u64; 4],
    faults: u64,
    /// The daemon ended by itself.
    ended: bool,
    refused: u64,
    slowest: Duration,
}

/// A daemon with a fault, some work on it, and what a daemon without it then finds.
fn attempt(subject: &Subject, shim: &Shim, fault: Option<&str>, report: &mut Report) -> Attempt {
    let mut attempt = Attempt::default();
    let what = fault.unwrap_or("no fault");
    let places = TempDir::new().unwrap();
    let data = places.path().join("data");
    shim.reset();
    let mut environment = subject.environment.clone();
    environment.extend(shim.environment(&data, fault));
    let mut daemon = Daemon::prepare_on(places, &data, subject.binary.clone(), environment, SETTINGS);
    let mut keys = Keys::default();

    let began = Instant::now();
    daemon.launch();
    if let Some(mut client) = served(&mut daemon, report, what) {
        attempt.slowest = began.elapsed();
        work(&mut client, &mut keys, &mut attempt);
        drop(client);
        if attempt.slowest > HANG {
            report.fail(format!("{what}: an answer took {:?}", attempt.slowest));
        }
        if daemon.ended().is_none() {
            // While it serves, what it refused has no effect and what it answered has.
            if let Ok(mut client) = Client::connect(daemon.socket()) {
                keys.compare(&mut client, true, report, &format!("{what}, same daemon"));
            }
        }
    }
    attempt.ended = daemon.ended().is_some() || !daemon.is_running();
    attempt.calls = shim.calls();
    attempt.faults = shim.faults();
    if daemon.is_running() {
        daemon.kill9();
    }
    check_files(&data, report, what);
    daemon.set_environment(subject.environment.clone());
    let began = Instant::now();
    daemon.launch();
    if let Some(mut client) = served(&mut daemon, report, what) {
        attempt.slowest = attempt.slowest.max(began.elapsed());
        keys.compare(&mut client, false, report, &format!("{what}, next daemon"));
        client.check("SET health 1", "+OK");
        client.check("DEL health", ":1");
    } else {
        report.fail(format!("{what}: the next daemon does not start: {}", daemon.output()));
    }
    attempt
}

/// A client, once the daemon answers; `None` where it ends instead. Doing neither is a failure.
fn served(daemon: &mut Daemon, report: &mut Report, what: &str) -> Option<Client> {
    let began = Instant::now();
    loop {
        if daemon.ended().is_some() {
            return None;
        }
        if let Ok(mut client) = Client::connect(daemon.socket())
            && client.pipeline(&[["PING"].to_vec()]).is_ok()
        {
            return Some(client);
        }
        if began.elapsed() > HANG {
            report.fail(format!("{what}: it neither serves nor ends: {}", daemon.output()));
            return None;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Nothing that `larderd check` would call damaged; files that do not exist yet are fine.
fn check_files(data: &Path, report: &mut Report, what: &str) {
    if !data.join("larder.db").exists() {
        return;
    }
    let text = data.to_str().expect("temporary directories have plain names");
    let Outcome { status, stdout, stderr } = run_program(&mut larderd(&["check", "--data", text]));
    if status.code() == Some(1) {
        report.fail(format!("{what}: larderd check: {stdout}{stderr}"));
    }
}

/// What each key was promised to hold, and what it may hold instead, because nobody knows.
#[derive(Default)]
struct Keys(BTreeMap<String, (Option<String>, Vec<Option<String>>)>);

impl Keys {
    fn answered(&mut self, key: &str, held: Option<String>) {
        self.0.insert(key.to_owned(), (held, Vec::new()));
    }

    fn unknown(&mut self, key: &str, held: Option<String>) {
        self.0.entry(key.to_owned()).or_default().1.push(held);
    }

    fn compare(&mut self, client: &mut Client, running: bool, report: &mut Report, what: &str) {
        for (key, (promised, possible)) in &self.0 {
            let found = match client.pipeline(&[["GET", key].to_vec()]).map(|mut replies| replies.remove(0)) {
                Ok(Reply::Nil) => None,
                Ok(Reply::Bulk(bytes)) => Some(String::from_utf8(bytes).unwrap()),
                // With faults that go on, what is not in memory cannot always be read; and it may end.
                Ok(Reply::Error(_)) | Err(_) if running => return,
                Ok(reply) => {
                    report.fail(format!("{what}: GET {key}: {reply}"));
                    continue;
                }
                Err(error) => {
                    report.fail(format!("{what}: GET {key}: {error}"));
                    return;
                }
            };
            if found != *promised && !possible.contains(&found) {
                let short = |held: &Option<String>| {
                    held.as_ref().map(|text| text.chars().take(12).collect::<String>())
                };
                report.fail(format!(
                    "{what}: {key} holds {:?}, answered was {:?}, unknown {:?}",
                    short(&found),
                    short(promised),
                    possible.iter().map(short).collect::<Vec<_>>()
                ));
            }
        }
    }
}

/// Writes of all kinds with merges in between, one after the other; ends where the connection does.
fn work(client: &mut Client, keys: &mut Keys, attempt: &mut Attempt) {
    for round in 0..3 {
        for number in 0..10 {
            let key = format!("key:{number}");
            let size = if number % 4 == 0 { 4_500 } else { 30 };
            let value = format!("{round}.{number}:{}", "x".repeat(size));
            let (request, held): (Vec<String>, _) = if (number + round) % 5 == 4 {
                (vec!["DEL".into(), key.clone()], None)
            } else {
                (vec!["SET".into(), key.clone(), value.clone()], Some(value))
            };
            let sent = Instant::now();
            let reply = client.pipeline(&[request]);
            attempt.slowest = attempt.slowest.max(sent.elapsed());
            match reply.map(|mut replies| replies.remove(0)) {
                // Refused: nothing has changed, which is what is looked for.
                Ok(Reply::Error(error)) if error.starts_with("FULL") => attempt.refused += 1,
                Ok(Reply::Error(_)) => keys.unknown(&key, held),
                Ok(_) => keys.answered(&key, held),
                Err(_) => return keys.unknown(&key, held),
            }
        }
        let sent = Instant::now();
        let merged = client.pipeline(&[["CLEANUP"].to_vec()]);
        attempt.slowest = attempt.slowest.max(sent.elapsed());
        if merged.is_err() {
            return;
        }
    }
}
