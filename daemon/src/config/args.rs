//! The command line: one option a setting, and the few that are not settings.
//!
//! Used by the loader. Finds out what was given and makes the help; what the values mean is not known here.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::sync::LazyLock;

use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, ValueHint, value_parser};
use clap_complete::Shell;

use super::document::wrapped;
use super::error::ConfigError;
use super::pages;
use super::table::{SETTINGS, Setting};
use super::task::{self, Task};

/// What the command line asks for.
#[derive(Debug)]
pub(super) enum Asked {
    /// To print this and leave.
    Help(String),
    /// To go on with these.
    Options(Options),
}

/// The options that were given.
#[derive(Debug)]
pub(super) struct Options {
    pub config: Option<OsString>,
    pub print_config: bool,
    pub check_config: bool,
    pub version: bool,
    /// The subcommand, where there is one.
    pub task: Option<Task>,
    matches: ArgMatches,
}

impl Options {
    /// The value given for a setting.
    pub(super) fn get(&self, setting: &Setting) -> Option<&OsString> {
        // A subcommand has options for some of the settings only.
        self.matches.try_get_one(setting.name).ok().flatten()
    }
}

/// The options' names, which clap wants to borrow for as long as the program runs.
static NAMES: LazyLock<Vec<String>> = LazyLock::new(|| SETTINGS.iter().map(Setting::option).collect());

/// How settings are given, for the help and the manual.
pub(super) const ABOUT_SETTINGS: &str = "\
Each setting can also be given by its environment variable or in a TOML file, where its name is written with
underscores: memory_cap = \"128MiB\". An option wins over the environment, the environment over the file.
Sizes are bytes or have a unit: 64MiB and 1KiB count in 1024s, 64MB and 1k in 1000s.
Durations have a unit: 200ms, 90s, 5m, 1h, 7d.";

/// What the daemon does when it is sent a signal.
pub(super) const SIGNALS: &[(&str, &str)] = &[
    (
        "SIGTERM, SIGINT",
        "Answers what has been asked and stops, within 5 seconds; a second one ends it at once",
    ),
    ("SIGHUP", "Reads the settings again; what is wrong with them is logged, and the old ones stay"),
    ("SIGUSR1", "Logs the statistics"),
];

/// How the program ends.
pub(super) const EXIT_STATUS: &[(&str, &str)] = &[
    (
        "0",
        "The daemon was told to stop; a subcommand did what it should, and check or doctor found nothing wrong",
    ),
    (
        "1",
        "It could not start, go on or do what it should, and says why; check or doctor found something wrong",
    ),
    ("2", "check could not look"),
    ("64", "The command line is wrong"),
    ("78", "The settings are wrong; a service manager should not try again"),
    ("101", "A bug"),
    ("128 + n", "It was told to stop twice, by signal n, and did not wait for its clients"),
];

/// Reads the command line, program name first.
///
/// # Errors
/// The complete message for whoever typed it.
pub(super) fn parse(args: impl Iterator<Item = OsString>) -> Result<Asked, ConfigError> {
    match command().try_get_matches_from(args) {
        Ok(mut matches) => Ok(Asked::Options(match matches.remove_subcommand() {
            Some((name, mut matches)) => Options {
                config: matches.remove_one("config"),
                print_config: false,
                check_config: false,
                version: false,
                task: Some(Task::of(&name, &mut matches)),
                matches,
            },
            None if matches.contains_id("completions") => {
                let shell = matches.remove_one::<Shell>("completions").expect("it is there");
                return Ok(Asked::Help(pages::completions(shell)));
            }
            None if matches.contains_id("man") => {
                let page = matches.remove_one::<String>("man").expect("it is there");
                return Ok(Asked::Help(pages::man(&page)));
            }
            None => Options {
                config: matches.remove_one("config"),
                print_config: matches.get_flag("print-config"),
                check_config: matches.get_flag("check-config"),
                version: matches.get_flag("version"),
                task: None,
                matches,
            },
        })),
        Err(error) if error.kind() == ErrorKind::DisplayHelp => Ok(Asked::Help(error.render().to_string())),
        Err(error) => Err(ConfigError::Usage(error.render().to_string().trim_end().to_owned())),
    }
}

/// The command line, as clap knows it.
pub(super) fn command() -> clap::Command {
    let flag = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).action(ArgAction::SetTrue).help(help).help_heading("Commands")
    };
    clap::Command::new("larderd")
        .about("A durable cache on a Unix socket. Without a subcommand it serves")
        .args(SETTINGS.iter().zip(NAMES.iter()).map(|(setting, name)| option(setting, name)))
        .arg(config())
        .arg(flag("check-config", "Check the configuration, say what is wrong with it and leave"))
        .arg(flag("print-config", "Print every setting with its value and where that came from, and leave"))
        .arg(
            Arg::new("completions")
                .long("completions")
                .value_name("SHELL")
                .value_parser(value_parser!(Shell))
                .hide_possible_values(true)
                .help("Print completions for bash, zsh, fish, elvish or powershell and leave")
                .help_heading("Commands"),
        )
        .arg(
            Arg::new("man")
                .long("man")
                .value_name("SUBCOMMAND")
                .num_args(0..=1)
                .default_missing_value(pages::MAIN)
                .value_parser(task::names().chain([pages::MAIN]).collect::<Vec<_>>())
                .hide_possible_values(true)
                .help("Print the manual page, or that of a subcommand, and leave")
                .help_heading("Commands"),
        )
        .arg(flag("version", "Print the version and leave").short('V'))
        .disable_help_flag(true)
        .arg(help_flag())
        .next_line_help(true)
        .after_help(after_help())
        .subcommands(task::commands())
        .subcommand_help_heading("Subcommands, for looking after the data")
        .subcommand_value_name("SUBCOMMAND")
        .args_conflicts_with_subcommands(true)
        .disable_help_subcommand(true)
}

fn after_help() -> String {
    let mut text = ABOUT_SETTINGS.to_owned();
    for (heading, rows) in [("Signals", SIGNALS), ("Exit status", EXIT_STATUS)] {
        text.push_str(&["\n\n", heading, ":"].concat());
        for (term, meaning) in rows {
            write!(text, "\n  {term:<15} {meaning}").expect("writing to a string cannot fail");
        }
    }
    text
}

/// `--config`, for the daemon and the subcommands alike.
pub(super) fn config() -> Arg {
    Arg::new("config")
        .long("config")
        .value_name("FILE")
        .value_parser(value_parser!(OsString))
        .value_hint(ValueHint::FilePath)
        .help(
            "File to read settings from; by default larder/larder.toml in $XDG_CONFIG_HOME, ~/.config or, for root,\n\
             /etc, if it is there\n[LARDER_CONFIG]",
        )
        .help_heading("Places")
}

pub(super) fn help_flag() -> Arg {
    Arg::new("help")
        .short('h')
        .long("help")
        .action(ArgAction::Help)
        .help("Print this and leave")
        .help_heading("Commands")
}

/// The options of the settings called `names`.
pub(super) fn options(names: &'static [&'static str]) -> impl Iterator<Item = Arg> {
    let all = SETTINGS.iter().zip(NAMES.iter());
    all.filter(|(setting, _)| names.contains(&setting.name)).map(|(setting, name)| option(setting, name))
}

fn option(setting: &'static Setting, name: &'static str) -> Arg {
    Arg::new(setting.name)
        .long(name)
        .value_name(setting.kind.placeholder())
        .value_parser(value_parser!(OsString))
        .value_hint(if setting.kind.is_path() { ValueHint::AnyPath } else { ValueHint::Other })
        .help(help(setting))
        .help_heading(setting.group.title())
}

/// `What it is` and, on a line of its own, `[LARDER_NAME, default 64MiB, 0 to 1TiB, changes with a reload]`.
fn help(setting: &Setting) -> String {
    let mut facts = vec![setting.variable(), format!("default {}", setting.default.describe(&setting.kind))];
    facts.extend(setting.kind.range());
    if setting.live {
        facts.push("changes with a reload".to_owned());
    }
    format!("{}\n[{}]", paragraph(setting.help), facts.join(", "))
}

/// Words in lines that fit most terminals.
pub(super) fn paragraph(text: &str) -> String {
    wrapped(text, 100).join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_words(words: &[&str]) -> Result<Asked, ConfigError> {
        parse(std::iter::once("larderd").chain(words.iter().copied()).map(OsString::from))
    }

    #[test]
    fn the_command_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn help_names_every_setting_three_ways() {
        let Ok(Asked::Help(help)) = parse_words(&["--help"]) else { panic!("no help") };
        for setting in SETTINGS {
            assert!(
                help.contains(&format!("--{} <{}>", setting.option(), setting.kind.placeholder())),
                "{help}"
            );
            assert!(help.contains(&format!("[{}, default ", setting.variable())), "{help}");
        }
        for flag in [
            "--config <FILE>",
            "--check-config",
            "--print-config",
            "--completions <SHELL>",
            "--man",
            "--version",
            "-h, --help",
        ] {
            assert!(help.contains(flag), "{flag}\n{help}");
        }
        assert!(help.lines().all(|line| line.len() <= 132 && !line.ends_with(' ')), "{help}");
    }

    #[test]
    fn options_are_read_with_and_without_the_equals_sign() {
        for words in [&["--memory-cap", "1MiB"][..], &["--memory-cap=1MiB"]] {
            let Ok(Asked::Options(options)) = parse_words(words) else { panic!("{words:?}") };
            let memory_cap = super::super::table::find("memory_cap").unwrap();
            assert_eq!(options.get(memory_cap), Some(&OsString::from("1MiB")));
        }
    }

    #[test]
    fn misspelled_options_get_a_suggestion() {
        let error = parse_words(&["--memroy-cap", "1MiB"]).unwrap_err().to_string();
        assert!(error.contains("--memory-cap"), "{error}");
        for words in
            [&["--readers"][..], &["stray"], &["--readers", "1", "--readers", "2"], &["--memory_cap", "1"]]
        {
            let error = parse_words(words).unwrap_err();
            assert!(matches!(error, ConfigError::Usage(_)), "{words:?}");
        }
    }
}
