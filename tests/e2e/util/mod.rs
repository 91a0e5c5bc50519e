//! The harness: a daemon in its own directory, a client for both dialects, optional tools, and waiting.
//!
//! It knows the wire format by itself instead of borrowing `larder_protocol`, so that a mistake in that crate
//! cannot cancel itself out here.

#![allow(dead_code, unused_imports, reason = "the end-to-end tests and the gates each use a part of it")]

mod client;
mod daemon;
pub(crate) mod damage;
mod hold;
pub(crate) mod load;
mod mounted;
mod tool;
mod transcript;
mod wire;

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

pub(crate) use client::{Client, Stats};
pub(crate) use daemon::{Daemon, Outcome, binary, journal_pages, larderd, run};
pub(crate) use hold::Hold;
pub(crate) use mounted::Mounted;
pub(crate) use tool::{PRELOADED, bash, compile, missing, python_knows_redis, succeeds, tool};
pub(crate) use transcript::Transcript;
pub(crate) use wire::{Reply, encode, split_words};

/// Bounds a hang, and nothing else: no test passes or fails by being faster or slower than this.
pub(crate) const HANG: Duration = Duration::from_mins(1);

/// A path of the repository, from its root.
pub(crate) fn repository(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(path)
}

/// Asks again and again until `probe` says `Ok`; fails with its last complaint where that never happens.
#[track_caller]
pub(crate) fn wait_until<T>(what: &str, mut probe: impl FnMut() -> Result<T, String>) -> T {
    let give_up = Instant::now() + HANG;
    loop {
        match probe() {
            Ok(value) => return value,
            Err(complaint) => {
                assert!(Instant::now() < give_up, "waited {HANG:?} for {what}: {complaint}");
                thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

/// Lets the clock pass `instant`, for tests whose subject is that a deadline has gone by.
pub(crate) fn wait_for_clock(instant: Instant) {
    wait_until("the clock", || if Instant::now() > instant { Ok(()) } else { Err("not yet".into()) });
}

/// Numbers that look random and are the same in every run (xorshift64*), so that a failure can be repeated.
pub(crate) struct Dice(u64);

impl Dice {
    /// A sequence of its own for every seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// The next number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16) % bound
    }

    /// `length` bytes of every value.
    pub(crate) fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.below(256) as u8).collect()
    }
}
