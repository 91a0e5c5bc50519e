//! Random commands in pipelines of random length against a map in memory: every answer is the one the map gives, in its
//! place; also after a restart, a kill and a merge, and in transactions. What redis-server answers is compared by
//! `tests/differential/`.

use std::collections::BTreeMap;

use crate::report::{Plan, Report, Subject};
use crate::util::{Daemon, Dice, Reply, encode};

/// Keys that commands choose from.
const KEYS: u64 = 40;

/// Commands between two restarts, about.
const RESTARTED_EVERY: u64 = 4_000;

const SETTINGS: &[&str] = &["--memory-cap", "64KiB", "--merge-interval", "3ms", "--cleanup-interval", "50ms"];

#[test]
fn gate() {
    run(&Subject::larderd(), Plan::from_environment(20_000)).end();
}

type Map = BTreeMap<String, Vec<u8>>;

pub(crate) fn run(subject: &Subject, plan: Plan) -> Report {
    let mut report = Report::new("model", plan);
    let mut dice = Dice::new(plan.seed);
    let mut daemon = subject.start(SETTINGS);
    let mut map = Map::new();
    let (mut done, mut pipelines, mut restarts) = (0, 0, 0);
    let mut client = daemon.client();
    while done < plan.count && !report.is_red() {
        let length = 1 + dice.below(40);
        let (mut bytes, mut expected) = (Vec::new(), Vec::new());
        for _ in 0..length {
            let (request, reply) = command(&mut dice, &mut map);
            bytes.extend_from_slice(&encode(&request));
            expected.push((request, reply));
        }
        // In pieces, which need not end where requests do.
        for piece in bytes.chunks(1 + dice.below(3_000) as usize) {
            client.send(piece).unwrap();
        }
        // Behind it, so that an answer that is left out shows as a wrong one and not as a wait.
        let mark = format!("mark:{done}");
        client.send(&encode(&["ECHO", &mark])).unwrap();
        expected.push((vec![b"ECHO".to_vec(), mark.clone().into_bytes()], Reply::bulk(&mark)));
        for (request, want) in expected {
            match client.read() {
                Ok(got) if got == want => {}
                Ok(got) => {
                    report.fail(format!("{}: expected {want}, got {got}", shown(&request)));
                    break;
                }
                Err(error) => {
                    report.fail(format!("{}: expected {want}, got {error}", shown(&request)));
                    break;
                }
            }
        }
        done += length;
        pipelines += 1;
        if dice.below(RESTARTED_EVERY / 20) == 0 || done / RESTARTED_EVERY > restarts && !report.is_red() {
            restart(&mut daemon, &mut dice);
            restarts += 1;
            client = daemon.client();
        }
    }
    if !report.is_red() {
        for number in 0..KEYS {
            let key = format!("key:{number}");
            let want = map.get(&key).map_or(Reply::Nil, Reply::bulk);
            let got = client.args(&["GET", &key]);
            if got != want {
                report.fail(format!("in the end {key} is {got}, not {want}"));
            }
        }
    }
    report.count("commands", done);
    report.count("pipelines", pipelines);
    report.count("restarts", restarts);
    report
}

fn restart(daemon: &mut Daemon, dice: &mut Dice) {
    if dice.below(2) == 0 {
        daemon.kill9();
    } else {
        let status = daemon.terminate();
        assert_eq!(status.code(), Some(0), "{}", daemon.output());
    }
    daemon.restart();
}

fn shown(request: &[Vec<u8>]) -> String {
    request.iter().map(|word| word.escape_ascii().to_string()).collect::<Vec<_>>().join(" ")
}

/// A command and what it must answer; the map is changed by it.
fn command(dice: &mut Dice, map: &mut Map) -> (Vec<Vec<u8>>, Reply) {
    let key = format!("key:{}", dice.below(KEYS));
    let held = map.get(&key).cloned();
    let nil_or = |held: Option<Vec<u8>>| held.map_or(Reply::Nil, Reply::bulk);
    let length = if dice.below(20) == 0 { 5_000 } else { dice.below(40) as usize };
    let value = dice.bytes(length);
    let number = |held: &Option<Vec<u8>>| -> Option<i64> {
        match held {
            None => Some(0),
            Some(bytes) => {
                str::from_utf8(bytes).ok()?.parse().ok().filter(|n: &i64| n.to_string().as_bytes() == bytes)
            }
        }
    };
    let words = |words: &[&str]| words.iter().map(|word| word.as_bytes().to_vec()).collect::<Vec<_>>();
    match dice.below(16) {
        0..3 => {
            map.insert(key.clone(), value.clone());
            (vec![b"SET".to_vec(), key.into_bytes(), value], Reply::ok())
        }
        3..6 => (words(&["GET", &key]), nil_or(held)),
        6 => {
            map.remove(&key);
            (words(&["DEL", &key]), Reply::Integer(i64::from(held.is_some())))
        }
        7 | 8 => match number(&held) {
            Some(before) => {
                map.insert(key.clone(), (before + 1).to_string().into_bytes());
                (words(&["INCR", &key]), Reply::Integer(before + 1))
            }
            None => (
                words(&["INCR", &key]),
                Reply::Error("ERR value is not an integer or out of range".to_owned()),
            ),
        },
        9 => {
            map.insert(key.clone(), b"7".to_vec());
            (words(&["SET", &key, "7", "EX", "10000"]), Reply::ok())
        }
        10 => {
            let mut joined = held.unwrap_or_default();
            joined.extend_from_slice(&value);
            let bytes = joined.len() as i64;
            if bytes == 0 {
                // Redis creates an empty string here.
                map.insert(key.clone(), Vec::new());
            } else {
                map.insert(key.clone(), joined);
            }
            (vec![b"APPEND".to_vec(), key.into_bytes(), value], Reply::Integer(bytes))
        }
        11 => {
            map.remove(&key);
            (words(&["GETDEL", &key]), nil_or(held))
        }
        12 => {
            let fresh = held.is_none();
            if fresh {
                map.insert(key.clone(), value.clone());
            }
            let reply = if fresh { Reply::ok() } else { Reply::Nil };
            (vec![b"SET".to_vec(), key.into_bytes(), value, b"NX".to_vec()], reply)
        }
        13 => {
            let other = format!("key:{}", dice.below(KEYS));
            let reply = Reply::Array(vec![nil_or(held), nil_or(map.get(&other).cloned())]);
            (words(&["MGET", &key, &other]), reply)
        }
        14 => {
            let other = format!("key:{}", dice.below(KEYS));
            map.insert(key.clone(), value.clone());
            map.insert(other.clone(), b"other".to_vec());
            (
                vec![b"MSET".to_vec(), key.into_bytes(), value, other.into_bytes(), b"other".to_vec()],
                Reply::ok(),
            )
        }
        _ if dice.below(4) == 0 => {
            let pattern = format!("key:{}*", dice.below(4));
            let prefix = &pattern[..pattern.len() - 1];
            let before = map.len();
            map.retain(|key, _| !key.starts_with(prefix));
            (words(&["DELPAT", &pattern]), Reply::Integer((before - map.len()) as i64))
        }
        _ => (words(&["EXISTS", &key, &key]), Reply::Integer(2 * i64::from(held.is_some()))),
    }
}
