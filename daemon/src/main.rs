//! The larderd program: reads the settings, takes the socket and the data directory, and serves until told to stop. Or
//! does what a subcommand says.

use std::path::PathBuf;
use std::process::ExitCode;

use larderd::config::{self, Command, ConfigError, Environment, Settings};
use larderd::endpoint::Sharing;
use larderd::logging::LogHandle;
use larderd::server::{self, Start};
use larderd::{endpoint, limits_fd, logging, offline, signals};

/// A merged generation is some hundred thousand allocations of the event loop's, freed by another thread: with glibc's
/// allocator that thread holds the loop's arena for up to a tenth of a second, here the two do not meet.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

pub(crate) fn main() -> ExitCode {
    let environment = Environment::of_process();
    // Whatever is created, the data files foremost, is for this user alone; the socket gets its own mode.
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    let config = match config::load(std::env::args_os(), &environment, server::version()) {
        Ok(Command::Run(config)) => config,
        Ok(Command::Task(task, config)) => return offline::run(&task, &config),
        Ok(Command::Print(text)) => {
            print!("{text}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("larderd: {error}");
            return ExitCode::from(error.exit_status());
        }
    };
    let journal = std::env::var_os("JOURNAL_STREAM");
    let log = logging::init(config.settings.log_level, logging::Style::detect(journal.as_deref()));
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    match start(config.settings, config.file, log) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn start(
    settings: Settings,
    settings_file: Option<PathBuf>,
    log: LogHandle,
) -> Result<(), Box<dyn std::error::Error>> {
    // Early, so that a signal during the start is not lost.
    let signals = signals::listen()?;
    // Fewer files mean fewer connections, nothing worse.
    let files = limits_fd::raise(settings.max_connections);
    files.warning().into_iter().for_each(|warning| tracing::warn!("{warning}"));
    let _data = endpoint::lock_data(&settings.data)?;
    let sharing =
        Sharing { mode: settings.socket_mode, group: settings.socket_group.as_ref().map(|group| group.id) };
    let (listener, _socket) = endpoint::listen(&settings.socket, sharing)?;
    let tcp = settings.tcp.map(endpoint::listen_tcp).transpose()?;
    server::run(Start {
        settings,
        settings_file,
        listener,
        tcp,
        connections_max: files.connections(),
        signals,
        ready,
        reread: Box::new(reread),
        log,
    })?;
    tracing::info!("stopped");
    Ok(())
}

/// The settings as they are now, from the same options and the same environment as at the start.
fn reread() -> Result<Settings, ConfigError> {
    match config::load(std::env::args_os(), &Environment::of_process(), server::version())? {
        Command::Run(config) => Ok(config.settings),
        Command::Print(_) | Command::Task(..) => unreachable!("the daemon was started with these options"),
    }
}

/// Says where to reach the daemon and what to try first.
fn ready(settings: &Settings) {
    let socket = settings.socket.display();
    tracing::info!("larderd {} serving {socket}, data in {}", server::version(), settings.data.display());
    if let Some(tcp) = settings.tcp {
        let who = if settings.password_file.is_some() {
            "who gives the password"
        } else {
            "every user of this machine"
        };
        tracing::info!("serving {tcp} as well, for {who}, as {}", settings.tcp_role.as_str());
    }
    println!("larderd is ready on {socket}");
    println!("try:  printf 'SET hello world\\nGET hello\\nSTATS\\nQUIT\\n' | nc -U {socket}");
}
