//! Pages and the panels on them: which there are at which size. Knows no coordinates.

use crate::model::tables::Table;

/// A page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Page {
    /// What to look at first.
    #[default]
    Overview,
    /// Commands and how long they take.
    Traffic,
    /// What is stored, and its clean-up.
    Entries,
    /// Keys and prefixes that are read most.
    Keys,
    /// Who is connected, and slow commands.
    Clients,
}

/// A part of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Panel {
    /// Hit rate and where hits come from.
    HitRate,
    /// Commands a second, by class.
    Traffic,
    /// Latency over time, of reads.
    Latency,
    /// Latency over time, of writes.
    WriteLatency,
    /// Latency by class and command.
    LatencyTable,
    /// How many entries there are.
    Entries,
    /// Memory, disk, buffers, logs.
    Storage,
    /// Clean-up runs on the time axis.
    Cleanup,
    /// What happened.
    Events,
    /// Keys read most.
    HotKeys,
    /// Prefixes read most.
    HotPrefixes,
    /// Connections.
    Clients,
    /// Slow commands.
    Slow,
}

/// From this width and height on there is room for more on the overview.
const WIDE: u16 = 110;
const TALL: u16 = 34;

impl Page {
    /// All, in the order of their digits.
    pub const ALL: [Self; 5] = [Self::Overview, Self::Traffic, Self::Entries, Self::Keys, Self::Clients];

    /// Its name.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Traffic => "Traffic",
            Self::Entries => "Entries",
            Self::Keys => "Keys",
            Self::Clients => "Clients",
        }
    }

    /// The page `by` places further, round and round.
    #[must_use]
    pub fn step(self, by: usize) -> Self {
        Self::ALL[(self as usize + by) % Self::ALL.len()]
    }

    /// Its panels at a size of the terminal, in reading order.
    #[must_use]
    pub const fn panels(self, width: u16, height: u16) -> &'static [Panel] {
        match self {
            Self::Overview if width >= WIDE && height >= TALL => &[
                Panel::HitRate,
                Panel::Traffic,
                Panel::Latency,
                Panel::Entries,
                Panel::Storage,
                Panel::Events,
                Panel::HotPrefixes,
            ],
            Self::Overview => {
                &[Panel::HitRate, Panel::Traffic, Panel::Latency, Panel::Storage, Panel::Events]
            }
            Self::Traffic => &[Panel::Traffic, Panel::Latency, Panel::WriteLatency, Panel::LatencyTable],
            Self::Entries => &[Panel::Entries, Panel::Storage, Panel::Cleanup, Panel::Events],
            Self::Keys => &[Panel::HotKeys, Panel::HotPrefixes],
            Self::Clients => &[Panel::Clients, Panel::Slow],
        }
    }
}

impl Panel {
    /// Its name.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::HitRate => "Hit rate",
            Self::Traffic => "Traffic",
            Self::Latency => "Latency of reads",
            Self::WriteLatency => "Latency of writes",
            Self::LatencyTable => "Latency by command",
            Self::Entries => "Entries",
            Self::Storage => "Storage",
            Self::Cleanup => "Clean-up",
            Self::Events => "Events",
            Self::HotKeys => "Hot keys",
            Self::HotPrefixes => "Hot prefixes",
            Self::Clients => "Clients",
            Self::Slow => "Slow commands",
        }
    }

    /// The table that it shows, where it shows one.
    #[must_use]
    pub const fn table(self) -> Option<Table> {
        match self {
            Self::LatencyTable => Some(Table::Latency),
            Self::Events => Some(Table::Events),
            Self::HotKeys => Some(Table::HotKeys),
            Self::HotPrefixes => Some(Table::HotPrefixes),
            Self::Clients => Some(Table::Clients),
            Self::Slow => Some(Table::Slow),
            _ => None,
        }
    }
}
