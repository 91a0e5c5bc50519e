//! Writes replies, and a client's commands, as bytes.
//!
//! Used by the daemon's connections and by clients. The only place that knows what RESP2, RESP3 and the line dialect
//! have in common and where they differ. Allocates nothing but room in the output buffer.

use std::fmt::Write as _;

use bytes::BytesMut;

use crate::reply::Reply;
use crate::scan;

/// How a connection wants a reply written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wire {
    /// RESP version 2, as before `HELLO 3`.
    Resp2,
    /// RESP version 3.
    Resp3,
    /// The answer to a line: RESP2, but a string without a line break is a simple string, so that it is one line.
    Line,
}

/// Appends `reply` to `out`.
pub fn encode(reply: &Reply, wire: Wire, out: &mut BytesMut) {
    let resp3 = wire == Wire::Resp3;
    match reply {
        Reply::Status(text) => encode_status(text, wire, out),
        Reply::StatusOwned(text) => encode_status(text, wire, out),
        Reply::Int(value) => encode_int(*value, wire, out),
        Reply::Bulk(bytes) => encode_bulk(bytes, wire, out),
        Reply::Nil => encode_nil(wire, out),
        Reply::NilArray if resp3 => encode_nil(wire, out),
        Reply::NilArray => out.extend_from_slice(b"*-1\r\n"),
        Reply::Array(items) => list(b'*', items, wire, out),
        Reply::Set(items) => list(if resp3 { b'~' } else { b'*' }, items, wire, out),
        Reply::Push(items) => list(if resp3 { b'>' } else { b'*' }, items, wire, out),
        Reply::Map(pairs) => map(pairs, wire, out),
        Reply::Double(value) => double(*value, wire, out),
        Reply::Bool(yes) if resp3 => out.extend_from_slice(if *yes { b"#t\r\n" } else { b"#f\r\n" }),
        Reply::Bool(yes) => encode_int(i64::from(*yes), wire, out),
        Reply::Verbatim { format, text } if resp3 => {
            prefixed(b'=', text.len() as i64 + 4, out);
            out.extend_from_slice(format);
            out.extend_from_slice(b":");
            out.extend_from_slice(text);
            out.extend_from_slice(b"\r\n");
        }
        Reply::Verbatim { text, .. } => encode_bulk(text, wire, out),
        Reply::Error(text) => encode_error(text, wire, out),
        Reply::Several(messages) => {
            for message in messages {
                encode(message, wire, out);
            }
        }
        Reply::None => {}
    }
}

/// Appends a string.
#[inline]
pub fn encode_bulk(bytes: &[u8], wire: Wire, out: &mut BytesMut) {
    out.reserve(bytes.len() + PREFIXED_BYTES + 2);
    if wire == Wire::Line && !scan::has_line_break(bytes) {
        out.extend_from_slice(b"+");
    } else {
        prefixed(b'$', bytes.len() as i64, out);
    }
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
}

/// Appends a whole number.
#[inline]
pub fn encode_int(value: i64, _wire: Wire, out: &mut BytesMut) {
    prefixed(b':', value, out);
}

/// Appends a status. Line breaks, which would end it, become blanks.
#[inline]
pub fn encode_status(text: &str, _wire: Wire, out: &mut BytesMut) {
    one_line(b'+', text.as_bytes(), out);
}

/// Appends an error, `text` beginning with its code. Line breaks, which would end it, become blanks, as in Redis.
pub fn encode_error(text: &str, _wire: Wire, out: &mut BytesMut) {
    one_line(b'-', text.as_bytes(), out);
}

/// Appends the nothing that stands where a value could be.
#[inline]
pub fn encode_nil(wire: Wire, out: &mut BytesMut) {
    match wire {
        Wire::Resp3 => out.extend_from_slice(b"_\r\n"),
        Wire::Resp2 | Wire::Line => out.extend_from_slice(b"$-1\r\n"),
    }
}

/// Appends the header of an array whose `len` elements the caller appends one by one.
#[inline]
pub fn encode_array_header(len: usize, _wire: Wire, out: &mut BytesMut) {
    prefixed(b'*', len as i64, out);
}

/// Appends a client's command: a RESP array of bulk strings, the command's name first.
pub fn encode_command<B: AsRef<[u8]>>(words: &[B], out: &mut BytesMut) {
    out.reserve(words.iter().map(|word| word.as_ref().len() + PREFIXED_BYTES + 2).sum());
    prefixed(b'*', words.len() as i64, out);
    for word in words {
        encode_bulk(word.as_ref(), Wire::Resp2, out);
    }
}

/// An element of something whose length is said already, so that nothing has to be something.
fn element(reply: &Reply, wire: Wire, out: &mut BytesMut) {
    match reply {
        Reply::None => encode_nil(wire, out),
        reply => encode(reply, wire, out),
    }
}

/// Recursion is as deep as the reply, which is ours: nothing a client sends decides it.
fn list(kind: u8, items: &[Reply], wire: Wire, out: &mut BytesMut) {
    prefixed(kind, items.len() as i64, out);
    for item in items {
        element(item, wire, out);
    }
}

fn map(pairs: &[(Reply, Reply)], wire: Wire, out: &mut BytesMut) {
    match wire {
        Wire::Resp3 => prefixed(b'%', pairs.len() as i64, out),
        Wire::Resp2 | Wire::Line => prefixed(b'*', pairs.len() as i64 * 2, out),
    }
    for (key, value) in pairs {
        element(key, wire, out);
        element(value, wire, out);
    }
}

/// The shortest digits that read back as the same number: `,1.5` in RESP3, a string elsewhere.
fn double(value: f64, wire: Wire, out: &mut BytesMut) {
    let mut text = ShortText::default();
    let size = value.abs();
    let written = if value.is_nan() {
        text.write_str("nan")
    } else if size == 0.0 || !size.is_finite() || (1e-7..1e17).contains(&size) {
        write!(text, "{value}")
    } else {
        write!(text, "{value:e}")
    };
    written.expect("a double has at most 25 characters in these ranges");
    match wire {
        Wire::Resp3 => {
            out.extend_from_slice(b",");
            out.extend_from_slice(text.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        Wire::Resp2 | Wire::Line => encode_bulk(text.as_bytes(), wire, out),
    }
}

fn one_line(kind: u8, text: &[u8], out: &mut BytesMut) {
    out.reserve(text.len() + 3);
    out.extend_from_slice(&[kind]);
    let from = out.len();
    out.extend_from_slice(text);
    if scan::has_line_break(text) {
        for byte in &mut out[from..] {
            if matches!(byte, b'\r' | b'\n') {
                *byte = b' ';
            }
        }
    }
    out.extend_from_slice(b"\r\n");
}

/// The longest that [`prefixed`] writes: kind, sign, 19 digits, line break.
const PREFIXED_BYTES: usize = 23;

/// A kind byte, a number, a line break: written backwards into place, then copied once.
#[inline]
fn prefixed(kind: u8, value: i64, out: &mut BytesMut) {
    // Nearly every length and count of small traffic.
    if let digit @ 0..10 = value {
        out.extend_from_slice(&[kind, b'0' + digit as u8, b'\r', b'\n']);
        return;
    }
    let mut text = [0; PREFIXED_BYTES];
    let mut at = PREFIXED_BYTES - 2;
    text[at..].copy_from_slice(b"\r\n");
    let mut rest = value.unsigned_abs();
    loop {
        at -= 1;
        text[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if value < 0 {
        at -= 1;
        text[at] = b'-';
    }
    at -= 1;
    text[at] = kind;
    out.extend_from_slice(&text[at..]);
}

/// Text on the stack.
#[derive(Default)]
struct ShortText {
    bytes: [u8; 32],
    len: usize,
}

impl ShortText {
    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl std::fmt::Write for ShortText {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let room = self.bytes.get_mut(self.len..self.len + text.len()).ok_or(std::fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.len += text.len();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn encoded(reply: &Reply, wire: Wire) -> String {
        let mut out = BytesMut::new();
        encode(reply, wire, &mut out);
        String::from_utf8(out.to_vec()).expect("the cases are text")
    }

    #[test]
    fn each_wire_has_its_own_way() {
        let bulk = |text: &'static str| Reply::Bulk(Bytes::from_static(text.as_bytes()));
        // reply, RESP2, RESP3, line
        let cases: Vec<(Reply, &str, &str, &str)> = vec![
            (Reply::OK, "+OK\r\n", "+OK\r\n", "+OK\r\n"),
            (Reply::status("a\r\nb"), "+a  b\r\n", "+a  b\r\n", "+a  b\r\n"),
            (Reply::Int(-5), ":-5\r\n", ":-5\r\n", ":-5\r\n"),
            (bulk("hello"), "$5\r\nhello\r\n", "$5\r\nhello\r\n", "+hello\r\n"),
            (bulk(""), "$0\r\n\r\n", "$0\r\n\r\n", "+\r\n"),
            (bulk("a\nb"), "$3\r\na\nb\r\n", "$3\r\na\nb\r\n", "$3\r\na\nb\r\n"),
            (bulk("a\r"), "$2\r\na\r\r\n", "$2\r\na\r\r\n", "$2\r\na\r\r\n"),
            (Reply::Nil, "$-1\r\n", "_\r\n", "$-1\r\n"),
            (Reply::NilArray, "*-1\r\n", "_\r\n", "*-1\r\n"),
            (Reply::Array(vec![]), "*0\r\n", "*0\r\n", "*0\r\n"),
            (
                Reply::Array(vec![
                    Reply::Int(1),
                    bulk("x"),
                    Reply::Nil,
                    Reply::None,
                    Reply::Array(vec![bulk("y")]),
                ]),
                "*5\r\n:1\r\n$1\r\nx\r\n$-1\r\n$-1\r\n*1\r\n$1\r\ny\r\n",
                "*5\r\n:1\r\n$1\r\nx\r\n_\r\n_\r\n*1\r\n$1\r\ny\r\n",
                "*5\r\n:1\r\n+x\r\n$-1\r\n$-1\r\n*1\r\n+y\r\n",
            ),
            (
                Reply::Map(vec![(bulk("k"), Reply::Int(1)), (bulk("l"), Reply::None)]),
                "*4\r\n$1\r\nk\r\n:1\r\n$1\r\nl\r\n$-1\r\n",
                "%2\r\n$1\r\nk\r\n:1\r\n$1\r\nl\r\n_\r\n",
                "*4\r\n+k\r\n:1\r\n+l\r\n$-1\r\n",
            ),
            (Reply::Set(vec![Reply::Int(1)]), "*1\r\n:1\r\n", "~1\r\n:1\r\n", "*1\r\n:1\r\n"),
            (Reply::Push(vec![Reply::Int(1)]), "*1\r\n:1\r\n", ">1\r\n:1\r\n", "*1\r\n:1\r\n"),
            (Reply::Double(1.5), "$3\r\n1.5\r\n", ",1.5\r\n", "+1.5\r\n"),
            (Reply::Double(f64::NEG_INFINITY), "$4\r\n-inf\r\n", ",-inf\r\n", "+-inf\r\n"),
            (Reply::Double(f64::NAN), "$3\r\nnan\r\n", ",nan\r\n", "+nan\r\n"),
            (Reply::Double(-1e300), "$6\r\n-1e300\r\n", ",-1e300\r\n", "+-1e300\r\n"),
            (Reply::Bool(true), ":1\r\n", "#t\r\n", ":1\r\n"),
            (Reply::Bool(false), ":0\r\n", "#f\r\n", ":0\r\n"),
            (Reply::text("a\nb"), "$3\r\na\nb\r\n", "=7\r\ntxt:a\nb\r\n", "$3\r\na\nb\r\n"),
            (Reply::error("ERR a\r\nb"), "-ERR a  b\r\n", "-ERR a  b\r\n", "-ERR a  b\r\n"),
            (
                Reply::Several(vec![Reply::Int(1), Reply::Nil]),
                ":1\r\n$-1\r\n",
                ":1\r\n_\r\n",
                ":1\r\n$-1\r\n",
            ),
            (Reply::None, "", "", ""),
        ];
        for (reply, resp2, resp3, line) in cases {
            assert_eq!(encoded(&reply, Wire::Resp2), resp2, "{reply:?}");
            assert_eq!(encoded(&reply, Wire::Resp3), resp3, "{reply:?}");
            assert_eq!(encoded(&reply, Wire::Line), line, "{reply:?}");
        }
    }

    #[test]
    fn numbers_are_written_whole() {
        let edges = [0, 9, 10, 99, 100, 12_345, i64::MAX, -1, -10, i64::MIN];
        for value in edges {
            assert_eq!(encoded(&Reply::Int(value), Wire::Resp2), format!(":{value}\r\n"));
        }
        for value in
            [f64::MAX, f64::MIN_POSITIVE, 5e-324, -1.234_567_890_123_456_7e-7, 99_999_999_999_999_990.0, -0.0]
        {
            let text = encoded(&Reply::Double(value), Wire::Resp3);
            assert_eq!(text[1..].trim().parse::<f64>().expect("is a number").to_bits(), value.to_bits());
        }
    }

    #[test]
    fn headers_and_elements_make_an_array() {
        let mut out = BytesMut::new();
        encode_array_header(2, Wire::Line, &mut out);
        encode_bulk(b"a", Wire::Line, &mut out);
        encode_nil(Wire::Line, &mut out);
        assert_eq!(&out[..], b"*2\r\n+a\r\n$-1\r\n");
    }

    #[test]
    fn commands_are_arrays_of_bulk_strings() {
        let mut out = BytesMut::new();
        encode_command(&["SET", "k", "a\r\nb"], &mut out);
        assert_eq!(&out[..], b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$4\r\na\r\nb\r\n");
    }
}
