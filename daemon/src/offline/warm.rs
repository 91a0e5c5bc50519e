//! `larderd warm`: sends a file of commands to a running daemon.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::path::Path;

use super::{OfflineError, count, input_name, stream};
use crate::config::Settings;
use crate::warm;

pub(super) fn run(input: Option<&Path>, settings: &Settings) -> Result<(), OfflineError> {
    let name = input_name(input);
    let mut source: Box<dyn Read> = match input {
        Some(path) => Box::new(File::open(path).map_err(stream("read", name.clone()))?),
        None => Box::new(io::stdin().lock()),
    };
    let socket = settings.socket.display();
    let daemon = UnixStream::connect(&settings.socket).map_err(|error| {
        OfflineError::Daemon(format!(
            "no daemon can be reached on {socket}: {error}; name its socket with --socket, or without a daemon use larderd import"
        ))
    })?;
    let warmed = warm::feed(&daemon, &mut source, settings);
    for complaint in &warmed.complaints {
        eprintln!("larderd: {name}: {complaint}");
    }
    let done = count(warmed.answered - warmed.refused, "command", "commands");
    if let Some(why) = warmed.cut_short {
        return Err(OfflineError::Partly(format!("{name}: {why}; the {done} before it were run")));
    }
    if warmed.refused > 0 {
        let refused = count(warmed.refused, "command", "commands");
        return Err(OfflineError::Partly(format!("{name}: {refused} refused, {done} run")));
    }
    println!("warmed with {done}");
    Ok(())
}
