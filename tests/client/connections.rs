//! Sharing connections, losing them, and not waiting for ever.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use larder_protocol::Reply;
use larder_protocol::client::{Client, Error, Options};
use rustix::process::Signal;
use tokio::task::JoinSet;

use crate::util::{Daemon, HANG, wait_until};
use crate::{client_of, options_for};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_tasks_share_few_connections_and_get_their_own_answers() {
    let daemon = Daemon::start(&[]);
    let client = Client::open(options_for(&daemon).connections(3).name("many")).await.unwrap();
    let mut tasks = JoinSet::new();
    for task in 0..500_u32 {
        let client = client.clone();
        tasks.spawn(async move {
            for round in 0..20_u32 {
                let key = format!("k:{task}:{round}");
                client.set(&key, &(task, round), None).await.unwrap();
                assert_eq!(client.get::<(u32, u32)>(&key).await.unwrap(), Some((task, round)));
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    assert_eq!(client.size().await.unwrap(), 10_000);
    let Reply::Bulk(list) = client.command(["CLIENT", "LIST"]).await.unwrap() else { panic!("no list") };
    let list = String::from_utf8(list.to_vec()).unwrap();
    let ours =
        list.lines().filter(|line| line.contains("name=many") && line.contains("lib-name=larder-protocol"));
    assert!((1..=3).contains(&ours.count()), "{list}");
}

#[tokio::test]
async fn one_task_alone_needs_one_connection() {
    let daemon = Daemon::start(&[]);
    let client = Client::open(options_for(&daemon).connections(8)).await.unwrap();
    for _ in 0..50 {
        client.ping().await.unwrap();
    }
    // The client's, and the one that asks.
    wait_until("all other connections to be gone", || daemon.stats().is("connections", 2));
    drop(client);
    tokio::task::yield_now().await;
    tokio::task::spawn_blocking(move || daemon.wait_for_no_other_connection()).await.unwrap();
}

#[tokio::test]
async fn a_daemon_that_comes_back_is_found_again() {
    let mut daemon = Daemon::start(&[]);
    let client =
        Client::open(options_for(&daemon).backoff(Duration::from_millis(1), Duration::from_millis(20)));
    let client = client.await.unwrap();
    client.set("k", &1, None).await.unwrap();
    for _ in 0..3 {
        daemon.kill9();
        let away = client.get::<u32>("k").await.unwrap_err();
        assert!(matches!(away, Error::Unreachable { .. }), "{away}");
        assert!(away.is_unavailable() && away.to_string().contains("is larderd running?"), "{away}");
        daemon.restart();
        let found = tokio::time::timeout(HANG, async {
            loop {
                match client.get::<u32>("k").await {
                    Ok(found) => return found,
                    Err(error) => assert!(error.nothing_happened(), "{error}"),
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
        assert_eq!(found.await.unwrap(), Some(1));
    }
}

#[tokio::test]
async fn calls_fail_at_once_while_the_daemon_is_left_alone() {
    let nowhere = tempfile::tempdir().unwrap();
    let options = Options::new().socket(nowhere.path().join("larder.sock"));
    assert!(matches!(Client::open(options.clone()).await, Err(Error::Unreachable { .. })));
    let client = Client::lazy(options).unwrap();
    let began = Instant::now();
    for _ in 0..1_000 {
        assert!(client.get::<u32>("k").await.is_err());
    }
    assert!(began.elapsed() < HANG / 2, "{:?}", began.elapsed());
}

#[tokio::test]
async fn with_patience_a_call_waits_for_the_daemon() {
    let mut daemon = Daemon::start(&[]);
    let client = Client::open(options_for(&daemon).timeout(HANG).patience(HANG)).await.unwrap();
    daemon.terminate();
    let waiting = tokio::spawn(async move { client.incr("n", 1).await });
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!waiting.is_finished());
    daemon.restart();
    assert_eq!(waiting.await.unwrap().unwrap(), 1, "done once");
}

#[tokio::test]
async fn a_daemon_that_hangs_costs_the_timeout_and_nothing_is_mixed_up_after_it() {
    let daemon = Daemon::start(&[]);
    let client = client_of(&daemon).await;
    client.set("k", &1, None).await.unwrap();
    daemon.signal(Signal::STOP);
    let hurried = client.with_timeout(Duration::from_millis(50));
    let late = hurried.get::<u32>("k").await.unwrap_err();
    assert!(matches!(&late, Error::Timeout { command, .. } if command == "GET"), "{late}");
    assert!(!late.nothing_happened());
    assert!(hurried.incr("n", 1).await.is_err());
    daemon.signal(Signal::CONT);
    // The late answers are thrown away; the next calls get theirs.
    assert_eq!(client.get::<u32>("k").await.unwrap(), Some(1));
    assert_eq!(client.incr("n", 1).await.unwrap(), 2, "what was late was done all the same");
}

#[tokio::test]
async fn what_was_under_way_when_the_daemon_died_is_lost_and_says_so() {
    let mut daemon = Daemon::start(&[]);
    let client = client_of(&daemon).await;
    daemon.signal(Signal::STOP);
    let asking = client.clone();
    let incr = tokio::spawn(async move { asking.incr("n", 1).await });
    let asking = client.clone();
    let get = tokio::spawn(async move { asking.get::<u32>("n").await });
    tokio::time::sleep(Duration::from_millis(50)).await;
    daemon.kill9();
    let lost = incr.await.unwrap().unwrap_err();
    assert!(matches!(&lost, Error::Lost { command, .. } if command == "INCRBY"), "{lost}");
    assert!(!lost.nothing_happened() && lost.is_unavailable());
    // A read was asked once more, and found nobody.
    let again = get.await.unwrap().unwrap_err();
    assert!(matches!(again, Error::Unreachable { .. }), "{again}");
}

#[test]
fn a_client_outlives_the_runtime_it_was_made_in() {
    let daemon = Daemon::start(&[]);
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let client = runtime().block_on(async {
        let client = client_of(&daemon).await;
        client.set("k", &1, None).await.unwrap();
        client
    });
    for _ in 0..3 {
        assert_eq!(runtime().block_on(client.get::<u32>("k")).unwrap(), Some(1));
    }
}

#[tokio::test]
async fn a_daemon_with_too_many_clients_says_so() {
    let daemon = Daemon::start(&["--max-connections", "1"]);
    // As soon as the connection that its start was seen by is gone.
    let first = loop {
        if let Ok(client) = Client::at(daemon.socket()).await {
            break client;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    };
    let refused = Client::at(daemon.socket()).await.unwrap_err();
    assert!(refused.to_string().contains("max number of clients"), "{refused}");
    first.ping().await.unwrap();
}

#[tokio::test]
async fn a_connection_of_its_own_watches_and_is_not_replaced() {
    let mut daemon = Daemon::start(&[]);
    let client = client_of(&daemon).await;
    let own = client.connection();
    own.command(["WATCH", "k"]).await.unwrap();
    own.command(["MULTI"]).await.unwrap();
    assert_eq!(own.command(["SET", "k", "1"]).await.unwrap().as_bytes(), Some(&b"QUEUED"[..]));
    assert_eq!(own.command(["EXEC"]).await.unwrap(), Reply::Array(vec![Reply::OK]));
    assert!(own.command(["BLAH"]).await.unwrap_err().to_string().contains("unknown command"));
    assert!(matches!(own.command(["SUBSCRIBE", "c"]).await, Err(Error::Misuse(_))));
    daemon.kill9();
    daemon.restart();
    let gone = own.command(["PING"]).await.unwrap_err();
    assert!(matches!(gone, Error::Lost { .. }), "{gone}");
    assert!(client.connection().command(["PING"]).await.is_ok());
}

#[tokio::test]
async fn the_hook_hears_what_cached_calls_go_without() {
    let heard = Arc::new(AtomicUsize::new(0));
    let last = Arc::new(Mutex::new(String::new()));
    let (counting, noting) = (Arc::clone(&heard), Arc::clone(&last));
    let options = Options::new().socket("/nowhere/larder.sock").on_error(move |error| {
        counting.fetch_add(1, Ordering::Relaxed);
        *noting.lock().unwrap() = error.to_string();
    });
    let client = Client::lazy(options).unwrap();
    assert_eq!(client.cached(Duration::from_secs(1), "k", || async { 5 }).await, 5);
    assert_eq!((heard.load(Ordering::Relaxed), client.went_without()), (1, 1));
    assert!(last.lock().unwrap().contains("/nowhere/larder.sock"));
}

#[test]
fn the_default_socket_is_where_a_daemon_without_options_listens() {
    let dir = tempfile::tempdir().unwrap();
    let places = [("XDG_RUNTIME_DIR", "run"), ("XDG_STATE_HOME", "state"), ("XDG_CONFIG_HOME", "config")];
    let environment: Vec<_> = places.map(|(name, place)| (name.to_owned(), dir.path().join(place))).into();
    for (_, place) in &environment {
        std::fs::create_dir(place).unwrap();
        std::fs::set_permissions(place, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    }
    let socket = dir.path().join("run/larder/larder.sock");
    let _daemon = Daemon::start_with(dir, socket, Vec::new(), environment.clone());
    // In a process of its own, whose environment it is.
    let found = crate::processes::run(&["default-socket"], &environment);
    assert_eq!(found, [format!("{}/larder/larder.sock answers", environment[0].1.display())]);
}
