//! The way to the counters, and the statistics that are not counted as things happen but read off tiers and files when
//! somebody asks.

use larder_protocol::Stat;

use super::Cache;
use super::background::blocking;
use crate::stats::Counters;
use crate::store::{Accounting, FileBytes, Store};

impl Cache {
    /// Counts something that happened outside a command.
    pub fn count(&self, stat: Stat, n: u64) {
        self.0.inner.borrow_mut().counters.add(stat, n);
    }

    /// Changes the counters.
    pub fn counters_mut<T>(&self, change: impl FnOnce(&mut Counters) -> T) -> T {
        change(&mut self.0.inner.borrow_mut().counters)
    }

    /// Lowers a gauge.
    pub fn uncount(&self, stat: Stat, n: u64) {
        self.0.inner.borrow_mut().counters.sub(stat, n);
    }

    /// Reads the counters.
    pub fn counters<T>(&self, read: impl FnOnce(&Counters) -> T) -> T {
        read(&self.0.inner.borrow().counters)
    }

    /// Sets the gauges that are read off the tiers and files, so that the counters are complete.
    pub async fn refresh_gauges(&self) {
        // moka's own count lags behind until its housekeeping has run, which after a flush takes a while.
        let memory = self.0.inner.borrow().tiers.memory().clone();
        blocking(move || memory.tidy()).await;
        self.fit_front().await;
        let mut inner = self.0.inner.borrow_mut();
        let inner = &mut *inner;
        let (slots, bytes) = inner.tiers.buffer_figures();
        let (memory_entries, memory_bytes, memory_cap_bytes, memory_evictions) =
            inner.tiers.copies().figures();
        let files = inner.store.as_ref().map_or(FileBytes::default(), Store::file_bytes);
        let (checkpoints, vacuumed_pages) = inner.store.as_ref().map_or((0, 0), Store::upkeep_figures);
        let Accounting { stored_bytes, raw_bytes, .. } = inner.accounting;
        for (stat, value) in [
            (Stat::BufferEntries, slots as u64),
            (Stat::BufferBytes, bytes as u64),
            (Stat::MemoryEntries, memory_entries),
            (Stat::MemoryBytes, memory_bytes),
            (Stat::MemoryCapBytes, memory_cap_bytes),
            (Stat::MemoryEvictions, memory_evictions),
            (Stat::DiskBytes, files.all()),
            (Stat::WalBytes, files.wal),
            (Stat::JournalBytes, files.journals),
            (Stat::DiskCapBytes, self.0.config.disk_cap_bytes),
            (Stat::DiskFull, u64::from(inner.full.is_some())),
            (Stat::StoredBytes, stored_bytes as u64),
            (Stat::RawBytes, raw_bytes as u64),
            (Stat::Checkpoints, checkpoints),
            (Stat::VacuumedPages, vacuumed_pages),
            (Stat::CommitUsP50, inner.commit_us.at(50.0)),
            (Stat::CommitUsP99, inner.commit_us.at(99.0)),
        ] {
            inner.counters.set(stat, value);
        }
    }
}
