//! Input and output buffers, lent to connections while they have something in them, within one budget for all.
//!
//! Idle connections hold none, so ten thousand of them cost little. Small buffers are free to take; growing beyond that
//! counts against the budget, and who does not fit waits until others have given back, or for the one place there is beyond
//! the budget. Users take turns at that place, and nobody keeps it for longer than a request takes that is being sent.

mod spares;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use self::spares::Spares;
use crate::clock::Stopwatch;

/// A buffer's size unless it must grow. One read call fills at most this much, some hundred small requests.
const SMALL_BYTES: usize = 16 * 1024;

/// A buffer grows by at least this much, and at most by as much as it holds: memory follows the data that arrived, not
/// what a header announced.
const GROWTH_BYTES_MIN: usize = 64 * 1024;

/// How long a request may be the one beyond the budget, and how much of it has to come in each second of what it takes
/// longer: others wait for its place. A socket of the same machine brings hundreds of times as much.
const LEASE: Duration = Duration::from_secs(2);
const LEASE_BYTES_A_SECOND: u64 = 8 << 20;

/// All connections' buffers.
#[derive(Debug)]
pub struct Buffers {
    spare: RefCell<Spares>,
    budget_bytes: usize,
    used_bytes: Cell<usize>,
    given_back: Notify,
    /// Who holds it may go beyond the budget: so that the largest request can always finish, whatever others hold, and
    /// large requests that came together finish one after the other instead of failing together. Of a user's connections
    /// this is the right to wait for that of all, so that it goes round among users, however many one of them sends.
    large: Arc<Semaphore>,
    /// Of one user's connections: those of all, within which these are.
    all: Option<Rc<Self>>,
}

/// The right to be beyond the budget, of a user's connections and of all, and since when.
#[derive(Debug)]
struct Large {
    _permits: (OwnedSemaphorePermit, Option<OwnedSemaphorePermit>),
    since: Stopwatch,
}

/// One connection's share: a buffer, or none while there is nothing in it.
#[derive(Debug)]
pub struct Share {
    buffers: Rc<Buffers>,
    bytes: BytesMut,
    /// What of it counts against the budget.
    counted: usize,
    /// The largest it has been. `BytesMut` does not tell: what was taken off its front is no longer in its capacity.
    peak_bytes: usize,
    large: Option<Large>,
}

impl Buffers {
    /// Buffers of at most `budget_bytes` together, small ones left aside.
    #[must_use]
    pub fn new(budget_bytes: usize) -> Self {
        Self {
            spare: RefCell::default(),
            budget_bytes,
            used_bytes: Cell::new(0),
            given_back: Notify::new(),
            large: Arc::new(Semaphore::new(1)),
            all: None,
        }
    }

    /// Buffers of at most `budget_bytes` together, within this budget.
    #[must_use]
    pub fn within(self: &Rc<Self>, budget_bytes: usize) -> Self {
        Self { all: Some(Rc::clone(self)), ..Self::new(budget_bytes) }
    }

    /// Those of all connections.
    fn of_all(&self) -> &Self {
        self.all.as_deref().unwrap_or(self)
    }

    /// Whether so many more would stay within the budget, and the one it is within.
    fn has(&self, bytes: usize) -> bool {
        self.used_bytes.get() + bytes <= self.budget_bytes
            && self.all.as_ref().is_none_or(|all| all.has(bytes))
    }

    fn is_used_up(&self) -> bool {
        self.used_bytes.get() >= self.budget_bytes || self.all.as_ref().is_some_and(|all| all.is_used_up())
    }

    fn add(&self, bytes: usize) {
        self.used_bytes.set(self.used_bytes.get() + bytes);
        if let Some(all) = &self.all {
            all.add(bytes);
        }
    }

    fn take_off(&self, bytes: usize) {
        self.used_bytes.set(self.used_bytes.get() - bytes);
        self.given_back.notify_waiters();
        if let Some(all) = &self.all {
            all.take_off(bytes);
        }
    }

    /// Waits until something has been given back, here or in the budget around.
    async fn given_back(&self) {
        match &self.all {
            None => self.given_back.notified().await,
            Some(all) => tokio::select! {
                () = self.given_back.notified() => {}
                () = all.given_back.notified() => {}
            },
        }
    }

    /// Waits for the right to be beyond the budget. Never, once nobody can give it.
    async fn large(&self) -> Large {
        let permit = async |large: &Arc<Semaphore>| match Arc::clone(large).acquire_owned().await {
            Ok(permit) => permit,
            Err(_) => std::future::pending().await,
        };
        let own = permit(&self.large).await;
        let of_all = match &self.all {
            Some(all) => Some(permit(&all.large).await),
            None => None,
        };
        Large { _permits: (own, of_all), since: Stopwatch::start() }
    }

    /// A share without a buffer yet.
    #[must_use]
    pub fn share(self: &Rc<Self>) -> Share {
        Share { buffers: Rc::clone(self), bytes: BytesMut::new(), counted: 0, peak_bytes: 0, large: None }
    }

    /// How much one output may hold before it must be sent: `limit`, or far less while the budget is used up.
    #[must_use]
    pub fn output_limit(&self, limit: usize) -> usize {
        if self.is_used_up() { limit.min(SMALL_BYTES) } else { limit }
    }

    /// Bytes that count against the budget now.
    #[cfg(test)]
    fn used_bytes(&self) -> usize {
        self.used_bytes.get()
    }
}

impl Share {
    /// What is in the buffer.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The buffer's content, to take from.
    pub fn bytes_mut(&mut self) -> &mut BytesMut {
        &mut self.bytes
    }

    /// The buffer, with some room at its end.
    pub fn ready(&mut self) -> &mut BytesMut {
        if self.bytes.capacity() == 0
            && self.peak_bytes == 0
            && let Some((spare, peak_bytes)) = self.buffers.of_all().spare.borrow_mut().take()
        {
            (self.bytes, self.peak_bytes) = (spare, peak_bytes);
        }
        if self.bytes.capacity() - self.bytes.len() < SMALL_BYTES / 4 {
            self.bytes.reserve(SMALL_BYTES);
            self.peak_bytes = self.peak_bytes.max(self.bytes.capacity());
        }
        &mut self.bytes
    }

    /// Makes room for up to `want` more bytes, less where that much has not been earned yet. False where the budget stays
    /// exhausted for as long as `patience`.
    pub async fn grow(&mut self, want: usize, patience: Duration) -> bool {
        let room = self.bytes.capacity() - self.bytes.len();
        let step = want.min(self.bytes.len().max(GROWTH_BYTES_MIN));
        if room >= step.min(SMALL_BYTES) && room >= want.min(SMALL_BYTES) {
            return true;
        }
        let needed = (self.bytes.len() + step).saturating_sub(SMALL_BYTES);
        let extra = needed.saturating_sub(self.counted);
        let buffers = Rc::clone(&self.buffers);
        let fits = async {
            // Asked for once: whoever waits keeps its place in the queue.
            let mut large = std::pin::pin!(buffers.large());
            loop {
                let given_back = buffers.given_back();
                if self.large.is_some() || buffers.has(extra) {
                    return;
                }
                tokio::select! {
                    () = given_back => {}
                    large = &mut large => self.large = Some(large),
                }
            }
        };
        if tokio::time::timeout(patience, fits).await.is_err() {
            return false;
        }
        buffers.add(extra);
        self.counted += extra;
        self.bytes.reserve(step);
        self.peak_bytes = self.peak_bytes.max(self.bytes.capacity());
        true
    }

    /// How long it may still be the one beyond the budget; `None` where it is not.
    #[must_use]
    pub fn lease_left(&self) -> Option<Duration> {
        let large = self.large.as_ref()?;
        let earned = Duration::from_millis(self.bytes.len() as u64 * 1_000 / LEASE_BYTES_A_SECOND);
        Some((LEASE + earned).saturating_sub(Duration::from_micros(large.since.us())))
    }

    /// Takes off what has been used of the buffer. Where it was beyond the budget, what is left goes into a new one, and is
    /// no longer: a client that never stops sending would otherwise be for ever.
    pub fn advance(&mut self, consumed: usize) {
        self.bytes.advance(consumed);
        if consumed > 0 && self.large.is_some() && !self.bytes.is_empty() {
            let rest = BytesMut::from(&self.bytes[..]);
            self.peak_bytes = rest.capacity();
            self.bytes = rest;
            self.uncount();
        }
    }

    /// Counts what the buffer has grown to by being written to. Answers are not refused for want of budget, since they
    /// are there already, but their clients get no more before they have read these.
    pub fn recount(&mut self) {
        self.peak_bytes = self.peak_bytes.max(self.bytes.capacity());
        let counted = self.peak_bytes.saturating_sub(2 * SMALL_BYTES);
        if counted > self.counted {
            self.buffers.add(counted - self.counted);
            self.counted = counted;
        }
    }

    /// The buffers that it is a share of.
    #[must_use]
    pub fn all(&self) -> &Buffers {
        &self.buffers
    }

    /// Gives the empty buffer back.
    pub fn give_back(&mut self) {
        debug_assert!(self.bytes.is_empty(), "what is in it would be lost");
        let bytes = std::mem::take(&mut self.bytes);
        let peak_bytes = std::mem::take(&mut self.peak_bytes).max(bytes.capacity());
        self.uncount();
        self.buffers.of_all().spare.borrow_mut().keep(bytes, peak_bytes);
    }

    fn uncount(&mut self) {
        self.large = None;
        if self.counted > 0 {
            self.buffers.take_off(std::mem::take(&mut self.counted));
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.uncount();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn growth_is_earned_and_counted_and_given_back() {
        let buffers = Rc::new(Buffers::new(1 << 20));
        let mut share = buffers.share();
        share.ready().extend_from_slice(&[0; 1_000]);
        assert!(share.grow(1 << 30, SOON).await);
        assert!(share.bytes.capacity() < 256 * 1024, "{} for a header", share.bytes.capacity());
        assert!(buffers.used_bytes() > 0);
        drop(share);
        assert_eq!(buffers.used_bytes(), 0);
    }

    #[test]
    fn outputs_count_and_shrink_each_others_limit() {
        let buffers = Rc::new(Buffers::new(1 << 20));
        let mut share = buffers.share();
        assert_eq!(buffers.output_limit(1 << 19), 1 << 19);
        share.ready().extend_from_slice(&vec![0; 1 << 21]);
        share.recount();
        assert_eq!(buffers.output_limit(1 << 19), SMALL_BYTES);
        drop(share);
        assert_eq!((buffers.used_bytes(), buffers.output_limit(1 << 19)), (0, 1 << 19));
    }

    #[tokio::test]
    async fn large_requests_that_do_not_fit_together_finish_one_after_the_other() {
        let buffers = Rc::new(Buffers::new(200 * 1024));
        let shares = [buffers.share(), buffers.share(), buffers.share()];
        let [mut first, mut second, mut third] = shares;
        for share in [&mut first, &mut second, &mut third] {
            share.ready().extend_from_slice(&vec![0; 100 * 1024]);
        }
        assert!(first.grow(100 * 1024, SOON).await, "within the budget");
        assert!(second.grow(100 * 1024, SOON).await, "beyond it, as the one large request");
        assert!(!third.grow(100 * 1024, SOON).await, "there may be one");
        let patience = Duration::from_secs(5);
        let both = async {
            tokio::join!(third.grow(100 * 1024, patience), async {
                tokio::task::yield_now().await;
                drop(second);
            })
        };
        assert!(tokio::time::timeout(patience, both).await.unwrap().0);
    }

    #[tokio::test]
    async fn one_users_buffers_have_a_budget_within_that_of_all() {
        let all = Rc::new(Buffers::new(1 << 20));
        let (greedy, modest) = (Rc::new(all.within(100 << 10)), Rc::new(all.within(100 << 10)));
        let mut shares = [greedy.share(), greedy.share(), greedy.share()];
        for share in &mut shares {
            share.ready().extend_from_slice(&vec![0; 64 << 10]);
        }
        let [first, second, third] = &mut shares;
        assert!(first.grow(64 << 10, SOON).await, "as the user's one large request");
        assert!(!second.grow(64 << 10, SOON).await && !third.grow(64 << 10, SOON).await);
        assert!(all.used_bytes() > 0);
        // Another user has its own.
        let mut other = modest.share();
        other.ready().extend_from_slice(&vec![0; 16 << 10]);
        assert!(other.grow(64 << 10, SOON).await);
        drop((shares, other));
        assert_eq!((all.used_bytes(), greedy.used_bytes(), modest.used_bytes()), (0, 0, 0));
    }

    #[tokio::test]
    async fn the_place_beyond_the_budget_goes_round_among_users() {
        let all = Rc::new(Buffers::new(100 << 10));
        let (greedy, modest) = (Rc::new(all.within(100 << 10)), Rc::new(all.within(100 << 10)));
        let filled = |buffers: &Rc<Buffers>| {
            let mut share = buffers.share();
            share.ready().extend_from_slice(&vec![0; 64 << 10]);
            share
        };
        let mut first = filled(&greedy);
        assert!(first.grow(64 << 10, SOON).await && first.lease_left().is_some());
        let order = RefCell::new(Vec::new());
        let wait = async |name, buffers| {
            let mut share = filled(buffers);
            assert!(share.grow(64 << 10, Duration::from_secs(5)).await);
            assert!(share.lease_left().is_some());
            order.borrow_mut().push(name);
        };
        let give_back = async {
            tokio::time::sleep(SOON).await;
            drop(first);
        };
        // Others of the same user have waited for longer.
        tokio::join!(
            wait("greedy", &greedy),
            wait("greedy", &greedy),
            wait("greedy", &greedy),
            wait("modest", &modest),
            give_back
        );
        assert_eq!(order.take(), ["modest", "greedy", "greedy", "greedy"]);
    }

    #[tokio::test]
    async fn a_lease_is_short_and_what_comes_in_makes_it_longer() {
        let buffers = Rc::new(Buffers::new(64 << 10));
        let mut share = buffers.share();
        assert_eq!(share.lease_left(), None);
        share.ready().extend_from_slice(&vec![0; 100 << 10]);
        assert!(share.grow(64 << 10, SOON).await);
        let left = share.lease_left().unwrap();
        assert!(left > LEASE / 2 && left < LEASE + Duration::from_millis(100), "{left:?}");
        share.bytes_mut().extend_from_slice(&vec![0; 16 << 20]);
        assert!(share.lease_left().unwrap() > left + Duration::from_secs(1));
        // Once the request has been answered, what is behind it is another.
        share.advance(16 << 20);
        assert_eq!((share.lease_left(), share.bytes().len(), buffers.used_bytes()), (None, 100 << 10, 0));
    }
}
