//! What a command sees of the cache while it runs: look up, then write, in one uninterrupted step.
//!
//! A look-up that only the main file can answer, and not [at once](AtOnce), ends the command with [`Stop::Missing`]; the
//! connection has the row loaded and runs the command again from the start. So a command must look up everything it needs
//! before it writes anything, and its effects are all there or none.

use std::rc::Rc;

use bytes::Bytes;
use larder_protocol::Stat;

use super::at_once::{AskThread, AtOnce};
use super::tiers::{LookUp, Source, Tiers};
use super::watch::{Watch, Watched};
use crate::buffer::{self, FETCHED_MAX, Hashed};
use crate::entry::{Deadline, Entry, Key, State};
use crate::error::CommandError;
use crate::notices::Notices;
use crate::stats::Counters;
use crate::store::StoreError;

/// Why a command did not run to its end.
#[derive(Debug)]
pub enum Stop {
    /// A key must be loaded first; it was noted. Run the command again afterwards.
    Missing,
    /// The command is answered with this error.
    Error(CommandError),
}

impl<E: Into<CommandError>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Error(error.into())
    }
}

/// The cache, for the length of one command.
#[derive(Debug)]
pub struct View<'a> {
    pub(super) tiers: &'a mut Tiers,
    pub(super) counters: &'a mut Counters,
    pub(super) at_once: &'a mut AtOnce,
    pub(super) missing: &'a mut Vec<Key>,
    pub(super) notices: &'a mut Notices,
    pub(super) now_ms: i64,
    pub(super) rules: Rules,
    /// A turn that has written this much is committed before more is added: one journal row, and so one commit, has to
    /// stay within what SQLite takes, what the event loop can spare the time for, and the journal's share of the disk.
    pub(super) turn_bytes: usize,
    /// Whether the answer depends on this turn's commit.
    pub(super) depends: bool,
}

/// The settings that commands go by.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// The TTL of an entry that is set without one.
    pub default_ttl_ms: Option<i64>,
    /// The longest TTL of any.
    pub max_ttl_ms: Option<i64>,
    /// Percent of its TTL by which a value's may be shorter.
    pub ttl_jitter_percent: u32,
    /// Bytes that the values in one answer may have together.
    pub answer_bytes_max: usize,
    /// Bytes that a value may have.
    pub value_bytes_max: usize,
}

impl View<'_> {
    /// The time at which the command takes place, in unix milliseconds.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        self.now_ms
    }

    /// Bytes that the values in one answer may have together.
    #[must_use]
    pub fn answer_bytes_max(&self) -> usize {
        self.rules.answer_bytes_max
    }

    /// Bytes that a value may have.
    #[must_use]
    pub fn value_bytes_max(&self) -> usize {
        self.rules.value_bytes_max
    }

    /// The deadline of an entry written now without a TTL of its own.
    #[must_use]
    pub fn default_deadline(&self) -> Deadline {
        self.rules
            .default_ttl_ms
            .map_or(Deadline::NEVER, |ttl_ms| Deadline::at(self.now_ms.saturating_add(ttl_ms)))
    }

    /// The deadline, or that of the longest TTL.
    fn limited(&self, deadline: Deadline) -> Deadline {
        deadline.within(self.rules.max_ttl_ms, self.now_ms)
    }

    /// A deadline of a value that is set together with others, drawn from the last part of its time to live where there
    /// is to be jitter.
    #[must_use]
    pub fn jittered(&self, key: &[u8], deadline: Deadline) -> Deadline {
        let deadline = self.limited(deadline);
        let Some(unix_ms) = deadline.unix_ms().filter(|_| self.rules.ttl_jitter_percent > 0) else {
            return deadline;
        };
        let ttl_ms = unix_ms.saturating_sub(self.now_ms).max(0);
        let widest_ms = ttl_ms.saturating_mul(i64::from(self.rules.ttl_jitter_percent)) / 100;
        // Another part for each key, and for the same key the next time.
        let drawn = xxhash_rust::xxh3::xxh3_64_with_seed(key, self.now_ms as u64);
        Deadline::at(unix_ms - (drawn % (widest_ms as u64 + 1)) as i64)
    }

    /// The entry under `key`, counted as a hit or a miss: for commands whose purpose is to read it.
    ///
    /// # Errors
    /// [`Stop::Missing`] where the key must be loaded first, an error where it cannot be read.
    pub fn read(&mut self, key: &[u8]) -> Result<Option<Entry>, Stop> {
        let (entry, source) = self.look_up(key)?;
        self.counters.hot_keys.read(key, entry.is_some());
        if entry.is_some() {
            self.counters.bump(Stat::Hits);
            self.counters.bump(match source {
                Source::Pending | Source::Buffer => Stat::BufferHits,
                Source::Memory => Stat::MemoryHits,
                Source::Disk => Stat::DiskHits,
            });
        } else {
            self.counters.bump(Stat::Misses);
            self.notices.missed(key);
        }
        Ok(entry)
    }

    /// The entry under `key`, uncounted: for commands that change it.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn find(&mut self, key: &[u8]) -> Result<Option<Entry>, Stop> {
        Ok(self.look_up(key)?.0)
    }

    /// Makes sure that each of `keys` can be looked up without a load, asking for all the missing ones at once.
    ///
    /// # Errors
    /// [`Stop::Missing`] where at least one must be loaded first.
    pub fn need<'k>(&mut self, keys: impl Iterator<Item = &'k [u8]>) -> Result<(), Stop> {
        let before = self.missing.len();
        for key in keys {
            if matches!(self.tiers.look_up(key, self.now_ms), LookUp::Unknown) {
                self.missing.push(key.into());
            }
        }
        if self.missing.len() == before { Ok(()) } else { Err(Stop::Missing) }
    }

    /// Has the processor reach for the memory that look-ups of these keys, at most [`FETCHED_MAX`], will read.
    pub fn fetch<'k>(&self, keys: impl Iterator<Item = &'k [u8]>) {
        let mut hashes = [0; FETCHED_MAX];
        let mut count = 0;
        for (hash, key) in hashes.iter_mut().zip(keys) {
            *hash = Hashed::new(key).hash();
            count += 1;
        }
        self.tiers.fetch(&hashes[..count]);
    }

    /// As [`need`](Self::need), and they stay so: what only the memory tier has of them, which may drop it at any moment, is
    /// kept until [`unpin`](Self::unpin) is given the result.
    ///
    /// # Errors
    /// [`Stop::Missing`] where at least one must be loaded first; nothing is pinned then.
    pub fn pin(&mut self, keys: impl Iterator<Item = Key>) -> Result<Vec<Key>, Stop> {
        let before = self.missing.len();
        let mut pinned = Vec::new();
        for key in keys {
            match self.tiers.look_up(&key, self.now_ms) {
                LookUp::Known(_, Source::Memory) if self.tiers.hold(&key, self.now_ms) => pinned.push(key),
                LookUp::Known(_, Source::Memory) | LookUp::Unknown => self.missing.push(key),
                LookUp::Known(..) | LookUp::Failed(_) => {}
            }
        }
        if self.missing.len() == before {
            return Ok(pinned);
        }
        self.unpin(&pinned);
        Err(Stop::Missing)
    }

    /// Gives back what was pinned.
    pub fn unpin(&mut self, pinned: &[Key]) {
        for key in pinned {
            self.tiers.done(key);
        }
    }

    /// Has `watch` told of every change of `keys` from now on.
    ///
    /// # Errors
    /// As [`need`](Self::need).
    pub fn watch<'k>(
        &mut self,
        keys: impl Iterator<Item = &'k [u8]> + Clone,
        watch: &Rc<Watch>,
    ) -> Result<(), Stop> {
        self.need(keys.clone())?;
        for key in keys {
            let deadline = self.find(key)?.map(|entry| entry.deadline);
            self.tiers.watches().add(watch, Watched { key: key.into(), deadline });
        }
        Ok(())
    }

    /// Bytes that the entry under `key` takes in memory, about, by where it is: the write buffer or the memory tier, into which
    /// looking it up may have brought what was on disk alone.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn memory_bytes(&mut self, key: &[u8]) -> Result<Option<usize>, Stop> {
        let (entry, source) = self.look_up(key)?;
        Ok(entry.map(|entry| match source {
            Source::Pending | Source::Buffer => buffer::entry_bytes(key, &entry.value),
            Source::Memory | Source::Disk => self.tiers.memory().entry_bytes(key, &entry),
        }))
    }

    /// Puts `value` under `key` until `deadline`. An entry whose deadline has passed already is a deletion.
    pub fn put(&mut self, key: &[u8], value: Bytes, deadline: Deadline) {
        if deadline.passed(self.now_ms) {
            return self.delete(key);
        }
        let deadline = self.limited(deadline);
        if self.notices.any() {
            self.notices.stored(key, deadline != Deadline::NEVER);
        }
        self.write(key, State::Live(Entry { value, deadline }));
    }

    /// Deletes the entry under `key`, which may be absent.
    pub fn delete(&mut self, key: &[u8]) {
        if self.notices.any() {
            self.notices.deleted(key);
        }
        self.write(key, State::Deleted);
    }

    /// Tells of what `command` stored under `key` on the way to what is put there next: a script does several things in one.
    pub fn tell_stored(&mut self, command: &'static str, key: &[u8], deadline: Deadline) {
        self.notices.by(command);
        self.notices.stored(key, deadline != Deadline::NEVER);
    }

    /// As [`tell_stored`](Self::tell_stored), of what `command` took away.
    pub fn tell_deleted(&mut self, command: &'static str, key: &[u8]) {
        self.notices.by(command);
        self.notices.deleted(key);
    }

    /// Deletes everything.
    pub fn flush(&mut self) {
        self.depends = true;
        self.tiers.flush();
    }

    /// Whether so much waits for the commit that nothing should be added to it.
    #[must_use]
    pub fn turn_is_full(&self) -> bool {
        self.tiers.uncommitted_bytes() >= self.turn_bytes
    }

    /// Bytes that wait for the commit.
    #[must_use]
    pub fn uncommitted_bytes(&self) -> usize {
        self.tiers.uncommitted_bytes()
    }

    /// Counts `n` of something.
    pub fn count(&mut self, stat: Stat, n: u64) {
        self.counters.add(stat, n);
    }

    /// Whether the answer depends on this turn's commit: something was written, or an uncommitted write was seen.
    #[must_use]
    pub fn depends_on_commit(&self) -> bool {
        self.depends
    }

    /// As which command's the changes that follow are told.
    pub fn name_command(&mut self, name: &'static str) {
        self.notices.by(name);
    }

    /// Ends a watch, as [`Cache::unwatch`](super::Cache::unwatch) does between commands.
    pub fn unwatch(&mut self, watch: &Watch) {
        self.tiers.watches().remove(watch);
    }

    /// Forgets the dependencies of the command before.
    pub fn begin_command(&mut self) {
        self.depends = false;
    }

    /// The counters.
    pub fn counters(&mut self) -> &mut Counters {
        self.counters
    }

    fn look_up(&mut self, key: &[u8]) -> Result<(Option<Entry>, Source), Stop> {
        match self.tiers.look_up(key, self.now_ms) {
            LookUp::Known(entry, source) => {
                self.depends |= source == Source::Pending;
                Ok((entry, source))
            }
            LookUp::Unknown => {
                // Who reads it as well must be given the same: it may be evicted in between.
                let shared = self.tiers.is_loading(key);
                let Ok(row) = (if shared { Err(AskThread) } else { self.at_once.read(key) }) else {
                    self.missing.push(key.into());
                    return Err(Stop::Missing);
                };
                self.counters.bump(Stat::DiskReads);
                self.counters.bump(Stat::DiskReadsAtOnce);
                Ok((self.tiers.read_at_once(key, row, self.now_ms), Source::Disk))
            }
            LookUp::Failed(error) => Err(Stop::Error(unreadable(&error))),
        }
    }

    fn write(&mut self, key: &[u8], state: State) {
        self.depends = true;
        self.tiers.write(key, state);
    }
}

pub(super) fn unreadable(error: &Rc<StoreError>) -> CommandError {
    CommandError::Unreadable(error.to_string())
}
