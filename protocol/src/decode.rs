//! Reads replies on the client's side, RESP2 and RESP3 alike.
//!
//! Used by clients, by way of the codec or directly. Takes bytes off the front of a buffer as they complete a part of
//! a reply, so nothing is read twice; keeps a stack of its own instead of recursing; never allocates for what was
//! announced and has not arrived. Streamed strings and aggregates, which no server sends unasked, are refused.

use bytes::{Buf, Bytes, BytesMut};
use thiserror::Error;

use crate::limits::ReplyLimits;
use crate::reply::Reply;
use crate::scan;

/// Elements a list gets room for when it opens, however many it announces; the rest comes as they arrive.
const ROOM_AHEAD: usize = 64;

/// Statuses common enough not to be allocated each time.
const KNOWN_STATUSES: [&str; 3] = ["OK", "PONG", "QUEUED"];

/// What makes a stream no RESP, or more of it than the limits allow. Nothing after it can be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// A reply starts with a byte that no type has.
    #[error("reply: '{}' is no type of RESP; is it larderd that answers?", got.escape_ascii())]
    UnknownType {
        /// The byte.
        got: u8,
    },
    /// What follows the type is none of its values.
    #[error("reply: invalid value of type '{}'; is it larderd that answers?", kind.escape_ascii())]
    InvalidValue {
        /// The type's byte.
        kind: u8,
    },
    /// A line or a string does not end in CR LF.
    #[error("reply: expected CRLF; is it larderd that answers?")]
    ExpectedLineBreak,
    /// A streamed string or aggregate.
    #[error("reply: streamed types are not supported; is it larderd that answers?")]
    Streamed,
    /// A line or a string is longer than the limit.
    #[error("reply: more than {limit} bytes; ask for less, or raise ReplyLimits")]
    TooLarge {
        /// [`ReplyLimits::line_bytes`] or [`ReplyLimits::bulk_bytes`].
        limit: usize,
    },
    /// The reply has more elements than the limit.
    #[error("reply: more than {limit} elements; ask for less, or raise ReplyLimits")]
    TooManyItems {
        /// [`ReplyLimits::items`].
        limit: usize,
    },
    /// The reply is nested deeper than the limit.
    #[error("reply: nested deeper than {limit}; is it larderd that answers?")]
    TooDeep {
        /// [`ReplyLimits::depth`].
        limit: usize,
    },
}

/// A resumable decoder: give it the buffer whenever bytes have been added.
#[derive(Debug)]
pub struct Decoder {
    limits: ReplyLimits,
    /// Aggregates begun, the outermost first.
    stack: Vec<Frame>,
    /// The string whose header has been read: its type and length.
    string: Option<(u8, usize)>,
    /// Bytes of an unfinished line already searched for its end.
    scanned: usize,
    /// Elements announced in this reply so far.
    items: usize,
    broken: Option<DecodeError>,
}

/// An aggregate begun.
#[derive(Debug)]
struct Frame {
    kind: u8,
    /// Elements to come; a pair is two.
    left: usize,
    items: Vec<Reply>,
}

/// What one part of a reply is.
enum Part {
    Whole(Reply),
    /// An aggregate, or an attribute, begins; its elements follow.
    Opened,
}

impl Decoder {
    /// A decoder at the start of a reply.
    #[must_use]
    pub fn new(limits: ReplyLimits) -> Self {
        Self { limits, stack: Vec::new(), string: None, scanned: 0, items: 0, broken: None }
    }

    /// The next reply, once it is whole. Takes what it has read off the front of `src`, also of a reply that is not
    /// whole yet; strings share the buffer's memory instead of being copied.
    ///
    /// # Errors
    /// If the bytes are no RESP or exceed the limits; the same error ever after.
    pub fn decode(&mut self, src: &mut BytesMut) -> Result<Option<Reply>, DecodeError> {
        if let Some(error) = &self.broken {
            return Err(error.clone());
        }
        self.run(src).inspect_err(|error| self.broken = Some(error.clone()))
    }

    /// Whether a reply has begun and is not whole, apart from what is still in the buffer.
    #[must_use]
    pub fn mid_reply(&self) -> bool {
        !self.stack.is_empty() || self.string.is_some() || self.scanned > 0
    }

    fn run(&mut self, src: &mut BytesMut) -> Result<Option<Reply>, DecodeError> {
        while let Some(part) = self.part(src)? {
            if let Part::Whole(reply) = part
                && let Some(reply) = self.deliver(reply)
            {
                self.items = 0;
                return Ok(Some(reply));
            }
        }
        Ok(None)
    }

    /// Puts a whole reply where it belongs; returns the outermost if that completes it.
    fn deliver(&mut self, mut reply: Reply) -> Option<Reply> {
        loop {
            let Some(frame) = self.stack.last_mut() else { return Some(reply) };
            frame.items.push(reply);
            frame.left -= 1;
            if frame.left > 0 {
                return None;
            }
            let frame = self.stack.pop().expect("the frame was there a moment ago");
            // An attribute only describes the reply after it, which takes its place.
            reply = frame.close()?;
        }
    }

    /// One line, with the string that it announces.
    fn part(&mut self, src: &mut BytesMut) -> Result<Option<Part>, DecodeError> {
        if let Some((kind, len)) = self.string {
            return self.string(kind, len, src);
        }
        let Some(line) = self.line(src)? else { return Ok(None) };
        let (kind, text) = (line[0], line.slice(1..));
        let invalid = DecodeError::InvalidValue { kind };
        let whole = match kind {
            b'+' => status(&text),
            b'-' => Reply::Error(lossy(&text)),
            b':' => Reply::Int(number(&text).ok_or(invalid)?),
            b',' => Reply::Double(number(&text).ok_or(invalid)?),
            b'(' if is_whole_number(&text) => Reply::Bulk(text),
            b'#' if &text[..] == b"t" => Reply::Bool(true),
            b'#' if &text[..] == b"f" => Reply::Bool(false),
            b'_' if text.is_empty() => Reply::Nil,
            b'$' if &text[..] == b"-1" => Reply::Nil,
            b'*' if &text[..] == b"-1" => Reply::NilArray,
            b'$' | b'!' | b'=' | b'*' | b'~' | b'>' | b'%' | b'|' if &text[..] == b"?" => {
                return Err(DecodeError::Streamed);
            }
            b'$' | b'!' | b'=' => {
                let len = number(&text).ok_or(invalid)?;
                if len > self.limits.bulk_bytes {
                    return Err(DecodeError::TooLarge { limit: self.limits.bulk_bytes });
                }
                self.string = Some((kind, len));
                return self.string(kind, len, src);
            }
            b'*' | b'~' | b'>' | b'%' | b'|' => {
                return self.open(kind, number(&text).ok_or(invalid)?).map(Some);
            }
            _ => return Err(invalid),
        };
        Ok(Some(Part::Whole(whole)))
    }

    /// The next line without its line break, at least one byte, once it is whole.
    fn line(&mut self, src: &mut BytesMut) -> Result<Option<Bytes>, DecodeError> {
        let Some(&got) = src.first() else { return Ok(None) };
        // Checked before the line is whole: what is no RESP may have no line feed for long.
        if !b"+-:$*_,#!=(%~>|".contains(&got) {
            return Err(DecodeError::UnknownType { got });
        }
        let limit = self.limits.line_bytes;
        let feed = scan::line_feed(&src[self.scanned..]).map(|at| self.scanned + at);
        if feed.unwrap_or(src.len()) > limit.saturating_add(2) {
            return Err(DecodeError::TooLarge { limit });
        }
        let Some(feed) = feed else {
            self.scanned = src.len();
            return Ok(None);
        };
        self.scanned = 0;
        if src[feed - 1] != b'\r' || feed < 2 {
            return Err(DecodeError::ExpectedLineBreak);
        }
        let line = src.split_to(feed - 1).freeze();
        src.advance(2);
        Ok(Some(line))
    }

    /// The string whose header has been read, once it is whole.
    fn string(&mut self, kind: u8, len: usize, src: &mut BytesMut) -> Result<Option<Part>, DecodeError> {
        let Some(after) = src.get(len..len + 2) else { return Ok(None) };
        if after != b"\r\n" {
            return Err(DecodeError::ExpectedLineBreak);
        }
        let mut bytes = src.split_to(len).freeze();
        src.advance(2);
        self.string = None;
        Ok(Some(Part::Whole(match kind {
            b'!' => Reply::Error(lossy(&bytes)),
            b'=' => {
                let &[a, b, c, b':', ..] = &bytes[..] else { return Err(DecodeError::InvalidValue { kind }) };
                bytes.advance(4);
                Reply::Verbatim { format: [a, b, c], text: bytes }
            }
            _ => Reply::Bulk(bytes),
        })))
    }

    /// Begins an aggregate of `count` elements or pairs.
    fn open(&mut self, kind: u8, count: usize) -> Result<Part, DecodeError> {
        let left = if matches!(kind, b'%' | b'|') { count.saturating_mul(2) } else { count };
        self.items = self.items.saturating_add(left);
        if self.items > self.limits.items {
            return Err(DecodeError::TooManyItems { limit: self.limits.items });
        }
        if self.stack.len() >= self.limits.depth {
            return Err(DecodeError::TooDeep { limit: self.limits.depth });
        }
        let frame = Frame { kind, left, items: Vec::with_capacity(left.min(ROOM_AHEAD)) };
        if left == 0 {
            return Ok(frame.close().map_or(Part::Opened, Part::Whole));
        }
        self.stack.push(frame);
        Ok(Part::Opened)
    }
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new(ReplyLimits::default())
    }
}

impl Frame {
    /// The reply that all elements make; none for an attribute.
    fn close(self) -> Option<Reply> {
        Some(match self.kind {
            b'*' => Reply::Array(self.items),
            b'~' => Reply::Set(self.items),
            b'>' => Reply::Push(self.items),
            b'%' => {
                let mut pairs = Vec::with_capacity(self.items.len() / 2);
                let mut items = self.items.into_iter();
                while let (Some(key), Some(value)) = (items.next(), items.next()) {
                    pairs.push((key, value));
                }
                Reply::Map(pairs)
            }
            _ => return None,
        })
    }
}

fn status(text: &[u8]) -> Reply {
    let known = KNOWN_STATUSES.iter().find(|known| known.as_bytes() == text);
    known.map_or_else(|| Reply::StatusOwned(lossy(text)), |known| Reply::Status(known))
}

fn lossy(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}

fn number<T: std::str::FromStr>(text: &[u8]) -> Option<T> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn is_whole_number(text: &[u8]) -> bool {
    let digits = text.strip_prefix(b"-").or_else(|| text.strip_prefix(b"+")).unwrap_or(text);
    !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;
