//! Tests of the request parser: what it takes, what it refuses, in whichever pieces it arrives.

use proptest::prelude::*;

use super::*;
use crate::request::OwnedRequest;

type Parsed = (Vec<OwnedRequest>, Result<usize, FrameError>);

fn resp(words: &[&[u8]]) -> OwnedRequest {
    OwnedRequest::new(words, Dialect::Resp)
}

fn line(words: &[&[u8]]) -> OwnedRequest {
    OwnedRequest::new(words, Dialect::Line)
}

/// Feeds the pieces through the loop of a connection. Ends with the bytes pending, or the error.
fn feed_within<'a>(limits: FrameLimits, max: usize, pieces: impl IntoIterator<Item = &'a [u8]>) -> Parsed {
    let (mut parser, mut requests) = (Parser::new(limits), Requests::default());
    let (mut buf, mut parsed) = (Vec::new(), Vec::new());
    for piece in pieces {
        buf.extend_from_slice(piece);
        loop {
            let progress = parser.parse(&buf, &mut requests, max);
            assert!(requests.len() <= max);
            parsed.extend((0..requests.len()).map(|i| requests.get(i, &buf).to_owned()));
            let done = requests.consumed_to();
            if let Some(last) = requests.len().checked_sub(1) {
                assert!(requests.end(last) <= done);
            }
            buf.drain(..done);
            parser.consumed(done);
            requests.clear();
            match progress {
                Progress::Full => assert!(!parser.mid_request()),
                Progress::NeedMore { want } => {
                    assert_eq!(want > 0, parser.mid_request());
                    assert_eq!(parser.pending_bytes(), buf.len());
                    break;
                }
                Progress::Broken(error) => {
                    assert_eq!(parser.parse(&buf, &mut requests, max), Progress::Broken(error.clone()));
                    assert!(requests.is_empty(), "nothing is parsed after a broken frame");
                    return (parsed, Err(error));
                }
            }
        }
    }
    (parsed, Ok(parser.pending_bytes()))
}

fn feed(input: &[u8]) -> Parsed {
    let whole = feed_within(FrameLimits::default(), 64, [input]);
    let bytewise = feed_within(FrameLimits::default(), 1, input.chunks(1));
    assert_eq!(whole, bytewise, "{}", input[..input.len().min(99)].escape_ascii());
    whole
}

#[test]
fn takes_what_redis_takes() {
    let ping = || resp(&[b"PING"]);
    let cases: Vec<(&[u8], Vec<OwnedRequest>, usize)> = vec![
        (b"", vec![], 0),
        (b"*1\r\n$4\r\nPING\r\n", vec![ping()], 0),
        (b"*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nPING\r\n*1", vec![ping(), ping()], 2),
        (
            b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$12\r\na\r\nb*1\r\n$4\0\xff\r\n",
            vec![resp(&[b"SET", b"k", b"a\r\nb*1\r\n$4\0\xff"])],
            0,
        ),
        (b"*2\r\n$4\r\nECHO\r\n$0\r\n\r\n", vec![resp(&[b"ECHO", b""])], 0),
        (b"*1\r\n$0\r\n\r\n", vec![resp(&[b""])], 0),
        (b"*0\r\n*-1\r\n*-10\r\n*1\r\n$4\r\nPING\r\n*0\r\n", vec![ping()], 0),
        (b"\r\n\n   \n\t \r\nPING\n\r\n", vec![line(&[b"PING"])], 0),
        (b"PING\r\r\n", vec![line(&[b"PING"])], 0),
        (b"SET k \"a b\\n\"\nget k\r\n", vec![line(&[b"SET", b"k", b"a b\n"]), line(&[b"get", b"k"])], 0),
        (b"ECHO \"\\x41\" 'b\\''\nX 'c\\''\n", vec![line(&[b"ECHO", b"A", b"b'"]), line(&[b"X", b"c'"])], 0),
        (b"  *1\r\nPING\r\n", vec![line(&[b"*1"]), line(&[b"PING"])], 0),
        (
            b"GET k\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\nGET k\n",
            vec![line(&[b"GET", b"k"]), resp(&[b"GET", b"k"]), line(&[b"GET", b"k"])],
            0,
        ),
        (b"*2\r\n$3\r\nGET\r\n$5\r\nab", vec![], 19),
        (b"\0\xff \x01\n", vec![line(&[b"\0\xff", b"\x01"])], 0),
        (b"$4\r\nPING\r\n", vec![line(&[b"$4"]), line(&[b"PING"])], 0),
        // A command like any other where it comes from a RESP client.
        (b"*1\r\n$4\r\nPOST\r\n", vec![resp(&[b"POST"])], 0),
        (
            b"GET POST Host:\n\x16 \x03\n",
            vec![line(&[b"GET", b"POST", b"Host:"]), line(&[b"\x16", b"\x03"])],
            0,
        ),
    ];
    for (input, requests, pending) in cases {
        assert_eq!(feed(input), (requests, Ok(pending)), "{}", input.escape_ascii());
    }
}

#[test]
fn refuses_what_redis_refuses_in_its_words() {
    let ones = "1".repeat(70_000);
    // Compared with a Redis 7.0, byte for byte, behind `-ERR `.
    let cases: &[(&str, &str)] = &[
        ("*3000000000000000000000\r\n", "invalid multibulk length"),
        ("*99999999999999999999\r\n", "invalid multibulk length"),
        ("*\r\nPING\r\n", "invalid multibulk length"),
        ("* 1\r\n", "invalid multibulk length"),
        ("*+1\r\n", "invalid multibulk length"),
        ("*01\r\n", "invalid multibulk length"),
        ("*1x\r\n", "invalid multibulk length"),
        ("*-\r\n", "invalid multibulk length"),
        ("*-0\r\n", "invalid multibulk length"),
        ("*--1\r\n", "invalid multibulk length"),
        ("*1\n$4\r\nPING\r\n", "invalid multibulk length"),
        ("*3\r\n$3\r\nSET\r\n$1\r\nx\r\nfooz\r\n", "expected '$', got 'f'"),
        ("*2\r\n$4\r\nPING\r\n*1\r\n", "expected '$', got '*'"),
        ("*1\r\n\r\n", "expected '$', got ' '"),
        ("*1\r\n\n\r\n", "expected '$', got ' '"),
        ("*1\r\n'\r\n", "expected '$', got '''"),
        ("*3\r\n$3\r\nSET\r\n$1\r\nx\r\n$-10\r\n", "invalid bulk length"),
        ("*1\r\n$-1\r\n", "invalid bulk length"),
        ("*1\r\n$blabla\r\n", "invalid bulk length"),
        ("*1\r\n$\r\n", "invalid bulk length"),
        ("*1\r\n$04\r\nPING\r\n", "invalid bulk length"),
        ("*1\r\n$18446744073709551616\r\n", "invalid bulk length"),
        (&format!("*{ones}"), "too big mbulk count string"),
        (&format!("*1\r\n${ones}"), "too big bulk count string"),
        ("ping \"a\"b\r\n", "unbalanced quotes in request"),
        ("\"'\r\n", "unbalanced quotes in request"),
        ("SET k 'v\r\nGET k\r\n", "unbalanced quotes in request"),
    ];
    for (input, text) in cases {
        let (requests, end) = feed(input.as_bytes());
        let error = end.expect_err(input);
        assert_eq!((requests.len(), error.to_string()), (0, format!("Protocol error: {text}")), "{input:?}");
        assert!(!error.is_silent());
    }
}

#[test]
fn refuses_what_redis_lets_pass_or_waits_for() {
    let cases: &[(&[u8], &str)] = &[
        (b"*1\r\n$4\r\nPINGxx*1\r\n$4\r\nPING\r\n", "expected CRLF after a bulk string, check its length"),
        (b"*1\r\n$3\r\nPING\r\n", "expected CRLF after a bulk string, check its length"),
        (b"*1\rx$4\r\nPING\r\n", "invalid multibulk length"),
        (b"*1\r\n$4\rxPING\r\n", "invalid bulk length"),
        (b"*1\n", "invalid multibulk length"),
        (b"*\0", "invalid multibulk length"),
        (b"*1\r\nfoo", "expected '$', got 'f'"),
        (b"*1\r\n\0", "expected '$', got '\\x00'"),
        (b"*1\r\n\xff\r\n", "expected '$', got '\\xff'"),
    ];
    for (input, text) in cases {
        let error = feed(input).1.expect_err(text);
        assert_eq!(error.to_string(), format!("Protocol error: {text}"), "{}", input.escape_ascii());
    }
}

#[test]
fn each_limit_is_named_with_its_value() {
    let limits = FrameLimits { line_bytes: 40, line_args: 3, args: 4, value_bytes: 10, request_bytes: 50 };
    let cases: &[(&str, Option<&str>)] = &[
        ("*4\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n", None),
        ("*5\r\n", Some("invalid multibulk length: 5 arguments exceed the limit max_args = 4")),
        (
            "*3000000000\r\n",
            Some("invalid multibulk length: 3000000000 arguments exceed the limit max_args = 4"),
        ),
        ("*1\r\n$10\r\n0123456789\r\n", None),
        ("*1\r\n$11\r\n", Some("invalid bulk length: 11 bytes exceed the limit max_value = 10")),
        (
            "*1\r\n$2147483648\r\n",
            Some("invalid bulk length: 2147483648 bytes exceed the limit max_value = 10"),
        ),
        ("*3\r\n$10\r\n0123456789\r\n$10\r\n0123456789\r\n$5\r\n01234\r\n", None),
        (
            "*3\r\n$10\r\n0123456789\r\n$10\r\n0123456789\r\n$7\r\n",
            Some("too big request: 51 bytes exceed the limit of 50 (max_value and 32 MiB)"),
        ),
        ("0123456789012345678901234567890123456789\n", None),
        ("012345678901234567890123456789012345678\r\n", None),
        (
            "01234567890123456789012345678901234567890",
            Some("too big inline request: the line exceeds the limit max_line = 40"),
        ),
        (
            "01234567890123456789012345678901234567890\n",
            Some("too big inline request: the line exceeds the limit max_line = 40"),
        ),
        ("a b c \n", None),
        ("a b c d\n", Some("too many words in a line: more than the limit of 3, send it as RESP")),
    ];
    for (input, text) in cases {
        for size in [1, 7, 1000] {
            let (requests, end) = feed_within(limits.clone(), 8, input.as_bytes().chunks(size));
            match text {
                None => assert_eq!((requests.len(), end), (1, Ok(0)), "{input:?}"),
                Some(text) => assert_eq!(
                    end.expect_err(input).to_string(),
                    format!("Protocol error: {text}"),
                    "{input:?} by {size}"
                ),
            }
        }
    }
}

#[test]
fn foreign_protocols_are_cut_off_in_silence() {
    let post = format!("post /{} HTTP/1.1", "x".repeat(70_000));
    let cases: &[(&[u8], usize)] = &[
        (b"POST / HTTP/1.1\r\nSET k v\r\n", 0),
        (b"pOSt\n", 0),
        (b"  POST \"\r\n", 0),
        (b"GET / HTTP/1.1\r\nhost: x\r\nSET k v\r\n", 1),
        (b"PING\n\x16\x03\x01\x02\x00", 1),
        (post.as_bytes(), 0),
    ];
    for (input, before) in cases {
        let (requests, end) = feed(input);
        let error = end.expect_err("must be refused");
        assert_eq!((requests.len(), &error), (*before, &FrameError::NotARequest));
        assert!(error.is_silent());
    }
}

#[test]
fn requests_before_a_broken_frame_count() {
    let (mut parser, mut requests) = (Parser::new(FrameLimits::default()), Requests::default());
    let buf = b"PING\n*1\r\n$4\r\nPING\r\n*x";
    assert_eq!(parser.parse(buf, &mut requests, 9), Progress::Broken(FrameError::InvalidArrayLength));
    assert_eq!((requests.len(), requests.consumed_to(), requests.end(0)), (2, 19, 5));
}

#[test]
fn announced_sizes_allocate_nothing() {
    for header in ["*1048576\r\n", "*1048576\r\n$33554432\r\n", "*2\r\n$3\r\nGET\r\n$33554432\r\n"] {
        let (mut parser, mut requests) = (Parser::new(FrameLimits::default()), Requests::default());
        let progress = parser.parse(header.as_bytes(), &mut requests, 9);
        assert!(matches!(progress, Progress::NeedMore { want: 1.. }), "{progress:?}");
        assert!(parser.spans.capacity() < 16 && requests.spans.capacity() < 16);
    }
}

#[test]
fn wants_what_is_missing() {
    let cases: &[(&[u8], usize)] = &[
        (b"", 0),
        (b"PING\n", 0),
        (b"PIN", 1),
        (b"*", 1),
        (b"*2\r\n$3", 1),
        (b"*2\r\n$3\r\n", 5),
        (b"*2\r\n$3\r\nGET\r", 1),
        (b"*2\r\n$3\r\nGET\r\n", 1),
        (b"*2\r\n$3\r\nGET\r\n$33554432\r\nab", 33_554_432),
    ];
    for (input, want) in cases {
        let mut parser = Parser::new(FrameLimits::default());
        let progress = parser.parse(input, &mut Requests::default(), 9);
        assert_eq!(progress, Progress::NeedMore { want: *want }, "{}", input.escape_ascii());
    }
}

#[test]
fn a_request_of_many_words_gives_its_memory_back() {
    let mut input = b"*100000\r\n".to_vec();
    input.extend(b"$1\r\nx\r\n".repeat(100_000));
    let (mut parser, mut requests) = (Parser::new(FrameLimits::default()), Requests::default());
    assert_eq!(parser.parse(&input, &mut requests, 9), Progress::NeedMore { want: 0 });
    assert_eq!(requests.get(0, &input).args().filter(|word| *word == b"x").count(), 99_999);
    assert!(parser.spans.capacity() <= KEPT_WORDS);
}

#[test]
#[should_panic(expected = "only 0 are parsed")]
fn dropping_unparsed_bytes_is_a_bug() {
    let mut parser = Parser::new(FrameLimits::default());
    parser.parse(b"*1\r\n$4\r\nPI", &mut Requests::default(), 9);
    parser.consumed(3);
}

/// One request written as bytes, and what it parses to: nothing for the empty ones.
fn written() -> impl Strategy<Value = (Vec<u8>, Option<OwnedRequest>)> {
    let word = prop::collection::vec(any::<u8>(), 0..40);
    let words = prop::collection::vec(word, 1..6);
    let array = words.clone().prop_map(|words| {
        let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
        for word in &words {
            bytes.extend(format!("${}\r\n", word.len()).bytes());
            bytes.extend(word);
            bytes.extend(b"\r\n");
        }
        (bytes, Some(OwnedRequest::new(words, Dialect::Resp)))
    });
    let quoted = (words, any::<bool>()).prop_map(|(words, crlf)| {
        let mut bytes = Vec::new();
        for word in &words {
            // What escape_ascii writes is what double quotes decode.
            bytes.extend(format!("\"{}\" ", word.escape_ascii()).bytes());
        }
        bytes.extend(if crlf { &b"\r\n"[..] } else { b"\n" });
        (bytes, Some(OwnedRequest::new(words, Dialect::Line)))
    });
    let plain = prop::collection::vec("[A-Za-z0-9:*$_\\\\]{1,9}", 1..5).prop_filter_map("array", |words| {
        let first = words[0].as_bytes();
        let foreign =
            first[0] == b'*' || first.eq_ignore_ascii_case(b"post") || first.eq_ignore_ascii_case(b"host:");
        (!foreign)
            .then(|| ((words.join(" ") + "\n").into_bytes(), Some(OwnedRequest::new(words, Dialect::Line))))
    });
    let empty = prop::sample::select(vec!["\r\n", "\n", "  \n", "*0\r\n", "*-1\r\n"])
        .prop_map(|text| (text.as_bytes().to_vec(), None));
    prop_oneof![4 => array, 2 => quoted, 2 => plain, 1 => empty]
}

/// `bytes` in pieces of the given sizes, the sizes over and over.
fn pieces<'a>(mut bytes: &'a [u8], sizes: &'a [usize]) -> impl Iterator<Item = &'a [u8]> {
    sizes.iter().cycle().map_while(move |&size| {
        let (piece, rest) = bytes.split_at(size.min(bytes.len()));
        bytes = rest;
        (!piece.is_empty()).then_some(piece)
    })
}

proptest! {
    #[test]
    fn any_split_parses_the_same(
        requests in prop::collection::vec(written(), 0..12),
        sizes in prop::collection::vec(1_usize..60, 1..6),
        max in 1_usize..5,
    ) {
        let bytes: Vec<u8> = requests.iter().flat_map(|(bytes, _)| bytes.clone()).collect();
        let expected: Vec<OwnedRequest> = requests.into_iter().filter_map(|(_, request)| request).collect();
        let parsed = feed_within(FrameLimits::default(), max, pieces(&bytes, &sizes));
        prop_assert_eq!(parsed, (expected, Ok(0)));
    }

    #[test]
    fn noise_parses_the_same_in_any_split(
        noise in prop::collection::vec(prop::sample::select(&b"*$-0123\r\n\n\"'\\x ab\0\x16\x03"[..]), 0..80),
        sizes in prop::collection::vec(1_usize..9, 1..6),
    ) {
        let limits = FrameLimits { line_bytes: 20, line_args: 3, args: 3, value_bytes: 12, request_bytes: 40 };
        let whole = feed_within(limits.clone(), 64, [&noise[..]]);
        let split = feed_within(limits, 2, pieces(&noise, &sizes));
        prop_assert_eq!(whole, split);
    }
}
