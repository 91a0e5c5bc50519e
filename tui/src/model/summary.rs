//! The state of the daemon in a few lines of text: what `--once` prints and `y` copies.

use std::fmt::Write as _;

use larder_protocol::Stat;
use larder_protocol::stream::{Class, Column, Histogram};

use super::Model;
use super::units::{NONE, bytes, count, latency, maybe_percent, rate, span};
use super::zoom::Zoom;

/// The summary, a line for each subject.
#[must_use]
pub fn summary(model: &Model) -> String {
    let (times, _) = model.latency(Zoom::FiveMinutes);
    let lines = [
        ("larder", daemon(model)),
        ("hit rate", hit_rate(model)),
        ("traffic", traffic(model)),
        ("latency", format!("reads {}", percentiles(times.class(Class::Read)))),
        ("latency", format!("writes {}", percentiles(times.class(Class::Write)))),
        ("entries", entries(model)),
        ("memory", usage(model, Stat::MemoryBytes, Stat::MemoryCapBytes)),
        ("disk", disk(model)),
        ("clean-up", cleanup(model)),
        ("clients", format!("{} connected", count(model.stat(Stat::Connections)))),
    ];
    let mut text = String::new();
    for (name, figures) in lines {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{name:<9} {figures}");
    }
    text
}

fn daemon(model: &Model) -> String {
    format!(
        "{} pid {} up {} durability {} socket {}",
        model.text(Stat::Version),
        model.stat(Stat::Pid),
        span(model.stat(Stat::UptimeMs) as i64),
        model.text(Stat::Durability),
        model.text(Stat::Socket)
    )
}

fn hit_rate(model: &Model) -> String {
    let (now, ever) = (model.reads_now(), model.reads_ever());
    let window = model.reads_of(Zoom::FiveMinutes, model.now_ms(0));
    format!(
        "now {}, 5 m {}, since start {} (memory {}, buffer {}, disk {}, misses {})",
        maybe_percent(now.hit_rate()),
        maybe_percent(window.hit_rate()),
        maybe_percent(ever.hit_rate()),
        maybe_percent(ever.share(ever.memory)),
        maybe_percent(ever.share(ever.buffer)),
        maybe_percent(ever.share(ever.disk)),
        maybe_percent(ever.share(ever.misses)),
    )
}

fn traffic(model: &Model) -> String {
    let calls = [Column::ReadCalls, Column::WriteCalls, Column::DeleteCalls, Column::OtherCalls];
    let [reads, writes, deletes, other] = calls.map(|column| rate(model.rate_now(column)));
    format!("reads {reads}, writes {writes}, deletes {deletes}, other {other}")
}

fn percentiles(times: &Histogram) -> String {
    let [p50, p99, p999] = [0.5, 0.99, 0.999]
        .map(|share| times.percentile(share).map_or(NONE.to_owned(), |ns| latency(ns as f64)));
    format!("p50 {p50}, p99 {p99}, p99.9 {p999}")
}

fn entries(model: &Model) -> String {
    format!(
        "{} ({} with a TTL, {} expired and not yet removed, lag {})",
        count(model.stat(Stat::Entries)),
        count(model.stat(Stat::EntriesTtl)),
        count(model.stat(Stat::EntriesExpired)),
        span(model.expiry_lag_ms())
    )
}

fn usage(model: &Model, used: Stat, cap: Stat) -> String {
    let cap = model.stat(cap);
    let cap = if cap > 0.0 { bytes(cap) } else { "no limit".to_owned() };
    format!("{} of {cap}", bytes(model.stat(used)))
}

fn disk(model: &Model) -> String {
    let full = if model.stat(Stat::DiskFull) > 0.0 { ", FULL: only deletions are taken" } else { "" };
    format!("{}{full}", usage(model, Stat::DiskBytes, Stat::DiskCapBytes))
}

fn cleanup(model: &Model) -> String {
    format!(
        "{} runs removed {} entries; evictions {}",
        count(model.stat(Stat::CleanupRuns)),
        count(model.stat(Stat::CleanupRows)),
        count(model.stat(Stat::Evictions))
    )
}
