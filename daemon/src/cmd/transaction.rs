//! `MULTI`, `EXEC`, `DISCARD`, `WATCH key [key ...]`, `UNWATCH`: several commands as one.
//!
//! Between MULTI and EXEC commands are checked and queued; EXEC runs them as one step and commits what they write
//! together. It runs nothing where a command could not be queued, or where a watched key has changed: written, deleted,
//! flushed, expired or evicted. Commands that work over several turns (KEYS, SCAN, DELPAT, DBSIZE, INFO) run within as
//! well; other clients' commands wait meanwhile.

mod bound;

use std::rc::Rc;

use larder_protocol::{OwnedRequest, Reply, Request};

use self::bound::Bound;
use super::{Class, Client, Family, Group, Host, Job, Keys, Run, Spec, check_permission, find};
use crate::cache::{Hold, Loaded, Stop, Taking, View, Watch};
use crate::clients::Transaction;
use crate::clock::Stopwatch;
use crate::entry::Key;
use crate::error::CommandError;

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
    let queued = if NOT_WITHIN.contains(&spec.name) {
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
        return CommandError::ExecRefused(error.to_string().trim_start_matches("ERR ").to_owned());
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
            let takes = queue.iter().any(|queued| queued.spec.class.taking() == Some(what));
            if takes && !host.cache.has_room(what) {
                host.cache.room(what).await.map_err(|error| CommandError::ExecRefused(error.to_string()))?;
            }
        }
        let takes_turns = queue.iter().any(|queued| matches!(queued.run(), Run::Job(_)));
        if takes_turns {
            let hold = host.cache.hold().await;
            let replies = over_turns(&hold, &queue, watch, client, host).await?;
            hold.commit().await?;
            Ok(replies)
        } else {
            in_one_step(&queue, watch, client, host).await
        }
    }))
}

/// A queued command.
struct Queued {
    request: OwnedRequest,
    index: usize,
    spec: &'static Spec,
}

impl Queued {
    /// Commands are looked up before they are queued, so that there always is one.
    fn new(request: OwnedRequest) -> Option<Self> {
        let (index, spec) = find(request.as_request().name())?;
        Some(Self { request, index, spec })
    }

    /// Whether it looks at what its keys held. Loading what a SET overwrites would be in vain.
    fn looks(&self) -> bool {
        const LOOKING: [&[u8]; 8] = [b"nx", b"xx", b"get", b"keepttl", b"ifeq", b"ifne", b"ifdeq", b"ifdne"];
        let looking = |word: &[u8]| LOOKING.iter().any(|option| word.eq_ignore_ascii_case(option));
        !self.spec.keys.overwritten || self.request.as_request().args().any(looking)
    }

    fn run(&self) -> Run {
        self.spec.run.of(self.request.as_request())
    }

    fn keys(&self) -> impl Iterator<Item = Key> {
        self.spec.keys.of(self.request.as_request()).map(Key::from)
    }
}

/// Whether the client may still run all of it: its role may have changed since it was queued.
fn still_permitted(queue: &[Queued], client: &Client) -> Result<(), CommandError> {
    let denied = queue
        .iter()
        .find_map(|queued| check_permission(queued.spec, queued.request.as_request(), client).err());
    match denied {
        Some(error) => Err(CommandError::ExecRefused(error.to_string())),
        None if client.is_killed() => Err(CommandError::ExecAborted),
        None => Ok(()),
    }
}

/// Runs a transaction all of whose commands are steps or concern the connection only: nothing else runs in between.
async fn in_one_step(
    queue: &[Queued],
    watch: Option<&Watch>,
    client: &Rc<Client>,
    host: &Host,
) -> Result<Reply, CommandError> {
    let needed = || {
        let looked_at = queue.iter().filter(|queued| queued.looks()).flat_map(Queued::keys);
        looked_at.chain(watch.iter().flat_map(|watch| watch.present()))
    };
    let mut loaded: Vec<Loaded<'_>> = Vec::new();
    let mut missing = Vec::new();
    let (now, pinned) = loop {
        host.cache.unheld().await;
        // One moment for all of it: nothing expires between two of its commands.
        let now = Stopwatch::start();
        match host.cache.run_at(now, &mut missing, |view| view.pin(needed())) {
            Ok(pinned) => break (now, pinned),
            Err(Stop::Missing) => loaded.push(host.cache.load(std::mem::take(&mut missing)).await),
            Err(Stop::Error(error)) => return Err(error),
        }
    };
    // From here on there is no await until everything has run.
    if let Err(error) = still_permitted(queue, client) {
        host.cache.run(&mut missing, |view| view.unpin(&pinned));
        return Err(error);
    }
    let broken = host.cache.run_at(now, &mut missing, |view| is_broken(watch, view));
    let mut depends = false;
    let mut bound = Bound::new(host);
    let replies = (!broken).then(|| {
        queue
            .iter()
            .map(|queued| {
                let watch = Stopwatch::start();
                let done = match queued.run() {
                    Run::Step(run) => host.cache.run_at(now, &mut missing, |view| {
                        bound.check_writes(view)?;
                        view.begin_command();
                        view.name_command(queued.spec.name);
                        let done = run(queued.request.as_request(), view);
                        depends |= view.depends_on_commit();
                        done
                    }),
                    Run::Local(run) => run(queued.request.as_request(), client, host).map_err(Stop::Error),
                    Run::Job(_) | Run::StepOrJob(..) | Run::Session(_) => {
                        unreachable!("these are run over several turns, or not queued")
                    }
                };
                let done = done.map_err(|stop| match stop {
                    Stop::Error(error) => error,
                    Stop::Missing => CommandError::Unreadable("it was not loaded".into()),
                });
                answer(queued, bound.check_answer(done), &watch, host)
            })
            .collect()
    });
    host.cache.run(&mut missing, |view| view.unpin(&pinned));
    drop(loaded);
    if depends && let Some(turn) = host.cache.turn() {
        turn.committed().await?;
    }
    Ok(replies.map_or(Reply::NilArray, Reply::Array))
}

/// Runs a transaction with commands that take several turns, while nobody else runs any.
async fn over_turns(
    hold: &Hold<'_>,
    queue: &[Queued],
    watch: Option<&Watch>,
    client: &Rc<Client>,
    host: &Host,
) -> Result<Reply, CommandError> {
    still_permitted(queue, client)?;
    let broken = match watch {
        None => false,
        Some(watch) => {
            let present = watch.present();
            let looked = hold.run(Box::pin(host.step(|view| {
                view.need(present.iter().map(|key| &**key))?;
                Ok(is_broken(Some(watch), view))
            })));
            looked.await?
        }
    };
    if broken {
        return Ok(Reply::NilArray);
    }
    let mut replies = Vec::with_capacity(queue.len());
    let mut bound = Bound::new(host);
    for queued in queue {
        let request = queued.request.as_request();
        let stopwatch = Stopwatch::start();
        let done = match queued.run() {
            Run::Step(run) => {
                let bound = &bound;
                hold.run(Box::pin(host.step(|view| {
                    bound.check_writes(view)?;
                    view.name_command(queued.spec.name);
                    run(request, view)
                })))
                .await
            }
            Run::Local(run) => run(request, client, host),
            Run::Job(start) => match start(request, host) {
                Ok(job) => hold.run(job).await,
                Err(error) => Err(error),
            },
            Run::StepOrJob(..) | Run::Session(_) => unreachable!("these are not queued"),
        };
        replies.push(answer(queued, bound.check_answer(done), &stopwatch, host));
    }
    Ok(Reply::Array(replies))
}

/// Whether a watched key has changed. What was there and has been evicted meanwhile has changed as well; the keys must have
/// been loaded.
fn is_broken(watch: Option<&Watch>, view: &mut View<'_>) -> bool {
    let Some(watch) = watch else { return false };
    watch.is_broken(view.now_ms()) || watch.present().iter().any(|key| matches!(view.find(key), Ok(None)))
}

fn answer(queued: &Queued, done: Result<Reply, CommandError>, watch: &Stopwatch, host: &Host) -> Reply {
    host.cache.counters_mut(|counters| counters.called(queued.index, 1, watch.ns()));
    done.unwrap_or_else(|error| {
        host.cache.counters_mut(|counters| counters.latencies.failed(queued.index));
        Reply::error(host.error_text(&error))
    })
}

#[cfg(test)]
mod tests {
    use larder_protocol::Dialect;

    use super::*;
    use crate::clients::Peer;

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

    #[test]
    fn what_overwrites_is_not_loaded() {
        let looks =
            |words: &str| Queued::new(OwnedRequest::new(words.split(' '), Dialect::Line)).unwrap().looks();
        for (words, expected) in [
            ("set k v", false),
            ("set k v EX 5", false),
            ("set k v nx", true),
            ("mset a b", false),
            ("get k", true),
        ] {
            assert_eq!(looks(words), expected, "{words}");
        }
    }
}
