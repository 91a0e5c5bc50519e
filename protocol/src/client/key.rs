//! Keys from parts: readable, the same for the same parts, different for different ones, and never too long.
//!
//! A key is its namespace and its parts, joined by `:`, with named parts as `name=value` behind the others, sorted by name.
//! Letters that mean something in a key, in a pattern or on a command line stand as `%` and their byte in hexadecimal, so
//! that no two lists of parts make the same key. A key of more than 200 letters is the namespace and a SHA-256 of the whole
//! behind `#`, which no part can hold: deleting by namespace goes on to find it.

use std::fmt::{self, Display, Write as _};

use sha2::{Digest as _, Sha256};

use super::pattern::literal;
use super::{Pattern, random};

/// Letters of the longest key that is written out.
pub const KEY_LETTERS: usize = 200;

/// Letters of the longest namespace that is written out: it has to stand before a hash.
const NAMESPACE_LETTERS: usize = 120;

/// A key, from its parts.
///
/// ```
/// use larder_protocol::client::Key;
/// use larder_protocol::key;
///
/// let key = Key::new("search").part("rust cache").named("source", "web").named("page", 2);
/// assert_eq!(key.to_string(), "search:rust%20cache:page=2:source=web");
/// assert_eq!(key, key!("search", "rust cache", source = "web", page = 2));
///
/// let long = key!("search", query = "x".repeat(500));
/// assert!(long.as_str().starts_with("search:#") && long.as_str().len() < 80);
/// ```
#[derive(Clone, Debug)]
pub struct Key {
    namespace: String,
    parts: String,
    /// Sorted by name.
    named: Vec<(String, String)>,
    text: String,
}

impl Key {
    /// A key in a namespace: what deleting by [`below`](Self::below) goes by.
    pub fn new(namespace: impl Display) -> Self {
        let mut namespace = escaped(&namespace);
        if letters(&namespace) > NAMESPACE_LETTERS {
            namespace = hash(&namespace);
        }
        let text = namespace.clone();
        Self { namespace, parts: String::new(), named: Vec::new(), text }
    }

    /// A namespace within the namespace; it stays readable in a key that is hashed. For keys without parts so far.
    #[must_use]
    pub fn within(self, namespace: impl Display) -> Self {
        let mut whole = format!("{}:{}", self.namespace, escaped(&namespace));
        if letters(&whole) > NAMESPACE_LETTERS {
            whole = hash(&whole);
        }
        Self { namespace: whole, ..self }.written()
    }

    /// As [`within`](Self::within), for a [`hash`] in place of a text that is too long for it.
    pub(super) fn within_hash(self, hash: &str) -> Self {
        Self { namespace: format!("{}:{hash}", self.namespace), ..self }.written()
    }

    /// One more part.
    #[must_use]
    pub fn part(mut self, part: impl Display) -> Self {
        self.parts.push(':');
        self.parts.push_str(&escaped(&part));
        self.written()
    }

    /// A part with a name. The order of names makes no difference; that of values under one name does.
    #[must_use]
    pub fn named(mut self, name: impl Display, value: impl Display) -> Self {
        let name = escaped(&name);
        let at = self.named.partition_point(|(other, _)| *other <= name);
        self.named.insert(at, (name, escaped(&value)));
        self.written()
    }

    /// The key.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// All keys that begin with this one's parts and have more: `search:*` for a namespace alone. The parts of a key that is
    /// hashed cannot be told apart, so only its namespace counts then.
    ///
    /// ```
    /// use larder_protocol::client::Key;
    ///
    /// assert_eq!(Key::new("user").part(7).below().text(), "user:7:*");
    /// ```
    #[must_use]
    pub fn below(&self) -> Pattern {
        let hashed = self.text.len() < self.whole().len();
        let start = if hashed { &self.namespace } else { &self.text };
        Pattern::glob(format!("{}:*", literal(start)))
    }

    /// Everything, however long.
    fn whole(&self) -> String {
        let mut whole = format!("{}{}", self.namespace, self.parts);
        for (name, value) in &self.named {
            write!(whole, ":{name}={value}").expect("writing to a string cannot fail");
        }
        whole
    }

    fn written(mut self) -> Self {
        let whole = self.whole();
        let too_long = letters(&whole) > KEY_LETTERS;
        self.text = if too_long { format!("{}:{}", self.namespace, hash(&whole)) } else { whole };
        self
    }
}

/// A key of a namespace and parts, which may be named: `key!("search", query = q, source = s)`. See [`Key`](crate::client::Key).
///
/// Parts are anything that can be displayed. They count as they are written: `1` and `"1"` are the same part.
///
/// ```
/// use larder_protocol::key;
///
/// assert_eq!(key!("user", 7, "profile").as_str(), "user:7:profile");
/// assert_eq!(key!("search", query = "a:b", source = "web").as_str(), "search:query=a%3Ab:source=web");
/// let query = "shorthand";
/// assert_eq!(key!("search", query).as_str(), "search:shorthand");
/// ```
#[macro_export]
macro_rules! key {
    ($namespace:expr $(,)?) => { $crate::client::Key::new($namespace) };
    ($namespace:expr, $($parts:tt)+) => { $crate::key!(@ $crate::client::Key::new($namespace), $($parts)+) };
    (@ $key:expr, $name:ident = $value:expr $(, $($rest:tt)*)?) => {
        $crate::key!(@ $key.named(stringify!($name), $value) $(, $($rest)*)?)
    };
    (@ $key:expr, $part:expr $(, $($rest:tt)*)?) => { $crate::key!(@ $key.part($part) $(, $($rest)*)?) };
    (@ $key:expr $(,)?) => { $key };
}

fn letters(text: &str) -> usize {
    text.chars().count()
}

/// A part whose letters mean nothing but themselves.
fn escaped(part: &impl Display) -> String {
    let mut text = String::new();
    write!(Escaping(&mut text), "{part}").expect("writing to a string cannot fail");
    text
}

/// Escapes what is written through it.
struct Escaping<'a>(&'a mut String);

impl fmt::Write for Escaping<'_> {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        for letter in part.chars() {
            match letter {
                // Of keys, of globs, of hashes, of command lines; the percent sign for itself.
                ':' | '=' | '%' | '#' | '*' | '?' | '[' | ']' | '\\' | '"' | '\'' | '\0'..=' ' | '\x7f' => {
                    write!(self.0, "%{:02X}", u32::from(letter))?;
                }
                letter => self.0.push(letter),
            }
        }
        Ok(())
    }
}

/// A hash in the form in which it stands in a key.
pub(super) fn hash(text: &str) -> String {
    format!("#{}", random::to_hex(&Sha256::digest(text.as_bytes())))
}

impl AsRef<[u8]> for Key {
    fn as_ref(&self) -> &[u8] {
        self.text.as_bytes()
    }
}

impl AsRef<str> for Key {
    fn as_ref(&self) -> &str {
        &self.text
    }
}

impl Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<Key> for String {
    fn from(key: Key) -> Self {
        key.text
    }
}

/// Keys are the same if they name the same entry.
impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Key {}

impl std::hash::Hash for Key {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keys_are_readable_sorted_and_escaped() {
        for (key, text) in [
            (key!("plain"), "plain"),
            (key!("a", "b", 3, true), "a:b:3:true"),
            (key!("a", z = 1, b = 2, "after"), "a:after:b=2:z=1"),
            (key!("a:b", "c=d", n = "e*f"), "a%3Ab:c%3Dd:n=e%2Af"),
            (key!("a", "", ""), "a::"),
            (key!("a", "größe 日本"), "a:größe%20日本"),
            (Key::new("app").within("search").part("q"), "app:search:q"),
            (Key::new("a").named("k", 2).named("k", 1), "a:k=2:k=1"),
        ] {
            assert_eq!(key.as_str(), text);
        }
    }

    #[test]
    fn long_keys_keep_their_namespace_and_are_stable() {
        let long = |query: &str| key!("search", query = query);
        let edge = KEY_LETTERS - "search:query=".len();
        assert_eq!(long(&"x".repeat(edge)).as_str().len(), KEY_LETTERS);
        let hashed = long(&"x".repeat(edge + 1));
        assert_eq!(
            hashed.as_str(),
            "search:#db7f1ad2d1fdcf7649d02a092404583d99c3925b97e12e0d8c7964ac6c41c874",
            "other programs may have stored it"
        );
        assert_eq!(hashed.below().text(), "search:*");
        assert_eq!(key!("search", "a*b").below().text(), "search:a%2Ab:*");
        let deep = Key::new("n".repeat(300)).part("x".repeat(300));
        assert!(letters(deep.as_str()) <= KEY_LETTERS && deep.as_str().starts_with('#'), "{deep}");
        // What looks like a hash is not one.
        let crafted = Key::new("search").part(&hashed.as_str()["search:".len()..]);
        assert_ne!(crafted, hashed);
    }

    proptest! {
        #[test]
        fn different_parts_make_different_keys(
            one in vec("[ab:=%#*]{0,3}", 0..4), other in vec("[ab:=%#*]{0,3}", 0..4), names in any::<(u8, u8)>(),
        ) {
            let make = |parts: &[String], names: u8| {
                let add = |key: Key, (i, part): (usize, &String)| {
                    if names >> i & 1 == 1 { key.named("n", part) } else { key.part(part) }
                };
                parts.iter().enumerate().fold(Key::new("t"), add)
            };
            // In the order of the key: named parts behind the others.
            let told = |parts: &[String], names: u8| {
                let mut told: Vec<_> =
                    parts.iter().enumerate().map(|(i, part)| (names >> i & 1, part.clone())).collect();
                told.sort_by_key(|(named, _)| *named);
                told
            };
            let same = told(&one, names.0) == told(&other, names.1);
            prop_assert_eq!(make(&one, names.0) == make(&other, names.1), same);
        }

        #[test]
        fn keys_are_never_too_long(namespace in ".{0,300}", part in ".{0,300}", value in ".{0,300}") {
            let key = Key::new(namespace).part(part).named("n", value);
            prop_assert!(letters(key.as_str()) <= KEY_LETTERS);
        }
    }
}
