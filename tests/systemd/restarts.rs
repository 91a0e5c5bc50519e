//! Restarts under load: nobody is refused, and nothing that was answered is lost.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use super::machine::{Machine, SOCKET};
use crate::util::{Client, Reply, wait_until};

const RESTARTS: usize = 20;
const CLIENTS: usize = 8;
/// What an administrator is promised about stopping, with all these clients.
const STOP_US_MAX: u64 = 5_000_000;
/// Keys of each client, written over and over.
const KEYS: u64 = 50;

/// What one client did.
#[derive(Default)]
struct Story {
    /// The value of each key that was answered last.
    answered: HashMap<String, u64>,
    /// The values that were sent last, and whose answer never came.
    unanswered: HashMap<String, u64>,
    writes: u64,
    connections: u64,
    wrong: Vec<String>,
}

/// Connects, writes and reads until told to stop. Retries nothing but reads for which the connection was closed.
fn client(socket: &Path, name: usize, stop: &AtomicBool, progress: &AtomicU64) -> Story {
    let mut story = Story::default();
    let mut value = 0;
    let mut reread: Option<String> = None;
    while !stop.load(Ordering::Relaxed) {
        let mut connection = match Client::connect(socket) {
            Ok(connection) => connection,
            Err(error) => {
                story.wrong.push(format!("refused: {error}"));
                continue;
            }
        };
        story.connections += 1;
        while !stop.load(Ordering::Relaxed) {
            if let Some(key) = reread.take() {
                let Some(reply) = ask(&mut connection, &[b"GET", key.as_bytes()]) else {
                    reread = Some(key);
                    break;
                };
                story.check(&key, &reply);
            }
            value += 1;
            let key = format!("client:{name}:{}", value % KEYS);
            story.unanswered.insert(key.clone(), value);
            match ask(&mut connection, &[b"SET", key.as_bytes(), value.to_string().as_bytes()]) {
                Some(Reply::Simple(ok)) if ok == b"OK" => {
                    story.unanswered.remove(&key);
                    story.answered.insert(key.clone(), value);
                    story.writes += 1;
                    progress.fetch_add(1, Ordering::Relaxed);
                }
                Some(other) => story.wrong.push(format!("SET {key}: {other}")),
                None => break,
            }
            reread = Some(key);
        }
    }
    story
}

impl Story {
    /// What is read is what was answered last, or what was sent later without an answer.
    fn check(&mut self, key: &str, reply: &Reply) {
        let found = String::from_utf8_lossy(reply.bytes()).parse::<u64>().ok();
        let answered = self.answered.get(key).copied();
        let sent = self.unanswered.get(key).copied();
        if found != answered && (sent.is_none() || found != sent) {
            self.wrong.push(format!("{key} is {found:?}, answered was {answered:?}, sent {sent:?}"));
        }
    }
}

/// `None` where the connection was closed.
fn ask(connection: &mut Client, words: &[&[u8]]) -> Option<Reply> {
    connection.pipeline(&[words.to_vec()]).ok()?.pop()
}

#[test]
fn twenty_restarts_refuse_nobody_and_lose_nothing() {
    let Some(machine) = Machine::boot() else { return };
    machine.install();
    let socket = machine.path(SOCKET);
    let (stop, progress) = (AtomicBool::new(false), AtomicU64::new(0));
    let mut pids = Vec::new();
    let stories: Vec<_> = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|name| {
                let (socket, stop, progress) = (&socket, &stop, &progress);
                scope.spawn(move || client(socket, name, stop, progress))
            })
            .collect();
        // Also where a restart fails: the clients would go on for ever.
        let _guard = StopOnDrop(&stop);
        for restart in 0..RESTARTS {
            let before = progress.load(Ordering::Relaxed);
            wait_until("clients to be served", || {
                let now = progress.load(Ordering::Relaxed);
                let served = now > before + 100;
                if served { Ok(()) } else { Err(format!("restart {restart}: {now}\n{}", machine.log())) }
            });
            pids.push(machine.main_pid());
            machine.succeeds(&["systemctl", "restart", "larderd.service"]);
            let moment = |name| machine.show("larderd.service", name).parse::<u64>().unwrap();
            let from = moment("ActiveExitTimestampMonotonic");
            let stopping_us = moment("InactiveEnterTimestampMonotonic").saturating_sub(from);
            assert!(stopping_us < STOP_US_MAX, "stopping took {stopping_us} us\n{}", machine.log());
        }
        stop.store(true, Ordering::Relaxed);
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    pids.push(machine.main_pid());
    pids.dedup();
    assert_eq!(pids.len(), RESTARTS + 1, "{pids:?}");

    let mut last = machine.client();
    let mut wrong = Vec::new();
    for mut story in stories {
        for key in story.answered.keys().cloned().collect::<Vec<_>>() {
            let reply = last.cmd(&format!("GET {key}"));
            story.check(&key, &reply);
        }
        assert!(
            story.connections > RESTARTS as u64 / 2 && story.writes > 0,
            "each client went through restarts"
        );
        wrong.extend(story.wrong);
    }
    assert!(wrong.is_empty(), "{} things went wrong: {:?}", wrong.len(), &wrong[..wrong.len().min(10)]);
    assert_eq!(machine.show("larderd.service", "NRestarts"), "0", "none of them was a failure");
}

struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
