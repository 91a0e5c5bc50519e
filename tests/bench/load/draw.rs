//! Which key each request is about.
//!
//! All draws are made before the clock starts and gone through again and again, so that drawing costs a run nothing.

use std::str::FromStr;

/// Draws that are made in advance: some for each key, within bounds.
const DRAWS_A_KEY: usize = 8;
const DRAWS_MIN: usize = 1 << 16;
const DRAWS_MAX: usize = 1 << 21;
/// YCSB's skew.
const THETA: f64 = 0.99;
/// A prime, which scatters neighbours, unless it divides the number of keys.
const SCATTER: u64 = 611_953;

/// How often each key is drawn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Distribution {
    /// All keys alike.
    Uniform,
    /// The n-th most frequent 1/n^0.99 times as often as the first.
    Zipf,
    /// Each once, in no order, and then the end.
    Each,
}

impl FromStr for Distribution {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "uniform" => Ok(Self::Uniform),
            "zipf" => Ok(Self::Zipf),
            "each" => Ok(Self::Each),
            _ => Err(format!("{name:?} is none of uniform, zipf and each")),
        }
    }
}

/// An endless list of keys, or in case of [`Distribution::Each`] one with an end.
pub struct Draws {
    numbers: Vec<u32>,
    /// For mixes: whether the request reads. As long as the list.
    reads: Vec<bool>,
    at: usize,
    ends: bool,
}

impl Draws {
    /// Draws among `keys`; `reads` is the share of those that read.
    pub fn new(distribution: Distribution, keys: u32, reads: f64, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let draws = (keys as usize * DRAWS_A_KEY).clamp(DRAWS_MIN, DRAWS_MAX);
        let scattered = |number: u64| (number * SCATTER % u64::from(keys)) as u32;
        let numbers: Vec<u32> = match distribution {
            Distribution::Each => (0..u64::from(keys)).map(scattered).collect(),
            Distribution::Uniform => (0..draws).map(|_| random.below(keys)).collect(),
            Distribution::Zipf => {
                let zipf = Zipf::new(keys);
                (0..draws).map(|_| scattered(u64::from(zipf.rank(random.unit())))).collect()
            }
        };
        let reads = numbers.iter().map(|_| random.unit() < reads).collect();
        Self { numbers, reads, at: 0, ends: distribution == Distribution::Each }
    }

    /// Whether there is an end to it.
    pub fn ends(&self) -> bool {
        self.ends
    }

    /// The next key, and whether it is to be read; `None` where all had their turn.
    pub fn next(&mut self) -> Option<(u32, bool)> {
        if self.at == self.numbers.len() {
            if self.ends {
                return None;
            }
            self.at = 0;
        }
        let at = self.at;
        self.at += 1;
        Some((self.numbers[at], self.reads[at]))
    }
}

/// xorshift64*: S. Vigna, "An experimental exploration of Marsaglia's xorshift generators, scrambled", 2016.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        // Spread out, and never 0.
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: u32) -> u32 {
        (((self.next() >> 32) * u64::from(limit)) >> 32) as u32
    }

    /// From 0 to 1, without 1.
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// Ranks by Zipf's law, by the formula of Gray et al., "Quickly generating billion-record synthetic databases", SIGMOD 1994,
/// which is also the one of YCSB's `ZipfianGenerator`.
struct Zipf {
    keys: f64,
    zeta: f64,
    alpha: f64,
    eta: f64,
}

impl Zipf {
    fn new(keys: u32) -> Self {
        let zeta: f64 = (1..=keys).map(|rank| f64::from(rank).powf(-THETA)).sum();
        let of_two = 1.0 + 0.5f64.powf(THETA);
        let eta = (1.0 - (2.0 / f64::from(keys)).powf(1.0 - THETA)) / (1.0 - of_two / zeta);
        Self { keys: f64::from(keys), zeta, alpha: 1.0 / (1.0 - THETA), eta }
    }

    /// The rank, from 0, that belongs to a number from 0 to 1.
    fn rank(&self, unit: f64) -> u32 {
        let scaled = unit * self.zeta;
        if scaled < 1.0 {
            return 0;
        }
        if scaled < 1.0 + 0.5f64.powf(THETA) {
            return 1;
        }
        let rank = self.keys * (self.eta * unit - self.eta + 1.0).powf(self.alpha);
        rank.min(self.keys - 1.0) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_comes_once() {
        let mut draws = Draws::new(Distribution::Each, 10_000, 1.0, 7);
        let mut seen: Vec<u32> = std::iter::from_fn(|| draws.next()).map(|(number, _)| number).collect();
        assert_ne!(seen[..3], [0, 1, 2]);
        seen.sort_unstable();
        assert!(seen.into_iter().eq(0..10_000));
    }

    #[test]
    fn uniform_draws_reach_all_keys_about_as_often() {
        let mut counts = vec![0u32; 100];
        let mut draws = Draws::new(Distribution::Uniform, 100, 0.9, 3);
        let mut reads = 0;
        for _ in 0..100_000 {
            let (number, read) = draws.next().unwrap();
            counts[number as usize] += 1;
            reads += u32::from(read);
        }
        assert!(counts.iter().all(|count| (800..1_200).contains(count)), "{counts:?}");
        assert!((89_000..91_000).contains(&reads), "{reads}");
    }

    #[test]
    fn frequencies_follow_zipfs_law() {
        let (zipf, mut random) = (Zipf::new(1_000), Random::new(5));
        let mut counts = vec![0.0f64; 1_000];
        for _ in 0..1_000_000 {
            counts[zipf.rank(random.unit()) as usize] += 1.0;
        }
        let first = counts[0];
        // The formula is exact for the first two ranks, and within some percent of the law for ranges further on.
        assert!((counts[1] / first - 0.5f64.powf(THETA)).abs() < 0.02, "{}", counts[1] / first);
        let law = |from: u32, to: u32| (from..to).map(|rank| f64::from(rank + 1).powf(-THETA)).sum::<f64>();
        for (from, to) in [(0, 10), (10, 100), (100, 1_000)] {
            let found = counts[from as usize..to as usize].iter().sum::<f64>() / first;
            let expected = law(from, to);
            assert!((found / expected - 1.0).abs() < 0.12, "{from}..{to}: {found} instead of {expected}");
        }
    }
}
