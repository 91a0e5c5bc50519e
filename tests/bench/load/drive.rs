//! The loop over all connections.
//!
//! A closed loop sends a pipeline of requests on a connection once the one before is answered, as redis-benchmark does:
//! it finds out how much a server gets through. An open loop sends each request when it is due, whether or not
//! earlier ones are answered, and counts from then: a stall shows in every request that falls into it.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};

use crate::clock::{cpu_seconds, now, ticking, timespec};
use crate::draw::Draws;
use crate::tally::Tally;
use crate::wire::{Answers, Load, Templates};

/// Only bounds a hang.
const HANG_NS: u64 = 60_000_000_000;
/// The longest wait, so that a hang is noticed.
const HEARTBEAT_NS: u64 = 1_000_000_000;
/// Read in one go: several large values, or hundreds of small ones.
const READ_BYTES: usize = 256 << 10;
/// Marks standard input among the connections.
const STDIN: u64 = u64::MAX;
/// Marks the clock of an open loop.
const TIMER: u64 = u64::MAX - 1;
const SECOND_NS: f64 = 1e9;

/// When requests are sent.
#[derive(Clone, Copy, Debug)]
pub enum Pace {
    /// When all before on the connection are answered, `pipeline` at a time.
    Closed { pipeline: usize },
    /// So many a second, over all connections in turn.
    Open { rate: u64 },
}

/// A run, as the options say.
pub struct Drive {
    pub socket: PathBuf,
    pub load: Load,
    pub connections: usize,
    pub pace: Pace,
    /// None: until standard input ends, or the keys where each comes once.
    pub seconds: Option<f64>,
    pub warm_up: f64,
    pub samples: Option<PathBuf>,
}

struct Connection {
    stream: UnixStream,
    answers: Answers,
    /// When the requests that are not answered yet were sent or due, the oldest first.
    open: VecDeque<u64>,
    /// What the socket did not take at once.
    unsent: Vec<u8>,
    /// The beginning of a line of an answer.
    half: Vec<u8>,
}

impl Drive {
    /// Runs to its end.
    pub fn run(&self, templates: &Templates, draws: Draws) -> Result<Tally, String> {
        let failed = |what: &str, error: std::io::Error| format!("{what} {}: {error}", self.socket.display());
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(|error| format!("epoll: {error}"))?;
        let mut connections = Vec::with_capacity(self.connections);
        for number in 0..self.connections {
            let stream =
                UnixStream::connect(&self.socket).map_err(|error| failed("cannot connect to", error))?;
            stream.set_nonblocking(true).map_err(|error| failed("cannot set up a connection to", error))?;
            epoll::add(&epoll, &stream, EventData::new_u64(number as u64), EventFlags::IN)
                .map_err(|error| format!("epoll: {error}"))?;
            connections.push(Connection {
                stream,
                answers: templates.answers(),
                open: VecDeque::new(),
                unsent: Vec::new(),
                half: Vec::new(),
            });
        }
        if self.seconds.is_none() && !draws.ends() {
            epoll::add(&epoll, std::io::stdin(), EventData::new_u64(STDIN), EventFlags::IN)
                .map_err(|error| format!("standard input: {error} (it has to be a pipe)"))?;
        }
        let began = now();
        let warm = began + (self.warm_up * SECOND_NS) as u64;
        let tally = Tally::new(warm, self.samples.as_deref())?;
        // epoll's own waiting ends at whole milliseconds, which would make every request late.
        let timer = match self.pace {
            Pace::Open { rate } => Some(listen_to_timer(&epoll, began, 1_000_000_000 / rate)?),
            Pace::Closed { .. } => None,
        };
        let run = Run {
            drive: self,
            templates,
            draws,
            epoll,
            timer,
            connections,
            tally,
            out: Vec::new(),
            input: vec![0; READ_BYTES],
            stopped: false,
        };
        run.until(began, self.seconds.map(|seconds| warm + (seconds * SECOND_NS) as u64))
    }
}

struct Run<'a> {
    drive: &'a Drive,
    templates: &'a Templates,
    draws: Draws,
    epoll: OwnedFd,
    timer: Option<OwnedFd>,
    connections: Vec<Connection>,
    tally: Tally,
    /// Requests being written, and answers just read: of one connection at a time.
    out: Vec<u8>,
    input: Vec<u8>,
    /// Nothing more is sent.
    stopped: bool,
}

impl Run<'_> {
    fn until(mut self, began: u64, end: Option<u64>) -> Result<Tally, String> {
        let cpu = cpu_seconds();
        let (mut due, mut next) = (began, 0);
        if let Pace::Closed { pipeline } = self.drive.pace {
            for number in 0..self.connections.len() {
                self.send(number, pipeline, began)?;
            }
        }
        let mut events = Vec::with_capacity(self.connections.len() + 1);
        let (mut quiet_since, mut answered) = (began, 0);
        loop {
            let mut time = now();
            if !self.stopped && end.is_some_and(|end| time >= end) {
                self.stopped = true;
            }
            if self.stopped {
                self.tally.stop(time, cpu_seconds() - cpu);
                break;
            }
            if let Pace::Open { rate } = self.drive.pace {
                while due <= time && !self.stopped {
                    self.send(next, 1, due)?;
                    next = (next + 1) % self.connections.len();
                    due += 1_000_000_000 / rate;
                }
            }
            self.wait(&mut events, end.map_or(HEARTBEAT_NS, |end| end.saturating_sub(time)))?;
            time = now();
            self.serve(&mut events, time)?;
            if self.tally.answered() != answered {
                (quiet_since, answered) = (time, self.tally.answered());
            } else if time - quiet_since > HANG_NS {
                return Err(format!("nothing was answered for {} s", HANG_NS / 1_000_000_000));
            }
        }
        self.drain(&mut events)?;
        self.tally.finish()?;
        Ok(self.tally)
    }

    /// Reads what is still to be answered.
    fn drain(&mut self, events: &mut Vec<epoll::Event>) -> Result<(), String> {
        let give_up = now() + HANG_NS;
        while self.connections.iter().any(|connection| !connection.open.is_empty()) {
            if now() > give_up {
                return Err("the last requests are not answered".to_owned());
            }
            self.wait(events, HEARTBEAT_NS)?;
            self.serve(events, now())?;
        }
        Ok(())
    }

    fn wait(&self, events: &mut Vec<epoll::Event>, ns: u64) -> Result<(), String> {
        let timeout = timespec(ns.min(HEARTBEAT_NS));
        match epoll::wait(&self.epoll, spare_capacity(events), Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(format!("epoll: {error}")),
        }
    }

    fn serve(&mut self, events: &mut Vec<epoll::Event>, time: u64) -> Result<(), String> {
        for event in events.drain(..) {
            // Copied out of a packed struct.
            let (data, flags) = (event.data, event.flags);
            if data.u64() == STDIN {
                self.stopped = true;
                // Once is enough.
                epoll::delete(&self.epoll, std::io::stdin())
                    .map_err(|error| format!("standard input: {error}"))?;
                continue;
            }
            if data.u64() == TIMER {
                let timer = self.timer.as_ref().expect("it ticks");
                rustix::io::read(timer, &mut [0; 8]).map_err(|error| format!("timer: {error}"))?;
                continue;
            }
            let number = data.u64() as usize;
            if flags.contains(EventFlags::OUT) {
                self.send_rest(number)?;
            }
            if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
                self.receive(number, time)?;
            }
        }
        Ok(())
    }

    fn send(&mut self, number: usize, count: usize, began: u64) -> Result<(), String> {
        self.out.clear();
        let connection = &mut self.connections[number];
        for _ in 0..count {
            if self.templates.write(self.drive.load, || self.draws.next(), &mut self.out).is_none() {
                self.stopped = true;
                break;
            }
            connection.open.push_back(began);
        }
        if !connection.unsent.is_empty() {
            connection.unsent.extend_from_slice(&self.out);
            return Ok(());
        }
        let sent = write(&connection.stream, &self.out)?;
        if sent < self.out.len() {
            connection.unsent.extend_from_slice(&self.out[sent..]);
            self.listen(number, EventFlags::IN | EventFlags::OUT)?;
        }
        Ok(())
    }

    fn send_rest(&mut self, number: usize) -> Result<(), String> {
        let connection = &mut self.connections[number];
        let sent = write(&connection.stream, &connection.unsent)?;
        connection.unsent.drain(..sent);
        if connection.unsent.is_empty() {
            self.listen(number, EventFlags::IN)?;
        }
        Ok(())
    }

    fn listen(&self, number: usize, flags: EventFlags) -> Result<(), String> {
        let data = EventData::new_u64(number as u64);
        epoll::modify(&self.epoll, &self.connections[number].stream, data, flags)
            .map_err(|error| format!("epoll: {error}"))
    }

    fn receive(&mut self, number: usize, time: u64) -> Result<(), String> {
        let connection = &mut self.connections[number];
        let half = connection.half.len();
        self.input[..half].copy_from_slice(&connection.half);
        let got = match (&connection.stream).read(&mut self.input[half..]) {
            Ok(0) => return Err("the server has closed a connection".to_owned()),
            Ok(got) => got,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                return Ok(());
            }
            Err(error) => return Err(format!("reading: {error}")),
        };
        let bytes = &self.input[..half + got];
        let (open, tally, mut result) = (&mut connection.open, &mut self.tally, Ok(()));
        let used = connection.answers.take(bytes, |reply| match open.pop_front() {
            Some(began) => result = result.clone().and(tally.answer(began, time, reply)),
            None => result = Err("the server answers what was not asked".to_owned()),
        })?;
        result?;
        connection.half.clear();
        connection.half.extend_from_slice(&bytes[used..]);
        if let (Pace::Closed { pipeline }, true, false) =
            (self.drive.pace, connection.open.is_empty(), self.stopped)
        {
            // Not `time`, which is when the first of those that are ready now was noticed.
            self.send(number, pipeline, now())?;
        }
        Ok(())
    }
}

fn listen_to_timer(epoll: &OwnedFd, first: u64, period: u64) -> Result<OwnedFd, String> {
    let failed = |error: rustix::io::Errno| format!("timer: {error}");
    let timer = ticking(first, period).map_err(failed)?;
    epoll::add(epoll, &timer, EventData::new_u64(TIMER), EventFlags::IN).map_err(failed)?;
    Ok(timer)
}

fn write(mut stream: &UnixStream, bytes: &[u8]) -> Result<usize, String> {
    let mut sent = 0;
    while sent < bytes.len() {
        match stream.write(&bytes[sent..]) {
            Ok(some) => sent += some,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(format!("sending: {error}")),
        }
    }
    Ok(sent)
}
