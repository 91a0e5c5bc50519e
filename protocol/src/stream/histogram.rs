//! How long things took: counts in buckets whose bounds are fixed, so that histograms can be added and subtracted.
//!
//! Used by the daemon, which records, and by the dashboard, which takes differences and percentiles. Log-linear: each
//! power of two is divided into 16 buckets of equal width, so a bucket's upper bound is at most a sixteenth above
//! anything in it. In JSON only buckets that count something: `{"at":[160,161],"n":[12,5]}`, numbers of buckets and
//! their counts.

use serde_json::Value as Json;

use super::fields::{Fields, StreamError, object};

/// Buckets to a power of two, as a power of two.
const LINEAR_BITS: u32 = 4;

/// The first power of two that has no buckets: 2^40 ns are 18 minutes, and what took longer counts into the last.
const BITS: u32 = 40;

/// Counts of durations in nanoseconds, from 0 to 18 minutes, to a sixteenth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram {
    /// By number of the bucket.
    counts: Box<[u64]>,
}

impl Default for Histogram {
    /// Counts nothing yet.
    fn default() -> Self {
        Self { counts: vec![0; Self::BUCKETS].into() }
    }
}

impl Histogram {
    /// How many buckets there are.
    pub const BUCKETS: usize = ((BITS - LINEAR_BITS + 1) << LINEAR_BITS) as usize;

    /// The number of the bucket that a duration counts into: up to 31 ns the duration itself, and from there on
    /// 16 buckets to each doubling.
    #[must_use]
    pub const fn bucket(ns: u64) -> usize {
        let most = (1 << BITS) - 1;
        let ns = if ns > most { most } else { ns };
        let above = (u64::BITS - ns.leading_zeros()).saturating_sub(LINEAR_BITS + 1);
        ((above << LINEAR_BITS) as u64 + (ns >> above)) as usize
    }

    /// The longest duration that counts into a bucket, in nanoseconds.
    #[must_use]
    pub const fn upper_bound(bucket: usize) -> u64 {
        let bucket = bucket as u64;
        let above = (bucket >> LINEAR_BITS).saturating_sub(1);
        ((bucket - (above << LINEAR_BITS) + 1) << above) - 1
    }

    /// Counts one that took `ns` nanoseconds.
    pub fn record(&mut self, ns: u64) {
        self.record_many(ns, 1);
    }

    /// Counts several that took `ns` nanoseconds each.
    pub fn record_many(&mut self, ns: u64, count: u64) {
        self.counts[Self::bucket(ns)] += count;
    }

    /// How many are counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The buckets that count something, by number, with their counts.
    pub fn buckets(&self) -> impl Iterator<Item = (usize, u64)> {
        self.counts.iter().copied().enumerate().filter(|&(_, count)| count > 0)
    }

    /// Adds what another counts.
    pub fn add(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
    }

    /// What was counted since an earlier state of the same histogram; nothing in a bucket that has become less.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let pairs = self.counts.iter().zip(&earlier.counts);
        Self { counts: pairs.map(|(now, then)| now.saturating_sub(*then)).collect() }
    }

    /// The duration in nanoseconds that this share of all did not exceed, from 0 to 1, as the upper bound of its
    /// bucket; none where nothing is counted.
    #[must_use]
    pub fn percentile(&self, share: f64) -> Option<u64> {
        let count = self.count();
        let wanted = ((count as f64 * share).ceil() as u64).clamp(1, count.max(1));
        let mut below = 0;
        self.buckets().find_map(|(bucket, count)| {
            below += count;
            (below >= wanted).then(|| Self::upper_bound(bucket))
        })
    }

    pub(super) fn to_json(&self) -> Json {
        let (at, n): (Vec<Json>, Vec<Json>) =
            self.buckets().map(|(bucket, count)| (Json::from(bucket), Json::from(count))).unzip();
        object([("at", at.into()), ("n", n.into())])
    }

    pub(super) fn from_json(json: Json) -> Result<Self, StreamError> {
        const WRONG: StreamError = StreamError::Field { field: "latency", expected: "histogram" };
        let mut fields = Fields::of(json, "latency")?;
        let (at, n) = (fields.ints("at")?, fields.ints("n")?);
        if at.len() != n.len() {
            return Err(WRONG);
        }
        let mut histogram = Self::default();
        for (bucket, count) in at.into_iter().zip(n) {
            let bucket = usize::try_from(bucket).map_err(|_| WRONG)?;
            let slot = histogram.counts.get_mut(bucket).ok_or(WRONG)?;
            *slot = u64::try_from(count).map_err(|_| WRONG)?;
        }
        Ok(histogram)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_follow_each_other_without_a_gap_and_are_a_sixteenth_wide() {
        let mut next = 0_u64;
        for bucket in 0..Histogram::BUCKETS {
            let last = Histogram::upper_bound(bucket);
            assert_eq!(Histogram::bucket(next), bucket);
            assert_eq!(Histogram::bucket(last), bucket);
            assert!(last - next <= next / 16, "{bucket}: {next} to {last}");
            next = last + 1;
        }
        assert_eq!(next, 1 << 40);
        assert_eq!(Histogram::bucket(u64::MAX), Histogram::BUCKETS - 1);
        assert_eq!([0, 1, 31, 32, 33, 1_000].map(Histogram::bucket), [0, 1, 31, 32, 32, 111]);
    }

    #[test]
    fn percentiles_are_those_of_the_difference() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.percentile(0.5), None);
        histogram.record(10);
        assert_eq!((histogram.percentile(0.0), histogram.percentile(1.0)), (Some(10), Some(10)));
        let earlier = histogram.clone();
        for ns in 1..=1_000 {
            histogram.record(ns * 1_000);
        }
        let difference = histogram.since(&earlier);
        assert_eq!(difference.count(), 1_000);
        for (share, exact) in [(0.5, 500_000), (0.99, 990_000), (0.999, 999_000)] {
            let found = difference.percentile(share).unwrap();
            assert!((exact..=exact + exact / 16).contains(&found), "{share}: {found}");
        }
        let mut sum = earlier.clone();
        sum.add(&difference);
        assert_eq!(sum, histogram);
        assert_eq!(earlier.since(&histogram).count(), 0);
    }

    #[test]
    fn json_has_only_what_counts() {
        let mut histogram = Histogram::default();
        histogram.record_many(1_000, 1);
        histogram.record(1_001);
        histogram.record(u64::MAX);
        let json = histogram.to_json();
        assert_eq!(json.to_string(), r#"{"at":[111,591],"n":[2,1]}"#);
        assert_eq!(Histogram::from_json(json).unwrap(), histogram);
        for wrong in [r#"{"at":[1],"n":[]}"#, r#"{"at":[592],"n":[1]}"#, r#"{"at":[-1],"n":[1]}"#, "[]"] {
            assert!(Histogram::from_json(serde_json::from_str(wrong).unwrap()).is_err(), "{wrong}");
        }
    }
}
