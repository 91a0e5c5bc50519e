//! Channels: who listens to which, and giving a message to all of them.
//!
//! Used by the commands that subscribe and publish, and by whatever in the daemon has something to tell. Of the event
//! loop's thread only. A message is written once for each way of writing it and shared between mailboxes; nobody is
//! waited for. Never writes to a socket.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use bytes::{Bytes, BytesMut};
use larder_protocol::stream::with_dropped;
use larder_protocol::{Reply, Wire, encode};

use crate::clients::{Client, OWN_PREFIX, Own};
use crate::glob::Pattern;

/// Channels and patterns that one client may be subscribed to together.
pub const SUBSCRIPTIONS_MAX: usize = 65_536;

/// Listeners by their number, so that each can be found again without a look at the others.
type Listeners = BTreeMap<u64, Rc<Client>>;

/// Every subscription there is.
#[derive(Debug, Default)]
pub struct Channels {
    by_name: RefCell<HashMap<Bytes, Listeners>>,
    by_pattern: RefCell<BTreeMap<Bytes, (Pattern, Listeners)>>,
}

/// Whether a name is that of a channel or a pattern of channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A channel.
    Channel,
    /// A pattern of channels.
    Pattern,
}

impl Channels {
    /// Subscribes `client`; nothing happens where it is subscribed already.
    pub fn subscribe(&self, kind: Kind, name: &Bytes, client: &Rc<Client>) {
        let mut subscriptions = client.subscriptions.borrow_mut();
        match kind {
            Kind::Channel => {
                subscriptions.channels.insert(name.clone());
                let mut by_name = self.by_name.borrow_mut();
                by_name.entry(name.clone()).or_default().insert(client.id, Rc::clone(client));
            }
            Kind::Pattern => {
                subscriptions.patterns.insert(name.clone());
                let new = || (Pattern::glob(name), Listeners::new());
                let mut by_pattern = self.by_pattern.borrow_mut();
                let (_, listeners) = by_pattern.entry(name.clone()).or_insert_with(new);
                listeners.insert(client.id, Rc::clone(client));
            }
        }
    }

    /// Ends a subscription of `client`, if there is one.
    pub fn unsubscribe(&self, kind: Kind, name: &[u8], client: &Client) {
        let mut subscriptions = client.subscriptions.borrow_mut();
        match kind {
            Kind::Channel => {
                subscriptions.channels.remove(name);
                let mut by_name = self.by_name.borrow_mut();
                if let Some(listeners) = by_name.get_mut(name) {
                    listeners.remove(&client.id);
                    if listeners.is_empty() {
                        by_name.remove(name);
                    }
                }
            }
            Kind::Pattern => {
                subscriptions.patterns.remove(name);
                let mut by_pattern = self.by_pattern.borrow_mut();
                if let Some((_, listeners)) = by_pattern.get_mut(name) {
                    listeners.remove(&client.id);
                    if listeners.is_empty() {
                        by_pattern.remove(name);
                    }
                }
            }
        }
    }

    /// Ends all subscriptions of `client`.
    pub fn leave(&self, client: &Client) {
        let (channels, patterns) = {
            let subscriptions = client.subscriptions.borrow();
            if subscriptions.is_empty() {
                return;
            }
            (subscriptions.channels.clone(), subscriptions.patterns.clone())
        };
        for name in &channels {
            self.unsubscribe(Kind::Channel, name, client);
        }
        for name in &patterns {
            self.unsubscribe(Kind::Pattern, name, client);
        }
    }

    /// Gives a message to everybody subscribed to the channel or to a pattern that it matches; how many times it was
    /// given. A client whose mailbox would then hold more than `mailbox_bytes_max` is disconnected, as in Redis: it has
    /// to learn that it missed something.
    pub fn publish(&self, channel: &[u8], message: &[u8], mailbox_bytes_max: usize) -> usize {
        let mut receivers = 0;
        if let Some(listeners) = self.by_name.borrow().get(channel) {
            let words = [b"message", channel, message];
            receivers += deliver(&words, listeners, mailbox_bytes_max);
        }
        for (name, (pattern, listeners)) in &*self.by_pattern.borrow() {
            if pattern.matches(channel) {
                let words = [b"pmessage", &name[..], channel, message];
                receivers += deliver(&words, listeners, mailbox_bytes_max);
            }
        }
        receivers
    }

    /// Whether anybody listens to one of larder's own channels. Who subscribes to `*` does not mean them.
    #[must_use]
    pub fn has_own_listeners(&self, own: Own) -> bool {
        let name = own.channel().as_bytes();
        let meant = |(given, (pattern, _)): (&Bytes, &(Pattern, Listeners))| {
            given.starts_with(OWN_PREFIX) && pattern.matches(name)
        };
        self.by_name.borrow().contains_key(name) || self.by_pattern.borrow().iter().any(meant)
    }

    /// Gives a message of one of larder's own channels to everybody who listens. Whoever has more than `unread_bytes_max`
    /// of mail misses it, and is told so with the next.
    pub fn publish_own(&self, own: Own, json: &str, unread_bytes_max: usize) {
        let name = own.channel().as_bytes();
        if let Some(listeners) = self.by_name.borrow().get(name) {
            deliver_own(own, &[b"message", name], json, listeners, unread_bytes_max);
        }
        for (given, (pattern, listeners)) in &*self.by_pattern.borrow() {
            if given.starts_with(OWN_PREFIX) && pattern.matches(name) {
                deliver_own(own, &[b"pmessage", given, name], json, listeners, unread_bytes_max);
            }
        }
    }

    /// The channels that have listeners, those only that match `pattern` if there is one.
    #[must_use]
    pub fn names(&self, pattern: Option<&Pattern>) -> Vec<Bytes> {
        let by_name = self.by_name.borrow();
        by_name.keys().filter(|name| pattern.is_none_or(|pattern| pattern.matches(name))).cloned().collect()
    }

    /// How many listen to the channel itself.
    #[must_use]
    pub fn listeners(&self, channel: &[u8]) -> usize {
        self.by_name.borrow().get(channel).map_or(0, BTreeMap::len)
    }

    /// How many different patterns there are subscriptions to.
    #[must_use]
    pub fn patterns(&self) -> usize {
        self.by_pattern.borrow().len()
    }
}

/// Gives the message that `words` make to all of `listeners`.
fn deliver(words: &[&[u8]], listeners: &Listeners, mailbox_bytes_max: usize) -> usize {
    let mut encoded: [Option<Bytes>; 3] = [None, None, None];
    for client in listeners.values() {
        let wire = client.message_wire();
        let message = encoded[place(wire)].get_or_insert_with(|| message(words, wire));
        if client.mailbox.push(message, mailbox_bytes_max) {
            client.wake();
        } else {
            tracing::warn!(
                "connection {} ended: it does not read the messages it is subscribed to (subscriber_buffer, {mailbox_bytes_max} bytes)",
                client.id
            );
            client.kill();
        }
    }
    listeners.len()
}

fn deliver_own(own: Own, words: &[&[u8]], json: &str, listeners: &Listeners, unread_bytes_max: usize) {
    let written = |json: &str, wire| message(&[words, &[json.as_bytes()]].concat(), wire);
    let mut shared: [Option<Bytes>; 3] = [None, None, None];
    for client in listeners.values() {
        let wire = client.message_wire();
        if client.mailbox.bytes() >= unread_bytes_max {
            client.miss(own);
            continue;
        }
        let message = match client.take_missed(own) {
            0 => shared[place(wire)].get_or_insert_with(|| written(json, wire)).clone(),
            missed => written(&with_dropped(json, missed), wire),
        };
        // There is room: what is unread is far below what a mailbox may hold.
        let fits = client.mailbox.push(&message, usize::MAX);
        debug_assert!(fits);
        client.wake();
    }
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
        let channels = Channels::default();
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
    fn nothing_is_left_of_who_goes() {
        let channels = Channels::default();
        let listener = client(1);
        for name in [&b"a"[..], b"b"] {
            channels.subscribe(Kind::Channel, &Bytes::from_static(name), &listener);
            channels.subscribe(Kind::Pattern, &Bytes::from_static(name), &listener);
        }
        assert_eq!(
            (listener.subscriptions.borrow().len(), channels.listeners(b"a"), channels.patterns()),
            (4, 1, 2)
        );
        channels.leave(&listener);
        assert!(listener.subscriptions.borrow().is_empty());
        assert_eq!((channels.names(None).len(), channels.patterns()), (0, 0));
        assert_eq!(Rc::strong_count(&listener), 1);
    }

    #[test]
    fn who_does_not_read_is_disconnected() {
        let channels = Channels::default();
        let listener = client(1);
        channels.subscribe(Kind::Channel, &Bytes::from_static(b"c"), &listener);
        channels.publish(b"c", &[b'x'; 100], 400);
        assert!(!listener.is_killed());
        channels.publish(b"c", &[b'x'; 300], 400);
        assert!(listener.is_killed());
    }
}
