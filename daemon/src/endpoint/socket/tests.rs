//! The socket from outside: who can see it, with which mode, and what becomes of what was there before.

use std::os::unix::fs::symlink;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::super::private_tempdir;
use super::*;

fn base() -> (tempfile::TempDir, PathBuf) {
    let base = private_tempdir();
    let path = base.path().join("run/s.sock");
    (base, path)
}

const GROUP: u32 = 12_345;

fn sharing(mode: u32) -> Sharing {
    Sharing { mode, group: None }
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

#[test]
fn listens_accepts_and_goes_away() {
    let (_base, path) = base();
    for mode_bits in [0o600, 0o660, 0o666] {
        let (listener, guard) = listen(&path, sharing(mode_bits)).unwrap();
        assert_eq!(mode(&path), mode_bits);
        // Made for the first of them, and passable by nobody; later ones leave it as it is.
        assert_eq!(mode(path.parent().unwrap()), 0o700);
        assert_eq!(guard.path(), path);
        assert_eq!(listener.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
        let _client = UnixStream::connect(&path).unwrap();
        listener.accept().unwrap();
        drop((listener, guard));
        assert!(!path.exists());
    }
}

#[test]
fn the_mode_is_never_wider_than_asked() {
    let (_base, path) = base();
    prepare_for_socket(path.parent().unwrap()).unwrap();
    let (done, sightings) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        // Looks all the time while sockets come and go; with a bind first and a chmod later it sees 0755.
        let watcher = scope.spawn(|| {
            let mut widest = 0;
            while !done.load(Ordering::Relaxed) {
                if let Ok(metadata) = fs::symlink_metadata(&path) {
                    sightings.fetch_add(1, Ordering::Relaxed);
                    widest |= metadata.mode() & 0o777;
                }
            }
            widest
        });
        // On a busy machine the watcher may get no time for a while: goes on until it has seen something.
        let deadline = Instant::now() + Duration::from_mins(1);
        let mut binds = 0;
        while binds < 300 || sightings.load(Ordering::Relaxed) < 100 {
            assert!(Instant::now() < deadline, "the watcher saw nothing");
            drop(listen(&path, sharing(0o600)).unwrap());
            binds += 1;
        }
        done.store(true, Ordering::Relaxed);
        let widest = watcher.join().unwrap();
        assert_eq!(widest, 0o600, "{widest:04o}");
    });
}

#[test]
fn a_dead_daemons_socket_is_replaced() {
    let (_base, path) = base();
    prepare_for_socket(path.parent().unwrap()).unwrap();
    // A listener of the standard library leaves its name behind, as a killed daemon does.
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let (_listener, _guard) = listen(&path, sharing(0o600)).unwrap();
    UnixStream::connect(&path).unwrap();
}

#[test]
fn a_live_daemon_is_not_disturbed() {
    let (_base, path) = base();
    let (listener, guard) = listen(&path, sharing(0o600)).unwrap();
    let error = listen(&path, sharing(0o600)).unwrap_err();
    assert!(
        matches!(error, EndpointError::Taken { pid: Some(pid), .. } if pid == std::process::id()),
        "{error}"
    );
    assert!(error.to_string().contains("--socket"), "{error}");
    UnixStream::connect(&path).unwrap();
    drop((listener, guard));
}

#[test]
fn another_programs_server_is_not_disturbed() {
    let (_base, path) = base();
    prepare_for_socket(path.parent().unwrap()).unwrap();
    let _server = UnixListener::bind(&path).unwrap();
    let error = listen(&path, sharing(0o600)).unwrap_err();
    assert!(matches!(error, EndpointError::Live { .. }), "{error}");
    UnixStream::connect(&path).unwrap();
}

#[test]
fn what_is_not_a_socket_stays() {
    let (base, path) = base();
    prepare_for_socket(path.parent().unwrap()).unwrap();
    fs::write(&path, "precious").unwrap();
    let error = listen(&path, sharing(0o600)).unwrap_err().to_string();
    assert!(error.contains("is a file and not a socket"), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    fs::remove_file(&path).unwrap();

    let elsewhere = base.path().join("elsewhere");
    symlink(&elsewhere, &path).unwrap();
    let error = listen(&path, sharing(0o600)).unwrap_err().to_string();
    assert!(error.contains("is a symbolic link"), "{error}");
    assert!(!elsewhere.exists());
}

#[test]
fn a_socket_that_replaced_ours_stays() {
    let (_base, path) = base();
    let (listener, guard) = listen(&path, sharing(0o600)).unwrap();
    fs::remove_file(&path).unwrap();
    let _other = UnixListener::bind(&path).unwrap();
    drop(guard);
    assert!(path.exists());
    drop(listener);
}

#[test]
fn a_path_too_long_says_so() {
    let base = private_tempdir();
    let room = PATH_BYTES_MAX - base.path().as_os_str().len() - 1;
    let fits = base.path().join("s".repeat(room));
    drop(listen(&fits, sharing(0o600)).unwrap());
    let error = listen(&base.path().join("s".repeat(room + 1)), sharing(0o600)).unwrap_err().to_string();
    assert!(error.contains("has 108 bytes, and the system allows 107"), "{error}");
}

#[test]
fn a_group_gets_the_socket_and_the_way_to_it() {
    if rustix::process::geteuid().as_raw() != 0 {
        return; // Only root may give a socket to a group that it is not in.
    }
    for (bits, directory) in [(0o660, 0o710), (0o666, 0o711), (0o600, 0o700)] {
        let (_base, path) = base();
        let shared = Sharing { mode: bits, group: Some(GROUP) };
        let (_listener, _guard) = listen(&path, shared).unwrap();
        let metadata = fs::symlink_metadata(&path).unwrap();
        assert_eq!((metadata.mode() & 0o7777, metadata.gid()), (bits, GROUP));
        let above = fs::symlink_metadata(path.parent().unwrap()).unwrap();
        assert_eq!((above.mode() & 0o7777, above.gid()), (directory, GROUP));
    }
}
