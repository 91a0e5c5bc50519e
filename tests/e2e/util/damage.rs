//! Data directories to damage copies of, and what their keys were given last.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::{Client, Daemon, Dice, Reply, wait_until};

/// What every key was given last; `None` where it was deleted.
pub(crate) type Last = BTreeMap<String, Option<Vec<u8>>>;

/// Three directories of one daemon: `older`, of some time before; `clean`, after a stop; `killed`, with writes in the main
/// file, in its log and in journals. The last two hold the same.
pub(crate) struct Bases {
    dir: TempDir,
    pub(crate) last: Last,
}

impl Bases {
    /// Those of a daemon that `start` starts, with so many keys.
    pub(crate) fn new(start: impl FnOnce() -> Daemon, keys: u64, dice: &mut Dice) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut daemon = start();
        let mut last = Last::new();
        write_round(&mut daemon.client(), 1, keys, dice, &mut last);
        daemon.terminate();
        copy_data(&daemon.data(), &dir.path().join("older"));
        daemon.restart();
        let mut client = daemon.client();
        for round in 2..4 {
            write_round(&mut client, round, keys, dice, &mut last);
            client.check("CLEANUP", ":0");
        }
        write_round(&mut client, 4, keys, dice, &mut last);
        // What has been forced to disk cannot be lost by a power cut: a gap in it is damage.
        let written_ms = client.stats().get("time_ms");
        wait_until("the writes to be forced to disk", || {
            // Or a sync in the very millisecond that is asked for would be the last.
            client.check("SET later 1", "+OK");
            let stats = client.stats();
            let at = stats.get("sync_last_time_ms");
            if at > written_ms { Ok(()) } else { stats.is("sync_last_time_ms", written_ms + 1) }
        });
        daemon.kill9();
        copy_data(&daemon.data(), &dir.path().join("killed"));
        daemon.restart();
        daemon.terminate();
        copy_data(&daemon.data(), &dir.path().join("clean"));
        Self { dir, last }
    }

    /// The place of a directory, or of a file in one.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

/// Writes most of so many keys, values of all sizes, and deletes some.
pub(crate) fn write_round(client: &mut Client, round: u64, keys: u64, dice: &mut Dice, last: &mut Last) {
    for number in 0..keys {
        let key = format!("key:{number:04}");
        match dice.below(10) {
            0 => {
                client.args(&["DEL", &key]);
                last.insert(key, None);
            }
            1 | 2 if last.contains_key(&key) => {}
            _ => {
                let length = if dice.below(4) == 0 { 9_000 } else { 700 };
                let value = [format!("{round}:{key}:").as_bytes(), &dice.bytes(length)].concat();
                assert_eq!(client.args(&[b"SET", key.as_bytes(), &value]), Reply::ok());
                last.insert(key, Some(value));
            }
        }
    }
}

/// Copies a data directory, without the reserve, which is not data.
pub(crate) fn copy_data(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    fs::set_permissions(to, fs::Permissions::from_mode(0o700)).unwrap();
    for file in fs::read_dir(from).unwrap().map(Result::unwrap) {
        if file.file_name() != "larder.reserve" {
            fs::copy(file.path(), to.join(file.file_name())).unwrap();
        }
    }
}

/// The largest file in `dir` whose name begins and ends so.
pub(crate) fn largest_file(dir: &Path, begins: &str, ends: &str) -> PathBuf {
    let matches = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.starts_with(begins) && name.ends_with(ends)
    };
    let files = fs::read_dir(dir).unwrap().map(|file| file.unwrap().path()).filter(matches);
    files.max_by_key(|path| fs::metadata(path).unwrap().len()).expect("there is such a file")
}
