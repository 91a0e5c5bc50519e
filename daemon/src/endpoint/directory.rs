//! Directories only the daemon's user can change.

use std::fs::{self, DirBuilder, Metadata};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use rustix::process::{getegid, geteuid};

use super::EndpointError;

const WRITABLE_BY_GROUP: u32 = 0o020;
const WRITABLE_BY_OTHERS: u32 = 0o002;
const STICKY: u32 = 0o1000;

/// What may be shared about a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Share {
    /// Nothing: it holds the data.
    Private,
    /// Others may add entries as long as the sticky bit keeps them from touching ours: /tmp, or a place above ours.
    Sticky,
}

/// Makes sure that there is a directory for the data that only its owner, us or root, can change. What is missing on
/// the way is created with mode 0700.
///
/// # Errors
/// When something on the way can be changed by others, or the system refuses.
pub fn prepare_directory(path: &Path) -> Result<(), EndpointError> {
    prepare(path, Share::Private)
}

/// The same for a directory that holds a socket, which someone may want in /tmp.
pub(super) fn prepare_for_socket(path: &Path) -> Result<(), EndpointError> {
    prepare(path, Share::Sticky)
}

/// Checks what [`prepare_directory`] would, for a daemon of user `us`, and creates nothing. Whether the directory is there.
///
/// # Errors
/// As there.
pub fn examine_directory(path: &Path, us: User) -> Result<bool, EndpointError> {
    examine(path, Share::Private, us)
}

/// The same for a directory that holds a socket.
///
/// # Errors
/// As there.
pub fn examine_for_socket(path: &Path, us: User) -> Result<bool, EndpointError> {
    examine(path, Share::Sticky, us)
}

/// Whose directories are trusted, besides root's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct User {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

impl User {
    /// The one that this process runs as.
    #[must_use]
    pub fn of_process() -> Self {
        Self { uid: geteuid().as_raw(), gid: getegid().as_raw() }
    }
}

fn examine(path: &Path, share: Share, us: User) -> Result<bool, EndpointError> {
    let path = std::path::absolute(path).map_err(EndpointError::system("resolve", path))?;
    let missing = missing(&path)?;
    check_way(missing.last().and_then(|first| first.parent()).unwrap_or(&path), us)?;
    if missing.is_empty() {
        check_end(&path, share, us)?;
    }
    Ok(missing.is_empty())
}

/// The path and its ancestors as far as they do not exist, from the end up.
fn missing(path: &Path) -> Result<Vec<&Path>, EndpointError> {
    let mut missing = Vec::new();
    let mut existing = path;
    while let Err(error) = fs::symlink_metadata(existing) {
        if error.kind() != io::ErrorKind::NotFound {
            return Err(EndpointError::system("look at", existing)(error));
        }
        missing.push(existing);
        existing = existing.parent().expect("the root directory exists");
    }
    Ok(missing)
}

fn prepare(path: &Path, share: Share) -> Result<(), EndpointError> {
    let us = User::of_process();
    let path = std::path::absolute(path).map_err(EndpointError::system("resolve", path))?;
    // What exists is checked before anything is created in it.
    let missing = missing(&path)?;
    check_way(missing.last().and_then(|first| first.parent()).unwrap_or(&path), us)?;
    for directory in missing.into_iter().rev() {
        match DirBuilder::new().mode(0o700).create(directory) {
            // Someone else, perhaps another daemon, made it meanwhile: the check below decides.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            result => result.map_err(EndpointError::system("create directory", directory))?,
        }
    }
    check_end(&path, share, us)
}

/// Checks the directory itself.
fn check_end(path: &Path, share: Share, us: User) -> Result<(), EndpointError> {
    let metadata = fs::symlink_metadata(path).map_err(EndpointError::system("look at", path))?;
    if metadata.is_symlink() {
        return Err(EndpointError::Untrusted {
            path: path.to_path_buf(),
            what: "is a symbolic link".to_owned(),
            consequence: "its place could be moved while the daemon runs",
            advice: "name the directory it leads to",
        });
    }
    check(path, &metadata, share, us)
}

/// Checks every directory from the root down to `path`, through the links on the way, whose owners count too.
fn check_way(path: &Path, us: User) -> Result<(), EndpointError> {
    for step in steps(path) {
        let metadata = fs::symlink_metadata(&step).map_err(EndpointError::system("look at", &step))?;
        if metadata.is_symlink() {
            check_owned(&step, &metadata, us.uid)?;
        }
    }
    let real = fs::canonicalize(path).map_err(EndpointError::system("resolve", path))?;
    for step in steps(&real) {
        let metadata = fs::symlink_metadata(&step).map_err(EndpointError::system("look at", &step))?;
        check(&step, &metadata, Share::Sticky, us)?;
    }
    Ok(())
}

/// The path's ancestors and itself, from the root down.
fn steps(path: &Path) -> Vec<PathBuf> {
    let mut steps: Vec<_> = path.ancestors().map(Path::to_path_buf).collect();
    steps.reverse();
    steps
}

fn check(path: &Path, metadata: &Metadata, share: Share, us: User) -> Result<(), EndpointError> {
    if !metadata.is_dir() {
        let source = io::Error::from(io::ErrorKind::NotADirectory);
        return Err(EndpointError::system("use", path)(source));
    }
    check_owned(path, metadata, us.uid)?;
    let Some(whose) = changeable_by(metadata.mode(), metadata.gid(), us.gid, share) else {
        return Ok(());
    };
    Err(EndpointError::Untrusted {
        path: path.to_path_buf(),
        what: format!("can be changed by {whose} (mode {:04o})", metadata.mode() & 0o7777),
        consequence: "the data and the socket could be replaced",
        advice: "take that away with chmod go-w, or name another place with --socket and --data",
    })
}

/// Who, besides its owner, can change a directory; `None` is nobody we need to mind. A group is trusted when it is
/// root's or our own: where each user has a group alone, directories are made group-writable as a matter of course.
fn changeable_by(mode: u32, group: u32, our_group: u32, share: Share) -> Option<&'static str> {
    if share == Share::Sticky && mode & STICKY != 0 {
        None
    } else if mode & WRITABLE_BY_OTHERS != 0 {
        Some("everyone")
    } else if mode & WRITABLE_BY_GROUP != 0 && group != 0 && group != our_group {
        Some("its group")
    } else {
        None
    }
}

/// Fails unless what `metadata` describes belongs to us or root.
pub(super) fn check_owner(path: &Path, metadata: &Metadata) -> Result<(), EndpointError> {
    check_owned(path, metadata, geteuid().as_raw())
}

fn check_owned(path: &Path, metadata: &Metadata, us: u32) -> Result<(), EndpointError> {
    if is_trusted(metadata.uid(), us) {
        return Ok(());
    }
    Err(EndpointError::Untrusted {
        path: path.to_path_buf(),
        what: format!("belongs to user {} and not to user {us} or root", metadata.uid()),
        consequence: "its owner could replace what is there",
        advice: "run larderd as that user, or name another place with --socket and --data",
    })
}

fn is_trusted(owner: u32, us: u32) -> bool {
    owner == us || owner == 0
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, chown, symlink};

    use super::super::private_tempdir;
    use super::*;

    fn chmod(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().mode() & 0o7777
    }

    #[test]
    fn missing_directories_are_created_for_us_alone() {
        let base = private_tempdir();
        let deep = base.path().join("a/b/c");
        prepare_directory(&deep).unwrap();
        for directory in [base.path().join("a"), base.path().join("a/b"), deep.clone()] {
            assert_eq!(mode(&directory), 0o700, "{}", directory.display());
        }
        prepare_directory(&deep).unwrap();
    }

    #[test]
    fn looking_creates_nothing_and_finds_the_same() {
        let base = private_tempdir();
        let us = User::of_process();
        let deep = base.path().join("a/b");
        assert!(!examine_directory(&deep, us).unwrap());
        assert!(!base.path().join("a").exists());
        prepare_directory(&deep).unwrap();
        assert!(examine_directory(&deep, us).unwrap());
        let stranger = User { uid: us.uid + 1, gid: us.gid + 1 };
        if us.uid != 0 {
            assert!(examine_directory(&deep, stranger).is_err());
        }
        chmod(&deep, 0o1777);
        assert!(examine_directory(&deep, us).is_err());
        assert!(examine_for_socket(&deep, us).unwrap());
        assert!(examine_directory(&deep.join("inside"), us).is_ok_and(|there| !there));
    }

    #[test]
    fn a_directory_everyone_can_change_is_refused() {
        let base = private_tempdir();
        let open = base.path().join("open");
        fs::create_dir(&open).unwrap();
        chmod(&open, 0o777);
        let error = prepare_directory(&open).unwrap_err().to_string();
        assert!(
            error.contains("open can be changed by everyone (mode 0777)") && error.contains("chmod"),
            "{error}"
        );
        // Nor is one created inside it.
        assert!(prepare_directory(&open.join("inside")).is_err());
        assert!(!open.join("inside").exists());
        // The sticky bit protects a socket's directory and what is further in, but not the data itself.
        chmod(&open, 0o1777);
        assert!(prepare_directory(&open).is_err());
        prepare_for_socket(&open).unwrap();
        prepare_directory(&open.join("inside")).unwrap();
    }

    #[test]
    fn groups_are_trusted_when_they_are_ours_or_roots() {
        assert_eq!(changeable_by(0o775, 1000, 1000, Share::Private), None);
        assert_eq!(changeable_by(0o775, 0, 1000, Share::Private), None);
        assert_eq!(changeable_by(0o775, 50, 1000, Share::Private), Some("its group"));
        assert_eq!(changeable_by(0o1775, 50, 1000, Share::Sticky), None);
        assert_eq!(changeable_by(0o755, 50, 1000, Share::Private), None);
        assert_eq!(changeable_by(0o777, 1000, 1000, Share::Private), Some("everyone"));
    }

    #[test]
    fn links_are_followed_on_the_way_but_not_at_its_end() {
        let base = private_tempdir();
        let real = base.path().join("real");
        prepare_directory(&real).unwrap();
        let link = base.path().join("link");
        symlink(&real, &link).unwrap();
        let error = prepare_directory(&link).unwrap_err().to_string();
        assert!(error.contains("is a symbolic link"), "{error}");
        prepare_directory(&link.join("inside")).unwrap();
        assert!(real.join("inside").is_dir());
        // A link into a directory others can change does not hide that.
        chmod(&real, 0o777);
        assert!(prepare_directory(&link.join("other")).is_err());
    }

    #[test]
    fn only_we_and_root_are_trusted() {
        assert!(is_trusted(1000, 1000) && is_trusted(0, 1000) && is_trusted(0, 0));
        assert!(!is_trusted(1001, 1000) && !is_trusted(1000, 0));
        if geteuid().as_raw() != 0 {
            return; // Only root can give a directory away to try it for real.
        }
        let base = private_tempdir();
        let foreign = base.path().join("foreign");
        prepare_directory(&foreign).unwrap();
        chown(&foreign, Some(65_534), None).unwrap();
        for path in [&foreign, &foreign.join("inside")] {
            let error = prepare_directory(path).unwrap_err().to_string();
            assert!(error.contains("foreign belongs to user 65534"), "{error}");
        }
    }

    #[test]
    fn a_file_in_the_way_is_an_error() {
        let base = private_tempdir();
        let file = base.path().join("file");
        fs::write(&file, "").unwrap();
        for path in [&file, &file.join("inside")] {
            assert!(matches!(prepare_directory(path), Err(EndpointError::System { .. })));
        }
    }
}
