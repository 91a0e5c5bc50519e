//! A connection: bytes in, requests run in order, answers out in the same order.
//!
//! Knows frames and the order of answers, never keys. Nothing is sent before the commit it depends on: answers are first
//! encoded into the output, and where a commit fails those that depended on it are replaced by the error.
//!
//! ```text
//!            +--> parse --> run, run, run ... --> settle (wait for the turn's commit) --> send --+
//!  receive --+       (a missing row: load, run again)  (a job: settle, send, await)              +--> receive
//! ```

mod answers;
mod io;

use std::ops::Range;
use std::rc::Rc;

use bytes::Buf as _;
use larder_protocol::{Parser, Progress, Reply, Request, Requests, Stat, Wire, encode};
use tokio::net::UnixStream;
use tokio_util::sync::CancellationToken;

use crate::buffers::{Buffers, Share};
use crate::cache::{Stop, Taking, Turn, View};
use crate::clients::Client;
use crate::cmd::{self, Host, Run, Spec};
use crate::entry::Key;
use crate::error::CommandError;
use answers::wire_of;
use io::Stopping;

/// Requests run before others get their turn.
const REQUESTS_A_ROUND: usize = 1_024;

/// How many requests behind one that waits for a row are looked at for rows to load along with it.
const LOAD_AHEAD: usize = 256;

/// Why a connection ends.
#[derive(Debug)]
enum End {
    /// The client closed it, asked for it, or broke the protocol; or the daemon is stopping.
    Closed,
    /// The client does not take its answers, or does not finish its request: which of them.
    Stalled(&'static str),
}

/// Answers the requests of one client until it goes away or `stop` is cancelled.
pub async fn serve(
    stream: UnixStream,
    host: Rc<Host>,
    client: Rc<Client>,
    buffers: Rc<Buffers>,
    stop: CancellationToken,
) {
    let limits = host.settings().frame_limits();
    let mut connection = Connection {
        stream,
        client,
        input: buffers.share(),
        output: buffers.share(),
        parser: Parser::new(limits),
        requests: Requests::default(),
        missing: Vec::new(),
        unsettled: Vec::new(),
        turn: None,
        host,
    };
    io::attach(&connection.client).await;
    let Err(end) = connection.converse(Stopping::new(stop)).await;
    if let End::Stalled(what) = end {
        tracing::debug!("connection {} closed: {what} for too long", connection.client.id);
    }
}

struct Connection {
    stream: UnixStream,
    host: Rc<Host>,
    client: Rc<Client>,
    input: Share,
    output: Share,
    parser: Parser,
    requests: Requests,
    /// Keys whose rows a command needs and did not find.
    missing: Vec<Key>,
    /// Answers in the output that depend on the commit of `turn`.
    unsettled: Vec<(Range<usize>, Wire)>,
    turn: Option<Rc<Turn>>,
}

/// Why running requests one after the other was interrupted.
enum Pause {
    /// All have been answered.
    Done,
    /// The next one waits for rows.
    Missing,
    /// The next one writes, and there is no room for writes.
    NoRoom,
    /// So much was written in this turn that it must be committed before more is added.
    TurnFull,
    /// The next one does not run on the cache alone.
    Other(usize, &'static Spec),
    /// The output must be sent first.
    OutputFull,
    /// A transaction has the turn to itself.
    Held,
}

/// There is no way a conversation ends but this.
enum Never {}

impl Connection {
    async fn converse(&mut self, mut stopping: Stopping) -> Result<Never, End> {
        loop {
            self.receive(&mut stopping).await?;
            loop {
                let progress = self.parser.parse(self.input.bytes(), &mut self.requests, REQUESTS_A_ROUND);
                self.run_all().await?;
                let consumed = self.requests.consumed_to();
                self.input.bytes_mut().advance(consumed);
                self.parser.consumed(consumed);
                self.requests.clear();
                match progress {
                    Progress::Full => {
                        self.settle().await;
                        tokio::task::yield_now().await;
                    }
                    Progress::NeedMore { want } => {
                        self.send_some().await?;
                        self.make_room(want).await?;
                        break;
                    }
                    Progress::Broken(error) => return self.refuse(&error).await,
                }
            }
        }
    }

    /// Runs every parsed request.
    async fn run_all(&mut self) -> Result<(), End> {
        let host = Rc::clone(&self.host);
        let mut next = 0;
        // Rows stay available until the request they were loaded for has run. While it waits, a merge may move more of
        // its keys out of the buffer, so it may have to wait again: dropping the first rows then could go on for ever.
        let mut loaded = Vec::new();
        let mut loaded_for = next;
        let mut refused = None;
        while next < self.requests.len() {
            if self.client.is_killed() {
                return Err(End::Closed);
            }
            match self.run_steps(&mut next) {
                Pause::Done => {}
                Pause::Missing => {
                    self.settle().await;
                    let missing = std::mem::take(&mut self.missing);
                    let more = host.cache.load(missing).await;
                    if next != loaded_for {
                        loaded.clear();
                        loaded_for = next;
                    }
                    loaded.push(more);
                }
                Pause::NoRoom => {
                    self.send_some().await?;
                    // Who has waited in vain once does not wait again for every request behind.
                    if refused.is_none() {
                        refused = host.cache.room(self.taking(next)).await.err();
                    }
                    if let Some(error) = &refused {
                        host.cache.count(Stat::WriteErrors, 1);
                        self.answer_error(next, error);
                        next += 1;
                    }
                }
                Pause::TurnFull => {
                    host.cache.commit_now();
                    self.settle().await;
                }
                Pause::Other(index, spec) => {
                    self.run_other(next, index, spec).await?;
                    next += 1;
                }
                Pause::OutputFull => self.send_all().await?,
                Pause::Held => {
                    self.send_some().await?;
                    host.cache.unheld().await;
                }
            }
        }
        Ok(())
    }

    /// Runs requests from `next` on for as long as they need nothing but the cache as it is.
    fn run_steps(&mut self, next: &mut usize) -> Pause {
        let Self { host, client, input, output, requests, missing, unsettled, turn, .. } = self;
        if host.cache.is_held() {
            return Pause::Held;
        }
        let key_bytes_max = host.settings().max_key_bytes;
        // Only commands that end this run change it.
        let unusual = client.is_unusual();
        let output_max = output.all().output_limit(host.settings().output_limit_bytes);
        let room = (host.cache.has_room(Taking::Entries), host.cache.has_room(Taking::Deletions));
        let answers = output.ready();
        let pause = host.cache.run(missing, |view| {
            while *next < requests.len() {
                if answers.len() >= output_max {
                    return Pause::OutputFull;
                }
                let request = requests.get(*next, input.bytes());
                let done = match cmd::resolve(request, key_bytes_max) {
                    Err(error) => Err(Stop::Error(cmd::refuse(request, client, error))),
                    Ok((index, spec)) => {
                        let admitted = if unusual { admit(request, spec, client, host) } else { None };
                        if let Some(answer) = admitted {
                            answer.map_err(Stop::Error)
                        } else {
                            let Run::Step(run) = spec.run else { return Pause::Other(index, spec) };
                            if match spec.class.taking() {
                                Some(Taking::Entries) => !room.0,
                                Some(Taking::Deletions) => !room.1,
                                None => false,
                            } {
                                return Pause::NoRoom;
                            }
                            if view.turn_is_full() {
                                return Pause::TurnFull;
                            }
                            view.begin_command();
                            let done = run(request, view);
                            if matches!(done, Err(Stop::Missing)) {
                                look_ahead(requests, input.bytes(), *next + 1, view);
                                return Pause::Missing;
                            }
                            view.counters().called(index);
                            done
                        }
                    }
                };
                let from = answers.len();
                let wire = wire_of(request, client);
                let wanted = !unusual || client.wants_answer();
                match done {
                    Ok(reply) if wanted => encode(&reply, wire, answers),
                    Ok(_) => {}
                    Err(Stop::Error(error)) => {
                        view.counters().bump(Stat::CommandErrors);
                        if wanted {
                            encode(&Reply::error(error.to_string()), wire, answers);
                        }
                    }
                    Err(Stop::Missing) => unreachable!("handled above"),
                }
                if view.depends_on_commit() && wanted {
                    unsettled.push((from..answers.len(), wire));
                }
                *next += 1;
            }
            Pause::Done
        });
        output.recount();
        if !unsettled.is_empty() {
            let now = host.cache.turn();
            // Whoever lets a turn pass settles first, so that all that is unsettled waits for one commit.
            debug_assert!(
                turn.is_none() || turn.as_ref().zip(now.as_ref()).is_some_and(|(a, b)| Rc::ptr_eq(a, b))
            );
            *turn = now;
        }
        pause
    }

    /// What the request at `at`, for which there is no room, would do.
    fn taking(&self, at: usize) -> Taking {
        let request = self.requests.get(at, self.input.bytes());
        cmd::find(request.name()).and_then(|(_, spec)| spec.class.taking()).unwrap_or(Taking::Entries)
    }

    /// Runs a request that concerns the connection, or takes a while.
    async fn run_other(&mut self, at: usize, index: usize, spec: &'static Spec) -> Result<(), End> {
        let host = Rc::clone(&self.host);
        host.cache.called(index);
        let done = match spec.run {
            Run::Local(run) => {
                let request = self.requests.get(at, self.input.bytes());
                run(request, &self.client, &host)
            }
            Run::Job(start) => {
                // What was answered before goes out first: the job may take a while.
                self.send_some().await?;
                match start(self.requests.get(at, self.input.bytes()), &host) {
                    Ok(job) => job.await,
                    Err(error) => Err(error),
                }
            }
            Run::Session(start) => {
                self.send_some().await?;
                let client = Rc::clone(&self.client);
                match start(self.requests.get(at, self.input.bytes()), &client, &host) {
                    Ok(job) => job.await,
                    Err(error) => Err(error),
                }
            }
            Run::Step(_) => unreachable!("steps are run together"),
        };
        // Messages that it was sent before it was answered come before the answer.
        self.take_mail();
        match done {
            Ok(reply) => self.answer(at, &reply),
            Err(error) => self.answer_error(at, &error),
        }
        if self.client.quit.get() {
            self.send_all().await?;
            return Err(End::Closed);
        }
        Ok(())
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
