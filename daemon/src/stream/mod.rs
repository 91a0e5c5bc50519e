//! The stream: what `SUBSCRIBE larder:stats` and `SUBSCRIBE larder:events` give (the schema is
//! [`larder_protocol::stream`]).
//!
//! A task of the event loop takes a sample every `stats_interval`, keeps a history of them so that charts open filled, and
//! passes both samples and events on. A listener who does not keep up misses messages and is told how many; nobody is
//! waited for. Without listeners only the history is kept. Keyspace notifications, where they are switched on, are published
//! here as well.

mod history;
mod sample;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use larder_protocol::stream::{Event, EventKind};
use larder_protocol::{Snapshot, Stat};
use tokio::time::{Instant, sleep_until};

use crate::clients::Own;
use crate::cmd::Host;
use crate::notices::{Notice, NoticeKind};
use history::History;

/// What a listener to larder's own channels may leave unread before it misses messages: about a minute of samples.
const UNREAD_BYTES_MAX: usize = 512 << 10;

/// Bytes that the system has given back for each page.
const PAGE_BYTES: i64 = 4_096;

/// What the stream remembers.
#[derive(Debug, Default)]
pub struct Stream {
    history: RefCell<History>,
    /// Number of the last event that was passed on.
    passed_on: Cell<i64>,
    /// Checkpoints, free pages and log size as they were at the last sample.
    upkeep: Cell<Upkeep>,
}

/// The keeper's figures that become events when they grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Upkeep {
    checkpoints: i64,
    vacuumed_pages: i64,
    wal_bytes: i64,
}

impl Stream {
    /// The messages that open a subscription to one of larder's own channels; none for other channels.
    #[must_use]
    pub fn greeting(&self, channel: &[u8], host: &Host) -> Vec<String> {
        if channel == Own::Stats.channel().as_bytes() {
            self.history.borrow_mut().backlog(&host.boot_id, host.settings().stats_backlog)
        } else if channel == Own::Events.channel().as_bytes() {
            host.cache
                .events()
                .since(0)
                .iter()
                .filter(|event| event.sequence <= self.passed_on.get())
                .map(Event::to_json)
                .collect()
        } else {
            Vec::new()
        }
    }
}

/// Takes samples and passes them, events and changes of keys on, for as long as the daemon serves.
pub async fn run(host: Rc<Host>) {
    // A sample may wait for the disk; what has happened does not wait for a sample.
    tokio::join!(take_samples(&host), pass_on(&host));
}

async fn take_samples(host: &Host) {
    let mut next = Instant::now();
    loop {
        sleep_until(next).await;
        sample(host).await;
        let interval = host.settings().stats_interval;
        // After a pause of the machine the next one counts from now.
        next = (next + interval).max(Instant::now() + interval / 2);
    }
}

async fn pass_on(host: &Host) {
    loop {
        tokio::select! {
            () = host.cache.events().added() => pass_events_on(host),
            () = host.cache.noticed() => tell_changes(host),
        }
    }
}

async fn sample(host: &Host) {
    // A file that cannot be read is reported by whoever needs it.
    let Ok(snapshot) = host.sample().await else { return };
    let latency = sample::latency(host);
    host.cache.counters_mut(|counters| counters.hot_keys.turn(snapshot.int(Stat::TimeMs)));
    note_upkeep(host, &snapshot);
    host.stream.history.borrow_mut().add(&snapshot, &latency);
    if host.channels.has_own_listeners(Own::Stats) {
        let json = sample::sample(host, snapshot, latency).to_json();
        host.channels.publish_own(Own::Stats, &json, UNREAD_BYTES_MAX);
    }
}

fn pass_events_on(host: &Host) {
    for event in host.cache.events().since(host.stream.passed_on.get()) {
        host.stream.passed_on.set(event.sequence);
        if host.channels.has_own_listeners(Own::Events) {
            host.channels.publish_own(Own::Events, &event.to_json(), UNREAD_BYTES_MAX);
        }
    }
}

/// Publishes changes of keys on the channels that Redis has for them.
fn tell_changes(host: &Host) {
    let (told, notices) = host.cache.take_notices();
    let limit = host.settings().subscriber_buffer_bytes;
    for Notice { event, key, .. } in notices {
        if told.has(NoticeKind::ByKey) {
            let channel = [b"__keyspace@0__:", &*key].concat();
            host.channels.publish(&channel, event.as_bytes(), limit);
        }
        if told.has(NoticeKind::ByEvent) {
            host.channels.publish(format!("__keyevent@0__:{event}").as_bytes(), &key, limit);
        }
    }
}

/// The keeper counts checkpoints and pages given back; that they have grown since the last sample is an event.
fn note_upkeep(host: &Host, snapshot: &Snapshot) {
    let now = Upkeep {
        checkpoints: snapshot.int(Stat::Checkpoints),
        vacuumed_pages: snapshot.int(Stat::VacuumedPages),
        wal_bytes: snapshot.int(Stat::WalBytes),
    };
    let before = host.stream.upkeep.replace(now);
    let now_ms = snapshot.int(Stat::TimeMs);
    if now.checkpoints > before.checkpoints {
        let bytes = (before.wal_bytes - now.wal_bytes).max(0);
        let event = Event { kind: EventKind::Checkpoint, bytes: Some(bytes), ..Event::default() };
        host.cache.events().add(now_ms, event);
    }
    if now.vacuumed_pages > before.vacuumed_pages {
        let bytes = (now.vacuumed_pages - before.vacuumed_pages) * PAGE_BYTES;
        let event = Event { kind: EventKind::Vacuum, bytes: Some(bytes), ..Event::default() };
        host.cache.events().add(now_ms, event);
    }
}

/// The shortest interval between samples, so that taking them cannot become what the daemon does.
pub const INTERVAL_MIN: Duration = Duration::from_millis(20);
