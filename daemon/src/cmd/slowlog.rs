//! `SLOWLOG GET [count] | LEN | RESET` and `LATENCY LATEST | HISTORY event | GRAPH event | RESET [event ...] | DOCTOR |
//! HISTOGRAM [command ...]`: what took long. SLOWLOG keeps commands that took `slow_command` or longer, the wait for rows
//! from disk included. Redis's latency monitor, which samples events, is off unless asked for, and so are larder's answers:
//! what it watches is in STATS. The histograms are always kept.

use std::rc::Rc;

use larder_protocol::{Reply, Request};

use super::command::NAMES_MAX;
use super::help::subcommands;
use super::subcommands::misused;
use super::{Class, Client, Family, Group, Host, Keys, REGISTRY, Spec, args, find};
use crate::error::{CommandError, shown};

const FAMILY: Family = Family { class: Class::Admin, group: Group::Server, keys: Keys::NONE };

pub(super) static SLOWLOG: Spec = FAMILY.local(
    "slowlog",
    "GET [count] | LEN | RESET",
    -2,
    "Lists the commands that took longest of late",
    slowlog,
);

pub(super) static LATENCY: Spec = FAMILY.local(
    "latency",
    "LATEST | HISTORY event | GRAPH event | RESET [event ...] | DOCTOR | HISTOGRAM [command ...]",
    -2,
    "Tells how long commands ran; Redis's monitor of events is off: see STATS and SLOWLOG",
    latency,
);

/// What SLOWLOG GET lists unless told otherwise.
const LISTED: usize = 10;

fn slowlog(request: Request<'_>, _: &Rc<Client>, host: &Host) -> Result<Reply, CommandError> {
    match (&request.arg(0).to_ascii_lowercase()[..], request.len()) {
        (b"get", 2) => Ok(list(host, LISTED)),
        (b"get", 3) => match args::integer(request.arg(1)) {
            Some(-1) => Ok(list(host, usize::MAX)),
            Some(count @ 0..) => Ok(list(host, count as usize)),
            _ => Err(CommandError::Named("count should be greater than or equal to -1")),
        },
        (b"len", _) => Ok(Reply::int(host.slow_log.borrow().len())),
        (b"reset", _) => {
            host.slow_log.borrow_mut().clear();
            Ok(Reply::OK)
        }
        (b"help", _) => Ok(subcommands(&SLOWLOG)),
        _ => Err(misused(&SLOWLOG, request)),
    }
}

fn list(host: &Host, count: usize) -> Reply {
    let slow_log = host.slow_log.borrow();
    Reply::array(slow_log.newest(count).map(|slow| {
        Reply::Array(vec![
            Reply::Int(slow.id as i64),
            Reply::Int(slow.time_ms / 1_000),
            Reply::Int(slow.us as i64),
            Reply::array(slow.words.iter().cloned()),
            Reply::bulk(slow.client_address.clone()),
            Reply::bulk(slow.client_name.clone()),
        ])
    }))
}

fn latency(request: Request<'_>, _: &Rc<Client>, host: &Host) -> Result<Reply, CommandError> {
    match &request.arg(0).to_ascii_lowercase()[..] {
        b"latest" | b"history" => Ok(Reply::Array(Vec::new())),
        b"reset" => Ok(Reply::Int(0)),
        b"histogram" if request.len() > 2 + NAMES_MAX => Err(CommandError::TooManyNames { limit: NAMES_MAX }),
        b"histogram" => Ok(histograms(request, host)),
        b"doctor" => Ok(Reply::text(
            "Commits, merges and clean-ups are timed all along: STATS disk and STATS cleanup have the figures, SLOWLOG GET the slow commands.\n",
        )),
        b"help" => Ok(subcommands(&LATENCY)),
        // Nothing is sampled.
        b"graph" => Err(CommandError::NoSamples(shown(request.arg(1)))),
        _ => Err(misused(&LATENCY, request)),
    }
}

/// How long commands ran, those that are named or all, in Redis's form.
fn histograms(request: Request<'_>, host: &Host) -> Reply {
    let named: Vec<usize> = request.tail(1).filter_map(find).map(|(index, _)| index).collect();
    let wanted = if request.len() > 2 { named } else { (0..REGISTRY.len()).collect() };
    let count = |count: u64| Reply::Int(count as i64);
    host.cache.counters(|counters| {
        let histogram = |index: usize| {
            let pairs = counters.latencies.runtimes(index)?.by_powers_of_two();
            let calls = pairs.last().map_or(0, |(_, calls)| *calls);
            let pairs = pairs.into_iter().map(|(us, calls)| (count(us), count(calls))).collect();
            let fields = [("calls", count(calls)), ("histogram_usec", Reply::Map(pairs))];
            Some((REGISTRY[index].name, Reply::map(fields)))
        };
        Reply::map(wanted.into_iter().filter_map(histogram))
    })
}
