//! `TYPE key`, `OBJECT ENCODING | FREQ | IDLETIME | REFCOUNT key`, `MEMORY USAGE key [SAMPLES n]`, `DEBUG SLEEP seconds |
//! OBJECT key`: what tools ask about a key. There are only strings, and how Redis would hold one follows from its bytes.

use std::time::Duration;

use larder_protocol::{OwnedRequest, Reply, Request};

use super::args::{integer, required_integer};
use super::help::subcommands;
use super::subcommands::misused;
use super::{Class, Group, Host, Job, Keys, Run, Spec};
use crate::cache::{Stop, View};
use crate::error::CommandError;

pub(super) static TYPE: Spec = Spec {
    name: "type",
    usage: "key",
    arity: 2,
    class: Class::Read,
    group: Group::Generic,
    keys: Keys::FIRST,
    summary: "Tells the type of a key's value, which is string",
    run: Run::Step(|request, view| {
        Ok(Reply::Status(if view.find(request.arg(0))?.is_some() { "string" } else { "none" }))
    }),
};

pub(super) static OBJECT: Spec = Spec {
    name: "object",
    usage: "ENCODING key | FREQ key | IDLETIME key | REFCOUNT key",
    arity: -2,
    class: Class::Read,
    group: Group::Generic,
    keys: Keys::SECOND,
    summary: "Tells how Redis would hold a key's value",
    run: Run::Step(object),
};

pub(super) static MEMORY: Spec = Spec {
    name: "memory",
    usage: "USAGE key [SAMPLES count] | DOCTOR | PURGE",
    arity: -2,
    class: Class::Read,
    group: Group::Server,
    keys: Keys::SECOND,
    summary: "Tells how many bytes a key takes in memory where it is, about: waiting to be merged, or as a copy of what is on disk",
    run: Run::Step(memory),
};

pub(super) static DEBUG: Spec = Spec {
    name: "debug",
    usage: "SLEEP seconds | OBJECT key",
    arity: -2,
    class: Class::Admin,
    group: Group::Server,
    keys: Keys::NONE,
    summary: "For tests of clients: answers late, or tells about a key",
    run: Run::Job(debug),
};

/// Longest string that Redis keeps in one piece with its header.
const EMBEDDED_BYTES_MAX: usize = 44;

fn encoding(value: &[u8]) -> &'static str {
    match value {
        _ if integer(value).is_some() => "int",
        _ if value.len() <= EMBEDDED_BYTES_MAX => "embstr",
        _ => "raw",
    }
}

fn object(request: Request<'_>, view: &mut View<'_>) -> Result<Reply, Stop> {
    let subcommand = request.arg(0).to_ascii_lowercase();
    if subcommand == b"help" {
        return Ok(subcommands(&OBJECT));
    }
    let Some(entry) = view.find(request.arg(1))? else { return Ok(Reply::Nil) };
    match &subcommand[..] {
        b"encoding" => Ok(Reply::bulk(encoding(&entry.value))),
        b"freq" => Err(CommandError::NoFrequency.into()),
        // When it was last read is not kept.
        b"idletime" => Ok(Reply::Int(0)),
        b"refcount" => Ok(Reply::Int(1)),
        _ => Err(misused(&OBJECT, request).into()),
    }
}

fn memory(request: Request<'_>, view: &mut View<'_>) -> Result<Reply, Stop> {
    match &request.arg(0).to_ascii_lowercase()[..] {
        b"usage" => {
            let mut words = request.tail(2);
            while let Some(option) = words.next() {
                // Values have no elements of which a sample could be taken.
                let samples = words.next().filter(|_| option.eq_ignore_ascii_case(b"samples"));
                if required_integer(samples.ok_or(CommandError::Syntax)?)? < 0 {
                    return Err(CommandError::Syntax.into());
                }
            }
            Ok(view.memory_bytes(request.arg(1))?.map_or(Reply::Nil, Reply::int))
        }
        b"doctor" => {
            Ok(Reply::text("Memory stays below memory_cap and buffer_cap; STATS memory has the figures.\n"))
        }
        // What is free is given back as it comes.
        b"purge" => Ok(Reply::OK),
        b"help" => Ok(subcommands(&MEMORY)),
        _ => Err(misused(&MEMORY, request).into()),
    }
}

fn debug<'a>(request: Request<'_>, host: &'a Host) -> Result<Job<'a>, CommandError> {
    match (&request.arg(0).to_ascii_lowercase()[..], request.len()) {
        (b"sleep", 3) => {
            let seconds = std::str::from_utf8(request.arg(1)).ok().and_then(|word| word.parse::<f64>().ok());
            // Less than nothing is nothing, as in Redis.
            let length = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds.max(0.0)).ok());
            let length = length.ok_or(CommandError::NotAFloat)?;
            Ok(Box::pin(async move {
                host.cache.clock().sleep(length).await;
                Ok(Reply::OK)
            }))
        }
        (b"object", 3) => {
            let get = OwnedRequest::new([&b"get"[..], request.arg(1)], request.dialect());
            Ok(Box::pin(async move {
                let key = get.as_request().arg(0);
                let entry = host.step(|view| view.find(key)).await?.ok_or(CommandError::NoSuchKey)?;
                Ok(Reply::status(format!(
                    "Value at:0x0 refcount:1 encoding:{} serializedlength:{} lru:0 lru_seconds_idle:0",
                    encoding(&entry.value),
                    entry.value.len()
                )))
            }))
        }
        (b"help", 2) => Ok(Box::pin(async { Ok(subcommands(&DEBUG)) })),
        _ => Err(misused(&DEBUG, request)),
    }
}

#[cfg(test)]
mod tests {
    use crate::cmd::testing::Bench;

    #[test]
    fn what_tools_ask() {
        let mut bench = Bench::default();
        bench.check("MSET n 12 short abc", "+OK");
        bench.check(&format!("SET long {}", "x".repeat(45)), "+OK");
        for (line, answer) in [
            ("TYPE n", "+string"),
            ("TYPE absent", "+none"),
            ("OBJECT ENCODING n", "+int"),
            ("OBJECT encoding short", "+embstr"),
            ("OBJECT ENCODING long", "+raw"),
            ("OBJECT ENCODING absent", "$-1"),
            ("OBJECT REFCOUNT n", ":1"),
            ("OBJECT IDLETIME n", ":0"),
            ("OBJECT ENCODING", "-ERR wrong number of arguments for 'object|encoding' command"),
            ("OBJECT HELP n", "-ERR wrong number of arguments for 'object|help' command"),
            (
                "OBJECT FREQ n",
                "-ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when \
                 switching between policies at runtime LRU and LFU data will take some time to adjust.",
            ),
            ("OBJECT FREQ absent", "$-1"),
            ("OBJECT SHAPE n", "-ERR unknown subcommand 'SHAPE'. Try OBJECT HELP."),
            ("MEMORY USAGE n", ":93"),
            ("MEMORY USAGE n SAMPLES 5", ":93"),
            ("MEMORY USAGE n SAMPLES 5 samples 0", ":93"),
            ("MEMORY PURGE", "+OK"),
            ("MEMORY USAGE absent", "$-1"),
            ("MEMORY USAGE n SAMPLES x", "-ERR value is not an integer or out of range"),
            ("MEMORY USAGE n SAMPLES", "-ERR syntax error"),
            ("MEMORY USAGE n SAMPLES -1", "-ERR syntax error"),
            ("MEMORY USAGE n OFTEN 5", "-ERR syntax error"),
            ("MEMORY PURGE n", "-ERR wrong number of arguments for 'memory|purge' command"),
            ("MEMORY USAGE", "-ERR wrong number of arguments for 'memory|usage' command"),
            ("MEMORY NOW", "-ERR unknown subcommand 'NOW'. Try MEMORY HELP."),
        ] {
            bench.check(line, answer);
        }
    }
}
