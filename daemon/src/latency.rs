//! How long commands take: each command's calls and the time they ran, and by class the time from when a request has been
//! read to when its answer is sent, the commit it waits for included.
//!
//! Connections record here, INFO, LATENCY, and whatever else shows durations read. A leaf: knows commands by their place
//! in the registry and reads no clock. Bounded: a command's histogram takes 4 KiB and is there from its first call on, a
//! class's takes 20 KiB.

use hdrhistogram::Histogram;
use larder_protocol::stream::Class;

use crate::stats::Durations;

/// The calls of one command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Calls {
    /// How many.
    pub count: u64,
    /// How many of them were answered with an error.
    pub failed: u64,
    /// How many requests named it and were not run.
    pub rejected: u64,
    /// How long they ran together, in nanoseconds. Short commands that run one after the other are measured together,
    /// and each has its part of that.
    pub ns: u64,
}

/// How long the calls of one command ran, each, in nanoseconds: percentiles within seven percent.
#[derive(Debug)]
pub struct Runtimes(Histogram<u64>);

impl Default for Runtimes {
    fn default() -> Self {
        /// Longer ones count as this long.
        const MINUTE_NS: u64 = 60_000_000_000;
        Self(Histogram::new_with_bounds(1, MINUTE_NS, 1).expect("these bounds are sound"))
    }
}

impl Runtimes {
    /// The duration in nanoseconds that so many percent did not exceed.
    #[must_use]
    pub fn at(&self, percent: f64) -> u64 {
        self.0.value_at_percentile(percent)
    }

    /// Pairs of a duration in nanoseconds and how many calls took about as long, the shortest first.
    pub fn sparse(&self) -> impl Iterator<Item = (u64, u64)> {
        self.0.iter_recorded().map(|step| (step.value_iterated_to(), step.count_at_value()))
    }

    /// Pairs of a duration in microseconds and how many calls took no longer. The durations double from 1.024 us on, as
    /// Redis has them; those at which the number does not grow are left out.
    #[must_use]
    pub fn by_powers_of_two(&self) -> Vec<(u64, u64)> {
        let mut pairs = Vec::new();
        let (mut up_to_ns, mut before) = (1_024, 0);
        while before < self.0.len() {
            let calls = self.0.count_between(0, up_to_ns);
            if calls > before {
                pairs.push((up_to_ns / 1_000, calls));
                before = calls;
            }
            up_to_ns *= 2;
        }
        pairs
    }
}

#[derive(Debug, Default)]
struct Command {
    calls: Calls,
    runtimes: Option<Box<Runtimes>>,
}

/// Durations since the start of the process, or since they were last begun anew.
#[derive(Debug)]
pub struct Latencies {
    commands: Vec<Command>,
    classes: [Durations; Class::ALL.len()],
}

impl Latencies {
    /// Nothing yet, for a registry of `commands` commands.
    #[must_use]
    pub fn new(commands: usize) -> Self {
        let commands = std::iter::repeat_with(Command::default).take(commands).collect();
        Self { commands, classes: Default::default() }
    }

    /// Records calls of the command at `index` in the registry that ran `ns` nanoseconds together.
    pub fn called(&mut self, index: usize, calls: u64, ns: u64) {
        let command = &mut self.commands[index];
        command.calls.count += calls;
        command.calls.ns += ns;
        let each = ns / calls.max(1);
        command.runtimes.get_or_insert_default().0.saturating_record_n(each, calls);
    }

    /// Counts a call that was answered with an error.
    pub fn failed(&mut self, index: usize) {
        self.commands[index].calls.failed += 1;
    }

    /// Counts a request that was not run.
    pub fn rejected(&mut self, index: usize) {
        self.commands[index].calls.rejected += 1;
    }

    /// Records that commands of these classes were answered so many microseconds after they had been read, and takes them
    /// off `answered`.
    pub fn answered(&mut self, answered: &mut Answered, us: u64) {
        for (class, count) in self.classes.iter_mut().zip(&mut answered.0) {
            if *count > 0 {
                class.record_n(us, std::mem::take(count));
            }
        }
    }

    /// The calls of each command, by its place in the registry.
    pub fn calls(&self) -> impl Iterator<Item = &Calls> {
        self.commands.iter().map(|command| &command.calls)
    }

    /// How long the calls of the command at `index` ran, if there were any.
    #[must_use]
    pub fn runtimes(&self, index: usize) -> Option<&Runtimes> {
        self.commands[index].runtimes.as_deref()
    }

    /// How long answers to commands of a class took, in microseconds, from when the request had been read to when its
    /// answer was sent.
    #[must_use]
    pub fn class(&self, class: Class) -> &Durations {
        &self.classes[class as usize]
    }

    /// Begins anew.
    pub fn reset(&mut self) {
        *self = Self::new(self.commands.len());
    }
}

/// Commands of each class that have run and whose answers are not sent yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answered([u64; Class::ALL.len()]);

impl Answered {
    /// Adds some.
    pub fn add(&mut self, class: Class, calls: u64) {
        self.0[class as usize] += calls;
    }

    /// Adds those of another.
    pub fn add_all(&mut self, more: Self) {
        for (count, more) in self.0.iter_mut().zip(more.0) {
            *count += more;
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|count| *count == 0)
    }
}

/// How often each command was called in one run of commands, all of which are timed together.
#[derive(Debug, Default)]
pub struct RunCalls {
    /// The command called last, by place in the registry, and how often in a row. Not in `counts` yet.
    last: Option<usize>,
    in_a_row: u64,
    /// By place in the registry; zero but for those in `called`.
    counts: Vec<u64>,
    called: Vec<usize>,
    all: u64,
}

impl RunCalls {
    /// Counts a call.
    pub fn add(&mut self, index: usize) {
        if self.last != Some(index) {
            self.change();
            self.last = Some(index);
        }
        self.in_a_row += 1;
    }

    /// The last call, if the run has not been interrupted since.
    #[must_use]
    pub fn last(&self) -> Option<usize> {
        self.last
    }

    /// Ends calls in a row.
    pub fn change(&mut self) {
        let calls = std::mem::take(&mut self.in_a_row);
        if let Some(index) = self.last.take() {
            if index >= self.counts.len() {
                self.counts.resize(index + 1, 0);
            }
            if self.counts[index] == 0 {
                self.called.push(index);
            }
            self.counts[index] += calls;
            self.all += calls;
        }
    }

    /// Hands each command with its calls and its part of `ns` to `record`, and begins anew.
    pub fn share_out(&mut self, ns: u64, mut record: impl FnMut(usize, u64, u64)) {
        // Mostly there is one.
        if self.called.is_empty() {
            let calls = std::mem::take(&mut self.in_a_row);
            if let Some(index) = self.last.take() {
                record(index, calls, ns);
            }
            return;
        }
        self.change();
        let all = std::mem::take(&mut self.all).max(1);
        for index in self.called.drain(..) {
            let calls = std::mem::take(&mut self.counts[index]);
            record(index, calls, ns.saturating_mul(calls) / all);
        }
    }

    /// Whether there was no call.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.last.is_none() && self.called.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_shared_out_by_calls() {
        let mut run = RunCalls::default();
        for index in [3, 1, 3, 3] {
            run.add(index);
        }
        let mut shares = Vec::new();
        run.share_out(400, |index, calls, ns| shares.push((index, calls, ns)));
        assert_eq!(shares, [(3, 3, 300), (1, 1, 100)]);
        assert!(run.is_empty());
        run.add(1);
        run.share_out(7, |index, calls, ns| shares.push((index, calls, ns)));
        assert_eq!(shares[2], (1, 1, 7));
    }

    #[test]
    fn commands_have_totals_and_percentiles() {
        let mut latencies = Latencies::new(2);
        latencies.called(1, 90, 90 * 500);
        latencies.called(1, 9, 9 * 3_000);
        latencies.called(1, 1, 1_000_000);
        latencies.failed(1);
        latencies.rejected(0);
        let calls: Vec<_> = latencies.calls().copied().collect();
        assert_eq!(calls[0], Calls { rejected: 1, ..Calls::default() });
        assert_eq!(calls[1], Calls { count: 100, failed: 1, rejected: 0, ns: 1_072_000 });
        assert!(latencies.runtimes(0).is_none());
        let runtimes = latencies.runtimes(1).unwrap();
        assert!((500..540).contains(&runtimes.at(50.0)), "{}", runtimes.at(50.0));
        assert!((3_000..3_200).contains(&runtimes.at(99.0)), "{}", runtimes.at(99.0));
        assert_eq!(runtimes.by_powers_of_two(), [(1, 90), (4, 99), (1_048, 100)]);
        latencies.reset();
        assert!(latencies.calls().all(|calls| *calls == Calls::default()) && latencies.runtimes(1).is_none());
    }

    #[test]
    fn classes_are_apart() {
        let mut latencies = Latencies::new(0);
        let mut answered = Answered::default();
        answered.add(Class::Read, 10);
        answered.add(Class::Delete, 1);
        latencies.answered(&mut answered, 40);
        assert!(answered.is_empty());
        answered.add(Class::Read, 1);
        latencies.answered(&mut answered, 2_000_000);
        let read: Vec<_> = latencies.class(Class::Read).sparse().collect();
        assert_eq!((read[0], read.len(), read[1].1), ((40, 10), 2, 1));
        assert!((2_000_000..2_020_000).contains(&read[1].0));
        assert_eq!(latencies.class(Class::Delete).sparse().collect::<Vec<_>>(), [(40, 1)]);
        assert_eq!(latencies.class(Class::Write).sparse().count(), 0);
        assert_eq!(Class::ALL.map(|class| class as usize), [0, 1, 2, 3]);
    }
}
