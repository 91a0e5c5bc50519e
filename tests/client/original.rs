//! The tests of the design that larder goes back to, a cache within one Python process, rewritten against this client.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use larder_protocol::client::{Pattern, RateLimiter, SearchCache};
use larder_protocol::{Stat, key};
use serde_json::{Value, json};

use crate::client_of;
use crate::util::{Daemon, wait_until};

const HOUR: Duration = Duration::from_hours(1);

#[tokio::test]
async fn basic_operations() {
    let daemon = Daemon::start(&[]);
    let client = client_of(&daemon).await;
    let value = json!({"name": "test", "numbers": [1, 2, 3], "nested": {"deep": null}});
    client.set("test:key", &value, HOUR).await.unwrap();
    assert_eq!(client.get::<Value>("test:key").await.unwrap(), Some(value));
    assert!(client.exists("test:key").await.unwrap());
    assert!(client.delete("test:key").await.unwrap());
    assert_eq!(client.get::<Value>("test:key").await.unwrap(), None);
    assert!(!client.exists("test:key").await.unwrap() && !client.delete("test:key").await.unwrap());
    // None is a value, which the original took for a miss.
    client.set("test:null", &None::<u32>, HOUR).await.unwrap();
    assert_eq!(client.get::<Option<u32>>("test:null").await.unwrap(), Some(None));
}

#[tokio::test]
async fn expiration() {
    let daemon = Daemon::start(&[]);
    let client = client_of(&daemon).await;
    client.set("short", &"lived", Duration::from_millis(200)).await.unwrap();
    let left = client.ttl("short").await.unwrap().duration();
    assert!(left.is_none_or(|left| left <= Duration::from_millis(200)), "{left:?}");
    // In memory as well, where the original served it for longer.
    while client.exists("short").await.unwrap() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(client.get::<String>("short").await.unwrap(), None);
}

#[tokio::test]
async fn pattern_delete() {
    let daemon = Daemon::start(&[]);
    let client = client_of(&daemon).await;
    for pattern in [Pattern::like("user:1:%"), Pattern::glob("user:1:*"), "user:1:*".into()] {
        let keys = ["user:1:profile", "user:1:settings", "user:2:profile", "admin:user:1:x"];
        client.set_many(keys.map(|key| (key, &1)), HOUR).await.unwrap();
        assert_eq!(client.delete_pattern(&pattern).await.unwrap(), 2, "{pattern:?}");
        let left = client.get_many::<u32>(keys).await.unwrap();
        assert_eq!(left, [None, None, Some(1), Some(1)], "{pattern:?}");
    }
}

#[tokio::test]
async fn statistics() {
    let daemon = Daemon::start(&[]);
    let client = client_of(&daemon).await;
    client.set("key1", &"value1", HOUR).await.unwrap();
    client.get::<String>("key1").await.unwrap();
    client.get::<String>("nonexistent").await.unwrap();
    client.delete("key1").await.unwrap();
    let stats = client.stats().await.unwrap();
    let counted = [Stat::Sets, Stat::Hits, Stat::Misses, Stat::Deletes].map(|stat| stats.int(stat));
    assert_eq!(counted, [1, 1, 1, 1]);
    assert_eq!(serde_json::from_str::<Value>(&stats.to_json(None)).unwrap()["hit_rate"], json!(0.5));
}

#[tokio::test]
async fn decorator() {
    let daemon = Daemon::start(&[]);
    let client = client_of(&daemon).await;
    let calls = AtomicU32::new(0);
    let sum = async |x: u32, y: u32| {
        client
            .cached(HOUR, key!("sum", x, y), || async {
                calls.fetch_add(1, Ordering::Relaxed);
                x + y
            })
            .await
    };
    assert_eq!((sum(1, 2).await, sum(1, 2).await), (3, 3));
    assert_eq!(calls.load(Ordering::Relaxed), 1, "one call for equal arguments");
    assert_eq!(sum(2, 1).await, 3);
    assert_eq!(calls.load(Ordering::Relaxed), 2, "and one for others");
}

#[tokio::test]
async fn search_cache_by_source() {
    let daemon = Daemon::start(&[]);
    let searches = SearchCache::new(&client_of(&daemon).await);
    let long = "a very long question ".repeat(30);
    for query in ["rust", "100% *[sure]? a:b", long.as_str()] {
        searches.set(query, "web", &["from the web"]).await.unwrap();
        searches.set(query, "news", &["from the news"]).await.unwrap();
        let found = |source| searches.get::<Vec<String>>(query, source);
        assert_eq!(found("web").await.unwrap().unwrap(), ["from the web"]);
        assert_eq!(found("news").await.unwrap().unwrap(), ["from the news"]);
        assert_eq!(found("papers").await.unwrap(), None);
    }
    // In the original, the pattern of a query never matched its keys.
    assert_eq!(searches.invalidate("rust").await.unwrap(), 2);
    assert_eq!(searches.invalidate(&long).await.unwrap(), 2);
    assert_eq!(searches.get::<Vec<String>>("rust", "web").await.unwrap(), None);
    assert_eq!(searches.clear().await.unwrap(), 2);
}

#[tokio::test]
async fn rate_limit() {
    let daemon = Daemon::start(&[]);
    let limiter = RateLimiter::new(&client_of(&daemon).await, "api", 3, Duration::from_mins(1));
    assert_eq!(limiter.remaining("user:1").await.unwrap(), 3);
    for remaining in [2, 1, 0] {
        let decision = limiter.check("user:1").await.unwrap();
        assert!(decision.allowed && decision.remaining == remaining, "{decision:?}");
    }
    let window = limiter.peek("user:1").await.unwrap().reset_in;
    let fourth = limiter.check("user:1").await.unwrap();
    assert!(!fourth.allowed && fourth.remaining == 0, "{fourth:?}");
    assert!(fourth.reset_in <= window, "a refused request does not push the window on");
    assert_eq!(limiter.remaining("user:1").await.unwrap(), 0);
    // `_` stood for any letter in the original's patterns.
    assert_eq!(limiter.remaining("user_1").await.unwrap(), 3);
    assert!(limiter.reset("user:1").await.unwrap());
    assert!(limiter.check("user:1").await.unwrap().allowed);
}

#[tokio::test]
async fn memory_layer_hit() {
    let daemon = Daemon::start(&["--merge-interval", "50ms"]);
    let client = client_of(&daemon).await;
    client.set("hot", &"value", HOUR).await.unwrap();
    // Merged into the database, read from there once, and from memory ever after.
    wait_until("a hit in memory", || {
        let mut asking = daemon.client();
        asking.check("GET hot", r#"="\"value\"""#);
        let hits = asking.stats().get("memory_hits");
        if hits > 0 { Ok(()) } else { Err(format!("{hits} hits")) }
    });
    assert_eq!(client.get::<String>("hot").await.unwrap().as_deref(), Some("value"));
}

#[tokio::test]
async fn clean_up_of_exactly_one() {
    let daemon = Daemon::start(&["--cleanup-interval", "1h"]);
    let client = client_of(&daemon).await;
    client.set("expires", &1, Duration::from_millis(1)).await.unwrap();
    client.set("stays", &1, HOUR).await.unwrap();
    while client.exists("expires").await.unwrap() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(client.clean_up().await.unwrap(), 1);
    assert_eq!(client.clean_up().await.unwrap(), 0);
    assert_eq!(client.size().await.unwrap(), 1);
}

#[test]
fn key_generation() {
    let readable = key!("search", query = "python", source = "web");
    assert_eq!(readable.as_str(), "search:query=python:source=web");
    assert_eq!(readable, key!("search", source = "web", query = "python"));
    let hashed = key!("search", query = "x".repeat(300));
    assert!(hashed.as_str().starts_with("search:#") && hashed.as_str().len() < 100, "{hashed}");
    assert_eq!(hashed, key!("search", query = "x".repeat(300)));
    assert_ne!(hashed, key!("search", query = "x".repeat(301)));
}
