//! Requests: parsing them from a byte stream, and looking at the parsed ones without copying.
//!
//! Used by the daemon's connections (the parser), its commands (the [`Request`] view) and its tests. Knows frames and
//! words; never what a command or a key is.
//!
//! # The loop around the parser
//! ```
//! use bytes::{Buf, BytesMut};
//! use larder_protocol::{FrameLimits, Parser, Progress, Requests};
//!
//! let mut parser = Parser::new(FrameLimits::default());
//! let mut requests = Requests::default();
//! let mut buf = BytesMut::new();
//! for read in [&b"PING\n*2\r\n$3\r\nGET\r\n"[..], b"$1\r\nk\r\n"] {
//!     buf.extend_from_slice(read);                            // 1. more bytes arrive
//!     loop {
//!         let progress = parser.parse(&buf, &mut requests, 64);   // 2. what is complete
//!         for i in 0..requests.len() {
//!             let request = requests.get(i, &buf);            // 3. run all of it, answer in order
//!             assert!(request.name() == b"PING" || request.arg(0) == b"k");
//!         }
//!         let done = requests.consumed_to();                  // 4. drop the bytes, tell the parser, clear
//!         buf.advance(done);
//!         parser.consumed(done);
//!         requests.clear();
//!         match progress {
//!             Progress::Full => {}
//!             Progress::NeedMore { .. } => break,             // read on, reserving in steps
//!             Progress::Broken(error) => panic!("{error}"),   // answer it unless silent, then close
//!         }
//!     }
//! }
//! assert!(buf.is_empty());
//! ```
//! Everything parsed is run before more is parsed, and step 4 is always these three calls together: the parsed requests
//! are positions in the buffer, so they are void once its front is gone.

use std::fmt;

mod error;
mod line;
mod parser;

pub use error::FrameError;
pub use parser::{Parser, Progress};

/// How a request was written, and so how its reply is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// A RESP array of bulk strings.
    Resp,
    /// One line of words.
    Line,
}

/// Where a word lies: in the request's own bytes, or decoded in the scratch space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    /// Relative to the request's first byte, or with [`Span::SCRATCH`] to its part of the scratch space.
    start: u32,
    len: u32,
}

impl Span {
    const SCRATCH: u32 = 1 << 31;
    /// The largest position and length.
    const MAX: usize = (Self::SCRATCH - 1) as usize;

    #[inline]
    fn frame(start: usize, len: usize) -> Self {
        debug_assert!(start <= Self::MAX && len <= Self::MAX);
        Self { start: start as u32, len: len as u32 }
    }

    fn scratch(start: usize, len: usize) -> Self {
        debug_assert!(start <= Self::MAX && len <= Self::MAX);
        Self { start: start as u32 | Self::SCRATCH, len: len as u32 }
    }

    #[inline]
    fn of<'a>(self, frame: &'a [u8], scratch: &'a [u8]) -> &'a [u8] {
        let bytes = if self.start & Self::SCRATCH == 0 { frame } else { scratch };
        let start = (self.start & !Self::SCRATCH) as usize;
        &bytes[start..start + self.len as usize]
    }
}

/// One parsed request of [`Requests`].
#[derive(Clone, Debug)]
struct Head {
    /// Its bytes in the buffer.
    start: usize,
    end: usize,
    /// Its words in `Requests::spans`.
    spans: usize,
    count: usize,
    /// Where its part of `Requests::scratch` starts.
    scratch: usize,
    dialect: Dialect,
}

/// Parsed requests, as positions in the buffer they were parsed from. Filled, run and cleared again and again, so that
/// parsing allocates nothing once it is warm.
#[derive(Clone, Debug, Default)]
pub struct Requests {
    heads: Vec<Head>,
    spans: Vec<Span>,
    scratch: Vec<u8>,
    consumed_to: usize,
}

impl Requests {
    /// Entries and bytes kept allocated by [`clear`](Self::clear): enough for deep pipelines, little enough for ten
    /// thousand connections of which a few once sent something large.
    const KEPT: usize = 4096;

    /// How many requests there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.heads.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.heads.is_empty()
    }

    /// Forgets the requests and keeps the memory, unless it has become large.
    pub fn clear(&mut self) {
        self.heads.clear();
        self.spans.clear();
        self.scratch.clear();
        self.consumed_to = 0;
        self.heads.shrink_to(Self::KEPT);
        self.spans.shrink_to(Self::KEPT);
        self.scratch.shrink_to(Self::KEPT);
    }

    /// The `i`-th request. `buf` is the buffer it was parsed from, its front where it was then.
    ///
    /// # Panics
    /// If there is no such request.
    #[inline]
    #[must_use]
    pub fn get<'a>(&'a self, i: usize, buf: &'a [u8]) -> Request<'a> {
        let head = &self.heads[i];
        Request {
            spans: &self.spans[head.spans..head.spans + head.count],
            frame: &buf[head.start..head.end],
            scratch: &self.scratch[head.scratch..],
            dialect: head.dialect,
        }
    }

    /// The offset in the buffer just past request `i`.
    ///
    /// # Panics
    /// If there is no such request.
    #[must_use]
    pub fn end(&self, i: usize) -> usize {
        self.heads[i].end
    }

    /// The offset in the buffer up to which everything is parsed: the end of the last request and of the empty lines
    /// and empty arrays after it. Advance the buffer to it once all requests are run, also where there is none.
    #[must_use]
    pub fn consumed_to(&self) -> usize {
        self.consumed_to
    }

    fn set_consumed_to(&mut self, offset: usize) {
        self.consumed_to = offset;
    }

    /// Adds a request whose `count` words are the last of `spans`.
    #[inline]
    fn push(&mut self, start: usize, end: usize, count: usize, scratch: usize, dialect: Dialect) {
        let spans = self.spans.len() - count;
        self.heads.push(Head { start, end, spans, count, scratch, dialect });
    }
}

/// A request: at least one word, the first of which is the command's name. Borrowed from the buffer, free to copy.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    spans: &'a [Span],
    frame: &'a [u8],
    scratch: &'a [u8],
    dialect: Dialect,
}

impl<'a> Request<'a> {
    /// How it was written.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// How many bytes it took on the wire.
    #[must_use]
    pub fn wire_bytes(&self) -> usize {
        self.frame.len()
    }

    /// How many words it has, the name included: at least one.
    #[expect(clippy::len_without_is_empty, reason = "a request is never empty")]
    #[must_use]
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// The first word.
    #[must_use]
    pub fn name(&self) -> &'a [u8] {
        self.word(0)
    }

    /// The `i`-th word after the name.
    ///
    /// # Panics
    /// If there is none, like a slice.
    #[must_use]
    pub fn arg(&self, i: usize) -> &'a [u8] {
        self.word(i + 1)
    }

    /// The `i`-th word after the name, if there is one.
    #[must_use]
    pub fn get(&self, i: usize) -> Option<&'a [u8]> {
        self.spans.get(i + 1).map(|span| span.of(self.frame, self.scratch))
    }

    /// The words after the name.
    #[must_use]
    pub fn args(&self) -> impl DoubleEndedIterator<Item = &'a [u8]> + ExactSizeIterator + Clone + use<'a> {
        self.tail(0)
    }

    /// The words after the name from the `from`-th on; none where there are fewer.
    #[must_use]
    pub fn tail(
        &self,
        from: usize,
    ) -> impl DoubleEndedIterator<Item = &'a [u8]> + ExactSizeIterator + Clone + use<'a> {
        let request = *self;
        let len = self.len();
        ((from + 1).min(len)..len).map(move |i| request.word(i))
    }

    /// All words, the name first.
    #[must_use]
    pub fn words(&self) -> impl DoubleEndedIterator<Item = &'a [u8]> + ExactSizeIterator + Clone + use<'a> {
        let request = *self;
        (0..self.len()).map(move |i| request.word(i))
    }

    /// A copy that outlives the buffer, for a command that runs later.
    #[must_use]
    pub fn to_owned(&self) -> OwnedRequest {
        OwnedRequest::new(self.words(), self.dialect)
    }

    #[inline]
    fn word(&self, i: usize) -> &'a [u8] {
        self.spans[i].of(self.frame, self.scratch)
    }
}

impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.dialect)?;
        self.words().try_for_each(|word| write!(f, " \"{}\"", word.escape_ascii()))
    }
}

impl PartialEq for Request<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.dialect == other.dialect && self.words().eq(other.words())
    }
}

impl Eq for Request<'_> {}

/// A request that owns its words: queued by MULTI, or written down in a test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedRequest {
    /// The words one after another; two allocations however many they are.
    bytes: Box<[u8]>,
    spans: Box<[Span]>,
    dialect: Dialect,
}

impl OwnedRequest {
    /// A request of these words, the name first.
    ///
    /// # Panics
    /// If there is no word, or all together have 2 GiB.
    pub fn new<W: AsRef<[u8]>>(words: impl IntoIterator<Item = W>, dialect: Dialect) -> Self {
        let (mut bytes, mut spans) = (Vec::new(), Vec::new());
        for word in words {
            let word = word.as_ref();
            assert!(bytes.len() + word.len() <= Span::MAX, "a request has less than 2 GiB");
            spans.push(Span::frame(bytes.len(), word.len()));
            bytes.extend_from_slice(word);
        }
        assert!(!spans.is_empty(), "a request has at least one word");
        Self { bytes: bytes.into(), spans: spans.into(), dialect }
    }

    /// The view that commands take.
    #[must_use]
    pub fn as_request(&self) -> Request<'_> {
        Request { spans: &self.spans, frame: &self.bytes, scratch: &[], dialect: self.dialect }
    }

    /// Bytes of its words, to bound what a client may queue.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_gives_its_words() {
        let owned = OwnedRequest::new(["SET", "k", "", "NX"], Dialect::Line);
        let request = owned.as_request();
        assert_eq!((request.len(), request.dialect()), (4, Dialect::Line));
        assert_eq!((request.name(), request.arg(0), request.arg(1)), (&b"SET"[..], &b"k"[..], &b""[..]));
        assert_eq!((request.get(2), request.get(3)), (Some(&b"NX"[..]), None));
        assert_eq!(request.args().len(), 3);
        assert_eq!(request.tail(2).collect::<Vec<_>>(), [b"NX"]);
        assert_eq!(request.tail(9).len(), 0);
        assert_eq!(format!("{request:?}"), r#"Line "SET" "k" "" "NX""#);
        assert_eq!(request.to_owned(), owned);
        assert_ne!(request, OwnedRequest::new(["SET", "k", "", "NX"], Dialect::Resp).as_request());
        assert_ne!(request, OwnedRequest::new(["SET", "k", ""], Dialect::Line).as_request());
    }

    #[test]
    fn clear_gives_large_memory_back() {
        let mut requests = Requests::default();
        requests.spans.reserve(1 << 20);
        requests.scratch.reserve(1 << 20);
        requests.heads.reserve(100);
        requests.clear();
        assert!(requests.spans.capacity() <= Requests::KEPT && requests.scratch.capacity() <= Requests::KEPT);
        assert!(requests.heads.capacity() >= 100);
    }
}
