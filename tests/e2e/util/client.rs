//! A blocking client for either dialect that remembers its last exchanges, so that a failure shows them.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;

use rustix::process::{Gid, Uid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};
use serde_json::Value;

use super::HANG;
use super::wire::{Reply, encode, split_words};

/// How requests are written; replies to lines carry strings as lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dialect {
    Resp,
    Line,
}

/// One connection.
pub(crate) struct Client {
    stream: BufReader<UnixStream>,
    dialect: Dialect,
    exchanges: VecDeque<String>,
}

impl Client {
    /// Connects, to speak RESP.
    pub(crate) fn connect(socket: &Path) -> io::Result<Self> {
        Self::over(UnixStream::connect(socket)?)
    }

    /// Connects as another user with this primary group and no other; only root can. The system notes whose a connection is
    /// when it is made, and has users for each thread.
    pub(crate) fn connect_as(socket: &Path, uid: u32, gid: u32) -> io::Result<Self> {
        let become_other = move || {
            let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
            set_thread_groups(&[])?;
            set_thread_res_gid(gid, gid, gid)?;
            set_thread_res_uid(uid, uid, uid)
        };
        let connect = || become_other().map_err(io::Error::from).and_then(|()| UnixStream::connect(socket));
        let stream = thread::scope(|scope| scope.spawn(connect).join().expect("nothing in it panics"))?;
        Self::over(stream)
    }

    fn over(stream: UnixStream) -> io::Result<Self> {
        stream.set_read_timeout(Some(HANG))?;
        stream.set_write_timeout(Some(HANG))?;
        Ok(Self { stream: BufReader::new(stream), dialect: Dialect::Resp, exchanges: VecDeque::new() })
    }

    /// The same connection, speaking lines.
    pub(crate) fn in_lines(mut self) -> Self {
        self.dialect = Dialect::Line;
        self
    }

    /// Sends one request, given as a line, and returns its reply.
    #[track_caller]
    pub(crate) fn cmd(&mut self, request: &str) -> Reply {
        let bytes = match self.dialect {
            Dialect::Resp => encode(&split_words(request).expect("a test's request has balanced quotes")),
            Dialect::Line => format!("{request}\n").into_bytes(),
        };
        self.exchange(request, &bytes)
    }

    /// Sends one request as an array, whatever the dialect, and returns its reply.
    #[track_caller]
    pub(crate) fn args<A: AsRef<[u8]>>(&mut self, arguments: &[A]) -> Reply {
        let shown: Vec<_> = arguments.iter().map(|argument| Reply::bulk(argument).to_string()).collect();
        self.exchange(&shown.join(" "), &encode(arguments))
    }

    /// Sends one request and fails unless its reply is the one in the notation of [`Reply`].
    #[track_caller]
    pub(crate) fn check(&mut self, request: &str, expected: &str) {
        let mut want = Reply::parse(expected).expect("a test's expectation is well-formed");
        if self.dialect == Dialect::Line {
            want = want.in_line();
        }
        let got = self.cmd(request);
        if got != want {
            self.fail(&format!("{request:?} should answer {want}"));
        }
    }

    /// The integer a request answers.
    #[track_caller]
    pub(crate) fn int(&mut self, request: &str) -> i64 {
        match self.cmd(request) {
            Reply::Integer(value) => value,
            _ => self.fail(&format!("{request:?} should answer an integer")),
        }
    }

    /// Sends requests in one write and returns their replies; an error where the daemon went away meanwhile.
    pub(crate) fn pipeline<A: AsRef<[u8]>>(&mut self, requests: &[Vec<A>]) -> io::Result<Vec<Reply>> {
        let bytes: Vec<u8> = requests.iter().flat_map(|request| encode(request)).collect();
        self.send(&bytes)?;
        requests.iter().map(|_| self.read()).collect()
    }

    /// Sends bytes as they are.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    /// Reads one reply.
    pub(crate) fn read(&mut self) -> io::Result<Reply> {
        Reply::read(&mut self.stream)
    }

    /// Reads one line as it came, without its CRLF.
    pub(crate) fn read_line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        Ok(line.trim_end_matches(['\r', '\n']).to_owned())
    }

    /// Says that nothing more will be sent.
    pub(crate) fn finish_sending(&self) {
        // Where the daemon has closed already there is nothing left to shut down.
        let _ = self.stream.get_ref().shutdown(Shutdown::Write);
    }

    /// Everything up to the end of the connection; a hang is a failure, a reset is an end.
    #[track_caller]
    pub(crate) fn read_to_end(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        match self.stream.read_to_end(&mut bytes) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {}
            Err(error) => panic!("the connection should end: {error}; so far: {}", bytes.escape_ascii()),
        }
        bytes
    }

    /// Fails unless the daemon has closed the connection without another byte.
    #[track_caller]
    pub(crate) fn expect_closed(&mut self) {
        let rest = self.read_to_end();
        assert!(rest.is_empty(), "nothing should follow, got {}", rest.escape_ascii());
    }

    /// The bare stream, for clients that misbehave.
    pub(crate) fn stream(&mut self) -> &mut UnixStream {
        self.stream.get_mut()
    }

    /// Every statistic.
    #[track_caller]
    pub(crate) fn stats(&mut self) -> Stats {
        let reply = self.cmd("STATS");
        match serde_json::from_slice(reply.bytes()) {
            Ok(Value::Object(fields)) => Stats(fields),
            other => panic!("STATS should be a JSON object, got {other:?} from {reply}"),
        }
    }

    #[track_caller]
    fn exchange(&mut self, shown: &str, bytes: &[u8]) -> Reply {
        let reply = self.send(bytes).and_then(|()| self.read());
        let answer = reply.as_ref().map_or_else(|error| format!("no reply: {error}"), ToString::to_string);
        if self.exchanges.len() == 12 {
            self.exchanges.pop_front();
        }
        self.exchanges.push_back(format!("{shown}\n    {answer}"));
        reply.unwrap_or_else(|_| self.fail("no reply"))
    }

    #[track_caller]
    fn fail(&self, what: &str) -> ! {
        let mut message = format!("{what} ({:?}). The last exchanges on this connection:", self.dialect);
        for exchange in &self.exchanges {
            write!(message, "\n  {exchange}").unwrap();
        }
        panic!("{message}");
    }
}

/// One answer to STATS.
#[derive(Debug)]
pub(crate) struct Stats(serde_json::Map<String, Value>);

impl Stats {
    /// A whole-number statistic.
    #[track_caller]
    pub(crate) fn get(&self, name: &str) -> i64 {
        match self.0.get(name).and_then(Value::as_i64) {
            Some(value) => value,
            None => panic!("STATS has no whole number {name:?}: {:?}", self.0),
        }
    }

    /// Any statistic.
    #[track_caller]
    pub(crate) fn value(&self, name: &str) -> &Value {
        self.0.get(name).unwrap_or_else(|| panic!("STATS has no {name:?}: {:?}", self.0))
    }

    /// `Ok` where the statistic has the value, else a complaint for [`super::wait_until`].
    #[track_caller]
    pub(crate) fn is(&self, name: &str, expected: i64) -> Result<(), String> {
        match self.get(name) {
            value if value == expected => Ok(()),
            value => Err(format!("{name} is {value}, not {expected}")),
        }
    }
}
