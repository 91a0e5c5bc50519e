//! Tiers without files, for the tests of commands.

use super::at_once::AtOnce;
use super::memory::Memory;
use super::tiers::Tiers;
use super::view::{Rules, Stop, View};
use crate::notices::Notices;
use crate::stats::Counters;

/// Tiers over an empty main file, where every write is committed at once.
#[derive(Debug)]
pub(crate) struct Bare(Tiers);

impl Default for Bare {
    fn default() -> Self {
        Self(Tiers::new(Memory::new(0, None), 1, None, 0))
    }
}

impl Bare {
    /// Runs one command and makes its writes visible.
    pub(crate) fn step<T>(
        &mut self,
        counters: &mut Counters,
        now_ms: i64,
        rules: Rules,
        command: impl FnOnce(&mut View<'_>) -> Result<T, Stop>,
    ) -> Result<T, Stop> {
        let mut missing = Vec::new();
        let done = command(&mut View {
            tiers: &mut self.0,
            counters,
            at_once: &mut AtOnce::new(None),
            missing: &mut missing,
            notices: &mut Notices::default(),
            now_ms,
            rules,
            turn_bytes: usize::MAX,
            depends: false,
        });
        drop(self.0.publish());
        done
    }
}
