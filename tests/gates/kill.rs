//! SIGKILL at random moments, some of them while the daemon starts, under pipelined writes from 16 clients: no answered
//! write is lost, nothing that was deleted or overwritten comes back, and every start ends in service.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::report::{Plan, Report, Subject};
use crate::util::{Client, Daemon, Dice, Reply, encode};

const CLIENTS: u64 = 16;
const KEYS: u64 = 24;
const BATCH: u64 = 16;

/// One start in so many is itself killed before it ends.
const KILLED_STARTS: u64 = 5;

/// Merges, clean-up and new journals all the time, so that some of the kills hit them.
const BUSY: &[&str] = &["--cleanup-interval", "20ms", "--merge-interval", "7ms", "--journal-limit", "64KiB"];

/// Merges now and then, so that some of the kills find much to replay.
const CALM: &[&str] = &["--merge-interval", "300ms"];

/// How many cycles a daemon lives through; the settings change after that.
const CYCLES_EACH: u64 = 50;

#[test]
fn gate() {
    run(&Subject::larderd(), Plan::from_environment(25)).end();
}

pub(crate) fn run(subject: &Subject, plan: Plan) -> Report {
    let mut report = Report::new("kill", plan);
    let mut dice = Dice::new(plan.seed);
    let (mut answered, mut checked, mut slowest, mut replayed) = (0, 0, Duration::ZERO, 0);
    let mut killed_starts = 0;
    let mut left = plan.count;
    let mut settings = [BUSY, CALM].into_iter().cycle();
    while left > 0 && !report.is_red() {
        // The short form sees both as well.
        let cycles = left.min(CYCLES_EACH).min(plan.count.div_ceil(2));
        left -= cycles;
        let mut daemon = subject.start(settings.next().expect("a cycle has no end"));
        let mut loads: Vec<_> = (0..CLIENTS).map(|name| Load::new(name, dice.below(1 << 40))).collect();
        for cycle in 0..cycles {
            answered += under_load(&mut daemon, &mut loads, &mut dice);
            while dice.below(KILLED_STARTS) == 0 {
                daemon.launch();
                thread::sleep(Duration::from_micros(dice.below(25_000)));
                daemon.kill9();
                killed_starts += 1;
            }
            let since = Instant::now();
            daemon.restart();
            slowest = slowest.max(since.elapsed());
            replayed += u64::from(daemon.stats().get("buffer_entries") > 0);
            let mut client = daemon.client();
            for load in &mut loads {
                report.fail_all(
                    load.compare(&mut client).into_iter().map(|what| format!("cycle {cycle}: {what}")),
                );
                checked += load.promised.len();
            }
            let live =
                loads.iter().flat_map(|load| load.promised.values()).filter(|value| value.is_some()).count();
            let there = client.int("DBSIZE");
            if there != live as i64 {
                report.fail(format!("cycle {cycle}: DBSIZE is {there} where {live} keys are known"));
            }
        }
    }
    report.count("answered writes", answered);
    report.count("keys looked at", checked);
    report.count("kills of starts", killed_starts);
    report.count("starts with something left to merge", replayed);
    report.count("ms the slowest start", slowest.as_millis());
    report
}

/// All clients write until the daemon is killed, some tens of milliseconds later; how many writes were answered.
fn under_load(daemon: &mut Daemon, loads: &mut [Load], dice: &mut Dice) -> u64 {
    let answered = AtomicU64::new(0);
    thread::scope(|scope| {
        for load in loads.iter_mut() {
            let mut client = daemon.client();
            let answered = &answered;
            scope.spawn(move || load.write_until_killed(&mut client, answered));
        }
        // What has to be killed is a busy daemon; how long after its first answers is left to chance.
        let began = Instant::now();
        while answered.load(Ordering::Relaxed) < 100 && began.elapsed() < Duration::from_secs(20) {
            thread::sleep(Duration::from_millis(1));
        }
        thread::sleep(Duration::from_micros(dice.below(120_000)));
        daemon.kill9();
    });
    answered.into_inner()
}

/// What a key holds, and when it was given that: the writes of a client are numbered.
type Held = Option<String>;

/// One client's writes, all to keys of its own: what each key must hold is known exactly, but for the batch that was on
/// its way when the daemon died.
struct Load {
    name: u64,
    dice: Dice,
    written: u64,
    /// What an answer has promised for each key.
    promised: BTreeMap<String, Held>,
    /// What each key may hold instead, because of requests without an answer.
    possible: BTreeMap<String, Vec<Held>>,
}

impl Load {
    fn new(name: u64, seed: u64) -> Self {
        Self { name, dice: Dice::new(seed), written: 0, promised: BTreeMap::new(), possible: BTreeMap::new() }
    }

    fn write_until_killed(&mut self, client: &mut Client, answered: &AtomicU64) {
        loop {
            let batch = self.next_batch();
            let bytes: Vec<u8> = batch.iter().flat_map(|(request, ..)| encode(request)).collect();
            let mut alive = client.send(&bytes).is_ok();
            for (request, key, held) in batch {
                // What was answered before the end counts, also from a batch that was answered in part.
                match client.read() {
                    Ok(Reply::Error(text)) => panic!("{request:?}: {text}"),
                    Ok(_) => {
                        self.promised.insert(key, held);
                        answered.fetch_add(1, Ordering::Relaxed);
                    }
                    Err(_) => {
                        alive = false;
                        self.possible.entry(key).or_default().push(held);
                    }
                }
            }
            if !alive {
                return;
            }
        }
    }

    /// Requests with the key each of them changes, and what the key holds then.
    fn next_batch(&mut self) -> Vec<(Vec<String>, String, Held)> {
        let counter = format!("counter:{}", self.name);
        let mut count: u64 =
            self.promised.get(&counter).cloned().flatten().map_or(0, |text| text.parse().unwrap());
        let mut batch = Vec::new();
        for _ in 0..BATCH {
            self.written += 1;
            let key = format!("load:{}:{}", self.name, self.dice.below(KEYS));
            let value = format!("{}:{}", self.written, "x".repeat(self.dice.below(300) as usize));
            let request = |words: &[&str]| words.iter().map(ToString::to_string).collect();
            batch.push(match self.dice.below(10) {
                0 | 1 => (request(&["DEL", &key]), key, None),
                2 => {
                    count += 1;
                    (request(&["INCR", &counter]), counter.clone(), Some(count.to_string()))
                }
                3 => (request(&["SET", &key, &value, "EX", "10000"]), key, Some(value)),
                _ => (request(&["SET", &key, &value]), key, Some(value)),
            });
        }
        batch
    }

    /// Compares with what a restarted daemon has, and goes on from there; what is wrong.
    fn compare(&mut self, client: &mut Client) -> Vec<String> {
        for key in self.possible.keys() {
            self.promised.entry(key.clone()).or_insert(None);
        }
        let keys: Vec<_> = self.promised.keys().map(|key| ["GET".to_owned(), key.clone()].to_vec()).collect();
        let replies = client.pipeline(&keys).expect("a daemon that has just started serves");
        let mut wrong = Vec::new();
        for ((key, promised), reply) in self.promised.iter_mut().zip(replies) {
            let found = match reply {
                Reply::Nil => None,
                reply => Some(String::from_utf8(reply.bytes().to_vec()).unwrap()),
            };
            let possible = self.possible.get(key).map(Vec::as_slice).unwrap_or_default();
            if found != *promised && !possible.contains(&found) {
                let shown = |held: &Held| {
                    held.as_deref().map_or("nothing".into(), |text| text.chars().take(24).collect::<String>())
                };
                let on_its_way: Vec<_> = possible.iter().map(shown).collect();
                wrong.push(format!(
                    "{key} holds {}; answered was {}, on its way {on_its_way:?}",
                    shown(&found),
                    shown(promised)
                ));
            }
            *promised = found;
        }
        self.possible.clear();
        wrong
    }
}
