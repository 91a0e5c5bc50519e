//! The fuzz targets of `tests/fuzz/targets.rs` on a stable compiler: every file of their corpora, then inputs made from these
//! by chance. cargo-fuzz, where it is there, looks further: it sees which way an input takes.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::report::{Plan, Report};
use crate::targets::{TARGETS, Target};
use crate::util::{Dice, repository};

/// Inputs of each target.
#[test]
fn gate() {
    run(Plan::from_environment(15_000)).end();
}

fn run(plan: Plan) -> Report {
    let mut report = Report::new("fuzz", plan);
    let dictionary = dictionary();
    let mut of_corpus = 0;
    for (name, target) in TARGETS {
        let mut corpus = corpus(name);
        of_corpus += corpus.len();
        for input in &corpus {
            attempt(name, target, input, &mut report);
        }
        let mut dice = Dice::new(plan.seed);
        // One that touches a file each time is slow.
        let count = if name == "configuration" { plan.count / 10 } else { plan.count };
        for _ in 0..count {
            let mut input = corpus[dice.below(corpus.len() as u64) as usize].clone();
            for _ in 0..=dice.below(6) {
                mutate(&mut input, &corpus, &dictionary, &mut dice);
            }
            input.truncate(2_000);
            attempt(name, target, &input, &mut report);
            // Some are kept, so that changes add up.
            if corpus.len() < 400 && dice.below(50) == 0 {
                corpus.push(input);
            }
            if report.is_red() {
                return report;
            }
        }
    }
    report.count("inputs of the corpora", of_corpus);
    report.count("inputs made", plan.count * (TARGETS.len() as u64 - 1) + plan.count / 10);
    report
}

fn attempt(name: &str, target: Target, input: &[u8], report: &mut Report) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| target(input))) {
        let why = panic.downcast_ref::<String>().cloned().unwrap_or_default();
        report.fail(format!("{name}: b\"{}\": {why}", input.escape_ascii()));
    }
}

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let dir = repository("tests/fuzz/corpus").join(name);
    let mut paths: Vec<_> = fs::read_dir(&dir).unwrap().map(|file| file.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "{} has inputs", dir.display());
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// The words of `tests/fuzz/dictionary`, which is in libFuzzer's form.
fn dictionary() -> Vec<Vec<u8>> {
    let text = fs::read_to_string(repository("tests/fuzz/dictionary")).unwrap();
    let quoted = text.lines().filter_map(|line| line.strip_prefix('"')?.strip_suffix('"'));
    let words: Vec<_> = quoted.map(unescape).collect();
    assert!(words.len() > 20);
    words
}

fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        if first == b'\\' {
            let digits = str::from_utf8(&after[1..3]).unwrap();
            bytes.push(u8::from_str_radix(digits, 16).unwrap());
            rest = &after[3..];
        } else {
            bytes.push(first);
        }
    }
    bytes
}

fn mutate(input: &mut Vec<u8>, corpus: &[Vec<u8>], dictionary: &[Vec<u8>], dice: &mut Dice) {
    let at = dice.below(input.len() as u64 + 1) as usize;
    let other = |dice: &mut Dice| &corpus[dice.below(corpus.len() as u64) as usize];
    match dice.below(8) {
        0 => input.insert(at, dice.below(256) as u8),
        1 if at < input.len() => input[at] ^= 1 << dice.below(8),
        2 if at < input.len() => {
            let end = (at + 1 + dice.below(8) as usize).min(input.len());
            input.drain(at..end);
        }
        3 | 4 => {
            let word = &dictionary[dice.below(dictionary.len() as u64) as usize];
            input.splice(at..at, word.iter().copied());
        }
        5 => {
            let part = other(dice);
            let from = dice.below(part.len() as u64 + 1) as usize;
            input.splice(at..at, part[from..].iter().copied());
        }
        6 => {
            let end = (at + dice.below(12) as usize).min(input.len());
            let again = input[at..end].to_vec();
            input.splice(at..at, again);
        }
        _ => {
            let number = dice.below(1 << 40) >> dice.below(40);
            input.splice(at..at, number.to_string().into_bytes());
        }
    }
}
