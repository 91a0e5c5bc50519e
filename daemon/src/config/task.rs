//! The subcommands: what `larderd check` and its kin take on the command line.
//!
//! One table lists them with their help and the settings that matter to each. The values of these come from the same
//! options, variables and file as the daemon's, so that a subcommand finds the data where the daemon has it. What they do
//! is in [`offline`](crate::offline).

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Arg, ArgMatches, ValueHint, value_parser};

use super::args;

/// What to do instead of serving.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Task {
    /// Look whether the data is sound.
    Check,
    /// Make the files as small as they can be.
    Compact,
    /// Copy the database.
    Backup {
        /// The file to write.
        file: PathBuf,
    },
    /// Write all entries as requests.
    Export {
        /// The file to write; standard output where there is none.
        output: Option<PathBuf>,
    },
    /// Look whether everything around the daemon is as it should be.
    Doctor,
    /// Read entries as requests.
    Import {
        /// The file to read; standard input where there is none.
        input: Option<PathBuf>,
    },
    /// Send a file of commands to a running daemon.
    Warm {
        /// The file to read; standard input where there is none.
        input: Option<PathBuf>,
    },
}

/// A subcommand on the command line.
struct Row {
    name: &'static str,
    summary: &'static str,
    details: &'static str,
    /// Settings that it goes by, and has options for.
    settings: &'static [&'static str],
    argument: Option<Argument>,
}

/// What a subcommand takes beside settings.
struct Argument {
    /// As an option, or by its place.
    option: bool,
    required: bool,
    help: &'static str,
}

/// The only argument's name, for clap.
const FILE: &str = "file";

const ROWS: &[Row] = &[
    Row {
        name: "check",
        summary: "Check the data, without changing anything",
        details: "Reads everything there is: the database as SQLite checks it, the checksum of every entry, the accounting, and \
                  the journals. Says what it found. Ends with status 0 where all is sound, 1 where something is not, and \
                  2 where it could not look. No daemon may be running on the data.",
        settings: &["data"],
        argument: None,
    },
    Row {
        name: "doctor",
        summary: "Look whether a daemon can run here, and does",
        details: "Looks at settings, directories and their permissions, files, SQLite, room on the disk, the limit on open files, \
                  the socket (it connects, and asks for PONG) and the units of systemd. Says what it found and what to do \
                  about it, and changes nothing. Ends with status 0 where nothing is wrong, 1 where something is. Run it as \
                  the daemon's user or as root: others may not look at everything.",
        settings: &["data", "socket", "socket_mode", "disk_cap", "max_connections"],
        argument: None,
    },
    Row {
        name: "compact",
        summary: "Make the database as small as its entries allow",
        details: "Merges the journals and writes the database anew, without free room in it. For that it needs as much room on \
                  the disk as the entries take, and says so where there is less. No daemon may be running on the data.",
        settings: &["data", "disk_cap", "compress_from", "compression_level"],
        argument: None,
    },
    Row {
        name: "backup",
        summary: "Copy the database to a file, also while a daemon runs",
        details: "Writes one file with all entries. Put into an empty data directory as larder.db, it is what a daemon starts \
                  with. Where a daemon runs it is asked for the copy, which then holds everything it had answered before, \
                  and it goes on serving; the file is then the daemon's user's, in a place where the daemon may write (as a service \
                  often its data directory only). With --socket and without --data, the \
                  daemon there is asked in any case.",
        settings: &["data", "socket", "disk_cap", "compress_from", "compression_level"],
        argument: Some(Argument {
            option: false,
            required: true,
            help: "The file to write; it must not be there yet",
        }),
    },
    Row {
        name: "export",
        summary: "Write all entries as requests",
        details: "Writes SET key value PXAT deadline for each entry, as RESP: for larderd import, for redis-cli --pipe and for \
                  any Redis. What has expired is left out. No daemon may be running on the data; while one is, export \
                  from a backup.",
        settings: &["data"],
        argument: Some(Argument {
            option: true,
            required: false,
            help: "File to write, which must not be there yet, instead of standard output",
        }),
    },
    Row {
        name: "import",
        summary: "Store the entries of a file of requests",
        details: "Reads SET (with EX, PX, EXAT or PXAT), MSET, DEL and UNLINK, as RESP or as lines. The first request that is \
                  anything else, or wrong, ends the import; what came before it is stored. Entries without a TTL get \
                  none but max_ttl. No daemon may be running on the data; to one that is, send the file: redis-cli -s SOCKET --pipe.",
        settings: &[
            "data",
            "disk_cap",
            "compress_from",
            "compression_level",
            "merge_bytes",
            "max_ttl",
            "max_line",
            "max_args",
            "max_key",
            "max_value",
        ],
        argument: Some(Argument {
            option: false,
            required: false,
            help: "File to read; standard input where it is - or missing",
        }),
    },
    Row {
        name: "warm",
        summary: "Send a file of commands to a running daemon",
        details: "Reads commands on entries, as RESP or as lines, such as larderd export writes, and has the daemon on the \
                  socket run them beside its traffic. A command that the daemon refuses is told, and the next one goes on; \
                  one that cannot be read, or is none on entries, ends it. Ends with status 0 where all were run. To load \
                  a file at each start instead, give the daemon --warm FILE.",
        settings: &["socket", "max_line", "max_args", "max_key", "max_value"],
        argument: Some(Argument {
            option: false,
            required: false,
            help: "File to read; standard input where it is - or missing",
        }),
    },
];

/// What the subcommands are called.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    ROWS.iter().map(|row| row.name)
}

/// The subcommands, for clap.
pub(super) fn commands() -> impl Iterator<Item = clap::Command> {
    ROWS.iter().map(|row| {
        clap::Command::new(row.name)
            .about(row.summary)
            .long_about(format!("{}.\n\n{}", row.summary, args::paragraph(row.details)))
            .args(row.argument.iter().map(Argument::for_clap))
            .args(args::options(row.settings))
            .arg(args::config())
            .disable_help_flag(true)
            .arg(args::help_flag())
            .next_line_help(true)
    })
}

impl Argument {
    fn for_clap(&self) -> Arg {
        let arg = Arg::new(FILE).value_name("FILE").value_parser(value_parser!(OsString)).help(self.help);
        let arg = arg.value_hint(ValueHint::FilePath);
        if self.option { arg.long("output") } else { arg.required(self.required) }
    }
}

impl Task {
    /// The subcommand called `name`, which is one of the table's.
    pub(super) fn of(name: &str, matches: &mut ArgMatches) -> Self {
        let mut file = || matches.remove_one::<OsString>(FILE).map(PathBuf::from);
        match name {
            "check" => Self::Check,
            "doctor" => Self::Doctor,
            "compact" => Self::Compact,
            "backup" => Self::Backup { file: file().unwrap_or_default() },
            "export" => Self::Export { output: file() },
            "import" => Self::Import { input: file().filter(|path| path.as_os_str() != "-") },
            "warm" => Self::Warm { input: file().filter(|path| path.as_os_str() != "-") },
            _ => unreachable!("clap gives names of the table only"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::args::{Asked, parse};
    use crate::config::table;

    fn asked(words: &[&str]) -> Result<Asked, String> {
        let words = std::iter::once("larderd").chain(words.iter().copied()).map(OsString::from);
        parse(words).map_err(|error| error.to_string())
    }

    fn task(words: &[&str]) -> Option<Task> {
        match asked(words) {
            Ok(Asked::Options(options)) => options.task,
            other => panic!("{words:?}: {other:?}"),
        }
    }

    #[test]
    fn each_row_is_a_task_and_names_settings_that_exist() {
        for row in ROWS {
            for name in row.settings {
                assert!(table::find(name).is_some(), "{}: {name}", row.name);
            }
            let place = if row.name == "warm" { "socket" } else { "data" };
            assert!(row.settings.contains(&place) && !row.summary.ends_with('.'), "{}", row.name);
            let file = if row.argument.as_ref().is_some_and(|argument| argument.required) { "f" } else { "" };
            let words: Vec<_> = [row.name, file].into_iter().filter(|word| !word.is_empty()).collect();
            assert!(task(&words).is_some(), "{}", row.name);
        }
        assert_eq!(task(&[]), None);
        assert_eq!(task(&["backup", "f"]), Some(Task::Backup { file: "f".into() }));
        assert_eq!(task(&["export", "--output", "f"]), Some(Task::Export { output: Some("f".into()) }));
        assert_eq!(task(&["warm", "f"]), Some(Task::Warm { input: Some("f".into()) }));
        assert_eq!(task(&["import", "-"]), Some(Task::Import { input: None }));
        assert_eq!(task(&["import", "f", "--data", "/d"]), Some(Task::Import { input: Some("f".into()) }));
    }

    #[test]
    fn help_lists_them_and_explains_each() {
        let Ok(Asked::Help(all)) = asked(&["--help"]) else { panic!("no help") };
        for row in ROWS {
            assert!(all.contains(&format!("{}\n", row.name)) && all.contains(row.summary), "{all}");
            let Ok(Asked::Help(one)) = asked(&[row.name, "--help"]) else { panic!("{}", row.name) };
            let flat = one.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(
                flat.contains(row.details) && one.contains(&format!("--{} <PATH>", row.settings[0])),
                "{one}"
            );
            assert!(one.lines().all(|line| line.len() <= 132 && !line.ends_with(' ')), "{one}");
        }
    }

    #[test]
    fn slips_get_a_suggestion() {
        for (words, hint) in [
            (&["chek"][..], "'check'"),
            (&["check", "--dat", "/d"], "--data"),
            (&["backup"], "<FILE>"),
            (&["compact", "stray"], "stray"),
            (&["--data", "/d", "check"], "check"),
        ] {
            let error = asked(words).expect_err("not a command line");
            assert!(error.contains(hint), "{words:?}: {error}");
        }
    }
}
