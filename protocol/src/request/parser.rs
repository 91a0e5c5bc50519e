//! The request parser: bytes in, complete requests out, as much as has arrived and no more.
//!
//! Used by each connection of the daemon. Owns no bytes and does no IO: the caller keeps the buffer, the parser keeps
//! positions in it. It never looks at a value's bytes, never reads a line twice, never recurses, and never allocates
//! for what was announced and has not arrived.
//!
//! The rules are those of Redis 7 (`processInlineBuffer`, `processMultibulkBuffer` in src/networking.c) with two
//! differences: a broken frame is refused at the first byte that shows it, where Redis waits for the end of the line,
//! and line breaks after numbers and bulk strings must be CR LF, where Redis skips two bytes unread.

use crate::limits::{COUNT_BYTES, FrameLimits};
use crate::scan;

use super::line;
use super::{Dialect, FrameError, Requests, Span};

/// Words kept allocated between requests; more are given back when the request that needed them is complete.
const KEPT_WORDS: usize = 4096;

/// What [`Parser::parse`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Every complete request is parsed.
    NeedMore {
        /// Bytes that are certainly missing from the request begun, 0 between requests. For a bulk string this is what
        /// its header announced, so reserve it in steps as data arrives, not at once.
        want: usize,
    },
    /// As many requests as were asked for are parsed; the buffer may hold more.
    Full,
    /// The stream is broken here and stays so. Requests already parsed are valid and are to be answered first.
    Broken(FrameError),
}

/// A resumable parser over a buffer that the caller owns. See [`request`](super) for the loop around it.
#[derive(Debug)]
pub struct Parser {
    limits: FrameLimits,
    /// Where the request begun, or the next one, starts in the buffer.
    start: usize,
    /// Where to go on: in a line the first byte not yet searched for a line feed, in an array the next element or,
    /// when `bulk` is set, the first byte of its string.
    at: usize,
    /// Words of an array still to come; 0 at its header, in a line and between requests.
    left: usize,
    /// Length of the bulk string whose header has been read.
    bulk: Option<usize>,
    /// Words of the array so far. Kept here and not in `Requests`, which the caller clears before the rest arrives.
    spans: Vec<Span>,
    /// Bytes of the unfinished request that the last call saw.
    pending: usize,
    broken: Option<FrameError>,
}

/// What one step over the buffer came to.
enum Step {
    /// A request is complete, or something empty is skipped.
    Done,
    /// At least so many bytes are missing.
    Want(usize),
}

impl Parser {
    /// A parser at a request boundary.
    #[must_use]
    pub fn new(limits: FrameLimits) -> Self {
        let (spans, broken) = (Vec::new(), None);
        let mut parser = Self {
            limits: FrameLimits::default(),
            start: 0,
            at: 0,
            left: 0,
            bulk: None,
            spans,
            pending: 0,
            broken,
        };
        parser.set_limits(limits);
        parser
    }

    /// Has other limits hold, for what is parsed from here on.
    pub fn set_limits(&mut self, mut limits: FrameLimits) {
        limits.line_bytes = limits.line_bytes.min(Span::MAX);
        limits.request_bytes = limits.request_bytes.min(Span::MAX);
        self.limits = limits;
    }

    /// Parses complete requests of `buf` and appends them to `out`, until the bytes run out or `out` holds `max`.
    ///
    /// `buf` is everything not yet reported to [`consumed`](Self::consumed): the bytes of the last call and possibly
    /// more after them.
    pub fn parse(&mut self, buf: &[u8], out: &mut Requests, max: usize) -> Progress {
        let progress = match self.run(buf, out, max) {
            Ok(progress) => progress,
            Err(error) => {
                self.broken = Some(error.clone());
                Progress::Broken(error)
            }
        };
        let unfinished = matches!(progress, Progress::NeedMore { .. });
        self.pending = if unfinished { buf.len() - self.start } else { 0 };
        out.set_consumed_to(self.start);
        progress
    }

    /// Tells the parser that the caller has dropped the first `n` bytes of the buffer, at most
    /// [`Requests::consumed_to`]. The requests parsed from those bytes are void from then on: clear them.
    ///
    /// # Panics
    /// If `n` reaches into the unfinished request.
    pub fn consumed(&mut self, n: usize) {
        assert!(n <= self.start, "consumed {n} bytes, but only {} are parsed", self.start);
        self.start -= n;
        self.at -= n;
    }

    /// Bytes of a started, unfinished request that the last [`parse`](Self::parse) found; 0 at a request boundary.
    #[cfg(test)]
    pub(super) fn pending_bytes(&self) -> usize {
        self.pending
    }

    /// Whether the last [`parse`](Self::parse) ended inside a request.
    #[must_use]
    pub fn mid_request(&self) -> bool {
        self.pending > 0
    }

    fn run(&mut self, buf: &[u8], out: &mut Requests, max: usize) -> Result<Progress, FrameError> {
        if let Some(error) = &self.broken {
            return Err(error.clone());
        }
        while out.len() < max {
            let step = if self.left > 0 {
                self.words(buf, out)?
            } else {
                match buf.get(self.start) {
                    None => Step::Want(0),
                    Some(b'*') => self.array(buf)?,
                    Some(_) => self.line(buf, out)?,
                }
            };
            if let Step::Want(want) = step {
                return Ok(Progress::NeedMore { want });
            }
        }
        Ok(Progress::Full)
    }

    /// The header of an array, `*3\r\n`. The words follow with the next step.
    #[inline]
    fn array(&mut self, buf: &[u8]) -> Result<Step, FrameError> {
        let (count, next) = match number(buf, self.start + 1) {
            Number::Is { value, next } => (value, next),
            Number::Unfinished => return Ok(Step::Want(1)),
            Number::Malformed => return Err(FrameError::InvalidArrayLength),
            Number::TooLong => return Err(FrameError::ArrayCountTooLong),
        };
        self.at = next;
        // Nothing to run in an empty or a null array: skipped without a reply, as Redis does.
        let Ok(count @ 1..) = u64::try_from(count) else {
            self.start = next;
            return Ok(Step::Done);
        };
        if count > self.limits.args as u64 {
            return Err(FrameError::TooManyArgs { count, limit: self.limits.args });
        }
        self.left = count as usize;
        Ok(Step::Done)
    }

    /// The words of an array, as many as have arrived.
    #[inline]
    fn words(&mut self, buf: &[u8], out: &mut Requests) -> Result<Step, FrameError> {
        while self.left > 0 {
            let len = match self.bulk {
                Some(len) => len,
                None => match self.bulk_header(buf)? {
                    Some(len) => len,
                    None => return Ok(Step::Want(1)),
                },
            };
            let end = self.at + len;
            let Some(after) = buf.get(end..end + 2) else {
                self.bulk = Some(len);
                return Ok(Step::Want(end + 2 - buf.len()));
            };
            if after != b"\r\n" {
                return Err(FrameError::ExpectedLineBreak);
            }
            self.spans.push(Span::frame(self.at - self.start, len));
            self.at = end + 2;
            self.bulk = None;
            self.left -= 1;
        }
        let scratch = out.scratch.len();
        out.spans.extend_from_slice(&self.spans);
        out.push(self.start, self.at, self.spans.len(), scratch, Dialect::Resp);
        self.spans.clear();
        if self.spans.capacity() > KEPT_WORDS {
            self.spans.shrink_to(KEPT_WORDS);
        }
        self.start = self.at;
        Ok(Step::Done)
    }

    /// The header of a bulk string, `$3\r\n`; moves on to its first byte. None where it has not arrived.
    #[inline]
    fn bulk_header(&mut self, buf: &[u8]) -> Result<Option<usize>, FrameError> {
        match buf.get(self.at) {
            Some(b'$') => {}
            Some(&got) => return Err(FrameError::ExpectedBulk { got }),
            None => return Ok(None),
        }
        let (value, next) = match number(buf, self.at + 1) {
            Number::Is { value, next } => (value, next),
            Number::Unfinished => return Ok(None),
            Number::Malformed => return Err(FrameError::InvalidBulkLength),
            Number::TooLong => return Err(FrameError::BulkCountTooLong),
        };
        let bytes = u64::try_from(value).map_err(|_| FrameError::InvalidBulkLength)?;
        if bytes > self.limits.value_bytes as u64 {
            return Err(FrameError::ValueTooLarge { bytes, limit: self.limits.value_bytes });
        }
        let total = (next - self.start) as u64 + bytes + 2;
        if total > self.limits.request_bytes as u64 {
            return Err(FrameError::RequestTooLarge { bytes: total, limit: self.limits.request_bytes });
        }
        self.at = next;
        Ok(Some(bytes as usize))
    }

    /// A line, once it is whole.
    fn line(&mut self, buf: &[u8], out: &mut Requests) -> Result<Step, FrameError> {
        // A TLS client sends no line feed to wait for: content type 22, handshake; major version 3.
        if buf[self.start..].starts_with(&[0x16, 0x03]) {
            return Err(FrameError::NotARequest);
        }
        let limit = self.limits.line_bytes;
        let stop = buf.len().min(self.start + limit + 1);
        let Some(feed) = scan::line_feed(&buf[self.at..stop]) else {
            if stop - self.start > limit {
                refuse_foreign(&buf[self.start..stop])?;
                return Err(FrameError::LineTooLong { limit });
            }
            self.at = stop;
            return Ok(Step::Want(1));
        };
        let end = self.at + feed;
        let line = &buf[self.start..end];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        refuse_foreign(line)?;
        let scratch = out.scratch.len();
        let words = line::split(line, self.limits.line_args, &mut out.spans, &mut out.scratch, scratch)?;
        if words > 0 {
            out.push(self.start, end + 1, words, scratch, Dialect::Line);
        }
        self.start = end + 1;
        self.at = self.start;
        Ok(Step::Done)
    }
}

/// Refuses the first line of an HTTP request that a web page can make a browser send, and the header that every other
/// HTTP request has, before a body full of commands is run.
fn refuse_foreign(line: &[u8]) -> Result<(), FrameError> {
    let word = line::first_raw_word(line);
    if word.eq_ignore_ascii_case(b"POST") || word.eq_ignore_ascii_case(b"Host:") {
        return Err(FrameError::NotARequest);
    }
    Ok(())
}

/// A number with its line break, as it follows `*` and `$`.
enum Number {
    Is { value: i64, next: usize },
    Unfinished,
    Malformed,
    TooLong,
}

/// Reads a number by the rules of Redis's `string2ll`: a minus, no plus, no leading zero, no blanks.
///
/// A number whose end has not arrived is read again from its first digit: it is at most [`COUNT_BYTES`] long.
#[inline]
fn number(buf: &[u8], at: usize) -> Number {
    // Nearly every count and most lengths are one digit.
    if let Some(&[digit @ b'0'..=b'9', b'\r', b'\n']) = buf.get(at..at + 3) {
        return Number::Is { value: i64::from(digit - b'0'), next: at + 3 };
    }
    // And most other lengths two.
    if let Some(&[tens @ b'1'..=b'9', digit @ b'0'..=b'9', b'\r', b'\n']) = buf.get(at..at + 4) {
        return Number::Is { value: i64::from(tens - b'0') * 10 + i64::from(digit - b'0'), next: at + 4 };
    }
    let text = &buf[at..buf.len().min(at + COUNT_BYTES)];
    let negative = text.first() == Some(&b'-');
    let digits_at = usize::from(negative);
    let mut value = Some(0_i64);
    let mut len = 0;
    for &byte in &text[digits_at..] {
        match byte {
            b'0'..=b'9' if len == 1 && value == Some(0) => return Number::Malformed,
            b'0'..=b'9' => {
                value = value.and_then(|value| value.checked_mul(10)?.checked_add(i64::from(byte - b'0')));
                len += 1;
            }
            b'\r' => {
                let next = at + digits_at + len + 1;
                let (Some(value), 1..) = (value, len) else { return Number::Malformed };
                return match buf.get(next) {
                    _ if negative && value == 0 => Number::Malformed,
                    None => Number::Unfinished,
                    Some(b'\n') => {
                        Number::Is { value: if negative { -value } else { value }, next: next + 1 }
                    }
                    Some(_) => Number::Malformed,
                };
            }
            _ => return Number::Malformed,
        }
    }
    if text.len() == COUNT_BYTES { Number::TooLong } else { Number::Unfinished }
}

#[cfg(test)]
#[path = "parser_tests.rs"]
mod tests;
