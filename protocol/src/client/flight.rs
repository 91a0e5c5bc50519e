//! One computation at a time for each key in this process.
//!
//! Used by cached calls. Whoever comes while a key is being computed waits for that and shares its result. Holds no
//! values: a result goes when the last who waited for it has it. Knows neither the daemon nor TTLs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tokio::sync::{Mutex as Turn, MutexGuard};

use super::handle::locked;

/// A computation under way, with the result for those who wait.
type Flight = Arc<Turn<Option<Bytes>>>;

/// The computations of a client and its clones.
#[derive(Default)]
pub(super) struct Flights(Mutex<HashMap<Bytes, Flight>>);

/// A place in the computation of a key.
pub(super) struct Joined<'a> {
    flights: &'a Flights,
    key: Bytes,
    flight: Flight,
}

impl Flights {
    /// Joins the computation of a key, or begins one.
    pub(super) fn join(&self, key: &[u8]) -> Joined<'_> {
        let key = Bytes::copy_from_slice(key);
        let flight = Arc::clone(locked(&self.0).entry(key.clone()).or_default());
        Joined { flights: self, key, flight }
    }

    /// Who asks for a key from now on gets nothing that is being computed now.
    pub(super) fn forget(&self, key: &[u8]) {
        locked(&self.0).remove(key);
    }

    /// As [`forget`](Self::forget), for all keys.
    pub(super) fn forget_all(&self) {
        locked(&self.0).clear();
    }
}

impl Joined<'_> {
    /// Waits until nobody computes. With a result in it, that was computed meanwhile; without one, it is our turn.
    pub(super) async fn turn(&self) -> MutexGuard<'_, Option<Bytes>> {
        self.flight.lock().await
    }

    /// As [`turn`](Self::turn), but none where somebody computes.
    pub(super) fn turn_now(&self) -> Option<MutexGuard<'_, Option<Bytes>>> {
        self.flight.try_lock().ok()
    }

    /// There is a result, and it is stored: who comes later finds it there.
    pub(super) fn landed(&self) {
        let mut flights = locked(&self.flights.0);
        if flights.get(&self.key).is_some_and(|flight| Arc::ptr_eq(flight, &self.flight)) {
            flights.remove(&self.key);
        }
    }
}

impl Drop for Joined<'_> {
    fn drop(&mut self) {
        let mut flights = locked(&self.flights.0);
        // The map's and ours: nobody else is there, and nobody can come while the map is locked.
        if Arc::strong_count(&self.flight) == 2
            && flights.get(&self.key).is_some_and(|flight| Arc::ptr_eq(flight, &self.flight))
        {
            flights.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block_on(test: impl Future<Output = ()>) {
        tokio::runtime::Builder::new_current_thread().build().expect("can be built").block_on(test);
    }

    #[test]
    fn those_who_wait_share_the_result_and_nothing_is_kept() {
        block_on(async {
            let flights = Flights::default();
            let (first, second) = (flights.join(b"k"), flights.join(b"k"));
            let mut turn = first.turn().await;
            assert_eq!(*turn, None);
            assert!(second.turn_now().is_none(), "one at a time");
            *turn = Some("v".into());
            first.landed();
            drop(turn);
            assert_eq!(*second.turn().await, Some("v".into()));
            assert_eq!(*flights.join(b"k").turn().await, None, "who comes later begins anew");
            drop((first, second));
            assert!(locked(&flights.0).is_empty());
        });
    }

    #[test]
    fn a_computation_given_up_leaves_the_turn_to_the_next() {
        block_on(async {
            let flights = Flights::default();
            let (first, second) = (flights.join(b"k"), flights.join(b"k"));
            drop(first.turn().await);
            drop(first);
            assert_eq!(*second.turn().await, None);
            flights.forget(b"k");
            let other = flights.join(b"k");
            let _turn = second.turn().await;
            assert!(other.turn_now().is_some(), "of another computation");
            flights.forget_all();
            drop(other);
            assert!(locked(&flights.0).is_empty());
        });
    }
}
