//! Writes changed settings into the settings file: what `CONFIG REWRITE` does.
//!
//! Only the values of the settings that are named change; comments, order and everything else stay. The file is replaced
//! as a whole or not at all.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use toml::de::DeTable;

use super::Settings;
use super::load::quote;
use super::table::Setting;
use crate::files::with_suffix;

/// Puts the values that `changed` settings have into the file at `path`.
///
/// # Errors
/// Where the file cannot be read, understood or replaced.
pub fn rewrite(path: &Path, changed: &[&Setting], settings: &Settings) -> io::Result<()> {
    let text = fs::read_to_string(path)?;
    let fresh = rewritten(&text, changed, settings)?;
    if fresh == text {
        return Ok(());
    }
    // Of a link, the file it leads to.
    let path = fs::canonicalize(path)?;
    let beside = with_suffix(&path, ".new");
    let written = File::create(&beside).and_then(|mut file| {
        file.set_permissions(fs::metadata(&path)?.permissions())?;
        file.write_all(fresh.as_bytes())?;
        file.sync_all()
    });
    let replaced = written.and_then(|()| fs::rename(&beside, &path));
    if replaced.is_err() {
        // Half a file is of no use to anyone; that it cannot be removed either changes nothing.
        let _ = fs::remove_file(&beside);
    }
    replaced
}

fn rewritten(text: &str, changed: &[&Setting], settings: &Settings) -> io::Result<String> {
    let table = DeTable::parse(text).map_err(|error| io::Error::other(error.message().to_owned()))?;
    let mut places = Vec::new();
    let mut added = String::new();
    for setting in changed {
        let value = setting.kind.show(settings);
        let value = if setting.kind.is_text() { quote(&value) } else { value };
        match table.get_ref().get(setting.name) {
            Some(there) => places.push((there.span(), value)),
            None => added.extend([setting.name, " = ", &value, "\n"]),
        }
    }
    let mut fresh = text.to_owned();
    // From the end, so that earlier places stay where they are.
    places.sort_by_key(|(place, _)| std::cmp::Reverse(place.start));
    for (place, value) in places {
        fresh.replace_range(place, &value);
    }
    if !(fresh.is_empty() || fresh.ends_with('\n')) {
        fresh.push('\n');
    }
    Ok(fresh + &added)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::table::find;

    #[test]
    fn only_the_values_change() {
        let settings = Settings {
            default_ttl: Some(Duration::from_secs(90)),
            max_connections: 77,
            ..Settings::default()
        };
        let changed = ["default_ttl", "max_connections", "max_key"].map(|name| find(name).unwrap());
        let text = "# mine\nmax_connections = 5 # few\ndefault_ttl = \"1h\"\nreaders = 2";
        let fresh = rewritten(text, &changed, &settings).unwrap();
        let expected =
            "# mine\nmax_connections = 77 # few\ndefault_ttl = \"90s\"\nreaders = 2\nmax_key = \"64KiB\"\n";
        assert_eq!(fresh, expected);
        assert_eq!(rewritten("", &changed[..1], &settings).unwrap(), "default_ttl = \"90s\"\n");
        assert!(rewritten("readers =", &changed, &settings).is_err());
    }
}
