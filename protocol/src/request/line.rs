//! Splits one line into words by the rules of Redis's `sdssplitargs` (src/sds.c).
//!
//! Used by the parser for the line dialect. Sees one whole line without its line break; never looks beyond it.

use super::{FrameError, Span};

/// Appends the words of `line` to `spans`, those that had to be decoded by way of `scratch` (whose part for this request
/// starts at `scratch_start`). Returns how many there are.
pub(super) fn split(
    line: &[u8],
    max_words: usize,
    spans: &mut Vec<Span>,
    scratch: &mut Vec<u8>,
    scratch_start: usize,
) -> Result<usize, FrameError> {
    let mut count = 0;
    let mut at = 0;
    loop {
        at += line[at..].iter().take_while(|&&byte| is_space(byte)).count();
        if at == line.len() {
            return Ok(count);
        }
        if count == max_words {
            return Err(FrameError::TooManyWords { limit: max_words });
        }
        let (span, end) = word(line, at, scratch, scratch_start)?;
        spans.push(span);
        count += 1;
        at = end;
    }
}

/// The first word of `line` as it stands there, quotes and all.
pub(super) fn first_raw_word(line: &[u8]) -> &[u8] {
    line.split(|&byte| is_space(byte)).find(|word| !word.is_empty()).unwrap_or_default()
}

/// The word that starts at `at`, and where it ends.
fn word(
    line: &[u8],
    at: usize,
    scratch: &mut Vec<u8>,
    scratch_start: usize,
) -> Result<(Span, usize), FrameError> {
    let rest = &line[at..];
    let plain = rest.iter().position(|&byte| ends_plain(byte)).unwrap_or(rest.len());
    let Some(quote @ (b'"' | b'\'')) = rest.get(plain).copied() else {
        return Ok((Span::frame(at, plain), at + plain));
    };
    let body = at + plain + 1;
    let quoted = &line[body..];
    let stop = quoted.iter().position(|&byte| byte == quote || byte == b'\\');
    let stop = stop.ok_or(FrameError::UnbalancedQuotes)?;
    let (span, close) = if plain == 0 && quoted[stop] == quote {
        // Nothing to decode and nothing before the quote: the word stands in the line as it is.
        (Span::frame(body, stop), body + stop)
    } else {
        let from = scratch.len();
        scratch.extend_from_slice(&rest[..plain]);
        let len = if quote == b'"' { unescape(quoted, scratch)? } else { unquote(quoted, scratch)? };
        (Span::scratch(from - scratch_start, scratch.len() - from), body + len)
    };
    match line.get(close + 1) {
        Some(&byte) if !is_space(byte) => Err(FrameError::UnbalancedQuotes),
        _ => Ok((span, close + 1)),
    }
}

/// Decodes the inside of double quotes; returns the position of the closing one.
fn unescape(quoted: &[u8], scratch: &mut Vec<u8>) -> Result<usize, FrameError> {
    let mut at = 0;
    loop {
        match &quoted[at..] {
            [] => return Err(FrameError::UnbalancedQuotes),
            [b'"', ..] => return Ok(at),
            [b'\\', b'x', high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                scratch.push(nibble(*high) << 4 | nibble(*low));
                at += 4;
            }
            [b'\\', escaped, ..] => {
                scratch.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 0x08,
                    b'a' => 0x07,
                    other => *other,
                });
                at += 2;
            }
            [byte, ..] => {
                scratch.push(*byte);
                at += 1;
            }
        }
    }
}

/// Decodes the inside of single quotes, where only `\'` is special; returns the position of the closing one.
fn unquote(quoted: &[u8], scratch: &mut Vec<u8>) -> Result<usize, FrameError> {
    let mut at = 0;
    loop {
        match &quoted[at..] {
            [] => return Err(FrameError::UnbalancedQuotes),
            [b'\'', ..] => return Ok(at),
            [b'\\', b'\'', ..] => {
                scratch.push(b'\'');
                at += 2;
            }
            [byte, ..] => {
                scratch.push(*byte);
                at += 1;
            }
        }
    }
}

/// C's `isspace`: what may stand between words.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

/// What ends a word outside quotes: fewer than what may stand between words, as in Redis, and a quote, which goes on
/// inside the same word. A NUL, which ends Redis's C string, is a byte like others here.
fn ends_plain(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b'"' | b'\'')
}

fn nibble(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => digit - b'A' + 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &[u8]) -> Result<Vec<Vec<u8>>, FrameError> {
        let (mut spans, mut scratch) = (Vec::new(), b"earlier".to_vec());
        let start = scratch.len();
        let count = split(line, 8, &mut spans, &mut scratch, start)?;
        assert_eq!(count, spans.len());
        Ok(spans.iter().map(|span| span.of(line, &scratch[start..]).to_vec()).collect())
    }

    #[test]
    fn splits_as_redis_does() {
        let cases: &[(&[u8], &[&[u8]])] = &[
            (b"", &[]),
            (b" \t \r", &[]),
            (b"PING", &[b"PING"]),
            (b"  PING\t a ", &[b"PING", b"a"]),
            (b"a\rb", &[b"a", b"b"]),
            (b"\"a b\"", &[b"a b"]),
            (b"\"\" a", &[b"", b"a"]),
            (b"'a b' c", &[b"a b", b"c"]),
            (b"a\"b c\"", &[b"ab c"]),
            (b"foo'bar'", &[b"foobar"]),
            (b"\"a\\x41\\n\\q\\x4g\"", &[b"aA\nqx4g"]),
            (b"\"\\r\\t\\b\\a\\\"\\\\\\xFf\"", &[b"\r\t\x08\x07\"\\\xff"]),
            (b"\"\\xzz\"", &[b"xzz"]),
            (b"'a\\'b\\n'", &[b"a'b\\n"]),
            (b"a\x0bb \x0bc", &[b"a\x0bb", b"c"]),
            (b"\"a\"\x0b", &[b"a"]),
            (b"a\x00b \"\x00\" \xff\xfe", &[b"a\x00b", b"\x00", b"\xff\xfe"]),
        ];
        for (line, expected) in cases {
            let expected = expected.iter().map(|word| word.to_vec()).collect();
            assert_eq!(words(line), Ok(expected), "{}", line.escape_ascii());
        }
    }

    #[test]
    fn refuses_unbalanced_quotes() {
        let cases: &[&[u8]] = &[
            b"\"",
            b"'",
            b"\"'",
            b"\"a\"b",
            b"'a'b",
            b"a\"b\"c",
            b"\"a\\\"",
            b"'a\\'",
            b"\"\\",
            b"'\\",
            b"\"a\"\"b\"",
            // Outside quotes a backslash is a plain byte, so the quote after it opens.
            b"a\\\"",
        ];
        for line in cases {
            assert_eq!(words(line), Err(FrameError::UnbalancedQuotes), "{}", line.escape_ascii());
        }
    }

    #[test]
    fn bounds_the_words() {
        assert_eq!(words(b"1 2 3 4 5 6 7 8 ").expect("eight are allowed").len(), 8);
        assert_eq!(words(b"1 2 3 4 5 6 7 8 9"), Err(FrameError::TooManyWords { limit: 8 }));
    }

    #[test]
    fn finds_the_first_raw_word() {
        assert_eq!(first_raw_word(b"  POST /\"x HTTP/1.1"), b"POST");
        assert_eq!(first_raw_word(b" \t"), b"");
    }
}
