//! The attribute macros of the `cached` crate, with larder as their store. Those of its 0.59 are in
//! `protocol/tests/io_cached.rs`: its macros find their crate only where it has the plain name.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use cached_4::macros::concurrent_cached;
use cached_4::{ConcurrentCached, ConcurrentCachedAsync};
use larder_protocol::client::{Error, LarderStore, Options};
use rustix::process::Signal;

use crate::util::Daemon;

const MINUTE: Duration = Duration::from_mins(1);

/// Where the daemons of tests listen: functions with these attributes know no test that they run in.
static SOCKETS: Mutex<BTreeMap<&str, PathBuf>> = Mutex::new(BTreeMap::new());

/// A daemon for one test, which the options of this name lead to.
fn daemon(name: &'static str) -> Daemon {
    let daemon = Daemon::start(&[]);
    SOCKETS.lock().unwrap().insert(name, daemon.socket().to_owned());
    daemon
}

fn options(name: &str) -> Options {
    Options::new().socket(&SOCKETS.lock().unwrap()[name])
}

static CALLS: AtomicU32 = AtomicU32::new(0);

#[concurrent_cached(
    ty = "LarderStore<String, u64>",
    create = r#"{ LarderStore::open(options("double"), "double").unwrap().ttl(MINUTE) }"#,
    convert = r#"{ format!("{number}") }"#,
    map_error = "|error| error"
)]
fn double(number: u64) -> Result<u64, Error> {
    CALLS.fetch_add(1, Ordering::Relaxed);
    number.checked_mul(2).ok_or_else(|| Error::Misuse("too large a number".to_owned()))
}

#[test]
fn a_function_is_cached_in_the_daemon() {
    let daemon = daemon("double");
    for _ in 0..3 {
        assert_eq!(double(21).unwrap(), 42);
    }
    assert!(matches!(double(u64::MAX), Err(Error::Misuse(_))), "errors are not kept");
    assert!(double(u64::MAX).is_err());
    assert_eq!((double(4).unwrap(), CALLS.load(Ordering::Relaxed)), (8, 4));
    daemon.client().check("GET double:21", r#"="42""#);
}

static ASYNC_CALLS: AtomicU32 = AtomicU32::new(0);

#[concurrent_cached(
    ty = "LarderStore<u64, String>",
    create = r#"{ LarderStore::open(options("named"), "named").unwrap() }"#,
    map_error = "|error| error"
)]
async fn named(number: u64) -> Result<String, Error> {
    ASYNC_CALLS.fetch_add(1, Ordering::Relaxed);
    tokio::task::yield_now().await;
    Ok(format!("number {number}"))
}

#[tokio::test]
async fn an_async_function_is_cached_in_the_daemon() {
    let daemon = daemon("named");
    for _ in 0..3 {
        assert_eq!(named(7).await.unwrap(), "number 7");
    }
    assert_eq!(ASYNC_CALLS.load(Ordering::Relaxed), 1);
    daemon.client().check("GET named:7", r#"="\"number 7\"""#);
}

#[test]
fn the_stores_methods_do_what_the_trait_says() {
    let daemon = daemon("store");
    let store: LarderStore<&str, u32> = LarderStore::open(options("store"), "store").unwrap().ttl(MINUTE);
    assert_eq!(store.cache_get(&"a").unwrap(), None);
    assert_eq!(store.cache_set("a", 1).unwrap(), None);
    assert_eq!(store.cache_set("a", 2).unwrap(), Some(1));
    assert_eq!((store.cache_get(&"a").unwrap(), store.cache_contains(&"a").unwrap()), (Some(2), true));
    assert_eq!(store.cache_remove(&"a").unwrap(), Some(2));
    assert_eq!(store.cache_remove_entry(&"a").unwrap(), None);
    store.cache_set("b", 3).unwrap();
    assert_eq!(store.cache_remove_entry(&"b").unwrap(), Some(("b", 3)));
    for key in ["a", "b", "a:b"] {
        store.cache_set(key, 1).unwrap();
    }
    let other: LarderStore<&str, u32> = LarderStore::open(options("store"), "storehouse").unwrap();
    other.cache_set("a", 1).unwrap();
    assert!(store.cache_delete(&"a").unwrap() && !store.cache_delete(&"a").unwrap());
    store.cache_clear().unwrap();
    assert_eq!((store.cache_get(&"a:b").unwrap(), other.cache_get(&"a").unwrap()), (None, Some(1)));
    // What another version of the program stored is no error for ever.
    daemon.client().check("SET store:old text", "+OK");
    assert_eq!(store.cache_get(&"old").unwrap(), None);
    let away: LarderStore<u32, u32> = LarderStore::open(Options::new().socket("/nowhere"), "n").unwrap();
    assert!(matches!(away.cache_get(&1), Err(Error::Unreachable { .. })));
}

#[tokio::test]
async fn the_async_methods_do_what_the_trait_says() {
    let _daemon = daemon("async-store");
    let store: LarderStore<u32, u32> = LarderStore::open(options("async-store"), "async-store").unwrap();
    assert_eq!(store.async_cache_set(1, 1).await.unwrap(), None);
    assert_eq!(store.async_cache_get(&1).await.unwrap(), Some(1));
    assert!(store.async_cache_contains(&1).await.unwrap() && store.async_cache_delete(&1).await.unwrap());
    store.async_cache_set(2, 2).await.unwrap();
    assert_eq!(store.async_cache_remove_entry(&2).await.unwrap(), Some((2, 2)));
    store.async_cache_set(3, 3).await.unwrap();
    store.async_cache_clear().await.unwrap();
    assert_eq!(store.async_cache_remove(&3).await.unwrap(), None);
}

#[tokio::test]
async fn reading_is_tried_once_more_where_the_connection_was_lost_and_changing_is_not() {
    let mut daemon = daemon("lost-store");
    let store: LarderStore<u32, u32> =
        LarderStore::open(options("lost-store"), "lost-store").unwrap().ttl(MINUTE);
    store.async_cache_set(1, 1).await.unwrap();
    daemon.signal(Signal::STOP);
    let asking = |refresh| {
        let store = store.clone().refresh(refresh);
        tokio::spawn(async move { store.async_cache_get(&1).await })
    };
    let reads = [asking(false), asking(true)];
    let removing = store.clone();
    let removal = tokio::spawn(async move { removing.async_cache_remove(&1).await });
    tokio::time::sleep(Duration::from_millis(50)).await;
    daemon.kill9();
    for read in reads {
        // Tried again, and nobody was there.
        let away = read.await.unwrap().unwrap_err();
        assert!(matches!(away, Error::Unreachable { .. }), "{away}");
    }
    let lost = removal.await.unwrap().unwrap_err();
    assert!(matches!(lost, Error::Lost { .. }), "{lost}");
}
