//! Patterns over keys: Redis's globs and SQL's LIKE.
//!
//! Used by the commands that take a pattern (DELPAT, KEYS, SCAN) and by the store, which narrows its search to the
//! literal prefix. Patterns and keys are bytes: `?` and `_` stand for one byte, whatever the key's encoding.
//!
//! A pattern is compiled once and matched without recursion: a star remembers one place to come back to, and a later
//! star replaces it, because what an earlier star could still try, the later one tries as well. So the worst case is
//! the product of the two lengths, never more (see R. Cox, "Glob Matching Can Be Simple And Fast Too", 2017). Whoever
//! accepts patterns from a client still bounds their length: 64 KiB against 64 KiB is four thousand million steps.

/// A compiled pattern. It matches a key as a whole or not at all.
#[derive(Clone, Debug)]
pub struct Pattern {
    /// What every matching key begins with.
    prefix: Vec<u8>,
    /// What follows the prefix. Never begins with [`Token::Byte`]; never has two stars in a row.
    rest: Vec<Token>,
    classes: Vec<Class>,
    /// Bytes of the shortest key that `rest` could match.
    rest_bytes_min: usize,
    has_star: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    /// This byte.
    Byte(u8),
    /// Any one byte.
    Any,
    /// One byte out of the class with this index.
    Class(u32),
    /// Any bytes, also none.
    Star,
}

/// A set of bytes, one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Class([u64; 4]);

impl Class {
    fn insert(&mut self, byte: u8) {
        self.0[usize::from(byte >> 6)] |= 1 << (byte & 63);
    }

    fn contains(&self, byte: u8) -> bool {
        self.0[usize::from(byte >> 6)] & (1 << (byte & 63)) != 0
    }

    fn negated(self) -> Self {
        Self(self.0.map(|bits| !bits))
    }

    /// The only member, if there is just one.
    fn single(&self) -> Option<u8> {
        let count: u32 = self.0.iter().map(|bits| bits.count_ones()).sum();
        (count == 1).then(|| (0..=u8::MAX).find(|byte| self.contains(*byte)))?
    }
}

/// The least bytes that are greater than all that begin with `prefix`; `None` where there are none such.
#[must_use]
pub fn successor(mut prefix: Vec<u8>) -> Option<Vec<u8>> {
    // What begins with the prefix ends where the last byte that can grow has grown.
    while let Some(last) = prefix.pop() {
        if last < u8::MAX {
            prefix.push(last + 1);
            return Some(prefix);
        }
    }
    None
}

impl Pattern {
    /// Compiles a glob as Redis reads it (`stringmatchlen` in its `util.c`, version 7). No text is wrong:
    ///
    /// - `*` any bytes, `?` any one byte, `\x` the byte x; a `\` at the end is itself;
    /// - `[abc]` one of these, `[^abc]` one but these, `[a-c]` a range, `[c-a]` the same range. `]` always closes the
    ///   class unless it is escaped or ends a range, so that `[]` matches nothing and `[^]` any byte;
    /// - a class that is not closed ends with the pattern.
    ///
    /// Two differences: `**` is `*` for the empty key too, and bytes in ranges are compared unsigned, where Redis
    /// compares C's `char`, whose sign differs between machines.
    #[must_use]
    pub fn glob(pattern: &[u8]) -> Self {
        let mut builder = Builder::default();
        let mut left = pattern;
        while let [first, after @ ..] = left {
            left = after;
            match first {
                b'*' => builder.push(Token::Star),
                b'?' => builder.push(Token::Any),
                b'[' => {
                    let (class, after) = read_class(left);
                    builder.push_class(class);
                    left = after;
                }
                b'\\' => left = builder.push_escaped(left),
                byte => builder.push(Token::Byte(*byte)),
            }
        }
        builder.finish()
    }

    /// Compiles a LIKE pattern: `%` any bytes, `_` any one byte, `\x` the byte x; a `\` at the end is itself. Case
    /// matters, unlike in many a database, because keys that differ in case are different keys.
    #[must_use]
    pub fn like(pattern: &[u8]) -> Self {
        let mut builder = Builder::default();
        let mut left = pattern;
        while let [first, after @ ..] = left {
            left = after;
            match first {
                b'%' => builder.push(Token::Star),
                b'_' => builder.push(Token::Any),
                b'\\' => left = builder.push_escaped(left),
                byte => builder.push(Token::Byte(*byte)),
            }
        }
        builder.finish()
    }

    /// Whether the whole of `key` fits the pattern.
    #[must_use]
    pub fn matches(&self, key: &[u8]) -> bool {
        let Some(key) = key.strip_prefix(self.prefix.as_slice()) else { return false };
        if key.len() < self.rest_bytes_min || (!self.has_star && key.len() != self.rest_bytes_min) {
            return false;
        }
        let (mut at_key, mut at_token) = (0, 0);
        // Where the last star stands, and from which byte on to try next what follows it.
        let mut retry: Option<(usize, usize)> = None;
        loop {
            match (self.rest.get(at_token), key.get(at_key)) {
                (None, None) => return true,
                (Some(Token::Star), _) => {
                    // A star at the end takes whatever is left.
                    if at_token + 1 == self.rest.len() {
                        return true;
                    }
                    at_token += 1;
                    retry = Some((at_token, at_key));
                }
                (Some(token), Some(byte)) if self.fits(*token, *byte) => {
                    at_token += 1;
                    at_key += 1;
                }
                // The key has ended too early; starting what follows the star later can only make it end earlier.
                (Some(_), None) => return false,
                (_, Some(_)) => {
                    let Some((token, start)) = retry else { return false };
                    retry = Some((token, start + 1));
                    (at_token, at_key) = (token, start + 1);
                }
            }
        }
    }

    /// The bytes every matching key begins with, for a search in an ordered index.
    #[must_use]
    pub fn literal_prefix(&self) -> &[u8] {
        &self.prefix
    }

    /// The least bytes that are greater than every key that can match; `None` where there are none such.
    #[must_use]
    pub fn upper_bound(&self) -> Option<Vec<u8>> {
        let mut bound = self.prefix.clone();
        if self.is_literal() {
            bound.push(0);
            return Some(bound);
        }
        successor(bound)
    }

    /// Whether only one key can match: [`Pattern::literal_prefix`].
    #[must_use]
    pub fn is_literal(&self) -> bool {
        self.rest.is_empty()
    }

    fn fits(&self, token: Token, byte: u8) -> bool {
        match token {
            Token::Byte(expected) => expected == byte,
            Token::Any => true,
            Token::Class(index) => self.classes[index as usize].contains(byte),
            Token::Star => false,
        }
    }
}

/// Reads a class behind its `[`. Returns it with what follows its `]`.
fn read_class(pattern: &[u8]) -> (Class, &[u8]) {
    let (negate, mut left) = match pattern {
        [b'^', after @ ..] => (true, after),
        _ => (false, pattern),
    };
    let mut class = Class::default();
    loop {
        left = match left {
            [] => break,
            [b'\\', byte, after @ ..] => {
                class.insert(*byte);
                after
            }
            [b']', after @ ..] => {
                left = after;
                break;
            }
            [a, b'-', b, after @ ..] => {
                (*a.min(b)..=*a.max(b)).for_each(|byte| class.insert(byte));
                after
            }
            [byte, after @ ..] => {
                class.insert(*byte);
                after
            }
        };
    }
    (if negate { class.negated() } else { class }, left)
}

#[derive(Default)]
struct Builder {
    prefix: Vec<u8>,
    rest: Vec<Token>,
    classes: Vec<Class>,
}

impl Builder {
    fn push(&mut self, token: Token) {
        match token {
            Token::Byte(byte) if self.rest.is_empty() => self.prefix.push(byte),
            Token::Star if self.rest.last() == Some(&Token::Star) => {}
            _ => self.rest.push(token),
        }
    }

    /// Adds what stands behind a `\` and returns what follows.
    fn push_escaped<'p>(&mut self, left: &'p [u8]) -> &'p [u8] {
        let (byte, after) = left.split_first().unwrap_or((&b'\\', &[]));
        self.push(Token::Byte(*byte));
        after
    }

    fn push_class(&mut self, class: Class) {
        // `[*]` is how many people escape: as a plain byte it can be part of the prefix.
        if let Some(byte) = class.single() {
            self.push(Token::Byte(byte));
        } else {
            let index = u32::try_from(self.classes.len()).expect("a pattern is shorter than 4 GiB");
            self.classes.push(class);
            self.push(Token::Class(index));
        }
    }

    fn finish(self) -> Pattern {
        let stars = self.rest.iter().filter(|token| **token == Token::Star).count();
        Pattern {
            rest_bytes_min: self.rest.len() - stars,
            has_star: stars > 0,
            prefix: self.prefix,
            rest: self.rest,
            classes: self.classes,
        }
    }
}

#[cfg(test)]
mod tests;
