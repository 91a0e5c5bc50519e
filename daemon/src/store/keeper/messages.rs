//! What the event loop asks of the keeper, and what it is told.

use std::path::PathBuf;
use std::sync::Arc;

use super::backup::BackedUp;
use crate::buffer::Generation;
use crate::store::accounting::Accounting;
use crate::store::error::StoreError;
use crate::store::journal::{Found, Journal, PageSize};

/// Where the writes of a generation are still to be found on disk.
#[derive(Debug)]
pub(in crate::store) enum Backing {
    /// The journal it was written to.
    Journal(Box<Journal>),
    /// Journals an earlier run left behind.
    Found(Vec<Found>),
}

/// What the keeper is asked to do.
#[derive(Debug)]
pub(in crate::store) enum Job {
    /// Merge a sealed generation, then delete its journal.
    Merge(Arc<Generation>, Backing),
    /// Remove all rows whose deadline has passed.
    Sweep,
    /// Create the journal of the generation after the active one, with pages of this size.
    Spare(PageSize),
    /// A commit found the disk full: give up the reserve, and say when there is room for it again.
    Full,
    /// Write a copy of the main file to this path, which is absolute.
    Backup(PathBuf),
    /// Finish what is queued, then end.
    Stop,
}

/// What the keeper tells the event loop.
#[derive(Debug)]
pub enum Event {
    /// A generation is wholly in the main file, and the memory tier was brought up to date with it.
    Merged(Merged),
    /// A merge did not get through for want of room and is being tried again.
    MergeFailed(StoreError),
    /// The next journal could not be created: ask again later.
    SpareFailed(StoreError),
    /// A sweep has ended.
    Swept(Swept),
    /// Rows were removed to make room.
    Evicted(Evicted),
    /// The disk is full and the reserve was given up: what it leaves is for deletions.
    Full(StoreError),
    /// The reserve could be taken again: there is room on the disk.
    RoomAgain,
    /// An empty journal for the generation after the active one.
    Spare(Box<Journal>),
    /// A backup has ended.
    BackedUp(Result<BackedUp, StoreError>),
    /// The keeper cannot go on; the process must end. Nothing answered is lost: the journals are still there.
    Fatal(StoreError),
}

/// A finished merge.
#[derive(Clone, Copy, Debug)]
pub struct Merged {
    /// The generation that is in the main file now.
    pub generation: u64,
    /// Slots merged.
    pub rows: usize,
    /// Entries that expired before they were merged.
    pub expired: usize,
    /// Duration.
    pub ms: u64,
    /// The main file's figures after it.
    pub accounting: Accounting,
}

/// A finished sweep.
#[derive(Clone, Copy, Debug)]
pub struct Swept {
    /// Rows removed.
    pub rows: usize,
    /// Bytes of their keys and values, as they were stored.
    pub bytes: i64,
    /// Duration.
    pub ms: u64,
    /// The main file's figures after it.
    pub accounting: Accounting,
}

/// Rows removed in one go because the main file had reached its share of the disk, or the disk was full: then only what
/// had expired.
#[derive(Clone, Copy, Debug)]
pub struct Evicted {
    /// How many that could still have been read.
    pub rows: usize,
    /// How many that had expired; these go first.
    pub expired: usize,
    /// Bytes of the former, as stored.
    pub bytes: i64,
    /// The main file's figures after it.
    pub accounting: Accounting,
}
