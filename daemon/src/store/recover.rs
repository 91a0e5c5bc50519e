//! What a start does with the journals it finds: those that were merged are deleted, the others are replayed into one
//! generation of the write buffer, which is then merged like any other.
//!
//! A journal that cannot be read to its end, or one that is missing from the sequence, may have held newer values or
//! deletions of any key. So that no old value comes back, everything older is given up then.

use std::collections::VecDeque;
use std::path::Path;

use super::batch::Write;
use super::error::StoreError;
use super::journal::{Found, Replayed};
use super::main_file;
use crate::buffer::Generation;
use crate::clock::utc_stamp;
use crate::entry::State;
use crate::planted::{Bug, planted};

/// What the journals held.
#[derive(Debug)]
pub(super) struct Recovered {
    /// Their writes; `None` where there were no journals to merge.
    pub(super) generation: Option<Generation>,
    /// The files it came from, to be deleted or set aside once it is merged.
    pub(super) journals: Vec<Found>,
    /// The newest of those found, where it was asked for and nothing had been written to it.
    pub(super) unused: Option<Found>,
}

/// Replays the journals newer than generation `merged` and deletes the others; one that was never used is left alone if
/// it is to be `reuse`d.
pub(super) fn recover(dir: &Path, merged: u64, now_ms: i64, reuse: bool) -> Result<Recovered, StoreError> {
    let (done, mut found): (Vec<_>, Vec<_>) =
        Found::all(dir)?.into_iter().partition(|journal| journal.generation <= merged);
    if !done.is_empty() && found.is_empty() {
        // The one that was being written is always newer than what is merged, and it is there whatever happens.
        tracing::error!("the database calls every journal merged, which cannot be: all entries are given up");
        let mut nothing = Generation::new(merged + 1);
        drop(nothing.flush());
        return Ok(Recovered { generation: Some(nothing), journals: done, unused: None });
    }
    if !done.is_empty() {
        sync_main_log(dir)?;
    }
    done.iter().try_for_each(Found::retire)?;
    // The number of the one before it, or of the main file, has to show that none is missing in between.
    let before = found.iter().rev().nth(1).map_or(merged, |journal| journal.generation);
    let unused = found.pop_if(|last| reuse && last.is_unused() && last.generation == before + 1);
    let Some(newest) = found.last() else {
        return Ok(Recovered { generation: None, journals: found, unused });
    };
    let writes = found.iter().map(Found::writes_about).sum();
    let mut recovered = Generation::with_capacity(newest.generation, writes);
    let journals = replay_all(found.into(), merged + 1, now_ms, &mut recovered)?;
    if planted(Bug::DoubleReplay)
        && let Some(oldest) = journals.first()
    {
        replay_its_first_batch(oldest, &mut recovered)?;
    }
    Ok(Recovered { generation: Some(recovered), journals, unused })
}

/// Replays journals in their order, the first of which should be number `expected`. All of them, to be retired once what was
/// replayed is merged.
fn replay_all(
    mut found: VecDeque<Found>,
    mut expected: u64,
    now_ms: i64,
    recovered: &mut Generation,
) -> Result<Vec<Found>, StoreError> {
    let mut journals = Vec::with_capacity(found.len());
    while let Some(mut journal) = found.pop_front() {
        if journal.generation != expected {
            tracing::error!(
                "journals {expected} to {} are missing: the database is older than they are, and its entries are given up",
                journal.generation - 1
            );
            drop(recovered.flush());
        }
        expected = journal.generation + 1;
        match replay(&journal, &found, recovered) {
            Err(error) if error.is_damage() => {
                // It stays where it is until the merge: this start may end before, by a kill or on a full disk, and where the
                // newest journal was gone by then, nothing would tell the next start that one is missing.
                let aside = journal.mark_damaged(utc_stamp(now_ms));
                tracing::error!(
                    "{error}: all that is older is given up, and then it is set aside as {}",
                    aside.display()
                );
                journals.push(journal);
            }
            replayed => {
                let replayed = replayed?;
                journal.force(replayed)?;
                journals.push(journal);
                if replayed.gap {
                    // What came later came within the same last second. Without what was before it, it would be a state
                    // that never was.
                    journals.extend(found.drain(..));
                }
            }
        }
    }
    Ok(journals)
}

/// See [`Bug::DoubleReplay`].
#[cold]
fn replay_its_first_batch(journal: &Found, recovered: &mut Generation) -> Result<(), StoreError> {
    let mut first = true;
    let replayed = journal.replay(|batch| {
        let again = batch.into_iter().filter_map(|write| match write {
            Write::Put(key, state) => Some((key, state)),
            Write::Flush => None,
        });
        if std::mem::take(&mut first) {
            recovered.put_all(again.collect());
        }
    });
    replayed.map(drop)
}

/// Replays a journal, older than those of `newer`.
fn replay(
    journal: &Found,
    newer: &VecDeque<Found>,
    recovered: &mut Generation,
) -> Result<Replayed, StoreError> {
    let outcome = journal.replay(|batch| {
        let mut writes = Vec::with_capacity(batch.len());
        for write in batch {
            match write {
                Write::Put(_, State::Deleted) if planted(Bug::LostTombstone) => {}
                Write::Put(key, state) => writes.push((key, state)),
                Write::Flush => {
                    writes.clear();
                    drop(recovered.flush());
                }
            }
        }
        recovered.put_all(writes);
    });
    let outcome = journal.judged(outcome, newer);
    if outcome.as_ref().is_err_and(StoreError::is_damage) {
        drop(recovered.flush());
    }
    outcome
}

/// The run before may have died between writing rows to the main file's log and forcing it to disk.
fn sync_main_log(dir: &Path) -> Result<(), StoreError> {
    let wal = main_file::wal_path_in(dir);
    let io = || StoreError::io("sync", &wal);
    std::fs::File::open(&wal).map_err(io())?.sync_data().map_err(io())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::Entry;
    use crate::store::batch::BatchEncoder;
    use crate::store::journal::{Journal, Sync};

    fn journal(dir: &Path, generation: u64, key: &str) {
        let mut batch = BatchEncoder::default();
        batch.put(key.as_bytes(), &State::Live(Entry::forever("v")));
        Journal::create(dir, generation, Sync::Deferred).unwrap().commit(batch.bytes()).unwrap();
    }

    fn recovered(dir: &Path, merged: u64) -> (Vec<u64>, bool, Vec<String>) {
        let Recovered { generation, journals, unused } = recover(dir, merged, 0, true).unwrap();
        assert!(unused.is_none());
        let generation = generation.unwrap();
        let keys = generation.slots(0).map(|(key, _)| String::from_utf8_lossy(key).into_owned()).collect();
        (journals.iter().map(|journal| journal.generation).collect(), generation.flushed(), keys)
    }

    #[test]
    fn a_whole_sequence_is_replayed() {
        let dir = tempfile::tempdir().unwrap();
        journal(dir.path(), 8, "b");
        journal(dir.path(), 7, "a");
        assert_eq!(recovered(dir.path(), 6), (vec![7, 8], false, vec!["a".into(), "b".into()]));
    }

    #[test]
    fn a_journal_of_a_newer_larder_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        journal(dir.path(), 7, "a");
        Journal::create(dir.path(), 8, Sync::Deferred).unwrap().commit(&[99, 1]).unwrap();
        let error = recover(dir.path(), 6, 0, true).unwrap_err();
        assert!(!error.is_damage() && error.to_string().contains("use a newer larderd"), "{error}");
        let there: Vec<_> = Found::all(dir.path()).unwrap().iter().map(|found| found.generation).collect();
        assert_eq!(there, [7, 8]);
    }

    #[test]
    fn a_journal_that_was_never_used_can_be_used_again() {
        let dir = tempfile::tempdir().unwrap();
        journal(dir.path(), 7, "a");
        drop(Journal::create(dir.path(), 8, Sync::Deferred).unwrap());
        let Recovered { generation, journals, unused } = recover(dir.path(), 6, 0, true).unwrap();
        assert_eq!((generation.unwrap().id(), journals.len()), (7, 1));
        let mut again = Journal::reuse(&unused.unwrap(), Sync::Deferred).unwrap();
        let mut batch = BatchEncoder::default();
        batch.put(b"b", &State::Live(Entry::forever("v")));
        again.commit(batch.bytes()).unwrap();
        drop(again);
        assert_eq!(recovered(dir.path(), 6), (vec![7, 8], false, vec!["a".into(), "b".into()]));
    }

    #[test]
    fn where_the_main_file_claims_to_hold_the_journal_last_written_nothing_counts() {
        let dir = tempfile::tempdir().unwrap();
        journal(dir.path(), 7, "a");
        journal(dir.path(), 8, "b");
        assert_eq!(recovered(dir.path(), 72), (vec![7, 8], true, vec![]));
    }

    #[test]
    fn where_one_is_missing_nothing_older_counts() {
        let dir = tempfile::tempdir().unwrap();
        for (generation, key) in [(7, "a"), (9, "c"), (10, "d")] {
            journal(dir.path(), generation, key);
        }
        assert_eq!(recovered(dir.path(), 6), (vec![7, 9, 10], true, vec!["c".into(), "d".into()]));
    }

    #[test]
    fn a_damaged_one_stays_until_the_merge_and_nothing_older_counts() {
        for (damaged, left) in [(8, vec!["c".to_owned()]), (9, vec![])] {
            let dir = tempfile::tempdir().unwrap();
            for (generation, key) in [(7, "a"), (8, "b"), (9, "c")] {
                journal(dir.path(), generation, key);
            }
            let path = dir.path().join(format!("journal-{damaged:012}.db"));
            std::fs::write(
                &path,
                b"garbage, and long enough to be taken for the header of a database file. ".repeat(60),
            )
            .unwrap();
            // The first start was cut short before its merge, or found no room on the disk.
            for _ in 0..2 {
                assert_eq!(
                    recovered(dir.path(), 6),
                    (vec![7, 8, 9], true, left.clone()),
                    "{damaged} damaged"
                );
            }
            let recovered = recover(dir.path(), 6, 0, true).unwrap();
            recovered.journals.iter().try_for_each(Found::retire).unwrap();
            let mut aside: Vec<_> = std::fs::read_dir(dir.path())
                .unwrap()
                .map(|file| file.unwrap().file_name().into_string().unwrap())
                .collect();
            aside.sort();
            let name = format!("journal-{damaged:012}.db");
            let expected: Vec<_> = ["-forced", "-wal", ""]
                .map(|part| format!("{name}{part}.corrupt-19700101T000000Z"))
                .into_iter()
                .collect();
            assert_eq!(aside, expected, "the file, its log and its mark, and nothing else");
        }
    }

    #[test]
    fn what_a_start_has_read_is_promised_again() {
        let dir = tempfile::tempdir().unwrap();
        journal(dir.path(), 7, "a");
        assert_eq!(
            Found::all(dir.path()).unwrap()[0].forced_commits(),
            0,
            "the process died before it was forced"
        );
        recovered(dir.path(), 6);
        assert_eq!(Found::all(dir.path()).unwrap()[0].forced_commits(), 1);
    }

    #[test]
    fn behind_a_gap_newer_journals_go_unless_they_were_promised() {
        for promised in [false, true] {
            let dir = tempfile::tempdir().unwrap();
            let mut older = Journal::create(dir.path(), 7, Sync::Deferred).unwrap();
            let mut ends = vec![older.bytes()];
            for key in ["a", "b", "c"] {
                let mut batch = BatchEncoder::default();
                batch.put(key.as_bytes(), &State::Live(Entry::forever("v")));
                older.commit(batch.bytes()).unwrap();
                ends.push(older.bytes());
            }
            drop(older);
            journal(dir.path(), 8, "d");
            if promised {
                let newer = &Found::all(dir.path()).unwrap()[1];
                newer.force(newer.replay(|_| ()).unwrap()).unwrap();
            }
            // The second commit did not reach the disk.
            let log = dir.path().join("journal-000000000007.db-wal");
            let mut bytes = std::fs::read(&log).unwrap();
            bytes[ends[1] as usize..ends[2] as usize].fill(0);
            std::fs::write(&log, bytes).unwrap();
            let expected: (Vec<u64>, bool, Vec<String>) = if promised {
                (vec![7, 8], true, vec!["d".into()])
            } else {
                (vec![7, 8], false, vec!["a".into()])
            };
            assert_eq!(recovered(dir.path(), 6), expected);
        }
    }
}
