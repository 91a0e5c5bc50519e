//! The attribute macros of `cached` 0.59, with larder as their store. The tests of the client are in `tests/client/`; this one
//! is here because these macros find their crate only where it has the plain name.

#![expect(clippy::unwrap_used, reason = "a failed test should panic")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use cached::proc_macro::io_cached;
use larder_protocol::client::{Error, LarderStore, Options, blocking::Client};
use larderd::fresh::Daemon;

const MINUTE: Duration = Duration::from_mins(1);

/// Where the daemons of tests listen: functions with these attributes know no test that they run in.
static SOCKETS: Mutex<BTreeMap<&str, PathBuf>> = Mutex::new(BTreeMap::new());

/// A daemon for one test, which the options of this name lead to.
fn daemon(name: &'static str) -> Daemon {
    let daemon = Daemon::start();
    SOCKETS.lock().unwrap().insert(name, daemon.socket().to_owned());
    daemon
}

fn options(name: &str) -> Options {
    Options::new().socket(&SOCKETS.lock().unwrap()[name])
}

fn blocking(daemon: &Daemon) -> Client {
    Client::at(daemon.socket()).unwrap()
}

static CALLS: AtomicU32 = AtomicU32::new(0);

#[io_cached(
    ty = "LarderStore<u64, u64>",
    create = r#"{ LarderStore::open(options("triple"), "triple").unwrap().ttl(MINUTE) }"#,
    map_error = "|error| error"
)]
fn triple(number: u64) -> Result<u64, Error> {
    CALLS.fetch_add(1, Ordering::Relaxed);
    number.checked_mul(3).ok_or_else(|| Error::Misuse("too large a number".to_owned()))
}

#[test]
fn a_function_is_cached_in_the_daemon() {
    let daemon = daemon("triple");
    for _ in 0..3 {
        assert_eq!(triple(5).unwrap(), 15);
    }
    assert_eq!(CALLS.load(Ordering::Relaxed), 1);
    assert_eq!(blocking(&daemon).get::<u64>("triple:5").unwrap(), Some(15));
}

static ASYNC_CALLS: AtomicU32 = AtomicU32::new(0);

#[io_cached(
    ty = "LarderStore<u64, u64>",
    create = r#"{ LarderStore::open(options("quadruple"), "quadruple").unwrap() }"#,
    map_error = "|error| error"
)]
async fn quadruple(number: u64) -> Result<u64, Error> {
    ASYNC_CALLS.fetch_add(1, Ordering::Relaxed);
    tokio::task::yield_now().await;
    Ok(number * 4)
}

#[tokio::test]
async fn an_async_function_is_cached_in_the_daemon() {
    let daemon = daemon("quadruple");
    for _ in 0..3 {
        assert_eq!(quadruple(5).await.unwrap(), 20);
    }
    assert_eq!(ASYNC_CALLS.load(Ordering::Relaxed), 1);
    assert_eq!(blocking(&daemon).get::<u64>("quadruple:5").unwrap(), Some(20));
}

#[test]
fn lifespans_and_refreshing_are_settings_of_the_store() {
    // Here and not above: the macros call methods that both traits have, and bring in the one they mean.
    use cached::{IOCached, IOCachedAsync};

    let daemon = daemon("lives");
    let mut store: LarderStore<u32, u32> = LarderStore::open(options("lives"), "lives").unwrap();
    assert_eq!(IOCached::cache_set_lifespan(&mut store, MINUTE), None);
    assert_eq!(IOCached::cache_set(&store, 1, 1).unwrap(), None);
    assert_eq!(IOCached::cache_set(&store, 1, 2).unwrap(), Some(1));
    let client = blocking(&daemon);
    let short = Duration::from_secs(10);
    assert!(client.expire("lives:1", short).unwrap());
    assert_eq!(IOCached::cache_get(&store, &1).unwrap(), Some(2));
    assert!(client.ttl("lives:1").unwrap().duration().unwrap() <= short);
    assert!(!IOCached::cache_set_refresh(&mut store, true));
    assert_eq!(IOCached::cache_get(&store, &1).unwrap(), Some(2));
    assert!(client.ttl("lives:1").unwrap().duration().unwrap() > short, "reading has refreshed it");
    assert_eq!(IOCached::cache_lifespan(&store), Some(MINUTE));
    assert_eq!(IOCachedAsync::cache_unset_lifespan(&mut store), Some(MINUTE));
    assert_eq!(IOCached::cache_remove(&store, &1).unwrap(), Some(2));
}
