//! What can be wrong with the frame of a request.
//!
//! Used by the parser, which stops for good at the first, and by the daemon, which answers `-ERR <text>` and closes.
//! Holds no wrong arguments: those are a command's business and leave the connection open.

use thiserror::Error;

/// A broken frame. The text is what follows `ERR ` in the reply: Redis 7's own words, followed by the limit's name and
/// value where it is a limit of larder that was exceeded.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FrameError {
    /// The number after `*` is none, or none that Redis would take.
    #[error("Protocol error: invalid multibulk length")]
    InvalidArrayLength,
    /// More than [`COUNT_BYTES`](crate::limits::COUNT_BYTES) after `*` without a line break.
    #[error("Protocol error: too big mbulk count string")]
    ArrayCountTooLong,
    /// An array announces more words than the limit.
    #[error(
        "Protocol error: invalid multibulk length: {count} arguments exceed the limit max_args = {limit}"
    )]
    TooManyArgs {
        /// Words announced.
        count: u64,
        /// [`FrameLimits::args`](crate::limits::FrameLimits::args).
        limit: usize,
    },
    /// An element of the array does not start with `$`.
    #[error("Protocol error: expected '$', got '{}'", printable(*.got))]
    ExpectedBulk {
        /// The byte in its place.
        got: u8,
    },
    /// The number after `$` is none, or negative.
    #[error("Protocol error: invalid bulk length")]
    InvalidBulkLength,
    /// More than [`COUNT_BYTES`](crate::limits::COUNT_BYTES) after `$` without a line break.
    #[error("Protocol error: too big bulk count string")]
    BulkCountTooLong,
    /// A bulk string announces more bytes than the limit.
    #[error("Protocol error: invalid bulk length: {bytes} bytes exceed the limit max_value = {limit}")]
    ValueTooLarge {
        /// Bytes announced.
        bytes: u64,
        /// [`FrameLimits::value_bytes`](crate::limits::FrameLimits::value_bytes).
        limit: usize,
    },
    /// The request would be longer than the limit.
    #[error(
        "Protocol error: too big request: {bytes} bytes exceed the limit of {limit} (max_value and 32 MiB)"
    )]
    RequestTooLarge {
        /// Bytes up to the end of the bulk string that goes beyond.
        bytes: u64,
        /// [`FrameLimits::request_bytes`](crate::limits::FrameLimits::request_bytes).
        limit: usize,
    },
    /// A bulk string is not followed by CR LF: its length was wrong. Redis skips two bytes unread and so stores a cut
    /// value for a client that counts characters instead of bytes; here the client learns of it.
    #[error("Protocol error: expected CRLF after a bulk string, check its length")]
    ExpectedLineBreak,
    /// A line does not end within the limit.
    #[error("Protocol error: too big inline request: the line exceeds the limit max_line = {limit}")]
    LineTooLong {
        /// [`FrameLimits::line_bytes`](crate::limits::FrameLimits::line_bytes).
        limit: usize,
    },
    /// A line has more words than the limit.
    #[error("Protocol error: too many words in a line: more than the limit of {limit}, send it as RESP")]
    TooManyWords {
        /// [`FrameLimits::line_args`](crate::limits::FrameLimits::line_args).
        limit: usize,
    },
    /// A quote is not closed, or the closing one is not followed by a blank.
    #[error("Protocol error: unbalanced quotes in request")]
    UnbalancedQuotes,
    /// A web page, a proxy or a TLS client reached the socket. An answer could only help whoever arranged that, so
    /// there is none.
    #[error("not a request: the peer speaks HTTP or TLS, and larderd Redis's protocol alone")]
    NotARequest,
}

impl FrameError {
    /// Whether the connection is closed without a reply.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        matches!(self, Self::NotARequest)
    }
}

/// The byte as it stands in an error reply. Redis sends it raw, with line breaks as blanks; bytes that are no printable
/// ASCII are escaped here, because a reply's text is UTF-8.
fn printable(byte: u8) -> String {
    match byte {
        b'\r' | b'\n' => " ".to_owned(),
        b' '..=b'~' => char::from(byte).to_string(),
        _ => byte.escape_ascii().to_string(),
    }
}
