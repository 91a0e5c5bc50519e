//! Requests out of a file or a pipe, one after the other: for what imports them, and for what sends them to a daemon.
//!
//! Knows frames and their places, never commands.

use std::io::{self, Read};

use bytes::{Buf as _, BytesMut};
use larder_protocol::{FrameLimits, Parser, Progress, Request, Requests};

use crate::error::without_code;
use crate::files::read_some;

/// Bytes read at once.
const READ_BYTES: usize = 256 << 10;

/// Requests parsed at once.
const REQUESTS: usize = 1_024;

/// Whoever takes the requests.
pub trait Taker {
    /// Why it cannot go on.
    type Error;

    /// Takes a request.
    ///
    /// # Errors
    /// What is wrong with it.
    fn take(&mut self, request: Request<'_>) -> Result<(), String>;

    /// Told after every so many requests that what is before byte `offset` of the input has been taken, and when the last of
    /// those that are taken has been.
    ///
    /// # Errors
    /// Where it cannot go on.
    fn taken_to(&mut self, offset: u64) -> Result<(), Self::Error>;
}

/// Why requests were not taken to the end of the input.
#[derive(Debug)]
pub enum CutShort<E> {
    /// One of them is broken or was refused: its place, and what is wrong with it.
    Request(String),
    /// The input cannot be read.
    Input(io::Error),
    /// Whoever takes them cannot go on.
    Taker(E),
}

/// Gives `taker` the requests of `input`, up to the first that is broken or refused.
///
/// # Errors
/// Where it does not come to the end of the input.
pub fn take_all<T: Taker>(
    input: &mut dyn Read,
    limits: FrameLimits,
    taker: &mut T,
) -> Result<(), CutShort<T::Error>> {
    let mut source = Source {
        parser: Parser::new(limits),
        requests: Requests::default(),
        buf: BytesMut::new(),
        offset: 0,
        taken: 0,
    };
    while source.read_more(input).map_err(CutShort::Input)? > 0 {
        while source.take_parsed(taker)? {}
    }
    if source.parser.mid_request() {
        let place = source.place(0);
        return Err(CutShort::Request(format!("{place}: the input ends inside this request")));
    }
    Ok(())
}

/// An input that is being read.
struct Source {
    parser: Parser,
    requests: Requests,
    buf: BytesMut,
    /// Of the buffer's first byte in the input.
    offset: u64,
    /// Requests that have been taken.
    taken: u64,
}

impl Source {
    /// Reads what there is; the number of bytes, which is 0 at the end.
    fn read_more(&mut self, input: &mut dyn Read) -> io::Result<usize> {
        let len = self.buf.len();
        self.buf.resize(len + READ_BYTES, 0);
        let read = read_some(input, &mut self.buf[len..]);
        self.buf.truncate(len + *read.as_ref().unwrap_or(&0));
        read
    }

    /// Parses some of what was read, and has it taken; whether there may be more in the buffer.
    fn take_parsed<T: Taker>(&mut self, taker: &mut T) -> Result<bool, CutShort<T::Error>> {
        let progress = self.parser.parse(&self.buf, &mut self.requests, REQUESTS);
        let refused = (0..self.requests.len()).find_map(|i| {
            let start = if i == 0 { 0 } else { self.requests.end(i - 1) };
            match taker.take(self.requests.get(i, &self.buf)) {
                Ok(()) => {
                    self.taken += 1;
                    None
                }
                Err(why) => Some(format!("{}: {}", self.place(start), without_code(&why))),
            }
        });
        let done = self.requests.consumed_to();
        self.buf.advance(done);
        self.offset += done as u64;
        self.parser.consumed(done);
        self.requests.clear();
        taker.taken_to(self.offset).map_err(CutShort::Taker)?;
        match (refused, progress) {
            (Some(refused), _) => Err(CutShort::Request(refused)),
            (None, Progress::Full) => Ok(true),
            (None, Progress::NeedMore { .. }) => Ok(false),
            (None, Progress::Broken(error)) => {
                let error = error.to_string();
                Err(CutShort::Request(format!("{}: {}", self.place(0), without_code(&error))))
            }
        }
    }

    /// The place of the next request, which begins `start` bytes into the buffer.
    fn place(&self, start: usize) -> String {
        format!("request {} at byte {}", self.taken + 1, self.offset + start as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes what has one word, and cannot go on after a number of requests.
    struct OneWord {
        taken: Vec<String>,
        most: usize,
    }

    impl Taker for OneWord {
        type Error = usize;

        fn take(&mut self, request: Request<'_>) -> Result<(), String> {
            if request.len() > 1 {
                return Err("ERR two words".to_owned());
            }
            self.taken.push(String::from_utf8_lossy(request.name()).into_owned());
            Ok(())
        }

        fn taken_to(&mut self, _: u64) -> Result<(), usize> {
            if self.taken.len() > self.most { Err(self.taken.len()) } else { Ok(()) }
        }
    }

    fn taken(input: &str, most: usize) -> (usize, Result<(), CutShort<usize>>) {
        let mut taker = OneWord { taken: Vec::new(), most };
        let ended = take_all(&mut input.as_bytes(), FrameLimits::default(), &mut taker);
        (taker.taken.len(), ended)
    }

    #[test]
    fn all_is_taken_however_many_there_are() {
        let input = "A\n*1\r\n$1\r\nB\r\n".repeat(REQUESTS);
        let (count, ended) = taken(&input, usize::MAX);
        assert!(count == 2 * REQUESTS && ended.is_ok(), "{count} {ended:?}");
    }

    #[test]
    fn it_ends_at_the_first_that_is_refused_broken_or_cut_off() {
        for (input, expected) in [
            ("A\nB C\nD\n", "request 2 at byte 2: two words"),
            ("A\n\"B\n", "request 2 at byte 2: Protocol error: unbalanced quotes"),
            ("A\n*1\r\n$3\r\nDE", "request 2 at byte 2: the input ends inside this request"),
        ] {
            let (count, ended) = taken(input, usize::MAX);
            let Err(CutShort::Request(why)) = ended else { panic!("{input}: {ended:?}") };
            assert!(count == 1 && why.starts_with(expected), "{why}");
        }
    }

    #[test]
    fn who_cannot_go_on_is_given_no_more() {
        let (count, ended) = taken(&"A\n".repeat(2 * REQUESTS), 10);
        assert!(count == REQUESTS && matches!(ended, Err(CutShort::Taker(REQUESTS))), "{count} {ended:?}");
    }
}
