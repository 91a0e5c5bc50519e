//! Messages on their way to a client: bounded, so that one who does not read costs no more than that.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

/// What one message costs beside its bytes, which several mailboxes may share.
const MESSAGE_BYTES: usize = 64;

/// Encoded messages, oldest first.
#[derive(Debug, Default)]
pub struct Mailbox {
    messages: RefCell<VecDeque<Bytes>>,
    bytes: Cell<usize>,
}

impl Mailbox {
    /// Adds a message. False where it would then hold more than `limit_bytes`: it holds what it held before.
    #[must_use]
    pub fn push(&self, message: &Bytes, limit_bytes: usize) -> bool {
        let bytes = self.bytes.get() + message.len() + MESSAGE_BYTES;
        let fits = bytes <= limit_bytes;
        if fits {
            self.bytes.set(bytes);
            self.messages.borrow_mut().push_back(message.clone());
        }
        fits
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
            && let Some(message) = messages.pop_front()
        {
            self.bytes.set(self.bytes.get() - message.len() - MESSAGE_BYTES);
            out.extend_from_slice(&message);
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

    #[test]
    fn it_takes_what_fits_and_gives_it_back_in_order() {
        let mailbox = Mailbox::default();
        let limit = 2 * (MESSAGE_BYTES + 3);
        for (message, taken) in [("abc", true), ("de", true), ("fghi", false), ("", false)] {
            assert_eq!(mailbox.push(&Bytes::from_static(message.as_bytes()), limit), taken, "{message}");
        }
        let mut out = BytesMut::new();
        mailbox.drain_to(&mut out, 1);
        assert_eq!((&out[..], mailbox.len()), (&b"abc"[..], 1));
        mailbox.drain_to(&mut out, 100);
        assert_eq!((&out[..], mailbox.is_empty(), mailbox.bytes()), (&b"abcde"[..], true, 0));
    }
}
