//! The canonical form of a Lua text: its tokens, one blank between two. Texts with the same form do the same, however they
//! are indented, commented or quoted; so a script is recognised in whatever library it comes, in any of its versions.
//!
//! Of the language only what tokens need is known (Lua 5.1 manual, section 2.1). Nothing is ever run.

/// The canonical form, or nothing where the text holds something that short scripts do not: then it is not recognised.
///
/// Strings are written in double quotes, and as the first argument of `redis.call` or `redis.pcall`, where Redis ignores
/// the case of a command's name, in lower case.
pub(super) fn canonical(text: &[u8]) -> Option<String> {
    let mut rest = text;
    let mut tokens: Vec<String> = Vec::new();
    loop {
        rest = after_blanks(rest)?;
        let Some(&first) = rest.first() else { return Some(tokens.join(" ")) };
        let (token, len) = match first {
            b'"' | b'\'' => {
                let (content, len) = string(rest, first)?;
                let name = names_command(&tokens);
                (format!("\"{}\"", if name { content.to_ascii_lowercase() } else { content }), len)
            }
            _ if first.is_ascii_alphanumeric() || first == b'_' => {
                let len =
                    rest.iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_').count();
                (String::from_utf8_lossy(&rest[..len]).into_owned(), len)
            }
            _ => {
                const LONG: [&[u8]; 5] = [b"==", b"~=", b"<=", b">=", b".."];
                let len = if LONG.iter().any(|operator| rest.starts_with(operator)) { 2 } else { 1 };
                let known = b"+-*/%^#<>=(){}[];:,.".contains(&first) || len == 2;
                (known.then(|| String::from_utf8_lossy(&rest[..len]).into_owned())?, len)
            }
        };
        tokens.push(token);
        rest = &rest[len..];
    }
}

/// Whether the next token is the first argument of a call of Redis.
fn names_command(tokens: &[String]) -> bool {
    matches!(tokens, [.., redis, dot, call, open]
        if redis == "redis" && dot == "." && (call == "call" || call == "pcall") && open == "(")
}

/// What follows blanks and comments. Nothing for a comment of several lines.
fn after_blanks(mut text: &[u8]) -> Option<&[u8]> {
    loop {
        text = text.trim_ascii_start();
        if !text.starts_with(b"--") {
            return Some(text);
        }
        if text.starts_with(b"--[") {
            return None;
        }
        let end = text.iter().position(|byte| *byte == b'\n').unwrap_or(text.len());
        text = &text[end..];
    }
}

/// The content of the string that `text` begins with, and its length with both quotes. Nothing for strings with escapes,
/// line breaks or the other quote, and for one that does not end.
fn string(text: &[u8], quote: u8) -> Option<(String, usize)> {
    let len = text[1..].iter().position(|byte| *byte == quote)?;
    let content = &text[1..=len];
    let plain = content.iter().all(|byte| (b' '..=b'~').contains(byte) && !matches!(byte, b'\\' | b'"'));
    plain.then(|| (String::from_utf8_lossy(content).into_owned(), len + 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn form_does_not_matter() {
        let expected = "if redis . call ( \"get\" , KEYS [ 1 ] ) == ARGV [ 1 ] then return 1 end";
        for text in [
            "if redis.call('get', KEYS[1]) == ARGV[1] then return 1 end",
            "\n\tif redis.call(\"GET\",KEYS[1])==ARGV[1]\r\n  then\n return 1\nend\n",
            "-- a comment\nif redis . call ( 'Get' , KEYS[1] ) == ARGV[1] then -- another\n return 1 end --",
        ] {
            assert_eq!(canonical(text.as_bytes()).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn everything_else_does() {
        let form = |text: &str| canonical(text.as_bytes());
        for (one, other) in [
            ("return 'EX'", "return 'ex'"),
            ("return redis.call('set', 'a', 'B')", "return redis.call('set', 'a', 'b')"),
            ("return 1 2", "return 12"),
            ("return a . . b", "return a .. b"),
            ("return - - 1", "return --1"),
            ("return a", "return A"),
        ] {
            assert_ne!(form(one), form(other), "{one}");
        }
        for text in [
            "return 'a\\n'",
            "return 'open",
            "return [[x]]x'",
            "--[[ long ]] return 1",
            "return 'say \"x\"'",
            "return é",
        ] {
            assert_eq!(form(text), None, "{text}");
        }
        assert_eq!(form("").as_deref(), Some(""));
    }
}
