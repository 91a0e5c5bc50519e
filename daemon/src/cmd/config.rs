//! `CONFIG GET pattern [pattern ...]`: settings by name, larder's own and those Redis clients ask for, in Redis's terms.

use std::rc::Rc;

use larder_protocol::{Reply, Request};

use super::help::subcommands;
use super::{Class, Client, Group, Host, Keys, Run, Spec};
use crate::config::table::SETTINGS;
use crate::error::{CommandError, shown};
use crate::glob::Pattern;

pub(super) static SPEC: Spec = Spec {
    name: "config",
    usage: "GET pattern [pattern ...]",
    arity: -2,
    class: Class::Admin,
    group: Group::Server,
    keys: Keys::NONE,
    summary: "Tells settings by name",
    run: Run::Local(run),
};

fn run(request: Request<'_>, _: &Rc<Client>, host: &Host) -> Result<Reply, CommandError> {
    if request.arg(0).eq_ignore_ascii_case(b"help") && request.len() == 2 {
        return Ok(subcommands(&SPEC));
    }
    if !request.arg(0).eq_ignore_ascii_case(b"get") {
        return Err(CommandError::UnknownSubcommand { command: "CONFIG", subcommand: shown(request.arg(0)) });
    }
    if request.len() < 3 {
        return Err(CommandError::Arity("config|get"));
    }
    let patterns: Vec<_> = request.tail(1).map(|word| Pattern::glob(&word.to_ascii_lowercase())).collect();
    let wanted = |name: &str| patterns.iter().any(|pattern| pattern.matches(name.as_bytes()));
    let own = SETTINGS.iter().filter_map(|setting| Some((setting.name, host.settings().get(setting.name)?)));
    let settings = own.chain(in_redis_terms(host)).filter(|(name, _)| wanted(name));
    Ok(Reply::Map(settings.map(|(name, value)| (Reply::bulk(name), Reply::bulk(value))).collect()))
}

/// What clients and tools look up by Redis's names, answered so that they draw the right conclusions.
fn in_redis_terms(host: &Host) -> Vec<(&'static str, String)> {
    let settings = host.settings();
    vec![
        ("appendonly", "yes".into()),
        (
            "appendfsync",
            match settings.durability.as_str() {
                "fsync" => "always".into(),
                _ => "everysec".into(),
            },
        ),
        ("save", String::new()),
        ("databases", "1".into()),
        ("maxclients", settings.max_connections.to_string()),
        ("maxmemory", settings.memory_cap_bytes.to_string()),
        ("maxmemory-policy", "allkeys-lfu".into()),
        ("proto-max-bulk-len", settings.max_value_bytes.to_string()),
        ("timeout", "0".into()),
    ]
}
