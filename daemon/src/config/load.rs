//! Puts the settings together: option, environment, file and default, in this order of precedence.
//!
//! Used by `main` at start, and at each reload with the same arguments. All problems are found in one go: whoever
//! corrects a file should not have to start the daemon once per line.

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::path::PathBuf;

use super::Settings;
use super::args::{self, Asked, Options};
use super::error::{ConfigError, Origin, Problem};
use super::file::{self, Entry, Value};
use super::nearest::nearest;
use super::paths::Environment;
use super::table::{self, SETTINGS, Setting};
use super::task::Task;
use super::units::show_bytes;
use crate::access::password;

/// Below this, what journals, logs and the reserve need would leave next to nothing for entries.
const DISK_CAP_MIN: u64 = 64 << 20;

/// So many of the largest values fit into the disk cap: journals and logs hold some on their way.
const VALUES_IN_CAP: u64 = 8;

/// What the command line asks the program to do.
#[derive(Debug)]
pub enum Command {
    /// Serve with this configuration.
    Run(Config),
    /// Do this with the data instead.
    Task(Task, Config),
    /// Print this on standard output and leave with success.
    Print(String),
}

/// Checked settings and where they came from.
#[derive(Clone, Debug)]
pub struct Config {
    /// The values.
    pub settings: Settings,
    /// The file that was read, if there was one.
    pub file: Option<PathBuf>,
    /// What is odd but no reason not to start: to be logged.
    pub warnings: Vec<String>,
    /// One for each row of the table.
    origins: Vec<Origin>,
}

/// Reads the command line (program name first), the environment and the file. `version` is what `--version` prints
/// after the program's name.
///
/// # Errors
/// A command line that cannot be understood, or everything that is wrong with the settings.
pub fn load(
    args: impl Iterator<Item = OsString>,
    environment: &Environment,
    version: &str,
) -> Result<Command, ConfigError> {
    let options = match args::parse(args)? {
        Asked::Help(text) => return Ok(Command::Print(text)),
        Asked::Options(options) if options.version => {
            return Ok(Command::Print(format!("larderd {version}\n")));
        }
        Asked::Options(options) => options,
    };
    let config = Loader::new().load(&options, environment)?;
    if let Some(task) = options.task {
        Ok(Command::Task(task, config))
    } else if options.print_config {
        Ok(Command::Print(config.print()))
    } else if options.check_config {
        config.check_password()?;
        Ok(Command::Print(config.approve()))
    } else {
        Ok(Command::Run(config))
    }
}

impl Config {
    /// Where the value of the setting called `name` came from.
    #[must_use]
    pub fn origin(&self, name: &str) -> Option<&Origin> {
        SETTINGS.iter().position(|setting| setting.name == name).map(|row| &self.origins[row])
    }

    /// Every setting with its value and origin, as a file that would set the same.
    #[must_use]
    pub fn print(&self) -> String {
        let mut text = match &self.file {
            Some(path) => format!("# file: {}\n", path.display()),
            None => "# file: none\n".to_owned(),
        };
        for (setting, origin) in SETTINGS.iter().zip(&self.origins) {
            let value = setting.kind.show(&self.settings);
            let value = if setting.kind.is_text() { quote(&value) } else { value };
            let line = format!("{} = {value}", setting.name);
            writeln!(text, "{line:<40} # {origin}").expect("writing to a string cannot fail");
        }
        text
    }

    /// A daemon would not start, or reload, with a file that holds no password.
    fn check_password(&self) -> Result<(), ConfigError> {
        let read = self.settings.password_file.as_deref().map(password::read).transpose();
        let wrong = |why| ConfigError::Settings(vec![Problem::Conflict(format!("password_file {why}"))]);
        read.map(drop).map_err(wrong)
    }

    /// What `--check-config` says when there is nothing wrong.
    fn approve(&self) -> String {
        let mut text = String::new();
        for warning in &self.warnings {
            writeln!(text, "warning: {warning}").expect("writing to a string cannot fail");
        }
        match &self.file {
            Some(path) => writeln!(text, "configuration OK ({})", path.display()),
            None => writeln!(text, "configuration OK (no file)"),
        }
        .expect("writing to a string cannot fail");
        text
    }
}

/// A configuration in the making. Sources are applied from the weakest to the strongest; each value that is read
/// replaces the one before, and its origin.
struct Loader {
    settings: Settings,
    origins: Vec<Origin>,
    problems: Vec<Problem>,
    warnings: Vec<String>,
}

impl Loader {
    fn new() -> Self {
        Self {
            settings: Settings::default(),
            origins: vec![Origin::Default; SETTINGS.len()],
            problems: Vec::new(),
            warnings: Vec::new(),
        }
    }

    fn load(mut self, options: &Options, environment: &Environment) -> Result<Config, ConfigError> {
        let file = self.apply_file(options, environment);
        self.apply_environment(environment);
        for (row, setting) in SETTINGS.iter().enumerate() {
            if let Some(text) = options.get(setting) {
                self.apply(row, setting, text, true, Origin::Option(setting.option()));
            }
        }
        self.fill_places(environment, options.task.is_some());
        self.check_together();
        if !self.problems.is_empty() {
            return Err(ConfigError::Settings(self.problems));
        }
        Ok(Config { settings: self.settings, file, warnings: self.warnings, origins: self.origins })
    }

    /// Reads one value. What is wrong with it is a problem even when a stronger source sets the same: it would come to
    /// light on the day that source is gone.
    fn apply(&mut self, row: usize, setting: &'static Setting, text: &OsStr, quoted: bool, origin: Origin) {
        let shown =
            || if quoted { quote(&text.to_string_lossy()) } else { text.to_string_lossy().into_owned() };
        match setting.kind.read(&mut self.settings, text) {
            Ok(()) => self.origins[row] = origin,
            Err(why) => {
                self.problems.push(Problem::Value { name: setting.name, shown: shown(), why, origin });
            }
        }
    }

    /// Reads the file that was named, or the usual one if it is there. Returns the one that was read.
    fn apply_file(&mut self, options: &Options, environment: &Environment) -> Option<PathBuf> {
        let named = options.config.as_deref().or_else(|| environment.get("LARDER_CONFIG"));
        let path = named.map(PathBuf::from).or_else(|| environment.default_file())?;
        match file::read(&path, named.is_none()) {
            Ok(None) => None,
            Ok(Some(entries)) => {
                for entry in entries {
                    let origin = Origin::File { path: path.clone(), line: entry.line };
                    self.apply_entry(entry, origin);
                }
                Some(path)
            }
            Err(problem) => {
                self.problems.push(problem);
                None
            }
        }
    }

    fn apply_entry(&mut self, entry: Entry, origin: Origin) {
        let Some((row, setting)) = SETTINGS.iter().enumerate().find(|(_, setting)| setting.name == entry.key)
        else {
            let nearest = nearest(&entry.key).map(str::to_owned);
            self.problems.push(Problem::Key { key: entry.key, nearest, origin });
            return;
        };
        let (text, quoted) = match entry.value {
            Value::Text(text) => (text, true),
            Value::Bare(text) => (text, false),
            Value::Other(word) => {
                let why = "settings are plain values, without sections".to_owned();
                self.problems.push(Problem::Value {
                    name: setting.name,
                    shown: word.to_owned(),
                    why,
                    origin,
                });
                return;
            }
        };
        if setting.kind.is_path()
            && !text.is_empty()
            && text.starts_with(|c| c != '/' && c != '~' && c != '$')
        {
            // A service has no directory of its own that a relative path in its file could mean.
            let why = "not an absolute path".to_owned();
            self.problems.push(Problem::Value { name: setting.name, shown: quote(&text), why, origin });
            return;
        }
        self.apply(row, setting, text.as_ref(), quoted, origin);
    }

    /// Reads the variables. One that is nearly a setting is a slip and an error; any other `LARDER_*` may belong to a
    /// client or a script in the same environment, and is a warning.
    fn apply_environment(&mut self, environment: &Environment) {
        for (row, setting) in SETTINGS.iter().enumerate() {
            let variable = setting.variable();
            if let Some(text) = environment.get(&variable) {
                self.apply(row, setting, text, true, Origin::Environment(variable));
            }
        }
        for variable in environment.ours() {
            let known = variable == "LARDER_CONFIG" || SETTINGS.iter().any(|row| row.variable() == variable);
            if known {
                continue;
            }
            let name = variable.strip_prefix("LARDER_").unwrap_or(variable);
            match nearest(name).and_then(table::find) {
                Some(meant) => {
                    let variable = variable.to_owned();
                    self.problems.push(Problem::Variable { variable, nearest: meant.variable() });
                }
                None => self
                    .warnings
                    .push(format!("environment variable {variable} is no setting and was ignored")),
            }
        }
    }

    /// Gives the places that nothing set their defaults, and makes the others absolute, so that they stay right
    /// whatever the working directory becomes. Most subcommands work without a socket, in a timer's environment as well.
    fn fill_places(&mut self, environment: &Environment, without_socket: bool) {
        let places = [
            ("socket", Environment::default_socket as fn(&_) -> _, &mut self.settings.socket),
            ("data", Environment::default_data, &mut self.settings.data),
        ];
        for (name, default, path) in places {
            if path.as_os_str().is_empty() {
                // A value that was given but is wrong is a problem of its own already.
                let given =
                    |problem: &Problem| matches!(problem, Problem::Value { name: at, .. } if *at == name);
                match default(environment) {
                    Ok(place) => *path = place,
                    Err(_) if self.problems.iter().any(given) => {}
                    Err(_) if without_socket && name == "socket" => {}
                    Err(why) => {
                        let variable = format!("LARDER_{}", name.to_ascii_uppercase());
                        self.problems.push(Problem::NoPlace { name, why, variable });
                    }
                }
            } else if let Ok(absolute) = std::path::absolute(&*path) {
                *path = absolute;
            }
        }
    }

    /// Checks what no setting can check alone.
    fn check_together(&mut self) {
        let Settings { merge_bytes, buffer_cap_bytes, disk_cap_bytes, max_value_bytes, .. } = self.settings;
        if (1..DISK_CAP_MIN).contains(&disk_cap_bytes) {
            self.problems.push(Problem::Conflict(format!(
                "disk_cap ({}) is below {}: journals and logs would leave no room for entries; raise it, or set it to 0 \
                 for no limit",
                show_bytes(disk_cap_bytes),
                show_bytes(DISK_CAP_MIN)
            )));
        } else if disk_cap_bytes > 0 && max_value_bytes as u64 > disk_cap_bytes / VALUES_IN_CAP {
            self.problems.push(Problem::Conflict(format!(
                "max_value ({}) is above an eighth of disk_cap ({}): values on their way could exceed the cap; \
                 lower the one or raise the other",
                show_bytes(max_value_bytes as u64),
                show_bytes(disk_cap_bytes)
            )));
        }
        self.problems.extend(self.settings.open_to_strangers().map(Problem::Conflict));
        if merge_bytes > buffer_cap_bytes / 2 {
            // The other half is for what is being merged: writers would wait for a merge that starts only above theirs.
            self.problems.push(Problem::Conflict(format!(
                "merge_bytes ({}) is above half of buffer_cap ({}): writers would wait for a merge that never starts \
                 early; lower the one or raise the other",
                show_bytes(merge_bytes),
                show_bytes(buffer_cap_bytes)
            )));
        }
    }
}

/// The text as a TOML string.
pub(super) fn quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            control if control.is_control() => {
                write!(quoted, "\\u{:04X}", u32::from(control)).expect("writing to a string cannot fail");
            }
            _ => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests;
