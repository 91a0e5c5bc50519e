//! Without a terminal: a summary, JSON, CSV.

use std::io::{self, Write};
use std::path::Path;

use larder_protocol::stream::{Column, Message, Point, Sample};
use larder_protocol::{Snapshot, Stat};

use crate::args::Form;
use crate::link::{Channel, LinkError, Pace, Subscription};
use crate::model::Model;
use crate::model::summary::summary;

/// What ends the output before it is stopped.
#[derive(Debug)]
pub enum PlainError {
    /// The daemon cannot be reached, or went away.
    Link(LinkError),
    /// A message cannot be read.
    Stream(larder_protocol::stream::StreamError),
    /// Nobody reads the output any more, or it cannot be written.
    Output(io::Error),
}

impl std::fmt::Display for PlainError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Link(error) => write!(f, "{error}"),
            Self::Stream(error) => write!(f, "{error}"),
            Self::Output(error) => write!(f, "output: {error}"),
        }
    }
}

/// Writes until it is done, or cannot go on.
///
/// # Errors
/// If the daemon cannot be reached or read, or the output cannot be written.
pub fn run(socket: &Path, form: Form, interval_ms: i64, out: &mut impl Write) -> Result<(), PlainError> {
    let mut subscription = Subscription::open(socket, false).map_err(PlainError::Link)?;
    let mut pace = Pace::new(interval_ms);
    let mut model = Model::default();
    let mut before: Option<Box<Sample>> = None;
    if form == Form::Csv {
        write(out, &head())?;
    }
    loop {
        let (channel, text) = subscription.receive().map_err(PlainError::Link)?;
        if channel != Channel::Stats {
            continue;
        }
        let message = Message::from_json(&text).map_err(PlainError::Stream)?;
        if !pace.is_due(&message) {
            continue;
        }
        match (form, message) {
            (Form::Json, Message::Sample(_)) => write(out, &text)?,
            (Form::Csv, Message::Sample(sample)) => {
                if let Some(before) = &before
                    && let Some(line) = line(before, &sample)
                {
                    write(out, &line)?;
                }
                before = Some(sample);
            }
            (Form::Once, message) => {
                model.message(message, 0);
                // Rates need a step: of the backlog, or between two samples.
                if model.sample.is_some() && model.history.last().is_some() {
                    return write(out, summary(&model).trim_end());
                }
            }
            _ => {}
        }
    }
}

fn write(out: &mut impl Write, line: &str) -> Result<(), PlainError> {
    writeln!(out, "{line}").and_then(|()| out.flush()).map_err(PlainError::Output)
}

fn head() -> String {
    let columns: Vec<&str> = Column::ALL.iter().map(|column| column.name()).collect();
    format!("time_ms,span_ms,hit_rate,{}", columns.join(","))
}

/// The step between two samples of one process.
fn line(before: &Sample, sample: &Sample) -> Option<String> {
    let boot = |stats: &Snapshot| stats.text(Stat::BootId).to_owned();
    let span_ms = sample.stats.int(Stat::TimeMs) - before.stats.int(Stat::TimeMs);
    if boot(&before.stats) != boot(&sample.stats) || span_ms <= 0 {
        return None;
    }
    let point = Point::between((&before.stats, &before.latency), (&sample.stats, &sample.latency));
    let (hits, misses) = (point.get(Column::Hits), point.get(Column::Misses));
    let rate = if hits + misses > 0 {
        format!("{:.4}", hits as f64 / (hits + misses) as f64)
    } else {
        String::new()
    };
    let values: Vec<String> = Column::ALL.iter().map(|&column| point.get(column).to_string()).collect();
    Some(format!("{},{span_ms},{rate},{}", point.time_ms, values.join(",")))
}
