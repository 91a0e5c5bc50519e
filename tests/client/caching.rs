//! Cached calls in one process: one computation, stale values, invalidation, and no daemon.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use larder_protocol::client::{Client, Error, Key, Options, Pattern, Remaining};
use larder_protocol::key;
use rustix::process::Signal;
use tokio::sync::{Barrier, Notify, Semaphore};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::util::{Daemon, HANG};
use crate::{client_of, options_for};

const MINUTE: Duration = Duration::from_mins(1);
const COMPUTING: Duration = Duration::from_millis(200);

/// Counts computations, which take a while.
#[derive(Clone, Default)]
struct Slow(Arc<AtomicU32>);

impl Slow {
    async fn compute(&self) -> u32 {
        sleep(COMPUTING).await;
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn computed(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A hundred tasks that ask for one key at once.
async fn hundred(client: &Client, slow: &Slow) -> Vec<u32> {
    let barrier = Arc::new(Barrier::new(100));
    let mut tasks = JoinSet::new();
    for _ in 0..100 {
        let (client, slow, barrier) = (client.clone(), slow.clone(), Arc::clone(&barrier));
        tasks.spawn(async move {
            barrier.wait().await;
            client.cached(MINUTE, "slow", || slow.compute()).await
        });
    }
    tasks.join_all().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hundred_tasks_compute_once() {
    let daemon = Daemon::start(&[]);
    let client = client_of(&daemon).await;
    let slow = Slow::default();
    assert_eq!(hundred(&client, &slow).await, [1; 100]);
    assert_eq!(slow.computed(), 1);
    assert_eq!(client.keys("larder:lock:*").await.unwrap().len(), 0, "the lock is free");
    assert_eq!(client.went_without(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn clients_that_know_nothing_of_each_other_compute_once() {
    let daemon = Daemon::start(&[]);
    let slow = Slow::default();
    let mut tasks = JoinSet::new();
    for _ in 0..20 {
        let (options, slow) = (options_for(&daemon), slow.clone());
        tasks.spawn(async move {
            let client = Client::open(options).await.unwrap();
            client.cached(MINUTE, "slow", || slow.compute()).await
        });
    }
    assert_eq!(tasks.join_all().await, [1; 20]);
    assert_eq!(slow.computed(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn without_a_daemon_a_hundred_tasks_compute_once_as_well() {
    let client = Client::lazy(Options::new().socket("/nowhere/larder.sock")).unwrap();
    let slow = Slow::default();
    assert_eq!(hundred(&client, &slow).await, [1; 100]);
    assert_eq!(slow.computed(), 1);
    assert!(client.went_without() >= 100, "{}", client.went_without());
    // Nothing was kept.
    assert_eq!(client.cached(MINUTE, "slow", || slow.compute()).await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn callers_get_results_while_the_daemon_stops_and_comes_back() {
    let mut daemon = Daemon::start(&[]);
    let options = options_for(&daemon).backoff(Duration::from_millis(1), Duration::from_millis(10));
    let client = Client::open(options).await.unwrap();
    let stop = Arc::new(Notify::new());
    let calls = Arc::new(AtomicU32::new(0));
    let mut tasks = JoinSet::new();
    for task in 0..16_u32 {
        let (client, calls, stop) = (client.clone(), Arc::clone(&calls), Arc::clone(&stop));
        tasks.spawn(async move {
            let mut ended = std::pin::pin!(stop.notified());
            ended.as_mut().enable();
            for round in 0.. {
                // Some keys are asked for again and again, some once.
                let key = key!("k", if round % 2 == 0 { task } else { task * 1_000_000 + round });
                let value = client.cached(MINUTE, &key, || async { key.as_str().len() }).await;
                assert_eq!(value, key.as_str().len());
                calls.fetch_add(1, Ordering::Relaxed);
                tokio::select! { biased; () = &mut ended => return, () = tokio::task::yield_now() => {} }
            }
        });
    }
    for kill in [true, false, true] {
        if kill {
            daemon.kill9();
        } else {
            assert!(daemon.terminate().success());
        }
        let away = calls.load(Ordering::Relaxed);
        while calls.load(Ordering::Relaxed) < away + 1_000 {
            sleep(Duration::from_millis(1)).await;
        }
        daemon.restart();
    }
    stop.notify_waiters();
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    assert!(client.went_without() > 0);
    // It is used again.
    let used = tokio::time::timeout(HANG, async {
        loop {
            assert_eq!(client.cached(MINUTE, "again", || async { 1 }).await, 1);
            if let Ok(Some(1)) = client.get("again").await {
                return;
            }
            sleep(Duration::from_millis(1)).await;
        }
    });
    used.await.unwrap();
}

#[tokio::test]
async fn a_daemon_that_hangs_holds_a_cached_call_up_for_the_timeout_only() {
    let daemon = Daemon::start(&[]);
    let client = client_of(&daemon).await.with_timeout(Duration::from_millis(30));
    daemon.signal(Signal::STOP);
    assert_eq!(client.cached(MINUTE, "k", || async { 7 }).await, 7);
    assert_eq!(client.went_without(), 1, "it is not asked again");
    daemon.signal(Signal::CONT);
}

#[tokio::test]
async fn errors_are_given_and_not_kept() {
    let daemon = Daemon::start(&[]);
    let client = client_of(&daemon).await;
    let failed = client.try_cached::<u32, _, _, _>(MINUTE, "k", || async { Err("no") }).await;
    assert_eq!(failed, Err("no"));
    assert_eq!(client.try_cached(MINUTE, "k", || async { Ok::<_, ()>(5) }).await, Ok(5));
    assert_eq!(client.try_cached(MINUTE, "k", || async { Err::<u32, _>("cached") }).await, Ok(5));
}

#[tokio::test]
async fn who_asks_for_errors_of_the_cache_gets_them() {
    let nowhere = Client::lazy(Options::new().socket("/nowhere/larder.sock")).unwrap();
    let strict = nowhere.caching().strictly_cached(MINUTE, "k", || async { Ok::<_, Error>(1) }).await;
    assert!(matches!(strict, Err(Error::Unreachable { .. })));
    let strict = nowhere.strictly_invalidating("k", || async { Ok::<_, Error>(1) }).await;
    assert!(matches!(strict, Err(Error::Unreachable { .. })));
    assert_eq!(nowhere.went_without(), 0);
    assert_eq!(nowhere.invalidating("k", || async { Ok::<_, Error>(1) }).await.unwrap(), 1);
    assert_eq!(nowhere.went_without(), 1);
    let daemon = Daemon::start(&[]);
    let client = client_of(&daemon).await;
    let stored = client.caching().strictly_cached(MINUTE, "k", || async { Ok::<_, Error>(1) }).await;
    assert_eq!((stored.unwrap(), client.get("k").await.unwrap()), (1, Some(1)));
}

#[tokio::test]
async fn nothing_is_a_result_like_any_other_and_may_have_its_own_ttl() {
    let daemon = Daemon::start(&[]);
    let client = client_of(&daemon).await;
    let computed = AtomicU32::new(0);
    let caching = client.caching().null_ttl(MINUTE);
    for _ in 0..3 {
        let nothing: Option<u32> = caching
            .cached(MINUTE * 60, "nothing", || async {
                computed.fetch_add(1, Ordering::Relaxed);
                None
            })
            .await;
        assert_eq!(nothing, None);
    }
    assert_eq!(computed.load(Ordering::Relaxed), 1);
    assert!(client.ttl("nothing").await.unwrap().duration().unwrap() <= MINUTE);
    caching.cached(MINUTE * 60, "something", || async { Some(1) }).await;
    assert!(client.ttl("something").await.unwrap().duration().unwrap() > MINUTE);
    caching.cached(None, "for ever", || async { Some(1) }).await;
    assert_eq!(client.ttl("for ever").await.unwrap(), Remaining::Forever);
}

#[tokio::test]
async fn jitter_spreads_what_is_stored_together() {
    let daemon = Daemon::start(&[]);
    let client = client_of(&daemon).await;
    let caching = client.caching().jitter(0.5);
    let mut lives = Vec::new();
    for n in 0..20 {
        let key = key!("k", n);
        caching.cached(MINUTE * 60, &key, || async { n }).await;
        lives.push(client.ttl(&key).await.unwrap().duration().unwrap());
    }
    assert!(lives.iter().all(|left| *left <= MINUTE * 60 && *left > MINUTE * 29), "{lives:?}");
    lives.sort();
    assert!(lives[19] > lives[0] + MINUTE, "{lives:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stale_value_is_given_while_one_task_computes_the_new_one() {
    let daemon = Daemon::start(&[]);
    let client = client_of(&daemon).await;
    // Nothing is computed but what is let through.
    let (slow, gate) = (Slow::default(), Arc::new(Semaphore::new(1)));
    let get = async |client: &Client| {
        let (slow, gate) = (slow.clone(), Arc::clone(&gate));
        let compute = move || async move {
            gate.acquire().await.unwrap().forget();
            slow.compute().await
        };
        client.caching().cached_or_stale(MINUTE, MINUTE, "rates", compute).await
    };
    assert_eq!(get(&client).await, 1);
    assert!(client.ttl("rates").await.unwrap().duration().unwrap() > MINUTE, "fresh and stale time together");
    assert_eq!(get(&client).await, 1);
    assert_eq!(slow.computed(), 1, "fresh: not computed again");
    // As if a minute had passed.
    client.expire("rates", MINUTE).await.unwrap();
    let other = client_of(&daemon).await;
    for _ in 0..20 {
        // Both at once, without waiting for what is computed meanwhile.
        assert_eq!((get(&client).await, get(&other).await), (1, 1));
    }
    gate.add_permits(1);
    let renewed = tokio::time::timeout(HANG, async {
        while client.get::<u32>("rates").await.unwrap() != Some(2) {
            sleep(Duration::from_millis(5)).await;
        }
    });
    renewed.await.unwrap();
    assert_eq!((get(&client).await, get(&other).await), (2, 2));
    assert_eq!(slow.computed(), 2, "by one of all who asked");
    assert!(client.ttl("rates").await.unwrap().duration().unwrap() > MINUTE);
    client.delete("rates").await.unwrap();
    gate.add_permits(1);
    assert_eq!(get(&client).await, 3, "what is gone is computed, and waited for");
}

#[tokio::test]
async fn what_was_computed_before_an_invalidation_is_not_stored_after_it() {
    let daemon = Daemon::start(&[]);
    let client = client_of(&daemon).await;
    for pattern in [None, Some(Pattern::glob("user:7*")), Some(Pattern::like("user:%"))] {
        let other = client_of(&daemon).await;
        let key = Key::new("user").part(7);
        let value = client
            .cached(MINUTE, &key, || async {
                // In the middle of the computation the truth changes.
                match &pattern {
                    None => drop(other.invalidate(&key).await.unwrap()),
                    Some(pattern) => drop(other.invalidate_pattern(pattern).await.unwrap()),
                }
                "old".to_owned()
            })
            .await;
        assert_eq!(value, "old", "whoever had asked before gets what was true then");
        assert_eq!(client.get::<String>(&key).await.unwrap(), None, "{pattern:?}");
        assert_eq!(client.cached(MINUTE, &key, || async { "new".to_owned() }).await, "new");
        assert_eq!(client.get::<String>(&key).await.unwrap().as_deref(), Some("new"));
        client.invalidate(&key).await.unwrap();
    }
}

#[tokio::test]
async fn invalidating_deletes_after_success_only() {
    let daemon = Daemon::start(&[]);
    let client = client_of(&daemon).await;
    client.set_many([("user:1:a", &1), ("user:1:b", &1), ("user:2:a", &1)], None).await.unwrap();
    let failed = client.invalidating("user:1:*", || async { Err::<(), _>("not saved") }).await;
    assert_eq!((failed, client.size().await.unwrap()), (Err("not saved"), 3));
    let saved = client.invalidating("user:1:*", || async { Ok::<_, Error>("saved") }).await.unwrap();
    assert_eq!((saved, client.size().await.unwrap()), ("saved", 1));
}

#[tokio::test]
async fn a_computation_that_is_given_up_leaves_the_key_to_others() {
    let daemon = Daemon::start(&[]);
    let client = client_of(&daemon).await;
    let other = client_of(&daemon).await;
    let begun = Arc::new(Notify::new());
    let (begins, first) = (Arc::clone(&begun), client.clone());
    let given_up = tokio::spawn(async move {
        let compute = || async {
            begins.notify_one();
            std::future::pending::<u32>().await
        };
        first.cached(MINUTE, "k", compute).await
    });
    begun.notified().await;
    let waiting = tokio::spawn(async move { client.cached(MINUTE, "k", || async { 1 }).await });
    let elsewhere = tokio::spawn(async move { other.cached(MINUTE, "k", || async { 1 }).await });
    sleep(Duration::from_millis(20)).await;
    assert!(!waiting.is_finished() && !elsewhere.is_finished());
    given_up.abort();
    assert_eq!((waiting.await.unwrap(), elsewhere.await.unwrap()), (1, 1));
}

#[tokio::test]
async fn a_computation_longer_than_the_lease_keeps_its_lock() {
    let daemon = Daemon::start(&[]);
    let lease = Duration::from_millis(800);
    let (one, two) = (client_of(&daemon).await, client_of(&daemon).await);
    let (one, two) = (one.caching().lease(lease), two.caching().lease(lease));
    let computed = AtomicU32::new(0);
    let compute = || async {
        sleep(lease * 5 / 2).await;
        computed.fetch_add(1, Ordering::Relaxed) + 1
    };
    let both = tokio::join!(one.cached(MINUTE, "k", compute), two.cached(MINUTE, "k", compute));
    assert_eq!((both, computed.load(Ordering::Relaxed)), ((1, 1), 1));
}

#[tokio::test]
async fn a_stored_value_of_another_type_is_replaced() {
    let daemon = Daemon::start(&[]);
    let client = client_of(&daemon).await;
    client.set("k", &"text of an older version", None).await.unwrap();
    assert_eq!(client.cached(MINUTE, "k", || async { 5 }).await, 5);
    assert_eq!(client.get::<u32>("k").await.unwrap(), Some(5));
    assert_eq!(client.went_without(), 1, "it is told");
}

#[tokio::test]
async fn locks_are_held_by_one_and_freed() {
    let daemon = Daemon::start(&[]);
    let (client, other) = (client_of(&daemon).await, client_of(&daemon).await);
    let lease = Duration::from_millis(500);
    let lock = client.try_lock("lock:k", lease).await.unwrap().unwrap();
    for _ in 0..30 {
        // For three times its lease, because it is renewed.
        assert!(other.try_lock("lock:k", lease).await.unwrap().is_none());
        sleep(lease / 10).await;
    }
    drop(lock);
    let taken = tokio::time::timeout(HANG, async {
        loop {
            if let Some(lock) = other.try_lock("lock:k", lease).await.unwrap() {
                return lock;
            }
        }
    });
    let taken = taken.await.unwrap();
    client.delete("lock:k").await.unwrap();
    let thief = client.try_lock("lock:k", MINUTE).await.unwrap().unwrap();
    assert!(!taken.release().await.unwrap(), "it was lost, and the other's is left alone");
    assert!(thief.release().await.unwrap());
}
