//! Giving a message to all who listen. It is written once for each way of writing it and shared between mailboxes; nobody is
//! waited for. Never writes to a socket.
//!
//! What is not read yet has a bound for all together: where it is reached, whoever has most unread is disconnected.

use std::collections::BTreeMap;
use std::rc::Rc;

use bytes::{Bytes, BytesMut};
use larder_protocol::stream::with_dropped;
use larder_protocol::{Reply, Wire, encode};

use super::{Channels, Listeners};
use crate::clients::{Client, Letter, MESSAGE_BYTES, OWN_PREFIX, Own};
use crate::kept::Counted;

impl Channels {
    /// Gives a message to everybody subscribed to the channel or to a pattern that it matches; how many times it was
    /// given. A client whose mailbox would then hold more than `mailbox_bytes_max` is disconnected, as in Redis: it has
    /// to learn that it missed something.
    pub fn publish(&self, channel: &[u8], message: &[u8], mailbox_bytes_max: usize) -> usize {
        let mut receivers = 0;
        if let Some(listeners) = self.by_name.borrow().get(channel) {
            let words = [b"message", channel, message];
            receivers += self.deliver(&words, listeners, mailbox_bytes_max);
        }
        for (name, (pattern, listeners)) in &*self.by_pattern.borrow() {
            if pattern.matches(channel) {
                let words = [b"pmessage", &name[..], channel, message];
                receivers += self.deliver(&words, listeners, mailbox_bytes_max);
            }
        }
        receivers
    }

    /// Gives the message that `words` make to all of `listeners`.
    fn deliver(&self, words: &[&[u8]], listeners: &Listeners, mailbox_bytes_max: usize) -> usize {
        let mut encoded: [Option<Letter>; 3] = [None, None, None];
        for client in listeners.values().filter(|client| !client.is_killed()) {
            let wire = client.message_wire();
            let letter = encoded[place(wire)].get_or_insert_with(|| {
                let bytes = message(words, wire);
                // One that is too large for all the room there is goes all the same, while it is the only one.
                let counted = self.room(bytes.len());
                Letter::new(bytes, counted)
            });
            let room = self.room(MESSAGE_BYTES);
            if client.is_killed() {
                // It was the one furthest behind.
                continue;
            }
            if client.mailbox.push(letter, room, mailbox_bytes_max) {
                client.wake();
            } else {
                disconnect(client, "subscriber_buffer", mailbox_bytes_max);
            }
        }
        listeners.len()
    }

    /// Room for so many bytes of mail, which whoever has most of it unread has to make; none where nobody has any.
    fn room(&self, bytes: usize) -> Option<Counted> {
        loop {
            if let Ok(counted) = self.mail.count(bytes) {
                return Some(counted);
            }
            let furthest = self.furthest_behind()?;
            disconnect(&furthest, "buffer_budget", self.mail.limit_bytes());
        }
    }

    /// Who has most mail.
    #[cold]
    fn furthest_behind(&self) -> Option<Rc<Client>> {
        let (by_name, by_pattern) = (self.by_name.borrow(), self.by_pattern.borrow());
        let all = by_name.values().chain(by_pattern.values().map(|(_, listeners)| listeners));
        let all = all.flat_map(BTreeMap::values).filter(|client| !client.mailbox.is_empty());
        all.max_by_key(|client| client.mailbox.bytes()).cloned()
    }

    /// Gives a message of one of larder's own channels to everybody who listens. Whoever has more than `unread_bytes_max`
    /// of mail misses it, and is told so with the next.
    pub fn publish_own(&self, own: Own, json: &str, unread_bytes_max: usize) {
        let name = own.channel().as_bytes();
        if let Some(listeners) = self.by_name.borrow().get(name) {
            self.deliver_own(own, &[b"message", name], json, listeners, unread_bytes_max);
        }
        for (given, (pattern, listeners)) in &*self.by_pattern.borrow() {
            if given.starts_with(OWN_PREFIX) && pattern.matches(name) {
                self.deliver_own(own, &[b"pmessage", given, name], json, listeners, unread_bytes_max);
            }
        }
    }

    /// Whoever there is no room for misses it.
    fn deliver_own(
        &self,
        own: Own,
        words: &[&[u8]],
        json: &str,
        listeners: &Listeners,
        unread_bytes_max: usize,
    ) {
        let written = |json: &str, wire| {
            let bytes = message(&[words, &[json.as_bytes()]].concat(), wire);
            let counted = self.mail.count(bytes.len()).ok()?;
            Some(Letter::new(bytes, Some(counted)))
        };
        let mut shared: [Option<Letter>; 3] = [None, None, None];
        for client in listeners.values() {
            let wire = client.message_wire();
            let behind = client.mailbox.bytes() >= unread_bytes_max;
            let Some(room) = self.mail.count(MESSAGE_BYTES).ok().filter(|_| !behind) else {
                client.miss(own);
                continue;
            };
            let letter = match client.missed_of(own) {
                0 => {
                    let shared = &mut shared[place(wire)];
                    if shared.is_none() {
                        *shared = written(json, wire);
                    }
                    shared.clone()
                }
                missed => written(&with_dropped(json, missed), wire),
            };
            let Some(letter) = letter else {
                client.miss(own);
                continue;
            };
            client.take_missed(own);
            // There is room: what is unread is far below what a mailbox may hold.
            let fits = client.mailbox.push(&letter, Some(room), usize::MAX);
            debug_assert!(fits);
            client.wake();
        }
    }
}

/// Ends a connection that has fallen too far behind; what was for it is gone at once.
fn disconnect(client: &Client, limit: &str, limit_bytes: usize) {
    tracing::warn!(
        "connection {} ended: it does not read the messages it is subscribed to ({limit}, {limit_bytes} bytes)",
        client.id
    );
    client.mailbox.clear();
    client.kill();
}

/// Where the message in that writing is kept.
fn place(wire: Wire) -> usize {
    match wire {
        Wire::Resp2 => 0,
        Wire::Resp3 => 1,
        Wire::Line => 2,
    }
}

fn message(words: &[&[u8]], wire: Wire) -> Bytes {
    let words = words.iter().map(|word| Reply::bulk(word.to_vec())).collect();
    let mut out = BytesMut::new();
    encode(&Reply::Push(words), wire, &mut out);
    out.freeze()
}

#[cfg(test)]
mod tests {
    use super::super::Kind;
    use super::*;
    use crate::clients::{Peer, Protocol};

    fn client(id: u64) -> Rc<Client> {
        Rc::new(Client::new(id, Peer::default(), 0))
    }

    fn mail(client: &Client) -> String {
        let mut out = BytesMut::new();
        client.mailbox.drain_to(&mut out, usize::MAX);
        String::from_utf8(out.to_vec()).unwrap()
    }

    #[test]
    fn everyone_gets_it_in_their_own_writing() {
        let channels = Channels::new(1 << 20);
        let (plain, third, lines) = (client(1), client(2), client(3));
        third.protocol.set(Protocol::Resp3);
        lines.lines.set(true);
        for listener in [&plain, &third, &lines] {
            channels.subscribe(Kind::Channel, &Bytes::from_static(b"c"), listener);
        }
        channels.subscribe(Kind::Pattern, &Bytes::from_static(b"[bc]"), &third);
        assert_eq!(channels.publish(b"c", b"hi", 1_000), 4);
        assert_eq!(mail(&plain), "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$2\r\nhi\r\n");
        assert_eq!(
            mail(&third),
            ">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$2\r\nhi\r\n>4\r\n$8\r\npmessage\r\n$4\r\n[bc]\r\n$1\r\nc\r\n$2\r\nhi\r\n"
        );
        assert_eq!(mail(&lines), "*3\r\n+message\r\n+c\r\n+hi\r\n");
        assert_eq!(channels.publish(b"d", b"hi", 1_000), 0);
    }

    #[test]
    fn who_does_not_read_is_disconnected() {
        let channels = Channels::new(1 << 20);
        let listener = client(1);
        channels.subscribe(Kind::Channel, &Bytes::from_static(b"c"), &listener);
        channels.publish(b"c", &[b'x'; 100], 400);
        assert!(!listener.is_killed());
        channels.publish(b"c", &[b'x'; 300], 400);
        assert!(listener.is_killed());
    }

    #[test]
    fn who_is_furthest_behind_makes_room_for_the_others() {
        let channels = Channels::new(10_000);
        let (asleep, slow, awake) = (client(1), client(2), client(3));
        channels.subscribe(Kind::Channel, &Bytes::from_static(b"a"), &asleep);
        channels.subscribe(Kind::Pattern, &Bytes::from_static(b"*"), &slow);
        channels.subscribe(Kind::Channel, &Bytes::from_static(b"b"), &awake);
        channels.publish(b"a", &[b'x'; 4_000], usize::MAX);
        slow.mailbox.drain_to(&mut BytesMut::new(), usize::MAX);
        assert!(channels.mail.used_bytes() > 4_000, "one mailbox still has it");
        channels.publish(b"b", &[b'x'; 3_000], usize::MAX);
        // Two writings of this do not fit beside what the first still has.
        assert!(asleep.is_killed() && asleep.mailbox.is_empty() && !slow.is_killed() && !awake.is_killed());
        assert_eq!((slow.mailbox.len(), awake.mailbox.len()), (1, 1));
        for listener in [&slow, &awake] {
            listener.mailbox.drain_to(&mut BytesMut::new(), usize::MAX);
        }
        assert_eq!(channels.mail.used_bytes(), 0);
        // A message that has no room even alone reaches who has read all else.
        channels.publish(b"z", &vec![b'x'; 20_000], usize::MAX);
        assert!(mail(&slow).len() > 20_000);
    }

    #[test]
    fn a_sample_without_room_is_missed_and_counted() {
        let channels = Channels::new(3_000);
        let (stalled, watcher) = (client(1), client(2));
        channels.subscribe(Kind::Channel, &Bytes::from_static(b"c"), &stalled);
        channels.subscribe(Kind::Channel, &Bytes::from_static(b"larder:stats"), &watcher);
        channels.publish(b"c", &[b'x'; 2_500], usize::MAX);
        channels.publish_own(Own::Stats, &format!(r#"{{"dropped":0,"text":"{}"}}"#, "x".repeat(600)), 1_000);
        assert_eq!((mail(&watcher), watcher.missed()), (String::new(), 1));
        stalled.mailbox.clear();
        channels.publish_own(Own::Stats, r#"{"dropped":0,"text":"x"}"#, 1_000);
        assert!(mail(&watcher).contains(r#""dropped":1"#));
    }
}
