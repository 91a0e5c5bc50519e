//! `larderd doctor`: whether a daemon can run here, and does; and what to do where not. Changes nothing.
//!
//! Each file beside this one looks at one thing and returns its findings; here they are put together and printed.

mod files;
mod places;
mod process;
mod socket;
mod units;

use std::fmt::Write as _;

use super::count;
use crate::config::Config;
use crate::endpoint::{self, User};

/// How a thing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// As it should be.
    Fine,
    /// Worth a look; a daemon runs all the same.
    Odd,
    /// It keeps a daemon from running, or clients from it.
    Wrong,
}

/// What was found about one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Finding {
    what: &'static str,
    verdict: Verdict,
    text: String,
    /// What to do about it.
    advice: Option<String>,
}

impl Finding {
    fn fine(what: &'static str, text: impl Into<String>) -> Self {
        Self { what, verdict: Verdict::Fine, text: text.into(), advice: None }
    }

    fn odd(what: &'static str, text: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { what, verdict: Verdict::Odd, text: text.into(), advice: Some(advice.into()) }
    }

    fn wrong(what: &'static str, text: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { what, verdict: Verdict::Wrong, text: text.into(), advice: Some(advice.into()) }
    }
}

/// What is known about the daemon that the settings describe.
#[derive(Clone, Copy, Debug)]
struct Patient {
    /// As whom it runs, or would.
    user: User,
    /// Its process, where one has the data.
    pid: Option<u32>,
}

/// Prints what was found; whether nothing is wrong.
pub(super) fn run(config: &Config) -> bool {
    let settings = &config.settings;
    let mut findings = vec![match &config.file {
        Some(file) => Finding::fine("settings", format!("read from {}", file.display())),
        None => Finding::fine("settings", "no file; options, environment and defaults"),
    }];
    let pid = match endpoint::owner_of_data(&settings.data) {
        Ok(pid) => pid,
        Err(error) => {
            let text = format!("cannot tell whether a daemon has {}: {error}", settings.data.display());
            findings.push(Finding::odd("daemon", text, "run this as the daemon's user or as root"));
            None
        }
    };
    let patient = Patient { user: places::owner(&settings.data), pid };
    findings.extend(places::data(&settings.data, patient.user));
    findings.extend(files::look(&settings.data));
    findings.extend(places::room(settings));
    findings.extend(process::look(settings, patient));
    findings.extend(socket::look(settings, patient));
    findings.extend(units::look(patient));
    print!("{}", text(&findings));
    findings.iter().all(|finding| finding.verdict != Verdict::Wrong)
}

fn text(findings: &[Finding]) -> String {
    let mut text = String::new();
    for Finding { what, verdict, text: found, advice } in findings {
        let verdict = match verdict {
            Verdict::Fine => "fine",
            Verdict::Odd => "odd",
            Verdict::Wrong => "WRONG",
        };
        let _ = writeln!(text, "{verdict:<6} {what:<12} {found}");
        if let Some(advice) = advice {
            let _ = writeln!(text, "{:19} -> {advice}", "");
        }
    }
    let of = |verdict| findings.iter().filter(|finding| finding.verdict == verdict).count() as u64;
    let _ = match (of(Verdict::Wrong), of(Verdict::Odd)) {
        (0, 0) => writeln!(text, "nothing is wrong"),
        (0, odd) => writeln!(text, "nothing is wrong; {} odd", count(odd, "thing is", "things are")),
        (wrong, _) => writeln!(text, "{} wrong", count(wrong, "thing is", "things are")),
    };
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_says_what_is_wrong_and_what_to_do() {
        let mut findings = vec![Finding::fine("settings", "no file")];
        assert_eq!(text(&findings), "fine   settings     no file\nnothing is wrong\n");
        findings.push(Finding::odd("disk", "small", "tidy up"));
        assert!(text(&findings).ends_with("nothing is wrong; 1 thing is odd\n"));
        findings.push(Finding::wrong("socket", "nobody there", "start it"));
        let report = text(&findings);
        assert!(report.contains("WRONG  socket       nobody there\n"), "{report}");
        assert!(report.contains("                    -> start it\n"), "{report}");
        assert!(report.ends_with("\n1 thing is wrong\n"), "{report}");
    }
}
