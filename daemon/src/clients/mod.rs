//! Who is connected: what each connection has said about itself, what it has in hand, and the list of them all.
//!
//! Used by connections, which own a [`Client`] each, and by commands, which look at them and end them. Of the event
//! loop's thread only. Never reads or writes a socket, and never runs a command.

mod mailbox;
mod subscriptions;
mod transaction;

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::Waker;

use larder_protocol::Wire;
use larder_protocol::stream::{EVENTS_CHANNEL, STATS_CHANNEL};
use tokio_util::sync::CancellationToken;

pub use mailbox::{Letter, MESSAGE_BYTES, Mailbox};
pub use subscriptions::Subscriptions;
pub use transaction::Transaction;

use crate::access::Role;
use crate::cache::Watch;
use crate::kept::{Keeping, Kept};

/// What the names of larder's own channels begin with.
pub const OWN_PREFIX: &[u8] = b"larder:";

/// A connection's own state.
#[derive(Debug)]
pub struct Client {
    /// Its number; grows with every connection and is never used again.
    pub id: u64,
    /// Who is at the other end, as the system says.
    pub peer: Peer,
    /// What it may do; nothing before a password that is asked for has been given.
    pub role: Cell<Option<Role>>,
    /// When it connected, in unix milliseconds.
    pub connected_ms: i64,
    /// The name it gave itself, or empty.
    pub name: RefCell<String>,
    /// The client library, as it says.
    pub library: RefCell<String>,
    /// Its version.
    pub library_version: RefCell<String>,
    /// What RESP requests are answered in.
    pub protocol: Cell<Protocol>,
    /// Whether it asked to be closed after this answer.
    pub quit: Cell<bool>,
    /// Which answers it wants.
    pub replies: Cell<Replies>,
    /// When it last sent something, in unix milliseconds.
    pub active_ms: Cell<i64>,
    /// Commands it has run.
    pub commands: Cell<u64>,
    /// The last one's place in the registry.
    pub last_command: Cell<Option<usize>>,
    /// Whether it asked not to be ended for want of memory; nobody is.
    pub no_evict: Cell<bool>,
    /// Bytes of a request that has not come whole yet.
    pub unparsed: Cell<usize>,
    /// Bytes of answers that it has not taken yet.
    pub unsent: Cell<usize>,
    /// The bound of what is kept for it, if there is one.
    keeping: Option<Rc<Keeping>>,
    /// Messages on their way to it.
    pub mailbox: Mailbox,
    /// The transaction it has begun, if any.
    pub transaction: RefCell<Option<Transaction>>,
    /// The keys it watches, if any.
    pub watch: RefCell<Option<Rc<Watch>>>,
    /// What it is subscribed to.
    pub subscriptions: RefCell<Subscriptions>,
    /// Whether its last subscription was a line, and so messages are written as lines.
    pub lines: Cell<bool>,
    /// Bytes it has sent.
    pub input_bytes: Cell<u64>,
    /// Bytes it has been sent.
    pub output_bytes: Cell<u64>,
    /// Messages of larder's own channels that it missed since the last it got, and ever.
    missed: [Cell<u64>; 2],
    missed_ever: Cell<u64>,
    program: OnceCell<String>,
    killed: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

/// Who is at the other end of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    /// Process id, where the system tells.
    pub pid: Option<i32>,
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Where it connects from and to, over TCP; nothing else is known of it then.
    pub tcp: Option<[SocketAddr; 2]>,
}

impl Peer {
    /// Somebody of whom the system does not tell.
    pub const NOBODY: Self = Self { pid: None, uid: u32::MAX, gid: u32::MAX, tcp: None };

    /// The name of its program, as the system has it; empty where it cannot be told.
    #[must_use]
    pub fn program(&self) -> String {
        let name = self.pid.and_then(|pid| std::fs::read_to_string(format!("/proc/{pid}/comm")).ok());
        // It may hold anything; within a line of `name=value` fields a blank would end it.
        let name = name.unwrap_or_default();
        name.trim_end().chars().map(|c| if c.is_control() || c.is_whitespace() { '_' } else { c }).collect()
    }
}

/// Whose commands are held back by `CLIENT PAUSE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paused {
    /// All.
    All,
    /// Those that write.
    Writes,
}

/// One of larder's own channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Own {
    /// Samples.
    Stats,
    /// Events.
    Events,
}

impl Own {
    /// Its name.
    #[must_use]
    pub const fn channel(self) -> &'static str {
        match self {
            Self::Stats => STATS_CHANNEL,
            Self::Events => EVENTS_CHANNEL,
        }
    }
}

/// A version of RESP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// What every connection begins with.
    #[default]
    Resp2,
    /// After `HELLO 3`.
    Resp3,
}

impl Protocol {
    /// As HELLO names it.
    #[must_use]
    pub fn version(self) -> i64 {
        match self {
            Self::Resp2 => 2,
            Self::Resp3 => 3,
        }
    }
}

/// Which answers a client wants (`CLIENT REPLY`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Replies {
    /// All of them.
    #[default]
    On,
    /// None.
    Off,
    /// All but the one to this request and the next.
    SkipNext,
    /// All but the one to this request.
    Skip,
}

impl Client {
    /// A new connection's, which may do everything until it is known who is there.
    #[must_use]
    pub fn new(id: u64, peer: Peer, now_ms: i64) -> Self {
        Self {
            id,
            peer,
            role: Cell::new(Some(Role::Admin)),
            connected_ms: now_ms,
            name: RefCell::default(),
            library: RefCell::default(),
            library_version: RefCell::default(),
            protocol: Cell::default(),
            quit: Cell::new(false),
            replies: Cell::default(),
            active_ms: Cell::new(now_ms),
            commands: Cell::new(0),
            last_command: Cell::new(None),
            no_evict: Cell::new(false),
            unparsed: Cell::new(0),
            unsent: Cell::new(0),
            keeping: None,
            mailbox: Mailbox::default(),
            transaction: RefCell::default(),
            watch: RefCell::default(),
            subscriptions: RefCell::default(),
            lines: Cell::new(false),
            input_bytes: Cell::new(0),
            output_bytes: Cell::new(0),
            missed: Default::default(),
            missed_ever: Cell::new(0),
            program: OnceCell::new(),
            killed: Cell::new(false),
            waker: RefCell::default(),
        }
    }

    /// The same, within a bound on what is kept for it.
    #[must_use]
    pub fn keeping(self, keeping: Rc<Keeping>) -> Self {
        let subscriptions = Subscriptions { kept: Kept::within(&keeping), ..Subscriptions::default() };
        Self { keeping: Some(keeping), subscriptions: RefCell::new(subscriptions), ..self }
    }

    /// Something that is kept for it, nothing yet.
    #[must_use]
    pub fn kept(&self) -> Kept {
        self.keeping.as_ref().map_or_else(Kept::default, Kept::within)
    }

    /// Whether requests cannot simply be run and answered: a transaction is open, only some commands are allowed, or
    /// answers are to be left out.
    #[must_use]
    pub fn is_unusual(&self) -> bool {
        self.replies.get() != Replies::On || self.transaction.borrow().is_some() || self.only_listens()
    }

    /// Whether it may only change its subscriptions: RESP 2 cannot tell messages from answers.
    #[must_use]
    pub fn only_listens(&self) -> bool {
        let tells_apart = self.protocol.get() == Protocol::Resp3 && !self.lines.get();
        !tells_apart && !self.subscriptions.borrow().is_empty()
    }

    /// Whether the request that has just been run is to be answered. Counts off what is to be left out.
    #[must_use]
    pub fn wants_answer(&self) -> bool {
        match self.replies.get() {
            Replies::On => true,
            Replies::Off => false,
            Replies::SkipNext => {
                self.replies.set(Replies::Skip);
                false
            }
            Replies::Skip => {
                self.replies.set(Replies::On);
                false
            }
        }
    }

    /// Whether it listens to larder's own channels and nothing else: then it may take its time, for it misses messages
    /// instead of being disconnected.
    #[must_use]
    pub fn is_patient(&self) -> bool {
        let subscriptions = self.subscriptions.borrow();
        let all = || subscriptions.channels.iter().chain(&subscriptions.patterns);
        !subscriptions.is_empty() && all().all(|name| name.starts_with(OWN_PREFIX))
    }

    /// It missed a message of one of larder's own channels.
    pub fn miss(&self, own: Own) {
        let missed = &self.missed[own as usize];
        missed.set(missed.get() + 1);
        self.missed_ever.set(self.missed_ever.get() + 1);
    }

    /// How many messages of the channel it missed since the last that it got.
    pub fn missed_of(&self, own: Own) -> u64 {
        self.missed[own as usize].get()
    }

    /// The same; from now on none.
    pub fn take_missed(&self, own: Own) -> u64 {
        self.missed[own as usize].take()
    }

    /// How many messages of larder's own channels it has missed in all.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.missed_ever.get()
    }

    /// The name of its program, as it was when first asked.
    #[must_use]
    pub fn program(&self) -> &str {
        self.program.get_or_init(|| self.peer.program())
    }

    /// How messages to it are written.
    #[must_use]
    pub fn message_wire(&self) -> Wire {
        match (self.lines.get(), self.protocol.get()) {
            (true, _) => Wire::Line,
            (false, Protocol::Resp2) => Wire::Resp2,
            (false, Protocol::Resp3) => Wire::Resp3,
        }
    }

    /// Notes whom to wake when there is a message, or the connection is to end.
    pub fn attach(&self, waker: &Waker) {
        self.waker.replace(Some(waker.clone()));
    }

    /// Has the connection look at its mailbox.
    pub fn wake(&self) {
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }

    /// Ends the connection as soon as what it is doing allows.
    pub fn kill(&self) {
        self.killed.set(true);
        self.wake();
    }

    /// Whether it is to end, without another answer.
    #[must_use]
    pub fn is_killed(&self) -> bool {
        self.killed.get()
    }
}

/// Every connection there is.
#[derive(Debug, Default)]
pub struct Clients {
    by_id: RefCell<BTreeMap<u64, Rc<Client>>>,
    /// Of each user who has some, how many.
    users: RefCell<HashMap<u32, usize>>,
    /// One of them has asked the daemon to stop.
    stop: CancellationToken,
}

impl Clients {
    /// Takes in a new one.
    pub fn add(&self, client: &Rc<Client>) {
        *self.users.borrow_mut().entry(client.peer.uid).or_default() += 1;
        self.by_id.borrow_mut().insert(client.id, Rc::clone(client));
    }

    /// One of them wants the daemon to stop.
    pub fn ask_to_stop(&self) {
        self.stop.cancel();
    }

    /// Cancelled once one of them wants the daemon to stop.
    #[must_use]
    pub fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    /// One has gone.
    pub fn remove(&self, id: u64) {
        let Some(client) = self.by_id.borrow_mut().remove(&id) else { return };
        if let Entry::Occupied(mut count) = self.users.borrow_mut().entry(client.peer.uid) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }

    /// The one with that number.
    #[must_use]
    pub fn get(&self, id: u64) -> Option<Rc<Client>> {
        self.by_id.borrow().get(&id).cloned()
    }

    /// How many of them one user has.
    #[must_use]
    pub fn of_user(&self, uid: u32) -> usize {
        self.users.borrow().get(&uid).copied().unwrap_or(0)
    }

    /// All of them as they are now, in the order in which they came.
    #[must_use]
    pub fn all(&self) -> Vec<Rc<Client>> {
        self.by_id.borrow().values().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn answers_are_left_out_as_asked() {
        let client = Client::new(1, Peer::default(), 0);
        assert!(client.wants_answer() && !client.is_unusual());
        client.replies.set(Replies::SkipNext);
        assert!(client.is_unusual());
        assert_eq!(
            [client.wants_answer(), client.wants_answer(), client.wants_answer()],
            [false, false, true]
        );
        client.replies.set(Replies::Off);
        assert_eq!([client.wants_answer(), client.wants_answer()], [false, false]);
    }

    #[test]
    fn a_subscriber_is_held_to_that_unless_messages_can_be_told_apart() {
        let client = Client::new(1, Peer::default(), 0);
        assert!(!client.only_listens());
        client.subscriptions.borrow_mut().channels.insert(Bytes::from_static(b"c"));
        assert!(client.only_listens() && client.message_wire() == Wire::Resp2);
        client.protocol.set(Protocol::Resp3);
        assert!(!client.only_listens() && client.message_wire() == Wire::Resp3);
        client.lines.set(true);
        assert!(client.only_listens() && client.message_wire() == Wire::Line);
    }

    #[test]
    fn the_list_has_who_is_there() {
        let clients = Clients::default();
        for id in [2, 1] {
            clients.add(&Rc::new(Client::new(id, Peer::default(), 0)));
        }
        assert_eq!(clients.all().iter().map(|client| client.id).collect::<Vec<_>>(), [1, 2]);
        clients.remove(1);
        assert!(clients.get(1).is_none() && clients.get(2).is_some());
    }
}
