//! Histories of many clients on few keys, given to the linearizability checker: with a memory tier so small that fills and
//! evictions race with writes and merges all the time, without faults and with the daemon killed every so often.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::history::{Call, Misses, Op, search, zones};
use crate::report::{Plan, Report, Subject};
use crate::util::{Client, Daemon, Dice, HANG, Reply};

/// Calls between two checks: keys are new after each, so that memory does not grow.
const ROUND: u64 = 100_000;
const CLIENTS: u64 = 64;

/// Keys of each kind in a round: some that are written all the time, and so are always in the write buffer, and some that are
/// mostly read, and so come and go in the memory tier.
const HOT: u64 = 4;
const COOL: u64 = 60;

/// Entries that push others out of memory.
const FILLERS: u64 = 100;

const TINY: &[&str] = &[
    "--memory-cap",
    "64KiB",
    "--merge-interval",
    "1ms",
    "--cleanup-interval",
    "50ms",
    "--journal-limit",
    "256KiB",
    "--compress-from",
    "0",
];

/// What is called on a key, and which algorithm checks it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    /// SET and GET.
    Register,
    /// SET, GET and DEL.
    Deleted,
    /// INCR, GET, DEL and SET, all with their answers.
    Counter,
}

type Key = (Kind, u64);

#[test]
fn without_faults() {
    run(&Subject::larderd(), Plan::from_environment(160_000), None).end();
}

#[test]
fn across_kills() {
    run(&Subject::larderd(), Plan::from_environment(60_000), Some(KILLED_EVERY)).end();
}

/// Between two kills, about.
pub(crate) const KILLED_EVERY: Duration = Duration::from_millis(150);

/// Records histories of `plan.count` calls in all and checks them.
pub(crate) fn run(subject: &Subject, plan: Plan, kills: Option<Duration>) -> Report {
    let mut report = Report::new(if kills.is_some() { "linear across kills" } else { "linear" }, plan);
    let mut daemon = subject.start(TINY);
    let filler = "f".repeat(2_000);
    for number in 0..FILLERS {
        assert_eq!(daemon.client().args(&["SET", &format!("filler:{number}"), &filler]), Reply::ok());
    }
    let mut tally = Tally::default();
    let mut left = plan.count;
    for round in 0.. {
        if left == 0 || report.is_red() {
            break;
        }
        let calls = left.min(ROUND);
        left -= calls;
        let seed = plan.seed.wrapping_mul(1_000_003) + round;
        let histories = record(&mut daemon, seed, round, calls, kills, &mut tally);
        for (key, ops) in histories {
            tally.calls += ops.len() as u64;
            if let Err(violation) = check(key.0, &ops) {
                report.fail(format!("round {round}, seed {seed}, {key:?}: {}", violation.0));
            }
        }
    }
    report.count("calls", tally.calls);
    report.count("without an answer", tally.cut);
    report.count("kills", tally.kills);
    let stats = daemon.stats();
    for (what, name) in [
        ("merges since the last start", "merges"),
        ("copies dropped from memory", "memory_evictions"),
        ("hits in the buffer", "buffer_hits"),
        ("in memory", "memory_hits"),
        ("on disk", "disk_hits"),
    ] {
        report.count(what, stats.get(name));
    }
    report
}

#[derive(Default)]
struct Tally {
    calls: u64,
    cut: u64,
    kills: u64,
}

fn check(kind: Kind, ops: &[Op]) -> Result<(), crate::history::Violation> {
    match kind {
        Kind::Register => zones(ops, Misses::Forbidden),
        Kind::Deleted => zones(ops, Misses::Allowed),
        // Nothing is evicted here, so a miss is a lost write.
        Kind::Counter => search(ops, Misses::Forbidden),
    }
}

fn record(
    daemon: &mut Daemon,
    seed: u64,
    round: u64,
    calls: u64,
    kills: Option<Duration>,
    tally: &mut Tally,
) -> HashMap<Key, Vec<Op>> {
    let clock = Instant::now();
    let socket = daemon.socket().to_owned();
    let (done, begun) = (AtomicBool::new(false), AtomicU64::new(0));
    let mut histories: HashMap<Key, Vec<Op>> = HashMap::new();
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let (socket, begun) = (&socket, &begun);
                scope.spawn(move || {
                    let caller =
                        Caller { number, round, clock, dice: Dice::new(seed * CLIENTS + number), next: 0 };
                    caller.call_all(socket, calls, begun)
                })
            })
            .collect();
        let killer = kills.map(|every| {
            let done = &done;
            scope.spawn(move || kill_every(daemon, every, Dice::new(seed), done))
        });
        for client in clients {
            for (key, op) in client.join().expect("a client that panics says why") {
                tally.cut += u64::from(!op.answered);
                histories.entry(key).or_default().push(op);
            }
        }
        done.store(true, Ordering::Relaxed);
        tally.kills += killer.map_or(0, |killer| killer.join().expect("it says why it cannot go on"));
    });
    histories
}

/// Kills the daemon and starts it again until `done`; how often.
fn kill_every(daemon: &mut Daemon, every: Duration, mut dice: Dice, done: &AtomicBool) -> u64 {
    let mut kills = 0;
    while !done.load(Ordering::Relaxed) {
        thread::sleep(every / 2 + every.mul_f64(dice.below(1_000) as f64 / 1_000.0));
        daemon.kill9();
        daemon.restart();
        kills += 1;
    }
    kills
}

struct Caller {
    number: u64,
    round: u64,
    clock: Instant,
    dice: Dice,
    next: i64,
}

impl Caller {
    /// Calls until all clients together have begun `calls` calls.
    fn call_all(mut self, socket: &Path, calls: u64, begun: &AtomicU64) -> Vec<(Key, Op)> {
        let mut ops = Vec::with_capacity((calls / CLIENTS * 2) as usize);
        let mut client = connect(socket);
        let filler = "f".repeat(2_000);
        while begun.fetch_add(1, Ordering::Relaxed) < calls {
            if self.dice.below(8) == 0 {
                let request = [b"GET".to_vec(), format!("filler:{}", self.dice.below(FILLERS)).into_bytes()];
                match client.pipeline(&[request.to_vec()]) {
                    Ok(replies) => assert_eq!(replies[0], Reply::bulk(&filler), "a filler"),
                    Err(_) => client = connect(socket),
                }
                continue;
            }
            let (key, call, request) = self.choose();
            let start = self.now();
            let answer = client.pipeline(&[request]);
            let end = self.now();
            let op = |call, answered| Op { start, end, call, answered };
            if let Ok(replies) = answer {
                ops.push((key, op(answered(call, &replies[0]), true)));
            } else {
                ops.push((key, op(call, false)));
                client = connect(socket);
            }
        }
        ops
    }

    fn now(&self) -> u64 {
        // Never 0, which is before everything.
        self.clock.elapsed().as_nanos() as u64 + 1
    }

    fn choose(&mut self) -> (Key, Call, Vec<Vec<u8>>) {
        let kind = match self.dice.below(4) {
            0 | 1 => Kind::Register,
            2 => Kind::Deleted,
            _ => Kind::Counter,
        };
        let hot = self.dice.below(2) == 0;
        let key = (kind, if hot { self.dice.below(HOT) } else { HOT + self.dice.below(COOL) });
        let name = format!("{kind:?}:{}:{}", self.round, key.1);
        let one_in = |one: u64, dice: &mut Dice| dice.below(if hot { 20 } else { 200 }) < one;
        let call = match kind {
            Kind::Register if one_in(8, &mut self.dice) => Call::Set(self.value()),
            Kind::Deleted if one_in(6, &mut self.dice) => Call::Set(self.value()),
            Kind::Deleted if one_in(2, &mut self.dice) => Call::Del(None),
            Kind::Counter if one_in(2, &mut self.dice) => Call::Set(self.value()),
            Kind::Counter if one_in(2, &mut self.dice) => Call::Del(Some(false)),
            Kind::Counter if one_in(10, &mut self.dice) => Call::Incr(0),
            _ => Call::Get(None),
        };
        let request: Vec<Vec<u8>> = match call {
            Call::Set(value) if kind == Kind::Counter => {
                vec![b"SET".into(), name.into(), value.to_string().into()]
            }
            Call::Set(value) => {
                // Of all sizes, so that some lie in their slots and some beside them.
                let padding = "p".repeat(self.dice.below(200) as usize);
                vec![b"SET".into(), name.into(), format!("{value}:{padding}").into()]
            }
            Call::Get(_) => vec![b"GET".into(), name.into()],
            Call::Del(_) => vec![b"DEL".into(), name.into()],
            Call::Incr(_) => vec![b"INCR".into(), name.into()],
        };
        (key, call, request)
    }

    /// A value that no other call of this round sets.
    fn value(&mut self) -> i64 {
        self.next += 1;
        (self.number as i64 + 1) * 1_000_000_000 + self.next * 1_000
    }
}

/// The call with the answer it was given.
fn answered(call: Call, reply: &Reply) -> Call {
    match (call, reply) {
        (Call::Set(value), Reply::Simple(_)) => Call::Set(value),
        (Call::Get(_), Reply::Nil) => Call::Get(None),
        (Call::Get(_), Reply::Bulk(bytes)) => {
            let text = str::from_utf8(bytes).expect("values are text");
            let digits = text.split(':').next().unwrap_or_default();
            Call::Get(Some(digits.parse().unwrap_or_else(|_| panic!("a value nobody set: {text:?}"))))
        }
        (Call::Del(None), Reply::Integer(0 | 1)) => Call::Del(None),
        (Call::Del(Some(_)), Reply::Integer(deleted @ (0 | 1))) => Call::Del(Some(*deleted == 1)),
        (Call::Incr(_), Reply::Integer(after)) => Call::Incr(*after),
        _ => panic!("{call:?} was answered {reply}"),
    }
}

/// Connects, to the next daemon if this one has just been killed.
fn connect(socket: &Path) -> Client {
    let give_up = Instant::now() + HANG;
    loop {
        match Client::connect(socket) {
            Ok(client) => return client,
            Err(error) => assert!(Instant::now() < give_up, "no daemon to connect to: {error}"),
        }
        thread::sleep(Duration::from_millis(1));
    }
}
