//! Every limit of the wire in one place, each with its reason and the error that names it.
//!
//! Used by the parser and decoder of this crate and, as defaults of its configuration, by the daemon. Holds numbers
//! only: nothing here is enforced, and nothing outside this file invents a second number for the same thing.

/// Bytes of one line request before its line feed. Redis's own bound (`PROTO_INLINE_MAX_SIZE`), so what `redis-cli
/// --pipe` gets through there gets through here. Beyond it: [`FrameError::LineTooLong`].
///
/// [`FrameError::LineTooLong`]: crate::request::FrameError::LineTooLong
pub const LINE_BYTES: usize = 64 * 1024;

/// Words of one line request. A line is typed or comes from a shell script; a line with more words is a file sent to
/// the wrong socket. Beyond it: [`FrameError::TooManyWords`].
///
/// [`FrameError::TooManyWords`]: crate::request::FrameError::TooManyWords
pub const LINE_ARGS: usize = 1024;

/// Words of one RESP request. Redis's limit for as long as it had one (1024 * 1024): an MSET or DEL of half a million
/// keys is real, more is a runaway client. Beyond it: [`FrameError::TooManyArgs`].
///
/// [`FrameError::TooManyArgs`]: crate::request::FrameError::TooManyArgs
pub const ARGS: usize = 1_048_576;

/// Bytes of one key. Keys are index entries and stay in memory for every pending write; Redis's 512 MiB would make one
/// key as costly as a whole cache. Checked by the commands, which answer an error and go on.
pub const KEY_BYTES: usize = 64 * 1024;

/// Longest name a client gives itself or its library. It is kept for as long as the connection lives.
/// Error: `ERR client name of N bytes is longer than the limit of 256`.
pub const NAME_BYTES: usize = 256;

/// Longest pattern of DELPAT. Matching costs at most pattern times key length, so a pattern as long as a key could hold
/// the loop up. Error: `ERR pattern of N bytes is longer than the limit of 4096`.
pub const PATTERN_BYTES: usize = 4 * 1024;

/// Bytes of one value, and so of one bulk string of a request. Large enough for a rendered page or a serialised
/// report, small enough that one request cannot hold up the others for long. Beyond it:
/// [`FrameError::ValueTooLarge`].
///
/// [`FrameError::ValueTooLarge`]: crate::request::FrameError::ValueTooLarge
pub const VALUE_BYTES: usize = 32 * 1024 * 1024;

/// Bytes of one whole request: the largest value, and as much again for an MSET of many. Without it a million
/// arguments of 32 MiB each would be within the other limits. Beyond it: [`FrameError::RequestTooLarge`].
///
/// [`FrameError::RequestTooLarge`]: crate::request::FrameError::RequestTooLarge
pub const REQUEST_BYTES: usize = VALUE_BYTES + 32 * 1024 * 1024;

/// Bytes of the number after `*` or `$`, line break included. The longest number that can be meant, -2^63, has 20;
/// Redis waits for 64 KiB. A bound this short lets the parser read a number again when its end had not arrived, instead
/// of remembering where it stopped. Beyond it: [`FrameError::ArrayCountTooLong`] or [`FrameError::BulkCountTooLong`].
///
/// [`FrameError::ArrayCountTooLong`]: crate::request::FrameError::ArrayCountTooLong
/// [`FrameError::BulkCountTooLong`]: crate::request::FrameError::BulkCountTooLong
pub const COUNT_BYTES: usize = 32;

/// Unsent reply bytes of one connection at which the daemon stops reading its requests. No error: the client is slower
/// than its own requests, and the socket's buffer tells it so.
pub const OUTPUT_BYTES: usize = 1024 * 1024;

/// Seconds without a byte accepted while output waits, after which the daemon closes the connection: its reader is
/// gone, and what waits for it is memory others could use. No reply can be sent; the log names the limit.
pub const OUTPUT_STALL_SECS: u64 = 10;

/// Seconds a started request may stand still before the connection is closed. Between requests a connection may idle
/// for ever; half a request holds buffer memory and never becomes useful. The log names the limit.
pub const HALF_REQUEST_SECS: u64 = 30;

/// Connections at one time. Far above what the processes beside one cache open, below what exhausts file descriptors
/// under systemd's usual hard limit. Beyond it: `ERR max number of clients reached`, Redis's words, and the connection
/// is closed.
pub const CONNECTIONS: usize = 10_000;

/// Bytes of request and reply buffers of all connections together, the largest value on top so that one request of
/// legal size can always finish. Without it ten thousand connections within their own limits could hold 640 GiB.
/// Beyond it the daemon takes in no more until others have given room back, or closes; the error names the limit.
pub const BUFFER_BUDGET_BYTES: usize = 64 * 1024 * 1024;

/// Messages that a subscriber has not taken: at this many bytes it is disconnected, so that it learns it missed some.
/// As much as Redis lets a subscriber have.
pub const SUBSCRIBER_BYTES: usize = 32 << 20;

/// Bytes of one bulk string of a reply, for clients: room for one value and for a long STATS or KEYS answer beside it.
/// Beyond it: [`DecodeError::TooLarge`](crate::decode::DecodeError::TooLarge).
pub const REPLY_BULK_BYTES: usize = 64 * 1024 * 1024;

/// Elements of one reply, at all depths together, for clients. KEYS over a large cache is the longest honest answer.
/// Beyond it: [`DecodeError::TooManyItems`](crate::decode::DecodeError::TooManyItems).
pub const REPLY_ITEMS: usize = 16 * 1024 * 1024;

/// Depth of nested arrays, maps and sets of one reply, for clients. COMMAND DOCS, the deepest known, needs five.
/// Beyond it: [`DecodeError::TooDeep`](crate::decode::DecodeError::TooDeep).
pub const REPLY_DEPTH: usize = 32;

/// What the request parser enforces. The daemon fills it from its configuration; the default is this file.
///
/// Positions within a request are 31-bit, so the parser treats any larger size as 2 GiB - 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameLimits {
    /// Bytes of one line before its line feed.
    pub line_bytes: usize,
    /// Words of one line.
    pub line_args: usize,
    /// Words of one RESP request.
    pub args: usize,
    /// Bytes of one bulk string of a RESP request.
    pub value_bytes: usize,
    /// Bytes of one whole RESP request, its headers included.
    pub request_bytes: usize,
}

impl FrameLimits {
    /// For who has not given a password that is asked for: Redis's bounds, ten words of 16 KiB, which is ample for AUTH
    /// and HELLO.
    pub const BEFORE_PASSWORD: Self = Self {
        line_bytes: 16 << 10,
        line_args: 10,
        args: 10,
        value_bytes: 16 << 10,
        request_bytes: 64 << 10,
    };
}

impl Default for FrameLimits {
    fn default() -> Self {
        Self {
            line_bytes: LINE_BYTES,
            line_args: LINE_ARGS,
            args: ARGS,
            value_bytes: VALUE_BYTES,
            request_bytes: REQUEST_BYTES,
        }
    }
}

/// What the reply decoder enforces on the client's side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplyLimits {
    /// Bytes of one line: a status, an error, a number, a length.
    pub line_bytes: usize,
    /// Bytes of one bulk string.
    pub bulk_bytes: usize,
    /// Elements of one reply, at all depths together.
    pub items: usize,
    /// Depth of nesting.
    pub depth: usize,
}

impl Default for ReplyLimits {
    fn default() -> Self {
        Self {
            // A value without a line break comes as one line where the client speaks the line dialect.
            line_bytes: REPLY_BULK_BYTES,
            bulk_bytes: REPLY_BULK_BYTES,
            items: REPLY_ITEMS,
            depth: REPLY_DEPTH,
        }
    }
}
