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

use bytes::BytesMut;
use larder_protocol::{Decoder, Reply, ReplyLimits, Request, encode_command};
use tokio::sync::oneshot;

use crate::cmd::{self, Class};
use crate::config::Settings;
use crate::error::without_code;
use crate::files::read_some;
use crate::source::{self, CutShort, Taker};

/// Bytes of replies read at once.
const READ_BYTES: usize = 64 << 10;

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

/// Sends the commands of `input` over `stream`, and waits for their answers.
pub fn feed(stream: &UnixStream, input: &mut dyn Read, settings: &Settings) -> Warmed {
    thread::scope(|scope| {
        let answers = scope.spawn(|| receive(stream));
        let mut sender = Sender { stream, settings, out: BytesMut::new(), sent: 0 };
        let sent = source::take_all(input, settings.frame_limits(), &mut sender);
        // Where the daemon has closed already there is nothing left to shut down.
        let _ = stream.shutdown(Shutdown::Write);
        let mut warmed = answers.join().expect("reading replies does not panic");
        match sent {
            Err(CutShort::Request(why)) => warmed.cut_short = Some(why),
            Err(CutShort::Input(error)) => warmed.cut_short = Some(error.to_string()),
            Err(CutShort::Taker(error)) => warmed.cut_short = Some(went_away(&error)),
            Ok(()) if warmed.answered < sender.sent && warmed.cut_short.is_none() => {
                warmed.cut_short = Some("the daemon closed the connection".to_owned());
            }
            Ok(()) => {}
        }
        warmed
    })
}

/// Sends commands as they are read.
struct Sender<'a> {
    stream: &'a UnixStream,
    settings: &'a Settings,
    out: BytesMut,
    /// Commands sent.
    sent: u64,
}

impl Taker for Sender<'_> {
    type Error = io::Error;

    fn take(&mut self, request: Request<'_>) -> Result<(), String> {
        concerns_entries(request, self.settings)?;
        let words: Vec<&[u8]> = request.words().collect();
        encode_command(&words, &mut self.out);
        self.sent += 1;
        Ok(())
    }

    fn taken_to(&mut self, _: u64) -> io::Result<()> {
        self.stream.write_all(&self.out)?;
        self.out.clear();
        Ok(())
    }
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

fn went_away(error: &io::Error) -> String {
    format!("the daemon went away: {error}")
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
                warmed.cut_short = Some(went_away(&error));
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
