//! Messages between clients.

use crate::util::{Client, Daemon, Reply, wait_until};

#[track_caller]
fn heard(client: &mut Client, expected: &str) {
    assert_eq!(client.read().unwrap().to_string(), Reply::parse(expected).unwrap().to_string());
}

#[test]
fn listeners_get_messages_in_order() {
    let daemon = Daemon::start(&[]);
    let (mut listener, mut speaker) = (daemon.client(), daemon.client());
    listener.send(b"SUBSCRIBE news sport\r\n").unwrap();
    heard(&mut listener, "[+subscribe +news :1]");
    heard(&mut listener, "[+subscribe +sport :2]");
    listener.check("PSUBSCRIBE n*", "[=psubscribe =n* :3]");
    for number in 0..100 {
        assert_eq!(speaker.int(&format!("PUBLISH news {number}")), 2);
        assert_eq!(speaker.int("PUBLISH other x"), 0);
    }
    for number in 0..100 {
        heard(&mut listener, &format!("[=message =news ={number}]"));
        heard(&mut listener, &format!("[=pmessage =n* =news ={number}]"));
    }
    speaker.check("PUBSUB NUMSUB news nobody", "[=news :1 =nobody :0]");
    speaker.check("PUBSUB CHANNELS sp*", "[=sport]");
    speaker.check("PUBSUB NUMPAT", ":1");
    listener.check("PUNSUBSCRIBE", "[=punsubscribe =n* :2]");
    listener.check(
        "GET k",
        "-ERR Can't execute 'get': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context",
    );
    // EXEC ends the transaction whatever keeps it from running.
    listener.check(
        "EXEC",
        "-EXECABORT Transaction discarded because of: Can't execute 'exec': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context",
    );
    listener.check("PING hi", "[=pong =hi]");
    listener.check("RESET", "+RESET");
    listener.check("PING", "+PONG");
    assert_eq!(speaker.int("PUBLISH news late"), 0);
    let reply = speaker.cmd("PUBLISH larder:stats lies").to_string();
    assert!(reply.contains("larder's own"), "{reply}");
}

#[test]
fn lines_and_closed_sending_sides_do_not_matter() {
    let daemon = Daemon::start(&[]);
    let (mut listener, mut speaker) = (daemon.lines(), daemon.client());
    listener.check("SUBSCRIBE c", "[=subscribe =c :1]");
    // As `printf 'SUBSCRIBE c\n' | nc -N` leaves it.
    listener.finish_sending();
    assert_eq!(speaker.int("PUBLISH c \"two words\""), 1);
    heard(&mut listener, "[+message +c \"+two words\"]");
    drop(listener);
    // Who has gone altogether is noticed without a message.
    wait_until("the listener to be forgotten", || match speaker.int("PUBLISH c late") {
        0 => Ok(()),
        listeners => Err(format!("{listeners} listeners")),
    });
}

#[test]
fn who_sees_a_message_sees_what_was_written_before_it() {
    let daemon = Daemon::start(&["--memory-cap", "0"]);
    let (mut listener, mut reader, mut speaker) = (daemon.client(), daemon.client(), daemon.client());
    listener.check("SUBSCRIBE c", "[=subscribe =c :1]");
    for number in 0..200 {
        let number = number.to_string();
        let set = vec!["SET", "k", &number];
        speaker.pipeline(&[set, vec!["PUBLISH", "c", &number]]).unwrap();
        heard(&mut listener, &format!("[=message =c ={number}]"));
        reader.check("GET k", &format!("={number}"));
    }
}

#[test]
fn who_does_not_read_is_disconnected_and_holds_up_nobody() {
    let daemon = Daemon::start(&["--subscriber-buffer", "256KiB"]);
    let (mut asleep, mut awake, mut speaker) = (daemon.client(), daemon.client(), daemon.client());
    asleep.check("SUBSCRIBE c", "[=subscribe =c :1]");
    awake.check("SUBSCRIBE c", "[=subscribe =c :1]");
    let message = "m".repeat(16 << 10);
    wait_until("the daemon to give up on the one asleep", || {
        let listeners = speaker.args(&["PUBLISH", "c", &message]);
        heard(&mut awake, &format!("[=message =c ={message}]"));
        if listeners == Reply::Integer(1) { Ok(()) } else { Err(listeners.to_string()) }
    });
    // It gets the beginning of what it missed, then the end of the connection.
    assert!(!asleep.read_to_end().is_empty());
    assert!(daemon.output().contains("subscriber_buffer"), "{}", daemon.output());
    daemon.check_healthy();
}

/// Changes of keys, in the order in which a subscriber hears of them: `event key`.
#[track_caller]
fn changes(listener: &mut Client, count: usize) -> Vec<String> {
    let mut changes = Vec::new();
    while changes.len() < count {
        let Reply::Array(words) = listener.read().unwrap() else { panic!("a message is an array") };
        let channel = String::from_utf8_lossy(words[2].bytes()).into_owned();
        let event = channel.strip_prefix("__keyevent@0__:").expect("the channel of an event");
        changes.push(format!("{event} {}", String::from_utf8_lossy(words[3].bytes())));
    }
    changes
}

#[test]
fn changes_of_keys_are_told_where_that_is_switched_on() {
    let daemon = Daemon::start(&["--notify-keyspace-events", "KEA"]);
    let (mut listener, mut worker) = (daemon.client(), daemon.client());
    listener.check("PSUBSCRIBE __keyevent@0__:*", "[=psubscribe =__keyevent@0__:* :1]");
    worker.check("SET k v EX 100", "+OK");
    worker.check("INCR n", ":1");
    worker.check("RENAME k k2", "+OK");
    worker.check("DELPAT k*", ":1");
    worker.check("MULTI", "+OK");
    worker.check("APPEND a b", "+QUEUED");
    worker.check("DEL a", "+QUEUED");
    worker.check("EXEC", "[:1 :1]");
    let expected =
        ["set k", "expire k", "incrby n", "rename_from k", "rename_to k2", "del k2", "append a", "del a"];
    assert_eq!(changes(&mut listener, expected.len()), expected);
    // From the write buffer, and from the database.
    worker.check("SET short v PX 1", "+OK");
    worker.check("SET long v PX 200", "+OK");
    wait_until("the first to expire", || match worker.int("EXISTS short") {
        0 => Ok(()),
        _ => Err("it is there".into()),
    });
    assert_eq!(changes(&mut listener, 4), ["set short", "expire short", "set long", "expire long"]);
    assert!(worker.int("CLEANUP") >= 1);
    assert_eq!(changes(&mut listener, 1), ["expired short"]);
    wait_until("the second to expire", || match worker.int("EXISTS long") {
        0 => Ok(()),
        _ => Err("it is there".into()),
    });
    worker.check("CLEANUP", ":1");
    assert_eq!(changes(&mut listener, 1), ["expired long"]);
    // By key, and only what is asked for.
    worker.check("CONFIG SET notify-keyspace-events Kx", "+OK");
    worker.check("SET quiet v", "+OK");
    worker.check("CONFIG SET notify-keyspace-events Eg", "+OK");
    worker.check("SET quiet w", "+OK");
    worker.check("DEL quiet", ":1");
    assert_eq!(changes(&mut listener, 1), ["del quiet"]);
    // A read that finds nothing commits nothing, and is told all the same.
    worker.check("CONFIG SET notify-keyspace-events Em", "+OK");
    worker.check("GET quiet", "nil");
    assert_eq!(changes(&mut listener, 1), ["keymiss quiet"]);
}

#[test]
fn who_names_a_channel_twice_is_greeted_once() {
    let daemon = Daemon::start(&[]);
    let mut listener = daemon.client();
    listener.send(b"SUBSCRIBE larder:stats larder:stats\r\nUNSUBSCRIBE larder:stats\r\n").unwrap();
    let mut kinds = Vec::new();
    loop {
        let Reply::Array(words) = listener.read().unwrap() else { panic!("a message is an array") };
        let kind = words[0].to_string();
        let ended = kind.contains("unsubscribe");
        kinds.push(kind);
        if ended {
            break;
        }
    }
    let confirmations = kinds.iter().filter(|kind| kind.contains("subscribe")).count();
    assert_eq!(confirmations, 3, "{kinds:?}");
    assert!(kinds.iter().rposition(|kind| !kind.contains("subscribe")) < Some(kinds.len() - 2), "{kinds:?}");
}

#[test]
fn evicted_keys_are_told() {
    let daemon = Daemon::start(&[
        "--notify-keyspace-events",
        "Ee",
        "--disk-cap",
        "64MiB",
        "--max-value",
        "1MiB",
        "--memory-cap",
        "0",
        "--merge-interval",
        "20ms",
        "--compress-from",
        "0",
    ]);
    let (mut listener, mut worker) = (daemon.client(), daemon.client());
    listener.check("SUBSCRIBE __keyevent@0__:evicted", "[=subscribe =__keyevent@0__:evicted :1]");
    let value = "v".repeat(8 << 10);
    let mut written = 0;
    wait_until("something to be evicted", || {
        for _ in 0..100 {
            assert_eq!(worker.args(&["SET", &format!("k{written}"), &value]), Reply::ok());
            written += 1;
        }
        if daemon.stats().get("evictions") > 0 { Ok(()) } else { Err(format!("{written} written")) }
    });
    let Reply::Array(words) = listener.read().unwrap() else { panic!("a message is an array") };
    assert_eq!(words[1].bytes(), b"__keyevent@0__:evicted");
    let key = String::from_utf8_lossy(words[2].bytes()).into_owned();
    worker.check(&format!("GET {key}"), "nil");
}
