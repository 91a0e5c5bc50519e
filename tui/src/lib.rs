//! larder's dashboard, `larder-top`: subscribes to the daemon's stream and shows it.
//!
//! | module | |
//! |---|---|
//! | [`model`] | what is known of the daemon: history, events, tables, numbers with units |
//! | [`app`] | what the screen follows from: pages, keys, `update(&mut App, Msg)` |
//! | [`view`] | `view(&App, &Look, &mut Frame)`: drawing, and nothing else |
//! | [`link`] | the socket, with reconnection |
//! | [`args`], [`run`], [`plain`] | the program: options, the loop, output without a terminal |
//! | [`terminal`], [`input`], [`signals`], [`clock`] | the rest of the outside world |
//!
//! Messages come from threads (socket, keys, signals) through one bounded channel; the main thread drains it, updates
//! the app and draws once. Threads, and no async runtime: there is one socket, which is only read.

pub mod app;
pub mod args;
pub mod clock;
pub mod input;
pub mod link;
pub mod model;
pub mod plain;
pub mod run;
pub mod signals;
pub mod terminal;
pub mod view;
