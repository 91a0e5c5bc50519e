//! Finds out which commit is built, for `larderd --version`.
//!
//! `LARDER_COMMIT` says so, for packagers and for builds from a tarball. Otherwise git is asked, by release builds alone:
//! whoever develops would build the daemon anew after every commit. Where neither knows, the version does without.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Letters of a commit's name that are shown.
const SHOWN: usize = 12;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=LARDER_COMMIT");
    let said = std::env::var("LARDER_COMMIT").ok().filter(|said| !said.is_empty());
    let release = std::env::var("PROFILE").is_ok_and(|profile| profile == "release");
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let found = if release { Commit::of(&repository) } else { None };
    for file in found.iter().flat_map(|commit| &commit.changes_with) {
        println!("cargo::rerun-if-changed={}", file.display());
    }
    let commit = said.or_else(|| found.map(|commit| commit.name)).unwrap_or_default();
    println!("cargo::rustc-env=LARDER_COMMIT={commit}");
}

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
