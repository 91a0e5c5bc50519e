//! A daemon's life, second by second and always the same: what samples, backlogs and events are made from.

use larder_protocol::Stat;
use larder_protocol::stream::{
    BACKLOG, Backlog, Class, Client, Column, Event, EventKind, Histogram, HotEntry, Message, Point, Sample,
    SlowCommand, Source,
};
use larder_top::app::msg::{Key, LinkState, Msg};
use larder_top::app::{App, update};

/// When the first of them starts: 2025-11-24, 16:00:00 UTC.
pub(crate) const START_MS: i64 = 1_764_000_000_000;

/// The local clock's lead over the daemon's: nobody may depend on their being the same.
pub(crate) const LEAD_MS: i64 = 12_345;

/// A daemon that lives in its own time.
pub(crate) struct World {
    pub(crate) sample: Sample,
    pub(crate) points: Vec<Point>,
    pub(crate) events: Vec<Event>,
    second: i64,
    dice: u64,
}

impl World {
    /// A daemon that starts at a time.
    pub(crate) fn new(boot_id: &str, start_ms: i64) -> Self {
        let mut world =
            Self { sample: Sample::default(), points: Vec::new(), events: Vec::new(), second: 0, dice: 7 };
        let stats = &mut world.sample.stats;
        stats.set(Stat::Version, "0.1.0");
        stats.set(Stat::BootId, boot_id);
        stats.set(Stat::Pid, if boot_id == "first" { 4_711 } else { 5_022 });
        stats.set(Stat::Durability, "commit");
        stats.set(Stat::Socket, "/run/larder/larder.sock");
        stats.set(Stat::MemoryCapBytes, 64_i64 << 20);
        stats.set(Stat::DiskCapBytes, 1_i64 << 30);
        stats.set(Stat::TimeMs, start_ms);
        stats.set(Stat::Entries, 180_000);
        world.sample.hot_keys.since_ms = start_ms;
        world.sample.hot_prefixes.since_ms = start_ms;
        world.happened(EventKind::Start, |event| "0.1.0".clone_into(&mut event.detail));
        world
    }

    /// A daemon that has run for some time.
    pub(crate) fn aged(boot_id: &str, start_ms: i64, seconds: i64) -> Self {
        let mut world = Self::new(boot_id, start_ms);
        (0..seconds).for_each(|_| world.advance());
        world
    }

    pub(crate) fn time_ms(&self) -> i64 {
        self.sample.stats.int(Stat::TimeMs)
    }

    fn below(&mut self, bound: i64) -> i64 {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        (self.dice >> 1) as i64 % bound
    }

    fn happened(&mut self, kind: EventKind, figures: impl FnOnce(&mut Event)) {
        let sequence = self.events.len() as i64 + 1;
        let mut event = Event { kind, sequence, time_ms: self.time_ms(), ..Event::default() };
        figures(&mut event);
        self.events.push(event);
    }

    fn add(&mut self, stat: Stat, more: i64) {
        let value = self.sample.stats.int(stat) + more;
        self.sample.stats.set(stat, value);
    }

    fn grow(&mut self, figures: &[(Stat, i64)]) {
        for &(stat, more) in figures {
            self.add(stat, more);
        }
    }

    /// One second goes by.
    pub(crate) fn advance(&mut self) {
        let before = (self.sample.stats.clone(), self.sample.latency.clone());
        self.second += 1;
        let second = self.second;
        let wave = (second as f64 / 47.0).sin() + (second as f64 / 700.0).sin();
        let reads = 8_000 + (wave * 1_900.0) as i64 + self.below(700);
        let writes = 1_400 + (wave * 300.0) as i64 + self.below(200);
        let deletes = 60 + self.below(50);
        // Now and then the hit rate falls, as after a deployment.
        let missing = if second % 1_200 < 90 { 260 } else { 35 } + self.below(20);
        let misses = reads * missing / 1_000;
        let disk = reads * (50 + self.below(25)) / 1_000;
        let buffer = reads * 20 / 1_000;
        let grown = [
            (Stat::TimeMs, 1_000),
            (Stat::UptimeMs, 1_000),
            (Stat::Sequence, 1),
            (Stat::Hits, reads - misses),
            (Stat::Misses, misses),
            (Stat::DiskHits, disk),
            (Stat::DiskReads, disk + misses),
            (Stat::DiskReadsAtOnce, (disk + misses) * 7 / 8),
            (Stat::BufferHits, buffer),
            (Stat::MemoryHits, reads - misses - disk - buffer),
            (Stat::Sets, writes),
            (Stat::Deletes, deletes),
            (Stat::Commands, reads + writes + deletes + 3),
            (Stat::InputBytes, reads * 38 + writes * 610),
            (Stat::OutputBytes, reads * 540),
            (Stat::Entries, 20 + self.below(30)),
            (Stat::EntriesExpired, 14 + self.below(9)),
        ];
        self.grow(&grown);
        if second % 97 == 0 {
            self.add(Stat::CommandErrors, 2);
        }
        let entries = self.sample.stats.int(Stat::Entries);
        self.sample.stats.set(Stat::EntriesTtl, entries * 7 / 10);
        self.sample.stats.set(Stat::EntriesActive, entries - self.sample.stats.int(Stat::EntriesExpired));
        let free = self.below(2 << 20);
        self.sample.stats.set(Stat::MemoryBytes, (64_i64 << 20) - free);
        self.sample.stats.set(Stat::DiskBytes, (410_i64 << 20) + second * 9_000);
        self.sample.stats.set(Stat::BufferEntries, second % 30 * writes);
        self.sample.stats.set(Stat::BufferBytes, second % 30 * writes * 610);
        self.sample.stats.set(Stat::JournalBytes, (2_i64 << 20) + second % 30 * writes * 640);
        self.sample.stats.set(Stat::WalBytes, second % 90 * 50_000);
        self.upkeep(writes);
        self.latencies(reads, writes, deletes);
        self.lists();
        let now = (&self.sample.stats, &self.sample.latency);
        self.points.push(Point::between((&before.0, &before.1), now));
    }

    /// Merges every 30 seconds, checkpoints every 90, clean-up every minute, and rarer things.
    fn upkeep(&mut self, writes: i64) {
        let second = self.second;
        if second % 30 == 0 {
            let (rows, ms) = (writes * 25, 180 + self.below(90));
            self.grow(&[(Stat::Merges, 1), (Stat::MergeRows, rows), (Stat::MergeMsTotal, ms)]);
            self.happened(EventKind::Merge, |event| {
                (event.rows, event.ms, event.bytes) = (Some(rows), Some(ms), Some(rows * 610));
            });
        }
        if second % 90 == 0 {
            self.add(Stat::Checkpoints, 1);
            let ms = 40 + self.below(30);
            self.happened(EventKind::Checkpoint, |event| {
                (event.ms, event.bytes) = (Some(ms), Some(4_450_000));
            });
        }
        if second % 60 == 0 {
            let (rows, ms) = (self.sample.stats.int(Stat::EntriesExpired), 6 + self.below(20));
            self.sample.stats.set(Stat::EntriesExpired, 0);
            let now = self.time_ms();
            self.sample.stats.set(Stat::CleanupLastTimeMs, now);
            self.sample.stats.set(Stat::CleanupLastRows, rows);
            self.sample.stats.set(Stat::CleanupLastMs, ms);
            self.grow(&[
                (Stat::Entries, -rows),
                (Stat::CleanupRuns, 1),
                (Stat::CleanupRows, rows),
                (Stat::CleanupTotalMs, ms),
            ]);
            self.happened(EventKind::Cleanup, |event| {
                "timer".clone_into(&mut event.cause);
                (event.rows, event.ms, event.bytes) = (Some(rows), Some(ms), Some(rows * 512));
            });
        }
        if second % 400 == 0 {
            self.add(Stat::Evictions, 900);
            self.happened(EventKind::Eviction, |event| {
                (event.rows, event.bytes) = (Some(900), Some(700_000));
            });
        }
        if second % 250 == 0 {
            let time_ms = self.time_ms();
            let id = self.sample.slow.len() as i64;
            let command = ["KEYS", "user:*"].map(str::to_owned).to_vec();
            let slow = SlowCommand { id, time_ms, duration_us: 20_400 + second, command, client: 12 };
            self.sample.slow.insert(0, slow);
            self.sample.slow.truncate(20);
            self.happened(EventKind::SlowCommand, |event| {
                (event.ms, event.detail) = (Some(20), "KEYS user:*".to_owned());
            });
        }
    }

    fn latencies(&mut self, reads: i64, writes: i64, deletes: i64) {
        let shape = |middle: u64, count: i64, into: &mut Histogram| {
            let count = count as u64;
            into.record_many(middle, count / 2);
            into.record_many(middle * 3 / 2, count / 4);
            into.record_many(middle * 2, count / 5);
            into.record_many(middle * 6, count / 80);
            into.record_many(middle * 40, count / 800);
            let counted = count / 2 + count / 4 + count / 5 + count / 80 + count / 800;
            into.record_many(middle * 3 / 4, count - counted);
        };
        let stretch = 100 + (((self.second as f64 / 90.0).sin() + 1.0) * 60.0) as u64;
        let mut latency = std::mem::take(&mut self.sample.latency);
        if latency.commands.is_empty() {
            latency.commands =
                ["get", "set", "mget", "del"].map(|name| (name.to_owned(), Histogram::default())).into();
        }
        shape(29 * stretch, reads, latency.class_mut(Class::Read));
        shape(410 * stretch, writes, latency.class_mut(Class::Write));
        shape(380 * stretch, deletes, latency.class_mut(Class::Delete));
        latency.class_mut(Class::Other).record_many(3_100, 3);
        for (at, (middle, count)) in
            [(28, reads - 400), (410, writes), (75, 400), (380, deletes)].into_iter().enumerate()
        {
            shape(middle * stretch, count, &mut latency.commands[at].1);
        }
        self.sample.latency = latency;
    }

    fn lists(&mut self) {
        let second = self.second;
        let hot = |name: String, reads: i64, missing: i64| {
            let misses = reads * missing / 100;
            HotEntry { name, reads, hits: reads - misses, misses }
        };
        let prefixes =
            ["user:", "session:", "page:home:", "rate:", "lock:", "feed:timeline:", "cart:", "geo:"];
        let of_prefix = |(at, name): (usize, &&str)| {
            let at = at as i64;
            hot((*name).to_owned(), second * (2_600 - 320 * at), if at == 4 { 61 } else { 2 + at * 3 })
        };
        self.sample.hot_prefixes.top = prefixes.iter().enumerate().map(of_prefix).collect();
        let of_key = |at: i64| {
            let prefix = prefixes[(at * 5 % 8) as usize];
            hot(format!("{prefix}{}", 1_000 + at * 7_919 % 9_000), second * (90 - at * 3) / 2, at * 11 % 70)
        };
        self.sample.hot_keys.top = (0..24).map(of_key).collect();
        let people = [
            ("web", "", "redis-py 5.0.1", 5_200),
            ("web", "", "redis-py 5.0.1", 3_100),
            ("worker", "mailer", "go-redis 9.7.0", 900),
            ("php-fpm", "", "phpredis 6.1.0", 240),
            ("cron.sh", "", "", 2),
            ("larder-top", "", "", 0),
        ];
        let client = |(at, (comm, name, library, each)): (usize, (&str, &str, &str, i64))| Client {
            id: 3 + at as i64 * 3,
            pid: Some(4_200 + at as i64 * 17),
            comm: comm.to_owned(),
            uid: Some(if at == 4 { 0 } else { 1_000 }),
            name: name.to_owned(),
            library: library.to_owned(),
            age_ms: second * 1_000 - at as i64 * 700,
            idle_ms: if each > 100 { 1 } else { 2_400 },
            commands: each * second,
            input_bytes: each * second * 40,
            output_bytes: each * second * 510,
            subscriptions: i64::from(at == 5) * 2,
            dropped: i64::from(at == 5) * 3,
        };
        self.sample.clients = people.into_iter().enumerate().map(client).collect();
        self.sample.stats.set(Stat::Connections, self.sample.clients.len());
    }

    /// What a subscriber is sent first.
    pub(crate) fn backlogs(&self) -> Vec<Backlog> {
        let boot_id = self.sample.stats.text(Stat::BootId).to_owned();
        let [(fine_ms, fine_kept), (coarse_ms, coarse_kept)] = BACKLOG;
        let last = |points: Vec<Point>, kept: usize| points[points.len().saturating_sub(kept)..].to_vec();
        let coarse = self.points.chunks_exact((coarse_ms / fine_ms) as usize).map(joined).collect();
        [(coarse_ms, last(coarse, coarse_kept)), (fine_ms, last(self.points.clone(), fine_kept))]
            .map(|(step_ms, points)| Backlog {
                boot_id: boot_id.clone(),
                step_ms,
                points,
                ..Backlog::default()
            })
            .into()
    }
}

/// The step that several make together.
fn joined(steps: &[Point]) -> Point {
    let last = steps.last().expect("a chunk has elements");
    let mut point = Point::new(last.time_ms);
    for &column in Column::ALL {
        let values = || steps.iter().map(|step| step.get(column));
        point.set(
            column,
            match column.source() {
                Source::Growth(_) | Source::Calls(_) => values().sum(),
                Source::Gauge(_) => last.get(column),
                Source::Percentile(..) => values().max().unwrap_or(0),
            },
        );
    }
    point
}

/// An app, and the daemon that it watches.
pub(crate) struct Watched {
    pub(crate) app: App,
    pub(crate) world: World,
}

impl Watched {
    /// Nothing has been heard yet.
    pub(crate) fn connecting() -> Self {
        let world = World::new("first", START_MS);
        Self { app: App::new("/run/larder/larder.sock", START_MS + LEAD_MS), world }
    }

    /// There is no daemon.
    pub(crate) fn offline() -> Self {
        let mut watched = Self::connecting();
        watched.lost("/run/larder/larder.sock: No such file or directory (os error 2)");
        watched
    }

    /// A daemon that started a moment ago.
    pub(crate) fn first_sample() -> Self {
        let mut watched = Self::connecting();
        watched.world.advance();
        watched.send(Msg::Link(LinkState::Connected));
        watched.sample();
        watched
    }

    /// A daemon that has run for three hours, watched for six seconds.
    pub(crate) fn busy() -> Self {
        let mut watched = Self::connecting();
        watched.world = World::aged("first", START_MS, 10_905);
        watched.subscribe();
        for _ in 0..6 {
            watched.second();
        }
        watched
    }

    /// As [`busy`](Self::busy), and sooner there: for tests that do not look at the charts.
    pub(crate) fn busy_for_keys() -> Self {
        let mut watched = Self::connecting();
        watched.world = World::aged("first", START_MS, 300);
        watched.subscribe();
        watched.second();
        watched
    }

    /// As [`busy`](Self::busy), then another daemon on the same socket, for 40 seconds.
    pub(crate) fn restarted() -> Self {
        let mut watched = Self::busy();
        watched.lost("the daemon closed the connection");
        let start_ms = watched.world.time_ms() + 25_000;
        watched.world = World::aged("second", start_ms, 40);
        watched.subscribe();
        watched.second();
        watched
    }

    pub(crate) fn send(&mut self, msg: Msg) {
        update(&mut self.app, msg);
    }

    pub(crate) fn key(&mut self, key: Key) {
        self.send(Msg::Key(key));
    }

    pub(crate) fn keys(&mut self, text: &str) {
        text.chars().for_each(|c| self.key(Key::Char(c)));
    }

    pub(crate) fn lost(&mut self, reason: &str) {
        self.send(Msg::Link(LinkState::Lost { reason: reason.to_owned(), retry_in_ms: 2_000 }));
    }

    /// What a connection begins with.
    pub(crate) fn subscribe(&mut self) {
        self.tick();
        self.send(Msg::Link(LinkState::Connected));
        for backlog in self.world.backlogs() {
            self.send(Msg::Stats(Box::new(Message::Backlog(backlog))));
        }
        for event in self.world.events.clone() {
            self.send(Msg::Event(Box::new(event)));
        }
        self.sample();
    }

    /// A second, and what it brings.
    pub(crate) fn second(&mut self) {
        let known = self.world.events.len();
        self.world.advance();
        self.tick();
        self.sample();
        let happened = self.world.events[known..].to_vec();
        for event in happened {
            self.send(Msg::Event(Box::new(event)));
        }
    }

    pub(crate) fn sample(&mut self) {
        self.send(Msg::Stats(Box::new(Message::Sample(Box::new(self.world.sample.clone())))));
    }

    /// The local clock shows the daemon's time.
    pub(crate) fn tick(&mut self) {
        self.send(Msg::Tick(self.world.time_ms() + LEAD_MS));
    }

    /// Time goes by, and nothing comes.
    pub(crate) fn silence(&mut self, ms: i64) {
        let now_ms = self.app.now_ms + ms;
        self.send(Msg::Tick(now_ms));
    }
}
