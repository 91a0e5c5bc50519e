//! What the daemon keeps for clients between their requests: queued transactions, watched keys, names of subscriptions, and
//! messages that are not read yet. Counted, within one bound for all clients and one for each user.
//!
//! Used by what is kept, a [`Kept`] or a [`Counted`] with each; knows nothing of it. Of the event loop's thread only. What a
//! [`Kept`] has that is small is free, so that ordinary transactions and subscriptions never depend on what others keep.

use std::cell::Cell;
use std::rc::Rc;

use crate::error::CommandError;

/// What of each thing that is kept does not count.
const FREE_BYTES: usize = 4 << 10;

/// A bound on what is kept.
#[derive(Debug)]
pub struct Keeping {
    limit_bytes: usize,
    used_bytes: Cell<usize>,
    /// Of one user: the bound of all, within which this is.
    all: Option<Rc<Self>>,
}

impl Keeping {
    /// So much together.
    #[must_use]
    pub fn new(limit_bytes: usize) -> Self {
        Self { limit_bytes, used_bytes: Cell::new(0), all: None }
    }

    /// So much together, within this bound.
    #[must_use]
    pub fn within(self: &Rc<Self>, limit_bytes: usize) -> Self {
        Self { all: Some(Rc::clone(self)), ..Self::new(limit_bytes) }
    }

    /// The bound.
    #[must_use]
    pub fn limit_bytes(&self) -> usize {
        self.limit_bytes
    }

    /// What of the bound is used up.
    #[cfg(test)]
    pub fn used_bytes(&self) -> usize {
        self.used_bytes.get()
    }

    /// Counts so many bytes for as long as the value lives.
    ///
    /// # Errors
    /// Where there is no room for them.
    pub fn count(self: &Rc<Self>, bytes: usize) -> Result<Counted, CommandError> {
        self.add(bytes)?;
        Ok(Counted { keeping: Rc::clone(self), bytes })
    }

    fn add(&self, bytes: usize) -> Result<(), CommandError> {
        let used_bytes = self.used_bytes.get().saturating_add(bytes);
        if used_bytes > self.limit_bytes {
            return Err(CommandError::NoRoomToKeep { limit_bytes: self.limit_bytes });
        }
        self.all.as_ref().map_or(Ok(()), |all| all.add(bytes))?;
        self.used_bytes.set(used_bytes);
        Ok(())
    }

    fn take_off(&self, bytes: usize) {
        self.used_bytes.set(self.used_bytes.get() - bytes);
        if let Some(all) = &self.all {
            all.take_off(bytes);
        }
    }
}

/// Bytes that count for as long as this lives.
#[derive(Debug)]
pub struct Counted {
    keeping: Rc<Keeping>,
    bytes: usize,
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.keeping.take_off(self.bytes);
    }
}

/// How much is kept of one thing; given back with it. Counted nowhere unless made within a bound.
#[derive(Debug, Default)]
pub struct Kept {
    keeping: Option<Rc<Keeping>>,
    counted_bytes: usize,
}

impl Kept {
    /// Nothing yet.
    #[must_use]
    pub fn within(keeping: &Rc<Keeping>) -> Self {
        Self { keeping: Some(Rc::clone(keeping)), counted_bytes: 0 }
    }

    /// It is so many bytes now.
    ///
    /// # Errors
    /// Where there is no room for so much; it counts as before then. There always is for less than before.
    pub fn resize(&mut self, bytes: usize) -> Result<(), CommandError> {
        let Some(keeping) = &self.keeping else { return Ok(()) };
        let counted_bytes = bytes.saturating_sub(FREE_BYTES);
        match counted_bytes.checked_sub(self.counted_bytes) {
            Some(0) => {}
            Some(more) => keeping.add(more)?,
            None => keeping.take_off(self.counted_bytes - counted_bytes),
        }
        self.counted_bytes = counted_bytes;
        Ok(())
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Some(keeping) = &self.keeping {
            keeping.take_off(self.counted_bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_counted_and_given_back() {
        let all = Rc::new(Keeping::new(3 * FREE_BYTES));
        let (mut first, mut second) = (Kept::within(&all), Kept::within(&all));
        first.resize(3 * FREE_BYTES).unwrap();
        assert_eq!(all.used_bytes(), 2 * FREE_BYTES);
        let refused = Err(CommandError::NoRoomToKeep { limit_bytes: 3 * FREE_BYTES });
        assert_eq!(second.resize(3 * FREE_BYTES), refused);
        second.resize(2 * FREE_BYTES).unwrap();
        assert_eq!(second.resize(2 * FREE_BYTES + 1), refused);
        assert_eq!(all.used_bytes(), 3 * FREE_BYTES, "what was refused changes nothing");
        first.resize(FREE_BYTES + 1).unwrap();
        assert_eq!(all.used_bytes(), FREE_BYTES + 1);
        drop((first, second));
        assert_eq!(all.used_bytes(), 0);
    }

    #[test]
    fn what_is_small_is_free_and_one_user_leaves_room_for_others() {
        let all = Rc::new(Keeping::new(10 * FREE_BYTES));
        let (greedy, modest) = (Rc::new(all.within(6 * FREE_BYTES)), Rc::new(all.within(6 * FREE_BYTES)));
        let (mut much, mut more, mut other) =
            (Kept::within(&greedy), Kept::within(&greedy), Kept::within(&modest));
        much.resize(7 * FREE_BYTES).unwrap();
        more.resize(FREE_BYTES).unwrap();
        assert!(more.resize(FREE_BYTES + 1).is_err());
        other.resize(5 * FREE_BYTES).unwrap();
        assert_eq!(
            other.resize(6 * FREE_BYTES),
            Err(CommandError::NoRoomToKeep { limit_bytes: 10 * FREE_BYTES })
        );
        assert_eq!(all.used_bytes(), 10 * FREE_BYTES, "a refusal of the bound around counts for neither");
        assert_eq!(modest.used_bytes(), 4 * FREE_BYTES);
        drop(other);
        let counted = all.count(4 * FREE_BYTES).unwrap();
        assert!(all.count(1).is_err());
        drop(counted);
        let mut nowhere = Kept::default();
        nowhere.resize(usize::MAX).unwrap();
    }
}
