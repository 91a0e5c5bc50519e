//! What is known of the daemon: the last sample, the history, the events. Knows no screen and no keys.
//!
//! Used by the app, which feeds it messages, and read by views and by the output without a terminal. All text in it is
//! clean, all of it is bounded.

pub mod clean;
pub mod history;
pub mod latency;
pub mod summary;
pub mod tables;
pub mod units;
pub mod zoom;

use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

use larder_protocol::Stat;
use larder_protocol::stream::{Column, Event, EventKind, Latency, Message, Sample};

use history::History;
use latency::LatencyWindows;
use zoom::Zoom;

/// Events kept.
const EVENTS_MAX: usize = 256;

/// What is known of the daemon.
#[derive(Clone, Debug, Default)]
pub struct Model {
    /// The last sample.
    pub sample: Option<Rc<Sample>>,
    /// The steps before it.
    pub history: History,
    /// Events but for slow commands, the newest first.
    pub events: VecDeque<Event>,
    /// Messages of both channels that did not reach this program.
    pub dropped: u64,
    /// Messages that could not be read.
    pub unread: u64,
    /// How often the daemon was another process than before.
    pub restarts: u32,
    /// Local time when the last sample came.
    pub arrived_ms: i64,
    /// Commands a second of each client, by its number.
    pub client_rates: HashMap<i64, f64>,
    latency: LatencyWindows,
    /// The last latencies, shared with the windows.
    cumulative: Rc<Latency>,
    /// Whether the last sample is of this connection, so that the next one continues it.
    continuous: bool,
    /// The process that is known.
    boot_id: String,
}

/// Hits and misses of a time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Reads {
    /// Answered from memory.
    pub memory: f64,
    /// Answered from writes on their way to the disk.
    pub buffer: f64,
    /// Answered from the disk.
    pub disk: f64,
    /// Not answered.
    pub misses: f64,
}

impl Reads {
    /// All of them.
    #[must_use]
    pub fn total(&self) -> f64 {
        self.memory + self.buffer + self.disk + self.misses
    }

    /// Hits of all reads.
    #[must_use]
    pub fn hit_rate(&self) -> Option<f64> {
        (self.total() > 0.0).then(|| (self.total() - self.misses) / self.total())
    }

    /// What part of all reads something is.
    #[must_use]
    pub fn share(&self, of: f64) -> Option<f64> {
        (self.total() > 0.0).then(|| of / self.total())
    }
}

impl Model {
    /// Takes a message of `larder:stats`, at a local time.
    pub fn message(&mut self, message: Message, local_ms: i64) {
        match message {
            Message::Sample(sample) => self.sample(*sample, local_ms),
            Message::Backlog(backlog) => {
                self.dropped += backlog.dropped;
                self.meet(&backlog.boot_id);
                self.history.backlog(&backlog);
            }
            Message::Unknown(_) => {}
        }
    }

    fn sample(&mut self, mut sample: Sample, local_ms: i64) {
        clean::sample(&mut sample);
        self.dropped += sample.dropped;
        self.arrived_ms = local_ms;
        self.meet(sample.stats.text(Stat::BootId));
        let time_ms = sample.stats.int(Stat::TimeMs);
        let latency = Rc::new(std::mem::take(&mut sample.latency));
        if let Some(earlier) = self.sample.as_ref().filter(|_| self.continuous) {
            self.history.step((&earlier.stats, &self.cumulative), (&sample.stats, &latency));
            let seconds = (time_ms - earlier.stats.int(Stat::TimeMs)) as f64 / 1_000.0;
            let before: HashMap<i64, i64> =
                earlier.clients.iter().map(|client| (client.id, client.commands)).collect();
            self.client_rates = sample
                .clients
                .iter()
                .filter_map(|client| {
                    let grown = client.commands - before.get(&client.id)?;
                    (seconds > 0.0).then(|| (client.id, grown.max(0) as f64 / seconds))
                })
                .collect();
        }
        self.latency.push(time_ms, &latency);
        self.cumulative = latency;
        self.sample = Some(Rc::new(sample));
        self.continuous = true;
    }

    /// Takes an event. Those that came before, with the backlog of an earlier connection, are known.
    pub fn event(&mut self, mut event: Event) {
        clean::event(&mut event);
        self.dropped += event.dropped;
        let known = |other: &Event| {
            (other.sequence, other.time_ms, &other.kind) == (event.sequence, event.time_ms, &event.kind)
        };
        // Slow commands have a list of their own, and there may be so many that nothing else would be kept.
        if event.kind != EventKind::SlowCommand && !self.events.iter().any(known) {
            self.events.push_front(event);
            self.events.truncate(EVENTS_MAX);
        }
    }

    /// The connection is gone; what is known stays.
    pub fn interrupted(&mut self) {
        self.continuous = false;
        self.history.interrupt();
    }

    /// The process that what follows is of.
    fn meet(&mut self, boot_id: &str) {
        if self.boot_id != boot_id {
            if !self.boot_id.is_empty() {
                self.restarts += 1;
                self.history.restart();
                self.latency.clear();
                self.client_rates.clear();
            }
            self.continuous = false;
            boot_id.clone_into(&mut self.boot_id);
        }
    }

    /// The daemon's time: that of the last sample while samples come, and what has passed since once they do not.
    #[must_use]
    pub fn now_ms(&self, silent_ms: i64) -> i64 {
        self.sample.as_ref().map_or(0, |sample| sample.stats.int(Stat::TimeMs)) + silent_ms
    }

    /// Reads of the last step.
    #[must_use]
    pub fn reads_now(&self) -> Reads {
        let figure = |column| self.history.last().map_or(0.0, |step| step.point.get(column) as f64);
        Reads {
            memory: figure(Column::MemoryHits),
            buffer: figure(Column::BufferHits),
            disk: figure(Column::DiskHits),
            misses: figure(Column::Misses),
        }
    }

    /// Reads of a window.
    #[must_use]
    pub fn reads_of(&self, zoom: Zoom, now_ms: i64) -> Reads {
        let sum = |column| self.history.sum(zoom, now_ms, column);
        Reads {
            memory: sum(Column::MemoryHits),
            buffer: sum(Column::BufferHits),
            disk: sum(Column::DiskHits),
            misses: sum(Column::Misses),
        }
    }

    /// Reads since the daemon's start.
    #[must_use]
    pub fn reads_ever(&self) -> Reads {
        Reads {
            memory: self.stat(Stat::MemoryHits),
            buffer: self.stat(Stat::BufferHits),
            disk: self.stat(Stat::DiskHits),
            misses: self.stat(Stat::Misses),
        }
    }

    /// Growth a second in the last step.
    #[must_use]
    pub fn rate_now(&self, column: Column) -> f64 {
        self.history
            .last()
            .map_or(0.0, |step| step.point.get(column) as f64 * 1_000.0 / step.span_ms.max(1) as f64)
    }

    /// A statistic of the last sample; 0 before it.
    #[must_use]
    pub fn stat(&self, stat: Stat) -> f64 {
        self.sample.as_ref().map_or(0.0, |sample| sample.stats.int(stat) as f64)
    }

    /// A text of the last sample.
    #[must_use]
    pub fn text(&self, stat: Stat) -> &str {
        self.sample.as_ref().map_or("", |sample| sample.stats.text(stat))
    }

    /// How long commands took in a window, and how much of it is known; since the start where there is only one
    /// sample.
    #[must_use]
    pub fn latency(&self, zoom: Zoom) -> (Latency, Option<i64>) {
        let time_ms = self.stat(Stat::TimeMs) as i64;
        self.latency
            .window(zoom, time_ms, &self.cumulative)
            .map_or_else(|| ((*self.cumulative).clone(), None), |(latency, known)| (latency, Some(known)))
    }

    /// How long an entry that has expired may be there by now: the time since the last clean-up run ended, where any
    /// are.
    #[must_use]
    pub fn expiry_lag_ms(&self) -> i64 {
        if self.stat(Stat::EntriesExpired) <= 0.0 {
            return 0;
        }
        let last = self.stat(Stat::CleanupLastTimeMs) as i64;
        let since =
            if last > 0 { last } else { (self.stat(Stat::TimeMs) - self.stat(Stat::UptimeMs)) as i64 };
        (self.stat(Stat::TimeMs) as i64 - since).max(0)
    }
}
