//! Tests of the Rust client (`larder_protocol::client`) against the built `larderd`.
//!
//! Where a test goes:
//!
//! | module | subject |
//! |---|---|
//! | [`original`] | what the design that larder goes back to tested of its own cache |
//! | [`commands`] | each method, and what it answers |
//! | [`connections`] | sharing connections, losing them, time-outs |
//! | [`messages`] | subscriptions |
//! | [`caching`] | cached calls in one process: one computation, stale values, invalidation, no daemon |
//! | [`processes`] | what several processes do together: one computation, one rate limit |
//! | [`macros`] | the attribute macros of the `cached` crate |
//! | [`threads`] | the blocking client |
//! | [`cookbook`] | the shell's part of protocol/COOKBOOK.md, run as it stands there |
//! | [`readme`] | the Rust in README.md |
//! | [`util`] | the harness of the end-to-end tests |

#![expect(clippy::unwrap_used, reason = "a failed test should panic")]

mod caching;
mod commands;
mod connections;
mod cookbook;
mod macros;
mod messages;
mod original;
mod processes;
mod readme;
mod threads;
#[path = "../e2e/util/mod.rs"]
mod util;

use larder_protocol::client::{Client, Options};
use util::Daemon;

/// A client of a daemon.
async fn client_of(daemon: &Daemon) -> Client {
    Client::at(daemon.socket()).await.unwrap()
}

/// Options for a daemon, to be added to.
fn options_for(daemon: &Daemon) -> Options {
    Options::new().socket(daemon.socket())
}
