//! Which commit a directory is. Used by the build, and by the test of what it finds.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Letters of a commit's name that are shown.
const SHOWN: usize = 12;

/// What is checked out.
#[derive(Debug)]
pub struct Commit {
    /// The beginning of its name.
    pub name: String,
    /// The files that git changes with it.
    pub changes_with: Vec<PathBuf>,
}

impl Commit {
    /// That of the repository in this directory, where it is one: a tarball unpacked within another repository has none.
    #[must_use]
    pub fn of(directory: &Path) -> Option<Self> {
        let git = |args: &[&str]| {
            let output = Command::new("git").arg("-C").arg(directory).args(args).output().ok()?;
            let text = String::from_utf8(output.stdout).ok()?;
            output.status.success().then(|| text.trim_end().to_owned())
        };
        let top = PathBuf::from(git(&["rev-parse", "--show-toplevel"])?);
        if top.canonicalize().ok()? != directory.canonicalize().ok()? {
            return None;
        }
        let mut name = git(&["rev-parse", "HEAD"])?;
        name.truncate(SHOWN);
        let files = ["HEAD", "logs/HEAD"].iter().filter_map(|file| git(&["rev-parse", "--git-path", file]));
        let changes_with = files.map(|file| top.join(file)).filter(|file| file.exists()).collect();
        Some(Self { name, changes_with })
    }
}
