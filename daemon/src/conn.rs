//! A connection: bytes in, requests run in order, answers out in the same order.
//!
//! Knows frames and the order of answers, never keys. Nothing is sent before the commit it depends on: answers are first
//! encoded into the output, and where a commit fails those that depended on it are replaced by the error.
//!
//! ```text
//!            +--> parse --> run, run, run ... --> send, or leave it to the turn's commit --> receive
//!  receive --+       (a missing row: load, run again)  (a job: commit, send, await)
//! ```

mod answers;
mod io;
mod outbox;
mod socket;
mod steps;

use std::rc::Rc;

use larder_protocol::{FrameLimits, Parser, Progress, Requests, Stat};
use tokio_util::sync::CancellationToken;

use crate::buffers::{Buffers, Share};
use crate::cache::Taking;
use crate::clients::Client;
use crate::clock::Stopwatch;
use crate::cmd::{self, Host, Run, Spec};
use crate::entry::Key;
use io::Stopping;
use outbox::Outbox;
use socket::Incoming;

pub use socket::Socket;

/// Requests run before others get their turn.
const REQUESTS_A_ROUND: usize = 1_024;

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
    socket: Socket,
    host: Rc<Host>,
    client: Rc<Client>,
    buffers: Rc<Buffers>,
    stop: CancellationToken,
) {
    let parser = Parser::new(frame_limits(&client, &host));
    let (socket, outgoing) = socket.split();
    let out = Outbox::new(Rc::clone(&host), Rc::clone(&client), outgoing, buffers.share());
    let mut connection = Connection {
        socket,
        client,
        input: buffers.share(),
        out: Rc::new(out),
        parser,
        requests: Requests::default(),
        missing: Vec::new(),
        received: Stopwatch::start(),
        just_received: false,
        host,
    };
    io::attach(&connection.client).await;
    let Err(end) = connection.converse(Stopping::new(stop)).await;
    if let End::Stalled(what) = end {
        tracing::debug!("connection {} closed: {what} for too long", connection.client.id);
    }
}

struct Connection {
    socket: Incoming,
    host: Rc<Host>,
    client: Rc<Client>,
    input: Share,
    out: Rc<Outbox>,
    parser: Parser,
    requests: Requests,
    /// Keys whose rows a command needs and did not find.
    missing: Vec<Key>,
    /// Since when the requests in hand have been there.
    received: Stopwatch,
    /// Whether nothing was run and nothing waited for since.
    just_received: bool,
}

/// What the client may send in one request: little before a password that is asked for.
fn frame_limits(client: &Client, host: &Host) -> FrameLimits {
    match client.role.get() {
        Some(_) => host.settings().frame_limits(),
        None => FrameLimits::BEFORE_PASSWORD,
    }
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
    /// A transaction has the turn to itself, or the next one is held back.
    Held,
}

/// There is no way a conversation ends but this.
enum Never {}

impl Connection {
    async fn converse(&mut self, mut stopping: Stopping) -> Result<Never, End> {
        loop {
            self.receive(&mut stopping).await?;
            loop {
                // The password that one request gives decides on what the next may be.
                let unknown = self.client.role.get().is_none();
                let most = if unknown { 1 } else { REQUESTS_A_ROUND };
                let progress = self.parser.parse(self.input.bytes(), &mut self.requests, most);
                self.run_all().await?;
                if unknown != self.client.role.get().is_none() {
                    self.parser.set_limits(frame_limits(&self.client, &self.host));
                }
                let consumed = self.requests.consumed_to();
                self.input.advance(consumed);
                self.parser.consumed(consumed);
                self.requests.clear();
                match progress {
                    Progress::Full => {
                        self.out.committed().await;
                        tokio::task::yield_now().await;
                    }
                    Progress::NeedMore { want } => {
                        if !self.out.leave_to_turn() {
                            self.send_some().await?;
                        }
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
                    self.out.committed().await;
                    let missing = std::mem::take(&mut self.missing);
                    let watch = Stopwatch::start();
                    let more = host.cache.load(missing).await;
                    host.note_duration(self.requests.get(next, self.input.bytes()), watch.us(), &self.client);
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
                    self.out.committed().await;
                }
                Pause::Other(index, spec) => {
                    self.run_other(next, index, spec).await?;
                    next += 1;
                }
                Pause::OutputFull => self.send_all().await?,
                Pause::Held => {
                    self.send_some().await?;
                    host.cache.unheld().await;
                    host.unpaused().await;
                }
            }
        }
        Ok(())
    }

    /// What the request at `at`, for which there is no room, would do.
    fn taking(&self, at: usize) -> Taking {
        let request = self.requests.get(at, self.input.bytes());
        cmd::find(request.name()).and_then(|(_, spec)| spec.class.taking()).unwrap_or(Taking::Entries)
    }

    /// Runs a request that concerns the connection, or takes a while.
    async fn run_other(&mut self, at: usize, index: usize, spec: &'static Spec) -> Result<(), End> {
        let host = Rc::clone(&self.host);
        let watch = Stopwatch::start();
        let done = match spec.run.of(self.requests.get(at, self.input.bytes())) {
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
            Run::Step(_) | Run::LocalOrJob(..) | Run::StepOrJob(..) => unreachable!("steps are run together"),
        };
        host.cache.counters_mut(|counters| {
            counters.called(index, 1, watch.ns());
            if done.is_err() {
                counters.latencies.failed(index);
            }
        });
        self.out.unsent().answered.add(spec.class.latency_class(), 1);
        host.note_duration(self.requests.get(at, self.input.bytes()), watch.us(), &self.client);
        self.client.commands.set(self.client.commands.get() + 1);
        self.client.last_command.set(Some(index));
        // Messages that it was sent before it was answered come before the answer.
        self.out.take_mail();
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
