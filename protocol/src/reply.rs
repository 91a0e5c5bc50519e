//! Replies as values: what a command answers, before anything is known of how it is sent.
//!
//! Used by the daemon's commands, which make them, by the encoder and by clients, which get them from the decoder.
//! Never knows RESP versions or lines.

use bytes::Bytes;

/// A reply. Commands choose by meaning; [`encode`](crate::encode::encode()) writes what the client's protocol has for it.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// A short constant such as `OK`.
    Status(&'static str),
    /// A status made at run time. The decoder gives [`Reply::Status`] for `OK`, `PONG` and `QUEUED`, and this for others.
    StatusOwned(String),
    /// A whole number.
    Int(i64),
    /// A string of bytes.
    Bulk(Bytes),
    /// Nothing where a value could be.
    Nil,
    /// Nothing where an array could be: an EXEC given up because of a WATCH.
    NilArray,
    /// A list.
    Array(Vec<Reply>),
    /// Pairs, in the order they are to be sent.
    Map(Vec<(Reply, Reply)>),
    /// A list whose order means nothing.
    Set(Vec<Reply>),
    /// A message that answers no request.
    Push(Vec<Reply>),
    /// A floating-point number.
    Double(f64),
    /// Yes or no.
    Bool(bool),
    /// A text to be shown as it is, such as INFO's.
    Verbatim {
        /// `txt` or `mkd`.
        format: [u8; 3],
        /// The text.
        text: Bytes,
    },
    /// An error: the whole text, beginning with its code (`ERR `), without the `-`.
    Error(String),
    /// Several messages, one after the other: what SUBSCRIBE to several channels answers.
    Several(Vec<Reply>),
    /// Sends nothing: `CLIENT REPLY OFF`, and commands that answer by pushes. Within an array it is sent as nil, because
    /// the array's length is already said.
    None,
}

impl Reply {
    /// `+OK`.
    pub const OK: Self = Self::Status("OK");

    /// A string of bytes.
    pub fn bulk(bytes: impl Into<Bytes>) -> Self {
        Self::Bulk(bytes.into())
    }

    /// A count.
    #[must_use]
    pub fn int(count: usize) -> Self {
        Self::Int(count as i64)
    }

    /// A status made at run time.
    pub fn status(text: impl Into<String>) -> Self {
        Self::StatusOwned(text.into())
    }

    /// An error, its code included.
    pub fn error(text: impl Into<String>) -> Self {
        Self::Error(text.into())
    }

    /// A list.
    pub fn array(items: impl IntoIterator<Item = impl Into<Self>>) -> Self {
        Self::Array(items.into_iter().map(Into::into).collect())
    }

    /// Pairs of a name and a value.
    pub fn map(fields: impl IntoIterator<Item = (impl Into<Bytes>, impl Into<Self>)>) -> Self {
        Self::Map(fields.into_iter().map(|(name, value)| (Self::bulk(name), value.into())).collect())
    }

    /// Plain text to be shown as it is.
    pub fn text(text: impl Into<Bytes>) -> Self {
        Self::Verbatim { format: *b"txt", text: text.into() }
    }

    /// Whether it is an error.
    #[must_use]
    pub fn is_error(&self) -> bool {
        matches!(self, Self::Error(_))
    }

    /// The bytes of a string, status or verbatim text.
    #[must_use]
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Status(text) => Some(text.as_bytes()),
            Self::StatusOwned(text) => Some(text.as_bytes()),
            Self::Bulk(bytes) | Self::Verbatim { text: bytes, .. } => Some(bytes),
            _ => None,
        }
    }
}

impl From<i64> for Reply {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<Bytes> for Reply {
    fn from(bytes: Bytes) -> Self {
        Self::Bulk(bytes)
    }
}

impl From<Vec<u8>> for Reply {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bulk(bytes.into())
    }
}

impl From<String> for Reply {
    fn from(text: String) -> Self {
        Self::Bulk(text.into())
    }
}

/// A value, or nil where there is none.
impl<T: Into<Reply>> From<Option<T>> for Reply {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Nil, Into::into)
    }
}

impl From<Vec<Reply>> for Reply {
    fn from(items: Vec<Reply>) -> Self {
        Self::Array(items)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_made_from_what_commands_have() {
        assert_eq!(Reply::bulk("a"), Reply::Bulk(Bytes::from_static(b"a")));
        assert_eq!(Reply::int(3), Reply::from(3));
        assert_eq!(Reply::from(None::<Bytes>), Reply::Nil);
        assert_eq!(
            Reply::array([Some("a".to_owned()), None]),
            Reply::Array(vec![Reply::bulk("a"), Reply::Nil])
        );
        assert_eq!(Reply::map([("k", 1_i64)]), Reply::Map(vec![(Reply::bulk("k"), Reply::Int(1))]));
        assert_eq!(Reply::text("x").as_bytes(), Some(&b"x"[..]));
        assert_eq!((Reply::OK.as_bytes(), Reply::Nil.as_bytes()), (Some(&b"OK"[..]), None));
        assert!(Reply::error("ERR x").is_error() && !Reply::OK.is_error());
    }
}
