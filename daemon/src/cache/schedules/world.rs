//! The world that schedules run in: the tiers, a main file of one key, and clients that remember what they may see.

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use super::super::loads::Ticket;
use super::super::memory::Memory;
use super::super::tiers::{LookUp, Source, Tiers, Wanted};
use crate::buffer::Generation;
use crate::entry::{Entry, Key, State};
use crate::store::Copies as _;

const KEY: &[u8] = b"k";
const NOW_MS: i64 = 0;

type Version = usize;

/// What the main file holds before a schedule begins.
const FIRST: Version = 0;

#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    /// A client's write, not committed yet.
    Write(Version),
    /// The same, as a deletion.
    Delete(Version),
    /// The turn's commit.
    Publish,
    Seal,
    /// The sealed generation reaches the main file.
    Merge,
    Refresh,
    /// Both in one step, where there would be too many schedules otherwise.
    MergeAndRefresh,
    Release,
    /// The same, as a flush of everything.
    Flush(Version),
    /// A reader looks the key up, and notes if it is missing.
    Look(usize),
    /// The same, and it reads the row itself where it may.
    LookAtOnce(usize),
    /// It asks for the row that it noted.
    Want(usize),
    /// A reader thread takes the queue and reads the main file.
    Fetch,
    /// What was read comes back to the event loop.
    Arrive,
    /// The keeper evicts the row. A copy in the memory tier may outlive it, but once a client has found nothing, nothing is there.
    EvictRow(Version),
    /// moka drops the copy, as it may at any time.
    Evict,
    /// The key is read from the memory tier, and so stands in the front, before anything else happens.
    Warm,
}

#[derive(Debug)]
pub(super) struct World {
    tiers: Tiers,
    memory: Memory,
    bug: Bug,
    disk: Option<Entry>,
    sealed: Option<Arc<Generation>>,
    in_flight: VecDeque<Vec<(Key, Option<Entry>)>>,
    /// The version that each value stands for; a deletion is its own.
    deleted: Option<Version>,
    newest_written: Version,
    newest_published: Version,
    /// That of the eviction, which may be seen and need not.
    evicted: Version,
    newest_returned: Version,
    readers: Vec<Reader>,
    pub(super) violations: usize,
}

#[derive(Debug, Default)]
struct Reader {
    /// The oldest version it may return, once it has begun.
    floor: Option<Version>,
    waiting: Option<Rc<Ticket>>,
    /// It found the key missing.
    noted: bool,
    /// It saw an uncommitted version and waits for the commit.
    seen_pending: Option<Version>,
    done: bool,
}

/// A mistake planted to see that the schedules show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bug {
    None,
    /// Fills are made without asking if they are current.
    BlindFills,
    /// Rows are asked for without looking again if the key is still missing.
    BlindWants,
    /// The front keeps what was written.
    KeptFront,
    /// A row is read at once although somebody is loading it.
    UnsharedReads,
}

fn entry(version: Version) -> Entry {
    Entry::forever(version.to_string())
}

impl World {
    pub(super) fn new(memory_cap_bytes: u64, readers: usize, bug: Bug) -> Self {
        let memory = Memory::new(memory_cap_bytes, None);
        Self {
            tiers: Tiers::new(memory.clone(), 1, None, 1),
            memory,
            bug,
            disk: Some(entry(FIRST)),
            sealed: None,
            in_flight: VecDeque::new(),
            deleted: None,
            newest_written: FIRST,
            newest_published: FIRST,
            evicted: FIRST,
            newest_returned: FIRST,
            readers: (0..readers).map(|_| Reader::default()).collect(),
            violations: 0,
        }
    }

    /// Everything is evicted from the main file, as a merge finds, and then it gets other rows: what a reader finds in
    /// between, and afterwards.
    pub(super) fn evict_everything(&mut self) -> [LookUp; 2] {
        [0, 1].map(|main_rows| {
            let sealed = self.tiers.seal();
            self.tiers.release(sealed.id(), main_rows);
            self.tiers.look_up(KEY, NOW_MS)
        })
    }

    pub(super) fn step(&mut self, step: Step) {
        match step {
            Step::Write(version) => self.write(version, State::Live(entry(version))),
            Step::Delete(version) => {
                self.deleted = Some(version);
                self.write(version, State::Deleted);
            }
            Step::Flush(version) => {
                self.deleted = Some(version);
                self.newest_written = version;
                self.tiers.flush();
            }
            Step::Publish => self.publish(),
            Step::Seal => self.sealed = Some(self.tiers.seal()),
            Step::Merge => {
                let sealed = self.sealed.as_ref().unwrap();
                if sealed.flushed() {
                    self.disk = None;
                }
                if let Some(state) = sealed.get(KEY) {
                    self.disk = state.live(NOW_MS).cloned();
                }
            }
            Step::Refresh => self.memory.refresh(self.sealed.as_ref().unwrap()),
            Step::MergeAndRefresh => {
                self.step(Step::Merge);
                self.step(Step::Refresh);
            }
            Step::Release => {
                let sealed = self.sealed.take().unwrap();
                self.tiers.release(sealed.id(), 1);
            }
            Step::Look(reader) => self.look(reader),
            Step::LookAtOnce(reader) => self.look_at_once(reader),
            Step::Want(reader) => self.want(reader),
            Step::Fetch => {
                let keys = self.tiers.take_wanted();
                if !keys.is_empty() {
                    self.in_flight.push_back(keys.into_iter().map(|key| (key, self.disk.clone())).collect());
                }
            }
            Step::Arrive => {
                for (key, row) in self.in_flight.pop_front().into_iter().flatten() {
                    if self.bug == Bug::BlindFills
                        && let Some(entry) = &row
                    {
                        self.memory.fill(&key, entry);
                    }
                    self.tiers.arrived(&key, Ok(row), NOW_MS);
                }
            }
            Step::EvictRow(version) => {
                self.disk = None;
                self.deleted = Some(version);
                self.evicted = version;
            }
            Step::Evict => self.memory.drop_expired(KEY),
            Step::Warm => {
                self.memory.fill(&KEY.into(), &entry(FIRST));
                let known = self.tiers.look_up(KEY, NOW_MS);
                assert!(matches!(known, LookUp::Known(Some(_), Source::Memory)));
            }
        }
    }

    fn write(&mut self, version: Version, state: State) {
        self.newest_written = version;
        self.tiers.write(KEY, state);
    }

    fn publish(&mut self) {
        self.newest_published = self.newest_written;
        if self.bug == Bug::KeptFront {
            self.tiers.publish_past_the_front();
        } else {
            drop(self.tiers.publish());
        }
        for at in 0..self.readers.len() {
            if let Some(version) = self.readers[at].seen_pending.take() {
                self.returned(at, version);
            }
        }
    }

    fn look_at_once(&mut self, at: usize) {
        self.look(at);
        if self.readers[at].noted && (self.bug == Bug::UnsharedReads || !self.tiers.is_loading(KEY)) {
            self.readers[at].noted = false;
            let row = self.tiers.read_at_once(KEY, self.disk.clone(), NOW_MS);
            let version = self.version_of(row);
            self.returned(at, version);
        }
    }

    fn version_of(&self, found: Option<Entry>) -> Version {
        match found {
            Some(entry) => std::str::from_utf8(&entry.value).unwrap().parse().unwrap(),
            None => self.deleted.expect("absent only if it was deleted"),
        }
    }

    fn look(&mut self, at: usize) {
        let reader = &mut self.readers[at];
        if reader.done || reader.seen_pending.is_some() {
            return;
        }
        reader.floor.get_or_insert(self.newest_published.max(self.newest_returned));
        match self.tiers.look_up(KEY, NOW_MS) {
            LookUp::Known(found, source) => {
                let version = self.version_of(found);
                if self.readers[at].waiting.take().is_some() {
                    self.tiers.done(&KEY.into());
                }
                if source == Source::Pending {
                    self.readers[at].seen_pending = Some(version);
                } else {
                    self.returned(at, version);
                }
            }
            LookUp::Unknown => {
                // Looked again after a stale arrival: its old interest ends before the new one begins.
                if let Some(ticket) = reader.waiting.take() {
                    if ticket.is_waiting() {
                        reader.waiting = Some(ticket);
                        return;
                    }
                    self.tiers.done(&KEY.into());
                }
                self.readers[at].noted = true;
            }
            LookUp::Failed(error) => panic!("{error}"),
        }
    }

    fn want(&mut self, at: usize) {
        if !std::mem::take(&mut self.readers[at].noted) {
            return;
        }
        let ticket = Rc::new(Ticket::default());
        let wanted = if self.bug == Bug::BlindWants {
            self.tiers.want_blindly(&KEY.into(), &ticket);
            Wanted::Asked
        } else {
            self.tiers.want(&KEY.into(), &ticket, NOW_MS)
        };
        if wanted != Wanted::Known {
            self.readers[at].waiting = Some(ticket);
        }
    }

    fn returned(&mut self, at: usize, version: Version) {
        let reader = &mut self.readers[at];
        let floor = reader.floor.unwrap();
        if version < floor || version > self.newest_published.max(self.evicted) {
            self.violations += 1;
        }
        reader.done = true;
        self.newest_returned = self.newest_returned.max(version);
    }

    /// Lets everything unfinished finish, then reads once more from every tier there is.
    pub(super) fn finish(&mut self) {
        self.publish();
        self.finish_readers();
        self.readers.push(Reader::default());
        self.finish_readers();
        // The buffer lets go: what is then read comes from the memory tier or the main file.
        if self.sealed.is_none() {
            for step in [Step::Seal, Step::Merge, Step::Refresh, Step::Release] {
                self.step(step);
            }
        }
        for _ in 0..2 {
            self.readers.push(Reader::default());
            self.finish_readers();
            self.step(Step::Evict);
        }
    }

    fn finish_readers(&mut self) {
        for _ in 0..4 {
            for at in 0..self.readers.len() {
                self.look(at);
                self.want(at);
            }
            self.step(Step::Fetch);
            while !self.in_flight.is_empty() {
                self.step(Step::Arrive);
            }
        }
        assert!(self.readers.iter().all(|reader| reader.done), "{self:?}");
    }
}
