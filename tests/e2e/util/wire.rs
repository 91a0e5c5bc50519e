//! RESP2 as the tests see it: requests to bytes, bytes to replies, and the short notation that transcripts and
//! failure messages share.
//!
//! | notation | reply |
//! |---|---|
//! | `+OK` | simple string |
//! | `-ERR ...` | error |
//! | `:5` | integer |
//! | `=text`, `="a b\n"` | bulk string, with the quotes of a request line where it needs them |
//! | `nil` | no value |
//! | `[=a nil :1 +OK "-ERR ..."]` | array |
//! | `[=0 [=a]]` | an array in an array, of one element at most |

use std::fmt;
use std::io::{self, BufRead, Read};

/// One reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    Simple(Vec<u8>),
    Error(String),
    Integer(i64),
    Bulk(Vec<u8>),
    Nil,
    Array(Vec<Reply>),
}

impl Reply {
    /// A bulk string.
    pub(crate) fn bulk(value: impl AsRef<[u8]>) -> Self {
        Self::Bulk(value.as_ref().to_vec())
    }

    /// The `+OK` of Redis.
    pub(crate) fn ok() -> Self {
        Self::Simple(b"OK".to_vec())
    }

    /// The same reply as a line client gets it: strings without a line break become simple strings.
    pub(crate) fn in_line(self) -> Self {
        match self {
            Self::Bulk(value) if !value.iter().any(|byte| matches!(byte, b'\r' | b'\n')) => {
                Self::Simple(value)
            }
            Self::Array(items) => Self::Array(items.into_iter().map(Self::in_line).collect()),
            other => other,
        }
    }

    /// The bytes of a string reply of either kind.
    #[track_caller]
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Simple(value) | Self::Bulk(value) => value,
            other => panic!("expected a string, got {other}"),
        }
    }

    /// Reads one reply; the end of the stream is `UnexpectedEof`, a malformed reply `InvalidData`.
    pub(crate) fn read(stream: &mut impl BufRead) -> io::Result<Self> {
        let line = read_line(stream)?;
        let (kind, rest) = line.split_first().ok_or_else(|| malformed("empty line"))?;
        Ok(match kind {
            b'+' => Self::Simple(rest.to_vec()),
            b'-' => Self::Error(String::from_utf8_lossy(rest).into_owned()),
            b':' => Self::Integer(number(rest)?),
            b'$' => match number(rest)? {
                -1 => Self::Nil,
                length => {
                    let length = usize::try_from(length).map_err(|_| malformed("negative length"))?;
                    let mut value = vec![0; length];
                    stream.read_exact(&mut value)?;
                    let mut end = [0; 2];
                    stream.read_exact(&mut end)?;
                    if &end != b"\r\n" {
                        return Err(malformed("bulk string without CRLF at its end"));
                    }
                    Self::Bulk(value)
                }
            },
            b'*' => match number(rest)? {
                -1 => Self::Nil,
                length => Self::Array((0..length).map(|_| Self::read(stream)).collect::<io::Result<_>>()?),
            },
            _ => return Err(malformed(&format!("reply line {:?}", String::from_utf8_lossy(&line)))),
        })
    }

    /// Reads a reply's notation.
    pub(crate) fn parse(notation: &str) -> Result<Self, String> {
        if let Some(text) = notation.strip_prefix('+') {
            Ok(Self::Simple(text.into()))
        } else if let Some(text) = notation.strip_prefix('-') {
            Ok(Self::Error(text.into()))
        } else if let Some(items) = notation.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            let items = split_words(items).ok_or("unbalanced quotes")?;
            Ok(Self::Array(items.iter().map(|item| Self::parse_item(item)).collect::<Result<_, _>>()?))
        } else {
            let words = split_words(notation).ok_or("unbalanced quotes")?;
            let [word] = words.as_slice() else { return Err(format!("not one reply: {notation}")) };
            Self::parse_item(word)
        }
    }

    fn parse_item(word: &[u8]) -> Result<Self, String> {
        match word {
            b"nil" => Ok(Self::Nil),
            [b'=', value @ ..] => Ok(Self::Bulk(value.to_vec())),
            [b'+', text @ ..] => Ok(Self::Simple(text.to_vec())),
            [b'-', text @ ..] => Ok(Self::Error(String::from_utf8_lossy(text).into_owned())),
            [b'[', .., b']'] => Self::parse(&String::from_utf8_lossy(word)),
            [b':', digits @ ..] => number(digits).map(Self::Integer).map_err(|error| error.to_string()),
            other => Err(format!("unknown notation {:?}", String::from_utf8_lossy(other))),
        }
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Simple(text) => write!(f, "+{}", shortened(text)),
            Self::Error(text) => write!(f, "-{text}"),
            Self::Integer(value) => write!(f, ":{value}"),
            Self::Bulk(value) => write!(f, "=\"{}\"", shortened(value)),
            Self::Nil => f.write_str("nil"),
            Self::Array(items) => {
                f.write_str("[")?;
                for (index, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if index == 0 { "" } else { " " })?;
                }
                f.write_str("]")
            }
        }
    }
}

/// Long values are cut in messages; their length says that they were.
fn shortened(value: &[u8]) -> String {
    const SHOWN: usize = 400;
    if value.len() <= SHOWN {
        return value.escape_ascii().to_string();
    }
    format!("{}... ({} bytes)", value[..SHOWN].escape_ascii(), value.len())
}

/// A request as RESP clients send it.
pub(crate) fn encode<A: AsRef<[u8]>>(arguments: &[A]) -> Vec<u8> {
    let mut out = format!("*{}\r\n", arguments.len()).into_bytes();
    for argument in arguments {
        let argument = argument.as_ref();
        out.extend_from_slice(format!("${}\r\n", argument.len()).as_bytes());
        out.extend_from_slice(argument);
        out.extend_from_slice(b"\r\n");
    }
    out
}

/// A request line's words by the rules of Redis's inline commands; `None` where a quote is not closed.
pub(crate) fn split_words(line: impl AsRef<[u8]>) -> Option<Vec<Vec<u8>>> {
    let mut words = Vec::new();
    let mut rest = line.as_ref();
    loop {
        rest = rest.trim_ascii_start();
        if rest.is_empty() {
            return Some(words);
        }
        let mut word = Vec::new();
        while let Some((&byte, after)) = rest.split_first() {
            rest = after;
            match byte {
                b'"' | b'\'' => {
                    rest = quoted(byte, rest, &mut word)?;
                    if rest.first().is_some_and(|next| !next.is_ascii_whitespace()) {
                        return None;
                    }
                    break;
                }
                blank if blank.is_ascii_whitespace() => break,
                other => word.push(other),
            }
        }
        words.push(word);
    }
}

/// Takes a quoted part up to its closing quote; returns what follows.
fn quoted<'a>(quote: u8, mut rest: &'a [u8], word: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        rest = match (quote, rest) {
            (_, [first, after @ ..]) if *first == quote => return Some(after),
            (b'"', [b'\\', b'x', high, low, after @ ..])
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                let digits = [*high, *low];
                word.push(u8::from_str_radix(str::from_utf8(&digits).ok()?, 16).ok()?);
                after
            }
            (b'"', [b'\\', escaped, after @ ..]) => {
                word.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 8,
                    b'a' => 7,
                    other => *other,
                });
                after
            }
            (b'\'', [b'\\', b'\'', after @ ..]) => {
                word.push(b'\'');
                after
            }
            (_, [other, after @ ..]) => {
                word.push(*other);
                after
            }
            (_, []) => return None,
        };
    }
}

fn read_line(stream: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    stream.take(64 << 20).read_until(b'\n', &mut line)?;
    match line.as_slice() {
        [] => Err(io::ErrorKind::UnexpectedEof.into()),
        [text @ .., b'\r', b'\n'] => Ok(text.to_vec()),
        other => Err(malformed(&format!("line without CRLF: {}", shortened(other)))),
    }
}

fn number(digits: &[u8]) -> io::Result<i64> {
    str::from_utf8(digits)
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| malformed(&format!("number {:?}", String::from_utf8_lossy(digits))))
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("malformed reply: {what}"))
}

#[test]
fn words_follow_the_inline_rules_of_redis() {
    let words = |line: &str| {
        split_words(line)
            .map(|words| words.iter().map(|word| word.escape_ascii().to_string()).collect::<Vec<_>>())
    };
    for (line, expected) in [
        ("  SET a  b ", &["SET", "a", "b"][..]),
        (r#"SET "a b" 'c d'"#, &["SET", "a b", "c d"]),
        (r#""\x41\n\\""#, &[r"A\n\\"]),
        (r#"SET k """#, &["SET", "k", ""]),
        (r"DELPAT a\*b", &["DELPAT", r"a\\*b"]),
    ] {
        assert_eq!(words(line).unwrap(), expected, "{line}");
    }
    assert_eq!(words("SET k \"open"), None);
    assert_eq!(words("SET k \"a\"b"), None);
}
