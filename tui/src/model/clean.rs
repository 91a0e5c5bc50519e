//! Text from elsewhere, made harmless: keys, names and commands are whatever a client sent.
//!
//! Used on everything that enters the model. What could move the cursor, change the direction of writing or hide
//! something becomes a visible mark, so that the screen shows only what is really there.

use larder_protocol::stream::{Client, Event, Hot, Sample, SlowCommand};
use larder_protocol::{Kind, Stat, Value};

/// Stands for a character that is not shown.
pub const MARK: char = '\u{b7}';

/// Characters of a text that are kept; a name is never longer on any screen.
const LENGTH_MAX: usize = 512;

/// Whether a terminal might do something else with this character than show it in a cell or two.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(u32::from(c),
            // Soft hyphen, Arabic letter mark, Hangul fillers, Mongolian separator and selectors.
            0xad | 0x61c | 0x115f | 0x1160 | 0x17b4 | 0x17b5 | 0x180b..=0x180f | 0x3164 | 0xffa0
            // Zero widths, marks and embeddings of direction, line and paragraph separators, invisible operators.
            | 0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x206f
            // Combining marks: they change their neighbour, any number of them.
            | 0x300..=0x36f | 0x1ab0..=0x1aff | 0x1dc0..=0x1dff | 0x20d0..=0x20ff | 0xfe20..=0xfe2f
            // Variation selectors, byte order mark, interlinear annotations, tags, private use.
            | 0xfe00..=0xfe0f | 0xfeff | 0xfff0..=0xfffb | 0xe0000..=0xe0fff | 0xe000..=0xf8ff | 0xf_0000..=0x10_ffff)
}

/// The text with a mark for every character that is not safe to show, in one line.
#[must_use]
pub fn clean(text: &str) -> String {
    text.chars().take(LENGTH_MAX).map(|c| if is_unsafe(c) { MARK } else { c }).collect()
}

fn in_place(text: &mut String) {
    if text.len() > LENGTH_MAX || text.chars().any(is_unsafe) {
        *text = clean(text);
    }
}

/// All text of a sample.
pub fn sample(sample: &mut Sample) {
    for &stat in Stat::ALL {
        match (stat.kind(), sample.stats.get(stat)) {
            (Kind::Text, Value::Text(text)) => {
                let text = clean(text);
                sample.stats.set(stat, text);
            }
            (Kind::Map, Value::Map(counts)) => {
                let counts: Vec<_> = counts.iter().map(|(name, count)| (clean(name), *count)).collect();
                sample.stats.set(stat, counts);
            }
            _ => {}
        }
    }
    sample.latency.commands.iter_mut().for_each(|(name, _)| in_place(name));
    hot(&mut sample.hot_keys);
    hot(&mut sample.hot_prefixes);
    for Client { comm, name, library, .. } in &mut sample.clients {
        [comm, name, library].into_iter().for_each(in_place);
    }
    for SlowCommand { command, .. } in &mut sample.slow {
        command.iter_mut().for_each(in_place);
    }
}

fn hot(hot: &mut Hot) {
    hot.top.iter_mut().for_each(|entry| in_place(&mut entry.name));
}

/// All text of an event.
pub fn event(event: &mut Event) {
    use larder_protocol::stream::EventKind;
    if let EventKind::Other(name) = &mut event.kind {
        in_place(name);
    }
    in_place(&mut event.cause);
    in_place(&mut event.detail);
}

#[cfg(test)]
mod tests {
    use larder_protocol::stream::{EventKind, HotEntry};

    use super::*;

    #[test]
    fn nothing_moves_the_cursor_turns_the_text_or_hides() {
        assert_eq!(clean("user:7 näh 日本"), "user:7 näh 日本");
        assert_eq!(clean("a\x1b[2J\r\n\tb\x07\u{9b}31m"), "a·[2J···b··31m");
        assert_eq!(clean("a\u{202e}b\u{2066}c\u{200f}d\u{61c}"), "a·b·c·d·");
        assert_eq!(clean("e\u{301}\u{200b}\u{feff}\u{ad}\u{e0041}\u{fe0f}"), "e······");
        assert_eq!(clean(&"x".repeat(10_000)).len(), LENGTH_MAX);
    }

    #[test]
    fn every_text_of_a_message_is_cleaned() {
        let bad = || "a\x1bb".to_owned();
        let mut message = Sample::default();
        message.stats.set(Stat::Socket, bad());
        message.stats.set(Stat::CommandsByName, vec![(bad(), 1)]);
        message.latency.commands.push((bad(), larder_protocol::stream::Histogram::default()));
        message.hot_keys.top.push(HotEntry { name: bad(), ..HotEntry::default() });
        message.hot_prefixes.top.push(HotEntry { name: bad(), ..HotEntry::default() });
        message.clients.push(Client { comm: bad(), name: bad(), library: bad(), ..Client::default() });
        message.slow.push(SlowCommand { command: vec![bad()], ..SlowCommand::default() });
        sample(&mut message);
        assert!(!message.to_json().contains("\\u001b"), "{}", message.to_json());
        let kind = EventKind::Other(bad());
        let mut happened = Event { kind, cause: bad(), detail: bad(), ..Event::default() };
        event(&mut happened);
        assert!(!happened.to_json().contains("\\u001b"));
    }
}
