//! Walks over all keys that match a pattern, in steps that let everyone else run in between: DELPAT, KEYS and SCAN.
//!
//! A walk goes through the write buffer and the main file side by side in key order, so that where it stands is one key
//! and nothing else. Each step lists a range of keys as it is at one moment: what the buffer holds there, and the rows
//! that the buffer says nothing about. Hence a key is met at most once, and one that is there throughout is met, whatever
//! moves meanwhile. (Going through the buffer by position and then through the main file would miss a key whose TTL is
//! renewed behind the walk while its row expires before it.)
//!
//! It goes from the greatest key down because keys that carry a time or a sequence number are written upwards: a walk
//! that goes up could run after them for ever.

use std::rc::Rc;

use larder_protocol::Stat;

use super::background::blocking;
use super::cursors::Cursors;
use super::order::Order;
use super::tiers::{PENDING, Tiers};
use super::{Cache, Inner, Taking};
use crate::entry::{Key, State};
use crate::error::CommandError;
use crate::glob::Pattern;
use crate::pace::{self, Haste};
use crate::store::{Readers, ScanLimits, ScanStep, Store};

/// Keys found in one step: some hundred microseconds.
const KEYS_A_STEP: usize = 1_000;

/// Keys deleted in one step, and so in one commit: well below what a reader that has to wait for it notices.
const DELETIONS_A_STEP: usize = 32;

/// Rows looked at in one step where few match: some milliseconds, beside the event loop.
const ROWS_A_STEP: usize = 10_000;

/// Keys of the write buffer looked at in one step: about a millisecond, on the event loop.
const SLOTS_A_STEP: usize = 4_096;

/// Bytes of buffered keys found in one step, and of keys in one page of SCAN, before it ends early.
const KEY_BYTES_MAX: usize = 1 << 20;

/// A page of SCAN has this many keys where the client asks for fewer. Clients ask for 10 (it is Redis's default, and what
/// client libraries send), and a round trip costs more than finding the keys.
const PAGE_KEYS_MIN: usize = 500;

/// Bytes that a key costs in an answer beside its own.
const ANSWER_KEY_BYTES: usize = 16;

/// What walks need from one step to the next.
#[derive(Debug, Default)]
pub(super) struct Walks {
    order: Order,
    cursors: Cursors,
}

impl Walks {
    /// Forgets the order of this turn's writes: they may be gone by the next look.
    pub(super) fn forget_pending(&mut self) {
        self.order.forget(PENDING);
    }
}

/// Keys that SCAN has found.
#[derive(Debug, Default)]
pub struct Page {
    /// The keys.
    pub keys: Vec<Key>,
    /// The cursor to go on with; 0 at the end.
    pub cursor: u64,
}

/// A walk, from one step to the next.
#[derive(Debug)]
pub(super) struct Walk<'a> {
    pattern: &'a Pattern,
    /// Keys below this one are still to come; `None` before any bound.
    below: Option<Key>,
    /// Whether nothing is to come any more.
    pub(super) ended: bool,
    rows_max: usize,
    /// How much others come first while rows are read.
    haste: Haste,
}

/// What one step has found.
#[derive(Debug)]
pub(super) struct Step {
    /// Keys that match and are there, each once.
    pub(super) keys: Vec<Key>,
    looked_at: usize,
    /// Where to go on: below this key. `None` at the end.
    next: Option<Key>,
    /// Whether there was so much in the write buffer that rows were read in vain.
    cut_short: bool,
}

impl<'a> Walk<'a> {
    /// A walk over the keys that match, or what of them is below `below`.
    pub(super) fn new(pattern: &'a Pattern, below: Option<Key>) -> Self {
        let bound = pattern.upper_bound().map(Key::from);
        let below = match (below, bound) {
            (Some(below), Some(bound)) => Some(below.min(bound)),
            (below, bound) => below.or(bound),
        };
        Self { pattern, below, ended: false, rows_max: ROWS_A_STEP, haste: Haste::Urgent }
    }

    /// The same, giving way to others.
    fn with_haste(self, haste: Haste) -> Self {
        Self { haste, ..self }
    }
}

impl Cache {
    /// Deletes every key that matches and was there when the walk began; returns how many. Keys written meanwhile may
    /// be among them. Other commands run in between.
    ///
    /// # Errors
    /// Where a deletion could not be committed or the main file could not be read; what was deleted before stays so.
    pub async fn delete_matching(&self, pattern: &Pattern) -> Result<u64, CommandError> {
        let mut walk = Walk::new(pattern, None).with_haste(Haste::Wanted);
        let mut deleted = 0;
        while !walk.ended {
            if !self.has_room(Taking::Deletions) {
                self.room(Taking::Deletions).await?;
            }
            let step = self.step(&mut walk, DELETIONS_A_STEP).await?;
            // At once, before anybody else runs: now these keys are there, and how many they are is what is answered.
            deleted += self.delete_all(&step.keys).await?;
        }
        Ok(deleted)
    }

    /// Gives every key that matches to `found`. Those there throughout are among them, those that come or go meanwhile
    /// may be. Other commands run in between, so whatever `found` makes of them is made bit by bit as well.
    ///
    /// # Errors
    /// Where the answer would be too long, or the main file cannot be read.
    pub async fn keys_matching(
        &self,
        pattern: &Pattern,
        mut found: impl FnMut(Key),
    ) -> Result<(), CommandError> {
        let limit = self.0.live.get().rules.answer_bytes_max;
        let mut walk = Walk::new(pattern, None);
        let mut bytes = 0;
        while !walk.ended {
            let step = self.step(&mut walk, KEYS_A_STEP).await?;
            bytes += bytes_of(&step.keys) + step.keys.len() * ANSWER_KEY_BYTES;
            if bytes > limit {
                return Err(CommandError::TooManyKeys { limit });
            }
            step.keys.into_iter().for_each(&mut found);
        }
        Ok(())
    }

    /// Goes on with the walk that `cursor` stands for, 0 and an unknown one being its beginning. Finds about `count` keys,
    /// but no fewer than is worth a round trip, and fewer or none where much has to be looked at for them.
    ///
    /// # Errors
    /// Where the main file cannot be read.
    pub async fn scan(&self, cursor: u64, pattern: &Pattern, count: usize) -> Result<Page, CommandError> {
        let wanted = count.max(PAGE_KEYS_MIN);
        let look_at = count.max(ROWS_A_STEP);
        let below = self.0.inner.borrow_mut().walks.cursors.find(cursor);
        let mut walk = Walk::new(pattern, below);
        let mut keys = Vec::new();
        let (mut looked_at, mut bytes) = (0, 0);
        loop {
            let step = self.step(&mut walk, KEYS_A_STEP.min(wanted - keys.len())).await?;
            looked_at += step.looked_at;
            bytes += bytes_of(&step.keys);
            keys.extend(step.keys);
            let Some(next) = step.next else { return Ok(Page { keys, cursor: 0 }) };
            if keys.len() >= wanted || looked_at >= look_at || bytes >= KEY_BYTES_MAX {
                let cursor = self.0.inner.borrow_mut().walks.cursors.issue(next);
                return Ok(Page { keys, cursor });
            }
        }
    }

    /// Lists the next keys of a walk, about `keys_max` of them. What it returns is so at the moment it returns.
    ///
    /// # Errors
    /// Where the main file cannot be read.
    pub(super) async fn step(&self, walk: &mut Walk<'_>, keys_max: usize) -> Result<Step, CommandError> {
        loop {
            // Where there are no rows to wait for, nothing else would let the others run.
            tokio::task::yield_now().await;
            self.sort_buffer().await;
            let (readers, hidden, releases) = {
                let inner = self.0.inner.borrow();
                (inner.readers()?, inner.tiers.main_hidden(), inner.tiers.releases())
            };
            let limits = ScanLimits { keys: keys_max, rows: walk.rows_max };
            let rows =
                if hidden { ScanStep::default() } else { self.scan_main(readers, walk, limits).await? };
            if self.is_held_by_another() {
                self.unheld().await;
                continue;
            }
            // Writes that are answered already (durability `memory`), or about to be, count as having come before.
            self.commit();
            let mut inner = self.0.inner.borrow_mut();
            let Inner { tiers, walks, .. } = &mut *inner;
            if tiers.releases() != releases {
                // What the buffer has let go of may be in the main file only since that was read: look again. A smaller
                // step is more likely to fit in between two merges, however fast they follow each other.
                walk.rows_max = (walk.rows_max / 2).max(1);
                continue;
            }
            // A flush may have come in between.
            let rows = if tiers.main_hidden() { ScanStep::default() } else { rows };
            walks.order.sort(tiers, usize::MAX);
            let step = walks.order.overlay(tiers, walk, rows, keys_max, self.now_ms());
            walk.rows_max =
                if step.cut_short { walk.rows_max / 2 } else { walk.rows_max * 2 }.clamp(1, ROWS_A_STEP);
            walk.below.clone_from(&step.next);
            walk.ended = step.next.is_none();
            return Ok(step);
        }
    }

    /// Brings the write buffer into key order but for what is quickly done later.
    async fn sort_buffer(&self) {
        let (mut runs, mut before) = (1, usize::MAX);
        loop {
            let left = {
                let mut inner = self.0.inner.borrow_mut();
                let Inner { tiers, walks, .. } = &mut *inner;
                walks.order.sort(tiers, runs)
            };
            if left == 0 {
                return;
            }
            if left >= before {
                // Others write faster than this: more at a time, or it would never end.
                runs *= 2;
            }
            before = left;
            tokio::task::yield_now().await;
        }
    }

    async fn scan_main(
        &self,
        readers: Readers,
        walk: &Walk<'_>,
        limits: ScanLimits,
    ) -> Result<ScanStep, CommandError> {
        let (pattern, below, now_ms) = (walk.pattern.clone(), walk.below.clone(), self.now_ms());
        // Within a transaction all others wait for its end.
        let haste = if self.is_held() { Haste::Urgent } else { walk.haste };
        blocking(move || pace::by(move || haste, || readers.scan(&pattern, below.as_deref(), limits, now_ms)))
            .await
            .map_err(|error| self.unreadable(&error))
    }

    /// Deletes `keys`, which are all there, in one commit.
    async fn delete_all(&self, keys: &[Key]) -> Result<u64, CommandError> {
        if keys.is_empty() {
            return Ok(0);
        }
        let turn = {
            let mut inner = self.0.inner.borrow_mut();
            inner.notices.by("delpat");
            for key in keys {
                inner.tiers.write(key, State::Deleted);
                inner.notices.deleted(key);
            }
            inner.counters.add(Stat::Deletes, keys.len() as u64);
            Rc::clone(&inner.turn)
        };
        // Within a transaction they are committed with everything else.
        if !self.is_held() {
            self.commit();
            turn.committed().await?;
        }
        Ok(keys.len() as u64)
    }
}

impl Order {
    /// What a step of `walk` finds: what the write buffer holds, laid over the `rows` of the main file.
    fn overlay(&self, tiers: &Tiers, walk: &Walk<'_>, rows: ScanStep, keys_max: usize, now_ms: i64) -> Step {
        // Below the last row that was looked at nothing is known of the main file.
        let floor = rows.last.as_deref().unwrap_or_default().max(walk.pattern.literal_prefix());
        let mut step = Step { keys: Vec::new(), looked_at: rows.looked_at, next: None, cut_short: false };
        let mut unseen = rows.keys.into_iter().peekable();
        let (mut slots, mut bytes) = (0, 0);
        for (key, state) in self.down(tiers, floor, walk.below.as_deref()) {
            while let Some(row) = unseen.next_if(|row| row > key) {
                step.keys.push(row);
            }
            // The buffer knows better than a row.
            unseen.next_if_eq(key);
            if state.live(now_ms).is_some() && walk.pattern.matches(key) {
                step.keys.push(key.clone());
                bytes += key.len();
            }
            slots += 1;
            if step.keys.len() >= keys_max || slots == SLOTS_A_STEP || bytes >= KEY_BYTES_MAX {
                step.next = Some(key.clone());
                step.cut_short = unseen.peek().is_some() || rows.last.is_some();
                break;
            }
        }
        if step.next.is_none() {
            step.keys.extend(unseen);
            step.next = rows.last;
        }
        step.looked_at += slots;
        step
    }
}

fn bytes_of(keys: &[Key]) -> usize {
    keys.iter().map(|key| key.len()).sum()
}

impl Inner {
    pub(super) fn readers(&self) -> Result<Readers, CommandError> {
        self.store.as_ref().map(Store::readers).cloned().ok_or(CommandError::Stopping)
    }
}
