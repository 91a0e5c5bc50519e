//! `larderd import`: stores the entries of a stream of requests.
//!
//! Straight into the database, in the slices of a merge: what is imported is not in a journal first, so that an import cut
//! short has stored some of it. Requests that depend on what is stored are not taken, as nothing is read here.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use bytes::{Buf as _, Bytes, BytesMut};
use larder_protocol::{Parser, Progress as Parsed, Request, Requests};

use super::progress::{Progress, Unit};
use super::session::Session;
use super::{OfflineError, count, lock_or_create, stream};
use crate::buffer::Generation;
use crate::clock::Clock;
use crate::cmd;
use crate::config::Settings;
use crate::entry::{Deadline, Entry, State};
use crate::error::CommandError;
use crate::store::{self, StoreError};

/// Bytes read at once.
const READ_BYTES: usize = 256 << 10;

/// Requests parsed at once.
const REQUESTS: usize = 1_024;

pub(super) fn run(input: Option<&Path>, settings: &Settings, clock: Clock) -> Result<(), OfflineError> {
    let name = input.map_or_else(|| "standard input".to_owned(), |path| path.display().to_string());
    // Before the directory is made: a misspelled file should leave nothing behind.
    let (source, bytes): (Box<dyn Read>, _) = match input {
        Some(path) => {
            let file = File::open(path).map_err(stream("read", name.clone()))?;
            let bytes = file.metadata().ok().filter(std::fs::Metadata::is_file).map(|file| file.len());
            (Box::new(file), bytes)
        }
        None => (Box::new(io::stdin().lock()), None),
    };
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
    let ended = import.read_all(source, Progress::new(Unit::Bytes, bytes, false));
    let Import { applied, writes, .. } = import;
    let evicted = session.evicted;
    let closed = match &ended {
        Err(Stop::Store(_)) => {
            session.abandon();
            Ok(())
        }
        _ => session.close(),
    };
    let requests = count(applied, "request", "requests");
    let partly =
        |why: String| OfflineError::Partly(format!("{name}: {why}; the {requests} before it were applied"));
    match ended {
        Ok(()) => {}
        Err(Stop::Input { position, why }) => return Err(partly(format!("{position}: {why}"))),
        Err(Stop::Read(error)) => return Err(partly(error.to_string())),
        Err(Stop::Store(error)) => {
            return Err(OfflineError::Partly(format!(
                "{error}; of {name}, the first {requests} were applied, and possibly some of the rest"
            )));
        }
    }
    closed?;
    println!("imported {requests}, {}", count(writes, "write", "writes"));
    if evicted > 0 {
        println!("to stay below disk_cap, {} were evicted", count(evicted, "entry", "entries"));
    }
    Ok(())
}

/// Why an import ended before the end of its input.
enum Stop {
    /// A request that is not taken.
    Input { position: String, why: String },
    /// The input cannot be read.
    Read(io::Error),
    /// The database cannot be written.
    Store(StoreError),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// An import under way.
struct Import<'a> {
    settings: &'a Settings,
    clock: Clock,
    session: &'a mut Session,
    /// What was read and is not merged yet.
    generation: Generation,
    /// Requests read, the one under way left aside.
    read: u64,
    /// Those that are in the database, on disk.
    applied: u64,
    /// Those that will be when the merge under way has ended.
    applied_when_merged: u64,
    /// Entries and deletions in the requests read.
    writes: u64,
}

impl Import<'_> {
    fn read_all(&mut self, mut source: Box<dyn Read>, mut progress: Progress) -> Result<(), Stop> {
        let ended = self.read_requests(&mut *source, &mut progress);
        // What came before a wrong request is applied.
        if !matches!(ended, Err(Stop::Store(_))) {
            self.seal()?;
            self.session.await_merge()?;
            self.applied = self.read;
        }
        ended
    }

    fn read_requests(&mut self, source: &mut dyn Read, progress: &mut Progress) -> Result<(), Stop> {
        let mut parser = Parser::new(self.settings.frame_limits());
        let mut requests = Requests::default();
        let mut buf = BytesMut::new();
        // Of the buffer's first byte in the input.
        let mut offset = 0;
        loop {
            let len = buf.len();
            buf.resize(len + READ_BYTES, 0);
            let read = read_some(source, &mut buf[len..]).map_err(Stop::Read)?;
            buf.truncate(len + read);
            if read == 0 {
                if parser.mid_request() {
                    return Err(self.stop_at(offset, "the input ends inside this request".to_owned()));
                }
                return Ok(());
            }
            loop {
                let parsed = parser.parse(&buf, &mut requests, REQUESTS);
                for i in 0..requests.len() {
                    let start = if i == 0 { 0 } else { requests.end(i - 1) };
                    if let Err(error) = self.put(requests.get(i, &buf)) {
                        return Err(self.stop_at(offset + start as u64, error));
                    }
                    self.read += 1;
                }
                let done = requests.consumed_to();
                buf.advance(done);
                offset += done as u64;
                parser.consumed(done);
                requests.clear();
                if self.generation.bytes() as u64 >= self.settings.merge_bytes {
                    self.seal()?;
                }
                match parsed {
                    Parsed::Full => {}
                    Parsed::NeedMore { .. } => break,
                    Parsed::Broken(error) => {
                        return Err(self.stop_at(offset, without_code(&error.to_string())));
                    }
                }
            }
            progress.at(offset);
        }
    }

    fn stop_at(&self, offset: u64, why: String) -> Stop {
        Stop::Input { position: format!("request {} at byte {offset}", self.read + 1), why }
    }

    /// Takes over what a request writes.
    fn put(&mut self, request: Request<'_>) -> Result<(), String> {
        let told = |error: CommandError| without_code(&error.to_string());
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

/// Reads what there is, at least a byte unless the input has ended.
fn read_some(source: &mut dyn Read, buf: &mut [u8]) -> io::Result<usize> {
    loop {
        match source.read(buf) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}

/// An error reply's text without the code that clients look at.
fn without_code(text: &str) -> String {
    text.strip_prefix("ERR ").unwrap_or(text).to_owned()
}
