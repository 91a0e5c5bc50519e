//! Patterns of keys, in the two languages that DELPAT speaks.

/// Which keys are meant. A string is a glob.
///
/// Both languages match the whole key. `*` stands for any letters in a glob and `%` in LIKE; one letter is `?` and `_`;
/// a backslash before any of these means the letter itself. Only a glob has sets, `[a-z]`.
///
/// ```
/// use larder_protocol::client::Pattern;
///
/// assert_eq!(Pattern::from("user:1:*"), Pattern::glob("user:1:*"));
/// assert_eq!(Pattern::prefix("odd*name:").text(), "odd\\*name:*");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    like: bool,
}

impl Pattern {
    /// As in shells.
    pub fn glob(text: impl Into<String>) -> Self {
        Self { text: text.into(), like: false }
    }

    /// As in SQL.
    pub fn like(text: impl Into<String>) -> Self {
        Self { text: text.into(), like: true }
    }

    /// All keys that begin with `start`, whatever letters it has.
    #[must_use]
    pub fn prefix(start: &str) -> Self {
        Self::glob(format!("{}*", literal(start)))
    }

    /// As it is written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The same pattern for keys that have `start`, which holds no wildcard, before them.
    pub(super) fn after(&self, start: &str) -> Self {
        Self { text: format!("{start}{}", self.text), like: self.like }
    }

    pub(super) fn words(&self) -> Vec<&[u8]> {
        let mut words = vec![&b"DELPAT"[..], self.text.as_bytes()];
        words.extend(self.like.then_some(&b"LIKE"[..]));
        words
    }
}

/// A text whose letters all mean themselves in a glob.
pub(super) fn literal(text: &str) -> String {
    let mut literal = String::with_capacity(text.len());
    for letter in text.chars() {
        if matches!(letter, '*' | '?' | '[' | ']' | '\\') {
            literal.push('\\');
        }
        literal.push(letter);
    }
    literal
}

impl From<&str> for Pattern {
    fn from(text: &str) -> Self {
        Self::glob(text)
    }
}

impl From<String> for Pattern {
    fn from(text: String) -> Self {
        Self::glob(text)
    }
}

impl From<&Pattern> for Pattern {
    fn from(pattern: &Pattern) -> Self {
        pattern.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_sent_as_they_are_written() {
        assert_eq!(Pattern::glob("a*").words(), [&b"DELPAT"[..], b"a*"]);
        assert_eq!(Pattern::like("a%").after("lock:").words(), [&b"DELPAT"[..], b"lock:a%", b"LIKE"]);
        assert_eq!(literal(r"a*[b]?\"), r"a\*\[b\]\?\\");
    }
}
