//! `SUBSCRIBE channel [channel ...]`, `UNSUBSCRIBE`, `PSUBSCRIBE pattern [pattern ...]`, `PUNSUBSCRIBE`, `PUBLISH channel
//! message`, `PUBSUB CHANNELS | NUMSUB | NUMPAT`: messages to whoever listens now. They are not kept.
//!
//! Channels whose names begin with `larder:` are larder's own: anybody may listen, nobody else may publish.

use std::rc::Rc;

use bytes::Bytes;
use larder_protocol::{Dialect, Reply, Request};

use super::help::subcommands;
use super::subcommands::misused;
use super::{Class, Client, Family, Group, Host, Keys, Spec, args};
use crate::clients::OWN_PREFIX;
use crate::error::CommandError;
use crate::glob::Pattern;
use crate::pubsub::{Channels, Kind, SUBSCRIPTIONS_MAX};

const FAMILY: Family = Family { class: Class::Connection, group: Group::PubSub, keys: Keys::NONE };

pub(super) static SUBSCRIBE: Spec =
    FAMILY.local("subscribe", "channel [channel ...]", -2, "Listens to channels", |request, client, host| {
        subscribe(Kind::Channel, request, client, host)
    });

pub(super) static PSUBSCRIBE: Spec = FAMILY.local(
    "psubscribe",
    "pattern [pattern ...]",
    -2,
    "Listens to all channels that match",
    |request, client, host| subscribe(Kind::Pattern, request, client, host),
);

pub(super) static UNSUBSCRIBE: Spec = FAMILY.local(
    "unsubscribe",
    "[channel [channel ...]]",
    -1,
    "Stops listening to channels",
    |request, client, host| Ok(unsubscribe(Kind::Channel, request, client, host)),
);

pub(super) static PUNSUBSCRIBE: Spec = FAMILY.local(
    "punsubscribe",
    "[pattern [pattern ...]]",
    -1,
    "Stops listening to patterns",
    |request, client, host| Ok(unsubscribe(Kind::Pattern, request, client, host)),
);

pub(super) static PUBLISH: Spec =
    FAMILY.local("publish", "channel message", 3, "Sends a message to all who listen", |request, _, host| {
        let channel = request.arg(0);
        if channel.starts_with(OWN_PREFIX) {
            return Err(CommandError::OwnChannel);
        }
        Ok(Reply::int(host.channels.publish(
            channel,
            request.arg(1),
            host.settings().subscriber_buffer_bytes,
        )))
    });

pub(super) static PUBSUB: Spec = FAMILY.local(
    "pubsub",
    "CHANNELS [pattern] | NUMSUB [channel [channel ...]] | NUMPAT | SHARDCHANNELS [pattern] | SHARDNUMSUB [channel [channel ...]]",
    -2,
    "Tells who listens to what",
    pubsub,
);

/// The words in which a subscription is confirmed, and its end.
fn words(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::Channel => ("subscribe", "unsubscribe"),
        Kind::Pattern => ("psubscribe", "punsubscribe"),
    }
}

fn subscribe(
    kind: Kind,
    request: Request<'_>,
    client: &Rc<Client>,
    host: &Host,
) -> Result<Reply, CommandError> {
    if client.subscriptions.borrow().len() + request.len() - 1 > SUBSCRIPTIONS_MAX {
        return Err(CommandError::TooManySubscriptions { limit: SUBSCRIPTIONS_MAX });
    }
    for name in request.args() {
        args::pattern(name)?;
    }
    Channels::make_room(client, request.args())?;
    client.lines.set(request.dialect() == Dialect::Line);
    let mut messages = Vec::with_capacity(request.len());
    for name in request.args() {
        let name = Bytes::copy_from_slice(name);
        let new = host.channels.subscribe(kind, &name, client);
        messages.push(confirmation(words(kind).0, Reply::Bulk(name.clone()), client));
        // Once, however often the name is given: a backlog is large.
        if new && kind == Kind::Channel {
            let greeting = host.stream.greeting(&name, host).into_iter();
            messages.extend(greeting.map(|json| {
                Reply::Push(vec![Reply::bulk("message"), Reply::Bulk(name.clone()), Reply::bulk(json)])
            }));
        }
    }
    Channels::give_back_room(client);
    Ok(Reply::Several(messages))
}

fn unsubscribe(kind: Kind, request: Request<'_>, client: &Rc<Client>, host: &Host) -> Reply {
    let names: Vec<Bytes> = if request.len() > 1 {
        request.args().map(Bytes::copy_from_slice).collect()
    } else {
        let subscriptions = client.subscriptions.borrow();
        let names = match kind {
            Kind::Channel => &subscriptions.channels,
            Kind::Pattern => &subscriptions.patterns,
        };
        names.iter().cloned().collect()
    };
    let word = words(kind).1;
    if names.is_empty() {
        return confirmation(word, Reply::Nil, client);
    }
    let confirmations = names.into_iter().map(|name| {
        host.channels.unsubscribe(kind, &name, client);
        confirmation(word, Reply::Bulk(name), client)
    });
    let confirmations = confirmations.collect();
    Channels::give_back_room(client);
    Reply::Several(confirmations)
}

fn confirmation(word: &'static str, name: Reply, client: &Client) -> Reply {
    Reply::Push(vec![Reply::bulk(word), name, Reply::int(client.subscriptions.borrow().len())])
}

fn pubsub(request: Request<'_>, _: &Rc<Client>, host: &Host) -> Result<Reply, CommandError> {
    let channels = &host.channels;
    match (&request.arg(0).to_ascii_lowercase()[..], request.len()) {
        (b"channels", 2) => Ok(Reply::array(channels.names(None))),
        (b"channels", 3) => {
            let pattern = Pattern::glob(args::pattern(request.arg(1))?);
            Ok(Reply::array(channels.names(Some(&pattern))))
        }
        (b"numsub", _) => Ok(Reply::Array(
            request
                .tail(1)
                .flat_map(|name| [Reply::bulk(name.to_vec()), Reply::int(channels.listeners(name))])
                .collect(),
        )),
        (b"numpat", _) => Ok(Reply::int(channels.patterns())),
        // There are no shards, so nobody listens to one.
        (b"shardchannels", 2 | 3) => Ok(Reply::Array(Vec::new())),
        (b"shardnumsub", _) => Ok(Reply::Array(
            request.tail(1).flat_map(|name| [Reply::bulk(name.to_vec()), Reply::Int(0)]).collect(),
        )),
        (b"help", _) => Ok(subcommands(&PUBSUB)),
        _ => Err(misused(&PUBSUB, request)),
    }
}
