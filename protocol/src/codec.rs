//! The client's side as a tokio-util codec: commands out, replies in.
//!
//! Used by clients that frame a socket with `tokio_util::codec::Framed`: the dashboard, tests, programs. Only joins the
//! encoder and the decoder of this crate to that interface.

use std::io;

use bytes::BytesMut;
use thiserror::Error;

use crate::decode::{DecodeError, Decoder};
use crate::encode::encode_command;
use crate::limits::ReplyLimits;
use crate::reply::Reply;

/// Reads [`Reply`]s and writes commands, given as slices of words.
#[derive(Debug, Default)]
pub struct ClientCodec {
    decoder: Decoder,
}

/// What ends a framed connection.
#[derive(Debug, Error)]
pub enum CodecError {
    /// The socket failed, or closed within a reply.
    #[error("connection to larder: {0}")]
    Io(#[from] io::Error),
    /// What came is no reply.
    #[error(transparent)]
    Decode(#[from] DecodeError),
}

impl ClientCodec {
    /// A codec for a new connection.
    #[must_use]
    pub fn new(limits: ReplyLimits) -> Self {
        Self { decoder: Decoder::new(limits) }
    }
}

impl tokio_util::codec::Decoder for ClientCodec {
    type Item = Reply;
    type Error = CodecError;

    fn decode(&mut self, src: &mut BytesMut) -> Result<Option<Reply>, CodecError> {
        Ok(self.decoder.decode(src)?)
    }

    fn decode_eof(&mut self, src: &mut BytesMut) -> Result<Option<Reply>, CodecError> {
        match self.decode(src)? {
            None if !src.is_empty() || self.decoder.mid_reply() => {
                Err(io::Error::new(io::ErrorKind::UnexpectedEof, "closed within a reply").into())
            }
            reply => Ok(reply),
        }
    }
}

impl<B: AsRef<[u8]>> tokio_util::codec::Encoder<&[B]> for ClientCodec {
    type Error = CodecError;

    fn encode(&mut self, words: &[B], out: &mut BytesMut) -> Result<(), CodecError> {
        encode_command(words, out);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tokio_util::codec::{Decoder as _, Encoder as _};

    use super::*;

    #[test]
    fn commands_go_out_and_replies_come_in() {
        let (mut codec, mut out) = (ClientCodec::default(), BytesMut::new());
        codec.encode(&["GET", "k"][..], &mut out).expect("cannot fail");
        codec.encode(&[&b"PING"[..]][..], &mut out).expect("cannot fail");
        assert_eq!(&out[..], b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n*1\r\n$4\r\nPING\r\n");
        let mut src = BytesMut::from("+OK\r\n*1\r\n");
        assert_eq!(codec.decode(&mut src).expect("is valid"), Some(Reply::OK));
        assert_eq!(codec.decode(&mut src).expect("is valid"), None);
        assert!(matches!(codec.decode_eof(&mut src), Err(CodecError::Io(_))));
    }

    #[test]
    fn the_end_between_replies_is_an_end() {
        let mut codec = ClientCodec::default();
        assert!(matches!(codec.decode_eof(&mut BytesMut::new()), Ok(None)));
        assert!(matches!(codec.decode_eof(&mut BytesMut::from("x")), Err(CodecError::Decode(_))));
    }
}
