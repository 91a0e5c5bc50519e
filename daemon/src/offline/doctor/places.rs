//! The data directory, what is in it, and the room it has.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::Finding;
use crate::config::Settings;
use crate::endpoint::{User, examine_directory};
use crate::offline::{count, human};

/// Below this there is hardly room for the files of an empty cache.
const ROOM_MIN_BYTES: u64 = 64 << 20;

/// As whom the daemon runs, or would: us; or, where we are root, whom the data belongs to.
pub(super) fn owner(data: &Path) -> User {
    let us = User::of_process();
    match fs::metadata(data) {
        Ok(metadata) if us.uid == 0 => User { uid: metadata.uid(), gid: metadata.gid() },
        _ => us,
    }
}

pub(super) fn data(data: &Path, user: User) -> Vec<Finding> {
    const WHAT: &str = "data";
    let place = data.display();
    match examine_directory(data, user) {
        // The text says what to do as well.
        Err(error) => vec![Finding::wrong(WHAT, error.to_string(), format!("then look again at {place}"))],
        Ok(false) => vec![Finding::fine(WHAT, format!("{place} is not there; a start makes it"))],
        Ok(true) => {
            let mode = fs::metadata(data).map_or(0, |metadata| metadata.mode() & 0o7777);
            let found = Finding::fine(WHAT, format!("{place}, mode {mode:04o}, user {}", user.uid));
            let open = is_open(mode).then(|| {
                let text = format!("{place} can be entered by others (mode {mode:04o})");
                Finding::odd(WHAT, text, format!("chmod 0700 {place}"))
            });
            [Some(found), open, Some(files(data, user))].into_iter().flatten().collect()
        }
    }
}

/// Whether anybody but the owner may do anything.
fn is_open(mode: u32) -> bool {
    const OTHERS: u32 = 0o077;
    mode & OTHERS != 0
}

/// The files in it belong to the daemon alone.
fn files(data: &Path, user: User) -> Finding {
    const WHAT: &str = "files";
    let entries = match fs::read_dir(data) {
        Ok(entries) => entries,
        Err(error) => {
            let text = format!("cannot look into {}: {error}", data.display());
            return Finding::wrong(WHAT, text, "run this as the daemon's user or as root");
        }
    };
    let mut seen = 0;
    for entry in entries.flatten() {
        let path = entry.path();
        // Gone meanwhile, as journals are.
        let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
        seen += 1;
        if metadata.uid() != user.uid {
            let whose =
                if metadata.uid() == 0 { "root".to_owned() } else { format!("user {}", metadata.uid()) };
            let text = format!("{} belongs to {whose}, and the daemon is user {}", path.display(), user.uid);
            return Finding::wrong(WHAT, text, format!("chown {} {}", user.uid, path.display()));
        }
        let mode = metadata.mode() & 0o7777;
        if metadata.is_file() && is_open(mode) {
            let text = format!("{} is not for its owner alone (mode {mode:04o})", path.display());
            return Finding::odd(WHAT, text, format!("chmod 0600 {}", path.display()));
        }
    }
    Finding::fine(WHAT, format!("{} of user {}, for it alone", count(seen, "file", "files"), user.uid))
}

/// Whether the disk has the room that the settings let larder take.
pub(super) fn room(settings: &Settings) -> Option<Finding> {
    const WHAT: &str = "disk";
    let place = settings.data.ancestors().find(|place| place.is_dir())?;
    let disk = match rustix::fs::statvfs(place) {
        Ok(disk) => disk,
        Err(error) => {
            let text = format!("cannot tell how much room {} has: {error}", place.display());
            return Some(Finding::odd(WHAT, text, "look at df"));
        }
    };
    let used = taken(&settings.data);
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    Some(judge(used, free, disk.f_favail, disk.f_files, settings.disk_cap()))
}

fn judge(used: u64, free: u64, files_free: u64, files_all: u64, cap: Option<u64>) -> Finding {
    const WHAT: &str = "disk";
    // Some file systems have no table of files, and say 0 for its size.
    if files_all > 0 && files_free == 0 {
        return Finding::wrong(WHAT, "no more files can be made there (df -i)", "remove some");
    }
    let wanted = cap.map(|cap| cap.saturating_sub(used));
    if free < ROOM_MIN_BYTES && wanted.is_none_or(|wanted| wanted > free) {
        let text = format!("only {} are free", human(free));
        return Finding::wrong(WHAT, text, "make room, or put the data elsewhere with --data");
    }
    let has = format!("larder takes {}, {} are free", human(used), human(free));
    match wanted {
        None => Finding::odd(WHAT, format!("{has}, and disk_cap sets no limit"), "set disk_cap"),
        Some(wanted) if wanted > free => {
            let text = format!("{has}, and disk_cap lets it take {} more", human(wanted));
            let advice = format!("make room, or set disk_cap to {}MiB at most", (used + free) >> 20);
            Finding::odd(WHAT, text, advice)
        }
        Some(_) => Finding::fine(WHAT, has),
    }
}

/// Bytes that the files in the data directory take.
fn taken(data: &Path) -> u64 {
    let entries = fs::read_dir(data).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.metadata().ok()).map(|metadata| metadata.blocks() * 512).sum()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::offline::doctor::Verdict;

    const GIB: u64 = 1 << 30;

    #[test]
    fn room_is_judged_by_what_larder_may_take() {
        for (used, free, files_free, cap, verdict) in [
            (GIB, 20 * GIB, 9, Some(10 * GIB), Verdict::Fine),
            (GIB, 5 * GIB, 9, Some(10 * GIB), Verdict::Odd),
            (GIB, 5 * GIB, 9, None, Verdict::Odd),
            (GIB, 1 << 20, 9, Some(10 * GIB), Verdict::Wrong),
            (10 * GIB, 1 << 20, 9, Some(10 * GIB), Verdict::Fine),
            (GIB, 20 * GIB, 0, Some(10 * GIB), Verdict::Wrong),
        ] {
            let finding = judge(used, free, files_free, 100, cap);
            assert_eq!(finding.verdict, verdict, "{finding:?}");
        }
        assert_eq!(judge(0, GIB, 0, 0, Some(GIB)).verdict, Verdict::Fine, "no table of files");
    }

    #[test]
    fn files_for_others_are_named() {
        let base = tempfile::tempdir().unwrap();
        let place = base.path().join("data");
        fs::create_dir(&place).unwrap();
        fs::set_permissions(&place, fs::Permissions::from_mode(0o700)).unwrap();
        let user = User::of_process();
        let file = place.join("larder.db");
        fs::write(&file, "").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        let finding = files(&place, user);
        assert_eq!(finding.verdict, Verdict::Odd);
        assert_eq!(finding.advice, Some(format!("chmod 0600 {}", file.display())));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(files(&place, user).verdict, Verdict::Fine);
        let other = User { uid: user.uid + 1, gid: user.gid };
        assert_eq!(files(&place, other).verdict, Verdict::Wrong);
    }
}
