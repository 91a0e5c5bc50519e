//! Room on the disk that is kept so that a full disk can be worked off: deleting needs room too, for the journal, for the
//! main file's log and for its checkpoint. Used by the store at start and by the keeper.
//!
//! The reserve is a file of the size that [`Budget`](super::budget::Budget) says. When the disk is full it is given up;
//! from then on only deletions are taken, and once there is room for the file again, and some beside it, everything is.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate};

use crate::files;

/// The reserve, held or given up.
#[derive(Debug)]
pub(super) struct Reserve {
    path: PathBuf,
    bytes: u64,
    held: bool,
}

impl Reserve {
    /// The reserve in `dir`, of `bytes`, taken if there is room for it.
    pub(super) fn open(dir: &Path, bytes: u64) -> Self {
        let mut reserve = Self { path: path_in(dir), bytes, held: false };
        if let Err(error) = reserve.take() {
            tracing::warn!(
                "no room for the reserve of {bytes} bytes in {}: {error}; only deletions are taken",
                dir.display()
            );
        }
        reserve
    }

    /// Whether the room is there.
    pub(super) fn is_held(&self) -> bool {
        self.held
    }

    /// Gives the room up; false where it was given up before.
    pub(super) fn give_up(&mut self) -> bool {
        let had = std::mem::take(&mut self.held);
        remove(&self.path);
        had
    }

    /// Takes the room again, all of it or none.
    ///
    /// # Errors
    /// Where there is not enough.
    pub(super) fn take(&mut self) -> std::io::Result<()> {
        if self.held {
            return Ok(());
        }
        let taken = allocate(&self.path, self.bytes);
        if taken.is_err() {
            remove(&self.path);
        }
        self.held = taken.is_ok();
        taken
    }
}

/// Gives up the reserve that an earlier run left in `dir`; whether there was one.
pub(super) fn give_up_in(dir: &Path) -> bool {
    std::fs::remove_file(path_in(dir)).is_ok()
}

fn path_in(dir: &Path) -> PathBuf {
    dir.join("larder.reserve")
}

fn remove(path: &Path) {
    if let Err(error) = files::remove(path) {
        tracing::warn!("cannot give up {}: {error}", path.display());
    }
}

fn allocate(path: &Path, bytes: u64) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
    if file.metadata()?.len() > bytes {
        file.set_len(bytes)?;
    }
    match fallocate(&file, FallocateFlags::empty(), 0, bytes) {
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => write_zeros(&mut file, bytes),
        other => Ok(other?),
    }
}

/// For file systems that cannot allocate without writing.
fn write_zeros(file: &mut File, bytes: u64) -> std::io::Result<()> {
    const PIECE: u64 = 1 << 20;
    let zeros = vec![0; PIECE as usize];
    let mut left = bytes;
    while left > 0 {
        let piece = left.min(PIECE);
        file.write_all(&zeros[..piece as usize])?;
        left -= piece;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt as _;

    #[test]
    fn it_takes_up_real_room_and_gives_it_back() {
        let dir = tempfile::tempdir().unwrap();
        let mut reserve = Reserve::open(dir.path(), 1 << 20);
        let file = path_in(dir.path());
        assert!(reserve.is_held() && file.metadata().unwrap().blocks() * 512 >= 1 << 20);
        assert!(reserve.give_up() && !reserve.give_up() && !file.exists());
        reserve.take().unwrap();
        let smaller = Reserve::open(dir.path(), 4096);
        assert!(smaller.is_held());
        assert_eq!(file.metadata().unwrap().len(), 4096);
        assert!(give_up_in(dir.path()) && !give_up_in(dir.path()));
    }

    #[test]
    fn where_there_is_not_enough_nothing_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let reserve = Reserve::open(dir.path(), 1 << 60);
        assert!(!reserve.is_held() && !path_in(dir.path()).exists());
    }

    #[test]
    fn zeros_are_written_where_nothing_else_works() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("zeros");
        write_zeros(&mut File::create(&path).unwrap(), (1 << 20) + 17).unwrap();
        assert_eq!(path.metadata().unwrap().len(), (1 << 20) + 17);
    }
}
