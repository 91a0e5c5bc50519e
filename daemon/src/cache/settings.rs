//! The settings that the cache goes by: those of the start, those that a reload changes, and how the store is opened.

use std::time::Duration;

use super::Rules;
use crate::config::{Durability, Settings};
use crate::store::{self, Budget, Compression, JournalShare, Sync};

/// The settings that matter here.
#[derive(Clone, Copy, Debug)]
pub(super) struct Config {
    pub(super) durability: Durability,
    pub(super) buffer_cap_bytes: u64,
    pub(super) merge_bytes: u64,
    /// What a journal may hold, with plenty of room on the disk.
    pub(super) journal: JournalShare,
    /// What the active generation may hold: half of the buffer, less the turn that is its last.
    pub(super) generation_bytes: u64,
    pub(super) turn_bytes: usize,
    pub(super) disk_cap_bytes: u64,
    pub(super) merge_interval: Duration,
    pub(super) flush_interval: Duration,
    /// How long an entry may stay in each of the two halves of the memory tier, one after the other.
    pub(super) memory_half_age: Option<Duration>,
    /// 0 without a memory tier.
    pub(super) hot_keys: usize,
    pub(super) hot_keys_interval: Duration,
}

impl Config {
    pub(super) fn of(settings: &Settings, budget: &Budget) -> Self {
        let generation_bytes = settings.buffer_cap_bytes / 2 - settings.buffer_cap_bytes / 32;
        Self {
            durability: settings.durability,
            buffer_cap_bytes: settings.buffer_cap_bytes,
            merge_bytes: settings.merge_bytes.min(generation_bytes),
            journal: budget.journal,
            generation_bytes,
            turn_bytes: budget.turn_bytes.min(settings.buffer_cap_bytes / 64) as usize,
            disk_cap_bytes: settings.disk_cap_bytes,
            merge_interval: settings.merge_interval,
            flush_interval: settings.flush_interval,
            memory_half_age: settings.memory_max_age.map(|age| age / 2),
            hot_keys: if settings.memory_cap_bytes > 0 { settings.hot_keys } else { 0 },
            hot_keys_interval: settings.hot_keys_interval,
        }
    }
}

/// Those that may change while the daemon runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Live {
    pub(super) cleanup_interval: Duration,
    pub(super) rules: Rules,
}

impl Live {
    pub(super) fn of(settings: &Settings) -> Self {
        Self {
            cleanup_interval: settings.cleanup_interval,
            rules: Rules {
                default_ttl_ms: settings.default_ttl.map(|ttl| ttl.as_millis() as i64),
                max_ttl_ms: settings.max_ttl.map(|ttl| ttl.as_millis() as i64),
                ttl_jitter_percent: settings.ttl_jitter_percent as u32,
                answer_bytes_max: settings.frame_limits().request_bytes,
                value_bytes_max: settings.max_value_bytes,
            },
        }
    }
}

/// How the store is to be opened.
pub fn store_options(settings: &Settings) -> store::Options {
    store::Options {
        dir: settings.data.clone(),
        sync: match settings.durability {
            Durability::Fsync => Sync::EveryCommit,
            Durability::Commit | Durability::Memory => Sync::Deferred,
        },
        sync_interval: settings.sync_interval,
        readers: settings.readers as u32,
        sweep_slice_rows: settings.cleanup_slice_rows,
        disk_cap_bytes: settings.disk_cap(),
        journal_limit_bytes: settings.journal_limit_bytes,
        value_bytes_max: settings.max_value_bytes as u64,
        compression: Compression {
            from_bytes: settings.compress_from(),
            level: settings.compression_level as i32,
        },
    }
}
