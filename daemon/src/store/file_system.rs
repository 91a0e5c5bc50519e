//! How large the file system is that files lie on, and how much of it is free.

use std::path::Path;

use super::StoreError;

/// Bytes of a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileSystem {
    /// All there are.
    pub bytes: u64,
    /// Those that are left for this process: some file systems keep a part for root.
    pub free_bytes: u64,
}

/// Not a limit: some file systems count nothing.
const UNKNOWN: FileSystem = FileSystem { bytes: u64::MAX, free_bytes: u64::MAX };

impl FileSystem {
    /// The one that `directory` lies on.
    ///
    /// # Errors
    /// Where the system does not tell.
    pub fn of(directory: &Path) -> Result<Self, StoreError> {
        let seen = rustix::fs::statvfs(directory)
            .map_err(|errno| StoreError::io("look at the file system of", directory)(errno.into()))?;
        if seen.f_blocks == 0 {
            return Ok(UNKNOWN);
        }
        let free = if rustix::process::geteuid().is_root() { seen.f_bfree } else { seen.f_bavail };
        Ok(Self {
            bytes: seen.f_blocks.saturating_mul(seen.f_frsize),
            free_bytes: free.saturating_mul(seen.f_frsize),
        })
    }

    /// What is left of the one that `directory` lies on; as much as one can think of where the system does not tell.
    #[must_use]
    pub fn free_bytes_of(directory: &Path) -> u64 {
        Self::of(directory).unwrap_or(UNKNOWN).free_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_counts_nothing_is_no_limit_and_one_that_is_not_there_neither() {
        let seen = FileSystem::of(Path::new("/")).unwrap();
        assert!(seen.free_bytes <= seen.bytes && seen.bytes < u64::MAX, "{seen:?}");
        assert_eq!(FileSystem::of(Path::new("/proc")).unwrap(), UNKNOWN);
        assert!(FileSystem::of(Path::new("/nowhere")).is_err());
        assert_eq!(FileSystem::free_bytes_of(Path::new("/nowhere")), u64::MAX);
    }
}
