//! `larderd import`: stores the entries of a stream of requests.
//!
//! Straight into the database, in the slices of a merge: what is imported is not in a journal first, so that an import cut
//! short has stored some of it. Requests that depend on what is stored are not taken, as nothing is read here.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use bytes::Bytes;
use larder_protocol::Request;

use super::progress::{Progress, Unit};
use super::session::Session;
use super::{OfflineError, count, input_name, lock_or_create, stream};
use crate::buffer::Generation;
use crate::clock::Clock;
use crate::cmd;
use crate::config::Settings;
use crate::entry::{Deadline, Entry, State};
use crate::error::CommandError;
use crate::source::{self, CutShort, Taker};
use crate::store::{self, StoreError};

pub(super) fn run(input: Option<&Path>, settings: &Settings, clock: Clock) -> Result<(), OfflineError> {
    let name = input_name(input);
    // Before the directory is made: a misspelled file should leave nothing behind.
    let (source, bytes) = open(input).map_err(stream("read", name.clone()))?;
    let _lock = lock_or_create(&settings.data, "or send the file to it: redis-cli -s SOCKET --pipe < FILE")?;
    store::refuse_unsound(&settings.data, true)?;
    let mut session = Session::open(settings, clock)?;
    let generation = Generation::new(session.next_generation());
    let mut import = Import {
        settings,
        clock,
        session: &mut session,
        generation,
        read: 0,
        applied: 0,
        applied_when_merged: 0,
        writes: 0,
    };
    let ended = import.take_all(source, Progress::new(Unit::Bytes, bytes, false));
    let Import { applied, writes, .. } = import;
    let evicted = session.evicted;
    let closed = match &ended {
        Err(CutShort::Taker(_)) => {
            session.abandon();
            Ok(())
        }
        _ => session.close(),
    };
    let requests = count(applied, "request", "requests");
    ended.map_err(|why| partly(&name, &requests, why))?;
    closed?;
    println!("imported {requests}, {}", count(writes, "write", "writes"));
    if evicted > 0 {
        println!("to stay below disk_cap, {} were evicted", count(evicted, "entry", "entries"));
    }
    Ok(())
}

/// What is imported, and how many bytes it has, where that is known.
fn open(input: Option<&Path>) -> io::Result<(Box<dyn Read>, Option<u64>)> {
    let Some(path) = input else { return Ok((Box::new(io::stdin().lock()), None)) };
    let file = File::open(path)?;
    let bytes = file.metadata().ok().filter(std::fs::Metadata::is_file).map(|file| file.len());
    Ok((Box::new(file), bytes))
}

/// Says how much of `name` was applied: so many `requests`.
fn partly(name: &str, requests: &str, why: CutShort<StoreError>) -> OfflineError {
    OfflineError::Partly(match why {
        CutShort::Request(why) => format!("{name}: {why}; the {requests} before it were applied"),
        CutShort::Input(error) => format!("{name}: {error}; the {requests} before it were applied"),
        CutShort::Taker(error) => {
            format!("{error}; of {name}, the first {requests} were applied, and possibly some of the rest")
        }
    })
}

/// An import under way.
struct Import<'a> {
    settings: &'a Settings,
    clock: Clock,
    session: &'a mut Session,
    /// What was read and is not merged yet.
    generation: Generation,
    /// Requests read.
    read: u64,
    /// Those that are in the database, on disk.
    applied: u64,
    /// Those that will be when the merge under way has ended.
    applied_when_merged: u64,
    /// Entries and deletions in the requests read.
    writes: u64,
}

impl Import<'_> {
    fn take_all(&mut self, mut input: Box<dyn Read>, progress: Progress) -> Result<(), CutShort<StoreError>> {
        let limits = self.settings.frame_limits();
        let ended = source::take_all(&mut *input, limits, &mut Shown { import: self, progress });
        // What came before a wrong request is applied.
        if !matches!(ended, Err(CutShort::Taker(_))) {
            self.seal().and_then(|()| self.session.await_merge()).map_err(CutShort::Taker)?;
            self.applied = self.read;
        }
        ended
    }

    /// Takes over what a request writes.
    fn put(&mut self, request: Request<'_>) -> Result<(), String> {
        let told = |error: CommandError| error.to_string();
        let (_, spec) = cmd::resolve(request, self.settings.max_key_bytes).map_err(told)?;
        match spec.name {
            "set" => {
                let deadline = cmd::unconditional_deadline(request, self.clock.now_ms()).map_err(told)?;
                let deadline = deadline.ok_or("an import takes no NX, XX, GET or KEEPTTL")?;
                self.write(request.arg(0), request.arg(1), deadline);
            }
            "mset" => {
                if request.len().is_multiple_of(2) {
                    return Err(told(CommandError::Arity(spec.name)));
                }
                let mut words = request.args();
                while let (Some(key), Some(value)) = (words.next(), words.next()) {
                    self.write(key, value, Deadline::NEVER);
                }
            }
            "del" | "unlink" => {
                for key in request.args() {
                    self.generation.put(key.into(), State::Deleted);
                    self.writes += 1;
                }
            }
            other => {
                return Err(format!(
                    "an import takes SET, MSET, DEL and UNLINK, and not {}",
                    other.to_uppercase()
                ));
            }
        }
        Ok(())
    }

    /// As a daemon would store it: nothing lives longer than `max_ttl`. What is without a TTL stays so otherwise, whatever
    /// `default_ttl` says: an export that is imported is the same.
    fn write(&mut self, key: &[u8], value: &[u8], deadline: Deadline) {
        let ttl_ms_max = self.settings.max_ttl.map(|ttl| ttl.as_millis() as i64);
        let deadline = deadline.within(ttl_ms_max, self.clock.now_ms());
        let value = Bytes::copy_from_slice(value);
        self.generation.put(key.into(), State::Live(Entry { value, deadline }));
        self.writes += 1;
    }

    /// Hands over what was read. Meanwhile more can be.
    fn seal(&mut self) -> Result<(), StoreError> {
        if self.generation.is_empty() {
            return Ok(());
        }
        let before = self.applied_when_merged;
        self.session.await_merge()?;
        self.applied = before;
        let next = Generation::new(self.generation.id() + 1);
        let sealed = std::mem::replace(&mut self.generation, next);
        self.session.merge(sealed)?;
        self.applied_when_merged = self.read;
        Ok(())
    }
}

/// An import with a bar on the terminal.
struct Shown<'i, 'a> {
    import: &'i mut Import<'a>,
    progress: Progress,
}

impl Taker for Shown<'_, '_> {
    type Error = StoreError;

    fn take(&mut self, request: Request<'_>) -> Result<(), String> {
        self.import.put(request)?;
        self.import.read += 1;
        Ok(())
    }

    fn taken_to(&mut self, offset: u64) -> Result<(), StoreError> {
        self.progress.at(offset);
        if self.import.generation.bytes() as u64 >= self.import.settings.merge_bytes {
            self.import.seal()?;
        }
        Ok(())
    }
}
