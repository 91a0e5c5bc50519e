//! What a connection has yet to send, and the sending of it: nothing before the commit it depends on.
//!
//! Shared by the connection's task and the turn of the event loop that its answers wait for: whoever commits the turn
//! sends them. The task meanwhile waits for more input already, and does not have to run a second time for each request.

use std::cell::{RefCell, RefMut};
use std::io::ErrorKind;
use std::ops::Range;
use std::rc::{Rc, Weak};

use bytes::Buf as _;
use larder_protocol::{Reply, Stat, Wire, encode};

use super::End;
use super::socket::Outgoing;
use crate::buffers::Share;
use crate::cache::{AtTurnsEnd, Outcome, Turn};
use crate::clients::Client;
use crate::clock::Stopwatch;
use crate::cmd::Host;
use crate::error::CommandError;
use crate::latency::Answered;

/// What is moved at a time to the output of a client that misses messages where it is slow.
const PATIENT_OUTPUT_BYTES: usize = 64 << 10;

/// A connection's answers and messages on their way out.
pub(super) struct Outbox {
    host: Rc<Host>,
    client: Rc<Client>,
    unsent: RefCell<Unsent>,
}

/// Never borrowed across an await, nor while something is committed.
pub(super) struct Unsent {
    socket: Outgoing,
    /// Encoded answers and messages.
    pub(super) output: Share,
    /// Answers in the output that depend on the commit of `turn`.
    pub(super) uncommitted: Vec<(Range<usize>, Wire)>,
    turn: Option<Rc<Turn>>,
    /// Whether that turn sends the output at its end.
    left_to_turn: bool,
    /// What has been run since something was last sent.
    pub(super) answered: Answered,
    /// Since when the first of these has been there.
    received: Stopwatch,
    /// Whether the client can be sent nothing any more.
    broken: bool,
}

impl Outbox {
    pub(super) fn new(host: Rc<Host>, client: Rc<Client>, socket: Outgoing, output: Share) -> Self {
        let unsent = Unsent {
            socket,
            output,
            uncommitted: Vec::new(),
            turn: None,
            left_to_turn: false,
            answered: Answered::default(),
            received: Stopwatch::start(),
            broken: false,
        };
        Self { host, client, unsent: RefCell::new(unsent) }
    }

    pub(super) fn unsent(&self) -> RefMut<'_, Unsent> {
        self.unsent.borrow_mut()
    }

    /// Bytes in the output.
    pub(super) fn bytes(&self) -> usize {
        self.unsent.borrow().output.bytes().len()
    }

    /// Whether the output holds as much as it may before it must be sent.
    pub(super) fn is_full(&self) -> bool {
        let unsent = self.unsent.borrow();
        unsent.output.bytes().len() >= self.limit_bytes(&unsent.output)
    }

    /// What the output may hold.
    pub(super) fn limit_bytes(&self, output: &Share) -> usize {
        output.all().output_limit(self.host.settings().output_limit_bytes)
    }

    /// Whether the connection's task has to see to it: something can be sent, or never will be.
    pub(super) fn needs_sending(&self) -> bool {
        let unsent = self.unsent.borrow();
        unsent.broken || unsent.turn.is_none() && !unsent.output.bytes().is_empty()
    }

    /// Whether messages have to wait until the commit that answers in the output depend on: they find no room behind these.
    pub(super) fn holds_mail_up(&self) -> bool {
        !self.client.mailbox.is_empty() && self.unsent.borrow().turn.is_some()
    }

    /// Writes an answer into the output.
    pub(super) fn push(&self, reply: &Reply, wire: Wire) {
        encode(reply, wire, self.unsent().output.ready());
    }

    /// Moves what messages there are, and fit, to the output.
    pub(super) fn take_mail(&self) {
        if !self.client.mailbox.is_empty() {
            let output = &mut self.unsent().output;
            let mut limit = self.limit_bytes(output);
            if self.client.is_patient() {
                // What has been moved to the output cannot be missed any more, however old it gets there.
                limit = limit.min(PATIENT_OUTPUT_BYTES);
            }
            self.client.mailbox.drain_to(output.ready(), limit);
            output.recount();
        }
    }

    /// Waits for the commit that answers in the output depend on.
    pub(super) async fn committed(&self) {
        let turn = self.unsent.borrow().turn.clone();
        if let Some(turn) = turn {
            let outcome = turn.committed().await;
            self.settle(&mut self.unsent(), &outcome);
        }
    }

    /// Leaves the sending to the end of the turn that answers depend on. False where they depend on none, or where more came
    /// in meanwhile: who does not wait for answers has to wait here, or would have the event loop for itself.
    pub(super) fn leave_to_turn(self: &Rc<Self>) -> bool {
        let unsent = &mut *self.unsent();
        let Some(turn) = &unsent.turn else { return false };
        let this: Weak<Self> = Rc::downgrade(self);
        let left = !unsent.left_to_turn && turn.tell(this);
        unsent.left_to_turn |= left;
        left
    }

    /// Sends what the client takes at once of the output, which depends on no commit any more.
    pub(super) fn send(&self) -> Result<(), End> {
        let Unsent { socket, output, answered, received, broken, .. } = &mut *self.unsent();
        let mut sent = 0;
        while !output.bytes().is_empty() {
            match socket.try_write(output.bytes()) {
                Ok(written) => {
                    output.bytes_mut().advance(written);
                    sent += written;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => {
                    *broken = true;
                    return Err(End::Closed);
                }
            }
        }
        self.client.output_bytes.set(self.client.output_bytes.get() + sent as u64);
        // What the client does not take at once waits for the client.
        self.host.cache.counters_mut(|counters| {
            counters.add(Stat::OutputBytes, sent as u64);
            if !answered.is_empty() {
                counters.latencies.answered(answered, received.us());
            }
        });
        self.client.unsent.set(output.bytes().len());
        if output.bytes().is_empty() {
            output.give_back();
        }
        Ok(())
    }

    /// The turn has ended: the answers that depended on it stand, or are replaced by the error.
    fn settle(&self, unsent: &mut Unsent, outcome: &Outcome) {
        // Of two who hear of it, the first has done so.
        if unsent.turn.take().is_some() {
            unsent.left_to_turn = false;
            if let Err(error) = outcome {
                self.replace_uncommitted(unsent, error);
            }
            unsent.uncommitted.clear();
        }
    }

    /// The commit failed: what depended on it is answered with the error, everything else as it stands.
    #[cold]
    fn replace_uncommitted(&self, unsent: &mut Unsent, error: &CommandError) {
        let answered = std::mem::take(unsent.output.bytes_mut());
        let output = unsent.output.bytes_mut();
        let mut copied_to = 0;
        for (range, wire) in &unsent.uncommitted {
            self.host.cache.count(Stat::CommandErrors, 1);
            let reply = Reply::error(self.host.error_text(error));
            output.extend_from_slice(&answered[copied_to..range.start]);
            encode(&reply, *wire, output);
            copied_to = range.end;
        }
        output.extend_from_slice(&answered[copied_to..]);
    }
}

impl AtTurnsEnd for Outbox {
    fn turn_ended(&self, outcome: &Outcome) {
        self.settle(&mut self.unsent(), outcome);
        if self.send().is_err() || self.needs_sending() {
            self.client.wake();
        }
    }
}

impl Unsent {
    /// Notes since when the requests have been there that are answered next, unless others wait for their answers as well.
    pub(super) fn received(&mut self, at: Stopwatch) {
        if self.answered.is_empty() {
            self.received = at;
        }
    }

    /// Notes the turn whose commit the answers in `uncommitted` wait for; `None` where they need not.
    pub(super) fn note_turn(&mut self, now: Option<Rc<Turn>>) {
        // Whoever lets a turn pass awaits its commit first, so that all that is uncommitted waits for one.
        debug_assert!(
            self.turn.as_ref().is_none_or(|before| now.as_ref().is_some_and(|now| Rc::ptr_eq(before, now)))
        );
        if now.is_none() {
            self.uncommitted.clear();
        }
        self.turn = now;
    }
}
