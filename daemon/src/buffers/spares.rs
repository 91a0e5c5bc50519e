//! Empty buffers, kept for the next connection that needs one.

use bytes::BytesMut;

use super::SMALL_BYTES;

/// Buffers kept for the next connection that needs one.
const SPARE_MAX: usize = 256;

/// A larger buffer is kept as well, up to this size, as long as all of them together have no more than the other figure. The
/// one that was given back last is lent first: it still lies in the processor's cache, and the system need not zero new pages.
const LARGE_SPARE_BYTES_MAX: usize = 256 * 1024;
const LARGE_SPARES_BYTES: usize = 4 << 20;

/// Empty buffers, the last given back at the end.
#[derive(Debug, Default)]
pub(super) struct Spares {
    /// With the largest size that each has been.
    buffers: Vec<(BytesMut, usize)>,
    /// Of those that are not small.
    large_bytes: usize,
}

impl Spares {
    /// The buffer that was given back last, and the largest size that it has been.
    pub(super) fn take(&mut self) -> Option<(BytesMut, usize)> {
        let (bytes, peak_bytes) = self.buffers.pop()?;
        self.large_bytes -= large_bytes(peak_bytes);
        Some((bytes, peak_bytes))
    }

    /// Keeps a buffer, unless there are enough.
    pub(super) fn keep(&mut self, bytes: BytesMut, peak_bytes: usize) {
        let large_bytes = self.large_bytes + large_bytes(peak_bytes);
        if peak_bytes > 0
            && peak_bytes <= LARGE_SPARE_BYTES_MAX
            && large_bytes <= LARGE_SPARES_BYTES
            && self.buffers.len() < SPARE_MAX
        {
            self.large_bytes = large_bytes;
            self.buffers.push((bytes, peak_bytes));
        }
    }
}

/// What a buffer of this size counts among the large ones.
fn large_bytes(peak_bytes: usize) -> usize {
    if peak_bytes <= 2 * SMALL_BYTES { 0 } else { peak_bytes }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use bytes::Buf as _;

    use super::super::{Buffers, Share};
    use super::*;

    /// Uses a buffer of so many bytes and gives it back.
    fn use_up(share: &mut Share, bytes: usize) {
        share.ready().extend_from_slice(&vec![0; bytes]);
        share.recount();
        share.bytes_mut().advance(bytes);
        share.give_back();
    }

    #[test]
    fn a_buffer_is_kept_unless_it_was_very_large() {
        let buffers = Rc::new(Buffers::new(1 << 30));
        let kept = || (buffers.spare.borrow().buffers.len(), buffers.spare.borrow().large_bytes);
        let mut share = buffers.share();
        use_up(&mut share, 1 << 20);
        assert_eq!(kept(), (0, 0));
        use_up(&mut share, 5);
        assert_eq!(kept(), (1, 0));
        // The small one grows, and is lent as large as it has become.
        use_up(&mut share, 100 << 10);
        let (count, large_bytes) = kept();
        assert!(count == 1 && (100 << 10..=LARGE_SPARE_BYTES_MAX).contains(&large_bytes), "{large_bytes}");
        let at = share.ready().as_ptr();
        assert_eq!(kept(), (0, 0));
        share.ready().extend_from_slice(&vec![0; 90 << 10]);
        assert_eq!(share.bytes().as_ptr(), at, "in the same memory");
        share.recount();
        share.bytes_mut().advance(90 << 10);
        share.give_back();
        assert_eq!((kept().0, buffers.used_bytes()), (1, 0));
    }

    #[test]
    fn large_buffers_that_are_kept_have_a_bound_together() {
        let buffers = Rc::new(Buffers::new(1 << 30));
        let mut all: Vec<_> = (0..100).map(|_| buffers.share()).collect();
        for share in &mut all {
            share.ready().extend_from_slice(&vec![0; 200 << 10]);
            share.recount();
        }
        for mut share in all {
            share.bytes_mut().advance(200 << 10);
            share.give_back();
        }
        let spare = buffers.spare.borrow();
        assert!((10..30).contains(&spare.buffers.len()), "{}", spare.buffers.len());
        assert!(spare.large_bytes <= LARGE_SPARES_BYTES);
    }
}
