//! `CLIENT KILL address`, `CLIENT KILL <ID n | TYPE t | ADDR a | LADDR a | USER u | MAXAGE s | SKIPME yes|no> ...`: ends
//! connections. All filters given have to apply.

use std::rc::Rc;

use larder_protocol::{Reply, Request};

use super::addresses;
use super::list::Type;
use crate::clients::Client;
use crate::cmd::{Host, args};
use crate::error::{CommandError, shown};

#[derive(Debug, PartialEq, Eq)]
struct Filter {
    id: Option<u64>,
    kind: Option<Type>,
    from: Option<Vec<u8>>,
    to: Option<Vec<u8>>,
    older_than_s: Option<i64>,
    skip_me: bool,
}

fn parse(request: Request<'_>) -> Result<Filter, CommandError> {
    let mut filter = Filter { id: None, kind: None, from: None, to: None, older_than_s: None, skip_me: true };
    let mut words = request.tail(1);
    while let Some(word) = words.next() {
        let operand = words.next().ok_or(CommandError::Syntax)?;
        match &word.to_ascii_lowercase()[..] {
            b"id" => {
                let id = args::integer(operand).and_then(|id| u64::try_from(id).ok()).filter(|id| *id > 0);
                filter.id = Some(id.ok_or(CommandError::ClientIdNotPositive)?);
            }
            b"type" => filter.kind = Some(Type::parse(operand)?),
            b"addr" => filter.from = Some(operand.to_vec()),
            b"laddr" => filter.to = Some(operand.to_vec()),
            b"user" if operand == b"default" => {}
            b"user" => return Err(CommandError::NoSuchUser(shown(operand))),
            b"maxage" => {
                let age = args::integer(operand).filter(|age| *age >= 0);
                filter.older_than_s =
                    Some(age.ok_or(CommandError::Named("maxage is not an integer or out of range"))?);
            }
            b"skipme" if operand.eq_ignore_ascii_case(b"yes") => filter.skip_me = true,
            b"skipme" if operand.eq_ignore_ascii_case(b"no") => filter.skip_me = false,
            _ => return Err(CommandError::Syntax),
        }
    }
    Ok(filter)
}

pub(super) fn run(request: Request<'_>, me: &Rc<Client>, host: &Host) -> Result<Reply, CommandError> {
    if request.len() == 3 {
        // The old form. All clients of the socket are at the same address: it ends the oldest of the others.
        let others = host.clients.all().into_iter().filter(|client| client.id != me.id);
        let there = |client: &Rc<Client>| addresses(client, host)[0].as_bytes() == request.arg(1);
        let client = others.into_iter().find(there).ok_or(CommandError::NoSuchClient)?;
        client.kill();
        return Ok(Reply::OK);
    }
    let filter = parse(request)?;
    let now_ms = host.cache.now_ms();
    let applies = |client: &Rc<Client>| {
        filter.id.is_none_or(|id| client.id == id)
            && filter.kind.is_none_or(|kind| Type::of(client) == kind)
            && {
                let [from, to] = addresses(client, host);
                filter.from.as_ref().is_none_or(|wanted| *wanted == from.as_bytes())
                    && filter.to.as_ref().is_none_or(|wanted| *wanted == to.as_bytes())
            }
            && filter.older_than_s.is_none_or(|age| (now_ms - client.connected_ms) / 1_000 >= age)
            && !(filter.skip_me && client.id == me.id)
    };
    let mut killed = 0;
    for client in host.clients.all().iter().filter(|client| applies(client)) {
        if client.id == me.id {
            // After this answer.
            client.quit.set(true);
        } else {
            client.kill();
        }
        killed += 1;
    }
    Ok(Reply::Int(killed))
}
