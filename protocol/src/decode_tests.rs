//! Tests of the reply decoder: each type, each refusal, and the way back from the encoder.

use proptest::prelude::*;

use super::*;
use crate::encode::{Wire, encode};

/// Decodes all of `input`, given in pieces of `size` bytes.
fn decode_by(limits: &ReplyLimits, input: &[u8], size: usize) -> Result<Vec<Reply>, DecodeError> {
    let (mut decoder, mut src, mut replies) = (Decoder::new(limits.clone()), BytesMut::new(), Vec::new());
    for piece in input.chunks(size.max(1)) {
        src.extend_from_slice(piece);
        while let Some(reply) = decoder.decode(&mut src)? {
            replies.push(reply);
            assert!(!decoder.mid_reply());
        }
    }
    Ok(replies)
}

fn decode(input: &[u8]) -> Result<Vec<Reply>, DecodeError> {
    let whole = decode_by(&ReplyLimits::default(), input, usize::MAX);
    assert_eq!(whole, decode_by(&ReplyLimits::default(), input, 1), "{}", input.escape_ascii());
    whole
}

#[test]
fn reads_every_type() {
    let bulk = |text: &'static str| Reply::bulk(text);
    let cases: Vec<(&[u8], Vec<Reply>)> = vec![
        (b"", vec![]),
        (b"+OK\r\n", vec![Reply::OK]),
        (b"+Background saving started\r\n", vec![Reply::status("Background saving started")]),
        (b"+\r\n", vec![Reply::status("")]),
        (b"-ERR a b\r\n", vec![Reply::error("ERR a b")]),
        (b":-5\r\n:+7\r\n", vec![Reply::Int(-5), Reply::Int(7)]),
        (b"$3\r\na\r\n\r\n$0\r\n\r\n", vec![bulk("a\r\n"), bulk("")]),
        (b"$-1\r\n*-1\r\n_\r\n", vec![Reply::Nil, Reply::NilArray, Reply::Nil]),
        (
            b"*2\r\n:1\r\n*1\r\n+OK\r\n",
            vec![Reply::Array(vec![Reply::Int(1), Reply::Array(vec![Reply::OK])])],
        ),
        (b"*0\r\n%0\r\n", vec![Reply::Array(vec![]), Reply::Map(vec![])]),
        (
            b"%2\r\n+a\r\n:1\r\n+b\r\n*1\r\n:2\r\n",
            vec![Reply::Map(vec![
                (Reply::status("a"), Reply::Int(1)),
                (Reply::status("b"), Reply::Array(vec![Reply::Int(2)])),
            ])],
        ),
        (
            b"~1\r\n:1\r\n>2\r\n+m\r\n$1\r\nx\r\n",
            vec![Reply::Set(vec![Reply::Int(1)]), Reply::Push(vec![Reply::status("m"), bulk("x")])],
        ),
        (
            b",1.5\r\n,-inf\r\n,1e300\r\n",
            vec![Reply::Double(1.5), Reply::Double(f64::NEG_INFINITY), Reply::Double(1e300)],
        ),
        (b"#t\r\n#f\r\n", vec![Reply::Bool(true), Reply::Bool(false)]),
        (b"(-123456789012345678901234567890\r\n", vec![bulk("-123456789012345678901234567890")]),
        (b"!8\r\nERR a\r\nb\r\n", vec![Reply::error("ERR a\r\nb")]),
        (b"=7\r\ntxt:abc\r\n", vec![Reply::text("abc")]),
        (
            b"|1\r\n+ttl\r\n:9\r\n|0\r\n*2\r\n|1\r\n+a\r\n*1\r\n:0\r\n:1\r\n:2\r\n:3\r\n",
            vec![Reply::Array(vec![Reply::Int(1), Reply::Int(2)]), Reply::Int(3)],
        ),
        (b"*2\r\n:1\r\n", vec![]),
        (b"$5\r\nabc", vec![]),
        (b"+O", vec![]),
    ];
    for (input, replies) in cases {
        assert_eq!(decode(input), Ok(replies), "{}", input.escape_ascii());
    }
}

#[test]
fn refuses_what_is_no_resp() {
    use DecodeError::*;
    let cases: &[(&[u8], DecodeError)] = &[
        (b"HTTP/1.1", UnknownType { got: b'H' }),
        (b"\r\n", UnknownType { got: b'\r' }),
        (b":\r\n", InvalidValue { kind: b':' }),
        (b":1x\r\n", InvalidValue { kind: b':' }),
        (b":99999999999999999999\r\n", InvalidValue { kind: b':' }),
        (b"$x\r\n", InvalidValue { kind: b'$' }),
        (b"$-2\r\n", InvalidValue { kind: b'$' }),
        (b"*-2\r\n", InvalidValue { kind: b'*' }),
        (b"%-1\r\n", InvalidValue { kind: b'%' }),
        (b"#x\r\n", InvalidValue { kind: b'#' }),
        (b"_x\r\n", InvalidValue { kind: b'_' }),
        (b",x\r\n", InvalidValue { kind: b',' }),
        (b"(1.5\r\n", InvalidValue { kind: b'(' }),
        (b"=3\r\nabc\r\n", InvalidValue { kind: b'=' }),
        (b"+OK\n", ExpectedLineBreak),
        (b"_\n", ExpectedLineBreak),
        (b"$1\r\nabc", ExpectedLineBreak),
        (b"$?\r\n", Streamed),
        (b"*?\r\n", Streamed),
        (b"$67108865\r\n", TooLarge { limit: 67_108_864 }),
        (b"*99999999\r\n", TooManyItems { limit: 16_777_216 }),
        (b"%18446744073709551615\r\n", TooManyItems { limit: 16_777_216 }),
    ];
    for (input, error) in cases {
        assert_eq!(decode(input), Err(error.clone()), "{}", input.escape_ascii());
    }
}

#[test]
fn errors_say_what_to_do() {
    let odd = decode(b"?\r\n").unwrap_err().to_string();
    assert_eq!(odd, "reply: '?' is no type of RESP; is it larderd that answers?");
    for error in [DecodeError::TooLarge { limit: 3 }, DecodeError::TooManyItems { limit: 3 }] {
        assert!(error.to_string().ends_with("; ask for less, or raise ReplyLimits"), "{error}");
    }
}

#[test]
fn keeps_to_its_limits() {
    let limits = ReplyLimits { line_bytes: 4, bulk_bytes: 3, items: 5, depth: 2 };
    let cases: &[(&str, Option<DecodeError>)] = &[
        ("+abcd\r\n", None),
        ("+abcde\r\n", Some(DecodeError::TooLarge { limit: 4 })),
        ("+abcdefg", Some(DecodeError::TooLarge { limit: 4 })),
        ("$3\r\nabc\r\n", None),
        ("$4\r\n", Some(DecodeError::TooLarge { limit: 3 })),
        ("*1\r\n*1\r\n:1\r\n*1\r\n*1\r\n:1\r\n", None),
        ("*1\r\n*1\r\n*1\r\n", Some(DecodeError::TooDeep { limit: 2 })),
        ("*2\r\n%2\r\n", Some(DecodeError::TooManyItems { limit: 5 })),
    ];
    for (input, error) in cases {
        for size in [1, 100] {
            assert_eq!(decode_by(&limits, input.as_bytes(), size).err(), *error, "{input:?} by {size}");
        }
    }
}

#[test]
fn an_error_stays() {
    let (mut decoder, mut src) = (Decoder::default(), BytesMut::from("+OK\n"));
    let error = decoder.decode(&mut src);
    let mut fresh = BytesMut::from("+OK\r\n");
    assert_eq!(decoder.decode(&mut fresh), error);
}

#[test]
fn announced_sizes_allocate_nothing() {
    let (mut decoder, mut src) = (Decoder::default(), BytesMut::from("*16000000\r\n$64000000\r\n"));
    let before = src.capacity();
    assert_eq!(decoder.decode(&mut src), Ok(None));
    assert!(decoder.stack[0].items.capacity() <= ROOM_AHEAD && src.capacity() <= before);
}

/// Any reply that RESP3 can say and the decoder gives back as it was.
fn reply() -> impl Strategy<Value = Reply> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..40).prop_map(Bytes::from);
    let leaf = prop_oneof![
        Just(Reply::OK),
        "[a-z ]{0,9}".prop_map(Reply::StatusOwned),
        any::<i64>().prop_map(Reply::Int),
        bytes().prop_map(Reply::Bulk),
        Just(Reply::Nil),
        any::<f64>().prop_filter("not equal to itself", |value| !value.is_nan()).prop_map(Reply::Double),
        any::<bool>().prop_map(Reply::Bool),
        (any::<[u8; 3]>(), bytes()).prop_map(|(format, text)| Reply::Verbatim { format, text }),
        "[A-Z]{3} \\PC{0,9}".prop_map(Reply::Error),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        let list = || prop::collection::vec(inner.clone(), 0..6);
        prop_oneof![
            list().prop_map(Reply::Array),
            list().prop_map(Reply::Set),
            list().prop_map(Reply::Push),
            prop::collection::vec((inner.clone(), inner.clone()), 0..4).prop_map(Reply::Map),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_encoded_comes_back(replies in prop::collection::vec(reply(), 0..4), size in 1_usize..50) {
        let mut out = BytesMut::new();
        for reply in &replies {
            encode(reply, Wire::Resp3, &mut out);
        }
        prop_assert_eq!(decode_by(&ReplyLimits::default(), &out, size), Ok(replies));
    }

    #[test]
    fn other_wires_are_resp_too(replies in prop::collection::vec(reply(), 0..4), size in 1_usize..50) {
        for wire in [Wire::Resp2, Wire::Line] {
            let mut out = BytesMut::new();
            for reply in &replies {
                encode(reply, wire, &mut out);
            }
            let decoded = decode_by(&ReplyLimits::default(), &out, size);
            prop_assert_eq!(decoded.map(|decoded| decoded.len()), Ok(replies.len()));
        }
    }

    #[test]
    fn noise_never_panics(noise in prop::collection::vec(prop::sample::select(&b"+-:$*_,#!=(%~>|?012\r\n\r\nab"[..]), 0..60)) {
        let whole = decode_by(&ReplyLimits::default(), &noise, usize::MAX);
        prop_assert_eq!(decode_by(&ReplyLimits::default(), &noise, 1), whole);
    }
}
