//! Sizes, durations and file modes as people write them: `64MiB`, `90s`, `0600`.
//!
//! Used by the settings table to read every source and to print values back. Knows units only: no setting's name, no
//! range, no source. What it prints it reads back to the same value.

use std::time::Duration;

/// Size suffixes, largest first. Suffixes with `i` are powers of 1024 (IEC 80000-13), those without powers of 1000
/// (SI); case does not matter.
const SIZE_UNITS: &[(&str, u64)] = &[
    ("TiB", 1 << 40),
    ("TB", 1_000_000_000_000),
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("kB", 1000),
    ("B", 1),
];

/// Duration suffixes in milliseconds, largest first.
const SPAN_UNITS: &[(&str, u64)] =
    &[("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// Reads a size in bytes: `65536`, `1k`, `64MiB`, `2 GB`. The `B` may be left out after a letter (`64Mi`, `1k`).
///
/// # Errors
/// What is wrong with the text, and what would be right.
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    let not_a_size = || "not a size; use bytes or a unit like 64MiB".to_owned();
    let (number, suffix) = split_number(text).ok_or_else(not_a_size)?;
    if suffix.is_empty() {
        return Ok(number);
    }
    let (_, factor) = SIZE_UNITS
        .iter()
        .find(|(unit, _)| {
            // `B` alone has no shorter form: without this, its short form would be the empty suffix.
            let short = unit.strip_suffix('B').filter(|short| !short.is_empty());
            suffix.eq_ignore_ascii_case(unit) || short.is_some_and(|short| suffix.eq_ignore_ascii_case(short))
        })
        .ok_or_else(not_a_size)?;
    number.checked_mul(*factor).ok_or_else(|| "too large for a size".to_owned())
}

/// Reads a duration: `200ms`, `90s`, `5m`, `1h`, `7d`; `0` needs no unit.
///
/// # Errors
/// What is wrong with the text, and what would be right.
pub fn parse_span(text: &str) -> Result<Duration, String> {
    let not_a_span = || "not a duration; use a number and a unit: 200ms, 90s, 5m, 1h, 7d".to_owned();
    let (number, suffix) = split_number(text).ok_or_else(not_a_span)?;
    if suffix.is_empty() {
        // A bare number would be seconds to one reader and milliseconds to the next.
        return if number == 0 { Ok(Duration::ZERO) } else { Err(not_a_span()) };
    }
    let (_, factor_ms) = SPAN_UNITS.iter().find(|(unit, _)| suffix == *unit).ok_or_else(not_a_span)?;
    number
        .checked_mul(*factor_ms)
        .map(Duration::from_millis)
        .ok_or_else(|| "too large for a duration".to_owned())
}

/// Reads a plain count: digits only.
///
/// # Errors
/// What is wrong with the text.
pub fn parse_count(text: &str) -> Result<u64, String> {
    match split_number(text) {
        Some((number, "")) => Ok(number),
        _ => Err("not a whole number".to_owned()),
    }
}

/// Reads the permission bits of a file: three or four octal digits, as `chmod` takes them, or TOML's `0o600`.
///
/// # Errors
/// What is wrong with the text, and what would be right.
pub fn parse_mode(text: &str) -> Result<u32, String> {
    let digits = text.strip_prefix("0o").unwrap_or(text);
    let octal = (3..=4).contains(&digits.len()) && digits.bytes().all(|digit| (b'0'..=b'7').contains(&digit));
    let mode = octal.then(|| u32::from_str_radix(digits, 8).ok()).flatten().filter(|mode| *mode <= 0o777);
    mode.ok_or_else(|| "not a file mode; use octal digits in quotes, like \"0600\"".to_owned())
}

/// Writes a size with the largest unit that leaves it whole, 1024s first: `64MiB`, `1000`.
#[must_use]
pub fn show_bytes(bytes: u64) -> String {
    let whole = |&&(unit, factor): &&(&str, u64)| {
        // Powers of 1000 are read but never written: a printed size should not look rounder than it was meant.
        unit.ends_with("iB") && bytes >= factor && bytes.is_multiple_of(factor)
    };
    match SIZE_UNITS.iter().find(whole) {
        Some((unit, factor)) => format!("{}{unit}", bytes / factor),
        None => bytes.to_string(),
    }
}

/// Writes a duration with the largest unit that leaves it whole: `90s`, `5m`, `0`.
#[must_use]
pub fn show_span(span: Duration) -> String {
    let span_ms = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    match SPAN_UNITS.iter().find(|(_, factor)| span_ms > 0 && span_ms.is_multiple_of(*factor)) {
        Some((unit, factor)) => format!("{}{unit}", span_ms / factor),
        None => "0".to_owned(),
    }
}

/// The leading digits as a number and the rest, with spaces between them and around removed. `None` when there are no
/// digits or too many. Underscores between digits are allowed, as TOML allows them.
fn split_number(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let digits_end = text.find(|c: char| !c.is_ascii_digit() && c != '_').unwrap_or(text.len());
    let (digits, suffix) = text.split_at(digits_end);
    if digits.starts_with('_') || digits.ends_with('_') || digits.contains("__") {
        return None;
    }
    Some((digits.replace('_', "").parse().ok()?, suffix.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sizes() {
        let cases: &[(&str, Option<u64>)] = &[
            ("0", Some(0)),
            ("65536", Some(65_536)),
            ("1_048_576", Some(1 << 20)),
            ("1k", Some(1000)),
            ("1K", Some(1000)),
            ("1kB", Some(1000)),
            ("1KiB", Some(1024)),
            ("1Ki", Some(1024)),
            ("64MiB", Some(64 << 20)),
            ("64mib", Some(64 << 20)),
            ("64 MiB", Some(64 << 20)),
            (" 2GB ", Some(2_000_000_000)),
            ("3TiB", Some(3 << 40)),
            ("7B", Some(7)),
            ("16777215TiB", Some(16_777_215 << 40)),
            ("16777216TiB", None),
            ("18446744073709551616", None),
            ("12 parsecs", None),
            ("1.5GiB", None),
            ("-1", None),
            ("+1", None),
            ("MiB", None),
            ("1 2", None),
            ("_1", None),
            ("1_", None),
            ("1__0", None),
            ("1i", None),
            ("1iB", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_bytes(text).ok(), *expected, "{text:?}");
        }
        assert_eq!(parse_bytes("12 parsecs").unwrap_err(), "not a size; use bytes or a unit like 64MiB");
        assert_eq!(parse_bytes("16777216TiB").unwrap_err(), "too large for a size");
    }

    #[test]
    fn spans() {
        let cases: &[(&str, Option<u64>)] = &[
            ("0", Some(0)),
            ("0s", Some(0)),
            ("200ms", Some(200)),
            ("90s", Some(90_000)),
            ("90 s", Some(90_000)),
            ("5m", Some(300_000)),
            ("1h", Some(3_600_000)),
            ("7d", Some(604_800_000)),
            ("90", None),
            ("90sec", None),
            ("5M", None),
            ("1.5s", None),
            ("-1s", None),
            ("s", None),
            ("", None),
            ("213503982335d", None),
        ];
        for (text, expected_ms) in cases {
            assert_eq!(parse_span(text).ok(), expected_ms.map(Duration::from_millis), "{text:?}");
        }
        assert!(parse_span("90").unwrap_err().contains("90s"));
    }

    #[test]
    fn counts_and_modes() {
        assert_eq!(parse_count("10_000"), Ok(10_000));
        assert!(parse_count("10k").is_err());
        assert!(parse_count("many").is_err());
        let modes: &[(&str, Option<u32>)] = &[
            ("0600", Some(0o600)),
            ("660", Some(0o660)),
            ("0777", Some(0o777)),
            ("0o600", Some(0o600)),
            ("0o6", None),
            ("+600", None),
            ("0680", None),
            ("4600", None),
            ("6", None),
            ("00600", None),
            ("rw", None),
        ];
        for (text, expected) in modes {
            assert_eq!(parse_mode(text).ok(), *expected, "{text:?}");
        }
    }

    #[test]
    fn values_print_as_people_write_them() {
        assert_eq!(show_bytes(64 << 20), "64MiB");
        assert_eq!(show_bytes(1536 << 10), "1536KiB");
        assert_eq!(show_bytes(1000), "1000");
        assert_eq!(show_bytes(0), "0");
        assert_eq!(show_span(Duration::from_secs(90)), "90s");
        assert_eq!(show_span(Duration::from_hours(1)), "1h");
        assert_eq!(show_span(Duration::from_millis(1500)), "1500ms");
        assert_eq!(show_span(Duration::ZERO), "0");
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(bytes: u64, span_ms: u64) {
            prop_assert_eq!(parse_bytes(&show_bytes(bytes)), Ok(bytes));
            let span = Duration::from_millis(span_ms);
            prop_assert_eq!(parse_span(&show_span(span)), Ok(span));
        }

        #[test]
        fn no_text_panics(text in "\\PC*") {
            let _ = (parse_bytes(&text), parse_span(&text), parse_count(&text), parse_mode(&text));
        }
    }
}
