//! What a process needs to talk to larder: the wire format on both sides, its limits, and the statistics table.
//!
//! Used by the daemon, the dashboard and client programs. The core does no IO, reads no clock and knows no async
//! runtime: bytes go in, values come out, and the other way round. With the feature `codec` the client's side also comes
//! as a tokio-util codec, and with the feature `client` as a client for programs, which does all of that.
//!
//! # The wire
//! One Unix socket, two dialects of request, told apart by the first byte of each. `*` opens a RESP array of bulk
//! strings, as every Redis client sends; anything else is one line of words, as one types it.
//!
//! | request | reply |
//! |---|---|
//! | `*2\r\n$3\r\nGET\r\n$1\r\nk\r\n` | `$5\r\nhello\r\n`, what Redis 7 would send in RESP2, or RESP3 after `HELLO 3` |
//! | `GET k\n` | `+hello\r\n`: RESP as well, but one line wherever the value has no line break |
//!
//! # The parts
//! | module | side | |
//! |---|---|---|
//! | [`request`] | daemon | bytes to requests, resumable, over the caller's buffer |
//! | [`reply`] | both | replies as values |
//! | [`encode`](mod@encode) | both | replies and commands to bytes |
//! | [`decode`] | client | bytes to replies, resumable |
//! | `codec` | client | the last two for tokio-util (feature `codec`) |
//! | `client` | client | everything a program wants of larder (feature `client`) |
//! | [`limits`] | both | every limit of the wire |
//! | [`stats`] | both | every statistic, and the snapshot of all |
//! | [`stream`] | both | the messages of `larder:stats` and `larder:events` |
//! | [`places`] | both | where the socket is when nothing says so |
//!
//! # Example
//! ```
//! use bytes::BytesMut;
//! use larder_protocol::{Dialect, FrameLimits, Parser, Progress, Reply, Requests, Wire, encode};
//!
//! let input = b"*2\r\n$4\r\nECHO\r\n$2\r\nhi\r\nECHO \"good day\"\n*2\r\n$4\r\nECHO";
//! let (mut parser, mut requests) = (Parser::new(FrameLimits::default()), Requests::default());
//! let progress = parser.parse(input, &mut requests, 64);
//! assert_eq!(progress, Progress::NeedMore { want: 2 });
//!
//! let mut out = BytesMut::new();
//! for i in 0..requests.len() {
//!     let request = requests.get(i, input);
//!     let wire = match request.dialect() {
//!         Dialect::Resp => Wire::Resp2,
//!         Dialect::Line => Wire::Line,
//!     };
//!     encode(&Reply::bulk(request.arg(0).to_vec()), wire, &mut out);
//! }
//! assert_eq!(&out[..], b"$2\r\nhi\r\n+good day\r\n");
//! assert_eq!(requests.consumed_to(), input.len() - 12);
//! ```

#[cfg(feature = "client")]
pub mod client;
#[cfg(feature = "codec")]
pub mod codec;
pub mod decode;
pub mod encode;
pub mod limits;
pub mod places;
pub mod reply;
pub mod request;
mod scan;
pub mod stats;
pub mod stream;

#[cfg(feature = "codec")]
pub use codec::{ClientCodec, CodecError};
pub use decode::{DecodeError, Decoder};
pub use encode::{
    Wire, encode, encode_array_header, encode_bulk, encode_command, encode_error, encode_int, encode_nil,
    encode_status,
};
pub use limits::{FrameLimits, ReplyLimits};
pub use reply::Reply;
pub use request::{Dialect, FrameError, OwnedRequest, Parser, Progress, Request, Requests};
pub use stats::{Kind, Section, Snapshot, SnapshotError, Stat, Value};
