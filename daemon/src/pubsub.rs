//! Channels: who listens to which, and ([`delivery`]) giving a message to all of them.
//!
//! Used by the commands that subscribe and publish, and by whatever in the daemon has something to tell. Of the event
//! loop's thread only.

mod delivery;

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use bytes::Bytes;

use crate::clients::{Client, OWN_PREFIX, Own};
use crate::error::CommandError;
use crate::glob::Pattern;
use crate::kept::Keeping;

/// Channels and patterns that one client may be subscribed to together.
pub const SUBSCRIPTIONS_MAX: usize = 65_536;

/// What a subscription takes beside the name, which is there twice: its places in the client's list and in that of all.
const SUBSCRIPTION_BYTES: usize = 400;

/// Listeners by their number, so that each can be found again without a look at the others.
type Listeners = BTreeMap<u64, Rc<Client>>;

/// Every subscription there is.
#[derive(Debug)]
pub struct Channels {
    /// Messages that are in a mailbox.
    mail: Rc<Keeping>,
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

/// What a subscription takes.
fn bytes_of(name: &[u8]) -> usize {
    2 * name.len() + SUBSCRIPTION_BYTES
}

impl Channels {
    /// None yet, with so much mail at most.
    #[must_use]
    pub fn new(mail_bytes_max: usize) -> Self {
        Self {
            mail: Rc::new(Keeping::new(mail_bytes_max)),
            by_name: RefCell::default(),
            by_pattern: RefCell::default(),
        }
    }

    /// Makes sure that there is room for `client` to be subscribed to these as well. What is left is given back once it is: see
    /// [`give_back_room`](Self::give_back_room).
    ///
    /// # Errors
    /// Where what all clients keep together would be more than it may.
    pub fn make_room<'n>(client: &Client, names: impl Iterator<Item = &'n [u8]>) -> Result<(), CommandError> {
        let more: usize = names.map(bytes_of).sum();
        let subscriptions = &mut *client.subscriptions.borrow_mut();
        subscriptions.kept.resize(subscriptions.bytes + more)
    }

    /// Gives back what was made room for and is not needed, or is no longer.
    pub fn give_back_room(client: &Client) {
        let subscriptions = &mut *client.subscriptions.borrow_mut();
        let less = subscriptions.kept.resize(subscriptions.bytes);
        debug_assert!(less.is_ok(), "it is never more");
    }

    /// Subscribes `client`; nothing happens where it is subscribed already.
    pub fn subscribe(&self, kind: Kind, name: &Bytes, client: &Rc<Client>) -> bool {
        let subscriptions = &mut *client.subscriptions.borrow_mut();
        let new = match kind {
            Kind::Channel => subscriptions.channels.insert(name.clone()),
            Kind::Pattern => subscriptions.patterns.insert(name.clone()),
        };
        if new {
            subscriptions.bytes += bytes_of(name);
        }
        match kind {
            Kind::Channel => {
                let mut by_name = self.by_name.borrow_mut();
                by_name.entry(name.clone()).or_default().insert(client.id, Rc::clone(client));
            }
            Kind::Pattern => {
                let new = || (Pattern::glob(name), Listeners::new());
                let mut by_pattern = self.by_pattern.borrow_mut();
                let (_, listeners) = by_pattern.entry(name.clone()).or_insert_with(new);
                listeners.insert(client.id, Rc::clone(client));
            }
        }
        new
    }

    /// Ends a subscription of `client`, if there is one.
    pub fn unsubscribe(&self, kind: Kind, name: &[u8], client: &Client) {
        let subscriptions = &mut *client.subscriptions.borrow_mut();
        let was_there = match kind {
            Kind::Channel => subscriptions.channels.remove(name),
            Kind::Pattern => subscriptions.patterns.remove(name),
        };
        if was_there {
            subscriptions.bytes -= bytes_of(name);
        }
        match kind {
            Kind::Channel => {
                let mut by_name = self.by_name.borrow_mut();
                if let Some(listeners) = by_name.get_mut(name) {
                    listeners.remove(&client.id);
                    if listeners.is_empty() {
                        by_name.remove(name);
                    }
                }
            }
            Kind::Pattern => {
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
        Self::give_back_room(client);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::Peer;

    fn client(id: u64) -> Rc<Client> {
        Rc::new(Client::new(id, Peer::default(), 0))
    }

    #[test]
    fn nothing_is_left_of_who_goes() {
        let channels = Channels::new(1 << 20);
        let listener = client(1);
        for name in [&b"a"[..], b"b"] {
            channels.subscribe(Kind::Channel, &Bytes::from_static(name), &listener);
            channels.subscribe(Kind::Pattern, &Bytes::from_static(name), &listener);
        }
        assert_eq!(
            (listener.subscriptions.borrow().len(), channels.listeners(b"a"), channels.patterns()),
            (4, 1, 2)
        );
        assert!(Channels::make_room(&listener, [&b"c"[..]].into_iter()).is_ok());
        channels.leave(&listener);
        assert_eq!(listener.subscriptions.borrow().bytes, 0);
        assert!(listener.subscriptions.borrow().is_empty());
        assert_eq!((channels.names(None).len(), channels.patterns()), (0, 0));
        assert_eq!(Rc::strong_count(&listener), 1);
    }

    #[test]
    fn subscriptions_count_as_long_as_they_last() {
        let channels = Channels::new(1 << 20);
        let keeping = Rc::new(Keeping::new(20_000));
        let listener = Rc::new(Client::new(1, Peer::default(), 0).keeping(Rc::clone(&keeping)));
        let subscribe = |name: &[u8]| {
            Channels::make_room(&listener, [name].into_iter())?;
            channels.subscribe(Kind::Channel, &Bytes::copy_from_slice(name), &listener);
            Channels::give_back_room(&listener);
            Ok(())
        };
        let long = |letter: u8| vec![letter; 5_000];
        subscribe(&long(b'a')).unwrap();
        let one = keeping.used_bytes();
        subscribe(&long(b'a')).unwrap();
        assert_eq!(keeping.used_bytes(), one, "it is subscribed to that already");
        subscribe(&long(b'b')).unwrap();
        assert_eq!(subscribe(&long(b'c')), Err(CommandError::NoRoomToKeep { limit_bytes: 20_000 }));
        channels.unsubscribe(Kind::Channel, &long(b'a'), &listener);
        Channels::give_back_room(&listener);
        assert_eq!(keeping.used_bytes(), one);
        channels.leave(&listener);
        assert_eq!(keeping.used_bytes(), 0);
    }
}
