//! How large the file system is that files lie on, and how much of it is free.

use std::path::Path;

use super::StoreError;

/// Bytes of a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileSystem {
    /// All there are.
    pub bytes: u64,
    /// Those that are left for whoever is not root.
    pub free_bytes: u64,
}

impl FileSystem {
    /// The one that `directory` lies on.
    ///
    /// # Errors
    /// Where the system does not tell.
    pub fn of(directory: &Path) -> Result<Self, StoreError> {
        let seen = rustix::fs::statvfs(directory)
            .map_err(|errno| StoreError::io("look at the file system of", directory)(errno.into()))?;
        Ok(Self {
            bytes: seen.f_blocks.saturating_mul(seen.f_frsize),
            free_bytes: seen.f_bavail.saturating_mul(seen.f_frsize),
        })
    }

    /// What is left of the one that `directory` lies on; as much as one can think of where the system does not tell.
    #[must_use]
    pub fn free_bytes_of(directory: &Path) -> u64 {
        Self::of(directory).map_or(u64::MAX, |seen| seen.free_bytes)
    }
}
