//! The loader as its caller sees it: words, variables and a file in, settings or complete error texts out.

use std::path::Path;
use std::time::Duration;

use super::*;
use crate::config::Level;

/// A directory for the file, and an environment whose default places are inside it.
struct Bench {
    directory: tempfile::TempDir,
    variables: Vec<(String, String)>,
}

impl Bench {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path().to_str().unwrap().to_owned();
        let variables = ["XDG_RUNTIME_DIR", "XDG_STATE_HOME", "XDG_CONFIG_HOME"];
        Self { directory, variables: variables.map(|name| (name.to_owned(), at.clone())).into() }
    }

    fn set(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Writes the file where it is looked for.
    fn file(self, text: &str) -> Self {
        std::fs::create_dir_all(self.path("larder")).unwrap();
        std::fs::write(self.path("larder/larder.toml"), text).unwrap();
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn load(&self, words: &[&str]) -> Result<Command, ConfigError> {
        let environment = Environment::new(1000, self.variables.clone());
        load(std::iter::once(&"larderd").chain(words).map(OsString::from), &environment, "0.1.0 (SQLite 3.0)")
    }

    fn config(&self, words: &[&str]) -> Config {
        match self.load(words) {
            Ok(Command::Run(config)) => config,
            other => panic!("{words:?}: {other:?}"),
        }
    }

    fn printed(&self, words: &[&str]) -> String {
        match self.load(words) {
            Ok(Command::Print(text)) => text,
            other => panic!("{words:?}: {other:?}"),
        }
    }

    /// The error text, with the file's directory left out.
    fn error(&self, words: &[&str]) -> String {
        let error = self.load(words).expect_err("this configuration is wrong");
        error.to_string().replace(self.path("larder/").to_str().unwrap(), "")
    }
}

#[test]
fn without_anything_the_defaults_hold() {
    let bench = Bench::new();
    let config = bench.config(&[]);
    let expected = Settings {
        socket: bench.path("larder/larder.sock"),
        data: bench.path("larder"),
        ..Settings::default()
    };
    assert_eq!(config.settings, expected);
    assert_eq!(config.file, None);
    assert!(config.warnings.is_empty());
    assert_eq!(config.origin("readers"), Some(&Origin::Default));
    assert_eq!(config.origin("no_such_setting"), None);
}

#[test]
fn option_over_environment_over_file_over_default() {
    let bench = Bench::new().file("readers = 5\nmemory_cap = \"5MiB\"\nmax_key = 500\n");
    let bench = bench.set("LARDER_READERS", "6").set("LARDER_MEMORY_CAP", "6MiB");
    let config = bench.config(&["--readers", "7"]);
    assert_eq!(config.settings.readers, 7);
    assert_eq!(config.settings.memory_cap_bytes, 6 << 20);
    assert_eq!(config.settings.max_key_bytes, 500);
    assert_eq!(config.settings.log_level, Level::Info);
    assert_eq!(config.origin("readers").unwrap().to_string(), "option --readers");
    assert_eq!(config.origin("memory_cap").unwrap().to_string(), "environment LARDER_MEMORY_CAP");
    let path = bench.path("larder/larder.toml");
    assert_eq!(config.origin("max_key").unwrap(), &Origin::File { path: path.clone(), line: 3 });
    assert_eq!(config.file, Some(path));
}

#[test]
fn every_type_can_come_from_the_file() {
    let bench = Bench::new().file(
        "socket = \"/x/s\"\nsocket_mode = 0o660\ndurability = \"fsync\"\ndefault_ttl = \"7d\"\n\
         max_connections = 12\nmax_line = \"1KiB\"\nlog_level = \"debug\"\nmerge_interval = \"1500ms\"\n",
    );
    let settings = bench.config(&[]).settings;
    assert_eq!(settings.socket, Path::new("/x/s"));
    assert_eq!(settings.socket_mode, 0o660);
    assert_eq!(settings.durability.as_str(), "fsync");
    assert_eq!(settings.default_ttl, Some(Duration::from_hours(7 * 24)));
    assert_eq!((settings.max_connections, settings.max_line_bytes), (12, 1024));
    assert_eq!(settings.log_level.as_str(), "debug");
    assert_eq!(settings.merge_interval, Duration::from_millis(1500));
}

#[test]
fn bad_values_name_the_setting_the_text_and_the_place() {
    let cases: &[(&str, &str)] = &[
        (
            "\n\nmemory_cap = \"12 parsecs\"",
            "memory_cap = \"12 parsecs\": not a size; use bytes or a unit like 64MiB (larder.toml, line 3)",
        ),
        ("readers = 100", "readers = 100: out of range; from 1 to 64 (larder.toml, line 1)"),
        ("readers = true", "readers = true: not a whole number (larder.toml, line 1)"),
        (
            "merge_interval = 5",
            "merge_interval = 5: not a duration; use a number and a unit: 200ms, 90s, 5m, 1h, 7d (larder.toml, line 1)",
        ),
        ("data = \"here\"", "data = \"here\": not an absolute path (larder.toml, line 1)"),
        (
            "readers = [1]",
            "readers = a list: settings are plain values, without sections (larder.toml, line 1)",
        ),
        ("memroy_cap = 1", "unknown setting \"memroy_cap\"; did you mean memory_cap? (larder.toml, line 1)"),
        ("[colours]\nred = 1", "unknown setting \"colours\"; --help lists them all (larder.toml, line 1)"),
    ];
    for (text, expected) in cases {
        assert_eq!(Bench::new().file(text).error(&[]), *expected);
    }
    let bench = Bench::new().set("LARDER_READERS", "many");
    assert_eq!(bench.error(&[]), "readers = \"many\": not a whole number (environment LARDER_READERS)");
    let error = Bench::new().error(&["--socket-mode", "rw"]);
    assert!(error.starts_with("socket_mode = \"rw\": not a file mode;"), "{error}");
    assert!(error.ends_with("(option --socket-mode)"), "{error}");
}

#[test]
fn all_problems_are_told_in_one_go() {
    let bench = Bench::new().file("readers = 0\nunknown_thing = 1\n").set("LARDER_LOG_LEVEL", "loud");
    let error = bench.load(&["--max-key", "0"]).unwrap_err();
    assert_eq!(error.to_string().lines().count(), 4, "{error}");
    assert_eq!(error.exit_status(), 78);
}

#[test]
fn a_named_file_must_be_there_and_replaces_the_usual_one() {
    let bench = Bench::new().file("readers = 5\n");
    let other = bench.path("other.toml");
    let words = ["--config", other.to_str().unwrap()];
    assert!(bench.error(&words).contains("cannot read the configuration file"));
    std::fs::write(&other, "memory_cap = 0\n").unwrap();
    let settings = bench.config(&words).settings;
    assert_eq!((settings.readers, settings.memory_cap_bytes), (4, 0));
    let bench = bench.set("LARDER_CONFIG", other.to_str().unwrap());
    assert_eq!(bench.config(&[]).settings.readers, 4);
}

#[test]
fn unknown_variables_are_errors_when_near_and_warnings_when_not() {
    let bench = Bench::new().set("LARDER_MEMROY_CAP", "1MiB");
    assert_eq!(
        bench.error(&[]),
        "unknown environment variable LARDER_MEMROY_CAP; did you mean LARDER_MEMORY_CAP?"
    );
    let config = Bench::new().set("LARDER_TOP_COLOURS", "none").config(&[]);
    assert_eq!(config.warnings, ["environment variable LARDER_TOP_COLOURS is no setting and was ignored"]);
}

#[test]
fn settings_that_do_not_go_together_are_refused() {
    let error = Bench::new().error(&["--merge-bytes", "2MiB", "--buffer-cap", "1MiB"]);
    assert!(error.starts_with("merge_bytes (2MiB) is above half of buffer_cap (1MiB)"), "{error}");
}

#[test]
fn a_user_without_a_home_is_told_which_option_helps() {
    let nowhere = tempfile::tempdir().unwrap();
    let none: [(&str, &str); 0] = [];
    let environment = Environment::new(4_294_967_294, none).with_root(nowhere.path());
    let load = |words: &[&str]| load(words.iter().map(OsString::from), &environment, "");
    let error = load(&["larderd", "--data", "/x/d"]).unwrap_err().to_string();
    assert!(error.contains("--socket or LARDER_SOCKET") && error.contains("XDG_RUNTIME_DIR"), "{error}");
    assert!(load(&["larderd", "--data", "/x/d", "--socket", "/x/s"]).is_ok());
}

#[test]
fn relative_paths_on_the_command_line_are_made_absolute() {
    let settings = Bench::new().config(&["--socket", "s.sock"]).settings;
    assert_eq!(settings.socket, std::env::current_dir().unwrap().join("s.sock"));
}

#[test]
fn the_printed_configuration_sets_the_same() {
    let bench = Bench::new().set("LARDER_MEMORY_CAP", "6MiB");
    let words = ["--readers", "7", "--data", "/with \"quotes\" and \\"];
    let printed = bench.printed(&[&words[..], &["--print-config"]].concat());
    let line = |name: &str| printed.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
    assert!(line("readers =").ends_with("# option --readers"), "{printed}");
    assert!(line("memory_cap = \"6MiB\"").ends_with("# environment LARDER_MEMORY_CAP"), "{printed}");
    assert!(line("log_level = \"info\"").ends_with("# default"), "{printed}");

    let settings = bench.config(&words).settings;
    let again = Bench::new().file(&printed).config(&[]).settings;
    assert_eq!(again, settings);
}

#[test]
fn version_and_check_print_and_leave() {
    let bench = Bench::new().set("LARDER_TOP_COLOURS", "none");
    assert_eq!(bench.printed(&["--version"]), "larderd 0.1.0 (SQLite 3.0)\n");
    let checked = bench.printed(&["--check-config"]);
    assert!(
        checked.starts_with("warning: ") && checked.ends_with("configuration OK (no file)\n"),
        "{checked}"
    );
    assert!(bench.printed(&["--help"]).contains("--memory-cap"));
    assert!(Bench::new().file("readers = 0\n").load(&["--check-config"]).is_err());
    assert_eq!(Bench::new().load(&["--nonsense"]).unwrap_err().exit_status(), 64);
}
