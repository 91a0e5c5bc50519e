//! `CONFIG GET pattern [pattern ...] | SET name value [name value ...] | RESETSTAT | REWRITE`: settings by name, larder's own
//! and those Redis clients ask for, in Redis's terms.
//!
//! SET changes what a reload can change, until the next reload or restart: several settings together or none. REWRITE puts
//! what was set into the settings file.

use std::rc::Rc;

use larder_protocol::{Reply, Request};

use super::args::pattern;
use super::command::NAMES_MAX;
use super::help::subcommands;
use super::subcommands::misused;
use super::{Class, Client, Group, Host, Job, Keys, Run, Spec, args};
use crate::config::kind::Kind;
use crate::config::table::{self, SETTINGS, Setting};
use crate::config::{Durability, Settings};
use crate::error::{CommandError, SettingError, shown};
use crate::glob::Pattern;

/// Redis's name for how entries go from memory.
pub(super) const POLICY: &str = "allkeys-lfu";

pub(super) static SPEC: Spec = Spec {
    name: "config",
    usage: "GET pattern [pattern ...] | SET name value [name value ...] | RESETSTAT | REWRITE",
    arity: -2,
    class: Class::Admin,
    group: Group::Server,
    keys: Keys::NONE,
    summary: "Tells settings by name, or changes them",
    run: Run::LocalOrJob(run, asks_for_names, set_with_names),
};

fn run(request: Request<'_>, _: &Rc<Client>, host: &Host) -> Result<Reply, CommandError> {
    match &request.arg(0).to_ascii_lowercase()[..] {
        b"get" => get(request, host),
        b"set" => set(&wanted(request)?, None, host),
        b"resetstat" => {
            host.reset_counters();
            Ok(Reply::OK)
        }
        b"rewrite" => {
            host.rewrite_settings()?;
            Ok(Reply::OK)
        }
        b"help" => Ok(subcommands(&SPEC)),
        _ => Err(misused(&SPEC, request)),
    }
}

fn get(request: Request<'_>, host: &Host) -> Result<Reply, CommandError> {
    if request.len() > 2 + NAMES_MAX {
        return Err(CommandError::TooManyNames { limit: NAMES_MAX });
    }
    let glob = |word| pattern(word).map(|word| Pattern::glob(&word.to_ascii_lowercase()));
    let patterns = request.tail(1).map(glob).collect::<Result<Vec<_>, _>>()?;
    let wanted = |name: &str| patterns.iter().any(|pattern| pattern.matches(name.as_bytes()));
    let settings = host.settings();
    let own = SETTINGS.iter().filter_map(|setting| Some((setting.name, settings.get(setting.name)?)));
    let redis = IN_REDIS_TERMS.iter().map(|row| (row.name, (row.get)(&settings)));
    let found = own.chain(redis).filter(|(name, _)| wanted(name));
    Ok(Reply::map(found))
}

/// What clients and tools look up by Redis's names, answered so that they draw the right conclusions.
struct InRedisTerms {
    name: &'static str,
    get: fn(&Settings) -> String,
    /// The setting of larder's that it stands for, and its value there.
    set: fn(&str) -> Option<(&'static str, String)>,
    /// What is said of a value that cannot be set.
    refused: &'static str,
}

const IMMUTABLE: &str = "can't set immutable config";
const NOT_AN_INTEGER: &str = "argument couldn't be parsed into an integer";
const NOT_A_SIZE: &str = "argument must be a memory value";

const fn row(name: &'static str, refused: &'static str, get: fn(&Settings) -> String) -> InRedisTerms {
    InRedisTerms { name, get, set: |_| None, refused }
}

const IN_REDIS_TERMS: [InRedisTerms; 23] = [
    row("appendonly", "larder keeps all it has answered: it can only be 'yes'", |_| "yes".into()),
    row("appendfsync", "durability says it, and needs a restart", |settings| match settings.durability {
        Durability::Fsync => "always".into(),
        Durability::Commit | Durability::Memory => "everysec".into(),
    }),
    row("save", "larder writes all along: it can only be empty", |_| String::new()),
    row("databases", IMMUTABLE, |_| "1".into()),
    row("maxmemory-policy", "it can only be 'allkeys-lfu'", |_| POLICY.into()),
    InRedisTerms {
        name: "timeout",
        get: |settings| settings.idle_timeout.map_or(0, |timeout| timeout.as_secs()).to_string(),
        set: |value| integer(value).map(|secs| ("idle_timeout", format!("{secs}s"))),
        refused: NOT_AN_INTEGER,
    },
    row("requirepass", "password_file says it", |_| String::new()),
    row("port", IMMUTABLE, |settings| settings.tcp.map_or(0, |tcp| tcp.port()).to_string()),
    row("bind", IMMUTABLE, |settings| settings.tcp.map_or_else(String::new, |tcp| tcp.ip().to_string())),
    row("unixsocket", IMMUTABLE, |settings| settings.socket.display().to_string()),
    row("unixsocketperm", IMMUTABLE, |settings| format!("{:o}", settings.socket_mode)),
    row("dir", IMMUTABLE, |settings| settings.data.display().to_string()),
    row("daemonize", IMMUTABLE, |_| "no".into()),
    row("cluster-enabled", IMMUTABLE, |_| "no".into()),
    row("io-threads", IMMUTABLE, |_| "1".into()),
    row("latency-monitor-threshold", "larder times commands all along: see LATENCY HISTOGRAM", |_| {
        "0".into()
    }),
    row("client-output-buffer-limit", "subscriber_buffer and output_limit say it", |settings| {
        format!("normal 0 0 0 slave 0 0 0 pubsub {} 0 0", settings.subscriber_buffer_bytes)
    }),
    InRedisTerms {
        name: "maxclients",
        get: |settings| settings.max_connections.to_string(),
        set: |value| integer(value).map(|count| ("max_connections", count.to_string())),
        refused: NOT_AN_INTEGER,
    },
    InRedisTerms {
        name: "maxmemory",
        get: |settings| settings.memory_cap_bytes.to_string(),
        set: |value| Some(("memory_cap", redis_bytes(value)?)),
        refused: NOT_A_SIZE,
    },
    InRedisTerms {
        name: "proto-max-bulk-len",
        get: |settings| settings.max_value_bytes.to_string(),
        set: |value| Some(("max_value", redis_bytes(value)?)),
        refused: NOT_A_SIZE,
    },
    InRedisTerms {
        name: "slowlog-log-slower-than",
        get: |settings| settings.slow_command.map_or(-1, |slow| slow.as_micros() as i64).to_string(),
        // Whole milliseconds, at least one: larder's own commands take microseconds.
        set: |value| match integer(value)? {
            ..0 => Some(("slow_command", "0".into())),
            us => Some(("slow_command", format!("{}ms", (us / 1_000).max(1)))),
        },
        refused: NOT_AN_INTEGER,
    },
    InRedisTerms {
        name: "notify-keyspace-events",
        get: |settings| settings.notify_keyspace_events.to_string(),
        set: |value| Some(("notify_keyspace_events", value.to_owned())),
        refused: "it is not made of Redis's letters",
    },
    InRedisTerms {
        name: "slowlog-max-len",
        get: |settings| settings.slow_commands_kept.to_string(),
        set: |value| integer(value).map(|count| ("slow_commands_kept", count.to_string())),
        refused: NOT_AN_INTEGER,
    },
];

fn integer(text: &str) -> Option<i64> {
    args::integer(text.as_bytes())
}

/// Redis's sizes: `kb` is 1024 there, `k` is 1000.
fn redis_bytes(text: &str) -> Option<String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    if number.is_empty() {
        return None;
    }
    let unit = match &unit.to_ascii_lowercase()[..] {
        "" | "b" => "",
        "k" => "kB",
        "kb" => "KiB",
        "m" => "MB",
        "mb" => "MiB",
        "g" => "GB",
        "gb" => "GiB",
        _ => return None,
    };
    Some(format!("{number}{unit}"))
}

/// A setting, and what a client wants it to be.
type Wanted = (String, String);

/// What CONFIG SET is given.
///
/// # Errors
/// Where a name is none, or comes twice.
fn wanted(request: Request<'_>) -> Result<Vec<Wanted>, CommandError> {
    if !request.len().is_multiple_of(2) {
        return Err(CommandError::Arity("config|set"));
    }
    let mut words = request.tail(1);
    let mut wanted: Vec<Wanted> = Vec::new();
    while let (Some(name), Some(value)) = (words.next(), words.next()) {
        let name = String::from_utf8_lossy(name).to_ascii_lowercase();
        if wanted.iter().any(|(before, _)| *before == name) {
            return Err(SettingError::Refused { name, why: "duplicate parameter".into() }.into());
        }
        let known = table::find(&name).is_some() || IN_REDIS_TERMS.iter().any(|row| row.name == name);
        if !known {
            return Err(SettingError::Unknown(shown(name.as_bytes())).into());
        }
        wanted.push((name, String::from_utf8_lossy(value).into_owned()));
    }
    Ok(wanted)
}

/// Sets all of it, or nothing. Users and groups are taken from `found`, where they have been looked up.
fn set(wanted: &[Wanted], found: Option<&Settings>, host: &Host) -> Result<Reply, CommandError> {
    let refused = |name: &str, why| SettingError::Refused { name: name.to_owned(), why };
    let mut fresh = (*host.settings()).clone();
    for (name, value) in wanted {
        set_one(name, value, found, &mut fresh).map_err(|why| refused(name, why))?;
    }
    let last = wanted.last().map_or("", |(name, _)| name);
    host.set(&fresh).map_err(|why| refused(last, why))?;
    Ok(Reply::OK)
}

/// The setting of that name, where its value is users or groups.
fn of_names(name: &str) -> Option<&'static Setting> {
    table::find(name).filter(|setting| matches!(setting.kind, Kind::Users(_) | Kind::Groups(_)))
}

/// Whether users or groups have to be looked up, which may take a directory service its time.
fn asks_for_names(request: Request<'_>) -> bool {
    let names = || request.tail(1).step_by(2).filter_map(|word| std::str::from_utf8(word).ok());
    request.arg(0).eq_ignore_ascii_case(b"set")
        && names().any(|name| of_names(&name.to_ascii_lowercase()).is_some())
}

/// As [`set`], with users and groups looked up while others are served. What others set meanwhile stays.
fn set_with_names<'a>(request: Request<'_>, host: &'a Host) -> Result<Job<'a>, CommandError> {
    let wanted = wanted(request)?;
    Ok(Box::pin(async move {
        let lists: Vec<_> = wanted.iter().filter(|(name, _)| of_names(name).is_some()).cloned().collect();
        let last = lists.last().map_or_else(String::new, |(name, _)| name.clone());
        let found = host.aside.run(move || look_up(&lists)).await;
        let found = found.unwrap_or_else(|why| Err(SettingError::Refused { name: last, why }))?;
        set(&wanted, Some(&found), host)
    }))
}

/// Settings with these lists of users and groups.
fn look_up(lists: &[Wanted]) -> Result<Settings, SettingError> {
    let mut found = Settings::default();
    for (name, value) in lists {
        set_one(name, value, None, &mut found)
            .map_err(|why| SettingError::Refused { name: name.clone(), why })?;
    }
    Ok(found)
}

/// Sets one of them in `fresh`, from `found` where that has been looked up.
///
/// # Errors
/// Why that cannot be.
fn set_one(name: &str, value: &str, found: Option<&Settings>, fresh: &mut Settings) -> Result<(), String> {
    let redis = IN_REDIS_TERMS.iter().find(|row| row.name == name);
    if let Some(row) = redis
        && (row.get)(fresh) == value
    {
        return Ok(());
    }
    let (name, value) = match redis {
        None => (name, value.to_owned()),
        Some(row) => (row.set)(value).ok_or(row.refused)?,
    };
    let setting = table::find(name).ok_or("there is no such setting")?;
    if let (Some(setting), Some(found)) = (of_names(name), found) {
        setting.kind.copy(found, fresh);
        return Ok(());
    }
    // The same names may stand for others by now.
    if of_names(name).is_none() && setting.kind.show(fresh) == value {
        return Ok(());
    }
    if setting.kind.is_path() && !value.is_empty() && !value.starts_with('/') {
        return Err(format!("'{}' is not an absolute path", shown(value.as_bytes())));
    }
    if !setting.live {
        return Err(format!("{name} needs a restart: set it in the settings file"));
    }
    setting.kind.read(fresh, value.as_ref()).map_err(|why| format!("'{}' is {why}", shown(value.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_change_in_both_ways_of_naming_them() {
        let defaults = Settings::default();
        for (name, value, changed) in [
            ("default_ttl", "90s", Some("default_ttl=90s")),
            ("maxclients", "77", Some("max_connections=77")),
            ("slowlog-log-slower-than", "25000", Some("slow_command=25ms")),
            ("slowlog-log-slower-than", "0", Some("slow_command=1ms")),
            ("slowlog-log-slower-than", "-1", Some("slow_command=0")),
            ("slowlog-max-len", "9", Some("slow_commands_kept=9")),
            ("appendonly", "yes", None),
            ("save", "", None),
            ("maxmemory", "64mb", None),
        ] {
            let mut fresh = defaults.clone();
            set_one(name, value, None, &mut fresh).unwrap();
            let differs =
                SETTINGS.iter().find(|setting| setting.kind.show(&fresh) != setting.kind.show(&defaults));
            let differs = differs.map(|setting| format!("{}={}", setting.name, setting.kind.show(&fresh)));
            assert_eq!(differs.as_deref(), changed, "{name} {value}");
        }
    }

    #[test]
    fn what_cannot_be_is_said() {
        for (name, value, why) in [
            ("nope", "1", "there is no such setting"),
            ("default_ttl", "soon", "'soon' is not a duration"),
            ("maxclients", "many", NOT_AN_INTEGER),
            ("data", "/elsewhere", "data needs a restart"),
            ("maxmemory", "1gb", "memory_cap needs a restart"),
            ("maxmemory", "lots", NOT_A_SIZE),
            ("appendonly", "no", "larder keeps all it has answered"),
        ] {
            let error = set_one(name, value, None, &mut Settings::default()).unwrap_err();
            assert!(error.starts_with(why), "{name} {value}: {error}");
        }
    }
}
