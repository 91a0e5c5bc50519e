//! How large a journal's pages are.
//!
//! A commit writes one page more than it fills, the one that leads to these, and the first of the file; each with two write
//! calls and a frame of the log. Small pages are best for small commits, as they waste less of a page; large ones are for
//! large commits, as they take fewer calls. Measured (microseconds of the event loop):
//!
//! | a commit of | 1 KiB | 2 KiB | 4 KiB | 8 KiB | 16 KiB | 32 KiB |
//! |---|---:|---:|---:|---:|---:|---:|
//! | 5 writes of 64 bytes | 9 | 11 | 13 | | | |
//! | 400 writes of 64 bytes | 133 | 94 | 87 | | | |
//! | SET of 64 KiB, all that it takes | | 216 | 166 | 160 | 135 | 117 |
//! | SET of 1 KiB with pipeline 16, the same | | 5.8 | | 4.1 | 3.9 | 3.7 |
//!
//! What commits will be like is told by those of the generation before.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// The size of a journal's pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageSize(u32);

impl PageSize {
    /// For commits of a few small writes, and where nothing is known.
    pub(super) const SMALLEST: Self = Self(2 << 10);
    /// Larger ones gain little, and what a commit leaves empty of them has to be written as well.
    pub(super) const LARGEST: Self = Self(16 << 10);

    /// Pages that a commit should fill: of what is written, a quarter or less is then wasted.
    const FILLED: u64 = 8;

    /// What suits commits of about so many bytes.
    #[must_use]
    pub fn for_commits_of(bytes: u64) -> Self {
        let mut size = Self::SMALLEST;
        while size != Self::LARGEST && 2 * size.bytes() * Self::FILLED <= bytes {
            size = Self(2 * size.0);
        }
        size
    }

    /// In bytes.
    #[must_use]
    pub fn bytes(self) -> u64 {
        u64::from(self.0)
    }

    /// That of a database file, by its header (sqlite.org/fileformat2.html, 1.3.2); `None` where it has none.
    pub(super) fn of_file(path: &Path) -> Option<Self> {
        let mut size = [0; 2];
        File::open(path).and_then(|file| file.read_exact_at(&mut size, 16)).ok()?;
        Self::known(u16::from_be_bytes(size).into())
    }

    /// That of a write-ahead log, by its header (the same, 4.1); `None` where it has none.
    pub(super) fn of_log(log: &File) -> Option<Self> {
        let mut size = [0; 4];
        log.read_exact_at(&mut size, 8).ok()?;
        Self::known(u32::from_be_bytes(size))
    }

    /// A size that a journal may have, and nothing that damage has put into its place.
    fn known(bytes: u32) -> Option<Self> {
        let there_are = Self::SMALLEST.0..=Self::LARGEST.0;
        (bytes.is_power_of_two() && there_are.contains(&bytes)).then_some(Self(bytes))
    }
}

impl Default for PageSize {
    fn default() -> Self {
        Self::SMALLEST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_fills_eight_pages_or_more_where_they_are_not_the_smallest() {
        for (commit, page) in [
            (0, 2_048),
            (32_767, 2_048),
            (32_768, 4_096),
            (65_536, 8_192),
            (131_071, 8_192),
            (131_072, 16_384),
            (u64::MAX, 16_384),
        ] {
            assert_eq!(PageSize::for_commits_of(commit).bytes(), page, "{commit}");
        }
    }

    #[test]
    fn only_sizes_that_there_are_are_believed() {
        for (bytes, known) in
            [(0, false), (1_024, false), (2_048, true), (3_000, false), (16_384, true), (32_768, false)]
        {
            assert_eq!(PageSize::known(bytes).is_some(), known, "{bytes}");
        }
    }
}
