//! How long commands took: a histogram for each class, and for the most used commands.

use serde_json::{Map, Value as Json};

use super::fields::{Fields, StreamError};
use super::histogram::Histogram;

/// What a command does, as far as traffic and latency are told apart by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Reads entries.
    Read,
    /// Stores or changes entries.
    Write,
    /// Removes entries.
    Delete,
    /// Everything else: PING, STATS, SUBSCRIBE.
    Other,
}

impl Class {
    /// All of them, in the order they are shown.
    pub const ALL: [Self; 4] = [Self::Read, Self::Write, Self::Delete, Self::Other];

    /// Its key in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Delete => "delete",
            Self::Other => "other",
        }
    }
}

/// Histograms of the time from a command's start to its answer, since the start of the process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Latency {
    /// By `Class as usize`.
    classes: [Histogram; 4],
    /// Those of the most used commands, lower case, the most used first; at most
    /// [`COMMANDS_MAX`](super::COMMANDS_MAX), and none where the daemon does not keep them.
    pub commands: Vec<(String, Histogram)>,
}

impl Latency {
    /// The histogram of a class. Its count is how many commands of the class have run.
    #[must_use]
    pub fn class(&self, class: Class) -> &Histogram {
        &self.classes[class as usize]
    }

    /// The histogram of a class, to record into.
    pub fn class_mut(&mut self, class: Class) -> &mut Histogram {
        &mut self.classes[class as usize]
    }

    /// The histogram of a command, if it is among the most used.
    #[must_use]
    pub fn command(&self, name: &str) -> Option<&Histogram> {
        self.commands.iter().find(|(known, _)| known == name).map(|(_, histogram)| histogram)
    }

    /// What was counted since an earlier state of the same process. A command that was not among the most used then keeps
    /// all it has.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let commands = self.commands.iter().map(|(name, now)| {
            let difference = earlier.command(name).map_or_else(|| now.clone(), |then| now.since(then));
            (name.clone(), difference)
        });
        Self {
            classes: Class::ALL.map(|class| self.class(class).since(earlier.class(class))),
            commands: commands.collect(),
        }
    }

    pub(super) fn to_json(&self) -> Json {
        let mut object: Map<String, Json> =
            Class::ALL.iter().map(|&class| (class.name().to_owned(), self.class(class).to_json())).collect();
        let commands = self.commands.iter().map(|(name, histogram)| (name.clone(), histogram.to_json()));
        object.insert("commands".to_owned(), Json::Object(commands.collect()));
        Json::Object(object)
    }

    pub(super) fn from_fields(mut fields: Fields) -> Result<Self, StreamError> {
        let mut latency = Self::default();
        for class in Class::ALL {
            latency.classes[class as usize] =
                Histogram::from_json(Json::Object(fields.object(class.name())?.rest()))?;
        }
        let commands = fields.object("commands")?.rest().into_iter();
        latency.commands = commands
            .map(|(name, json)| Ok((name, Histogram::from_json(json)?)))
            .collect::<Result<_, StreamError>>()?;
        Ok(latency)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_and_commands_come_back_and_are_subtracted_one_by_one() {
        let mut latency = Latency::default();
        latency.class_mut(Class::Read).record(1_000);
        latency.commands.push(("get".to_owned(), latency.class(Class::Read).clone()));
        let earlier = latency.clone();
        latency.class_mut(Class::Delete).record(5_000);
        latency.commands[0].1.record(2_000);
        latency.commands.push(("del".to_owned(), latency.class(Class::Delete).clone()));
        let fields = Fields::of(latency.to_json(), "latency").unwrap();
        assert_eq!(Latency::from_fields(fields).unwrap(), latency);
        let difference = latency.since(&earlier);
        assert_eq!(Class::ALL.map(|class| difference.class(class).count()), [0, 0, 1, 0]);
        assert_eq!(difference.command("get").unwrap().percentile(1.0), Some(2_047));
        assert_eq!(difference.command("del").unwrap().count(), 1);
        assert_eq!(difference.command("set"), None);
    }
}
