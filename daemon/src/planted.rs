//! Mistakes on purpose, for the gates in `tests/gates/` to find: a gate that cannot fail is worth nothing. There are none
//! unless the package is built with the feature `planted-bugs`, which nothing but those tests does; then the environment
//! variable `LARDERD_PLANTED_BUG` chooses one. Without the feature every question here is a constant `false`.

/// One mistake. Its name in the environment is its name here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// Writes are answered first and committed a little later.
    AnswerBeforeCommit,
    /// Others see a write, and are answered, before it is committed.
    PublishBeforeCommit,
    /// A row that was read is kept in memory although its key was written meanwhile.
    StaleFill,
    /// Replay forgets deletions.
    LostTombstone,
    /// Deadlines are compared with the wall clock as it stands.
    WallClockTtl,
    /// Of a pipeline, one answer in a thousand is left out.
    DroppedReply,
    /// Replay goes through the oldest batch once more at its end.
    DoubleReplay,
    /// What waits to be merged is given up before it is.
    UnmergedEviction,
}

/// Whether the daemon is to make this mistake.
#[cfg(not(feature = "planted-bugs"))]
#[inline]
pub const fn planted(_: Bug) -> bool {
    false
}

/// Whether the daemon is to make this mistake.
#[cfg(feature = "planted-bugs")]
pub fn planted(bug: Bug) -> bool {
    static CHOSEN: std::sync::LazyLock<Option<Bug>> = std::sync::LazyLock::new(chosen);
    *CHOSEN == Some(bug)
}

#[cfg(feature = "planted-bugs")]
fn chosen() -> Option<Bug> {
    const ALL: [Bug; 8] = [
        Bug::AnswerBeforeCommit,
        Bug::PublishBeforeCommit,
        Bug::StaleFill,
        Bug::LostTombstone,
        Bug::WallClockTtl,
        Bug::DroppedReply,
        Bug::DoubleReplay,
        Bug::UnmergedEviction,
    ];
    let name = std::env::var("LARDERD_PLANTED_BUG").ok()?;
    let bug = ALL.into_iter().find(|bug| format!("{bug:?}") == name);
    assert!(bug.is_some(), "LARDERD_PLANTED_BUG is {name:?}, and must be one of {ALL:?}");
    bug
}
