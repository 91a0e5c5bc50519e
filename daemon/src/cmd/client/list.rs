//! A line about each connection, in Redis's form: what `CLIENT LIST` and `CLIENT INFO` answer.

use larder_protocol::Request;

use super::super::command::NAMES_MAX;
use super::addresses;
use crate::access::Role;
use crate::clients::{Client, Replies};
use crate::cmd::{Host, REGISTRY, args};
use crate::error::{CommandError, shown};

/// Which clients `CLIENT LIST` is about.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All of them.
    All,
    /// Those of a type.
    Type(Type),
    /// Those with these numbers.
    Ids(Vec<u64>),
}

/// A type of client. Redis has masters and replicas as well; here nobody is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Normal,
    PubSub,
    Other,
}

impl Type {
    pub(super) fn parse(word: &[u8]) -> Result<Self, CommandError> {
        match &word.to_ascii_lowercase()[..] {
            b"normal" => Ok(Self::Normal),
            b"pubsub" => Ok(Self::PubSub),
            b"master" | b"replica" | b"slave" => Ok(Self::Other),
            _ => Err(CommandError::UnknownClientType(shown(word))),
        }
    }

    pub(super) fn of(client: &Client) -> Self {
        if client.subscriptions.borrow().is_empty() { Self::Normal } else { Self::PubSub }
    }
}

impl Wanted {
    pub(super) fn parse(request: Request<'_>) -> Result<Self, CommandError> {
        match (request.get(1), request.len()) {
            (None, _) => Ok(Self::All),
            (Some(word), 4) if word.eq_ignore_ascii_case(b"type") => {
                Type::parse(request.arg(2)).map(Self::Type)
            }
            (Some(word), 4..) if word.eq_ignore_ascii_case(b"id") => {
                if request.len() > 3 + NAMES_MAX {
                    return Err(CommandError::TooManyNames { limit: NAMES_MAX });
                }
                let id = |word| args::integer(word).and_then(|id| u64::try_from(id).ok());
                let ids = request.tail(2).map(|word| id(word).ok_or(CommandError::InvalidClientId));
                ids.collect::<Result<_, _>>().map(Self::Ids)
            }
            _ => Err(CommandError::Syntax),
        }
    }
}

/// The lines of those that are wanted.
pub(super) fn lines(wanted: &Wanted, host: &Host) -> String {
    match wanted {
        Wanted::All => host.clients.all().iter().map(|client| line(client, host)).collect(),
        Wanted::Type(kind) => {
            let all = host.clients.all();
            all.iter().filter(|client| Type::of(client) == *kind).map(|client| line(client, host)).collect()
        }
        Wanted::Ids(ids) => {
            ids.iter().filter_map(|id| host.clients.get(*id)).map(|client| line(&client, host)).collect()
        }
    }
}

/// The fields of Redis's line in its order, and after them whose process it is.
pub(super) fn line(client: &Client, host: &Host) -> String {
    let now_ms = host.cache.now_ms();
    let subscriptions = client.subscriptions.borrow();
    let transaction = client.transaction.borrow();
    let (queued, queued_bytes) =
        transaction.as_ref().map_or((-1, 0), |transaction| (transaction.len() as i64, transaction.bytes()));
    let [from, to] = addresses(client, host);
    let pid = client.peer.pid.map_or_else(String::new, |pid| pid.to_string());
    format!(
        "id={} addr={from} laddr={to} fd=-1 name={} age={} idle={} flags={} db=0 sub={} psub={} ssub=0 \
         multi={queued} watch={} qbuf={} qbuf-free=0 argv-mem=0 multi-mem={queued_bytes} rbs=0 rbp=0 obl={} oll={} \
         omem={} tot-mem={} events=r cmd={} user=default redir=-1 resp={} lib-name={} lib-ver={} pid={pid} uid={} \
         comm={} role={}\n",
        client.id,
        client.name.borrow(),
        (now_ms - client.connected_ms) / 1_000,
        (now_ms - client.active_ms.get()) / 1_000,
        flags(client),
        subscriptions.channels.len(),
        subscriptions.patterns.len(),
        client.watch.borrow().as_ref().map_or(0, |watch| watch.len()),
        client.unparsed.get(),
        client.unsent.get(),
        client.mailbox.len(),
        client.mailbox.bytes(),
        client.unparsed.get() + client.unsent.get() + queued_bytes + client.mailbox.bytes(),
        client.last_command.get().map_or("NULL", |index| REGISTRY[index].name),
        client.protocol.get().version(),
        client.library.borrow(),
        client.library_version.borrow(),
        client.peer.tcp.map_or_else(|| client.peer.uid.to_string(), |_| String::new()),
        client.program(),
        client.role.get().map_or("none", Role::as_str),
    )
}

fn flags(client: &Client) -> String {
    let mut flags = String::new();
    if !client.subscriptions.borrow().is_empty() {
        flags.push('P');
    }
    if let Some(transaction) = &*client.transaction.borrow() {
        flags.push('x');
        if transaction.has_failed() {
            flags.push('d');
        }
    }
    if client.no_evict.get() {
        flags.push('e');
    }
    if client.replies.get() == Replies::Off {
        flags.push('R');
    }
    if client.peer.tcp.is_none() {
        flags.push('U');
    } else if flags.is_empty() {
        flags.push('N');
    }
    flags
}
