//! Lists as tables: which columns there are, what stands in each row, and what rows are sorted by. Knows no screen.
//!
//! Used by the app, which sorts, filters and copies, and by the table widget.

use std::cmp::Ordering;

use larder_protocol::stream::{Class, Event, EventKind, Histogram, Hot};
use regex::Regex;

use super::Model;
use super::units;
use super::zoom::Zoom;

/// A table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// Keys read most.
    HotKeys,
    /// Beginnings of keys read most.
    HotPrefixes,
    /// Connections.
    Clients,
    /// Commands that took long.
    Slow,
    /// What happened.
    Events,
    /// How long commands took, by class and by name.
    Latency,
}

/// A column.
#[derive(Debug)]
pub struct ColumnSpec {
    /// Its head.
    pub title: &'static str,
    /// Its width; of the one that takes what is left the least.
    pub width: u16,
    /// Whether it takes what is left.
    pub flexible: bool,
    /// Whether it holds numbers, which stand to the right and are sorted from the largest.
    pub number: bool,
    /// Whether it is a bar, full where the number is 1.
    pub bar: bool,
    /// Where there is no room for all, those with the largest go first.
    pub rank: u8,
}

const fn text(title: &'static str, width: u16, rank: u8) -> ColumnSpec {
    ColumnSpec { title, width, flexible: false, number: false, bar: false, rank }
}

const fn number(title: &'static str, width: u16, rank: u8) -> ColumnSpec {
    ColumnSpec { number: true, ..text(title, width, rank) }
}

const fn bar(width: u16, rank: u8) -> ColumnSpec {
    ColumnSpec { number: true, bar: true, ..text("", width, rank) }
}

const fn rest(title: &'static str, width: u16, rank: u8) -> ColumnSpec {
    ColumnSpec { flexible: true, ..text(title, width, rank) }
}

const HOT: &[ColumnSpec] = &[
    rest("name", 14, 0),
    number("hit rate", 9, 1),
    number("reads", 7, 2),
    number("share", 7, 3),
    bar(12, 5),
    number("misses", 7, 4),
];

const CLIENTS: &[ColumnSpec] = &[
    number("id", 5, 1),
    number("pid", 7, 2),
    text("program", 12, 0),
    number("uid", 6, 6),
    number("cmds/s", 8, 1),
    number("commands", 8, 4),
    number("in", 9, 5),
    number("out", 9, 5),
    number("age", 7, 3),
    number("idle", 7, 8),
    number("subs", 5, 9),
    number("dropped", 8, 7),
    rest("name, library", 20, 0),
];

const SLOW: &[ColumnSpec] =
    &[text("UTC", 8, 1), number("took", 8, 0), number("client", 7, 2), rest("command", 14, 0)];

const EVENTS: &[ColumnSpec] = &[
    text("UTC", 8, 1),
    text("what", 12, 0),
    number("rows", 6, 2),
    number("took", 8, 3),
    number("bytes", 9, 4),
    rest("why", 10, 6),
];

const LATENCY: &[ColumnSpec] = &[
    rest("command", 8, 0),
    number("calls/s", 8, 1),
    number("p50", 8, 0),
    number("p99", 8, 0),
    number("p99.9", 8, 2),
];

impl Table {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::HotKeys, Self::HotPrefixes, Self::Clients, Self::Slow, Self::Events, Self::Latency];

    /// Its columns.
    #[must_use]
    pub const fn columns(self) -> &'static [ColumnSpec] {
        match self {
            Self::HotKeys | Self::HotPrefixes => HOT,
            Self::Clients => CLIENTS,
            Self::Slow => SLOW,
            Self::Events => EVENTS,
            Self::Latency => LATENCY,
        }
    }

    /// What it is sorted by at first.
    #[must_use]
    pub const fn default_order(self) -> Order {
        match self {
            Self::HotKeys | Self::HotPrefixes => Order { column: Some(2), reversed: false },
            Self::Clients => Order { column: Some(4), reversed: false },
            // As they come: the newest first, classes before commands.
            Self::Slow | Self::Events | Self::Latency => Order { column: None, reversed: false },
        }
    }

    /// Its rows as they come.
    fn rows_as_they_come(self, model: &Model, zoom: Zoom) -> Vec<Row> {
        let Some(sample) = &model.sample else { return Vec::new() };
        match self {
            Self::HotKeys => hot(&sample.hot_keys),
            Self::HotPrefixes => hot(&sample.hot_prefixes),
            Self::Clients => clients(model),
            Self::Slow => slow(model),
            Self::Events => model.events.iter().map(event).collect(),
            Self::Latency => latency(model, zoom),
        }
    }

    /// Its rows, those that match, in this order.
    #[must_use]
    pub fn rows(self, model: &Model, zoom: Zoom, filter: Option<&Regex>, order: Order) -> Vec<Row> {
        let mut rows = self.rows_as_they_come(model, zoom);
        if let Some(filter) = filter {
            rows.retain(|row| row.cells.iter().any(|cell| filter.is_match(&cell.text)));
        }
        if let Some(column) = order.column {
            let numbers = self.columns()[column].number;
            rows.sort_by(|a, b| a.cells[column].compare(&b.cells[column], numbers));
        }
        if order.reversed {
            rows.reverse();
        }
        rows
    }
}

/// How a table is sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// By which column; none leaves the rows as they come.
    pub column: Option<usize>,
    /// The other way round.
    pub reversed: bool,
}

/// What a row is about, for its colour and its mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Nothing in particular.
    Plain,
    /// A class of commands.
    Of(Class),
    /// It deserves a look.
    Warning,
    /// It is or was an outage.
    Alarm,
    /// It is over, or good.
    Good,
    /// Clean-up.
    Cleanup,
    /// Work of the store.
    Upkeep,
}

/// A cell: what it shows, and what it is sorted by where that is a number.
#[derive(Clone, Debug)]
pub struct Cell {
    /// What it shows.
    pub text: String,
    /// The number, where it is one; otherwise 0, or less where it is unknown.
    pub value: f64,
}

impl Cell {
    fn compare(&self, other: &Self, number: bool) -> Ordering {
        if number { other.value.total_cmp(&self.value) } else { self.text.cmp(&other.text) }
    }
}

/// A row.
#[derive(Clone, Debug)]
pub struct Row {
    /// One for each column.
    pub cells: Vec<Cell>,
    /// What it is about.
    pub tone: Tone,
    /// What `y` copies.
    pub copy: String,
}

fn word(text: impl Into<String>) -> Cell {
    Cell { text: text.into(), value: 0.0 }
}

fn figure(value: f64, show: impl Fn(f64) -> String) -> Cell {
    Cell { text: show(value), value }
}

fn maybe(value: Option<f64>, show: impl Fn(f64) -> String) -> Cell {
    value.map_or_else(|| Cell { text: units::NONE.to_owned(), value: -1.0 }, |value| figure(value, show))
}

fn whole(value: Option<i64>) -> Cell {
    maybe(value.map(|value| value as f64), |value| format!("{value:.0}"))
}

fn hot(hot: &Hot) -> Vec<Row> {
    let all: i64 = hot.top.iter().map(|entry| entry.reads).sum();
    let most = hot.top.iter().map(|entry| entry.reads).max().unwrap_or(0);
    let row = |entry: &larder_protocol::stream::HotEntry| {
        let answered = (entry.hits + entry.misses) as f64;
        let rate = (answered > 0.0).then(|| entry.hits as f64 / answered);
        let share = (all > 0).then(|| entry.reads as f64 / all as f64);
        let cells = vec![
            word(entry.name.clone()),
            maybe(rate, units::percent),
            figure(entry.reads as f64, units::count),
            maybe(share, units::percent),
            // As part of the longest.
            figure(entry.reads as f64 / most.max(1) as f64, |_| String::new()),
            figure(entry.misses as f64, units::count),
        ];
        let tone = if rate.is_some_and(|rate| rate < 0.5) { Tone::Warning } else { Tone::Plain };
        Row { cells, tone, copy: entry.name.clone() }
    };
    hot.top.iter().map(row).collect()
}

fn clients(model: &Model) -> Vec<Row> {
    let Some(sample) = &model.sample else { return Vec::new() };
    let row = |client: &larder_protocol::stream::Client| {
        let called = [client.name.as_str(), client.library.as_str()];
        let called = called.into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(", ");
        let cells = vec![
            whole(Some(client.id)),
            whole(client.pid),
            word(client.comm.clone()),
            whole(client.uid),
            maybe(model.client_rates.get(&client.id).copied(), units::count),
            figure(client.commands as f64, units::count),
            figure(client.input_bytes as f64, units::bytes),
            figure(client.output_bytes as f64, units::bytes),
            figure(client.age_ms as f64, |ms| units::span(ms as i64)),
            figure(client.idle_ms as f64, |ms| units::span(ms as i64)),
            whole(Some(client.subscriptions)),
            figure(client.dropped as f64, units::count),
            word(called),
        ];
        let tone = if client.dropped > 0 { Tone::Warning } else { Tone::Plain };
        let copy = format!("id={} pid={} comm={}", client.id, client.pid.unwrap_or(-1), client.comm);
        Row { cells, tone, copy }
    };
    sample.clients.iter().map(row).collect()
}

fn slow(model: &Model) -> Vec<Row> {
    let Some(sample) = &model.sample else { return Vec::new() };
    let row = |slow: &larder_protocol::stream::SlowCommand| {
        let command = slow.command.join(" ");
        let cells = vec![
            word(units::time_of_day(slow.time_ms)),
            figure(slow.duration_us as f64 * 1_000.0, units::latency),
            whole(Some(slow.client)),
            word(command.clone()),
        ];
        Row { cells, tone: Tone::Plain, copy: command }
    };
    sample.slow.iter().map(row).collect()
}

fn event(event: &Event) -> Row {
    use EventKind as Kind;
    let tone = match event.kind {
        Kind::Cleanup => Tone::Cleanup,
        Kind::Merge | Kind::Checkpoint | Kind::Vacuum => Tone::Upkeep,
        Kind::DiskFull | Kind::Damage => Tone::Alarm,
        Kind::Eviction | Kind::SlowCommand => Tone::Warning,
        Kind::RoomAgain => Tone::Good,
        _ => Tone::Plain,
    };
    let parts = [event.cause.as_str(), event.detail.as_str()];
    let why = parts.into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(": ");
    let float = |figure: Option<i64>| figure.map(|figure| figure as f64);
    let name = event.kind.name().replace('_', " ");
    let cells = vec![
        word(units::time_of_day(event.time_ms)),
        word(name.clone()),
        maybe(float(event.rows), units::count),
        maybe(float(event.ms), |ms| units::latency(ms * 1e6)),
        maybe(float(event.bytes), units::bytes),
        word(why.clone()),
    ];
    Row {
        cells,
        tone,
        copy: format!("{} {name} {why}", units::time_of_day(event.time_ms)).trim_end().to_owned(),
    }
}

fn latency(model: &Model, zoom: Zoom) -> Vec<Row> {
    const CLASSES: [&str; 4] = ["reads", "writes", "deletes", "other"];
    let (latency, known_ms) = model.latency(zoom);
    let known_ms = known_ms.unwrap_or_else(|| model.stat(larder_protocol::Stat::UptimeMs) as i64);
    let row = |name: &str, histogram: &Histogram, tone| {
        let percentile = |share| maybe(histogram.percentile(share).map(|ns| ns as f64), units::latency);
        let frequency = histogram.count() as f64 * 1_000.0 / known_ms.max(1) as f64;
        let cells = vec![
            word(name),
            figure(frequency, units::count),
            percentile(0.5),
            percentile(0.99),
            percentile(0.999),
        ];
        let copy = cells.iter().map(|cell| cell.text.clone()).collect::<Vec<_>>().join("  ");
        Row { cells, tone, copy }
    };
    let classes =
        Class::ALL.iter().zip(CLASSES).map(|(&class, name)| row(name, latency.class(class), Tone::Of(class)));
    let commands =
        latency.commands.iter().map(|(name, histogram)| row(&name.to_uppercase(), histogram, Tone::Plain));
    classes.chain(commands).collect()
}
