//! What was answered, and how fast.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use crate::wire::Reply;

/// Latencies beyond this count as this.
const LATENCY_MAX_NS: u64 = 60_000_000_000;

/// The figures of a run. Times are nanoseconds of the monotonic clock.
pub struct Tally {
    latencies: Histogram<u64>,
    /// Answers while they counted: not during warming up, and not once no more was sent.
    counted: u64,
    /// All answers.
    answered: u64,
    values: u64,
    misses: u64,
    errors: u64,
    samples: Option<BufWriter<File>>,
    counts_from_ns: u64,
    counts_to_ns: u64,
    cpu_seconds: f64,
}

impl Tally {
    /// Counts from a time on; every sample goes to the file as well, if there is one.
    pub fn new(counts_from_ns: u64, samples: Option<&Path>) -> Result<Self, String> {
        let open = |path: &Path| {
            File::create(path).map(BufWriter::new).map_err(|error| format!("{}: {error}", path.display()))
        };
        let latencies = Histogram::new_with_bounds(1, LATENCY_MAX_NS, 3).expect("the bounds are in order");
        Ok(Self {
            latencies,
            counted: 0,
            answered: 0,
            values: 0,
            misses: 0,
            errors: 0,
            samples: samples.map(open).transpose()?,
            counts_from_ns,
            counts_to_ns: u64::MAX,
            cpu_seconds: 0.0,
        })
    }

    /// How many requests were answered.
    pub fn answered(&self) -> u64 {
        self.answered
    }

    /// An answer that came at `now` to a request that was due, or sent, at `began`.
    pub fn answer(&mut self, began: u64, now: u64, reply: Reply) -> Result<(), String> {
        self.answered += 1;
        self.values += u64::from(reply.values);
        self.misses += u64::from(reply.misses);
        self.errors += u64::from(reply.error);
        if now < self.counts_from_ns || now > self.counts_to_ns {
            return Ok(());
        }
        self.counted += 1;
        self.latencies.saturating_record(now - began);
        if let Some(file) = &mut self.samples {
            let mut pair = [0; 16];
            pair[..8].copy_from_slice(&began.to_le_bytes());
            pair[8..].copy_from_slice(&(now - began).to_le_bytes());
            file.write_all(&pair).map_err(|error| format!("--samples: {error}"))?;
        }
        Ok(())
    }

    /// From here on answers do not count any more. `cpu_seconds` are the load generator's own.
    pub fn stop(&mut self, now: u64, cpu_seconds: f64) {
        self.counts_to_ns = now;
        self.cpu_seconds = cpu_seconds;
    }

    /// Ends the file of samples.
    pub fn finish(&mut self) -> Result<(), String> {
        self.samples.as_mut().map_or(Ok(()), BufWriter::flush).map_err(|error| format!("--samples: {error}"))
    }

    /// What run.py reads.
    pub fn json(&self) -> Value {
        let seconds = (self.counts_to_ns - self.counts_from_ns) as f64 / 1e9;
        let us = |quantile: f64| self.latencies.value_at_quantile(quantile) as f64 / 1e3;
        json!({
            "requests": self.counted,
            "answered": self.answered,
            "values": self.values,
            "misses": self.misses,
            "errors": self.errors,
            "seconds": seconds,
            "rps": self.counted as f64 / seconds,
            "p50_us": us(0.5),
            "p90_us": us(0.9),
            "p99_us": us(0.99),
            "p999_us": us(0.999),
            "max_us": self.latencies.max() as f64 / 1e3,
            // A load generator that is busy all the time says more about itself than about the server.
            "own_cpu_share": self.cpu_seconds / seconds,
        })
    }
}
