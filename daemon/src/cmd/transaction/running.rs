//! Running what was queued: in one step where that can be, and otherwise over several turns while nobody else runs anything.

use std::rc::Rc;

use larder_protocol::{OwnedRequest, Reply};

use super::bound::Bound;
use crate::cache::{Hold, Loaded, Stop, Taking, View, Watch};
use crate::clock::Stopwatch;
use crate::cmd::{Client, Host, Run, Spec, check_permission, find};
use crate::entry::Key;
use crate::error::CommandError;

/// A queued command.
pub(super) struct Queued {
    request: OwnedRequest,
    index: usize,
    spec: &'static Spec,
}

impl Queued {
    /// Commands are looked up before they are queued, so that there always is one.
    pub(super) fn new(request: OwnedRequest) -> Option<Self> {
        let (index, spec) = find(request.as_request().name())?;
        Some(Self { request, index, spec })
    }

    /// Whether it looks at what its keys held. Loading what a SET overwrites would be in vain.
    fn looks(&self) -> bool {
        const LOOKING: [&[u8]; 8] = [b"nx", b"xx", b"get", b"keepttl", b"ifeq", b"ifne", b"ifdeq", b"ifdne"];
        let looking = |word: &[u8]| LOOKING.iter().any(|option| word.eq_ignore_ascii_case(option));
        !self.spec.keys.overwritten || self.request.as_request().args().any(looking)
    }

    /// What it does to the room there is, if anything.
    pub(super) fn taking(&self) -> Option<Taking> {
        self.spec.class.taking()
    }

    /// Whether it works over several turns.
    pub(super) fn takes_turns(&self) -> bool {
        matches!(self.run(), Run::Job(_))
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
pub(super) async fn in_one_step(
    queue: &[Queued],
    watch: Option<&Watch>,
    client: &Rc<Client>,
    host: &Host,
) -> Result<Reply, CommandError> {
    let Pinned { now, keys, loaded } = pin(queue, watch, host).await?;
    // From here on there is no await until everything has run.
    let done = still_permitted(queue, client).map(|()| run_all(queue, now, watch, client, host));
    host.cache.run(&mut Vec::new(), |view| view.unpin(&keys));
    drop(loaded);
    let Done { replies, depends } = done?;
    if depends && let Some(turn) = host.cache.turn() {
        turn.committed().await?;
    }
    Ok(replies.map_or(Reply::NilArray, Reply::Array))
}

/// What a transaction looks up, kept in memory until it is unpinned.
struct Pinned<'a> {
    /// One moment for all of it: nothing expires between two of its commands.
    now: Stopwatch,
    keys: Vec<Key>,
    loaded: Vec<Loaded<'a>>,
}

/// Has all that a transaction looks up read, and keeps it in memory.
async fn pin<'a>(
    queue: &[Queued],
    watch: Option<&Watch>,
    host: &'a Host,
) -> Result<Pinned<'a>, CommandError> {
    let needed = || {
        let looked_at = queue.iter().filter(|queued| queued.looks()).flat_map(Queued::keys);
        looked_at.chain(watch.iter().flat_map(|watch| watch.present()))
    };
    let mut loaded = Vec::new();
    let mut missing = Vec::new();
    loop {
        host.cache.unheld().await;
        let now = Stopwatch::start();
        match host.cache.run_at(now, &mut missing, |view| view.pin(needed())) {
            Ok(keys) => return Ok(Pinned { now, keys, loaded }),
            Err(Stop::Missing) => loaded.push(host.cache.load(std::mem::take(&mut missing)).await),
            Err(Stop::Error(error)) => return Err(error),
        }
    }
}

/// What came of running a transaction in one step.
struct Done {
    /// None where a watched key had changed.
    replies: Option<Vec<Reply>>,
    /// Whether they depend on the commit of this turn.
    depends: bool,
}

/// Runs what is queued at one moment, all that it looks up being pinned.
fn run_all(
    queue: &[Queued],
    now: Stopwatch,
    watch: Option<&Watch>,
    client: &Rc<Client>,
    host: &Host,
) -> Done {
    let mut missing = Vec::new();
    if host.cache.run_at(now, &mut missing, |view| is_broken(watch, view)) {
        return Done { replies: None, depends: false };
    }
    let mut depends = false;
    let mut bound = Bound::new(host);
    let replies = queue.iter().map(|queued| {
        let stopwatch = Stopwatch::start();
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
            Run::Job(_) | Run::LocalOrJob(..) | Run::StepOrJob(..) | Run::Session(_) => {
                unreachable!("these are run over several turns, or not queued")
            }
        };
        let done = done.map_err(|stop| match stop {
            Stop::Error(error) => error,
            Stop::Missing => CommandError::Unreadable("it was not loaded".into()),
        });
        answer(queued, bound.check_answer(done), &stopwatch, host)
    });
    let replies = Some(replies.collect());
    Done { replies, depends }
}

/// Runs a transaction with commands that take several turns, while nobody else runs any.
pub(super) async fn over_turns(
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
            Run::LocalOrJob(..) | Run::StepOrJob(..) | Run::Session(_) => {
                unreachable!("these are not queued")
            }
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
