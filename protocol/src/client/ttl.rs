//! How long an entry lives, as one says it and as the daemon tells it.

use std::time::Duration;

use super::random;

/// How long an entry is to live. A [`Duration`] is one, and so is `None`, for ever.
///
/// ```
/// use std::time::Duration;
/// use larder_protocol::client::Ttl;
///
/// assert_eq!(Ttl::from(None), Ttl::NEVER);
/// let ttl = Ttl::from(Duration::from_secs(100)).jittered(0.1);
/// assert!(ttl.duration() <= Some(Duration::from_secs(100)) && ttl.duration() > Some(Duration::from_secs(89)));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ttl(Option<Duration>);

impl Ttl {
    /// It does not expire, unless the daemon has a `default_ttl`.
    pub const NEVER: Self = Self(None);

    /// Shorter by up to `fraction` of it, drawn anew each time: entries stored together then do not expire together.
    #[must_use]
    pub fn jittered(self, fraction: f64) -> Self {
        let less = fraction.clamp(0.0, 1.0) * random::fraction();
        Self(self.0.map(|ttl| ttl.mul_f64(1.0 - less)))
    }

    /// As a duration, unless it is for ever.
    #[must_use]
    pub fn duration(self) -> Option<Duration> {
        self.0
    }

    /// Longer by `more`.
    pub(super) fn plus(self, more: Duration) -> Self {
        Self(self.0.map(|ttl| ttl.saturating_add(more)))
    }

    /// As the argument of PX. What is shorter than a millisecond gets one; nothing at all is for the daemon to refuse.
    pub(super) fn ms(self) -> Option<String> {
        self.0.map(ms)
    }
}

/// Whole milliseconds, rounded up.
pub(super) fn ms(duration: Duration) -> String {
    duration.as_nanos().div_ceil(1_000_000).to_string()
}

impl From<Duration> for Ttl {
    fn from(ttl: Duration) -> Self {
        Self(Some(ttl))
    }
}

impl From<Option<Duration>> for Ttl {
    fn from(ttl: Option<Duration>) -> Self {
        Self(ttl)
    }
}

/// What is left of an entry's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remaining {
    /// There is no such entry.
    Absent,
    /// It does not expire.
    Forever,
    /// It expires after this.
    For(Duration),
}

impl Remaining {
    /// What PTTL answered.
    pub(super) fn from_pttl(ms: i64) -> Self {
        match ms {
            -2 => Self::Absent,
            -1 => Self::Forever,
            ms => Self::For(Duration::from_millis(ms.max(0).unsigned_abs())),
        }
    }

    /// The duration, if it has one.
    #[must_use]
    pub fn duration(self) -> Option<Duration> {
        match self {
            Self::For(left) => Some(left),
            Self::Absent | Self::Forever => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_become_milliseconds_and_never_too_few() {
        assert_eq!(ms(Duration::from_mins(1)), "60000");
        assert_eq!(ms(Duration::from_nanos(1)), "1");
        assert_eq!(Ttl::from(Duration::ZERO).ms().as_deref(), Some("0"));
        assert_eq!(Ttl::NEVER.plus(Duration::from_secs(1)), Ttl::NEVER);
        assert_eq!(
            Ttl::from(Duration::from_secs(1)).plus(Duration::from_secs(2)).ms().as_deref(),
            Some("3000")
        );
    }

    #[test]
    fn jitter_only_shortens_and_differs() {
        let whole = Duration::from_secs(1_000);
        let drawn: Vec<_> = (0..50).filter_map(|_| Ttl::from(whole).jittered(0.2).duration()).collect();
        assert!(drawn.iter().all(|ttl| *ttl <= whole && *ttl >= whole.mul_f64(0.8)), "{drawn:?}");
        assert!(drawn.iter().any(|ttl| *ttl != drawn[0]));
        assert_eq!(Ttl::NEVER.jittered(0.5), Ttl::NEVER);
    }

    #[test]
    fn the_daemons_numbers_are_told_apart() {
        assert_eq!(Remaining::from_pttl(-2), Remaining::Absent);
        assert_eq!(Remaining::from_pttl(-1), Remaining::Forever);
        assert_eq!(Remaining::from_pttl(1_500).duration(), Some(Duration::from_millis(1_500)));
    }
}
