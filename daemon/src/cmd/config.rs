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
use super::{Class, Client, Group, Host, Keys, Run, Spec, args};
use crate::config::kind::Kind;
use crate::config::table::{self, SETTINGS};
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
    run: Run::Local(run),
};

fn run(request: Request<'_>, _: &Rc<Client>, host: &Host) -> Result<Reply, CommandError> {
    match &request.arg(0).to_ascii_lowercase()[..] {
        b"get" => get(request, host),
        b"set" if request.len().is_multiple_of(2) => set(request, host),
        b"set" => Err(CommandError::Arity("config|set")),
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

fn set(request: Request<'_>, host: &Host) -> Result<Reply, CommandError> {
    let mut fresh = (*host.settings()).clone();
    let mut words = request.tail(1);
    let mut seen = Vec::new();
    while let (Some(name), Some(value)) = (words.next(), words.next()) {
        let name = String::from_utf8_lossy(name).to_ascii_lowercase();
        let failed = |why: String| SettingError::Refused { name: name.clone(), why };
        if seen.contains(&name) {
            return Err(failed("duplicate parameter".into()).into());
        }
        let known = table::find(&name).is_some() || IN_REDIS_TERMS.iter().any(|row| row.name == name);
        if !known {
            return Err(SettingError::Unknown(shown(name.as_bytes())).into());
        }
        set_one(&name, &String::from_utf8_lossy(value), &mut fresh).map_err(failed)?;
        seen.push(name);
    }
    let last = seen.pop().unwrap_or_default();
    host.set(&fresh).map_err(|why| SettingError::Refused { name: last, why })?;
    Ok(Reply::OK)
}

/// Sets one of them in `fresh`.
///
/// # Errors
/// Why that cannot be.
fn set_one(name: &str, value: &str, fresh: &mut Settings) -> Result<(), String> {
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
    // The same names may stand for others by now.
    let names = matches!(setting.kind, Kind::Users(_) | Kind::Groups(_));
    if !names && setting.kind.show(fresh) == value {
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
            set_one(name, value, &mut fresh).unwrap();
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
            let error = set_one(name, value, &mut Settings::default()).unwrap_err();
            assert!(error.starts_with(why), "{name} {value}: {error}");
        }
    }
}
