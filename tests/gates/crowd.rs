//! Very many connections: idle ones that cost little, more than there are file descriptors for, and ones that only come and
//! go.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::process::{mib, resident_bytes};
use crate::report::{Plan, Report, Subject};
use crate::util::{Client, Daemon, HANG, Reply, wait_until};

#[test]
fn gate() {
    run(&Subject::larderd(), Plan::from_environment(1_000)).end();
}

/// How many come and go for each that stays.
const PASSING: u64 = 10;

/// Descriptors of the daemon that has too few.
const FEW_FILES: u64 = 100;

pub(crate) fn run(subject: &Subject, plan: Plan) -> Report {
    let mut report = Report::new("crowd", plan);
    // This process needs as many as the daemon.
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    let possible = limit.maximum.unwrap_or(u64::MAX).saturating_sub(200);
    if possible < plan.count {
        report.fail(format!(
            "{possible} connections are possible here; raise the hard limit of open files (ulimit -Hn)"
        ));
        return report;
    }
    idle(subject, plan, &mut report);
    hostile(subject, plan, &mut report);
    passing(subject, plan, &mut report);
    too_few_files(subject, &mut report);
    report
}

fn idle(subject: &Subject, plan: Plan, report: &mut Report) {
    let daemon = subject.start(&["--max-connections", &(plan.count + 1).to_string()]);
    let mut good = daemon.client();
    let before = resident_bytes(daemon.pid());
    let began = Instant::now();
    let mut crowd: Vec<Client> = (0..plan.count)
        .map(|_| {
            let mut client = daemon.client();
            client.check("PING", "+PONG");
            client
        })
        .collect();
    report.count("ms to connect them", began.elapsed().as_millis());
    let with = resident_bytes(daemon.pid());
    report.count("idle connections", crowd.len());
    report.count("bytes of memory for each", with.saturating_sub(before) / plan.count.max(1));
    if with > before + plan.count * 16_384 + (16 << 20) {
        report.fail(format!("idle connections cost {} together", mib(with - before)));
    }
    let mut latencies: Vec<Duration> = (0..2_000)
        .map(|number| {
            let sent = Instant::now();
            good.check(&format!("SET key:{number} v"), "+OK");
            sent.elapsed()
        })
        .collect();
    latencies.sort_unstable();
    report.count(
        "us the 99th percentile of SET beside them",
        latencies[latencies.len() * 99 / 100].as_micros(),
    );
    // One more than there may be gets an answer, and the others notice nothing.
    for _ in 0..20 {
        if let Ok(mut client) = Client::connect(daemon.socket()) {
            match client.read() {
                Ok(Reply::Error(error)) if error.contains("max number of clients") => {}
                other => report.fail(format!("one too many was answered {other:?}")),
            }
        }
    }
    for client in &mut crowd {
        client.check("PING", "+PONG");
    }
    drop(crowd);
    wait_until("the crowd to be gone", || good.stats().is("connections", 1));
    report.count("resident with them", mib(with));
    report.count("resident afterwards", mib(resident_bytes(daemon.pid())));
    daemon.check_healthy();
}

/// Headers that announce much, and then next to nothing: what was announced is not set aside.
fn hostile(subject: &Subject, plan: Plan, report: &mut Report) {
    const HEADERS: [&[u8]; 4] = [
        b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$16000000\r\nv",
        b"*1000000\r\n$4\r\nMGET\r\n",
        b"*2\r\n$16000000\r\n",
        b"SET k \"never ending",
    ];
    let most = (plan.count + 10).to_string();
    let daemon = subject.start(&[
        "--max-connections",
        &most,
        "--buffer-budget",
        "32MiB",
        "--half-request-timeout",
        "1h",
    ]);
    let mut good = daemon.client();
    let before = resident_bytes(daemon.pid());
    let crowd: Vec<Client> = (0..plan.count)
        .map(|number| {
            let mut client = daemon.client();
            client.send(HEADERS[number as usize % HEADERS.len()]).unwrap();
            client
        })
        .collect();
    wait_until("all of them to have been read", || good.stats().is("connections", plan.count as i64 + 1));
    for number in 0..200 {
        good.check(&format!("SET beside:{number} v"), "+OK");
    }
    let with = resident_bytes(daemon.pid());
    report.count("bytes of memory for each hostile header", with.saturating_sub(before) / plan.count.max(1));
    if with > before + plan.count * 32_768 + (40 << 20) {
        report.fail(format!("headers that announce much cost {} together", mib(with - before)));
    }
    drop(crowd);
    wait_until("them to be gone", || good.stats().is("connections", 1));
    daemon.check_healthy();
}

fn passing(subject: &Subject, plan: Plan, report: &mut Report) {
    let daemon = subject.start(&[]);
    let mut good = daemon.client();
    let before = resident_bytes(daemon.pid());
    for number in 0..plan.count * PASSING {
        let mut client = daemon.client();
        match number % 4 {
            // Gone at once, in the middle of a request, and without reading the answer.
            0 => {}
            1 => client.send(b"*2\r\n$3\r\nGE").unwrap(),
            2 => client.send(b"PING\n").unwrap(),
            _ => client.check("PING", "+PONG"),
        }
    }
    wait_until("all that came to be gone", || good.stats().is("connections", 1));
    let after = resident_bytes(daemon.pid());
    report.count("came and went", plan.count * PASSING);
    if after > before + (32 << 20) {
        report.fail(format!(
            "connections leave something behind: {} before, {} afterwards",
            mib(before),
            mib(after)
        ));
    }
    let files = fs::read_dir(format!("/proc/{}/fd", daemon.pid())).unwrap().count();
    if files > 60 {
        report.fail(format!("{files} file descriptors are still open"));
    }
}

/// A daemon with few descriptors: whoever does not fit is turned away or waits, and those who are there are served.
fn too_few_files(subject: &Subject, report: &mut Report) {
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("larderd-with-few-files");
    let program = subject.binary.to_str().expect("a plain path");
    fs::write(&script, format!("#!/bin/sh\nulimit -n {FEW_FILES}\nexec '{program}' \"$@\"\n")).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o700)).unwrap();
    let mut daemon = Daemon::start_other(script, subject.environment.clone(), &["--merge-interval", "5ms"]);
    let mut good = daemon.client();
    let mut served = 0;
    for round in 0..5 {
        let others: Vec<_> =
            (0..FEW_FILES * 2).filter_map(|_| Client::connect(daemon.socket()).ok()).collect();
        for number in 0..100 {
            good.check(&format!("SET round:{round}:{number} v"), "+OK");
            served += 1;
        }
        drop(others);
    }
    let began = Instant::now();
    while good.stats().get("connections") > 1 && began.elapsed() < HANG {
        std::thread::sleep(Duration::from_millis(5));
    }
    daemon.check_healthy();
    good.check("DBSIZE", &format!(":{served}"));
    report.count("writes served while descriptors had run out", served);
    if let Some(status) = daemon.ended() {
        report.fail(format!("without descriptors it ended with {status}: {}", daemon.output()));
    }
}
