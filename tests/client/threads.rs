//! The blocking client: in threads, in scripts, and where it should not be.

use std::thread;
use std::time::Duration;

use larder_protocol::client::blocking::{Client, wait};
use larder_protocol::client::{Error, Options, Remaining};
use larder_protocol::{Reply, Stat, key};

use crate::options_for;
use crate::util::{Daemon, HANG};

const MINUTE: Duration = Duration::from_mins(1);

#[test]
fn threads_share_a_client() {
    let daemon = Daemon::start(&[]);
    let client = Client::open(options_for(&daemon)).unwrap();
    thread::scope(|scope| {
        for worker in 0..8_u32 {
            let client = &client;
            scope.spawn(move || {
                for round in 0..100 {
                    let key = key!("k", worker, round);
                    client.set(&key, &(worker + round), MINUTE).unwrap();
                    assert_eq!(client.get::<u32>(&key).unwrap(), Some(worker + round));
                }
            });
        }
    });
    assert_eq!(client.size().unwrap(), 800);
    assert_eq!(client.scan("k:3:*").map(Result::unwrap).count(), 100);
    assert_eq!(client.delete_pattern("k:*").unwrap(), 800);
    assert_eq!(client.stats().unwrap().int(Stat::Sets), 800);
}

#[test]
fn the_methods_are_those_of_the_async_client() {
    let daemon = Daemon::start(&[]);
    let client = Client::at(daemon.socket()).unwrap();
    client.set_many([("a", &1), ("b", &2)], None).unwrap();
    assert_eq!(client.get_many::<u32>(["a", "x", "b"]).unwrap(), [Some(1), None, Some(2)]);
    assert_eq!(client.incr("a", 5).unwrap(), 6);
    assert!(
        client.expire("a", MINUTE).unwrap() && client.persist("a").unwrap() && client.exists("a").unwrap()
    );
    assert_eq!(client.ttl("a").unwrap(), Remaining::Forever);
    assert_eq!(client.command(["ECHO", "x"]).unwrap(), Reply::bulk("x"));
    assert!(client.delete("a").unwrap() && client.invalidate("b").unwrap());
    assert_eq!(client.clean_up().unwrap(), 0);
    assert!(client.check_rate("api", 1, MINUTE, "me").unwrap().allowed);
    assert!(!client.check_rate("api", 1, MINUTE, "me").unwrap().allowed);
    wait(client.searches().set("q", "web", &1)).unwrap();
    assert_eq!(wait(client.searches().get("q", "web")).unwrap(), Some(1));
    let sessions = client.sessions::<String>(MINUTE);
    let id = wait(sessions.create(&"ann".to_owned())).unwrap();
    assert_eq!(wait(sessions.get(&id)).unwrap().as_deref(), Some("ann"));
    client.clear().unwrap();
    let nowhere = Client::lazy(Options::new().socket("/nowhere/larder.sock")).unwrap();
    assert!(matches!(nowhere.ping(), Err(Error::Unreachable { .. })));
    assert_eq!(nowhere.cached(MINUTE, "k", || 5), 5);
}

#[test]
fn threads_that_ask_for_one_missing_key_compute_it_once() {
    let daemon = Daemon::start(&[]);
    let client = Client::at(daemon.socket()).unwrap();
    let computed = std::sync::atomic::AtomicU32::new(0);
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                let value = client.cached(MINUTE, "slow", || {
                    thread::sleep(Duration::from_millis(100));
                    computed.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1
                });
                assert_eq!(value, 1);
            });
        }
    });
    let changed = client.invalidating("slow", || Ok::<_, Error>(7)).unwrap();
    assert_eq!((changed, client.exists("slow").unwrap()), (7, false));
    let failed = client.try_cached(MINUTE, "slow", || Err::<u32, _>("no")).unwrap_err();
    assert_eq!((failed, client.exists("slow").unwrap()), ("no", false));
}

#[test]
fn messages_are_an_iterator() {
    let daemon = Daemon::start(&[]);
    let client = Client::at(daemon.socket()).unwrap();
    let mut messages = client.subscribe(["c"]).unwrap();
    for text in ["one", "two"] {
        client.publish("c", text).unwrap();
    }
    let heard: Vec<_> = messages.by_ref().take(2).map(|message| message.unwrap().payload).collect();
    assert_eq!(heard, ["one", "two"]);
    assert!(messages.next_within(Duration::from_millis(1)).is_none());
    client.publish("c", "three").unwrap();
    assert_eq!(&messages.next_within(HANG).unwrap().unwrap().payload[..], b"three");
}

#[tokio::test]
async fn it_works_within_a_runtime_though_it_blocks_it() {
    let daemon = Daemon::start(&[]);
    let client = Client::at(daemon.socket()).unwrap();
    // More polls than a task may make at once, and none of them ends in the middle.
    for n in 0..500_u32 {
        client.set("k", &n, None).unwrap();
    }
    assert_eq!(client.get::<u32>("k").unwrap(), Some(499));
    assert_eq!(client.as_async().get::<u32>("k").await.unwrap(), Some(499));
}
