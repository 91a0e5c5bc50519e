//! `MULTI`, `EXEC`, `DISCARD`, `WATCH key [key ...]`, `UNWATCH`: several commands as one.
//!
//! Between MULTI and EXEC commands are checked and queued; EXEC runs them as one step and commits what they write
//! together. It runs nothing where a command could not be queued, or where a watched key has changed: written, deleted,
//! flushed, expired or evicted. Commands that work over several turns (KEYS, SCAN, DELPAT, DBSIZE, INFO) run within as
//! well; other clients' commands wait meanwhile.

mod bound;
mod running;

use std::rc::Rc;

use larder_protocol::{Reply, Request};

use self::running::{Queued, in_one_step, over_turns};
use super::{Class, Client, Family, Group, Host, Job, Keys, Run, Spec};
use crate::cache::{Taking, View, Watch};
use crate::clients::Transaction;
use crate::error::{CommandError, without_code};

const FAMILY: Family = Family { class: Class::Connection, group: Group::Transactions, keys: Keys::NONE };

pub(super) static MULTI: Spec = FAMILY.spec("multi", "", 1, "Begins a transaction", Run::Local(multi));

pub(super) static EXEC: Spec =
    FAMILY.spec("exec", "", 1, "Runs what was queued since MULTI, as one step", Run::Session(exec));

pub(super) static DISCARD: Spec =
    FAMILY.spec("discard", "", 1, "Forgets what was queued since MULTI", Run::Local(discard));

pub(super) static WATCH: Spec = FAMILY.with_keys(Keys::ALL).spec(
    "watch",
    "key [key ...]",
    -2,
    "Has the next EXEC run nothing if one of the keys changes before it",
    Run::Session(watch),
);

pub(super) static UNWATCH: Spec = FAMILY.spec("unwatch", "", 1, "Ends what WATCH began", Run::Local(unwatch));

/// Commands that are run at once while a transaction is open.
const NOT_QUEUED: [&str; 6] = ["multi", "exec", "discard", "watch", "quit", "reset"];

/// Commands that cannot be part of a transaction: they wait for merges, and so for its own commit, or for time to pass
/// while it holds up everybody else.
const NOT_WITHIN: [&str; 3] = ["backup", "cleanup", "debug"];

/// See [`NOT_WITHIN`]. Names of users and groups, which CONFIG SET looks up, may take a directory service its time.
fn is_not_within(request: Request<'_>, spec: &Spec) -> bool {
    let looks_up = || spec.name == "config" && matches!(spec.run.of(request), Run::Job(_));
    NOT_WITHIN.contains(&spec.name) || looks_up()
}

/// Commands for clients that can only listen.
const LISTENING: [&str; 7] =
    ["subscribe", "psubscribe", "unsubscribe", "punsubscribe", "ping", "quit", "reset"];

/// What becomes of a request of a client that [is unusual](Client::is_unusual): its answer where it is queued or
/// refused, nothing where it is to be run.
pub fn admit(
    request: Request<'_>,
    spec: &Spec,
    client: &Client,
    queue_bytes_max: usize,
) -> Option<Result<Reply, CommandError>> {
    if client.only_listens() && !LISTENING.contains(&spec.name) {
        fail(client);
        return Some(Err(CommandError::OnlyListens(spec.name)));
    }
    let mut transaction = client.transaction.borrow_mut();
    let transaction = transaction.as_mut()?;
    if NOT_QUEUED.contains(&spec.name) {
        return None;
    }
    let queued = if is_not_within(request, spec) {
        Err(CommandError::NotWithinTransaction)
    } else {
        transaction.queue(request, queue_bytes_max)
    };
    if queued.is_err() {
        transaction.fail();
    }
    Some(queued.map(|()| Reply::Status("QUEUED")))
}

/// A request was refused with `error` before it ran: within a transaction, EXEC must not run the others. EXEC itself ends
/// transaction and watches all the same. Gives what to answer.
pub fn refuse(
    request: Request<'_>,
    client: &Client,
    error: CommandError,
    view: &mut View<'_>,
) -> CommandError {
    if request.name().eq_ignore_ascii_case(EXEC.name.as_bytes()) {
        client.transaction.take();
        if let Some(watch) = client.watch.take() {
            view.unwatch(&watch);
        }
        return CommandError::ExecRefused(without_code(&error.to_string()).to_owned());
    }
    fail(client);
    error
}

/// Has EXEC run nothing, where a transaction is open.
fn fail(client: &Client) {
    if let Some(transaction) = &mut *client.transaction.borrow_mut() {
        transaction.fail();
    }
}

fn multi(_: Request<'_>, client: &Rc<Client>, _: &Host) -> Result<Reply, CommandError> {
    let mut transaction = client.transaction.borrow_mut();
    if transaction.is_some() {
        return Err(CommandError::NestedMulti);
    }
    *transaction = Some(Transaction::new(client.kept()));
    Ok(Reply::OK)
}

fn discard(_: Request<'_>, client: &Rc<Client>, host: &Host) -> Result<Reply, CommandError> {
    if client.transaction.take().is_none() {
        return Err(CommandError::WithoutMulti("DISCARD"));
    }
    drop(Watching::take(client, host));
    Ok(Reply::OK)
}

#[expect(clippy::unnecessary_wraps, reason = "the signature of every local command")]
fn unwatch(_: Request<'_>, client: &Rc<Client>, host: &Host) -> Result<Reply, CommandError> {
    drop(Watching::take(client, host));
    Ok(Reply::OK)
}

fn watch<'a>(request: Request<'_>, client: &'a Rc<Client>, host: &'a Host) -> Result<Job<'a>, CommandError> {
    if client.transaction.borrow().is_some() {
        return Err(CommandError::WatchWithinMulti);
    }
    let keys: Vec<Vec<u8>> = request.args().map(<[u8]>::to_vec).collect();
    let new = || Rc::new(Watch::new(client.id, client.kept()));
    let watch = Rc::clone(client.watch.borrow_mut().get_or_insert_with(new));
    watch.make_room(request.args())?;
    Ok(Box::pin(async move {
        let watched = host.step(|view| view.watch(keys.iter().map(Vec::as_slice), &watch)).await;
        watch.give_back_room();
        watched.map(|()| Reply::OK)
    }))
}

/// What a client watched until now; nothing any more once this is dropped.
struct Watching<'a> {
    watch: Option<Rc<Watch>>,
    host: &'a Host,
}

impl<'a> Watching<'a> {
    fn take(client: &Client, host: &'a Host) -> Self {
        Self { watch: client.watch.take(), host }
    }
}

impl Drop for Watching<'_> {
    fn drop(&mut self) {
        if let Some(watch) = &self.watch {
            self.host.cache.unwatch(watch);
        }
    }
}

/// Ends what `client` has begun: transaction and watches.
pub fn leave(client: &Client, host: &Host) {
    client.transaction.take();
    drop(Watching::take(client, host));
}

fn exec<'a>(_: Request<'_>, client: &'a Rc<Client>, host: &'a Host) -> Result<Job<'a>, CommandError> {
    let transaction = client.transaction.take().ok_or(CommandError::WithoutMulti("EXEC"))?;
    let watching = Watching::take(client, host);
    if transaction.has_failed() {
        return Err(CommandError::ExecAborted);
    }
    let (requests, kept) = transaction.into_requests();
    let queue: Vec<Queued> = requests.into_iter().filter_map(Queued::new).collect();
    Ok(Box::pin(async move {
        let _kept = kept;
        let watch = watching.watch.as_deref();
        for what in [Taking::Entries, Taking::Deletions] {
            let takes = queue.iter().any(|queued| queued.taking() == Some(what));
            if takes && !host.cache.has_room(what) {
                host.cache.room(what).await.map_err(|error| CommandError::ExecRefused(error.to_string()))?;
            }
        }
        if queue.iter().any(Queued::takes_turns) {
            let hold = host.cache.hold().await;
            let replies = over_turns(&hold, &queue, watch, client, host).await?;
            hold.commit().await?;
            Ok(replies)
        } else {
            in_one_step(&queue, watch, client, host).await
        }
    }))
}

#[cfg(test)]
mod tests {
    use larder_protocol::{Dialect, OwnedRequest};

    use super::*;
    use crate::clients::Peer;
    use crate::cmd::find;

    fn admitted(client: &Client, words: &str) -> Option<Result<Reply, CommandError>> {
        let request = OwnedRequest::new(words.split(' '), Dialect::Line);
        let (_, spec) = find(request.as_request().name()).unwrap();
        admit(request.as_request(), spec, client, 1_000)
    }

    #[test]
    fn commands_are_queued_run_or_refused() {
        let client = Client::new(1, Peer::default(), 0);
        assert_eq!(admitted(&client, "get k"), None);
        *client.transaction.borrow_mut() = Some(Transaction::default());
        assert_eq!(admitted(&client, "get k"), Some(Ok(Reply::Status("QUEUED"))));
        for at_once in NOT_QUEUED {
            assert_eq!(admitted(&client, at_once), None, "{at_once}");
        }
        assert!(!client.transaction.borrow().as_ref().unwrap().has_failed());
        assert_eq!(admitted(&client, "cleanup"), Some(Err(CommandError::NotWithinTransaction)));
        assert_eq!(admitted(&client, "debug sleep 5"), Some(Err(CommandError::NotWithinTransaction)));
        assert_eq!(admitted(&client, "config set default_ttl 5s"), Some(Ok(Reply::Status("QUEUED"))));
        let looks_up = "config set default_ttl 5s Admin_Users root";
        assert_eq!(admitted(&client, looks_up), Some(Err(CommandError::NotWithinTransaction)));
        assert!(client.transaction.borrow().as_ref().unwrap().has_failed());
    }

    #[test]
    fn who_listens_may_do_little_else() {
        let client = Client::new(1, Peer::default(), 0);
        client.subscriptions.borrow_mut().channels.insert("c".into());
        assert_eq!(admitted(&client, "get k"), Some(Err(CommandError::OnlyListens("get"))));
        for listening in LISTENING {
            assert_eq!(admitted(&client, listening), None, "{listening}");
        }
    }
}
