//! A file of commands, sent to a daemon over a connection: `larderd warm FILE`, and `warm` among the settings.
//!
//! Used by the subcommand, on a connection to a running daemon, and by the server at its start, on one within the process:
//! the commands take the same way as a client's. Blocks; one thread writes and another reads, so that neither side waits
//! for the other for ever. Takes only commands that concern entries: each is answered by one reply, and none ends the
//! connection.

use std::fs::File;
use std::io::{self, Read, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::thread;

use bytes::{Buf as _, BytesMut};
use larder_protocol::{Decoder, Parser, Progress, Reply, ReplyLimits, Request, Requests, encode_command};
use tokio::sync::oneshot;

use crate::cmd::{self, Class};
use crate::config::Settings;

/// Bytes read at once, on either side.
const READ_BYTES: usize = 64 << 10;

/// Requests parsed at once.
const REQUESTS: usize = 1_024;

/// Refused commands that are told one by one.
const COMPLAINTS_MAX: usize = 10;

/// Commands beside those on single entries that a file may have.
const ALSO: [&str; 2] = ["flushall", "flushdb"];

/// How it went.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Warmed {
    /// Commands that were answered.
    pub answered: u64,
    /// Those of them that were refused.
    pub refused: u64,
    /// The first of these, with their places.
    pub complaints: Vec<String>,
    /// Why it ended before the end of the file, where it did.
    pub cut_short: Option<String>,
}

/// Ends when the file of commands has been run.
pub type Warming = oneshot::Receiver<()>;

/// Begins to run the file of commands in the settings; the other end of the connection that they come on. None where there
/// is no such file; one that cannot be run is told in the log, and the daemon serves without.
pub fn begin(settings: Rc<Settings>) -> Option<(tokio::net::UnixStream, Warming)> {
    let settings = Rc::unwrap_or_clone(settings);
    let file = settings.warm.clone()?;
    let (done, warming) = oneshot::channel();
    let begun = File::open(&file).and_then(|mut source| {
        let (ours, theirs) = UnixStream::pair()?;
        theirs.set_nonblocking(true)?;
        let theirs = tokio::net::UnixStream::from_std(theirs)?;
        let shown = file.display().to_string();
        thread::Builder::new().name("warm".to_owned()).spawn(move || {
            feed(&ours, &mut source, &settings).log(&shown);
            // Where the daemon is stopping, nobody waits.
            let _ = done.send(());
        })?;
        Ok(theirs)
    });
    begun
        .inspect_err(|error| tracing::error!("cannot run the commands in {}: {error}", file.display()))
        .ok()
        .map(|theirs| (theirs, warming))
}

/// Waits for the end of warming; none at once where there is none.
pub async fn over(warming: &mut Option<Warming>) -> Option<()> {
    // A thread that panicked has ended as well.
    let _ = warming.as_mut()?.await;
    Some(())
}

/// Sends the commands of `source` over `stream`, and waits for their answers.
pub fn feed(stream: &UnixStream, source: &mut dyn Read, settings: &Settings) -> Warmed {
    thread::scope(|scope| {
        let answers = scope.spawn(|| receive(stream));
        let sent = send(stream, source, settings);
        // Where the daemon has closed already there is nothing left to shut down.
        let _ = stream.shutdown(Shutdown::Write);
        let mut warmed = answers.join().expect("reading replies does not panic");
        if let Some(why) = sent.cut_short {
            warmed.cut_short = Some(why);
        } else if warmed.answered < sent.requests && warmed.cut_short.is_none() {
            warmed.cut_short = Some("the daemon closed the connection".to_owned());
        }
        warmed
    })
}

/// What went out.
struct Sent {
    requests: u64,
    cut_short: Option<String>,
}

fn send(mut stream: &UnixStream, source: &mut dyn Read, settings: &Settings) -> Sent {
    let mut parser = Parser::new(settings.frame_limits());
    let mut requests = Requests::default();
    let (mut buf, mut out) = (BytesMut::new(), BytesMut::new());
    let mut sent = Sent { requests: 0, cut_short: None };
    // Of the buffer's first byte in the input.
    let mut offset = 0;
    while sent.cut_short.is_none() {
        let len = buf.len();
        buf.resize(len + READ_BYTES, 0);
        let read = read_some(source, &mut buf[len..]);
        buf.truncate(len + *read.as_ref().unwrap_or(&0));
        match read {
            Ok(0) if parser.mid_request() => {
                sent.cut_short = Some(place(sent.requests, offset, "the input ends inside this request"));
            }
            Ok(0) => break,
            Ok(_) => {}
            Err(error) => sent.cut_short = Some(error.to_string()),
        }
        while sent.cut_short.is_none() {
            let parsed = parser.parse(&buf, &mut requests, REQUESTS);
            for i in 0..requests.len() {
                let start = if i == 0 { 0 } else { requests.end(i - 1) };
                let request = requests.get(i, &buf);
                if let Err(why) = concerns_entries(request, settings) {
                    sent.cut_short = Some(place(sent.requests, offset + start as u64, &why));
                    break;
                }
                let words: Vec<&[u8]> = request.words().collect();
                encode_command(&words, &mut out);
                sent.requests += 1;
            }
            let done = requests.consumed_to();
            buf.advance(done);
            offset += done as u64;
            parser.consumed(done);
            requests.clear();
            if let Err(error) = stream.write_all(&out) {
                sent.cut_short = Some(format!("the daemon went away: {error}"));
            }
            out.clear();
            match parsed {
                Progress::NeedMore { .. } => break,
                Progress::Broken(error) if sent.cut_short.is_none() => {
                    sent.cut_short = Some(place(sent.requests, offset, &error.to_string()));
                }
                Progress::Full | Progress::Broken(_) => {}
            }
        }
    }
    sent
}

/// The place of the request after `before` others.
fn place(before: u64, offset: u64, why: &str) -> String {
    format!("request {} at byte {offset}: {}", before + 1, without_code(why))
}

/// Says what is wrong with a request that is no command on entries.
fn concerns_entries(request: Request<'_>, settings: &Settings) -> Result<(), String> {
    let (_, spec) = cmd::resolve(request, settings.max_key_bytes).map_err(|error| error.to_string())?;
    match spec.class {
        Class::Read | Class::Write | Class::Delete => Ok(()),
        Class::Admin | Class::Connection if ALSO.contains(&spec.name) => Ok(()),
        Class::Admin | Class::Connection => {
            Err(format!("{} is no command on entries", spec.name.to_uppercase()))
        }
    }
}

/// Counts replies until the daemon closes.
fn receive(mut stream: &UnixStream) -> Warmed {
    let mut decoder = Decoder::new(ReplyLimits::default());
    let mut buf = BytesMut::new();
    let mut chunk = vec![0; READ_BYTES];
    let mut warmed = Warmed::default();
    loop {
        match read_some(&mut stream, &mut chunk) {
            Ok(0) => return warmed,
            Ok(read) => buf.extend_from_slice(&chunk[..read]),
            Err(error) => {
                warmed.cut_short = Some(format!("the daemon went away: {error}"));
                return warmed;
            }
        }
        loop {
            match decoder.decode(&mut buf) {
                Ok(None) => break,
                Ok(Some(reply)) => warmed.answered_by(&reply),
                Err(error) => {
                    warmed.cut_short = Some(format!("what answers is no larderd: {error}"));
                    return warmed;
                }
            }
        }
    }
}

impl Warmed {
    /// Tells the log, for a file that was run at a start.
    pub fn log(&self, file: &str) {
        for complaint in &self.complaints {
            tracing::error!("{file}: {complaint}");
        }
        let Self { answered, refused, .. } = self;
        if let Some(why) = &self.cut_short {
            tracing::error!("{file}: {why}; commands run before it: {answered}");
        } else {
            tracing::info!("warmed with {file}: {answered} commands, {refused} of them refused");
        }
    }

    fn answered_by(&mut self, reply: &Reply) {
        self.answered += 1;
        if let Reply::Error(text) = reply {
            self.refused += 1;
            if self.complaints.len() < COMPLAINTS_MAX {
                self.complaints.push(format!("request {}: {}", self.answered, without_code(text)));
            }
        }
    }
}

/// Reads what there is, at least a byte unless the input has ended.
fn read_some(source: &mut dyn Read, buf: &mut [u8]) -> io::Result<usize> {
    loop {
        match source.read(buf) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}

/// An error reply's text without the code that clients look at.
fn without_code(text: &str) -> &str {
    text.strip_prefix("ERR ").unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is sent for `input`, with `replies` as answers, and how that went.
    fn fed(input: &str, replies: &str) -> (String, Warmed) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        thread::scope(|scope| {
            let daemon = scope.spawn(move || {
                let mut received = String::new();
                (&theirs).write_all(replies.as_bytes()).unwrap();
                (&theirs).read_to_string(&mut received).unwrap();
                received
            });
            let warmed = feed(&ours, &mut input.as_bytes(), &Settings::default());
            drop(ours);
            (daemon.join().unwrap(), warmed)
        })
    }

    #[test]
    fn lines_and_arrays_are_sent_as_arrays_and_answers_counted() {
        let (sent, warmed) =
            fed("SET a \"1 2\"\n*2\r\n$3\r\nDEL\r\n$1\r\nb\r\n\nGET a\n", "+OK\r\n:0\r\n-ERR no\r\n");
        assert_eq!(
            sent,
            "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$3\r\n1 2\r\n*2\r\n$3\r\nDEL\r\n$1\r\nb\r\n*2\r\n$3\r\nGET\r\n$1\r\na\r\n"
        );
        let complaints = vec!["request 3: no".to_owned()];
        assert_eq!(warmed, Warmed { answered: 3, refused: 1, complaints, cut_short: None });
    }

    #[test]
    fn what_cannot_be_sent_ends_it_with_its_place() {
        for (input, why) in [
            ("SET a 1\nQUIT\n", "request 2 at byte 8: QUIT is no command on entries"),
            ("SET a 1\nSET b\n", "request 2 at byte 8: wrong number of arguments for 'set' command"),
            ("SET a 1\nSUBSCRIBE c\n", "request 2 at byte 8: SUBSCRIBE is no command on entries"),
            ("SET a 1\n*1\r\n$3\r\nGE", "request 2 at byte 8: the input ends inside this request"),
        ] {
            let (sent, warmed) = fed(input, "+OK\r\n");
            assert_eq!(warmed.cut_short.as_deref(), Some(why));
            assert!(warmed.answered == 1 && sent.starts_with("*3\r\n$3\r\nSET\r\n$1\r\na\r\n"), "{sent}");
        }
        let (_, warmed) = fed("SET a 1\nSET b \"open\n", "+OK\r\n");
        assert!(warmed.cut_short.is_some_and(|why| why.contains("unbalanced quotes")));
        let (_, warmed) = fed("SET a 1\nSET b 2\n", "+OK\r\n");
        assert_eq!(warmed.cut_short.as_deref(), Some("the daemon closed the connection"));
    }
}
