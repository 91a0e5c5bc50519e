//! Subscriptions: messages as streams.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use futures_core::Stream;
use larder_protocol::client::{Client, Error};
use larder_protocol::stream;

use crate::util::{Daemon, HANG};
use crate::{client_of, options_for};

#[tokio::test]
async fn messages_come_in_order_and_from_the_right_channels() {
    let daemon = Daemon::start(&[]);
    let client = client_of(&daemon).await;
    let mut two = client.subscribe(["a", "b"]).await.unwrap();
    let mut all = client.subscribe_patterns(["*"]).await.unwrap();
    for n in 0..500 {
        assert_eq!(client.publish(if n % 2 == 0 { "a" } else { "b" }, n.to_string()).await.unwrap(), 2);
    }
    client.publish("c", "only for patterns").await.unwrap();
    for n in 0..500 {
        // As a stream, and by its own method.
        let message = poll_fn(|context| Pin::new(&mut two).poll_next(context)).await.unwrap().unwrap();
        assert_eq!((&message.payload[..], message.pattern), (n.to_string().as_bytes(), None));
        assert_eq!(&message.channel[..], if n % 2 == 0 { b"a" } else { b"b" });
        let message = all.next().await.unwrap().unwrap();
        assert_eq!(message.pattern.as_deref(), Some(&b"*"[..]));
    }
    assert_eq!(&all.next().await.unwrap().unwrap().channel[..], b"c");
    assert!(client.subscribe(Vec::<String>::new()).await.is_err());
    drop((two, all));
    drop(client);
    tokio::task::spawn_blocking(move || daemon.wait_for_no_other_connection()).await.unwrap();
}

#[tokio::test]
async fn a_subscription_says_where_messages_may_be_missing_and_goes_on() {
    let mut daemon = Daemon::start(&[]);
    let options =
        options_for(&daemon).backoff(Duration::from_millis(1), Duration::from_millis(20)).timeout(HANG);
    let client = Client::open(options.patience(HANG)).await.unwrap();
    let mut messages = client.subscribe(["c"]).await.unwrap();
    client.publish("c", "before").await.unwrap();
    assert_eq!(&messages.next().await.unwrap().unwrap().payload[..], b"before");
    daemon.kill9();
    assert!(matches!(messages.next().await, Some(Err(Error::Lost { .. }))));
    daemon.restart();
    // Until it listens again, messages reach nobody.
    while client.publish("c", "after").await.unwrap() == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(&messages.next().await.unwrap().unwrap().payload[..], b"after");
}

#[tokio::test]
async fn the_daemons_own_channel_is_one_like_any_other() {
    let daemon = Daemon::start(&["--stats-interval", "100ms"]);
    let client = client_of(&daemon).await;
    let mut samples = client.subscribe([stream::STATS_CHANNEL]).await.unwrap();
    let sample = tokio::time::timeout(HANG, async {
        loop {
            let message = samples.next().await.unwrap().unwrap();
            let text = String::from_utf8(message.payload.to_vec()).unwrap();
            if let stream::Message::Sample(sample) = stream::Message::from_json(&text).unwrap() {
                return sample;
            }
        }
    });
    assert!(sample.await.unwrap().stats.int(larder_protocol::Stat::Connections) >= 2);
}

#[tokio::test]
async fn who_listens_is_listed_by_name_also_on_the_next_connection() {
    let mut daemon = Daemon::start(&[]);
    let options =
        options_for(&daemon).backoff(Duration::from_millis(1), Duration::from_millis(20)).timeout(HANG);
    let client = Client::open(options.patience(HANG).name("ears")).await.unwrap();
    let mut messages = client.subscribe(["c"]).await.unwrap();
    let listed = async || {
        let list = client.command(["CLIENT", "LIST", "TYPE", "pubsub"]).await.unwrap();
        String::from_utf8(list.as_bytes().unwrap().to_vec()).unwrap()
    };
    let list = listed().await;
    assert!(list.contains("name=ears ") && list.contains("lib-name=larder-protocol "), "{list}");
    daemon.kill9();
    assert!(matches!(messages.next().await, Some(Err(Error::Lost { .. }))));
    daemon.restart();
    while client.publish("c", "after").await.unwrap() == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let list = listed().await;
    assert!(list.contains("name=ears "), "{list}");
    assert_eq!(&messages.next().await.unwrap().unwrap().payload[..], b"after");
}

#[tokio::test]
async fn a_listener_too_many_is_told_so() {
    let daemon = Daemon::start(&["--max-connections", "1"]);
    // As soon as the connection that its start was seen by is gone.
    let first = loop {
        if let Ok(client) = Client::at(daemon.socket()).await {
            break client;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    };
    let refused = first.subscribe(["c"]).await.unwrap_err();
    assert!(refused.to_string().contains("max number of clients"), "{refused}");
}
