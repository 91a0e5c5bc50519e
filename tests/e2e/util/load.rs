//! Clients that write until the daemon is killed, and know what has to be there afterwards.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Client, Dice, Reply, encode};

/// Keys of one client.
const KEYS: u64 = 24;

/// Requests of a pipeline.
const BATCH: u64 = 16;

/// What a key holds, and when it was given that: the writes of a client are numbered.
pub(crate) type Held = Option<String>;

/// One client's writes, all to keys of its own: what each key must hold is known exactly, but for the batch that was on
/// its way when the daemon died.
pub(crate) struct Load {
    name: u64,
    dice: Dice,
    written: u64,
    /// What an answer has promised for each key.
    pub(crate) promised: BTreeMap<String, Held>,
    /// What each key may hold instead, because of requests without an answer.
    possible: BTreeMap<String, Vec<Held>>,
}

impl Load {
    pub(crate) fn new(name: u64, seed: u64) -> Self {
        Self { name, dice: Dice::new(seed), written: 0, promised: BTreeMap::new(), possible: BTreeMap::new() }
    }

    /// Writes in pipelined batches until the daemon dies; counts the answers in `answered`.
    pub(crate) fn write_until_killed(&mut self, client: &mut Client, answered: &AtomicU64) {
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
    pub(crate) fn compare(&mut self, client: &mut Client) -> Vec<String> {
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
