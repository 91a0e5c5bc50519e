//! Tests of the dashboard as a whole: what it shows, what keys do, how it connects, what it leaves behind.
//!
//! | module | |
//! |---|---|
//! | `fixtures` | a daemon's life, always the same |
//! | `fake` | the same on a socket |
//! | `screens`, `resize` | every page and state, as text and styles; every size |
//! | `keys` | every key, by the table of bindings |
//! | `link`, `plain` | the socket; output without a terminal |
//! | `terminal` | the program in a real terminal |

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod fake;
mod fixtures;
mod keys;
mod link;
mod plain;
mod resize;
mod screens;
mod terminal;
