//! What a journal brings back after it was cut off, damaged, or left as it was prepared.

use super::*;
use crate::entry::{Entry, State};
use crate::store::batch::{BatchEncoder, Write};

fn batch(key: &str, value: &'static str) -> BatchEncoder {
    let mut encoder = BatchEncoder::default();
    encoder.put(key.as_bytes(), &State::Live(Entry::forever(value)));
    encoder
}

/// The smallest and the largest.
const PAGES: [PageSize; 2] = [PageSize::SMALLEST, PageSize::LARGEST];

fn replayed(dir: &Path) -> Vec<String> {
    let mut keys = Vec::new();
    for journal in Found::all(dir).unwrap() {
        journal
            .replay(|batch| {
                keys.extend(batch.iter().map(|write| match write {
                    Write::Put(key, _) => String::from_utf8_lossy(key).into_owned(),
                    Write::Flush => "flush".into(),
                }));
            })
            .unwrap();
    }
    keys
}

#[test]
fn batches_come_back_in_order_across_files() {
    let dir = tempfile::tempdir().unwrap();
    let mut second = Journal::create(dir.path(), 2, Sync::Deferred).unwrap();
    let mut first = Journal::create(dir.path(), 1, Sync::EveryCommit).unwrap();
    second.commit(batch("c", "3").bytes()).unwrap();
    first.commit(batch("a", "1").bytes()).unwrap();
    first.commit(batch("b", "2").bytes()).unwrap();
    assert!(first.bytes() > 0);
    drop((first, second));
    assert_eq!(replayed(dir.path()), ["a", "b", "c"]);
    assert_eq!(replayed(dir.path()), ["a", "b", "c"], "replaying takes nothing away");
}

#[test]
fn commits_that_were_forced_to_disk_are_missed() {
    for page in PAGES {
        commits_forced_to_disk_are_missed(page);
    }
}

fn commits_forced_to_disk_are_missed(page: PageSize) {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = Journal::create_with_pages(dir.path(), 1, Sync::Deferred, page).unwrap();
    let frame = page.bytes() as usize + 24;
    for key in ["a", "b", "c"] {
        journal.commit(batch(key, "1").bytes()).unwrap();
    }
    journal.log().sync().unwrap();
    drop(journal);
    let path = path_of(dir.path(), 1);
    let log = std::fs::read(wal_path(&path)).unwrap();
    let outcome = |bytes: &[u8]| {
        std::fs::write(wal_path(&path), bytes).unwrap();
        Found::all(dir.path()).unwrap()[0].replay(|_| ())
    };
    // A byte of the log's header, of the first and of the last frame; a whole page.
    for at in [17, 200, log.len() - 5] {
        let mut damaged = log.clone();
        damaged[at] ^= 1;
        assert!(outcome(&damaged).unwrap_err().is_damage(), "byte {at}");
    }
    outcome(&log).unwrap();
    // The last commit not there, in part, or all zeros: a power cut leaves that only of what had not been forced.
    let mut zeros = log.clone();
    zeros[log.len() - frame..].fill(0);
    let shorter = |bytes: usize| &log[..log.len() - bytes];
    let cut = [shorter(1), shorter(frame - 72), shorter(frame), &zeros];
    for log in cut {
        assert!(outcome(log).unwrap_err().is_damage());
    }
    let mark = std::fs::read(mark_path(&path)).unwrap();
    std::fs::remove_file(mark_path(&path)).unwrap();
    for log in cut {
        outcome(log).unwrap();
    }
    std::fs::write(mark_path(&path), mark).unwrap();
    std::fs::write(wal_path(&path), &log).unwrap();
    std::fs::write(&path, b"").unwrap();
    assert!(Found::all(dir.path()).unwrap()[0].replay(|_| ()).unwrap_err().is_damage());
}

#[test]
fn a_gap_in_what_was_not_forced_to_disk_costs_what_is_behind_it_alone() {
    for page in PAGES {
        a_gap_costs_what_is_behind_it_alone(page);
    }
}

fn a_gap_costs_what_is_behind_it_alone(page: PageSize) {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = Journal::create_with_pages(dir.path(), 1, Sync::Deferred, page).unwrap();
    let mut ends = Vec::new();
    for key in ["a", "b", "c", "d"] {
        journal.commit(batch(key, "1").bytes()).unwrap();
        ends.push(journal.bytes() as usize);
        if key == "b" {
            journal.log().sync().unwrap();
        }
    }
    drop(journal);
    let path = path_of(dir.path(), 1);
    let log = std::fs::read(wal_path(&path)).unwrap();
    let with_a_gap_behind = |commit: usize| {
        let mut torn = log.clone();
        torn[ends[commit]..ends[commit + 1]].fill(0);
        std::fs::write(wal_path(&path), torn).unwrap();
    };
    // The third reached the disk after the fourth, and then there was no power any more.
    with_a_gap_behind(1);
    assert_eq!(replayed(dir.path()), ["a", "b"]);
    assert_eq!(replayed(dir.path()), ["a", "b"], "and the next start finds the same");
    // The second had been forced to disk.
    with_a_gap_behind(0);
    assert!(Found::all(dir.path()).unwrap()[0].replay(|_| ()).unwrap_err().is_damage());
}

#[test]
fn one_that_was_prepared_is_used_as_it_is_and_knows_what_would_suit_its_commits() {
    for page in PAGES {
        let dir = tempfile::tempdir().unwrap();
        drop(Journal::create_with_pages(dir.path(), 1, Sync::Deferred, page).unwrap());
        let found = Found::all(dir.path()).unwrap();
        assert!(found[0].is_unused() && found[0].page() == Some(page));
        let mut journal = Journal::reuse(&found[0], Sync::Deferred).unwrap();
        assert_eq!(journal.suitable_page(), PageSize::SMALLEST);
        let value = "x".repeat(200_000).leak();
        journal.commit(batch("a", value).bytes()).unwrap();
        assert_eq!(journal.suitable_page(), PageSize::LARGEST);
        (0..100).for_each(|_| journal.commit(batch("a", "1").bytes()).unwrap());
        assert_eq!(journal.suitable_page(), PageSize::SMALLEST);
        drop(journal);
        assert!(!Found::all(dir.path()).unwrap()[0].is_unused());
        assert_eq!(replayed(dir.path()).len(), 101);
    }
}

#[test]
fn a_deleted_journal_leaves_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = Journal::create(dir.path(), 7, Sync::Deferred).unwrap();
    journal.commit(batch("a", "1").bytes()).unwrap();
    journal.delete().unwrap();
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn a_journal_whose_creation_was_cut_short_is_empty() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("journal-000000000003.db"), b"").unwrap();
    assert!(replayed(dir.path()).is_empty());
}
