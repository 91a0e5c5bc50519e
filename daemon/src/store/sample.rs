//! One key of the main file, drawn at random without going through them: for RANDOMKEY.
//!
//! Rows have no numbers, so the keys are taken as a tree: of the bytes that follow what all keys have in common one is
//! drawn, then one of those that follow that, until a single key is left. Each branch costs one look into the index. Keys
//! in sparse parts of the tree would come too often that way. So several are drawn, and one of them is chosen in proportion
//! to how many keys it stands for, which is the product of the numbers of branches that it was drawn from.

use std::collections::HashMap;
use std::rc::Rc;

use rusqlite::{CachedStatement, Connection, OptionalExtension as _, Params, Row};

use super::error::StoreError;
use super::readers::Readers;
use super::sql;
use crate::entry::{Deadline, Key};
use crate::glob::successor;

/// Keys drawn before one of them is chosen, at most: the more, the more even the chances.
const DRAWS_MAX: usize = 64;

/// After so many looks into the index no more keys are drawn: about a millisecond.
const LOOKS_MAX: usize = 500;

/// Branchings on the way to a key before the next key is taken, whatever its chances.
const FORKS_MAX: usize = 64;

/// What was drawn.
#[derive(Debug, Default)]
pub struct Sample {
    /// Rows of the main file.
    pub rows: usize,
    /// One of them, and when it expires; `None` where there is none.
    pub row: Option<(Key, Deadline)>,
}

impl Readers {
    /// Draws a row. `draw` gives a random number below the one it is given, which is not 0.
    ///
    /// # Errors
    /// Where SQLite cannot read.
    pub fn sample(&self, mut draw: impl FnMut(usize) -> usize) -> Result<Sample, StoreError> {
        /// Steps in which one of the drawn keys is chosen.
        const STEPS: usize = 1 << 30;
        self.with(|connection| {
            let snapshot = connection.unchecked_transaction()?;
            let rows: i64 = snapshot.query_row(sql::READ_ACCOUNTING, (), |row| row.get(0))?;
            let mut tree = Tree::new(&snapshot)?;
            let mut sample = Sample { rows: rows.max(0) as usize, row: None };
            let mut total = 0.0;
            for _ in 0..DRAWS_MAX {
                let Some((row, weight)) = tree.draw(&mut draw)? else { break };
                total += weight;
                if draw(STEPS) as f64 * total < STEPS as f64 * weight {
                    sample.row = Some(row);
                }
                if tree.looks > LOOKS_MAX {
                    break;
                }
            }
            Ok(sample)
        })
    }
}

type Found = (Key, Deadline);

/// The keys as a tree. What was looked up once is remembered: the draws begin alike.
struct Tree<'a> {
    from: CachedStatement<'a>,
    below: CachedStatement<'a>,
    last: CachedStatement<'a>,
    forks: HashMap<Vec<u8>, Rc<Fork>>,
    /// How often it looked into the index.
    looks: usize,
}

/// Where keys with a common beginning part.
enum Fork {
    /// There is one only.
    Leaf(Found),
    /// There are several.
    Branches {
        /// What they have in common.
        common: Vec<u8>,
        /// The one that has nothing more.
        end: Option<Found>,
        /// The bytes that follow in the others.
        bytes: Vec<u8>,
    },
}

impl<'a> Tree<'a> {
    fn new(connection: &'a Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            from: connection.prepare_cached(sql::KEY_FROM)?,
            below: connection.prepare_cached(sql::KEY_BELOW)?,
            last: connection.prepare_cached(sql::KEY_LAST)?,
            forks: HashMap::new(),
            looks: 0,
        })
    }

    /// A key, and how many it stands for.
    fn draw(&mut self, draw: &mut impl FnMut(usize) -> usize) -> rusqlite::Result<Option<(Found, f64)>> {
        let (mut beginning, mut weight) = (Vec::new(), 1.0);
        for _ in 0..FORKS_MAX {
            let Some(fork) = self.fork(&beginning)? else { return Ok(None) };
            let (common, end, bytes) = match &*fork {
                Fork::Leaf(found) => return Ok(Some((found.clone(), weight))),
                Fork::Branches { common, end, bytes } => (common, end, bytes),
            };
            let branches = bytes.len() + usize::from(end.is_some());
            weight *= branches as f64;
            match (bytes.get(draw(branches)), end) {
                (Some(&byte), _) => {
                    beginning.clone_from(common);
                    beginning.push(byte);
                }
                (None, end) => return Ok(end.clone().map(|found| (found, weight))),
            }
        }
        Ok(found(&mut self.from, [&beginning])?.map(|found| (found, weight)))
    }

    /// How the keys that begin with `beginning` part.
    fn fork(&mut self, beginning: &[u8]) -> rusqlite::Result<Option<Rc<Fork>>> {
        if let Some(fork) = self.forks.get(beginning) {
            return Ok(Some(Rc::clone(fork)));
        }
        let first = found(&mut self.from, [beginning])?;
        let last = match successor(beginning.to_vec()) {
            Some(bound) => found(&mut self.below, [bound])?,
            None => found(&mut self.last, [])?,
        };
        let (Some(first), Some((last, _))) = (first, last) else { return Ok(None) };
        self.looks += 2;
        let fork = if first.0 == last {
            Fork::Leaf(first)
        } else {
            let shared = first.0.iter().zip(last.iter()).take_while(|(a, b)| a == b).count();
            let common = first.0[..shared].to_vec();
            let end = (first.0.len() == shared).then_some(first);
            let bytes = self.bytes_between(&common, &last)?;
            Fork::Branches { common, end, bytes }
        };
        let fork = Rc::new(fork);
        self.forks.insert(beginning.to_vec(), Rc::clone(&fork));
        Ok(Some(fork))
    }

    /// The bytes that follow `common` in keys up to `last`.
    fn bytes_between(&mut self, common: &[u8], last: &[u8]) -> rusqlite::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut next = Some(0);
        while let Some(least) = next {
            let from = [common, &[least]].concat();
            let found = found(&mut self.from, [from])?.filter(|(key, _)| **key <= *last);
            let byte = found.and_then(|(key, _)| key.get(common.len()).copied());
            bytes.extend(byte);
            self.looks += 1;
            next = byte.and_then(|byte| byte.checked_add(1));
        }
        Ok(bytes)
    }
}

fn found(statement: &mut CachedStatement<'_>, params: impl Params) -> rusqlite::Result<Option<Found>> {
    let read = |row: &Row<'_>| Ok((row.get_ref(0)?.as_blob()?.into(), Deadline::from_stored(row.get(1)?)));
    statement.query_row(params, read).optional()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::entry::Entry;
    use crate::store::accounting::{Accounting, Rows};
    use crate::store::main_file;
    use crate::store::merge::transact;
    use crate::store::row::{Compression, Packer};

    /// How often each of `keys` comes in `draws`.
    fn counts(keys: &[Key], draws: usize) -> BTreeMap<Key, usize> {
        let dir = tempfile::tempdir().unwrap();
        let connection = main_file::open_writer(dir.path(), 0).unwrap();
        let mut packer = Packer::new(Compression { from_bytes: None, level: 1 });
        transact(&connection, &mut Accounting::default(), |connection, accounting| {
            let mut rows = Rows::new(connection, accounting)?;
            keys.iter().try_for_each(|key| rows.put(key, None, &packer.pack(key, &Entry::forever("v"), 0)))
        })
        .unwrap();
        let readers = Readers::open(dir.path(), 1).unwrap();
        let mut state = 1_u64;
        let mut draw = |bound: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % bound
        };
        let mut counts = BTreeMap::new();
        for _ in 0..draws {
            let sample = readers.sample(&mut draw).unwrap();
            assert_eq!(sample.rows, keys.len());
            assert_eq!(sample.row.is_none(), keys.is_empty());
            if let Some((key, deadline)) = sample.row {
                assert_eq!(deadline, Deadline::NEVER);
                *counts.entry(key).or_default() += 1;
            }
        }
        counts
    }

    #[test]
    fn keys_of_every_form_are_drawn() {
        assert!(counts(&[], 3).is_empty());
        let one: Key = b"only"[..].into();
        assert_eq!(counts(std::slice::from_ref(&one), 3), BTreeMap::from([(one, 3)]));
        let keys: Vec<Key> = [
            &b""[..],
            b"\0",
            b"\0\0",
            b"a",
            b"aa",
            b"ab",
            b"abc",
            b"ab\xff",
            b"b",
            b"\xfe",
            b"\xff",
            b"\xff\xff",
            b"\xff\xffz",
        ]
        .map(Key::from)
        .into();
        assert!(counts(&keys, 2_000).keys().eq(&keys));
    }

    #[test]
    fn the_chances_are_about_even() {
        const EACH: usize = 20;
        // Many that differ in their digits only, and few that branch off at once.
        let many = (0..400).map(|number| format!("user:{number}"));
        let few = (0..8).map(|number| format!("{number}"));
        let keys: Vec<Key> = many.chain(few).map(|key| Key::from(key.as_bytes())).collect();
        let counts = counts(&keys, keys.len() * EACH);
        for key in &keys {
            let count = counts.get(key).copied().unwrap_or(0);
            assert!((EACH / 4..EACH * 4).contains(&count), "{}: {count}", key.escape_ascii());
        }
    }
}
