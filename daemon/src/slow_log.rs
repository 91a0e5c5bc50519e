//! The commands that took longest to answer of late: what SLOWLOG shows. Bounded in number, and in size by what it keeps of
//! each. A leaf: knows words and times, never what a command means.

use std::collections::VecDeque;

/// Words kept of a request.
const WORDS_MAX: usize = 32;

/// Bytes kept of a word.
const WORD_BYTES_MAX: usize = 128;

/// A slow command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlowCommand {
    /// Its number; grows with every one and is never used again.
    pub id: u64,
    /// When it was done, in unix milliseconds.
    pub time_ms: i64,
    /// How long it took, in microseconds.
    pub us: u64,
    /// Its words, shortened as Redis shortens them: the first 31 and how many more, each up to 128 bytes and how many more.
    pub words: Vec<Vec<u8>>,
    /// The client's number.
    pub client: u64,
    /// The client's name, or empty.
    pub client_name: String,
    /// Where it connects from, as CLIENT LIST has it.
    pub client_address: String,
}

/// The last of them.
#[derive(Debug, Default)]
pub struct SlowLog {
    commands: VecDeque<SlowCommand>,
    next_id: u64,
}

impl SlowLog {
    /// Adds one, and forgets the oldest beyond `kept`.
    pub fn add<'a>(
        &mut self,
        words: impl ExactSizeIterator<Item = &'a [u8]>,
        (time_ms, us): (i64, u64),
        (client, client_name, client_address): (u64, &str, String),
        kept: usize,
    ) {
        let words = shortened(words);
        let id = self.next_id;
        self.next_id += 1;
        let client_name = client_name.to_owned();
        self.commands.push_front(SlowCommand { id, time_ms, us, words, client, client_name, client_address });
        self.commands.truncate(kept);
    }

    /// The newest `count` of them, the newest first.
    pub fn newest(&self, count: usize) -> impl Iterator<Item = &SlowCommand> {
        self.commands.iter().take(count)
    }

    /// How many are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.commands.len()
    }

    /// Forgets all of them.
    pub fn clear(&mut self) {
        self.commands.clear();
    }
}

fn shortened<'a>(words: impl ExactSizeIterator<Item = &'a [u8]>) -> Vec<Vec<u8>> {
    let count = words.len();
    let shown = if count > WORDS_MAX { WORDS_MAX - 1 } else { count };
    let mut kept: Vec<Vec<u8>> = words
        .take(shown)
        .map(|word| match word.get(..WORD_BYTES_MAX) {
            Some(start) if word.len() > WORD_BYTES_MAX => {
                let more = format!("... ({} more bytes)", word.len() - WORD_BYTES_MAX);
                [start, more.as_bytes()].concat()
            }
            _ => word.to_vec(),
        })
        .collect();
    if count > shown {
        kept.push(format!("... ({} more arguments)", count - shown).into_bytes());
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_stay_and_long_requests_are_shortened() {
        let mut log = SlowLog::default();
        for us in 0..5 {
            log.add([&b"get"[..], b"k"].into_iter(), (1, us), (9, "me", "there".into()), 3);
        }
        assert_eq!(log.newest(2).map(|slow| (slow.id, slow.us)).collect::<Vec<_>>(), [(4, 4), (3, 3)]);
        assert_eq!(log.len(), 3);
        let (word, words) = (vec![b'x'; 200], vec![&b"w"[..]; 40]);
        log.add([&word[..]].into_iter(), (1, 1), (9, "", String::new()), 3);
        log.add(words.into_iter(), (1, 1), (9, "", String::new()), 3);
        let all: Vec<_> = log.newest(2).collect();
        assert_eq!(all[1].words[0], [&word[..128], b"... (72 more bytes)"].concat());
        assert_eq!((all[0].words.len(), &all[0].words[31][..]), (32, &b"... (9 more arguments)"[..]));
        log.clear();
        assert_eq!(log.len(), 0);
    }
}
