//! What a client is subscribed to: its own list, beside that of all channels.

use std::collections::BTreeSet;

use bytes::Bytes;

use crate::kept::Kept;

/// What a client is subscribed to.
#[derive(Debug, Default)]
pub struct Subscriptions {
    /// Channels.
    pub channels: BTreeSet<Bytes>,
    /// Patterns of channels.
    pub patterns: BTreeSet<Bytes>,
    /// What they take.
    pub bytes: usize,
    /// What they count as.
    pub kept: Kept,
}

impl Subscriptions {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.channels.len() + self.patterns.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
