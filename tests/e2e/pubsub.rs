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
