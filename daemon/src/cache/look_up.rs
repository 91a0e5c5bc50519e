//! What a look-up in the tiers comes to: an answer with its source, or that the main file must be asked.

use std::rc::Rc;

use crate::entry::Entry;
use crate::store::StoreError;

/// Where a look-up found its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// In a write that is not committed yet: the answer may be given only after the commit.
    Pending,
    /// In the write buffer.
    Buffer,
    /// In the memory tier.
    Memory,
    /// In the main file.
    Disk,
}

/// What came of asking for a key's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Nothing: the key is known by now.
    Known,
    /// It will be read.
    Asked,
    /// It is being read, or was read, for somebody else.
    Shared,
}

/// What the tiers know of a key.
#[derive(Clone, Debug)]
pub enum LookUp {
    /// Its entry, or that there is none.
    Known(Option<Entry>, Source),
    /// Only the main file can tell.
    Unknown,
    /// The main file was asked and could not be read.
    Failed(Rc<StoreError>),
}
