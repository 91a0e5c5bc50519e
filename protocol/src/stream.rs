//! The stream: what the channels `larder:stats` and `larder:events` carry.
//!
//! Used by the daemon, which writes the messages, and by the dashboard, which reads them. Each message is one JSON object
//! on one line, the same for a RESP client and for `nc`. Does no IO, reads no clock and counts nothing but latencies.
//!
//! # `larder:stats`
//! After SUBSCRIBE come the backlog, [`Backlog`] messages from the coarsest step to the finest, and then a [`Sample`]
//! every interval. A reader tells them apart by `kind`.
//!
//! ```json
//! {"dropped":0,"kind":"sample","schema":1,"interval_ms":1000,"stats":{"schema":1,"version":"0.1.0","pid":4711},
//!  "latency":{"read":{"at":[160,161],"n":[12,5]},"write":{"at":[],"n":[]},"delete":{"at":[],"n":[]},
//!             "other":{"at":[],"n":[]},"commands":{"get":{"at":[160,161],"n":[12,5]}}},
//!  "hot_keys":{"since_ms":1764000000000,"top":[{"name":"user:7","reads":90,"hits":81,"misses":9}]},
//!  "hot_prefixes":{"since_ms":1764000000000,"top":[{"name":"user:","reads":990,"hits":900,"misses":90}]},
//!  "clients":[{"id":3,"pid":4242,"comm":"web","uid":1000,"name":"","library":"redis-py 5.0.1","age_ms":90000,
//!              "idle_ms":2,"commands":1200,"input_bytes":48000,"output_bytes":96000,"subscriptions":0,"dropped":0}],
//!  "slow":[{"id":0,"time_ms":1764000000000,"duration_us":20400,"command":["KEYS","*"],"client":3}]}
//! {"dropped":0,"kind":"backlog","schema":1,"boot_id":"5f0c","step_ms":1000,"time_ms":[1764000000000,1764000001000],
//!  "columns":{"hits":[120,131],"entries":[5000,5004]}}
//! ```
//!
//! - `stats` is the object that STATS answers, of the same names: counters since the start, never rates. Rates are
//!   differences of two samples by the difference of their `time_ms`, as long as `boot_id` is the same.
//! - `latency` has a [`Histogram`] for each [`Class`] of command and for the most used commands, since the start as well.
//!   Percentiles over any time are those of the difference of two samples.
//! - `hot_keys` and `hot_prefixes` are estimates since `since_ms`; keys and words that are no UTF-8 have U+FFFD in the
//!   places that are not. Lists are bounded ([`LIST_MAX`]), the first elements are those that count most.
//! - `columns` of a backlog are those of [`Column`]: counters as the growth over each step, gauges as they were at its end.
//!
//! # `larder:events`
//! After SUBSCRIBE come the last events, at most [`EVENTS_KEPT`], the oldest first, and then each [`Event`] as it happens.
//!
//! ```json
//! {"dropped":0,"event":"cleanup","schema":1,"sequence":17,"time_ms":1764000000000,"cause":"timer","rows":812,"ms":14,"bytes":77824}
//! ```
//!
//! # What holds for all of them
//! `dropped` stands first: it is how many messages of the channel this subscriber missed before this one, and the rest is
//! the same for all, so that it is written once ([`with_dropped`]). Readers ignore fields, kinds and events they do
//! not know, and take what is missing as empty, so that either side may be the newer one; a field of another type than here
//! is an error. New fields do not change `schema`; a field that changes its meaning, unit or type does.

mod backlog;
mod event;
mod fields;
mod histogram;
mod latency;
mod lists;
mod sample;

pub use backlog::{Backlog, Column, Point, Source};
pub use event::{Event, EventKind};
pub use fields::StreamError;
pub use histogram::Histogram;
pub use latency::{Class, Latency};
pub use lists::{Client, Hot, HotEntry, SlowCommand};
pub use sample::{Message, Sample};

/// Version of the messages' shape.
pub const SCHEMA: i64 = 1;

/// The channel of samples.
pub const STATS_CHANNEL: &str = "larder:stats";

/// The channel of events.
pub const EVENTS_CHANNEL: &str = "larder:events";

/// Elements that each list of a sample has at most: clients, slow commands, hot keys, hot prefixes.
pub const LIST_MAX: usize = 64;

/// Commands with a histogram of their own in a sample, at most.
pub const COMMANDS_MAX: usize = 8;

/// Events kept for those who subscribe later.
pub const EVENTS_KEPT: usize = 128;

/// The steps of the backlog: length of one in milliseconds, and how many are kept. Five minutes and three hours.
pub const BACKLOG: [(i64, usize); 2] = [(1_000, 300), (10_000, 1_080)];

/// What every message begins with where nothing was dropped.
const NOTHING_DROPPED: &str = r#"{"dropped":0,"#;

/// The message for a subscriber that missed `dropped` messages before it: only the first field differs.
///
/// # Panics
/// If `json` is no message of this module with nothing dropped.
#[must_use]
pub fn with_dropped(json: &str, dropped: u64) -> String {
    let rest = json.strip_prefix(NOTHING_DROPPED).expect("a message of this module, with nothing dropped");
    format!(r#"{{"dropped":{dropped},{rest}"#)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples above, each as the one line it is.
    fn documented() -> Vec<String> {
        let source = include_str!("stream.rs");
        let mut examples = Vec::new();
        for block in source.split("//! ```json\n").skip(1) {
            for line in block.split("//! ```").next().unwrap().lines().map(|line| &line[4..]) {
                if line.starts_with('{') {
                    examples.push(String::new());
                }
                examples.last_mut().unwrap().push_str(line.trim_start());
            }
        }
        examples
    }

    #[test]
    fn the_documented_examples_are_read() {
        let examples = documented();
        assert_eq!(examples.len(), 3);
        let Message::Sample(sample) = Message::from_json(&examples[0]).unwrap() else { panic!() };
        assert_eq!((sample.clients[0].pid, sample.hot_keys.top[0].hits), (Some(4242), 81));
        assert_eq!(sample.latency.class(Class::Read).count(), 17);
        assert_eq!(sample.latency.commands.len(), 1);
        assert_eq!(sample.slow[0].command, ["KEYS", "*"]);
        let Message::Backlog(backlog) = Message::from_json(&examples[1]).unwrap() else { panic!() };
        assert_eq!(backlog.points[1].get(Column::Entries), 5004);
        assert_eq!(Event::from_json(&examples[2]).unwrap().kind, EventKind::Cleanup);
    }

    #[test]
    fn only_the_first_field_says_what_was_dropped() {
        for (json, dropped) in [(Sample::default().to_json(), 3), (Event::default().to_json(), u64::MAX)] {
            let told = with_dropped(&json, dropped);
            assert!(told.starts_with(&format!(r#"{{"dropped":{dropped},"#)), "{told}");
            assert_eq!(told.len() - dropped.to_string().len(), json.len() - 1);
        }
        let told = with_dropped(&Sample::default().to_json(), 3);
        let Message::Sample(sample) = Message::from_json(&told).unwrap() else { panic!() };
        assert_eq!(sample.dropped, 3);
    }
}
