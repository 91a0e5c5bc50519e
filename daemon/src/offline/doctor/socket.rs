//! The socket: its path and directory, and whether somebody answers there.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;
use std::time::{Duration, Instant};

use super::{Finding, Patient};
use crate::config::Settings;
use crate::endpoint::{PATH_BYTES_MAX, examine_for_socket};
use crate::offline::ask::{self, Silent};

/// A daemon that is started by the connection may have a repair to do first; much longer, and it is not well.
const PATIENCE: Duration = Duration::from_secs(10);

const WHAT: &str = "socket";

pub(super) fn look(settings: &Settings, patient: Patient) -> Vec<Finding> {
    let socket = &settings.socket;
    if socket.as_os_str().is_empty() {
        let advice = "name it with --socket, LARDER_SOCKET or in the settings file";
        return vec![Finding::wrong(WHAT, "no default place for this user", advice)];
    }
    let length = socket.as_os_str().as_bytes().len();
    if length > PATH_BYTES_MAX {
        let text = format!("{} has {length} bytes, and the system allows {PATH_BYTES_MAX}", socket.display());
        return vec![Finding::wrong(WHAT, text, "name a shorter one with --socket")];
    }
    let mut findings = Vec::new();
    let directory = socket.parent().unwrap_or(Path::new("/"));
    if let Err(error) = examine_for_socket(directory, patient.user) {
        let advice = format!("then look again at {}", directory.display());
        findings.push(Finding::wrong(WHAT, error.to_string(), advice));
    }
    findings.push(reach(settings, patient));
    findings
}

fn reach(settings: &Settings, patient: Patient) -> Finding {
    let socket = &settings.socket;
    let place = socket.display();
    let began = Instant::now();
    match ask::ping(socket, &settings.data, PATIENCE) {
        Ok(()) => {
            let ms = began.elapsed().as_secs_f64() * 1_000.0;
            Finding::fine(WHAT, format!("{place}{} answers PING in {ms:.1} ms", mode(socket)))
        }
        Err(Silent::Odd(text)) => Finding::wrong(
            WHAT,
            format!("{place}: {text}"),
            "look at the daemon's log; a daemon that hangs is to be restarted",
        ),
        Err(Silent::Unreachable(error)) => {
            let advice = match (error.kind(), patient.pid) {
                (ErrorKind::PermissionDenied, _) => {
                    format!("you may not connect{}; become a member of the socket's group", mode(socket))
                }
                (ErrorKind::NotFound, Some(pid)) => {
                    format!("process {pid} listens elsewhere: name its socket with --socket, or restart it")
                }
                (ErrorKind::WouldBlock | ErrorKind::TimedOut, _) => {
                    "its queue is full: the daemon hangs or cannot be started; look at its log".to_owned()
                }
                _ => "start it: systemctl enable --now larderd.socket, or larderd".to_owned(),
            };
            Finding::wrong(WHAT, format!("nobody answers on {place}: {error}"), advice)
        }
    }
}

/// ` (mode 0660, user 0, group 998)`, where there is a socket.
fn mode(socket: &Path) -> String {
    match fs::symlink_metadata(socket) {
        Ok(found) if found.file_type().is_socket() => {
            format!(" (mode {:04o}, user {}, group {})", found.mode() & 0o7777, found.uid(), found.gid())
        }
        _ => String::new(),
    }
}
