//! What is fuzzed: each function takes any bytes and panics where something is wrong with what larder makes of them. Used by
//! the fuzzers in `fuzz_targets/`, which need cargo-fuzz and a nightly compiler, and by the gate `fuzz`, which needs neither.

use std::ffi::OsString;
use std::path::Path;

use bytes::{Buf as _, BytesMut};
use larder_protocol::{
    Decoder, Dialect, FrameLimits, OwnedRequest, Parser, Progress, ReplyLimits, Requests, Snapshot, stream,
};
use larderd::config::{self, Command, Environment};
use larderd::glob::Pattern;

/// A function over any bytes.
pub type Target = fn(&[u8]);

/// All of them, under the names of their corpora.
pub const TARGETS: [(&str, Target); 6] = [
    ("requests", requests),
    ("lines", lines),
    ("globs", globs),
    ("stats", stats),
    ("configuration", configuration),
    ("replies", replies),
];

/// Small limits, so that they are met.
const LIMITS: FrameLimits =
    FrameLimits { line_bytes: 300, line_args: 12, args: 16, value_bytes: 200, request_bytes: 600 };

/// The request parser: however the bytes are divided, the same requests come of them, and the same error at the same place.
/// The first byte says how they are divided.
pub fn requests(data: &[u8]) {
    let Some((&pieces, input)) = data.split_first() else { return };
    let whole = parsed(&[input]);
    let divided: Vec<&[u8]> = input.chunks(usize::from(pieces) % 40 + 1).collect();
    assert_eq!(parsed(&divided), whole, "in pieces of {}", usize::from(pieces) % 40 + 1);
    let (requests, _) = whole;
    for request in requests {
        let request = request.as_request();
        assert!(request.len() >= 1 && request.words().len() == request.len());
        assert!(request.words().all(|word| word.len() <= LIMITS.request_bytes));
    }
}

/// Requests, and what ended them, if anything did.
fn parsed(pieces: &[&[u8]]) -> (Vec<OwnedRequest>, Option<String>) {
    let (mut parser, mut requests, mut buffer) = (Parser::new(LIMITS), Requests::default(), BytesMut::new());
    let mut all = Vec::new();
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            let progress = parser.parse(&buffer, &mut requests, 3);
            for at in 0..requests.len() {
                all.push(requests.get(at, &buffer).to_owned());
            }
            let done = requests.consumed_to();
            buffer.advance(done);
            parser.consumed(done);
            requests.clear();
            match progress {
                Progress::Full => {}
                Progress::NeedMore { .. } => {
                    assert!(
                        buffer.len() <= LIMITS.request_bytes + LIMITS.line_bytes + 64,
                        "{} bytes wait",
                        buffer.len()
                    );
                    break;
                }
                Progress::Broken(error) => return (all, Some(error.to_string())),
            }
        }
    }
    (all, None)
}

/// The words of one line: whatever they are, quoting them anew gives the same words.
pub fn lines(data: &[u8]) {
    let line = data.split(|&byte| byte == b'\n').next().unwrap_or_default();
    if line.first() == Some(&b'*') {
        return;
    }
    let (found, error) = parsed(&[line, b"\n"]);
    assert!(found.len() + usize::from(error.is_some()) <= 1, "one line is one request at most");
    let Some(request) = found.first().map(OwnedRequest::as_request) else { return };
    assert_eq!(request.dialect(), Dialect::Line);
    let mut quoted = Vec::new();
    for word in request.words() {
        quoted.push(b'"');
        for &byte in word {
            quoted.extend_from_slice(format!("\\x{byte:02x}").as_bytes());
        }
        quoted.extend_from_slice(b"\" ");
    }
    quoted.push(b'\n');
    if quoted.len() > LIMITS.line_bytes {
        return;
    }
    let (again, error) = parsed(&[&quoted]);
    assert_eq!((again.first(), error), (found.first(), None));
}

/// Patterns: the first byte says how long the pattern is, the rest is the key. What it matches begins with its literal prefix
/// and lies below its upper bound, and a naive matcher says the same.
pub fn globs(data: &[u8]) {
    let Some((&length, rest)) = data.split_first() else { return };
    let (pattern, key) = rest.split_at(rest.len().min(usize::from(length) % 48));
    // The naive matcher is as slow as its stars are many.
    let key = &key[..key.len().min(48)];
    for (compiled, like) in [(Pattern::glob(pattern), false), (Pattern::like(pattern), true)] {
        let matches = compiled.matches(key);
        if matches {
            assert!(key.starts_with(compiled.literal_prefix()));
            assert!(compiled.upper_bound().is_none_or(|bound| key < bound.as_slice()));
            assert!(!compiled.is_literal() || key == compiled.literal_prefix());
        }
        if like {
            let naive = naive_like(pattern, key);
            assert_eq!(matches, naive, "{} LIKE {}", key.escape_ascii(), pattern.escape_ascii());
        }
    }
    // What a pattern without any special byte matches is itself.
    if !pattern.iter().any(|byte| b"*?[\\".contains(byte)) {
        assert_eq!(Pattern::glob(pattern).matches(key), pattern == key);
        assert!(Pattern::glob(pattern).matches(pattern));
    }
    // Stars around it find it within anything.
    let around = [b"*", escaped(key).as_slice(), b"*"].concat();
    assert!(Pattern::glob(&around).matches(&[b"before", key, b"after"].concat()));
}

fn escaped(key: &[u8]) -> Vec<u8> {
    key.iter().flat_map(|&byte| [b'\\', byte]).collect()
}

/// SQL's LIKE by the book: a table of which beginnings of the pattern match which beginnings of the key.
fn naive_like(pattern: &[u8], key: &[u8]) -> bool {
    #[derive(Clone, Copy, PartialEq)]
    enum Part {
        Byte(u8),
        Any,
        Many,
    }
    let mut parts = Vec::new();
    let mut bytes = pattern.iter().copied();
    while let Some(byte) = bytes.next() {
        parts.push(match byte {
            b'%' => Part::Many,
            b'_' => Part::Any,
            b'\\' => Part::Byte(bytes.next().unwrap_or(b'\\')),
            other => Part::Byte(other),
        });
    }
    let mut reached = vec![false; key.len() + 1];
    reached[0] = true;
    for part in parts {
        let mut next = vec![false; key.len() + 1];
        for at in 0..=key.len() {
            next[at] = match part {
                Part::Many => reached[at] || at > 0 && next[at - 1],
                Part::Any => at > 0 && reached[at - 1],
                Part::Byte(byte) => at > 0 && key[at - 1] == byte && reached[at - 1],
            };
        }
        reached = next;
    }
    reached[key.len()]
}

/// The decoders of STATS and of the messages of larder's own channels: what they take they give back the same.
pub fn stats(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    if let Ok(snapshot) = Snapshot::from_json(text) {
        let again = Snapshot::from_json(&snapshot.to_json(None)).expect("what was written can be read");
        assert_eq!(again.to_json(None), snapshot.to_json(None));
    }
    if let Ok(event) = stream::Event::from_json(text) {
        assert_eq!(stream::Event::from_json(&event.to_json()).expect("what was written can be read"), event);
    }
    if let Ok(stream::Message::Sample(sample)) = stream::Message::from_json(text) {
        let written = sample.to_json();
        match stream::Message::from_json(&written) {
            Ok(stream::Message::Sample(again)) => assert_eq!(again.to_json(), written),
            other => panic!("what was written can be read: {other:?}"),
        }
    }
}

/// The configuration: the first line is options, the rest the file. Where it is accepted, what `--print-config` says is a
/// file that says the same.
pub fn configuration(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let (options, file) = text.split_once('\n').unwrap_or((text, ""));
    let dir = std::env::temp_dir().join(format!(
        "larder-fuzz-{}-{:?}",
        std::process::id(),
        std::thread::current().id()
    ));
    std::fs::create_dir_all(&dir).expect("there is a directory for temporary files");
    let path = dir.join("larder.toml");
    std::fs::write(&path, file).expect("a file can be written");
    let words =
        || options.split(' ').filter(|word| !word.is_empty() && !word.contains("config")).map(OsString::from);
    let loaded = load(words(), &path, false);
    if let Ok(Command::Run(first)) = loaded {
        let printed = match load(words(), &path, true) {
            Ok(Command::Print(printed)) => printed,
            other => panic!("--print-config should print: {other:?}"),
        };
        std::fs::write(&path, printed).expect("a file can be written");
        match load(std::iter::empty(), &path, false) {
            Ok(Command::Run(second)) => assert_eq!(second.settings, first.settings),
            other => panic!("what --print-config printed is no configuration: {other:?}"),
        }
    }
    let _ = std::fs::remove_file(&path);
}

fn load(
    options: impl Iterator<Item = OsString>,
    file: &Path,
    print: bool,
) -> Result<Command, config::ConfigError> {
    let first = ["larderd".into(), "--config".into(), file.as_os_str().to_owned()];
    let print = print.then(|| OsString::from("--print-config"));
    let environment = Environment::new(0, std::iter::empty::<(OsString, OsString)>());
    config::load(first.into_iter().chain(print).chain(options), &environment, "0")
}

/// The client's decoder of replies: however the bytes are divided, the same replies come of them, and the same error.
pub fn replies(data: &[u8]) {
    let Some((&pieces, input)) = data.split_first() else { return };
    let limits = ReplyLimits { line_bytes: 100, bulk_bytes: 200, items: 50, depth: 5 };
    let decoded = |pieces: usize| {
        let (mut decoder, mut buffer, mut all) = (Decoder::new(limits.clone()), BytesMut::new(), Vec::new());
        for piece in input.chunks(pieces) {
            buffer.extend_from_slice(piece);
            loop {
                match decoder.decode(&mut buffer) {
                    Ok(Some(reply)) => all.push(format!("{reply:?}")),
                    Ok(None) => break,
                    Err(error) => {
                        all.push(error.to_string());
                        return all;
                    }
                }
            }
        }
        all
    };
    assert_eq!(decoded(usize::from(pieces) % 40 + 1), decoded(input.len().max(1)));
}
