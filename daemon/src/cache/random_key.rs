//! RANDOMKEY: one of the keys, about as likely as each of the others, found without going through them.
//!
//! A place is drawn among the slots of the write buffer and the rows of the main file together. What stands there may be
//! out of date, as the older of two states of a key is, or expired; then another is drawn. Where nearly everything is
//! like that, the first key below the last one drawn is taken, which is the likelier the more of them it follows.

use std::hash::{BuildHasher as _, Hasher, RandomState};

use super::Cache;
use super::background::blocking;
use super::tiers::Tiers;
use super::walk::Walk;
use crate::buffer::Generation;
use crate::entry::Key;
use crate::error::CommandError;
use crate::glob::Pattern;
use crate::store::Sample;

/// Draws before a key is looked for. Of a database of which half is live, one answer in 65,536 comes from such a search.
const DRAWS_MAX: usize = 16;

/// What stands at a place.
#[derive(Debug, PartialEq, Eq)]
enum Drawn {
    Live(Key),
    /// Not any more.
    Gone(Key),
    /// There are no places.
    Nothing,
}

impl Cache {
    /// One of the keys; `None` where there is none.
    ///
    /// # Errors
    /// Where the main file cannot be read.
    pub async fn random_key(&self) -> Result<Option<Key>, CommandError> {
        let mut dice = RandomState::new().build_hasher();
        let mut gone = None;
        for _ in 0..DRAWS_MAX {
            match self.draw(&mut dice).await? {
                Drawn::Live(key) => return Ok(Some(key)),
                Drawn::Gone(key) => gone = Some(key),
                Drawn::Nothing => return Ok(None),
            }
        }
        let all = Pattern::glob(b"*");
        for below in [gone, None] {
            let mut walk = Walk::new(&all, below);
            while !walk.ended {
                if let Some(key) = self.step(&mut walk, 1).await?.keys.pop() {
                    return Ok(Some(key));
                }
            }
        }
        Ok(None)
    }

    async fn draw(&self, dice: &mut (impl Hasher + Clone + Send + 'static)) -> Result<Drawn, CommandError> {
        loop {
            // Where there are no rows to wait for, nothing else would let the others run.
            tokio::task::yield_now().await;
            let (readers, hidden, releases) = {
                let inner = self.0.inner.borrow();
                (inner.readers()?, inner.tiers.main_hidden(), inner.tiers.releases())
            };
            let sample = if hidden {
                Sample::default()
            } else {
                below(dice, 1);
                let mut dice = dice.clone();
                blocking(move || readers.sample(|bound| below(&mut dice, bound)))
                    .await
                    .map_err(|error| self.unreadable(&error))?
            };
            if self.is_held_by_another() {
                self.unheld().await;
                continue;
            }
            // Writes that are answered already (durability `memory`), or about to be, count as having come before.
            self.commit();
            let tiers = &self.0.inner.borrow().tiers;
            if tiers.releases() != releases {
                // What the buffer has let go of may have replaced the row since that was read.
                continue;
            }
            // A flush may have come in between.
            let sample = if tiers.main_hidden() { Sample::default() } else { sample };
            let slots = tiers.generations().map(Generation::len).sum::<usize>();
            let places = slots + sample.rows;
            if places == 0 {
                return Ok(Drawn::Nothing);
            }
            return Ok(drawn(tiers, below(dice, places), sample, self.now_ms()));
        }
    }
}

/// What stands at `place`: first come the slots, the newest generation's first, then the rows.
fn drawn(tiers: &Tiers, mut place: usize, sample: Sample, now_ms: i64) -> Drawn {
    for (age, generation) in tiers.generations().enumerate() {
        if let Some((key, slot)) = generation.slots(place).next() {
            let newest = tiers.generations().take(age).all(|newer| newer.get(key).is_none());
            let live = newest && slot.state.live(now_ms).is_some();
            return if live { Drawn::Live(key.clone()) } else { Drawn::Gone(key.clone()) };
        }
        place -= generation.len();
    }
    match sample.row {
        Some((key, deadline)) => {
            let newest = tiers.generations().all(|newer| newer.get(&key).is_none());
            if newest && !deadline.passed(now_ms) { Drawn::Live(key) } else { Drawn::Gone(key) }
        }
        None => Drawn::Nothing,
    }
}

/// A number below `bound`, which is not 0.
fn below(dice: &mut impl Hasher, bound: usize) -> usize {
    // Each write changes what the hasher, keyed by the system's random source, gives next.
    dice.write_u8(0);
    dice.finish() as usize % bound
}
