//! What there is to know about a command without running it, and how it runs.

use std::pin::Pin;
use std::rc::Rc;

use larder_protocol::{Reply, Request, stream};

use super::{Host, args};
use crate::cache::{Stop, Taking, View};
use crate::clients::{Client, Paused};
use crate::error::CommandError;

/// What there is to know about a command without running it.
#[derive(Debug)]
pub struct Spec {
    /// Its name, in lower case.
    pub name: &'static str,
    /// Its arguments, as HELP shows them.
    pub usage: &'static str,
    /// Words including the name: exactly `n`, or with a minus sign at least that many.
    pub arity: i32,
    /// Who may run it and what it does to the data.
    pub class: Class,
    /// Where documentation lists it.
    pub group: Group,
    /// Which of its words are keys.
    pub keys: Keys,
    /// One line.
    pub summary: &'static str,
    /// What runs it.
    pub run: Run,
}

/// What the commands of one file have in common. Each adds its name, its usage, how many words it has, and a line about it.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    /// As [`Spec::class`].
    pub class: Class,
    /// As [`Spec::group`].
    pub group: Group,
    /// As [`Spec::keys`].
    pub keys: Keys,
}

impl Family {
    /// The same with other keys.
    pub const fn with_keys(self, keys: Keys) -> Self {
        Self { keys, ..self }
    }

    /// A command that runs in one step.
    pub const fn step(
        self,
        name: &'static str,
        usage: &'static str,
        arity: i32,
        summary: &'static str,
        run: StepFn,
    ) -> Spec {
        self.spec(name, usage, arity, summary, Run::Step(run))
    }

    /// A command that runs on the connection.
    pub const fn local(
        self,
        name: &'static str,
        usage: &'static str,
        arity: i32,
        summary: &'static str,
        run: LocalFn,
    ) -> Spec {
        self.spec(name, usage, arity, summary, Run::Local(run))
    }

    /// A command that runs so.
    pub const fn spec(
        self,
        name: &'static str,
        usage: &'static str,
        arity: i32,
        summary: &'static str,
        run: Run,
    ) -> Spec {
        let Self { class, group, keys } = self;
        Spec { name, usage, arity, class, group, keys, summary, run }
    }
}

/// What a command does to the data, and so who may run it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Looks at entries.
    Read,
    /// Stores or changes entries.
    Write,
    /// Only deletes: what can still be done when the disk is full.
    Delete,
    /// Looks at or changes the daemon, or deletes everything.
    Admin,
    /// Concerns the connection only.
    Connection,
}

impl Class {
    /// What it does to the room there is, if anything.
    #[must_use]
    pub fn taking(self) -> Option<Taking> {
        match self {
            Self::Write => Some(Taking::Entries),
            Self::Delete => Some(Taking::Deletions),
            Self::Read | Self::Admin | Self::Connection => None,
        }
    }

    /// The class that its durations are recorded under.
    #[must_use]
    pub fn latency_class(self) -> stream::Class {
        match self {
            Self::Read => stream::Class::Read,
            Self::Write => stream::Class::Write,
            Self::Delete => stream::Class::Delete,
            Self::Admin | Self::Connection => stream::Class::Other,
        }
    }
}

/// The groups of Redis's own documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Values.
    String,
    /// Keys, whatever they hold.
    Generic,
    /// The daemon.
    Server,
    /// The connection.
    Connection,
    /// Several commands as one.
    Transactions,
    /// Messages.
    PubSub,
    /// Scripts.
    Scripting,
}

impl Group {
    /// Its name in COMMAND DOCS.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Generic => "generic",
            Self::Server => "server",
            Self::Connection => "connection",
            Self::Transactions => "transactions",
            Self::PubSub => "pubsub",
            Self::Scripting => "scripting",
        }
    }
}

/// The positions of a command's keys among its words, the name being word 0, as COMMAND INFO gives them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keys {
    /// Position of the first; 0 where there is none.
    pub first: usize,
    /// Position of the last; negative counts from the end.
    pub last: isize,
    /// Distance between two.
    pub step: usize,
    /// Whether the command usually replaces what is there without looking at it.
    pub overwritten: bool,
    /// Whether the word before the first says how many there are.
    pub counted: bool,
}

impl Keys {
    /// No keys.
    pub const NONE: Self = Self { first: 0, last: 0, step: 0, overwritten: false, counted: false };
    /// The first argument.
    pub const FIRST: Self = Self { first: 1, last: 1, step: 1, overwritten: false, counted: false };
    /// The second argument, after a subcommand.
    pub const SECOND: Self = Self { first: 2, last: 2, step: 1, overwritten: false, counted: false };
    /// The first argument, overwritten.
    pub const FIRST_OVERWRITTEN: Self = Self { overwritten: true, ..Self::FIRST };
    /// Every argument.
    pub const ALL: Self = Self { first: 1, last: -1, step: 1, overwritten: false, counted: false };
    /// Every other argument, overwritten.
    pub const PAIRS: Self = Self { first: 1, last: -1, step: 2, overwritten: true, counted: false };

    /// The keys of a request.
    pub fn of(self, request: Request<'_>) -> impl Iterator<Item = &[u8]> {
        let words = request.len();
        let last =
            if self.last < 0 { words.saturating_add_signed(self.last) } else { self.last.unsigned_abs() };
        let mut count = if self.first == 0 { 0 } else { (last + 1).saturating_sub(self.first) };
        if self.counted {
            let said = request.get(self.first.saturating_sub(2)).and_then(args::integer);
            let said = said.and_then(|said| usize::try_from(said).ok()).unwrap_or(0);
            count = count.min(said.saturating_mul(self.step));
        }
        request.tail(self.first.saturating_sub(1)).take(count).step_by(self.step.max(1))
    }
}

/// A command that takes a while. It owns what it needs, and other commands run beside it.
pub type Job<'a> = Pin<Box<dyn Future<Output = Result<Reply, CommandError>> + 'a>>;

/// What runs a command in one step.
pub type StepFn = fn(Request<'_>, &mut View<'_>) -> Result<Reply, Stop>;

/// What begins a job.
pub type JobFn = for<'a> fn(Request<'_>, &'a Host) -> Result<Job<'a>, CommandError>;

/// What runs a command on the connection.
pub type LocalFn = fn(Request<'_>, &Rc<Client>, &Host) -> Result<Reply, CommandError>;

/// How a command runs.
#[derive(Clone, Copy)]
pub enum Run {
    /// In one uninterrupted step on the cache.
    Step(StepFn),
    /// On the connection and what is known about the daemon.
    Local(LocalFn),
    /// Over several turns of the event loop; the arguments are checked at once.
    Job(JobFn),
    /// As a job where the request says so, else on the connection.
    LocalOrJob(LocalFn, fn(Request<'_>) -> bool, JobFn),
    /// As a job where the request says so, else in one step.
    StepOrJob(StepFn, fn(Request<'_>) -> bool, JobFn),
    /// As a job, on the connection as well.
    Session(for<'a> fn(Request<'_>, &'a Rc<Client>, &'a Host) -> Result<Job<'a>, CommandError>),
}

impl Run {
    /// How this request runs: never one of those that depend on it.
    #[must_use]
    pub fn of(self, request: Request<'_>) -> Self {
        match self {
            Self::StepOrJob(_, takes_turns, job) | Self::LocalOrJob(_, takes_turns, job)
                if takes_turns(request) =>
            {
                Self::Job(job)
            }
            Self::StepOrJob(step, ..) => Self::Step(step),
            Self::LocalOrJob(local, ..) => Self::Local(local),
            other => other,
        }
    }
}

impl std::fmt::Debug for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Step(_) => "Step",
            Self::Local(_) => "Local",
            Self::Job(_) => "Job",
            Self::LocalOrJob(..) => "LocalOrJob",
            Self::StepOrJob(..) => "StepOrJob",
            Self::Session(_) => "Session",
        })
    }
}

impl Spec {
    /// Whether it is held back while such commands are. CLIENT never is, so that a pause can be ended.
    #[must_use]
    pub fn is_held_back_by(&self, paused: Paused) -> bool {
        match paused {
            Paused::All => self.name != "client",
            Paused::Writes => {
                self.class.taking().is_some()
                    || matches!(self.name, "exec" | "publish" | "flushall" | "flushdb")
            }
        }
    }

    /// Whether a request of that many words, the name included, may be meant.
    #[must_use]
    pub fn takes(&self, words: usize) -> bool {
        let bound = self.arity.unsigned_abs() as usize;
        if self.arity < 0 { words >= bound } else { words == bound }
    }
}
