//! The list of hot keys: what the memory tier held when it was saved, so that the next start can bring it back. Written
//! and read by the cache, on threads that may block; knows nothing of what the keys stand for.
//!
//! ```text
//! file     = "LRDRHOT" version:u8 count:u32le key* checksum:u64le
//! key      = len:u32le byte*                        in ascending order, none twice
//! checksum = XXH3-64 of everything before it
//! ```
//! Losing the list costs a cold start and nothing else. So it is not forced to disk, and whatever is wrong with it when
//! it is read is no error: it is ignored. Values are not in it, so nothing in it can be stale.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

use super::error::StoreError;
use super::part;
use crate::entry::Key;
use crate::files;

/// The largest list that is written or read: some 300,000 keys of 22 bytes.
pub(super) const BYTES_MAX: u64 = 8 << 20;

const MAGIC: &[u8; 7] = b"LRDRHOT";
const VERSION: u8 = 1;
const HEADER_BYTES: usize = 12;
const CHECKSUM_BYTES: usize = 8;

/// The list in a data directory.
#[derive(Debug)]
pub struct HotList {
    path: PathBuf,
    new_path: PathBuf,
    bytes_max: usize,
    /// The checksum of what the file holds, as far as this process knows.
    held: Option<[u8; CHECKSUM_BYTES]>,
}

impl HotList {
    /// The list in `dir`, which may be missing, to be written with at most `bytes_max`.
    #[must_use]
    pub fn in_dir(dir: &Path, bytes_max: u64) -> Self {
        Self {
            path: dir.join("larder.hot"),
            new_path: dir.join("larder.hot.new"),
            bytes_max: bytes_max.min(BYTES_MAX) as usize,
            held: None,
        }
    }

    /// Whether the file called `name` is the list, or a new one that is being written.
    pub(super) fn owns(name: &str) -> bool {
        matches!(name, "larder.hot" | "larder.hot.new")
    }

    /// Bytes there are for keys, each taking what [`bytes_of`](Self::bytes_of) says.
    #[must_use]
    pub fn room_bytes(&self) -> usize {
        self.bytes_max.saturating_sub(HEADER_BYTES + CHECKSUM_BYTES)
    }

    /// Bytes that `key` takes in the list.
    #[must_use]
    pub fn bytes_of(key: &[u8]) -> usize {
        size_of::<u32>() + key.len()
    }

    /// The keys of the list, in ascending order; none where there is no list, or none that can be used.
    #[must_use]
    pub fn read(&self) -> Vec<Key> {
        let ignored = match self.read_file() {
            Ok(None) => return Vec::new(),
            Ok(Some(bytes)) => match decode(&bytes) {
                Ok(keys) => return keys,
                Err(why) => why.to_owned(),
            },
            Err(error) => error.to_string(),
        };
        tracing::warn!("the list of hot keys {} is ignored: {ignored}", self.path.display());
        Vec::new()
    }

    /// The file's content, and a byte more than is allowed where it is too large.
    fn read_file(&self) -> std::io::Result<Option<Vec<u8>>> {
        let kind = match std::fs::symlink_metadata(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            found => found?.file_type(),
        };
        if !kind.is_file() {
            // Opening a pipe would wait for whoever writes to it.
            return Err(std::io::Error::other("it is not a regular file"));
        }
        let mut bytes = Vec::new();
        File::open(&self.path)?.take(BYTES_MAX + 1).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    /// Puts `keys`, which are in ascending order and fit into [`room_bytes`](Self::room_bytes), in the place of what the
    /// list held. Does nothing where it holds them already.
    ///
    /// # Errors
    /// Where it cannot be written; the old list stands then.
    pub fn write(&mut self, keys: &[Key]) -> Result<(), StoreError> {
        let (bytes, checksum) = encode(keys);
        debug_assert!(bytes.len() <= self.bytes_max, "{} of {} bytes", bytes.len(), self.bytes_max);
        if self.held == Some(checksum) {
            return Ok(());
        }
        self.write_new(&bytes).inspect_err(|_| {
            // Best effort: the next list takes its place.
            let _ = std::fs::remove_file(&self.new_path);
        })?;
        std::fs::rename(&self.new_path, &self.path)
            .map_err(StoreError::io("put in place", &self.new_path))?;
        self.held = Some(checksum);
        Ok(())
    }

    fn write_new(&self, bytes: &[u8]) -> Result<(), StoreError> {
        if let Some(dir) = self.path.parent() {
            // As much again stays free: a list must not be what fills the disk.
            part::need_room("the list of hot keys", dir, 2 * bytes.len() as u64)?;
        }
        // What a process that died has left, perhaps with another mode.
        files::remove(&self.new_path).map_err(StoreError::io("remove", &self.new_path))?;
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        let written = options.open(&self.new_path).and_then(|mut file| file.write_all(bytes));
        written.map_err(StoreError::io("write", &self.new_path))
    }

    /// Removes the list, for a daemon that keeps none: it would be out of date when one is wanted again.
    pub fn remove(&self) {
        for path in [&self.path, &self.new_path] {
            if let Err(error) = files::remove(path) {
                tracing::warn!("cannot remove {}: {error}", path.display());
            }
        }
    }
}

/// The file that holds `keys`, and its checksum.
fn encode(keys: &[Key]) -> (Vec<u8>, [u8; CHECKSUM_BYTES]) {
    let content: usize = keys.iter().map(|key| HotList::bytes_of(key)).sum();
    let mut bytes = Vec::with_capacity(HEADER_BYTES + content + CHECKSUM_BYTES);
    bytes.extend_from_slice(MAGIC);
    bytes.push(VERSION);
    bytes.extend_from_slice(&(keys.len() as u32).to_le_bytes());
    for key in keys {
        bytes.extend_from_slice(&(key.len() as u32).to_le_bytes());
        bytes.extend_from_slice(key);
    }
    let checksum = xxh3_64(&bytes).to_le_bytes();
    bytes.extend_from_slice(&checksum);
    (bytes, checksum)
}

/// The keys in a file, or what is wrong with it.
fn decode(file: &[u8]) -> Result<Vec<Key>, &'static str> {
    const CUT_OFF: &str = "it is cut off";
    if file.len() as u64 > BYTES_MAX {
        return Err("it is too large");
    }
    let body = file.strip_prefix(MAGIC).ok_or("it is something else, or cut off")?;
    let (&version, _) = body.split_first().ok_or(CUT_OFF)?;
    if version != VERSION {
        return Err("it has another version, or is damaged");
    }
    let (content, checksum) = file.split_last_chunk::<CHECKSUM_BYTES>().ok_or(CUT_OFF)?;
    if xxh3_64(content).to_le_bytes() != *checksum {
        return Err("its checksum is wrong");
    }
    // With the checksum right this is what some larder has written. That it is sound is checked all the same.
    let mut left = content.get(MAGIC.len() + 1..).ok_or(CUT_OFF)?;
    let count = take_u32(&mut left).ok_or(CUT_OFF)?;
    // Each key takes its length at least, so a wrong count cannot ask for more memory than the file is worth.
    let mut keys: Vec<Key> = Vec::with_capacity(count.min(left.len() / size_of::<u32>()));
    for _ in 0..count {
        let len = take_u32(&mut left).ok_or(CUT_OFF)?;
        let (key, rest) = left.split_at_checked(len).ok_or(CUT_OFF)?;
        if keys.last().is_some_and(|last| **last >= *key) {
            return Err("its keys are out of order");
        }
        keys.push(key.into());
        left = rest;
    }
    if left.is_empty() { Ok(keys) } else { Err("there is more in it than its keys") }
}

fn take_u32(bytes: &mut &[u8]) -> Option<usize> {
    let (number, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    usize::try_from(u32::from_le_bytes(*number)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn keys(texts: &[&str]) -> Vec<Key> {
        texts.iter().map(|text| text.as_bytes().into()).collect()
    }

    fn some_keys() -> Vec<Key> {
        keys(&["", "a", "a key of more than twenty-two bytes", "b", "\u{ff}"])
    }

    /// `content` with a checksum that is right for it.
    fn signed(content: &[u8]) -> Vec<u8> {
        [content, &xxh3_64(content).to_le_bytes()].concat()
    }

    #[test]
    fn what_is_written_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let mut list = HotList::in_dir(dir.path(), BYTES_MAX);
        assert!(list.read().is_empty());
        for keys in [keys(&[]), some_keys(), keys(&["other"])] {
            list.write(&keys).unwrap();
            assert_eq!(list.read(), keys);
            assert_eq!(HotList::in_dir(dir.path(), BYTES_MAX).read(), keys);
        }
        let mode = std::fs::metadata(dir.path().join("larder.hot")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "no other file is left");
        list.remove();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn every_truncation_and_every_flipped_bit_is_noticed() {
        let (file, _) = encode(&some_keys());
        assert_eq!(decode(&file), Ok(some_keys()));
        for end in 0..file.len() {
            assert!(decode(&file[..end]).is_err(), "cut off at {end}");
        }
        for at in 0..file.len() {
            for bit in 0..8 {
                let mut flipped = file.clone();
                flipped[at] ^= 1 << bit;
                assert!(decode(&flipped).is_err(), "bit {bit} of byte {at}");
            }
        }
    }

    #[test]
    fn a_right_checksum_is_not_enough() {
        let (file, _) = encode(&keys(&["a", "b"]));
        let content = &file[..file.len() - CHECKSUM_BYTES];
        assert!(decode(&signed(content)).is_ok());
        let with = |at: usize, byte: u8| {
            let mut content = content.to_vec();
            content[at] = byte;
            decode(&signed(&content)).unwrap_err()
        };
        assert_eq!(with(7, 2), "it has another version, or is damaged");
        assert_eq!(with(8, 1), "there is more in it than its keys");
        assert_eq!(with(8, 3), "it is cut off");
        assert_eq!(with(11, 255), "it is cut off");
        assert_eq!(with(15, 255), "it is cut off");
        assert_eq!(with(16, b'c'), "its keys are out of order");
        assert_eq!(with(16, b'b'), "its keys are out of order");
        for end in 0..content.len() {
            assert!(decode(&signed(&content[..end])).is_err(), "cut off at {end}");
        }
    }

    #[test]
    fn what_cannot_be_used_is_ignored_and_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("larder.hot");
        let mut list = HotList::in_dir(dir.path(), BYTES_MAX);
        let too_large = vec![0; BYTES_MAX as usize + 2];
        for garbage in [&b""[..], b"garbage", &too_large] {
            std::fs::write(&path, garbage).unwrap();
            assert!(list.read().is_empty());
        }
        list.write(&some_keys()).unwrap();
        assert_eq!(list.read(), some_keys());
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert!(list.read().is_empty());
        assert!(list.write(&keys(&["k"])).is_err());
    }

    #[test]
    fn a_list_that_is_as_it_was_is_not_written_again() {
        let dir = tempfile::tempdir().unwrap();
        let mut list = HotList::in_dir(dir.path(), BYTES_MAX);
        list.write(&some_keys()).unwrap();
        std::fs::remove_file(dir.path().join("larder.hot")).unwrap();
        list.write(&some_keys()).unwrap();
        assert!(list.read().is_empty());
        list.write(&keys(&["k"])).unwrap();
        assert_eq!(list.read(), keys(&["k"]));
    }
}
