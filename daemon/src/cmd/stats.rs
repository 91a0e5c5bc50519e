//! `STATS [section]`: every statistic of the table, or one section of it, as one JSON object on one line. STATISTICS.md is made of
//! the same table.

use larder_protocol::{Reply, Request, Section};

use super::{Class, Group, Host, Job, Keys, Run, Spec};
use crate::error::{CommandError, shown};

pub(super) static SPEC: Spec = Spec {
    name: "stats",
    usage: "[section]",
    arity: -1,
    class: Class::Read,
    group: Group::Server,
    keys: Keys::NONE,
    summary: "Gives every statistic as one JSON object",
    run: Run::Job(run),
};

fn parse(request: Request<'_>) -> Result<Option<Section>, CommandError> {
    if request.len() > 2 {
        return Err(CommandError::Arity(SPEC.name));
    }
    let Some(word) = request.get(0) else { return Ok(None) };
    Section::parse(word).map(Some).ok_or_else(|| {
        let known: Vec<_> = Section::ALL.iter().map(|section| section.name()).collect();
        CommandError::UnknownSection { given: shown(word), known: known.join(", ") }
    })
}

fn run<'a>(request: Request<'_>, host: &'a Host) -> Result<Job<'a>, CommandError> {
    let section = parse(request)?;
    Ok(Box::pin(async move { Ok(Reply::bulk(host.snapshot().await?.to_json(section))) }))
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use larder_protocol::Kind;

    use super::*;
    use crate::documents::{keep, keep_contents};

    #[test]
    fn the_documents_list_every_statistic() {
        let mut page = String::new();
        for section in Section::ALL {
            writeln!(page, "\n## {}\n\n{}\n", section.name(), section.about()).unwrap();
            writeln!(page, "| statistic | kind | unit | |\n|---|---|---|---|").unwrap();
            for stat in section.stats() {
                let kind = match stat.kind() {
                    Kind::Counter => "counter",
                    Kind::Gauge => "gauge",
                    Kind::Ratio => "ratio",
                    Kind::Text => "text",
                    Kind::Map => "counters",
                };
                let unit = if stat.unit() == "1" { "" } else { stat.unit() };
                writeln!(page, "| `{}` | {kind} | {unit} | {} |", stat.name(), stat.help()).unwrap();
            }
        }
        keep("daemon/STATISTICS.md", "statistics", &(page + "\n"));
        keep_contents("daemon/STATISTICS.md");
    }
}
