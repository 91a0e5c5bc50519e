//! Messages on their way to a client: bounded, so that one who does not read costs no more than that, and counted, so that
//! all of them together do not either.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use bytes::{Bytes, BytesMut};

use crate::kept::Counted;

/// What one message costs beside its bytes, which several mailboxes may share.
pub const MESSAGE_BYTES: usize = 64;

/// An encoded message, which counts once for as long as it is in some mailbox.
#[derive(Clone, Debug)]
pub struct Letter {
    bytes: Bytes,
    _counted: Option<Rc<Counted>>,
}

impl Letter {
    /// One that counts as `counted`, if at all.
    #[must_use]
    pub fn new(bytes: Bytes, counted: Option<Counted>) -> Self {
        Self { bytes, _counted: counted.map(Rc::new) }
    }
}

/// Encoded messages, oldest first.
#[derive(Debug, Default)]
pub struct Mailbox {
    /// Each with what its place in here counts as, if at all.
    messages: RefCell<VecDeque<(Letter, Option<Counted>)>>,
    bytes: Cell<usize>,
}

impl Mailbox {
    /// Adds a message, in a place that counts as [`MESSAGE_BYTES`]. False where it would then hold more than
    /// `limit_bytes`: it holds what it held before.
    #[must_use]
    pub fn push(&self, message: &Letter, place: Option<Counted>, limit_bytes: usize) -> bool {
        let bytes = self.bytes.get() + message.bytes.len() + MESSAGE_BYTES;
        let fits = bytes <= limit_bytes;
        if fits {
            self.bytes.set(bytes);
            self.messages.borrow_mut().push_back((message.clone(), place));
        }
        fits
    }

    /// Throws all messages away: nobody will read them.
    pub fn clear(&self) {
        self.bytes.set(0);
        drop(self.messages.take());
    }

    /// Whether there is no message.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.get() == 0
    }

    /// What the messages take, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.get()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.messages.borrow().len()
    }

    /// Moves messages to the end of `out` until that holds `limit_bytes` or none is left.
    pub fn drain_to(&self, out: &mut BytesMut, limit_bytes: usize) {
        let mut messages = self.messages.borrow_mut();
        while out.len() < limit_bytes
            && let Some((message, _)) = messages.pop_front()
        {
            self.bytes.set(self.bytes.get() - message.bytes.len() - MESSAGE_BYTES);
            out.extend_from_slice(&message.bytes);
        }
        if messages.is_empty() {
            messages.shrink_to(MESSAGES_KEPT);
        }
    }
}

/// Places for messages that an empty mailbox keeps.
const MESSAGES_KEPT: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kept::Keeping;

    #[test]
    fn it_takes_what_fits_and_gives_it_back_in_order() {
        let mailbox = Mailbox::default();
        let keeping = Rc::new(Keeping::new(1_000));
        let limit = 2 * (MESSAGE_BYTES + 3);
        for (message, taken) in [("abc", true), ("de", true), ("fghi", false), ("", false)] {
            let letter = Letter::new(message.into(), keeping.count(message.len()).ok());
            let place = keeping.count(MESSAGE_BYTES).ok();
            assert_eq!(mailbox.push(&letter, place, limit), taken, "{message}");
        }
        assert_eq!(keeping.used_bytes(), mailbox.bytes());
        let mut out = BytesMut::new();
        mailbox.drain_to(&mut out, 1);
        assert_eq!((&out[..], mailbox.len()), (&b"abc"[..], 1));
        mailbox.drain_to(&mut out, 100);
        assert_eq!((&out[..], mailbox.is_empty(), mailbox.bytes()), (&b"abcde"[..], true, 0));
        let letter = Letter::new("again".into(), keeping.count(5).ok());
        assert!(mailbox.push(&letter, keeping.count(MESSAGE_BYTES).ok(), limit));
        drop(letter);
        assert_eq!(keeping.used_bytes(), MESSAGE_BYTES + 5);
        mailbox.clear();
        assert_eq!((mailbox.len(), mailbox.bytes(), keeping.used_bytes()), (0, 0, 0));
    }
}
