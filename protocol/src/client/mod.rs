//! The client: larder from Rust (feature `client`).
//!
//! Used by programs beside the daemon. This is the one part of this crate that does IO and has a runtime; the core knows
//! nothing of it. Nothing here caches anything inside the process: the daemon's memory tier is a Unix socket away, and what
//! one process changes all others see at once.
//!
//! | what | |
//! |---|---|
//! | [`Client`] | async handle: typed and raw values, every command, messages, scans; [`blocking`] for threads |
//! | [`Key`], [`key!`](crate::key!) | keys from parts |
//! | [`Client::cached`], [`Caching`] | compute once, share between tasks and processes, serve stale while recomputing |
//! | [`Client::invalidating`], [`Pattern`] | deleting what is no longer true |
//! | [`SearchCache`], [`LlmCache`], [`RateLimiter`], [`SessionCache`] | what most programs build of it |
//! | `LarderStore` | store for the attribute macros of the `cached` crate (features `cached`, `cached-io`) |
//!
//! # Example
//! ```no_run
//! use std::time::Duration;
//! use larder_protocol::{client::Client, key};
//!
//! # #[derive(serde::Serialize, serde::Deserialize)]
//! # struct Weather { degrees: f64 }
//! # async fn ask_the_api(city: &str) -> Result<Weather, std::io::Error> { Ok(Weather { degrees: 7.0 }) }
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! // $LARDER_SOCKET, or where larderd listens by default.
//! let client = Client::connect().await?;
//! let city = "Bern";
//! let weather: Weather = client
//!     .try_cached(Duration::from_secs(600), key!("weather", city = city), || ask_the_api(city))
//!     .await?;
//! # Ok(())
//! # }
//! ```
//!
//! # When the daemon is away
//! Calls fail at once, with [`Error::Unreachable`], unless [`Options::patience`] says otherwise, and the client connects
//! again by itself. Cached calls run their function and tell [`Options::on_error`]. A request that was under way when the
//! connection ended is [`Error::Lost`]: only what reads is asked once more by itself, since the rest may have been done.

mod backoff;
pub mod blocking;
mod cached;
mod commands;
mod compute;
mod connection;
mod error;
mod flight;
mod handle;
mod invalidate;
mod key;
mod llm;
mod lock;
mod many;
mod options;
mod pattern;
mod pipe;
mod pipeline;
mod random;
mod rate;
mod reply;
mod scan;
mod search;
mod session;
mod set_options;
#[cfg(any(feature = "cached", feature = "cached-io"))]
mod store;
mod subscribe;
mod ttl;

pub use cached::Caching;
pub use connection::Connection;
pub use error::Error;
pub use handle::Client;
pub use key::{KEY_LETTERS, Key};
pub use llm::LlmCache;
pub use lock::Lock;
pub use options::{ErrorHook, Options, default_socket};
pub use pattern::Pattern;
pub use pipeline::Pipeline;
pub use rate::{Decision, RateLimiter};
pub use scan::Scan;
pub use search::SearchCache;
pub use session::SessionCache;
pub use set_options::SetOptions;
#[cfg(any(feature = "cached", feature = "cached-io"))]
pub use store::LarderStore;
pub use subscribe::{Message, Subscription};
pub use ttl::{Remaining, Ttl};
