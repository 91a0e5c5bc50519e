//! Parts of the daemon alone, for the micro-benchmarks in `tests/bench/micro`, behind the feature `bench`.
//!
//! Each type wraps one part and lets through what is measured, so that the rest of the library stays private. Nothing in
//! the daemon uses this.

#![expect(clippy::missing_panics_doc, reason = "a benchmark whose directory fails has nothing to measure")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::buffer::{Generation, Hashed};
use crate::cache::{Front, Memory};
use crate::clock::Clock;
use crate::entry::{Deadline, Entry, Key, State};
use crate::store::batch::BatchEncoder;
use crate::store::{Compression, Event, Options, Sealed, Sync};
use crate::{buffer, store};

/// So many bytes a journal takes before a new one is begun, as by the daemon's default.
const JOURNAL_BYTES: u64 = 160 << 20;
/// The instant of every look-up: nothing here expires.
const NOW_MS: i64 = 0;

fn entry(value: &Bytes) -> Entry {
    Entry { value: value.clone(), deadline: Deadline::NEVER }
}

/// The writes of one turn as a row of the journal.
#[derive(Debug, Default)]
pub struct Batch(BatchEncoder);

impl Batch {
    /// Encodes entries anew.
    pub fn encode<'a>(&mut self, keys: impl IntoIterator<Item = &'a [u8]>, value: &Bytes) -> &[u8] {
        self.0.clear();
        let state = State::Live(entry(value));
        for key in keys {
            self.0.put(key, &state);
        }
        self.0.bytes()
    }
}

/// The journal, with nobody who forces it to disk or merges it.
#[derive(Debug)]
pub struct Journal {
    dir: PathBuf,
    open: store::Journal,
}

impl Journal {
    /// Creates one in an empty directory.
    #[must_use]
    pub fn create(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), open: Self::open(dir, 1) }
    }

    fn open(dir: &Path, generation: u64) -> store::Journal {
        store::Journal::create(dir, generation, Sync::Deferred).expect("a journal can be created")
    }

    /// One commit. Begins a new file where the daemon would.
    pub fn commit(&mut self, batch: &[u8]) {
        self.open.commit(batch).expect("a commit works");
        if self.open.bytes_about() > JOURNAL_BYTES {
            let next = Self::open(&self.dir, self.open.generation() + 1);
            std::mem::replace(&mut self.open, next).delete().expect("a journal can be deleted");
        }
    }
}

/// The write buffer.
#[derive(Debug)]
pub struct Buffer(Generation);

impl Buffer {
    /// An empty one, with room for so many keys.
    #[must_use]
    pub fn new(keys: usize) -> Self {
        Self(Generation::with_capacity(1, keys))
    }

    /// A write.
    pub fn write(&mut self, key: &[u8], value: &Bytes) {
        self.0.write(Hashed::new(key), State::Live(entry(value)));
    }

    /// A read: the size of what is there.
    #[must_use]
    pub fn read(&self, key: &[u8]) -> Option<usize> {
        self.0.read(Hashed::new(key)).map(State::value_bytes)
    }

    /// As [`read`](Self::read), of as many keys as a pipeline is looked up for at a time.
    #[must_use]
    pub fn read_together(&self, keys: &[&[u8]]) -> usize {
        let keys: Vec<Hashed<'_>> = keys.iter().map(|key| Hashed::new(key)).collect();
        let hashes: Vec<u64> = keys.iter().map(|key| key.hash()).collect();
        hashes.chunks(buffer::FETCHED_MAX).for_each(|some| self.0.fetch_values(some));
        keys.into_iter().filter(|key| self.0.read(*key).is_some()).count()
    }
}

/// moka, and before it the front.
#[derive(Debug)]
pub struct Tier {
    front: Front,
    memory: Memory,
    room_bytes: usize,
}

impl Tier {
    /// An empty tier of so many bytes.
    #[must_use]
    pub fn new(cap_bytes: u64) -> Self {
        Self { front: Front::default(), memory: Memory::new(cap_bytes, None), room_bytes: cap_bytes as usize }
    }

    /// Takes a row into moka.
    pub fn fill(&mut self, key: &[u8], value: &Bytes) {
        self.memory.fill(&Key::from(key), &entry(value));
    }

    /// Takes an entry into the front.
    pub fn fill_front(&mut self, key: &[u8], value: &Bytes) {
        self.front.fill(Hashed::new(key), &entry(value), self.room_bytes);
    }

    /// Asks moka alone.
    #[must_use]
    pub fn ask_memory(&self, key: &[u8]) -> Option<usize> {
        self.memory.get(key).map(|entry| entry.value.len())
    }

    /// Asks the front alone.
    pub fn ask_front(&mut self, key: &[u8]) -> Option<usize> {
        self.front.get(Hashed::new(key), NOW_MS).map(|(entry, _)| entry.value.len())
    }

    /// Asks the front for the keys of a pipeline, waiting for memory once.
    pub fn ask_front_together(&mut self, keys: &[&[u8]]) -> usize {
        let keys: Vec<Hashed<'_>> = keys.iter().map(|key| Hashed::new(key)).collect();
        let hashes: Vec<u64> = keys.iter().map(|key| key.hash()).collect();
        hashes.chunks(buffer::FETCHED_MAX).for_each(|some| self.front.fetch(some));
        keys.into_iter().filter(|key| self.front.get(*key, NOW_MS).is_some()).count()
    }
}

/// The main file with its keeper and its readers, without a memory tier.
#[derive(Debug)]
pub struct Store {
    inner: store::Store,
    journal: Option<store::Journal>,
    spare: Option<store::Journal>,
    events: mpsc::Receiver<Event>,
    _sync_reports: mpsc::Receiver<store::Synced>,
}

/// Writes on their way into the main file.
#[derive(Debug)]
pub struct Written(Generation);

impl Store {
    /// Opens or creates it.
    #[must_use]
    pub fn open(dir: &Path, readers: u32) -> Self {
        let options = Options {
            dir: dir.to_owned(),
            sync: Sync::Deferred,
            sync_interval: Duration::from_secs(1),
            readers,
            sweep_slice_rows: 1_000,
            disk_cap_bytes: None,
            journal_limit_bytes: JOURNAL_BYTES,
            value_bytes_max: 64 << 20,
            compression: Compression { from_bytes: Some(1 << 10), level: 3 },
        };
        let opened =
            store::Store::open(&options, Clock::start(), Box::new(())).expect("a store can be opened");
        Self {
            inner: opened.store,
            journal: Some(opened.journal),
            spare: None,
            events: opened.events,
            _sync_reports: opened.sync_reports,
        }
    }

    /// The next generation with these keys.
    #[must_use]
    pub fn written<'a>(&self, keys: impl IntoIterator<Item = &'a [u8]>, value: &Bytes) -> Written {
        let id = self.journal.as_ref().map_or(1, store::Journal::generation);
        let mut generation = Generation::new(id);
        for key in keys {
            generation.write(Hashed::new(key), State::Live(entry(value)));
        }
        // Without rests: the daemon's merges have them only while there is nothing to hurry for.
        generation.want_merged(1.0);
        Written(generation)
    }

    /// Merges it, and waits for that.
    pub fn merge(&mut self, written: Written) {
        while self.spare.is_none() {
            self.hear();
        }
        let journal = std::mem::replace(&mut self.journal, self.spare.take()).expect("there is always one");
        self.inner.merge(Arc::new(written.0), Sealed::new(journal)).expect("the keeper runs");
        while !self.hear() {}
        self.inner.request_spare(store::PageSize::default()).expect("the keeper runs");
    }

    /// Takes the next event; whether it is the end of a merge.
    fn hear(&mut self) -> bool {
        match self.events.blocking_recv() {
            Some(Event::Merged(_)) => true,
            Some(Event::Spare(journal)) => {
                self.spare = Some(*journal);
                false
            }
            Some(Event::Fatal(error)) => panic!("the keeper cannot go on: {error}"),
            Some(_) => false,
            None => panic!("the keeper has ended"),
        }
    }

    /// What reads rows, from any thread.
    #[must_use]
    pub fn reader(&self) -> Reader {
        Reader(self.inner.readers().clone())
    }

    /// Ends its threads.
    pub fn stop(self) {
        self.inner.stop();
    }
}

/// Reads of the main file.
#[derive(Clone, Debug)]
pub struct Reader(store::Readers);

impl Reader {
    /// How many of these keys have a row.
    #[must_use]
    pub fn read(&self, keys: &[&[u8]]) -> usize {
        let keys: Vec<Key> = keys.iter().map(|key| Key::from(*key)).collect();
        let fetched = self.0.fetch(&keys).expect("rows can be read");
        fetched.rows.iter().flatten().count()
    }
}
