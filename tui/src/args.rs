//! The command line and the environment: what is shown, how, and of which daemon.

use std::env;
use std::ffi::OsString;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use clap_complete::Shell;
use larder_protocol::places;

use crate::view::theme::{Depth, Palette, Symbols};

/// What the program is to do.
#[derive(Debug)]
pub enum Asked {
    /// To print this and leave.
    Print(String),
    /// To print completions for this shell and leave.
    Completions(Shell),
    /// To show the daemon.
    Show(Options),
}

/// How the daemon is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// On the screen.
    Screen,
    /// A summary, once.
    Once,
    /// A JSON object for each sample.
    Json,
    /// A line of CSV for each sample.
    Csv,
}

/// What was given.
#[derive(Debug)]
pub struct Options {
    /// The socket.
    pub socket: PathBuf,
    /// How.
    pub form: Form,
    /// Least time between samples, in milliseconds.
    pub interval_ms: i64,
    /// Symbols.
    pub symbols: Symbols,
    /// Palette.
    pub palette: Palette,
    /// Colours.
    pub depth: Depth,
    /// Whether the mouse is used.
    pub mouse: bool,
    /// Whether `c` may do what it says.
    pub allow_writes: bool,
}

const SOCKET_HELP: &str = "The daemon's socket\n\
[LARDER_SOCKET, default that of your own daemon, or of the machine]";

const AFTER_HELP: &str = "\
Without a terminal, one of --once, --json and --csv is needed. --json prints each sample as the daemon sends it;
--csv prints the growth of each counter since the sample before, and each gauge.
NO_COLOR turns colours off; COLORTERM and TERM say how many there are.
Exit codes: 0 when told to leave, 1 when the daemon cannot be reached or read (--once, --json, --csv) or the terminal
fails, 2 for a wrong command line, 101 after a bug, 128 and the number of the signal that ended it.";

/// Reads the command line, program name first, and the environment.
///
/// # Errors
/// The complete message for whoever typed it.
pub fn parse(
    args: impl Iterator<Item = OsString>,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<Asked, String> {
    match command().try_get_matches_from(args) {
        Ok(matches) if matches.get_flag("man") => Ok(Asked::Print(man())),
        Ok(matches) if matches.get_flag("version") => {
            Ok(Asked::Print(format!("larder-top {}\n", env!("CARGO_PKG_VERSION"))))
        }
        Ok(matches) => match matches.get_one::<Shell>("completions") {
            Some(&shell) => Ok(Asked::Completions(shell)),
            None => Ok(Asked::Show(options(&matches, variable))),
        },
        Err(error) if error.kind() == ErrorKind::DisplayHelp => Ok(Asked::Print(error.render().to_string())),
        Err(error) => Err(error.render().to_string().trim_end().to_owned()),
    }
}

/// The manual page.
fn man() -> String {
    let page = clap_mangen::Man::new(command()).section("1").manual("larder");
    let mut text = Vec::new();
    page.source(concat!("larder ", env!("CARGO_PKG_VERSION")))
        .render(&mut text)
        .expect("writing to memory cannot fail");
    String::from_utf8(text).expect("made from text")
}

/// The completions of a shell.
#[must_use]
pub fn completions(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command(), "larder-top", &mut script);
    script
}

fn command() -> Command {
    Command::new("larder-top")
        .about("Shows what a larder daemon does: hit rate, traffic, entries, clean-up, hot keys, clients")
        .args(source_options())
        .args(form_options())
        .group(clap::ArgGroup::new("form").args(["once", "json", "csv"]))
        .args(look_options())
        .arg(flag("mouse", "Click pages and panels, and turn the wheel"))
        .arg(flag("allow-writes", "Let the key c have the daemon clean up, after a question"))
        .arg(
            Arg::new("completions")
                .long("completions")
                .value_name("SHELL")
                .value_parser(value_parser!(Shell))
                .help("Print completions for bash, zsh, fish, elvish or powershell and leave"),
        )
        .arg(flag("man", "Print the manual page and leave"))
        .arg(flag("version", "Print the version and leave").short('V'))
        .disable_help_flag(true)
        .arg(Arg::new("help").short('h').long("help").action(ArgAction::Help).help("Print this and leave"))
        .after_help(AFTER_HELP)
}

fn flag(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
}

/// One of several words, the first unless another is given.
fn choice(name: &'static str, words: &'static [&'static str], help: &'static str) -> Arg {
    Arg::new(name)
        .long(name)
        .value_name("WORD")
        .value_parser(words.to_vec())
        .default_value(words[0])
        .help(help)
}

/// Which daemon is shown, and how often.
fn source_options() -> [Arg; 2] {
    [
        Arg::new("socket")
            .long("socket")
            .value_name("PATH")
            .value_parser(value_parser!(PathBuf))
            .help(SOCKET_HELP),
        Arg::new("interval")
            .long("interval")
            .value_name("SECONDS")
            .value_parser(interval)
            .default_value("0")
            .help("Least time between samples, such as 5 or 0.5; 0 takes all that the daemon sends"),
    ]
}

/// What is printed instead of the screen.
fn form_options() -> [Arg; 3] {
    [
        flag("once", "Print a summary and leave"),
        flag("json", "Print one JSON object a sample, until stopped"),
        flag("csv", "Print one line of CSV a sample, until stopped"),
    ]
}

/// Symbols and colours.
fn look_options() -> [Arg; 4] {
    [
        choice(
            "symbols",
            &["braille", "block", "ascii"],
            "What charts are drawn with: braille, block or ascii",
        ),
        flag("ascii", "Nothing but ASCII; the same as --symbols ascii"),
        choice("palette", &["dark", "light", "colour-blind"], "Which colours: dark, light or colour-blind"),
        choice(
            "colours",
            &["auto", "true", "256", "16", "none"],
            "How many colours: auto, true, 256, 16 or none",
        ),
    ]
}

fn interval(text: &str) -> Result<i64, String> {
    let seconds: f64 = text.parse().map_err(|_| "a number of seconds".to_owned())?;
    if (0.0..=3_600.0).contains(&seconds) {
        Ok((seconds * 1_000.0) as i64)
    } else {
        Err("0 to 3600".to_owned())
    }
}

fn options(matches: &ArgMatches, variable: impl Fn(&str) -> Option<OsString>) -> Options {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty());
    let word = |name: &str| matches.get_one::<String>(name).map_or("", String::as_str);
    let form = match (matches.get_flag("once"), matches.get_flag("json"), matches.get_flag("csv")) {
        (true, ..) => Form::Once,
        (_, true, _) => Form::Json,
        (.., true) => Form::Csv,
        _ => Form::Screen,
    };
    let symbols = match word("symbols") {
        _ if matches.get_flag("ascii") => Symbols::Ascii,
        "block" => Symbols::Block,
        "ascii" => Symbols::Ascii,
        _ => Symbols::Braille,
    };
    let palette = match word("palette") {
        "light" => Palette::Light,
        "colour-blind" => Palette::ColourBlind,
        _ => Palette::Dark,
    };
    let depth = match word("colours") {
        "true" => Depth::True,
        "256" => Depth::Indexed,
        "16" => Depth::Ansi,
        "none" => Depth::None,
        _ => depth(set),
    };
    let socket = matches.get_one::<PathBuf>("socket").cloned();
    let socket = socket.unwrap_or_else(|| usual_socket(set));
    Options {
        socket,
        form,
        interval_ms: matches.get_one("interval").copied().unwrap_or(0),
        symbols,
        palette,
        depth,
        mouse: matches.get_flag("mouse"),
        allow_writes: matches.get_flag("allow-writes"),
    }
}

/// The first of the usual places that has a socket; where none has, the first, as a daemon may still come up there.
fn usual_socket(set: impl Fn(&str) -> Option<OsString>) -> PathBuf {
    let user = std::fs::metadata("/proc/self").map(|own| own.uid()).ok();
    let mut places = places::sockets(set, user, Path::new("/"));
    let at = places.iter().position(|place| place.exists()).unwrap_or(0);
    places.swap_remove(at)
}

/// How many colours the environment promises.
fn depth(set: impl Fn(&str) -> Option<OsString>) -> Depth {
    let text = |name| set(name).unwrap_or_default().to_string_lossy().to_lowercase();
    let (colorterm, term) = (text("COLORTERM"), text("TERM"));
    if set("NO_COLOR").is_some() || term == "dumb" {
        Depth::None
    } else if colorterm.contains("truecolor") || colorterm.contains("24bit") || term.contains("direct") {
        Depth::True
    } else if term.contains("256color") {
        Depth::Indexed
    } else {
        Depth::Ansi
    }
}

/// A variable of the environment.
#[must_use]
pub fn variable(name: &str) -> Option<OsString> {
    env::var_os(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(words: &[&str], variables: &[(&str, &str)]) -> Result<Asked, String> {
        let variable = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value))
        };
        parse(std::iter::once("larder-top").chain(words.iter().copied()).map(OsString::from), variable)
    }

    fn options(words: &[&str], variables: &[(&str, &str)]) -> Options {
        match asked(words, variables) {
            Ok(Asked::Show(options)) => options,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_command_is_consistent_and_its_help_is_whole() {
        command().debug_assert();
        let Ok(Asked::Print(help)) = asked(&["--help"], &[]) else { panic!() };
        for word in [
            "--socket <PATH>",
            "--interval",
            "--once",
            "--json",
            "--csv",
            "--ascii",
            "--palette",
            "--allow-writes",
            "Exit codes:",
            "NO_COLOR",
        ] {
            assert!(help.contains(word), "{word}\n{help}");
        }
        let Ok(Asked::Print(man)) = asked(&["--man"], &[]) else { panic!() };
        assert!(man.contains(".TH larder-top 1") && man.contains("Exit codes:"), "{man}");
        let Ok(Asked::Print(version)) = asked(&["-V"], &[]) else { panic!() };
        assert_eq!(version, format!("larder-top {}\n", env!("CARGO_PKG_VERSION")));
    }

    #[test]
    fn the_socket_is_the_option_the_variable_or_where_the_daemon_puts_it() {
        let given = [("LARDER_SOCKET", "/a"), ("XDG_RUNTIME_DIR", "/r")];
        assert_eq!(options(&["--socket", "/b"], &given).socket, PathBuf::from("/b"));
        assert_eq!(options(&[], &given).socket, PathBuf::from("/a"));
        let here = tempfile::tempdir().unwrap();
        let runtime = [("XDG_RUNTIME_DIR", here.path().to_str().unwrap())];
        let own = here.path().join("larder/larder.sock");
        std::fs::create_dir(own.parent().unwrap()).unwrap();
        std::fs::write(&own, "").unwrap();
        assert_eq!(options(&[], &runtime).socket, own);
    }

    #[test]
    fn colours_are_as_many_as_the_environment_promises() {
        let depth = |variables: &[(&str, &str)]| options(&[], variables).depth;
        assert_eq!(depth(&[("TERM", "xterm-256color"), ("COLORTERM", "truecolor")]), Depth::True);
        assert_eq!(depth(&[("TERM", "xterm-256color")]), Depth::Indexed);
        assert_eq!(depth(&[("TERM", "linux")]), Depth::Ansi);
        assert_eq!(depth(&[("TERM", "xterm-256color"), ("NO_COLOR", "1")]), Depth::None);
        assert_eq!(depth(&[("NO_COLOR", "")]), Depth::Ansi);
        assert_eq!(options(&["--colours", "16"], &[("NO_COLOR", "1")]).depth, Depth::Ansi);
    }

    #[test]
    fn forms_exclude_each_other_and_intervals_are_seconds() {
        assert_eq!(options(&["--json"], &[]).form, Form::Json);
        assert_eq!(options(&["--interval", "0.5"], &[]).interval_ms, 500);
        assert_eq!(options(&["--ascii"], &[]).symbols, Symbols::Ascii);
        for words in [
            &["--json", "--csv"][..],
            &["--interval", "x"],
            &["--interval", "-1"],
            &["--sokcet", "/a"],
            &["stray"],
            &["--palette", "pink"],
        ] {
            assert!(asked(words, &[]).is_err(), "{words:?}");
        }
        assert!(asked(&["--sokcet", "/a"], &[]).unwrap_err().contains("--socket"));
    }

    #[test]
    fn completions_know_the_options() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let script = String::from_utf8(completions(shell)).unwrap();
            assert!(script.contains("allow-writes") && script.contains("larder-top"), "{shell}");
        }
    }
}
