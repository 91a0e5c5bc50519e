//! What can go wrong between a program and the daemon.
//!
//! Used by everything of the client. Each error names what was asked, where, and what to do; all of them are cheap to
//! clone, because one failure may concern many who wait for the same.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

/// Why a call of the client has no result.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// Nothing says where the socket is.
    #[error("no socket to connect to: {0}; name it with LARDER_SOCKET or Options::socket")]
    NoSocket(String),
    /// There is no daemon, or it does not take connections. Nothing was sent.
    #[error("cannot reach larder on {}: {source}; is larderd running?", socket.display())]
    Unreachable {
        /// The socket.
        socket: Arc<Path>,
        /// The system's own words.
        source: Arc<io::Error>,
    },
    /// The connection ended after the request was handed over and before its answer: whether it was carried out is not
    /// known.
    #[error("{command}: the connection to larder on {} ended before the answer: {reason}; it may have been carried out, so ask again where that does no harm", socket.display())]
    Lost {
        /// The command's name.
        command: String,
        /// The socket.
        socket: Arc<Path>,
        /// How it ended.
        reason: String,
    },
    /// The answer did not come in time: whether the request was carried out is not known.
    #[error(
        "{command}: no answer from larder within {after:?}; it may have been carried out, so ask again where that does no harm"
    )]
    Timeout {
        /// The command's name.
        command: String,
        /// How long was waited.
        after: Duration,
    },
    /// The daemon answered with an error.
    #[error("{command}: larder says: {message}")]
    Refused {
        /// The command's name.
        command: String,
        /// The whole text, beginning with its code.
        message: String,
    },
    /// The daemon answered with something that the command never answers.
    #[error("{command}: larder answered {reply}, which is no answer to that; is it larderd?")]
    Unexpected {
        /// The command's name.
        command: String,
        /// What came.
        reply: String,
    },
    /// A stored value is not the JSON that was asked for.
    #[error("the value of {key} cannot be read as {wanted}: {source}; delete the key, or use another")]
    Decode {
        /// The key.
        key: String,
        /// The type.
        wanted: &'static str,
        /// What is wrong with it.
        source: Arc<serde_json::Error>,
    },
    /// A value cannot be written as JSON.
    #[error("a value for {key} cannot be written as JSON: {source}; maps need keys that are text")]
    Encode {
        /// The key.
        key: String,
        /// What is wrong with it.
        source: Arc<serde_json::Error>,
    },
    /// The call makes no sense; the text says what to do instead.
    #[error("{0}")]
    Misuse(String),
}

impl Error {
    /// Whether the daemon is away or does not answer, so that the same call may work later.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Lost { .. } | Self::Timeout { .. })
    }

    /// Whether nothing can have been carried out, so that asking again does no harm.
    #[must_use]
    pub fn nothing_happened(&self) -> bool {
        !matches!(self, Self::Lost { .. } | Self::Timeout { .. } | Self::Unexpected { .. })
    }

    pub(super) fn unexpected(command: &str, reply: &crate::Reply) -> Self {
        let mut shown = format!("{reply:?}");
        if shown.len() > SHOWN_BYTES {
            let end = shown.floor_char_boundary(SHOWN_BYTES);
            shown.truncate(end);
            shown.push_str("...");
        }
        Self::Unexpected { command: command.to_owned(), reply: shown }
    }

    pub(super) fn decode<T>(key: &[u8], source: serde_json::Error) -> Self {
        let wanted = std::any::type_name::<T>();
        Self::Decode { key: shown(key), wanted, source: Arc::new(source) }
    }

    pub(super) fn encode(key: &[u8], source: serde_json::Error) -> Self {
        Self::Encode { key: shown(key), source: Arc::new(source) }
    }
}

/// Bytes of a reply or a key that an error shows.
const SHOWN_BYTES: usize = 200;

/// Bytes as an error shows them.
pub(super) fn shown(bytes: &[u8]) -> String {
    let cut = &bytes[..bytes.len().min(SHOWN_BYTES)];
    let dots = if cut.len() < bytes.len() { "..." } else { "" };
    format!("\"{}{dots}\"", cut.escape_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Reply;

    #[test]
    fn errors_name_what_and_where_and_are_bounded() {
        let away = Error::Unreachable {
            socket: Path::new("/run/x").into(),
            source: Arc::new(io::ErrorKind::NotFound.into()),
        };
        assert_eq!(away.to_string(), "cannot reach larder on /run/x: entity not found; is larderd running?");
        assert!(away.is_unavailable() && away.nothing_happened());
        let late = Error::Timeout { command: "GET".into(), after: Duration::from_secs(5) };
        assert!(late.is_unavailable() && !late.nothing_happened());
        assert!(late.to_string().contains("; it may have been carried out, so ask again where "), "{late}");
        let ended =
            Error::Lost { command: "INCR".into(), socket: Path::new("/s").into(), reason: "reset".into() };
        assert!(
            ended.to_string().contains("before the answer: reset; it may have been carried out"),
            "{ended}"
        );
        let unreadable = Error::decode::<u8>(b"k", serde_json::from_str::<u8>("x").unwrap_err());
        assert!(unreadable.to_string().ends_with("; delete the key, or use another"), "{unreadable}");
        let odd = Error::unexpected("GET", &Reply::bulk("é".repeat(1_000))).to_string();
        assert!(odd.starts_with("GET: larder answered Bulk") && odd.len() < 400, "{odd}");
        assert_eq!(shown(b"a\n"), r#""a\n""#);
        assert!(shown(&[b'x'; 300]).ends_with("x...\""));
    }
}
