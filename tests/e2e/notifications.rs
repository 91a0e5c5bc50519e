//! Keyspace notifications: the same commands, run by larder and by redis-server, are told under the same names and in the same
//! order. The scripts are those of lock and rate-limit helpers, as these send them.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::util::{Client, Daemon, Reply, split_words, tool, wait_until};

const RELEASE: &str =
    "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) else return 0 end";

/// redis-py: a lock's extend and reacquire.
const EXTEND: &str = "
    local token = redis.call('get', KEYS[1])
    if not token or token ~= ARGV[1] then return 0 end
    local expiration = redis.call('pttl', KEYS[1])
    if not expiration then expiration = 0 end
    if expiration < 0 then return 0 end
    local newttl = ARGV[2]
    if ARGV[3] == '0' then newttl = ARGV[2] + expiration end
    redis.call('pexpire', KEYS[1], newttl)
    return 1";
const REACQUIRE: &str = "
    local token = redis.call('get', KEYS[1])
    if not token or token ~= ARGV[1] then return 0 end
    redis.call('pexpire', KEYS[1], ARGV[2])
    return 1";

/// django-redis: incr.
const INCREMENT: &str = "return redis.call('INCRBY', KEYS[1], ARGV[1])";
const INCREMENT_IF_PRESENT: &str = "
    local exists = redis.call('EXISTS', KEYS[1])
    if (exists == 1) then return redis.call('INCRBY', KEYS[1], ARGV[1]) else return false end";

/// cashews and limits: a counter of a window.
const COUNT_MS: &str = r#"
    local current_count = redis.call("INCRBY", KEYS[1], ARGV[1])
    if current_count == 1 then redis.call("PEXPIRE", KEYS[1], ARGV[2]) end
    return current_count"#;
const COUNT_S: &str = r#"
    local current
    local amount = tonumber(ARGV[2])
    current = redis.call("incrby", KEYS[1], amount)
    if tonumber(current) == amount then redis.call("expire", KEYS[1], ARGV[1]) end
    return current"#;

/// rate-limiter-flexible: consume.
const CONSUME: &str = "redis.call('set', KEYS[1], 0, 'EX', ARGV[2], 'NX') \
    local consumed = redis.call('incrby', KEYS[1], ARGV[1]) \
    local ttl = redis.call('pttl', KEYS[1]) \
    if ttl == -1 then redis.call('expire', KEYS[1], ARGV[2]) ttl = 1000 * ARGV[2] end \
    return {consumed, ttl}";

/// rate-limit-redis: increment.
const HIT: &str = r#"
    local windowMs = tonumber(ARGV[1])
    local timeToExpire = redis.call("PTTL", KEYS[1])
    if timeToExpire <= 0 then
    redis.call("SET", KEYS[1], 1, "PX", windowMs)
    return { 1, windowMs }
    end
    local totalHits = redis.call("INCR", KEYS[1])
    return { totalHits, timeToExpire }"#;

/// limits: hit, with its sliding windows.
const SLIDING: &str = "
    local limit = tonumber(ARGV[1])
    local expiry = tonumber(ARGV[2]) * 1000
    local amount = tonumber(ARGV[3])
    if amount > limit then return false end
    local current_ttl = tonumber(redis.call('pttl', KEYS[2]))
    if current_ttl > 0 and current_ttl < expiry then
        redis.call('rename', KEYS[2], KEYS[1])
        redis.call('set', KEYS[2], 0, 'PX', current_ttl + expiry)
    end
    local previous_count = tonumber(redis.call('get', KEYS[1])) or 0
    local previous_ttl = tonumber(redis.call('pttl', KEYS[1])) or 0
    local current_count = tonumber(redis.call('get', KEYS[2])) or 0
    current_ttl = tonumber(redis.call('pttl', KEYS[2])) or 0
    if previous_ttl <= 0 then previous_ttl = 0 end
    if current_ttl <= 0 then current_ttl = 0 end
    local weighted_count = math.floor(previous_count * previous_ttl / expiry) + current_count
    if (weighted_count + amount) > limit then return false end
    if redis.call('exists', KEYS[2]) == 1 then
        redis.call('incrby', KEYS[2], amount)
    else
        redis.call('set', KEYS[2], amount, 'PX', expiry * 2)
    end
    return true";

/// Laravel: add.
const ADD: &str = "return redis.call('exists',KEYS[1])<1 and redis.call('setex',KEYS[1],ARGV[2],ARGV[1])";

/// A request: a line, and the script that stands for `SCRIPT` in it.
const REQUESTS: &[(&str, &str)] = &[
    ("SET lock me PX 100000", ""),
    ("EVAL SCRIPT 1 lock me 500000 0", EXTEND),
    ("EVAL SCRIPT 1 lock me 500000 1", EXTEND),
    ("EVAL SCRIPT 1 lock me 500000", REACQUIRE),
    ("EVAL SCRIPT 1 lock thief", RELEASE),
    ("EVAL SCRIPT 1 lock me", RELEASE),
    ("SET lock me", ""),
    // Given a time that has passed it is deleted.
    ("EVAL SCRIPT 1 lock me 0", REACQUIRE),
    ("EVAL SCRIPT 1 n 5", INCREMENT),
    ("EVAL SCRIPT 1 n -2", INCREMENT_IF_PRESENT),
    ("EVAL SCRIPT 1 absent 1", INCREMENT_IF_PRESENT),
    ("EVAL SCRIPT 1 ms 1 100000", COUNT_MS),
    ("EVAL SCRIPT 1 ms 1 100000", COUNT_MS),
    ("EVAL SCRIPT 1 s 100 2", COUNT_S),
    ("EVAL SCRIPT 1 s 100 2", COUNT_S),
    ("EVAL SCRIPT 1 consumed 1 100", CONSUME),
    ("EVAL SCRIPT 1 consumed 1 100", CONSUME),
    ("SET forever 1", ""),
    ("EVAL SCRIPT 1 forever 1 100", CONSUME),
    ("EVAL SCRIPT 1 hits 100000", HIT),
    ("EVAL SCRIPT 1 hits 100000", HIT),
    ("EVAL SCRIPT 2 before now 10 100 1", SLIDING),
    ("EVAL SCRIPT 2 before now 10 100 1", SLIDING),
    // The window has ended and becomes the one before.
    ("PEXPIRE now 50000", ""),
    ("EVAL SCRIPT 2 before now 10 100 1", SLIDING),
    // The same, and the hit is refused.
    ("SET now 10 PX 50000", ""),
    ("EVAL SCRIPT 2 before now 6 100 4", SLIDING),
    ("EVAL SCRIPT 1 added v 100", ADD),
    // Without scripts.
    ("SETEX plain 100 v", ""),
    ("SET plain v KEEPTTL", ""),
    ("GETEX plain PERSIST", ""),
    ("GETEX plain EX 100", ""),
    ("PERSIST plain", ""),
    ("EXPIRE plain 100", ""),
    ("APPEND plain w", ""),
    ("SETRANGE plain 1 x", ""),
    ("GETSET plain v", ""),
    ("COPY plain copied", ""),
    ("RENAME copied renamed", ""),
    ("GETDEL renamed", ""),
    ("MSET a 1 b 2", ""),
    ("MSETNX c 1 d 2", ""),
    ("INCRBYFLOAT a 1.5", ""),
    ("DECR b", ""),
    ("EXPIRE b -1", ""),
    ("DEL a nothing", ""),
];

/// A redis-server in a directory of its own.
struct Redis {
    process: Child,
    dir: TempDir,
}

impl Redis {
    fn start(binary: PathBuf) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut command = Command::new(binary);
        command.args(["--port", "0", "--save", "", "--notify-keyspace-events", "KEA", "--unixsocket"]);
        command.arg(dir.path().join("redis.sock")).arg("--dir").arg(dir.path());
        let process = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        let redis = Self { process, dir };
        wait_until("redis-server to answer", || {
            let mut client = Client::connect(&redis.socket()).map_err(|error| error.to_string())?;
            client.check("PING", "+PONG");
            Ok(())
        });
        redis
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("redis.sock")
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What each request answers, and the changes that are told of it: `event key`.
fn run(connect: impl Fn() -> Client) -> Vec<(String, Vec<String>)> {
    const MARK: &str = "append the-mark";
    let (mut listener, mut worker) = (connect(), connect());
    listener.check("PSUBSCRIBE __keyevent@0__:*", "[=psubscribe =__keyevent@0__:* :1]");
    let outcome = |(line, script): &(&str, &str)| {
        let words = split_words(line).unwrap();
        let words: Vec<Vec<u8>> = words
            .into_iter()
            .map(|word| if word == b"SCRIPT" { script.as_bytes().to_vec() } else { word })
            .collect();
        let reply = worker.args(&words);
        worker.cmd("APPEND the-mark .");
        let mut told = Vec::new();
        loop {
            let Reply::Array(words) = listener.read().unwrap() else { panic!("a message is an array") };
            let channel = String::from_utf8_lossy(words[2].bytes()).into_owned();
            let event = channel.strip_prefix("__keyevent@0__:").expect("the channel of an event");
            let change = format!("{event} {}", String::from_utf8_lossy(words[3].bytes()));
            if change == MARK {
                // Arrays hold milliseconds that are left.
                let reply = if matches!(reply, Reply::Array(_)) { String::new() } else { reply.to_string() };
                return (format!("{line}: {reply}"), told);
            }
            told.push(change);
        }
    };
    REQUESTS.iter().map(outcome).collect()
}

#[test]
fn changes_are_told_under_redis_names_those_of_scripts_as_well() {
    let Some(binary) = tool("redis-server") else { return };
    let redis = Redis::start(binary);
    let daemon = Daemon::start(&["--notify-keyspace-events", "KEA"]);
    let (theirs, ours) = (run(|| Client::connect(&redis.socket()).unwrap()), run(|| daemon.client()));
    for (theirs, ours) in theirs.iter().zip(&ours) {
        assert_eq!(ours, theirs, "larder's is the first");
    }
    let told = theirs.iter().flat_map(|(_, told)| told).count();
    assert!(told > REQUESTS.len(), "{told} changes were told");
}
