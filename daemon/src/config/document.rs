//! The table of settings as documents: README's overview, SETTINGS.md, and a settings file to start from. Tests keep them up
//! to date.

use std::fmt::Write as _;

use super::load::quote;
use super::table::{SETTINGS, Setting};

/// SETTINGS.md's tables: one for each group, a row for each setting.
#[must_use]
pub fn tables() -> String {
    let mut page = String::new();
    let mut group = None;
    for setting in SETTINGS {
        if group.replace(setting.group) != Some(setting.group) {
            let head = "| setting | default | range | changes with a | |\n|---|---|---|---|---|";
            writeln!(page, "\n## {}\n\n{head}", setting.group.title())
                .expect("writing to a string cannot fail");
        }
        let default = match setting.default.fixed(&setting.kind) {
            None => setting.default.describe(&setting.kind),
            Some(text) if text.is_empty() => "none".to_owned(),
            Some(text) => format!("`{text}`"),
        };
        let range = setting.kind.range().unwrap_or_default();
        let live = if setting.live { "reload" } else { "restart" };
        writeln!(page, "| `{}` | {default} | {range} | {live} | {} |", setting.name, setting.help)
            .expect("writing to a string cannot fail");
    }
    page + "\n"
}

/// README's table: a row for each group, with its settings and their defaults.
#[must_use]
pub fn overview() -> String {
    let mut rows = String::from("| | |\n|---|---|\n");
    let mut group = None;
    for setting in SETTINGS {
        let is_first = group.replace(setting.group) != Some(setting.group);
        if is_first {
            let end = if rows.ends_with("|\n") { "" } else { " |\n" };
            write!(rows, "{end}| {} | ", setting.group.title()).expect("writing to a string cannot fail");
        }
        let default = match setting.default.fixed(&setting.kind) {
            Some(default) if !default.is_empty() => format!(" {default}"),
            _ => String::new(),
        };
        let comma = if is_first { "" } else { ", " };
        write!(rows, "{comma}`{}`{default}", setting.name).expect("writing to a string cannot fail");
    }
    rows + " |\n"
}

/// A settings file with every setting, commented out, at its default.
#[must_use]
pub fn example_file() -> String {
    let mut text = String::from(
        "# Settings of larderd. Each is shown with its default; take away the # to change it. `larderd --check-config` says\n\
         # whether the file is right, `larderd --print-config` what is in force and why. Those marked live change when the\n\
         # daemon reloads (systemctl reload larderd, or SIGHUP), the others when it restarts.\n",
    );
    let mut group = None;
    for setting in SETTINGS {
        if group.replace(setting.group) != Some(setting.group) {
            write!(text, "\n# {}\n", setting.group.title()).expect("writing to a string cannot fail");
        }
        let live = if setting.live { " Live." } else { "" };
        for line in wrapped(&format!("{}.{live}", explained(setting)), 116) {
            writeln!(text, "# {line}").expect("writing to a string cannot fail");
        }
        let value = match setting.default.fixed(&setting.kind) {
            Some(value) if setting.kind.is_text() => quote(&value),
            Some(value) => value,
            // Differs from user to user: what a service has.
            None => {
                let described = setting.default.describe(&setting.kind);
                quote(described.rsplit("for root ").next().unwrap_or_default())
            }
        };
        writeln!(text, "#{} = {value}", setting.name).expect("writing to a string cannot fail");
    }
    text
}

/// The help with the range, where there is one.
fn explained(setting: &Setting) -> String {
    match setting.kind.range() {
        Some(range) => format!("{} ({range})", setting.help),
        None => setting.help.to_owned(),
    }
}

/// Words in lines of at most `width` bytes.
pub(super) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().expect("there is always one");
        if line.is_empty() {
            line.push_str(word);
        } else if line.len() + 1 + word.len() <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::documents::{keep, keep_contents};

    #[test]
    fn the_documents_list_every_setting() {
        keep("README.md", "settings", &overview());
        keep("daemon/SETTINGS.md", "settings", &tables());
        keep_contents("daemon/SETTINGS.md");
    }

    #[test]
    fn the_example_file_is_that_of_the_table() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../systemd/larder.toml.example");
        if std::env::var_os("UPDATE_DOCUMENTS").is_some() {
            std::fs::write(&path, example_file()).unwrap();
        }
        let there = std::fs::read_to_string(&path).unwrap();
        assert_eq!(there, example_file(), "run the test with UPDATE_DOCUMENTS=1 to write it anew");
    }

    #[test]
    fn the_example_file_can_be_read_with_everything_in_it() {
        let text = example_file();
        let values = text.lines().filter_map(|line| line.strip_prefix('#'));
        let values = values.filter(|line| line.contains(" = ") && !line.starts_with(' '));
        let set = values.collect::<Vec<_>>().join("\n");
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, set).unwrap();
        let entries = crate::config::file::read(file.path(), false).unwrap().unwrap();
        let names: Vec<_> = entries.iter().map(|entry| entry.key.as_str()).collect();
        assert_eq!(names, SETTINGS.iter().map(|setting| setting.name).collect::<Vec<_>>());
    }
}
