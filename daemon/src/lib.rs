//! larderd, the daemon of larder: a durable cache on a Unix socket.
//!
//! ```text
//!                         one thread: the event loop                                other threads
//!  ┌───────────┐   ┌─────────────────────────────────────────────────┐
//!  │ clients   │   │ conn ── cmd ──> cache ── pending ── commit ─────┼──> journal-N.db  <── syncer: fdatasync, 1/s
//!  │ (socket)  │<─>│  ^               │         │(visible)           │
//!  └───────────┘   │  └── answers     │    write buffer ─── seal ────┼──> keeper: merge ──> larder.db
//!                  │                  │                              │      │ sweep, checkpoint     ^
//!                  │                  ├──> memory tier <── refresh ──┼──────┘                       │
//!                  │                  └──> loads ────────────────────┼──> blocking threads: r2d2 pool, read only
//!                  └─────────────────────────────────────────────────┘
//! ```
//! `ARCHITECTURE.md` has the map and the invariants.

pub mod access;
mod aside;
#[cfg(feature = "bench")]
pub mod bench;
mod buffer;
mod buffers;
mod cache;
mod clients;
mod clock;
mod cmd;
pub mod config;
mod conn;
#[cfg(test)]
mod documents;
pub mod endpoint;
mod entry;
mod error;
mod events;
mod files;
pub mod fresh;
pub mod glob;
mod hot_keys;
mod kept;
mod latency;
pub mod limits_fd;
pub mod logging;
mod notices;
pub mod offline;
mod pace;
mod planted;
mod process;
mod pubsub;
mod random;
pub mod server;
pub mod service;
pub mod signals;
mod slow_log;
mod source;
mod stats;
mod store;
mod stream;
mod warm;
