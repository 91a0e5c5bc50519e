//! Clients of one user that have the daemon keep things: requests sent by halves, transactions never run, watched keys,
//! subscriptions, messages that they do not read. Memory stays within its bounds, who asks for more is told so, and another
//! user is served all along: with large requests and transactions as well.

use std::io::{ErrorKind, Write as _};
use std::time::{Duration, Instant};

use rustix::process::geteuid;

use crate::process::{mib, resident_bytes};
use crate::report::{Plan, Report, Subject};
use crate::util::{Client, Daemon, HANG, Reply, encode, missing, wait_until};

/// `LARDER_GATE_COUNT` is how many connections the greedy one has.
#[test]
fn gate() {
    run(&Subject::larderd(), Plan::from_environment(50)).end();
}

const GREEDY: u32 = 61_011;
const MODEST: u32 = 61_012;

/// What one user's requests may take together, and as much again what is kept for that user.
const BUDGET_BYTES: u64 = 8 << 20;
const LARGE_BYTES: usize = 7 << 20;

/// What is free of each connection: buffers and what is small of each thing kept.
const FREE_BYTES: u64 = (32 + 3 * 4) << 10;

/// Requests that want more kept than there is room for.
const REQUESTS: u64 = 300;

/// For allocators, and for what a command needs while it runs.
const SLACK_BYTES: u64 = 32 << 20;

pub(crate) fn run(subject: &Subject, plan: Plan) -> Report {
    let mut report = Report::new("hoard", plan);
    if !geteuid().is_root() {
        missing("root", "run the tests as root to have several users");
        return report.skipped();
    }
    let most = (plan.count + 20).to_string();
    let daemon = subject.start_for_all(&[
        "--buffer-budget",
        "8MiB",
        "--max-user-buffer",
        "8MiB",
        "--max-value",
        "8MiB",
        "--max-connections",
        &most,
        // Not by waiting for them to go.
        "--half-request-timeout",
        "1h",
        "--output-stall",
        "1h",
        "--subscriber-buffer",
        "4MiB",
    ]);
    let mut modest = Client::connect_as(daemon.socket(), MODEST, MODEST).unwrap();
    // What the first large request leaves behind is not the greedy one's.
    large_request(&mut modest, &mut report);
    let before = resident_bytes(daemon.pid());
    report.count("connections of the greedy user", plan.count);
    let mut most = by_halves(&daemon, plan, &mut modest, &mut report);
    let key = |number: u64| format!("{number}:{}", "k".repeat(200));
    let value = "v".repeat(60_000);
    let transactions = |_: u64| vec!["SET".to_owned(), "k".to_owned(), value.clone()];
    let watches = |first: u64| -> Vec<String> {
        std::iter::once("WATCH".to_owned()).chain((first..first + 200).map(key)).collect()
    };
    let subscriptions = |first: u64| -> Vec<String> {
        std::iter::once("SUBSCRIBE".to_owned()).chain((first..first + 200).map(key)).collect()
    };
    for (what, before_it, request) in [
        (
            "KiB queued in transactions before it was refused",
            Some("MULTI"),
            &transactions as &dyn Fn(u64) -> _,
        ),
        ("KiB of keys watched before it was refused", None, &watches),
        ("KiB of names subscribed to before it was refused", None, &subscriptions),
    ] {
        let (kept, resident) = kept(&daemon, plan, before_it, request, &mut modest, &mut report);
        report.count(what, kept >> 10);
        most = most.max(resident);
    }
    most = most.max(unread(&daemon, plan, &mut modest, &mut report));
    report.count("resident before", mib(before));
    report.count("at most", mib(most));
    // Requests and replies, what is kept, mail.
    let allowed = 3 * BUDGET_BYTES + plan.count * FREE_BYTES + SLACK_BYTES;
    if most > before + allowed {
        report.fail(format!("memory grew from {} to {}", mib(before), mib(most)));
    }
    wait_until("the greedy one to be gone", || modest.stats().is("connections", 1));
    report.count("resident afterwards", mib(resident_bytes(daemon.pid())));
    daemon.check_healthy();
    report
}

/// Sets a large value; how long that took.
fn large_request(client: &mut Client, report: &mut Report) -> Duration {
    let began = Instant::now();
    match client.args(&[b"SET".as_slice(), b"large", &vec![b'v'; LARGE_BYTES]]) {
        Reply::Simple(_) => {}
        other => report.fail(format!("a large request of another user was answered {other}")),
    }
    began.elapsed()
}

/// Large requests that begin and then come byte by byte; memory at most.
fn by_halves(daemon: &Daemon, plan: Plan, modest: &mut Client, report: &mut Report) -> u64 {
    let mut begun = encode(&[b"SET".as_slice(), b"k", &vec![b'v'; LARGE_BYTES]]);
    begun.truncate(2 << 20);
    let mut greedy: Vec<Client> = (0..plan.count)
        .map(|_| {
            let mut client = Client::connect_as(daemon.socket(), GREEDY, GREEDY).unwrap();
            client.stream().set_nonblocking(true).unwrap();
            client
        })
        .collect();
    let (mut sent, mut cut_off, mut resident) = (vec![0; greedy.len()], 0, 0);
    let mut send_more = |most: usize| {
        let mut open = 0;
        for (client, sent) in greedy.iter_mut().zip(&mut sent) {
            if *sent == usize::MAX {
                continue;
            }
            let to = begun.len().min(*sent + most);
            match client.stream().write(&begun[*sent..to]) {
                Ok(bytes) => *sent += bytes,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => {
                    *sent = usize::MAX;
                    cut_off += 1;
                    continue;
                }
            }
            open += 1;
        }
        open
    };
    for _ in 0..8 {
        send_more(1 << 20);
        std::thread::sleep(Duration::from_millis(20));
    }
    let mut slowest = Duration::ZERO;
    for _ in 0..3 {
        let (open, waited) = std::thread::scope(|scope| {
            let other = scope.spawn(|| {
                let mut report = Report::new("of the other", plan);
                let waited = large_request(modest, &mut report);
                (waited, report)
            });
            let mut open = 0;
            while !other.is_finished() {
                open = send_more(1);
                resident = resident.max(resident_bytes(daemon.pid()));
                std::thread::sleep(Duration::from_millis(5));
            }
            let (waited, failed) = other.join().expect("it reports what fails");
            if failed.is_red() {
                report.fail(failed.told());
            }
            (open, waited)
        });
        if open == 0 && plan.count > 10 {
            report.fail("all of the greedy ones are gone: nothing was in the way of the others");
        }
        slowest = slowest.max(waited);
    }
    if slowest > HANG / 2 {
        report.fail(format!("a large request of another user took {slowest:?}"));
    }
    report.count(
        "ms a large request of another user took at most beside halves of requests",
        slowest.as_millis(),
    );
    report.count("of these cut off", cut_off);
    resident
}

/// Has more and more kept on every connection until the daemon refuses it; how many bytes that were, and memory with it.
fn kept(
    daemon: &Daemon,
    plan: Plan,
    before_it: Option<&str>,
    request: &dyn Fn(u64) -> Vec<String>,
    modest: &mut Client,
    report: &mut Report,
) -> (u64, u64) {
    let mut greedy: Vec<Client> =
        (0..plan.count).map(|_| Client::connect_as(daemon.socket(), GREEDY, GREEDY).unwrap()).collect();
    let (mut kept, mut number, mut refused) = (0, 0, false);
    // Spread over the connections, as far as they go.
    let each = REQUESTS.div_ceil(plan.count);
    'all: for client in &mut greedy {
        if let Some(before_it) = before_it {
            client.check(before_it, "+OK");
        }
        for _ in 0..each {
            number += 1_000;
            let words = request(number);
            let answers = if words[0] == "SUBSCRIBE" { words.len() - 1 } else { 1 };
            client.send(&encode(&words)).unwrap();
            let first = client.read().unwrap();
            if let Reply::Error(error) = &first {
                refused = error.contains("no room to keep this for the client");
                break 'all;
            }
            for _ in 1..answers {
                client.read().unwrap();
            }
            kept += words.iter().map(String::len).sum::<usize>() as u64;
        }
    }
    if !refused {
        report.fail(format!("{} KiB are kept and nothing is refused for want of room", kept >> 10));
    }
    let resident = resident_bytes(daemon.pid());
    // Another user has room for as much.
    modest.check("WATCH watched", "+OK");
    modest.check("MULTI", "+OK");
    for _ in 0..20 {
        assert_eq!(modest.args(&["SET", "mine", &"v".repeat(100_000)]), Reply::Simple("QUEUED".into()));
    }
    match modest.cmd("EXEC") {
        Reply::Array(replies) if replies.len() == 20 => {}
        other => report.fail(format!("another user's transaction was answered {other}")),
    }
    drop(greedy);
    wait_until("the greedy ones to be gone", || modest.stats().is("connections", 1));
    (kept, resident)
}

/// Subscribers that do not read, each on a channel of its own, beside one that does; memory at most.
fn unread(daemon: &Daemon, plan: Plan, modest: &mut Client, report: &mut Report) -> u64 {
    let mut greedy: Vec<Client> = (0..plan.count)
        .map(|number| {
            let mut client = Client::connect_as(daemon.socket(), GREEDY, GREEDY).unwrap();
            client.check(&format!("SUBSCRIBE own:{number}"), &format!("[=subscribe =own:{number} :1]"));
            client
        })
        .collect();
    let mut awake = Client::connect_as(daemon.socket(), MODEST, MODEST).unwrap();
    awake.check("SUBSCRIBE news", "[=subscribe =news :1]");
    let (message, mut sent, mut resident) = ("m".repeat(100_000), 0, 0);
    for round in 0..24 {
        for number in 0..plan.count {
            // Those that are disconnected already have no listener any more.
            let reply = modest.args(&["PUBLISH", &format!("own:{number}"), &message]);
            sent += usize::from(reply == Reply::Integer(1));
        }
        let news = format!("round:{round}");
        modest.check(&format!("PUBLISH news {news}"), ":1");
        let heard = awake.read().unwrap();
        if heard != Reply::parse(&format!("[=message =news ={news}]")).unwrap() {
            report.fail(format!("one who reads heard {heard}"));
        }
        resident = resident.max(resident_bytes(daemon.pid()));
    }
    let still_there = modest.stats().get("connections") - 2;
    report.count("KiB of messages to them", (sent * message.len()) >> 10);
    report.count("of these disconnected", plan.count as i64 - still_there);
    greedy.clear();
    drop(awake);
    wait_until("the greedy ones to be gone", || modest.stats().is("connections", 1));
    resident
}
