//! Finds out which commit is built, for `larderd --version`.
//!
//! `LARDER_COMMIT` says so, for packagers and for builds from a tarball. Otherwise git is asked, by release builds alone:
//! whoever develops would build the daemon anew after every commit. Where neither knows, the version does without.

#[path = "build/commit.rs"]
mod commit;

use std::path::Path;

use commit::Commit;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=build");
    println!("cargo::rerun-if-env-changed=LARDER_COMMIT");
    let said = std::env::var("LARDER_COMMIT").ok().filter(|said| !said.is_empty());
    let release = std::env::var("PROFILE").is_ok_and(|profile| profile == "release");
    // Asked for when it runs: built once, it may run for another checkout that shares the target directory.
    let package = std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo says where the package is");
    let repository = Path::new(&package).join("..");
    let found = if release { Commit::of(&repository) } else { None };
    for file in found.iter().flat_map(|commit| &commit.changes_with) {
        println!("cargo::rerun-if-changed={}", file.display());
    }
    let commit = said.or_else(|| found.map(|commit| commit.name)).unwrap_or_default();
    println!("cargo::rustc-env=LARDER_COMMIT={commit}");
}
