//! Running the requests that need nothing but the cache as it is, one after the other.

use std::cell::RefMut;

use bytes::BytesMut;
use larder_protocol::{Reply, Request, Requests, Stat, encode};

use super::answers::wire_of;
use super::outbox::Unsent;
use super::{Connection, Pause};
use crate::buffer::FETCHED_MAX;
use crate::cache::{Stop, Taking, View};
use crate::clients::{Client, Paused};
use crate::clock::Stopwatch;
use crate::cmd::{self, Host, Run, Spec};
use crate::error::CommandError;
use crate::latency::{Answered, RunCalls};
use crate::planted::{Bug, planted};

/// Keys of up to this length are looked up ahead.
const FETCHED_KEY_BYTES_MAX: usize = 256;

/// How many requests behind one that waits for a row are looked at for rows to load along with it.
const LOAD_AHEAD: usize = 256;

/// Requests with more words or bytes than these may take a while. They are timed one by one; all others together.
const BIG_WORDS: usize = 64;
const BIG_BYTES: usize = 64 << 10;

/// Input that takes about a microsecond to parse.
const PARSED_AT_ONCE_BYTES: usize = 4 << 10;

impl Connection {
    /// Runs requests from `next` on for as long as they need nothing but the cache as it is.
    pub(super) fn run_steps(&mut self, next: &mut usize) -> Pause {
        let now = self.parsed_at();
        let Self { host, client, input, out, requests, missing, .. } = self;
        if host.cache.is_held() {
            return Pause::Held;
        }
        let steps = Steps::begin(host, client);
        let unsent = &mut *out.unsent();
        let output_max = out.limit_bytes(&unsent.output);
        let Unsent { output, uncommitted, answered, .. } = unsent;
        let answers = output.ready();
        let from = *next;
        let mut tally = Tally::begin(host, now);
        let pause = host.cache.run_at(tally.watch, missing, |view| {
            while *next < requests.len() {
                if answers.len() >= output_max {
                    return Pause::OutputFull;
                }
                if (*next - from).is_multiple_of(FETCHED_MAX) {
                    fetch_ahead(requests, input.bytes(), *next, view);
                }
                let request = requests.get(*next, input.bytes());
                view.begin_command();
                let mut called = None;
                let done = match steps.take(request, &mut called, &mut tally, view) {
                    Ok(done) => done,
                    Err(pause) => {
                        if matches!(pause, Pause::Missing) {
                            look_ahead(requests, input.bytes(), *next + 1, view);
                        }
                        return pause;
                    }
                };
                let start = answers.len();
                let wire = wire_of(request, client);
                let wanted = !steps.unusual || client.wants_answer();
                match done {
                    Ok(reply) if wanted => encode(&reply, wire, answers),
                    Ok(_) => {}
                    Err(Stop::Error(error)) => {
                        let reply = failed(&error, called, host, view);
                        if wanted {
                            encode(&reply, wire, answers);
                        }
                    }
                    Err(Stop::Missing) => unreachable!("handled above"),
                }
                lose_answer(client, *next, start, answers);
                if view.depends_on_commit() && wanted {
                    uncommitted.push((start..answers.len(), wire));
                }
                *next += 1;
            }
            Pause::Done
        });
        tally.end(client, answered, *next - from);
        output.recount();
        if !unsent.uncommitted.is_empty() {
            unsent.note_turn(host.cache.turn());
        }
        pause
    }

    /// When what is to be run now had been parsed.
    fn parsed_at(&mut self) -> Stopwatch {
        // A look at the clock costs as much as a look-up. Where little was parsed, no time has passed.
        let at_once = self.input.bytes().len() <= PARSED_AT_ONCE_BYTES;
        if std::mem::take(&mut self.just_received) && at_once { self.received } else { Stopwatch::start() }
    }
}

/// What a run of steps goes by. Only commands that end the run change it.
struct Steps<'a> {
    host: &'a Host,
    client: &'a Client,
    key_bytes_max: usize,
    /// See [`Client::is_unusual`].
    unusual: bool,
    paused: Option<Paused>,
    room_for_entries: bool,
    room_for_deletions: bool,
}

impl<'a> Steps<'a> {
    fn begin(host: &'a Host, client: &'a Client) -> Self {
        Self {
            host,
            client,
            key_bytes_max: host.settings().max_key_bytes,
            unusual: client.is_unusual(),
            paused: host.paused().map(|(paused, _)| paused),
            room_for_entries: host.cache.has_room(Taking::Entries),
            room_for_deletions: host.cache.has_room(Taking::Deletions),
        }
    }

    /// What a request is answered, or why the run ends before it. `called` becomes its command where that has run.
    #[inline]
    fn take(
        &self,
        request: Request<'_>,
        called: &mut Option<usize>,
        tally: &mut Tally<'_>,
        view: &mut View<'_>,
    ) -> Result<Result<Reply, Stop>, Pause> {
        let Self { host, client, .. } = *self;
        let resolved = cmd::resolve(request, self.key_bytes_max).and_then(|(index, spec)| {
            cmd::check_permission(spec, request, client)?;
            Ok((index, spec))
        });
        let (index, spec) = match resolved {
            Ok(found) => found,
            Err(error) => return Ok(Err(Stop::Error(rejected(request, error, client, view)))),
        };
        if self.unusual
            && let Some(answer) = admit(request, spec, client, host)
        {
            return Ok(answer.map_err(|error| Stop::Error(cmd::refuse(request, client, error, view))));
        }
        if self.paused.is_some_and(|paused| spec.is_held_back_by(paused)) {
            return Err(Pause::Held);
        }
        let Run::Step(run) = spec.run.of(request) else {
            return Err(Pause::Other(index, spec));
        };
        if match spec.class.taking() {
            Some(Taking::Entries) => !self.room_for_entries,
            Some(Taking::Deletions) => !self.room_for_deletions,
            None => false,
        } {
            return Err(Pause::NoRoom);
        }
        if view.turn_is_full() {
            return Err(Pause::TurnFull);
        }
        let big = is_big(request).then(Stopwatch::start);
        view.name_command(spec.name);
        let done = run(request, view);
        if matches!(done, Err(Stop::Missing)) {
            return Err(Pause::Missing);
        }
        if let Some(watch) = big {
            tally.took(index, &watch, view);
            host.note_duration(request, watch.us(), client);
        } else {
            tally.called(index);
        }
        *called = Some(index);
        Ok(done)
    }
}

/// The calls of one run, and the time they share.
struct Tally<'a> {
    host: &'a Host,
    calls: RefMut<'a, RunCalls>,
    watch: Stopwatch,
    /// What of the time has been accounted for.
    counted_ns: u64,
    /// The commands that have been accounted for.
    big: Answered,
    /// The last of these.
    last_big: Option<usize>,
}

impl<'a> Tally<'a> {
    fn begin(host: &'a Host, watch: Stopwatch) -> Self {
        Self {
            host,
            calls: host.calls.borrow_mut(),
            watch,
            counted_ns: 0,
            big: Answered::default(),
            last_big: None,
        }
    }

    fn called(&mut self, index: usize) {
        self.calls.add(index);
    }

    /// A command that was timed by itself.
    fn took(&mut self, index: usize, watch: &Stopwatch, view: &mut View<'_>) {
        let ns = watch.ns();
        self.calls.change();
        self.last_big = Some(index);
        self.counted_ns += ns;
        self.big.add(cmd::REGISTRY[index].class.latency_class(), 1);
        view.counters().called(index, 1, ns);
    }

    /// Divides the time among the calls.
    fn end(mut self, client: &Client, answered: &mut Answered, requests: usize) {
        client.commands.set(client.commands.get() + requests as u64);
        if let Some(index) = self.calls.last().or(self.last_big) {
            client.last_command.set(Some(index));
        }
        answered.add_all(self.big);
        if !self.calls.is_empty() {
            let ns = self.watch.ns().saturating_sub(self.counted_ns);
            self.host.cache.counters_mut(|counters| {
                self.calls.share_out(ns, |index, calls, ns| {
                    counters.called(index, calls, ns);
                    answered.add(cmd::REGISTRY[index].class.latency_class(), calls);
                });
            });
        }
    }
}

/// A request that names no command, or not as it should be. Kept apart, as [`failed`] is, from what runs all the time.
#[cold]
fn rejected(request: Request<'_>, error: CommandError, client: &Client, view: &mut View<'_>) -> CommandError {
    if let Some((index, _)) = cmd::find(request.name()) {
        view.counters().latencies.rejected(index);
    }
    cmd::refuse(request, client, error, view)
}

/// The answer to a request that ended with an error, `called` being its command if that has run.
#[cold]
fn failed(error: &CommandError, called: Option<usize>, host: &Host, view: &mut View<'_>) -> Reply {
    view.counters().bump(Stat::CommandErrors);
    if let Some(index) = called {
        view.counters().latencies.failed(index);
    }
    Reply::error(host.error_text(error))
}

fn is_big(request: Request<'_>) -> bool {
    request.len() > BIG_WORDS || request.wire_bytes() > BIG_BYTES
}

/// See [`Bug::DroppedReply`]: `start` is where the answer to the request at `at` begins.
fn lose_answer(client: &Client, at: usize, start: usize, answers: &mut BytesMut) {
    if planted(Bug::DroppedReply) && at > 0 && (client.commands.get() + at as u64) % 1_000 == 999 {
        answers.truncate(start);
    }
}

/// See [`cmd::admit`].
fn admit(
    request: Request<'_>,
    spec: &Spec,
    client: &Client,
    host: &Host,
) -> Option<Result<Reply, CommandError>> {
    cmd::admit(request, spec, client, host.settings().frame_limits().request_bytes)
}

/// Reaches for what the next requests of a pipeline will look up, all at once. The first argument of most commands is a key;
/// where it is none, nothing is found. Pipelines are mostly of one kind: if the first of these overwrites its key unseen, so
/// do the others, and what they overwrite is looked up together after the commit.
fn fetch_ahead(requests: &Requests, input: &[u8], from: usize, view: &View<'_>) {
    let to = requests.len().min(from + FETCHED_MAX);
    let looks = || {
        let first = cmd::find(requests.get(from, input).name());
        first.is_some_and(|(_, spec)| !spec.keys.overwritten)
    };
    if to - from > 1 && looks() {
        let firsts = (from..to).filter_map(|at| requests.get(at, input).get(0));
        // What is longer is rather a value, and takes its time to hash.
        view.fetch(firsts.filter(|word| word.len() <= FETCHED_KEY_BYTES_MAX));
    }
}

/// Notes the rows that requests behind a waiting one need, so that one trip to the disk serves them all.
fn look_ahead(requests: &Requests, input: &[u8], from: usize, view: &mut View<'_>) {
    for i in from..requests.len().min(from + LOAD_AHEAD) {
        let request = requests.get(i, input);
        if let Some((_, spec)) = cmd::find(request.name())
            && !spec.keys.overwritten
        {
            // Whether they are missing is noted; nothing else is done with the answer.
            let _ = view.need(spec.keys.of(request));
        }
    }
}
