//! `larderd export`: all entries as a stream of requests.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::ops::ControlFlow;
use std::os::fd::AsFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use bytes::BytesMut;
use larder_protocol::encode_command;

use super::progress::{Progress, Unit};
use super::{OfflineError, count, exact, lock, stream};
use crate::clock::Clock;
use crate::config::Settings;
use crate::entry::Entry;
use crate::store::Contents;

/// Bytes that are collected before they are written, the last entry left aside.
const CHUNK_BYTES: usize = 256 << 10;

pub(super) fn run(output: Option<&Path>, settings: &Settings, clock: Clock) -> Result<(), OfflineError> {
    let _lock = lock(
        &settings.data,
        "or have it write a copy with larderd backup, put that into an empty directory as larder.db, and export from there",
    )?;
    let contents = Contents::open(&settings.data)?;
    let mut out = Output::open(output)?;
    let mut progress = Progress::new(Unit::Entries, Some(contents.len_about()), output.is_none());
    let mut failed = Ok(());
    let read = contents.each(clock.now_ms(), |key, entry| {
        failed = out.put(key, entry);
        progress.at(out.entries);
        if failed.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    drop(progress);
    let Output { entries, bytes, .. } = out;
    let written = failed.and_then(|()| out.finish()).map_err(stream("write", name(output)));
    let damaged = match written.and(read.map_err(OfflineError::from)) {
        Ok(damaged) => damaged,
        Err(error) => {
            if let Some(path) = output {
                // Half an export would be taken for one.
                let _ = std::fs::remove_file(path);
            }
            return Err(error);
        }
    };
    eprintln!("exported {}, {}", count(entries, "entry", "entries"), exact(bytes));
    if damaged > 0 {
        return Err(OfflineError::Partly(format!(
            "{} with a wrong checksum left out; larderd check names them",
            count(damaged, "entry", "entries")
        )));
    }
    Ok(())
}

fn name(output: Option<&Path>) -> String {
    output.map_or_else(|| "standard output".to_owned(), |path| path.display().to_string())
}

/// Where the requests go.
struct Output {
    file: File,
    chunk: BytesMut,
    entries: u64,
    bytes: u64,
    /// Whether it is a file of ours, to be forced to disk.
    sync: bool,
}

impl Output {
    fn open(output: Option<&Path>) -> Result<Self, OfflineError> {
        let file = match output {
            Some(path) => OpenOptions::new().write(true).create_new(true).mode(0o600).open(path),
            // Not through the standard library's own handle, which writes line by line.
            None => io::stdout().as_fd().try_clone_to_owned().map(File::from),
        };
        let file = file.map_err(stream("write", name(output)))?;
        let sync = output.is_some();
        Ok(Self { file, chunk: BytesMut::new(), entries: 0, bytes: 0, sync })
    }

    fn put(&mut self, key: &[u8], entry: &Entry) -> io::Result<()> {
        let before = self.chunk.len();
        match entry.deadline.unix_ms() {
            Some(deadline) => {
                let deadline = deadline.to_string();
                encode_command(&[b"SET", key, &entry.value, b"PXAT", deadline.as_bytes()], &mut self.chunk);
            }
            None => encode_command(&[b"SET", key, &entry.value], &mut self.chunk),
        }
        self.entries += 1;
        self.bytes += (self.chunk.len() - before) as u64;
        if self.chunk.len() >= CHUNK_BYTES {
            self.file.write_all(&self.chunk)?;
            self.chunk.clear();
        }
        Ok(())
    }

    fn finish(mut self) -> io::Result<()> {
        self.file.write_all(&self.chunk)?;
        if self.sync { self.file.sync_all() } else { Ok(()) }
    }
}
