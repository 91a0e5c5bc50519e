//! The state of the daemon in a few lines of text: what `--once` prints and `y` copies.

use std::fmt::Write as _;

use larder_protocol::Stat;
use larder_protocol::stream::{Class, Column};

use super::Model;
use super::units::{bytes, count, latency, maybe_percent, rate, span};
use super::zoom::Zoom;

/// The summary, a line for each subject.
#[must_use]
pub fn summary(model: &Model) -> String {
    let now_ms = model.now_ms(0);
    let mut text = String::new();
    let mut line = |name: &str, figures: String| {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{name:<9} {figures}");
    };
    line(
        "larder",
        format!(
            "{} pid {} up {} durability {} socket {}",
            model.text(Stat::Version),
            model.stat(Stat::Pid),
            span(model.stat(Stat::UptimeMs) as i64),
            model.text(Stat::Durability),
            model.text(Stat::Socket)
        ),
    );
    let (now, ever) = (model.reads_now(), model.reads_ever());
    let window = model.reads_of(Zoom::FiveMinutes, now_ms);
    line(
        "hit rate",
        format!(
            "now {}, 5 m {}, since start {} (memory {}, buffer {}, disk {}, misses {})",
            maybe_percent(now.hit_rate()),
            maybe_percent(window.hit_rate()),
            maybe_percent(ever.hit_rate()),
            maybe_percent(ever.share(ever.memory)),
            maybe_percent(ever.share(ever.buffer)),
            maybe_percent(ever.share(ever.disk)),
            maybe_percent(ever.share(ever.misses)),
        ),
    );
    let calls = [Column::ReadCalls, Column::WriteCalls, Column::DeleteCalls, Column::OtherCalls];
    let [reads, writes, deletes, other] = calls.map(|column| rate(model.rate_now(column)));
    line("traffic", format!("reads {reads}, writes {writes}, deletes {deletes}, other {other}"));
    let (times, _) = model.latency(Zoom::FiveMinutes);
    for (class, name) in [(Class::Read, "reads"), (Class::Write, "writes")] {
        let of =
            |share| times.class(class).percentile(share).map_or("–".to_owned(), |ns| latency(ns as f64));
        line("latency", format!("{name} p50 {}, p99 {}, p99.9 {}", of(0.5), of(0.99), of(0.999)));
    }
    line(
        "entries",
        format!(
            "{} ({} with a TTL, {} expired and not yet removed, lag {})",
            count(model.stat(Stat::Entries)),
            count(model.stat(Stat::EntriesTtl)),
            count(model.stat(Stat::EntriesExpired)),
            span(model.expiry_lag_ms())
        ),
    );
    let cap = |stat| if model.stat(stat) > 0.0 { bytes(model.stat(stat)) } else { "no limit".to_owned() };
    line("memory", format!("{} of {}", bytes(model.stat(Stat::MemoryBytes)), cap(Stat::MemoryCapBytes)));
    line(
        "disk",
        format!(
            "{} of {}{}",
            bytes(model.stat(Stat::DiskBytes)),
            cap(Stat::DiskCapBytes),
            if model.stat(Stat::DiskFull) > 0.0 { ", FULL: only deletions are taken" } else { "" }
        ),
    );
    line(
        "clean-up",
        format!(
            "{} runs removed {} entries; evictions {}",
            count(model.stat(Stat::CleanupRuns)),
            count(model.stat(Stat::CleanupRows)),
            count(model.stat(Stat::Evictions))
        ),
    );
    line("clients", format!("{} connected", count(model.stat(Stat::Connections))));
    text
}
