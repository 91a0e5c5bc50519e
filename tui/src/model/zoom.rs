//! How much time the charts show.

/// A window of time that ends now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Zoom {
    /// One minute.
    Minute,
    /// Five minutes.
    #[default]
    FiveMinutes,
    /// Half an hour.
    HalfHour,
    /// Three hours.
    ThreeHours,
}

impl Zoom {
    /// From the shortest to the longest.
    pub const ALL: [Self; 4] = [Self::Minute, Self::FiveMinutes, Self::HalfHour, Self::ThreeHours];

    /// Its length in milliseconds.
    #[must_use]
    pub const fn ms(self) -> i64 {
        match self {
            Self::Minute => 60_000,
            Self::FiveMinutes => 300_000,
            Self::HalfHour => 1_800_000,
            Self::ThreeHours => 10_800_000,
        }
    }

    /// `1 m`, `5 m`, `30 m`, `3 h`.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Minute => "1 m",
            Self::FiveMinutes => "5 m",
            Self::HalfHour => "30 m",
            Self::ThreeHours => "3 h",
        }
    }

    /// The times that the axis names, as parts of the window that have passed since, the oldest first.
    #[must_use]
    pub const fn ticks(self) -> [&'static str; 3] {
        match self {
            Self::Minute => ["-60s", "-30s", "now"],
            Self::FiveMinutes => ["-5m", "-2m30", "now"],
            Self::HalfHour => ["-30m", "-15m", "now"],
            Self::ThreeHours => ["-3h", "-1h30", "now"],
        }
    }

    /// The next shorter one, or itself.
    #[must_use]
    pub fn closer(self) -> Self {
        Self::ALL[(self as usize).saturating_sub(1)]
    }

    /// The next longer one, or itself.
    #[must_use]
    pub fn farther(self) -> Self {
        Self::ALL[(self as usize + 1).min(Self::ALL.len() - 1)]
    }
}
