//! Tables of patterns, a naive matcher to compare with, and patterns meant to take for ever.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;

/// Pattern, keys that match, keys that do not.
type Case = (&'static [u8], &'static [&'static [u8]], &'static [&'static [u8]]);

/// The answers are those of redis-server 7.0, but for `**` and the empty
/// key: `KEYS *` lists that one there and `KEYS **` does not.
const GLOBS: &[Case] = &[
    (b"", &[b""], &[b"a"]),
    (b"*", &[b"", b"a", b"ab"], &[]),
    (b"**", &[b"", b"a", b"ab"], &[]),
    (b"?", &[b"a", b"\xff"], &[b"", b"ab"]),
    (b"a?c", &[b"abc", b"a?c"], &[b"ac", b"abbc"]),
    (b"abc", &[b"abc"], &[b"ab", b"abcd", b"ABC"]),
    (b"a*", &[b"a", b"ab", b"a*"], &[b"", b"ba"]),
    (b"*a", &[b"a", b"ba", b"aa"], &[b"", b"ab"]),
    (b"a*b*c", &[b"abc", b"axbxc", b"abbcc", b"abcbc"], &[b"ac", b"abcx", b"acb"]),
    (b"*ab*ab*", &[b"abab", b"xabyabz"], &[b"ab", b"aba"]),
    (b"h[ae]llo", &[b"hello", b"hallo"], &[b"hillo", b"hllo", b"haello"]),
    (b"h[^e]llo", &[b"hallo", b"h^llo"], &[b"hello", b"hllo"]),
    (b"h[a-c]llo", &[b"hallo", b"hbllo", b"hcllo"], &[b"hdllo", b"h-llo"]),
    (b"h[c-a]llo", &[b"hallo", b"hbllo", b"hcllo"], &[b"hdllo"]),
    (b"[^a-c]", &[b"d", b"-"], &[b"a", b"b", b"c", b""]),
    (b"[a-cx-z]", &[b"a", b"y"], &[b"m", b"-"]),
    (b"[\\]]", &[b"]"], &[b"\\", b"\\]"]),
    (b"[\\^a]", &[b"^", b"a"], &[b"\\", b"b"]),
    (b"[a^]", &[b"a", b"^"], &[b"b"]),
    (b"[\\a-z]", &[b"a", b"-", b"z"], &[b"b", b"\\"]),
    (b"[a-\\]]", &[b"a]", b"]]", b"\\]", b"^]"], &[b"]", b"a", b"[]"]),
    (b"[]", &[], &[b"", b"a", b"]", b"[]"]),
    (b"[]a]", &[], &[b"]", b"a", b"a]", b"]a]"]),
    (b"[^]", &[b"a", b"]", b"^"], &[b"", b"ab"]),
    (b"[^]a]", &[b"xa]", b"]a]"], &[b"x", b"a]"]),
    (b"[abc", &[b"a", b"b", b"c"], &[b"[", b"[abc", b"d", b""]),
    (b"[a-c", &[b"a", b"b", b"c"], &[b"-"]),
    (b"[a-", &[b"a", b"-"], &[b"b"]),
    (b"[a-]", &[b"a", b"]", b"^", b"_"], &[b"-", b"b"]),
    (b"[a-]b]", &[b"a", b"]", b"^", b"b"], &[b"-", b"c", b"ab]"]),
    (b"[-a]", &[b"-", b"a"], &[b"b"]),
    (b"[", &[], &[b"", b"[", b"a"]),
    (b"a[", &[], &[b"a", b"a["]),
    (b"[^", &[b"a", b"^"], &[b"", b"ab"]),
    (b"[\\", &[b"\\"], &[b"", b"[", b"[\\"]),
    (b"[a\\", &[b"a", b"\\"], &[b"b"]),
    (b"[*]x", &[b"*x"], &[b"x", b"ax"]),
    (b"[?]", &[b"?"], &[b"a"]),
    (b"\\*", &[b"*"], &[b"a", b"\\*", b""]),
    (b"\\?", &[b"?"], &[b"a"]),
    (b"\\[a]", &[b"[a]"], &[b"a"]),
    (b"\\\\", &[b"\\"], &[b"\\\\"]),
    (b"\\a", &[b"a"], &[b"\\a"]),
    (b"a\\", &[b"a\\"], &[b"a"]),
    (b"*\\", &[b"\\", b"a\\"], &[b"a"]),
    (b"a]", &[b"a]"], &[b"a"]),
    (b"*[", &[], &[b"", b"["]),
    (b"*[a-c]*[x]", &[b"ax", b"..b..x"], &[b"x", b"a", b"xa"]),
];

#[test]
fn globs() {
    for (pattern, fits, others) in GLOBS {
        let compiled = Pattern::glob(pattern);
        for key in *fits {
            assert!(compiled.matches(key), "{} on {}", pattern.escape_ascii(), key.escape_ascii());
        }
        for key in *others {
            assert!(!compiled.matches(key), "{} on {}", pattern.escape_ascii(), key.escape_ascii());
        }
    }
}

#[test]
fn ranges_compare_unsigned() {
    let pattern = Pattern::glob(b"[\x7f-\x81]");
    assert!(pattern.matches(b"\x80") && !pattern.matches(b"\x00") && !pattern.matches(b"\xff"));
}

#[test]
fn likes() {
    let cases: &[Case] = &[
        (b"", &[b""], &[b"a"]),
        (b"%", &[b"", b"a", b"%"], &[]),
        (b"_", &[b"a", b"_"], &[b"", b"ab"]),
        (b"user:%:name", &[b"user:1:name", b"user::name"], &[b"user:1:names", b"User:1:name"]),
        (b"a_c", &[b"abc"], &[b"ac", b"Abc"]),
        (b"100\\%", &[b"100%"], &[b"1000", b"100\\%"]),
        (b"a\\_b", &[b"a_b"], &[b"axb"]),
        (b"a\\\\%", &[b"a\\", b"a\\b"], &[b"a", b"a%"]),
        (b"a\\", &[b"a\\"], &[b"a"]),
        (b"*?[a]", &[b"*?[a]"], &[b"xxa"]),
        (b"%%a__", &[b"abc", b"xxabc"], &[b"ab"]),
    ];
    for (pattern, fits, others) in cases {
        let compiled = Pattern::like(pattern);
        for key in *fits {
            assert!(compiled.matches(key), "{} on {}", pattern.escape_ascii(), key.escape_ascii());
        }
        for key in *others {
            assert!(!compiled.matches(key), "{} on {}", pattern.escape_ascii(), key.escape_ascii());
        }
    }
}

#[test]
fn prefixes() {
    let cases: &[(&[u8], &[u8], bool)] = &[
        (b"", b"", true),
        (b"abc", b"abc", true),
        (b"user:*", b"user:", false),
        (b"*:user", b"", false),
        (b"a\\*b?c", b"a*b", false),
        (b"a[*]b", b"a*b", true),
        (b"a[bc]d", b"a", false),
        (b"a[]", b"a", false),
        (b"a\\", b"a\\", true),
    ];
    for (pattern, prefix, literal) in cases {
        let compiled = Pattern::glob(pattern);
        assert_eq!(compiled.literal_prefix(), *prefix, "{}", pattern.escape_ascii());
        assert_eq!(compiled.is_literal(), *literal, "{}", pattern.escape_ascii());
    }
    assert_eq!(Pattern::like(b"a*\\%b_c").literal_prefix(), b"a*%b");
    assert!(Pattern::like(b"a*b").is_literal());
}

#[test]
fn hostile_patterns_finish() {
    let started = Instant::now();
    let key = b"a".repeat(4096);
    let stars = [b"a*".repeat(500).as_slice(), b"b"].concat();
    assert!(!Pattern::glob(&stars).matches(&key));
    assert!(!Pattern::like(&[b"a%".repeat(500).as_slice(), b"b"].concat()).matches(&key));
    assert!(!Pattern::glob(&[b"*a".repeat(500).as_slice(), b"*b"].concat()).matches(&key));
    assert!(!Pattern::glob(&[b"*".as_slice(), &b"[a-b]".repeat(2000), b"c"].concat()).matches(&key));
    // A recursive matcher would overflow its stack here.
    let deep = b"*a".repeat(100_000);
    assert!(Pattern::glob(&deep).matches(&b"a".repeat(100_000)));
    assert!(started.elapsed() < Duration::from_secs(5), "took {:?}", started.elapsed());
}

/// The definition, read off the tokens one by one: exponential, and plainly right.
fn naive(pattern: &Pattern, tokens: &[Token], key: &[u8]) -> bool {
    match (tokens.split_first(), key.split_first()) {
        (None, None) => true,
        (Some((Token::Star, rest)), _) => (0..=key.len()).any(|skip| naive(pattern, rest, &key[skip..])),
        (Some(_), None) | (None, Some(_)) => false,
        (Some((token, rest)), Some((byte, after))) => {
            pattern.fits(*token, *byte) && naive(pattern, rest, after)
        }
    }
}

fn agrees(pattern: &Pattern, key: &[u8]) -> bool {
    let prefix = pattern.prefix.iter().map(|byte| Token::Byte(*byte));
    let tokens: Vec<_> = prefix.chain(pattern.rest.iter().copied()).collect();
    pattern.matches(key) == naive(pattern, &tokens, key)
}

/// Few letters, so that patterns and keys often meet.
fn bytes_of(letters: &'static [u8], length_max: usize) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop::sample::select(letters), 0..=length_max)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn matches_what_the_definition_matches(
        pattern in bytes_of(b"ab**?[]^-\\", 10),
        like in bytes_of(b"ab%%_\\", 10),
        key in bytes_of(b"ab-]", 12),
    ) {
        prop_assert!(agrees(&Pattern::glob(&pattern), &key));
        prop_assert!(agrees(&Pattern::like(&like), &key));
    }

    #[test]
    fn an_escaped_key_is_literal_and_matches_itself(key: Vec<u8>) {
        let escaped: Vec<u8> = key.iter().flat_map(|byte| [b'\\', *byte]).collect();
        for pattern in [Pattern::glob(&escaped), Pattern::like(&escaped)] {
            prop_assert!(pattern.is_literal() && pattern.matches(&key));
            prop_assert_eq!(pattern.literal_prefix(), key.as_slice());
        }
    }

    #[test]
    fn a_matching_key_begins_with_the_prefix(pattern: Vec<u8>, key: Vec<u8>) {
        let pattern = Pattern::glob(&pattern);
        prop_assert!(!pattern.matches(&key) || key.starts_with(pattern.literal_prefix()));
    }
}

#[test]
fn the_upper_bound_is_just_above_all_that_can_match() {
    for (pattern, bound) in [
        (&b"*"[..], None),
        (b"", Some(&b"\0"[..])),
        (b"a", Some(b"a\0")),
        (b"a*", Some(b"b")),
        (b"user:?", Some(b"user;")),
        (b"a\xff*", Some(b"b")),
        (b"\xff\xff*", None),
        (b"\xff\xff", Some(b"\xff\xff\0")),
        (b"a\0*", Some(b"a\x01")),
    ] {
        assert_eq!(Pattern::glob(pattern).upper_bound().as_deref(), bound, "{}", pattern.escape_ascii());
    }
}
