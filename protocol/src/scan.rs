//! Byte searches of the wire: line feeds in requests, line breaks in values.
//!
//! Used by the parser, the decoder and the encoder. Works on blocks so that the compiler uses vector instructions;
//! knows nothing of frames.

/// Bytes looked at together: two vector registers of the oldest machines we meet, and short enough that the block
/// holding the hit is cheap to search again byte by byte.
const BLOCK_BYTES: usize = 32;

/// Position of the first line feed.
pub(crate) fn line_feed(bytes: &[u8]) -> Option<usize> {
    first(bytes, |byte| byte == b'\n')
}

/// Whether the bytes hold a carriage return or a line feed, and so cannot stand on one line of a reply.
pub(crate) fn has_line_break(bytes: &[u8]) -> bool {
    first(bytes, |byte| byte == b'\r' || byte == b'\n').is_some()
}

/// Position of the first byte that `wanted` accepts.
#[inline]
fn first(bytes: &[u8], wanted: impl Fn(u8) -> bool) -> Option<usize> {
    let mut offset = 0;
    for block in bytes.chunks_exact(BLOCK_BYTES) {
        // No early exit within a block: that is what lets the loop become vector code.
        if block.iter().fold(false, |found, &byte| found | wanted(byte)) {
            break;
        }
        offset += BLOCK_BYTES;
    }
    bytes[offset..].iter().position(|&byte| wanted(byte)).map(|at| offset + at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_first_at_every_position_and_length() {
        for len in 0..100 {
            let mut bytes = vec![b'x'; len];
            assert_eq!(line_feed(&bytes), None, "{len}");
            assert!(!has_line_break(&bytes));
            for at in (0..len).rev() {
                bytes[at] = b'\n';
                assert_eq!(line_feed(&bytes), Some(at), "{len}");
                assert!(has_line_break(&bytes));
            }
        }
        assert!(has_line_break(b"a\rb"));
        assert_eq!(line_feed(b"a\rb"), None);
    }
}
