//! What else derives from the command line's description: the manual pages, and completions for shells.
//!
//! Used for `--man` and `--completions`. `systemd/generated` has what they print, for packages; a test says when it is out
//! of date.

use std::io::Write as _;

use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use super::args;

/// The daemon's own page, as `--man` calls it.
pub(super) const MAIN: &str = "larderd";

/// The section of the manual for programs of the administrator.
const SECTION: &str = "8";

const FILES: &[(&str, &str)] = &[
    ("/etc/larder/larder.toml", "Settings of the system service, and of root; it need not be there."),
    ("~/.config/larder/larder.toml", "Settings of a user's daemon, or in $XDG_CONFIG_HOME."),
    (
        "/var/lib/larder, ~/.local/state/larder",
        "The data: larder.db, its log, journals, a reserve, and the list of hot keys.",
    ),
    (
        "/run/larder/larder.sock, $XDG_RUNTIME_DIR/larder/larder.sock, ~/.local/state/larder/larder.sock",
        "The socket.",
    ),
];

/// The completions of a shell.
pub(super) fn completions(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut args::command(), MAIN, &mut script);
    text(script)
}

/// The manual page of the daemon, or of the subcommand of that name.
pub(super) fn man(name: &str) -> String {
    let mut command = args::command().override_usage(
        "larderd [--SETTING VALUE]... [--config FILE]\nlarderd --check-config | --print-config | --version\n\
         larderd SUBCOMMAND [--SETTING VALUE]... [FILE]",
    );
    command.build();
    let page = if name == MAIN {
        whole(command)
    } else {
        let mut subcommands = command.get_subcommands();
        let subcommand = subcommands.find(|subcommand| subcommand.get_name() == name);
        part(subcommand.expect("clap gives names of subcommands only").clone())
    };
    text(page.expect("writing to memory cannot fail"))
}

fn whole(command: clap::Command) -> std::io::Result<Vec<u8>> {
    let page = titled(Man::new(command));
    let mut out = Vec::new();
    page.render_title(&mut out)?;
    page.render_name_section(&mut out)?;
    page.render_synopsis_section(&mut out)?;
    let mut description = Roff::default();
    description.control("SH", ["DESCRIPTION"]);
    description.text([roman(
        "larderd is a cache beside the programs that use it. It listens on a Unix socket and speaks the Redis protocol; what \
         it has answered as written is in SQLite, and is there after a restart. Without arguments it serves, with the places \
         that fit the user it runs as.",
    )]);
    description.control("PP", []);
    description.text([roman(args::ABOUT_SETTINGS)]);
    description.to_writer(&mut out)?;
    page.render_options_section(&mut out)?;
    page.render_subcommands_section(&mut out)?;
    for (heading, rows) in [("SIGNALS", args::SIGNALS), ("EXIT STATUS", args::EXIT_STATUS), ("FILES", FILES)]
    {
        table(heading, rows).to_writer(&mut out)?;
    }
    writeln!(out, ".SH \"SEE ALSO\"\n.BR larder\\-top (1),\n.BR redis\\-cli (1),\n.BR systemctl (1)")?;
    Ok(out)
}

fn part(command: clap::Command) -> std::io::Result<Vec<u8>> {
    let page = titled(Man::new(command));
    let mut out = Vec::new();
    page.render(&mut out)?;
    writeln!(out, ".SH \"SEE ALSO\"\n.BR larderd (8)")?;
    Ok(out)
}

fn titled(page: Man) -> Man {
    page.section(SECTION).source(concat!("larder ", env!("CARGO_PKG_VERSION"))).manual("larder")
}

/// A section of terms, each with what it means.
fn table(heading: &str, rows: &[(&str, &str)]) -> Roff {
    let mut section = Roff::default();
    section.control("SH", [heading]);
    for (term, meaning) in rows {
        section.control("TP", []);
        section.text([bold(*term)]);
        section.text([roman(*meaning)]);
    }
    section
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("made from text")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::table::SETTINGS;
    use crate::config::task;

    #[test]
    fn the_page_has_every_setting_signal_and_status() {
        let page = man(MAIN).replace("\\-", "-");
        for setting in SETTINGS {
            assert!(page.contains(&format!("--{}", setting.option())), "{}", setting.name);
            assert!(page.contains(&setting.variable()), "{}", setting.name);
        }
        for (term, _) in args::SIGNALS.iter().chain(args::EXIT_STATUS).chain(FILES) {
            assert!(page.contains(&term.replace("\\-", "-")), "{term}");
        }
        assert!(page.contains(".TH larderd 8") && page.contains(".SH \"EXIT STATUS\""), "{page}");
    }

    #[test]
    fn each_subcommand_has_a_page() {
        for name in task::names() {
            let page = man(name);
            assert!(page.contains(&format!(".TH larderd-{name} 8")), "{page}");
            assert!(man(MAIN).contains(&format!("larderd\\-{name}(8)")), "{name}");
        }
    }

    #[test]
    fn shells_are_told_options_and_subcommands() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let script = completions(shell);
            assert!(script.contains("memory-cap") && script.contains("compact"), "{shell}");
        }
    }
}
