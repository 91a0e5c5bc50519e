//! Keyspace notifications: which changes of keys are told, as `notify_keyspace_events` says in Redis's letters, and what they
//! are called. Used by the cache, which notes what its commands change, and by the stream, which publishes it. A leaf.
//!
//! A change is told after its commit. That a key has expired or was evicted is told when its entry is removed: by a
//! merge, or by a clean-up.

use std::fmt;
use std::str::FromStr;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::entry::Key;

/// Keys noted by other threads that nobody has taken yet: more are not noted.
const UNTAKEN_MAX: usize = 65_536;

/// Which changes are told, and on which channels: the letters of Redis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told(u16);

/// A kind of change, or of channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum NoticeKind {
    /// `K`: on the channel of the key.
    ByKey = 1,
    /// `E`: on the channel of the event.
    ByEvent = 2,
    /// `g`: commands for any type.
    Generic = 4,
    /// `$`: commands for strings.
    String = 8,
    /// `x`: expired.
    Expired = 16,
    /// `e`: evicted.
    Evicted = 32,
    /// `m`: read and not found.
    Missed = 64,
}

/// The letters, `A` aside.
const LETTERS: [(char, u16); 7] = [
    ('g', NoticeKind::Generic as u16),
    ('$', NoticeKind::String as u16),
    ('x', NoticeKind::Expired as u16),
    ('e', NoticeKind::Evicted as u16),
    ('K', NoticeKind::ByKey as u16),
    ('E', NoticeKind::ByEvent as u16),
    ('m', NoticeKind::Missed as u16),
];

/// What `A` stands for. Misses are not among it, as in Redis.
const ALL: u16 = NoticeKind::Generic as u16
    | NoticeKind::String as u16
    | NoticeKind::Expired as u16
    | NoticeKind::Evicted as u16;

/// Letters for what larder does not have: lists, sets, hashes, sorted sets, streams, modules.
const WITHOUT_EFFECT: &str = "lshztd";

impl Told {
    /// Whether changes of that kind are told on some channel.
    #[must_use]
    pub fn tells(self, kind: NoticeKind) -> bool {
        self.0 & kind as u16 != 0 && self.0 & (NoticeKind::ByKey as u16 | NoticeKind::ByEvent as u16) != 0
    }

    /// Whether it has that letter.
    #[must_use]
    pub fn has(self, kind: NoticeKind) -> bool {
        self.0 & kind as u16 != 0
    }

    /// Whether anything is told at all.
    #[must_use]
    pub fn any(self) -> bool {
        let kinds = ALL | NoticeKind::Missed as u16;
        self.0 & kinds != 0 && self.0 & (NoticeKind::ByKey as u16 | NoticeKind::ByEvent as u16) != 0
    }
}

impl FromStr for Told {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut told = 0;
        for letter in text.chars() {
            told |= match LETTERS.iter().find(|(known, _)| *known == letter) {
                Some((_, bits)) => *bits,
                None if letter == 'A' => ALL,
                None if WITHOUT_EFFECT.contains(letter) => 0,
                None => return Err(format!("not letters out of KEg$xeAm: {letter:?}")),
            };
        }
        Ok(Self(told))
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.0 & ALL == ALL;
        if all {
            f.write_str("A")?;
        }
        for (letter, bits) in LETTERS {
            if self.0 & bits != 0 && !(all && ALL & bits != 0) {
                write!(f, "{letter}")?;
            }
        }
        Ok(())
    }
}

/// A change of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Of which kind it is.
    pub kind: NoticeKind,
    /// What Redis calls it.
    pub event: &'static str,
    /// The key.
    pub key: Key,
}

/// As which command a SET is told that leaves the entry's TTL as it was: of that nothing is told.
pub const SET_KEEPTTL: &str = "set keepttl";

/// What Redis calls it when `command` stores an entry.
fn stored(command: &str) -> (NoticeKind, &'static str) {
    match command {
        "incr" | "decr" | "incrby" | "decrby" => (NoticeKind::String, "incrby"),
        "incrbyfloat" => (NoticeKind::String, "incrbyfloat"),
        "append" => (NoticeKind::String, "append"),
        "setrange" => (NoticeKind::String, "setrange"),
        "expire" | "pexpire" | "expireat" | "pexpireat" | "getex" => (NoticeKind::Generic, "expire"),
        "persist" => (NoticeKind::Generic, "persist"),
        "rename" | "renamenx" => (NoticeKind::Generic, "rename_to"),
        "copy" => (NoticeKind::Generic, "copy_to"),
        _ => (NoticeKind::String, "set"),
    }
}

/// What Redis calls it when `command` deletes an entry.
fn deleted(command: &str) -> (NoticeKind, &'static str) {
    match command {
        "rename" | "renamenx" => (NoticeKind::Generic, "rename_from"),
        _ => (NoticeKind::Generic, "del"),
    }
}

/// The changes of the commands that have run, until their commit and afterwards until they are told.
#[derive(Debug, Default)]
pub struct Notices {
    told: Told,
    /// The command that runs.
    command: &'static str,
    uncommitted: Vec<Notice>,
    committed: Vec<Notice>,
}

impl Notices {
    /// Which changes are noted from now on.
    pub fn tell(&mut self, told: Told) {
        self.told = told;
    }

    /// Whether there is anything to note.
    #[must_use]
    pub fn any(&self) -> bool {
        self.told.any()
    }

    /// The changes that follow are this command's.
    pub fn by(&mut self, command: &'static str) {
        self.command = command;
    }

    /// An entry was stored.
    pub fn stored(&mut self, key: &[u8], with_ttl: bool) {
        let (kind, event) = match self.command {
            "getex" if !with_ttl => (NoticeKind::Generic, "persist"),
            command => stored(command),
        };
        self.note(kind, event, key);
        if event == "set" && with_ttl && self.command != SET_KEEPTTL {
            self.note(NoticeKind::Generic, "expire", key);
        }
    }

    /// An entry was deleted.
    pub fn deleted(&mut self, key: &[u8]) {
        let (kind, event) = deleted(self.command);
        self.note(kind, event, key);
    }

    /// A key was read and is not there.
    pub fn missed(&mut self, key: &[u8]) {
        if self.told.tells(NoticeKind::Missed) && self.committed.len() < UNTAKEN_MAX {
            // Nothing was changed, so there is no commit to wait for.
            self.committed.push(Notice { kind: NoticeKind::Missed, event: "keymiss", key: key.into() });
        }
    }

    fn note(&mut self, kind: NoticeKind, event: &'static str, key: &[u8]) {
        if self.told.tells(kind) {
            self.uncommitted.push(Notice { kind, event, key: key.into() });
        }
    }

    /// Whether there is something to tell.
    #[must_use]
    pub fn are_due(&self) -> bool {
        !self.committed.is_empty()
    }

    /// What was noted is committed. Whether there is something to tell.
    pub fn commit(&mut self) -> bool {
        self.committed.append(&mut self.uncommitted);
        !self.committed.is_empty()
    }

    /// What was noted did not come to be.
    pub fn discard(&mut self) {
        self.uncommitted.clear();
    }

    /// Adds changes that other threads have made.
    pub fn add(&mut self, notices: impl Iterator<Item = Notice>) {
        let told = self.told;
        self.committed.extend(notices.filter(|notice| told.tells(notice.kind)));
    }

    /// What is to be told, and on which channels.
    pub fn take(&mut self) -> (Told, Vec<Notice>) {
        (self.told, std::mem::take(&mut self.committed))
    }
}

/// Keys that other threads have removed, until the event loop takes them.
#[derive(Debug, Default)]
pub struct Removed {
    wanted: AtomicBool,
    keys: Mutex<Vec<(NoticeKind, Key)>>,
}

impl Removed {
    /// Whether keys are to be noted from now on.
    pub fn want(&self, wanted: bool) {
        self.wanted.store(wanted, Ordering::Relaxed);
    }

    /// Notes keys, if that is wanted and there is room.
    pub fn note(&self, kind: NoticeKind, keys: Vec<Key>) {
        if self.wanted.load(Ordering::Relaxed) {
            let mut noted = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
            let room = UNTAKEN_MAX - noted.len();
            noted.extend(keys.into_iter().take(room).map(|key| (kind, key)));
        }
    }

    /// Takes what has been noted.
    pub fn take(&self) -> impl Iterator<Item = Notice> {
        let keys = std::mem::take(&mut *self.keys.lock().unwrap_or_else(PoisonError::into_inner));
        keys.into_iter().map(|(kind, key)| {
            let event = if kind == NoticeKind::Expired { "expired" } else { "evicted" };
            Notice { kind, event, key }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_read_and_shown_as_redis_does() {
        for (text, shown) in [
            ("", ""),
            ("KEA", "AKE"),
            ("Kg$xe", "AK"),
            ("xE", "xE"),
            ("KEAm", "AKEm"),
            ("lshzK", "K"),
            ("Ex$", "$xE"),
        ] {
            assert_eq!(text.parse::<Told>().map(|told| told.to_string()), Ok(shown.to_owned()), "{text}");
        }
        assert!("KQ".parse::<Told>().unwrap_err().contains("'Q'"));
        let told = |text: &str| text.parse::<Told>().unwrap();
        assert!(told("Ex").tells(NoticeKind::Expired) && !told("x").tells(NoticeKind::Expired));
        assert!(!told("Ex").tells(NoticeKind::Generic) && !told("KE").any() && told("Km").any());
    }

    #[test]
    fn what_was_missed_is_due_at_once_and_never_too_much() {
        let mut notices = Notices::default();
        notices.missed(b"untold");
        assert!(!notices.are_due());
        notices.tell("Km".parse().unwrap());
        for _ in 0..UNTAKEN_MAX + 10 {
            notices.missed(b"k");
        }
        assert!(notices.are_due());
        assert_eq!((notices.take().1.len(), notices.are_due()), (UNTAKEN_MAX, false));
    }

    #[test]
    fn removed_keys_are_noted_if_wanted_and_never_too_many() {
        let removed = Removed::default();
        removed.note(NoticeKind::Expired, vec![(*b"a").into()]);
        assert_eq!(removed.take().count(), 0);
        removed.want(true);
        removed.note(NoticeKind::Evicted, vec![(*b"a").into()]);
        let notices: Vec<_> = removed.take().collect();
        assert_eq!((notices.len(), notices[0].event), (1, "evicted"));
        for _ in 0..UNTAKEN_MAX + 10 {
            removed.note(NoticeKind::Expired, vec![(*b"a").into()]);
        }
        assert_eq!(removed.take().count(), UNTAKEN_MAX);
    }
}
