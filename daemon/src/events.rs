//! What happens in the daemon now and then: clean-ups, merges, evictions, full disks, slow commands. Whoever sees it
//! happen says so here; the stream passes it on to those who listen. A leaf; bounded. Never waits for anybody.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use larder_protocol::stream::{EVENTS_KEPT, Event, EventKind};
use tokio::sync::Notify;

/// Of them slow commands, where there is other news.
const SLOW_KEPT: usize = EVENTS_KEPT / 4;

/// The last events.
#[derive(Debug, Default)]
pub struct Events {
    kept: RefCell<VecDeque<Event>>,
    sequence: Cell<i64>,
    added: Notify,
}

impl Events {
    /// Something has happened at `now_ms`.
    pub fn add(&self, now_ms: i64, event: Event) {
        self.sequence.set(self.sequence.get() + 1);
        let mut kept = self.kept.borrow_mut();
        if kept.len() == EVENTS_KEPT {
            // Slow commands come by the thousand, and must not push out what is rare.
            let slow = |event: &Event| event.kind == EventKind::SlowCommand;
            let oldest = if kept.iter().filter(|event| slow(event)).count() > SLOW_KEPT {
                kept.iter().position(slow).unwrap_or(0)
            } else {
                0
            };
            kept.remove(oldest);
        }
        kept.push_back(Event { sequence: self.sequence.get(), time_ms: now_ms, ..event });
        self.added.notify_one();
    }

    /// Those after number `sequence` that are still kept, the oldest first.
    #[must_use]
    pub fn since(&self, sequence: i64) -> Vec<Event> {
        self.kept.borrow().iter().filter(|event| event.sequence > sequence).cloned().collect()
    }

    /// Resolves when there has been one since it last did.
    pub async fn added(&self) {
        self.added.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_are_kept_and_numbered() {
        let events = Events::default();
        for _ in 0..EVENTS_KEPT + 5 {
            events.add(7, Event::default());
        }
        let all = events.since(0);
        let last = all.last().unwrap().sequence;
        assert_eq!((all.len(), all[0].sequence, last), (EVENTS_KEPT, 6, EVENTS_KEPT as i64 + 5));
        assert_eq!(events.since(last - 2).len(), 2);
    }

    #[test]
    fn many_slow_commands_do_not_push_out_the_rest() {
        let events = Events::default();
        events.add(7, Event { kind: EventKind::Damage, ..Event::default() });
        for _ in 0..3 * EVENTS_KEPT {
            events.add(7, Event { kind: EventKind::SlowCommand, ..Event::default() });
        }
        let all = events.since(0);
        assert_eq!((all.len(), &all[0].kind), (EVENTS_KEPT, &EventKind::Damage));
        for _ in 0..EVENTS_KEPT - SLOW_KEPT - 1 {
            events.add(7, Event { kind: EventKind::Merge, ..Event::default() });
        }
        let all = events.since(0);
        let slow = all.iter().filter(|event| event.kind == EventKind::SlowCommand).count();
        assert_eq!((slow, &all[0].kind), (SLOW_KEPT, &EventKind::Damage));
    }
}
