//! `larderd check`: says whether the data is sound.

use std::fmt::Write as _;

use super::{OfflineError, count, human, lock};
use crate::clock::Clock;
use crate::config::Settings;
use crate::store::{self, Report};

/// Prints what was found; whether all is sound.
pub(super) fn run(settings: &Settings, clock: Clock) -> Result<bool, OfflineError> {
    let _lock = lock(&settings.data, "or check a backup of it")?;
    let report = store::check(&settings.data, clock.now_ms())?;
    print!("{}", text(&report));
    Ok(report.problems.is_empty())
}

fn text(report: &Report) -> String {
    let Report { files, accounting, sound, expired, journals, unmerged, problems, notes } = report;
    let mut text = String::new();
    for (what, says) in [
        (
            "files",
            format!(
                "database {}, log {}, journals {}, reserve {}",
                human(files.main),
                human(files.wal),
                human(files.journals),
                human(files.reserve)
            ),
        ),
        (
            "entries",
            format!("{sound} with a right checksum, {} with a TTL, {expired} expired", accounting.ttl_rows),
        ),
        (
            "content",
            format!(
                "{} as sent, {} as stored",
                human(accounting.raw_bytes.max(0) as u64),
                human(accounting.stored_bytes.max(0) as u64)
            ),
        ),
        (
            "journals",
            format!(
                "{}, {} not merged yet",
                count(*journals as u64, "journal", "journals"),
                count(*unmerged, "write", "writes")
            ),
        ),
    ] {
        let _ = writeln!(text, "{what:<9} {says}");
    }
    for note in notes {
        let _ = writeln!(text, "note      {note}");
    }
    for problem in problems {
        let _ = writeln!(text, "problem   {problem}");
    }
    let _ = match problems.len() as u64 {
        0 => writeln!(text, "sound"),
        many => writeln!(text, "not sound: {}", count(many, "problem", "problems")),
    };
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_says_what_there_is_and_what_is_wrong() {
        let mut report = Report { sound: 3, journals: 1, unmerged: 2, ..Report::default() };
        report.notes = vec!["journal-000000000002.db: the machine stopped".into()];
        let sound = text(&report);
        assert!(
            sound.ends_with("note      journal-000000000002.db: the machine stopped\nsound\n")
                && sound.contains("1 journal, 2 writes"),
            "{sound}"
        );
        report.problems = vec!["accounting: it says 4 entries, and there are 3".into()];
        let wrong = text(&report);
        assert!(
            wrong.contains("problem   accounting: it says") && wrong.ends_with("not sound: 1 problem\n"),
            "{wrong}"
        );
    }
}
