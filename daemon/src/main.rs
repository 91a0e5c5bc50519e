//! The larderd program: reads the settings, takes the socket and the data directory, and serves until told to stop. Or
//! does what a subcommand says.

use std::ffi::{CString, OsString};
use std::fs::File;
use std::io::Read as _;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::rc::Rc;

use larderd::config::{self, Command, ConfigError, Environment, Settings};
use larderd::endpoint::Sharing;
use larderd::logging::{LogHandle, Style};
use larderd::server::{self, Reloading, ServeError, Start};
use larderd::service::{self, InheritedError, Manager};
use larderd::{endpoint, limits_fd, logging, offline, signals};

/// A merged generation is some hundred thousand allocations of the event loop's, freed by another thread: with glibc's
/// allocator that thread holds the loop's arena for up to a tenth of a second, here the two do not meet.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// mimalloc's setting for how many milliseconds it keeps memory that is not used before it gives that back to the system.
/// Whoever frees memory is to do so at once. Otherwise mimalloc does it a second later, all together, on whichever thread frees
/// something then: the event loop stood still for 10 to 20 ms after each merge of a million entries.
const PURGE_DELAY: &str = "MIMALLOC_PURGE_DELAY";

/// glibc's settings, and the one for up to which length it copies by vectors. On AMD's processors since Zen 3 the instruction
/// that it takes from 2 KiB on copies 4 GB/s to where it is not aligned, and vectors 50 (glibc's bug 30994; newer ones know):
/// a GET of 64 KiB took 55 instead of 20 us.
const GLIBC_TUNABLES: &str = "GLIBC_TUNABLES";
const COPY_BY_VECTORS: &str = "glibc.cpu.x86_rep_movsb_threshold=1073741824";

/// By sysexits.h, for what is wrong with settings and units.
const EX_CONFIG: u8 = 78;

pub(crate) fn main() -> ExitCode {
    // Before anything is read: settings may come through a pipe.
    let executed = execute_with_settings();
    let environment = Environment::of_process();
    // Whatever is created, the data files foremost, is for this user alone; the socket gets its own mode.
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    let journal = std::env::var_os("JOURNAL_STREAM");
    let style = Style::detect(journal.as_deref());
    let config = match config::load(std::env::args_os(), &environment, server::version()) {
        Ok(Command::Run(config)) => config,
        Ok(Command::Task(task, config)) => return offline::run(&task, &config),
        Ok(Command::Print(text)) => {
            print!("{text}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            logging::complain(style, &error.to_string());
            return ExitCode::from(error.exit_status());
        }
    };
    let log = logging::init(config.settings.log_level, config.settings.log_format, style);
    if let Err(error) = executed {
        tracing::debug!("cannot set {PURGE_DELAY} and {GLIBC_TUNABLES} for this process: {error}");
    }
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    match start(config.settings, config.file, log, style) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            exit_code(&*error)
        }
    }
}

/// Executes the program once more, as the same process, with the settings of the allocator and the C library in its
/// environment: they are read there only, and only when a process starts. Returns where that has been done.
///
/// # Errors
/// Where it cannot be done. All works without, only slower.
fn execute_with_settings() -> Result<(), Box<dyn std::error::Error>> {
    if std::env::var_os(PURGE_DELAY).is_some() {
        return Ok(());
    }
    let words: Vec<_> = std::env::args_os().collect();
    let program = std::env::current_exe()?;
    if words.first().and_then(|name| Path::new(name).file_name()) != program.file_name() {
        // What runs is something else that runs larderd, as the dynamic linker can be told to.
        return Err(format!("{} goes by another name", program.display()).into());
    }
    let c_string = |text: OsString| CString::new(text.into_vec());
    let words = words.into_iter().map(c_string).collect::<Result<Vec<_>, _>>()?;
    let mut variables = vec![c_string(format!("{PURGE_DELAY}=0").into())?];
    if is_amd() && std::env::var_os(GLIBC_TUNABLES).is_none() {
        variables.push(c_string(format!("{GLIBC_TUNABLES}={COPY_BY_VECTORS}").into())?);
    }
    for (name, value) in std::env::vars_os() {
        variables.push(c_string([name, value].join("=".as_ref()))?);
    }
    // Not by `Command::exec`, which changes what becomes of SIGPIPE also where it fails.
    match nix::unistd::execve(&c_string(program.into())?, &words, &variables)? {}
}

fn is_amd() -> bool {
    // The first processor of the list is enough, and some machines have hundreds.
    let mut list = String::new();
    let beginning = File::open("/proc/cpuinfo").and_then(|file| file.take(256).read_to_string(&mut list));
    beginning.is_ok() && list.contains("AuthenticAMD")
}

/// What is set wrong stays wrong, however often a service manager tries.
fn exit_code(error: &(dyn std::error::Error + 'static)) -> ExitCode {
    let of_settings = error.downcast_ref::<ConfigError>().map(ConfigError::exit_status);
    let in_vain =
        matches!(error.downcast_ref(), Some(ServeError::Password(_))) || error.is::<InheritedError>();
    match of_settings.or(in_vain.then_some(EX_CONFIG)) {
        Some(status) => ExitCode::from(status),
        None => ExitCode::FAILURE,
    }
}

fn start(
    mut settings: Settings,
    settings_file: Option<PathBuf>,
    log: LogHandle,
    style: Style,
) -> Result<(), Box<dyn std::error::Error>> {
    // Before there are threads, as it changes the environment.
    let inherited = service::inherited()?;
    let manager = Rc::new(Manager::of_process());
    // Early, so that a signal during the start is not lost.
    let signals = signals::listen()?;
    // Fewer files mean fewer connections, nothing worse.
    let files = limits_fd::raise(settings.max_connections);
    files.warning().into_iter().for_each(|warning| tracing::warn!("{warning}"));
    let _data = endpoint::lock_data(&settings.data)?;
    // Sockets that were handed to us belong to who made them, with mode and name.
    let place = inherited.unix.as_ref().map(|(_, path)| path.clone());
    let address = inherited.tcp.as_ref().map(|(_, address)| *address);
    for unused in settings.adopt(place.as_deref(), address)? {
        tracing::info!("the setting {unused} is not used: the service manager has a socket listen elsewhere");
    }
    let (listener, _socket) = if let Some((listener, _)) = inherited.unix {
        (listener, None)
    } else {
        let sharing = Sharing {
            mode: settings.socket_mode,
            group: settings.socket_group.as_ref().map(|group| group.id),
        };
        let (listener, guard) = endpoint::listen(&settings.socket, sharing)?;
        (listener, Some(guard))
    };
    let tcp = match inherited.tcp {
        Some((listener, _)) => Some(listener),
        None => settings.tcp.map(endpoint::listen_tcp).transpose()?,
    };
    server::run(Start {
        settings,
        settings_file,
        listener,
        tcp,
        connections_max: files.connections(),
        signals,
        ready: Box::new(move |settings| ready(settings, style)),
        reloading: Reloading::by(move || reread(place.as_deref(), address)),
        log,
        manager,
        warm: true,
    })?;
    tracing::info!("stopped");
    Ok(())
}

/// The settings as they are now, from the same options and the same environment as at the start, with the sockets that were
/// not made by us.
fn reread(place: Option<&Path>, address: Option<SocketAddr>) -> Result<Settings, ConfigError> {
    match config::load(std::env::args_os(), &Environment::of_process(), server::version())? {
        Command::Run(mut config) => {
            config.settings.adopt(place, address)?;
            Ok(config.settings)
        }
        Command::Print(_) | Command::Task(..) => unreachable!("the daemon was started with these options"),
    }
}

/// Says where to reach the daemon and, to whoever started it by hand, what to try first.
fn ready(settings: &Settings, style: Style) {
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
    if style == Style::Plain {
        println!("larderd is ready on {socket}");
        println!("try:  printf 'SET hello world\\nGET hello\\nSTATS\\nQUIT\\n' | nc -U {socket}");
        println!("for the README's tour, in another terminal:  export SOCK={socket}");
    }
}
