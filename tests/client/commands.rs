//! Each method of the client, and what it answers.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use larder_protocol::Reply;
use larder_protocol::client::{Error, LlmCache, Remaining, SessionCache, SetOptions, Ttl};

use crate::client_of;
use crate::util::Daemon;

const MINUTE: Duration = Duration::from_mins(1);

#[tokio::test]
async fn values_come_back_as_they_were_given() {
    let daemon = Daemon::start(&[]);
    let client = client_of(&daemon).await;
    let every_byte: Vec<u8> = (0..=255).collect();
    client.set_bytes(&every_byte, &every_byte, None).await.unwrap();
    assert_eq!(client.get_bytes(&every_byte).await.unwrap().as_deref(), Some(&every_byte[..]));
    client.set_bytes("empty", "", None).await.unwrap();
    assert_eq!(client.get_bytes("empty").await.unwrap(), Some(Bytes::new()));
    let large = vec![b'\n'; 5 << 20];
    client.set_bytes("large", &large, MINUTE).await.unwrap();
    assert_eq!(client.get_bytes("large").await.unwrap().as_deref(), Some(&large[..]));
    client.set("typed", &(1, "two", [3.5]), None).await.unwrap();
    assert_eq!(client.get_bytes("typed").await.unwrap().as_deref(), Some(&br#"[1,"two",[3.5]]"#[..]));
    let wrong = client.get::<u32>("typed").await.unwrap_err();
    assert!(matches!(wrong, Error::Decode { .. }) && wrong.to_string().contains("\"typed\""), "{wrong}");
    let unwritable =
        client.set("k", &std::collections::HashMap::from([((1, 2), 3)]), None).await.unwrap_err();
    assert!(matches!(unwritable, Error::Encode { .. }), "{unwritable}");
}

#[tokio::test]
async fn times_to_live() {
    let daemon = Daemon::start(&[]);
    let client = client_of(&daemon).await;
    assert_eq!(client.ttl("k").await.unwrap(), Remaining::Absent);
    assert!(!client.expire("k", MINUTE).await.unwrap() && !client.persist("k").await.unwrap());
    client.set("k", &1, Ttl::NEVER).await.unwrap();
    assert_eq!(client.ttl("k").await.unwrap(), Remaining::Forever);
    assert!(client.expire("k", MINUTE).await.unwrap());
    let Remaining::For(left) = client.ttl("k").await.unwrap() else { panic!("it has a TTL") };
    assert!(left <= MINUTE && left > MINUTE / 2, "{left:?}");
    client.set_with("k", &2, SetOptions::new().keep_ttl()).await.unwrap();
    let (value, Remaining::For(kept)) = client.get_bytes_with_ttl("k").await.unwrap().unwrap() else {
        panic!("it has a TTL")
    };
    assert!(kept <= left && &value[..] == b"2", "{kept:?}");
    assert!(client.persist("k").await.unwrap());
    assert_eq!(client.ttl("k").await.unwrap(), Remaining::Forever);
    assert_eq!(client.get_bytes_with_ttl("nothing").await.unwrap(), None);
    let refused = client.set("k", &1, Duration::ZERO).await.unwrap_err();
    assert!(matches!(&refused, Error::Refused { command, .. } if command == "SET"), "{refused}");
}

#[tokio::test]
async fn counters_and_conditions() {
    let daemon = Daemon::start(&[]);
    let client = client_of(&daemon).await;
    assert_eq!(client.incr("n", 5).await.unwrap(), 5);
    assert_eq!(client.incr("n", -7).await.unwrap(), -2);
    assert_eq!(client.get::<i64>("n").await.unwrap(), Some(-2));
    assert_eq!(client.incr_within("w", 1, MINUTE).await.unwrap(), 1);
    let first = client.ttl("w").await.unwrap().duration().unwrap();
    assert_eq!(client.incr_within("w", 2, MINUTE * 60).await.unwrap(), 3);
    assert!(client.ttl("w").await.unwrap().duration().unwrap() <= first, "only what creates it sets the TTL");
    client.set("text", &"x", None).await.unwrap();
    assert!(client.incr("text", 1).await.unwrap_err().to_string().contains("not an integer"));
    let set = async |options| client.set_bytes_with("c", "new", options).await.unwrap();
    assert!(!set(SetOptions::new().if_present()).await && set(SetOptions::new().if_absent()).await);
    assert!(!set(SetOptions::new().if_equal("old")).await && set(SetOptions::new().if_equal("new")).await);
    assert!(
        !set(SetOptions::new().if_not_equal("new")).await && set(SetOptions::new().if_not_equal("old")).await
    );
}

#[tokio::test]
async fn many_keys_at_once() {
    let daemon = Daemon::start(&[]);
    let client = client_of(&daemon).await;
    let keys: Vec<String> = (0..2_500).map(|n| format!("many:{n}")).collect();
    client.set_many(keys.iter().zip(&[7; 2_500]), MINUTE).await.unwrap();
    assert!(client.ttl("many:2499").await.unwrap().duration().is_some_and(|left| left <= MINUTE));
    let asked = keys.iter().map(String::as_str).chain(["absent"]);
    let values = client.get_many::<u32>(asked).await.unwrap();
    assert!(values.len() == 2_501 && values[..2_500].iter().all(|value| *value == Some(7)));
    assert_eq!(values[2_500], None);
    let found: BTreeSet<Bytes> = client.keys("many:*").await.unwrap().into_iter().collect();
    assert_eq!(found, keys.iter().map(|key| Bytes::from(key.clone())).collect());
    assert_eq!(client.delete_many(&keys[..1_500]).await.unwrap(), 1_500);
    assert_eq!(client.delete_many(&keys[..1_501]).await.unwrap(), 1);
    assert_eq!(client.size().await.unwrap(), 999);
    // In parts, where all together would be more than a request may have.
    let large = vec![b'x'; 20 << 20];
    client.set_many_bytes((0..4).map(|n| (format!("large:{n}"), &large)), None).await.unwrap();
    assert_eq!(client.get_many_bytes(["large:3"]).await.unwrap()[0].as_deref(), Some(&large[..]));
    assert!(client.get_many::<u32>(Vec::<String>::new()).await.unwrap().is_empty());
    client.set_many(Vec::<(String, &u32)>::new(), None).await.unwrap();
    client.clear().await.unwrap();
    assert_eq!(client.size().await.unwrap(), 0);
}

#[tokio::test]
async fn any_command_and_several_together() {
    let daemon = Daemon::start(&[]);
    let client = client_of(&daemon).await;
    assert_eq!(client.command(["ECHO", "hi"]).await.unwrap(), Reply::bulk("hi"));
    let wrong = client.command(["GET"]).await.unwrap_err();
    assert!(wrong.to_string().starts_with("GET: larder says: ERR wrong number of arguments"), "{wrong}");
    for words in [["SUBSCRIBE", "c"], ["client", "REPLY"], ["MULTI", ""]] {
        assert!(matches!(client.command(words).await, Err(Error::Misuse(_))), "{words:?}");
    }
    let replies = client.pipeline().command(["SET", "a", "x"]).command(["INCR", "a"]).command(["GET", "a"]);
    let replies = replies.run().await.unwrap();
    assert!(replies[1].is_error() && replies[2] == Reply::bulk("x"), "{replies:?}");
    let atomic = client.pipeline().atomic().command(["INCR", "n"]).command(["INCR", "n"]);
    assert_eq!(atomic.run().await.unwrap(), [Reply::Int(1), Reply::Int(2)]);
    let aborted =
        client.pipeline().atomic().command(["INCR", "n"]).command(["NOSUCH"]).run().await.unwrap_err();
    assert!(aborted.to_string().contains("unknown command 'NOSUCH'"), "{aborted}");
    assert_eq!(client.get::<u32>("n").await.unwrap(), Some(2), "nothing of it was done");
    assert!(client.pipeline().run().await.unwrap().is_empty());
    assert!(client.pipeline().command(["QUIT"]).run().await.is_err());
    client.ping().await.unwrap();
}

#[tokio::test]
async fn sessions_keep_or_extend_their_time() {
    let daemon = Daemon::start(&[]);
    let client = client_of(&daemon).await;
    let fixed: SessionCache<u32> = SessionCache::new(&client, MINUTE);
    let id = fixed.create(&1).await.unwrap();
    let key = format!("session:{id}");
    client.expire(&key, MINUTE / 2).await.unwrap();
    assert!(fixed.update(&id, &2).await.unwrap());
    assert_eq!(fixed.get(&id).await.unwrap(), Some(2));
    let left = async || client.ttl(&key).await.unwrap().duration().unwrap();
    assert!(left().await <= MINUTE / 2, "an update keeps what is left");
    let sliding = fixed.clone().sliding(true);
    assert_eq!(sliding.get(&id).await.unwrap(), Some(2));
    assert!(left().await > MINUTE / 2, "getting extends it");
    client.expire(&key, MINUTE / 2).await.unwrap();
    assert!(sliding.update(&id, &3).await.unwrap() && left().await > MINUTE / 2);
    client.expire(&key, MINUTE / 2).await.unwrap();
    assert!(fixed.extend(&id).await.unwrap() && left().await > MINUTE / 2);
    assert!(fixed.delete(&id).await.unwrap() && !fixed.delete(&id).await.unwrap());
    assert!(!sliding.update(&id, &4).await.unwrap() && !fixed.extend(&id).await.unwrap());
    assert_eq!((fixed.get(&id).await.unwrap(), sliding.get(&id).await.unwrap()), (None, None));
    assert_ne!(fixed.create(&1).await.unwrap(), fixed.create(&1).await.unwrap());
    // What a visitor sends as an id is a part of a key and nothing else.
    client.set("secret", &9, None).await.unwrap();
    assert_eq!(fixed.namespace("").get("secret").await.unwrap(), None);
}

#[tokio::test]
async fn answers_of_models_are_kept_by_text_and_analysis() {
    let daemon = Daemon::start(&[]);
    let client = client_of(&daemon).await;
    let answers = LlmCache::new(&client);
    answers.set("text", "summary", &"short").await.unwrap();
    answers.set("text", "sentiment", &0.5).await.unwrap();
    assert_eq!(answers.get::<String>("text", "summary").await.unwrap().as_deref(), Some("short"));
    assert_eq!(answers.get::<String>("text ", "summary").await.unwrap(), None);
    let keys = client.keys("llm:summary:*").await.unwrap();
    let Remaining::For(left) = client.ttl(&keys[0]).await.unwrap() else { panic!("it has a TTL") };
    assert!(left <= Duration::from_hours(2) && left > Duration::from_mins(119), "{left:?}");
    assert_eq!(answers.invalidate("summary").await.unwrap(), 1);
    assert_eq!(answers.clear().await.unwrap(), 1);
}
