//! larder-load: sends requests to a server on a Unix socket, times the answers, and prints what it found as JSON.
//!
//! `run.py` starts it once for each run, with the same requests for each server. One thread, one epoll; the keys of all
//! requests are drawn before the clock starts, and requests are copied from templates, so that it costs about as much
//! as the system calls do. It judges nothing: how many answers were errors or misses is among the figures.
//!
//! | module | |
//! |---|---|
//! | [`draw`] | which keys: uniform, by Zipf's law, each once |
//! | [`wire`] | requests as bytes, and answers counted, in RESP and in memcached's text protocol |
//! | [`drive`] | the loop over all connections, closed (a request follows an answer) or open (at due times) |
//! | [`clock`] | the time |
//! | [`tally`] | what was answered, and how fast |

mod clock;
mod draw;
mod drive;
mod tally;
mod wire;

use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;

use clap::{Arg, ArgMatches, Command, value_parser};

use crate::draw::{Distribution, Draws};
use crate::drive::{Drive, Pace};
use crate::wire::{Load, Protocol, Templates};

fn command() -> Command {
    let arg = |name: &'static str, help: &'static str| Arg::new(name).long(name).value_name("N").help(help);
    let count = |name, default: &'static str, help| {
        arg(name, help).default_value(default).value_parser(value_parser!(u64).range(1..))
    };
    Command::new("larder-load")
        .about("Sends requests to a server on a Unix socket, times the answers, and prints figures as JSON")
        .arg(arg("socket", "Unix socket of the server").value_name("PATH").required(true))
        .arg(arg("protocol", "resp or memcached").value_name("NAME").default_value("resp"))
        .arg(
            arg("load", "ping, get, set, zero (SET to 0), incr, mget or mix")
                .value_name("NAME")
                .default_value("get"),
        )
        .arg(count("keys", "100000", "Keys there are"))
        .arg(
            arg("keys-by", "uniform, zipf (0.99) or each (once, and the end)")
                .value_name("NAME")
                .default_value("uniform"),
        )
        .arg(arg("prefix", "First letters of each key").value_name("TEXT").default_value("key"))
        .arg(count("value-bytes", "64", "Size of what is SET"))
        .arg(count("batch", "100", "Keys of one MGET"))
        .arg(arg("reads", "Share of GETs in a mix").default_value("0.9").value_parser(value_parser!(f64)))
        .arg(count("connections", "50", "Connections"))
        .arg(count("pipeline", "1", "Requests sent together, and answered before the next ones are sent"))
        .arg(
            arg("rate", "Open loop: requests a second, sent at their due times whatever is answered")
                .value_parser(value_parser!(u64).range(1..)),
        )
        .arg(
            arg("seconds", "How long; without it until standard input ends").value_parser(value_parser!(f64)),
        )
        .arg(
            arg("warm-up", "Seconds before anything counts")
                .default_value("0")
                .value_parser(value_parser!(f64)),
        )
        .arg(arg("seed", "Another one draws other keys").default_value("1").value_parser(value_parser!(u64)))
        .arg(
            arg("samples", "File for when each request was due and how long it took (ns, u64 pairs)")
                .value_name("FILE"),
        )
}

fn named<T: FromStr<Err = String>>(matches: &ArgMatches, name: &str) -> Result<T, String> {
    text(matches, name).parse().map_err(|error| format!("--{name}: {error}"))
}

fn text<'a>(matches: &'a ArgMatches, name: &str) -> &'a str {
    matches.get_one::<String>(name).map_or("", String::as_str)
}

fn number(matches: &ArgMatches, name: &str) -> u64 {
    *matches.get_one::<u64>(name).expect("it has a default")
}

fn float(matches: &ArgMatches, name: &str) -> f64 {
    *matches.get_one::<f64>(name).expect("it has a default")
}

fn run(matches: &ArgMatches) -> Result<String, String> {
    let load: Load = named(matches, "load")?;
    let keys = number(matches, "keys");
    let keys = u32::try_from(keys).map_err(|_| format!("--keys {keys}: at most {}", u32::MAX))?;
    let distribution: Distribution = named(matches, "keys-by")?;
    let templates = Templates::new(
        named::<Protocol>(matches, "protocol")?,
        text(matches, "prefix"),
        number(matches, "value-bytes") as usize,
        number(matches, "batch") as usize,
    );
    let draws = Draws::new(distribution, keys, float(matches, "reads"), number(matches, "seed"));
    let drive = Drive {
        socket: PathBuf::from(text(matches, "socket")),
        load,
        connections: number(matches, "connections") as usize,
        pace: match matches.get_one::<u64>("rate") {
            Some(&rate) => Pace::Open { rate },
            None => Pace::Closed { pipeline: number(matches, "pipeline") as usize },
        },
        seconds: matches.get_one::<f64>("seconds").copied(),
        warm_up: float(matches, "warm-up"),
        samples: matches.get_one::<String>("samples").map(PathBuf::from),
    };
    drive.run(&templates, draws).map(|tally| tally.json().to_string())
}

fn main() -> ExitCode {
    match run(&command().get_matches()) {
        Ok(json) => {
            println!("{json}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("larder-load: {error}");
            ExitCode::FAILURE
        }
    }
}
