//! `EVAL script numkeys [key ...] [argument ...]`, `EVALSHA sha1 numkeys ...`, `SCRIPT LOAD script | EXISTS sha1 ... | FLUSH |
//! KILL`: the scripts that lock and rate-limit helpers of client libraries send, recognised and run natively.
//!
//! There is no Lua. A script is known by what it does (see [`canonical`]), so that it is recognised in whatever form a
//! library sends it; those of well-known libraries are known by their SHA-1 from the start. Another script is an error.

mod canonical;
mod known;
mod natives;

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::{LazyLock, Mutex, PoisonError};

use larder_protocol::{Reply, Request};
use sha1_smol::Sha1;

use super::args::required_integer;
use super::help::subcommands;
use super::subcommands::misused;
use super::{Class, Client, Group, Host, Job, Keys, Run, Spec, StepFn, args};
use crate::cache::{Stop, View};
use crate::error::CommandError;
use crate::glob::Pattern;
use canonical::canonical;
use known::Does;
use natives::Call;

/// Keys follow their number.
const KEYS: Keys = Keys { first: 3, last: -1, step: 1, overwritten: false, counted: true };

pub(super) static EVAL: Spec = spec(
    "eval",
    "script numkeys [key [key ...]] [arg [arg ...]]",
    "Runs one of the scripts that larder knows, natively",
    |request, view| run(request, view, recognise(request.arg(0))),
);

pub(super) static EVAL_RO: Spec = spec(
    "eval_ro",
    "script numkeys [key [key ...]] [arg [arg ...]]",
    "Runs one of the scripts that larder knows, as EVAL does",
    |request, view| run(request, view, recognise(request.arg(0))),
);

pub(super) static EVALSHA: Spec = spec(
    "evalsha",
    "sha1 numkeys [key [key ...]] [arg [arg ...]]",
    "Runs one of the scripts that larder knows, by its SHA-1",
    by_sha1,
);

pub(super) static EVALSHA_RO: Spec = spec(
    "evalsha_ro",
    "sha1 numkeys [key [key ...]] [arg [arg ...]]",
    "Runs one of the scripts that larder knows, by its SHA-1, as EVALSHA does",
    by_sha1,
);

pub(super) static SCRIPT: Spec = Spec {
    name: "script",
    usage: "LOAD script | EXISTS sha1 [sha1 ...] | FLUSH [ASYNC | SYNC] | KILL",
    arity: -2,
    class: Class::Connection,
    group: Group::Scripting,
    keys: Keys::NONE,
    summary: "Tells which scripts larder knows",
    run: Run::Local(script),
};

const fn spec(name: &'static str, usage: &'static str, summary: &'static str, run: StepFn) -> Spec {
    Spec {
        name,
        usage,
        arity: -3,
        class: Class::Write,
        group: Group::Scripting,
        keys: KEYS,
        summary,
        run: Run::StepOrJob(run, takes_turns, delete_matching),
    }
}

/// Whether it is the one script that does not run in one step. Asked for every one, so the others must be told quickly.
fn takes_turns(request: Request<'_>) -> bool {
    let script = request.arg(0);
    let quoted_keys =
        |word: &[u8]| matches!(word[0], b'\'' | b'"') && word[1..].eq_ignore_ascii_case(b"keys");
    let does = if script.len() == SHA1_DIGITS {
        remembered(script)
    } else if script.windows(5).any(quoted_keys) {
        recognise(script).ok()
    } else {
        None
    };
    matches!(does, Some(Does::DeleteMatching))
}

fn delete_matching<'a>(request: Request<'_>, host: &'a Host) -> Result<Job<'a>, CommandError> {
    let (keys, _) = split(request)?;
    let pattern = Pattern::glob(args::pattern(keys.first().ok_or(CommandError::ScriptArguments)?)?);
    Ok(Box::pin(async move { Ok(Reply::Int(host.cache.delete_matching(&pattern).await? as i64)) }))
}

/// Scripts recognised since the start, by their SHA-1: forms that no table has.
static LEARNED: LazyLock<Mutex<HashMap<String, Does>>> = LazyLock::new(Mutex::default);

/// Hexadecimal digits of a SHA-1.
const SHA1_DIGITS: usize = 40;

/// How many are remembered. A client that finds one forgotten sends it again.
const LEARNED_MAX: usize = 1_024;

fn sha1(bytes: &[u8]) -> String {
    Sha1::from(bytes).digest().to_string()
}

/// What the script does, if larder knows it. Its SHA-1 is remembered.
fn recognise(text: &[u8]) -> Result<Does, CommandError> {
    let sha = sha1(text);
    if let Some(native) = remembered(sha.as_bytes()) {
        return Ok(native);
    }
    let native = canonical(text).and_then(|form| known::by_form(&sha1(form.as_bytes())));
    let native = native.ok_or(CommandError::UnknownScript)?;
    let mut learned = LEARNED.lock().unwrap_or_else(PoisonError::into_inner);
    if learned.len() >= LEARNED_MAX {
        learned.clear();
    }
    learned.insert(sha, native);
    Ok(native)
}

/// What the script of that SHA-1 does, where larder knows it.
fn remembered(sha: &[u8]) -> Option<Does> {
    let sha = std::str::from_utf8(sha).ok()?.to_ascii_lowercase();
    let learned = || LEARNED.lock().unwrap_or_else(PoisonError::into_inner).get(&sha).copied();
    known::by_sha1(&sha).or_else(learned)
}

fn run(request: Request<'_>, view: &mut View<'_>, does: Result<Does, CommandError>) -> Result<Reply, Stop> {
    let (keys, args) = split(request)?;
    match does? {
        Does::Step(native) => native(&mut Call { keys, args, view }),
        Does::DeleteMatching => unreachable!("it takes turns"),
    }
}

type Words<'a> = Vec<&'a [u8]>;

/// The keys and the arguments.
fn split(request: Request<'_>) -> Result<(Words<'_>, Words<'_>), CommandError> {
    let count = required_integer(request.arg(1))?;
    let count =
        usize::try_from(count).map_err(|_| CommandError::Named("Number of keys can't be negative"))?;
    let mut keys: Vec<&[u8]> = request.tail(2).collect();
    if count > keys.len() {
        return Err(CommandError::Named("Number of keys can't be greater than number of args"));
    }
    let args = keys.split_off(count);
    Ok((keys, args))
}

fn by_sha1(request: Request<'_>, view: &mut View<'_>) -> Result<Reply, Stop> {
    // As in Redis, what cannot be a SHA-1 is refused before the keys are counted.
    if request.arg(0).len() != SHA1_DIGITS {
        return Err(CommandError::NoScript.into());
    }
    run(request, view, remembered(request.arg(0)).ok_or(CommandError::NoScript))
}

fn script(request: Request<'_>, _: &Rc<Client>, _: &Host) -> Result<Reply, CommandError> {
    match &request.arg(0).to_ascii_lowercase()[..] {
        b"load" => {
            recognise(request.arg(1))?;
            Ok(Reply::bulk(sha1(request.arg(1))))
        }
        b"exists" => {
            let known = |sha| Reply::Int(i64::from(remembered(sha).is_some()));
            Ok(Reply::Array(request.tail(1).map(known).collect()))
        }
        b"flush" => {
            if let Some(word) = request.get(1)
                && (request.len() > 3
                    || ![&b"async"[..], b"sync"].iter().any(|known| word.eq_ignore_ascii_case(known)))
            {
                return Err(CommandError::Named("SCRIPT FLUSH only support SYNC|ASYNC option"));
            }
            LEARNED.lock().unwrap_or_else(PoisonError::into_inner).clear();
            Ok(Reply::OK)
        }
        b"kill" => Err(CommandError::NothingToKill),
        b"help" => Ok(subcommands(&SCRIPT)),
        _ => Err(misused(&SCRIPT, request)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd::testing::Bench;

    const RELEASE: &str =
        "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) else return 0 end";

    /// The SHA-1 of redis-py's scripts, and of others.
    const PY_RELEASE: &str = "c3f8721cbb97f72bc19e972846bd7aaf91901658";
    const PY_EXTEND: &str = "a4e8783852e6b949f9ef3a97212805108459a890";
    const PY_REACQUIRE: &str = "1cac51482acf5858da00f6d685d68f886cd6b6b2";
    const DJANGO_INCR: &str = "f4a7da3e5d8ea3b46642af08427151cae0190400";
    const AIOCACHE_CAS: &str = "782e993d12091daacc7a3164ddf5c4624fe56042";
    const CASHEWS_INCR: &str = "0f8a745c1b5efe281bd1299ea0d1b2994c6ae601";
    const LIMITS_INCR: &str = "628bd136a573a06b346879695681af12ccef300f";
    const LIMITS_HIT: &str = "e8ac2a60cb040b0dbb56815a1e9c6fd032ce62e7";
    const LIMITS_LOOK: &str = "e7a0a27d4101baabb124af209bb0245197a359a1";
    const FLEXIBLE: &str = "a1de965f42e177aa339706bd580f049065eca79a";
    const EXPRESS: &str = "895b92e1712734e1b464999be23953485475357b";
    const LARAVEL_ADD: &str = "a08c9c69b7c07ae2485190873b90d128a23e502d";
    const LARAVEL_FUNNEL: &str = "420ca604de4310d8301943a71390ee669720d640";
    const REDLOCK: [&str; 3] = [
        "96da70f7716f27d278a5218544df37fd8b0a5e4c",
        "aed6f382e410db8ba7926d4e5e9aab410bf2a78a",
        "e4612211c9f8f51c257e26e056b0a654b3187242",
    ];

    #[test]
    fn a_script_is_known_in_any_form() {
        let mut bench = Bench::default();
        let other = RELEASE.replace('\'', "\\\"").replace("get", "GET").replace(' ', "  ");
        for script in [RELEASE.to_owned(), other] {
            bench.check("SET k owner", "+OK");
            bench.check(&format!("EVAL \"{script}\" 1 k thief"), ":0");
            bench.check(&format!("EVAL \"{script}\" 1 k owner"), ":1");
        }
        let sha = sha1(RELEASE.as_bytes());
        bench.check(&format!("EVALSHA {sha} 1 k owner"), ":0");
        bench.check(&format!("EVALSHA {} 1 k owner", sha.to_ascii_uppercase()), ":0");
    }

    #[test]
    fn the_scripts_remembered_are_bounded_and_the_forgotten_are_recognised_again() {
        let mut bench = Bench::default();
        for blanks in 1..=LEARNED_MAX + 10 {
            let script = RELEASE.replacen(' ', &" ".repeat(blanks), 1);
            bench.check(&format!("EVAL \"{script}\" 1 k owner"), ":0");
            assert!(LEARNED.lock().unwrap().len() <= LEARNED_MAX);
        }
    }

    #[test]
    fn what_is_refused() {
        let mut bench = Bench::default();
        for (line, answer) in [
            (
                "EVALSHA 0123456789012345678901234567890123456789 0",
                "-NOSCRIPT No matching script. Please use EVAL.",
            ),
            (
                "EVALSHA 0123456789012345678901234567890123456789 1",
                "-ERR Number of keys can't be greater than number of args",
            ),
            ("EVALSHA 0123456789012345678901234567890123456789 -1", "-ERR Number of keys can't be negative"),
            ("EVALSHA x 1", "-NOSCRIPT No matching script. Please use EVAL."),
            (
                "EVALSHA 0123456789012345678901234567890123456789 y",
                "-ERR value is not an integer or out of range",
            ),
            ("EVALSHA x", "-ERR wrong number of arguments for 'evalsha' command"),
        ] {
            bench.check(line, answer);
        }
        bench.check(
            &format!("EVALSHA {PY_RELEASE} 1 k"),
            "-ERR the script needs more keys or arguments than it was given; the helper that it is of sends them all",
        );
        bench.check(
            &format!("EVALSHA {PY_RELEASE} 0 k"),
            "-ERR the script needs more keys or arguments than it was given; the helper that it is of sends them all",
        );
        let unknown = bench.run("EVAL \"return redis.call('lpush', KEYS[1], 1)\" 1 k");
        assert!(matches!(&unknown, Reply::Error(text) if text.contains("has no Lua")), "{unknown:?}");
    }

    /// Runs `sha args` lines against expected answers.
    fn check(bench: &mut Bench, steps: &[(&str, &str, &str)]) {
        for (sha, args, answer) in steps {
            let line = if sha.is_empty() { (*args).to_owned() } else { format!("EVALSHA {sha} {args}") };
            bench.check(&line, answer);
        }
    }

    #[test]
    fn locks() {
        let mut bench = Bench::default();
        check(
            &mut bench,
            &[
                ("", "SET k me PX 1000", "+OK"),
                (PY_EXTEND, "1 k other 500 0", ":0"),
                (PY_EXTEND, "1 k me 500 0", ":1"),
                ("", "PTTL k", ":1500"),
                (PY_EXTEND, "1 k me 700 1", ":1"),
                ("", "PTTL k", ":700"),
                (PY_REACQUIRE, "1 k me 900", ":1"),
                ("", "PTTL k", ":900"),
                (PY_REACQUIRE, "1 k me soon", "-ERR value is not an integer or out of range"),
                (PY_RELEASE, "1 k other", ":0"),
                (PY_RELEASE, "1 k me", ":1"),
                (PY_EXTEND, "1 k me 500 0", ":0"),
                ("", "SET forever me", "+OK"),
                (PY_EXTEND, "1 forever me 500 0", ":0"),
                (LARAVEL_ADD, "1 added v 10", "+OK"),
                ("", "TTL added", ":10"),
                (LARAVEL_ADD, "1 added w 10", "$-1"),
                (LARAVEL_ADD, "1 other w 0", "-ERR invalid expire time in 'set' command"),
                (LARAVEL_FUNNEL, "2 f1 f2 f 10 a", "+f1"),
                (LARAVEL_FUNNEL, "2 f1 f2 f 10 b", "+f2"),
                (LARAVEL_FUNNEL, "2 f1 f2 f 10 c", "$-1"),
                ("", "MGET f1 f2", "*2 +a +b"),
                (REDLOCK[0], "2 x y me 1000", ":2"),
                (REDLOCK[0], "2 y z me 1000", ":0"),
                (REDLOCK[1], "2 x y me 5000", ":2"),
                ("", "PTTL y", ":5000"),
                (REDLOCK[1], "2 x y other 5000", ":0"),
                (REDLOCK[2], "3 x y z me", ":2"),
                ("", "EXISTS x y", ":0"),
                ("", "SET c 1", "+OK"),
                (AIOCACHE_CAS, "1 c 2 0", ":0"),
                (AIOCACHE_CAS, "1 c 2 1 EX 10", "+OK"),
                ("", "GETEX c", "+2"),
                ("", "TTL c", ":10"),
                (AIOCACHE_CAS, "1 c 3 2", "+OK"),
                ("", "TTL c", ":-1"),
            ],
        );
    }

    #[test]
    fn counters_of_windows() {
        let mut bench = Bench::default();
        check(
            &mut bench,
            &[
                (DJANGO_INCR, "1 d 1", "$-1"),
                ("", "SET d 5 EX 10", "+OK"),
                (DJANGO_INCR, "1 d -2", ":3"),
                ("", "TTL d", ":10"),
                (CASHEWS_INCR, "1 c 1 5000", ":1"),
                (CASHEWS_INCR, "1 c 1 9000", ":2"),
                ("", "PTTL c", ":5000"),
                (LIMITS_INCR, "1 l 60 2", ":2"),
                (LIMITS_INCR, "1 l 90 2", ":4"),
                ("", "TTL l", ":60"),
                (FLEXIBLE, "1 f 3 60", "*2 :3 :60000"),
                (FLEXIBLE, "1 f -1 90", "*2 :2 :60000"),
                (EXPRESS, "1 e 5000", "*2 :1 :5000"),
                (EXPRESS, "1 e 5000", "*2 :2 :5000"),
            ],
        );
        bench.advance_ms(5_000);
        check(&mut bench, &[(EXPRESS, "1 e 5000", "*2 :1 :5000"), ("", "EXISTS c", ":0")]);
    }

    #[test]
    fn a_sliding_window_counts_a_part_of_the_one_before() {
        let mut bench = Bench::default();
        // Ten hits in ten seconds.
        let hit = format!("EVALSHA {LIMITS_HIT} 2 p c 10 10 1");
        for _ in 0..10 {
            bench.check(&hit, ":1");
        }
        bench.check(&hit, "$-1");
        bench.check(&format!("EVALSHA {LIMITS_HIT} 2 p c 10 10 11"), "$-1");
        bench.check("PTTL c", ":20000");
        // Four seconds into the next window, six tenths of the one before count.
        bench.advance_ms(14_000);
        bench.check(&format!("EVALSHA {LIMITS_LOOK} 2 p c 10"), "*4 +10 :6000 +0 :16000");
        for _ in 0..4 {
            bench.check(&hit, ":1");
        }
        bench.check(&hit, "$-1");
        bench.check("MGET p c", "*2 +10 +4");
    }
}
