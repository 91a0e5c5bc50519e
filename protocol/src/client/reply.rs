//! Replies as what a command is known to answer.
//!
//! Used by the client's methods. An error reply never gets here; anything else that does not fit is an error that shows it.

use bytes::Bytes;

use super::Error;
use crate::Reply;

/// A reply to a command, with the command's name for errors.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) command: &'static str,
    pub(super) reply: Reply,
}

impl Answered {
    pub(super) fn int(self) -> Result<i64, Error> {
        match self.reply {
            Reply::Int(value) => Ok(value),
            other => Err(Error::unexpected(self.command, &other)),
        }
    }

    /// A count of entries.
    pub(super) fn count(self) -> Result<u64, Error> {
        Ok(self.int()?.max(0).unsigned_abs())
    }

    /// Whether something was the case: 1 or 0.
    pub(super) fn yes(self) -> Result<bool, Error> {
        Ok(self.int()? != 0)
    }

    /// A value, or none.
    pub(super) fn value(self) -> Result<Option<Bytes>, Error> {
        match self.reply {
            Reply::Bulk(bytes) | Reply::Verbatim { text: bytes, .. } => Ok(Some(bytes)),
            Reply::Nil => Ok(None),
            other => Err(Error::unexpected(self.command, &other)),
        }
    }

    /// OK, or nothing where a condition did not hold.
    pub(super) fn done(self) -> Result<bool, Error> {
        match self.reply {
            Reply::Status("OK") => Ok(true),
            Reply::Nil => Ok(false),
            other => Err(Error::unexpected(self.command, &other)),
        }
    }

    /// OK and nothing else.
    pub(super) fn ok(self) -> Result<(), Error> {
        match self.reply {
            Reply::Status(_) | Reply::StatusOwned(_) => Ok(()),
            other => Err(Error::unexpected(self.command, &other)),
        }
    }

    pub(super) fn list(self) -> Result<Vec<Reply>, Error> {
        match self.reply {
            Reply::Array(items) | Reply::Set(items) => Ok(items),
            other => Err(Error::unexpected(self.command, &other)),
        }
    }

    /// A list of values, some of which may be missing.
    pub(super) fn values(self) -> Result<Vec<Option<Bytes>>, Error> {
        let command = self.command;
        self.list()?.into_iter().map(|reply| Self { command, reply }.value()).collect()
    }

    /// Text, which is UTF-8.
    pub(super) fn text(self) -> Result<String, Error> {
        let command = self.command;
        match self.reply.as_bytes().map(|bytes| String::from_utf8(bytes.to_vec())) {
            Some(Ok(text)) => Ok(text),
            _ => Err(Error::unexpected(command, &self.reply)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(reply: Reply) -> Answered {
        Answered { command: "X", reply }
    }

    #[test]
    fn replies_are_what_they_should_be_or_shown() {
        assert_eq!(answered(Reply::Int(-2)).count().expect("a number"), 0);
        assert!(answered(Reply::Int(1)).yes().expect("a number"));
        assert_eq!(answered(Reply::Nil).value().expect("nothing"), None);
        assert!(!answered(Reply::Nil).done().expect("nothing") && answered(Reply::OK).done().expect("OK"));
        let values = answered(Reply::array([Some("a".to_owned()), None])).values().expect("a list");
        assert_eq!(values, [Some(Bytes::from("a")), None]);
        assert_eq!(answered(Reply::text("t")).text().expect("text"), "t");
        for error in [
            answered(Reply::OK).int().map(drop),
            answered(Reply::Int(1)).value().map(drop),
            answered(Reply::Int(1)).ok(),
            answered(Reply::Nil).list().map(drop),
            answered(Reply::bulk(vec![0xff])).text().map(drop),
        ] {
            assert!(matches!(error, Err(Error::Unexpected { .. })), "{error:?}");
        }
    }
}
