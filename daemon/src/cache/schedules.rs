//! Every order in which writes, loads and a merge can interleave on one key, tried out: no read may see an older value
//! than one that was acknowledged or returned before it began.
//!
//! Each actor is a list of steps; a schedule is one merging of the lists. Versions of the key are numbered in the order
//! they were published, so a history is linearizable exactly if each read returns a version that is not older than what
//! was known when it began, and not newer than what there was when it ended.

mod world;

use super::tiers::LookUp;
use world::{Bug, Step, World};

/// Calls `each` with every merging of `actors` that keeps each one's own order.
fn for_each_schedule(actors: &[&[Step]], each: &mut impl FnMut(&[Step])) {
    fn extend(
        actors: &[&[Step]],
        taken: &mut Vec<usize>,
        schedule: &mut Vec<Step>,
        each: &mut impl FnMut(&[Step]),
    ) {
        let mut ended = true;
        for at in 0..actors.len() {
            let Some(&step) = actors[at].get(taken[at]) else { continue };
            ended = false;
            taken[at] += 1;
            schedule.push(step);
            extend(actors, taken, schedule, each);
            schedule.pop();
            taken[at] -= 1;
        }
        if ended {
            each(schedule);
        }
    }
    extend(actors, &mut vec![0; actors.len()], &mut Vec::new(), each);
}

/// Runs every schedule; how many there were and how many showed a violation.
fn run_all(actors: &[&[Step]], readers: usize, memory_cap_bytes: u64, bug: Bug) -> (usize, usize) {
    run_all_after(&[], actors, readers, memory_cap_bytes, bug)
}

/// The same, where some steps come before all others.
fn run_all_after(
    first: &[Step],
    actors: &[&[Step]],
    readers: usize,
    memory_cap_bytes: u64,
    bug: Bug,
) -> (usize, usize) {
    let (mut schedules, mut violated) = (0, 0);
    for_each_schedule(actors, &mut |schedule| {
        let mut world = World::new(memory_cap_bytes, readers, bug);
        for &step in first {
            world.step(step);
        }
        for &step in schedule {
            world.step(step);
        }
        world.finish();
        schedules += 1;
        violated += usize::from(world.violations > 0);
        assert!(bug != Bug::None || world.violations == 0, "stale read in {schedule:?}");
    });
    (schedules, violated)
}

const MEMORY_CAP_BYTES: u64 = 1 << 20;
const MERGE: &[Step] = &[Step::Seal, Step::Merge, Step::Refresh, Step::Release];
const SHORT_MERGE: &[Step] = &[Step::Seal, Step::MergeAndRefresh, Step::Release];
const READ: &[Step] = &[Step::Look(0), Step::Want(0), Step::Fetch, Step::Arrive, Step::Look(0)];
const WRITE: &[Step] = &[Step::Write(1), Step::Publish];

#[test]
fn one_reader_one_write_and_a_merge() {
    assert_eq!(run_all(&[WRITE, READ, MERGE], 1, MEMORY_CAP_BYTES, Bug::None), (6_930, 0));
    assert_eq!(run_all(&[WRITE, READ, MERGE], 1, 0, Bug::None), (6_930, 0));
}

#[test]
fn one_reader_two_changes_and_a_merge() {
    for second in [Step::Write(2), Step::Delete(2), Step::Flush(2)] {
        let writes = &[Step::Write(1), Step::Publish, second, Step::Publish];
        assert_eq!(run_all(&[writes, READ, SHORT_MERGE], 1, MEMORY_CAP_BYTES, Bug::None), (27_720, 0));
    }
}

#[test]
fn two_readers_that_share_a_read() {
    let second_read = &[Step::Look(1), Step::Want(1), Step::Look(1)];
    // The merge after the write: together they are one actor here, or there would be too many schedules.
    let change = &[Step::Write(1), Step::Publish, Step::Seal, Step::MergeAndRefresh, Step::Release];
    assert_eq!(run_all(&[change, READ, second_read], 2, MEMORY_CAP_BYTES, Bug::None), (72_072, 0));
}

#[test]
fn a_copy_that_is_dropped_and_filled_again() {
    for change in [Step::Write(1), Step::Flush(1)] {
        let (_, violated) = run_all(
            &[&[change, Step::Publish], READ, SHORT_MERGE, &[Step::Evict]],
            1,
            MEMORY_CAP_BYTES,
            Bug::None,
        );
        assert_eq!(violated, 0);
    }
}

/// Two clients that read while a warm key is changed, merged and dropped by moka. The merge after the write, or there
/// would be too many schedules.
fn run_warm(change: Step, bug: Bug) -> (usize, usize) {
    let change = &[change, Step::Publish, Step::Seal, Step::Merge, Step::Refresh, Step::Release];
    let second_read = &[Step::Look(1), Step::Want(1), Step::Look(1)];
    let actors: [&[Step]; 4] = [change, &[Step::Look(0)], second_read, &[Step::Evict]];
    run_all_after(&[Step::Warm], &actors, 2, MEMORY_CAP_BYTES, bug)
}

#[test]
fn an_entry_in_the_front_does_not_outlive_a_change() {
    for change in [Step::Write(1), Step::Delete(1), Step::Flush(1)] {
        assert_eq!(run_warm(change, Bug::None), (9_240, 0));
    }
}

#[test]
fn copies_of_rows_that_were_evicted_do_not_come_back() {
    let mut world = World::new(MEMORY_CAP_BYTES, 0, Bug::None);
    world.step(Step::Warm);
    let [between, afterwards] = world.evict_everything();
    assert!(matches!(between, LookUp::Known(None, _)), "{between:?}");
    assert!(matches!(afterwards, LookUp::Unknown), "{afterwards:?}");
}

/// A client that waits for a row, and two that read it at once where they may, while the row is changed or evicted.
fn run_at_once(change: &[Step], bug: Bug) -> (usize, usize) {
    let actors: [&[Step]; 4] = [change, READ, &[Step::LookAtOnce(1)], &[Step::LookAtOnce(2)]];
    run_all(&actors, 3, MEMORY_CAP_BYTES, bug)
}

#[test]
fn rows_that_are_read_at_once_are_current() {
    let write = &[Step::Write(1), Step::Publish, Step::Seal, Step::MergeAndRefresh, Step::Release];
    assert_eq!(run_at_once(write, Bug::None), (33_264, 0));
    assert_eq!(run_at_once(&[Step::EvictRow(1)], Bug::None), (336, 0));
}

#[test]
fn the_schedules_would_show_a_blind_fill_and_a_blind_load() {
    for bug in [Bug::BlindFills, Bug::BlindWants] {
        let (schedules, violated) = run_all(&[WRITE, READ, MERGE], 1, MEMORY_CAP_BYTES, bug);
        assert!(violated > 0, "{bug:?}: of {schedules}");
    }
    let (schedules, violated) = run_at_once(&[Step::EvictRow(1)], Bug::UnsharedReads);
    assert!(violated > 0, "of {schedules}");
    for change in [Step::Write(1), Step::Delete(1), Step::Flush(1)] {
        let (schedules, violated) = run_warm(change, Bug::KeptFront);
        assert!(violated > 0, "{change:?}: of {schedules}");
    }
}
