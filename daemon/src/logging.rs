//! The log: one line per event on standard error, in words or as JSON.
//!
//! Used by `main` once at start, and at a reload to change level and format; everyone else logs through `tracing`. Under
//! systemd each line begins with its priority, as sd-daemon(3) describes, and the journal adds the time; elsewhere it
//! begins with time and level. JSON has all of them as fields, and the priority in front under systemd. Never colours anything, and never lets an event become two lines: what a client sent may
//! be part of it, and a line break there would forge an event.

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, Layer};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Registry, reload};

use crate::config::{Format, Level};

/// How a line begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// `<6>`, for the journal, which keeps the time itself.
    Journal,
    /// `2026-07-01T12:00:00.000000Z  INFO `, for a file or a terminal.
    Plain,
}

impl Style {
    /// What suits standard error, given the variable `JOURNAL_STREAM`.
    ///
    /// The variable holds `device:inode` of the journal's socket. It is inherited by everything a service starts, so
    /// only standard error being that very socket makes it true (systemd.exec(5)).
    #[must_use]
    pub fn detect(journal_stream: Option<&OsStr>) -> Self {
        Self::of(io::stderr(), journal_stream)
    }

    fn of(stream: impl AsFd, journal_stream: Option<&OsStr>) -> Self {
        let connected = journal_stream.and_then(OsStr::to_str).is_some_and(|expected| {
            rustix::fs::fstat(stream).is_ok_and(|stat| format!("{}:{}", stat.st_dev, stat.st_ino) == expected)
        });
        if connected { Self::Journal } else { Self::Plain }
    }
}

/// Changes level and format while the daemon runs.
#[derive(Clone, Debug)]
pub struct LogHandle {
    level: reload::Handle<LevelFilter, Registry>,
    json: Arc<AtomicBool>,
}

impl LogHandle {
    /// Logs from `level` up from now on.
    pub fn set_level(&self, level: Level) {
        // Fails only when the subscriber is gone, and then nothing is logged at any level.
        let _ = self.level.reload(filter(level));
    }

    /// Logs in `format` from now on.
    pub fn set_format(&self, format: Format) {
        self.json.store(format == Format::Json, Ordering::Relaxed);
    }
}

/// Starts the log. The first call in a process counts; a later one changes nothing, which is what tests need.
pub fn init(level: Level, format: Format, style: Style) -> LogHandle {
    let (level_layer, level) = reload::Layer::new(filter(level));
    let handle = LogHandle { level, json: Arc::default() };
    handle.set_format(format);
    let lines = Layer::new()
        .event_format(Line { style, json: Arc::clone(&handle.json) })
        .with_writer(io::stderr)
        .with_ansi(false)
        // A log that cannot be written must not end the daemon: the default reports it by `eprintln`, which panics.
        .log_internal_errors(false);
    let _ = tracing_subscriber::registry().with(level_layer).with(lines).try_init();
    handle
}

/// Says why the daemon does not even start, before there is a log, in the way the log would. Each line is something that is
/// wrong, up to an empty one: how to do it right follows that.
pub fn complain(style: Style, text: &str) {
    let mut is_advice = false;
    for line in text.strip_prefix("error: ").unwrap_or(text).lines() {
        is_advice |= line.is_empty();
        match style {
            Style::Journal if line.is_empty() => {}
            Style::Journal => eprintln!("<{}>larderd: {line}", priority(tracing::Level::ERROR)),
            Style::Plain if is_advice => eprintln!("{line}"),
            Style::Plain => eprintln!("larderd: {line}"),
        }
    }
}

fn filter(level: Level) -> LevelFilter {
    match level {
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
    }
}

/// The priority of syslog(3) for a level. Notice (5) has no counterpart.
fn priority(level: tracing::Level) -> u8 {
    match level {
        tracing::Level::ERROR => 3,
        tracing::Level::WARN => 4,
        tracing::Level::INFO => 6,
        _ => 7,
    }
}

struct Line {
    style: Style,
    json: Arc<AtomicBool>,
}

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        ctx: &FmtContext<'_, S, N>,
        mut out: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let level = *event.metadata().level();
        if self.style == Style::Journal {
            write!(out, "<{}>", priority(level))?;
        }
        if self.json.load(Ordering::Relaxed) {
            return writeln!(out, "{}", object(event)?);
        }
        if self.style == Style::Plain {
            SystemTime.format_time(&mut out)?;
            write!(out, " {level:>5} ")?;
        }
        let mut text = String::new();
        ctx.field_format().format_fields(Writer::new(&mut text), event)?;
        write_on_one_line(&mut out, &text)?;
        writeln!(out)
    }
}

/// The event as JSON, in which a line break is `\n` anyway.
fn object(event: &Event<'_>) -> Result<Value, fmt::Error> {
    let mut time = String::new();
    SystemTime.format_time(&mut Writer::new(&mut time))?;
    let level = event.metadata().level().as_str().to_ascii_lowercase();
    let mut fields = Fields(Map::new());
    fields.0.insert("time".to_owned(), time.into());
    fields.0.insert("level".to_owned(), level.into());
    event.record(&mut fields);
    Ok(Value::Object(fields.0))
}

/// The fields of an event, the message among them.
struct Fields(Map<String, Value>);

impl Fields {
    fn add(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value);
    }
}

/// Writes the text with its control characters escaped.
fn write_on_one_line(out: &mut Writer<'_>, text: &str) -> fmt::Result {
    let mut left = text;
    while let Some((at, control)) = left.char_indices().find(|(_, letter)| letter.is_control()) {
        write!(out, "{}{}", &left[..at], control.escape_default())?;
        left = &left[at + control.len_utf8()..];
    }
    out.write_str(left)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(style: Style, level: Level, log: impl Fn(&LogHandle)) -> String {
        logged_as(Format::Text, style, level, log)
    }

    fn logged_as(format: Format, style: Style, level: Level, log: impl Fn(&LogHandle)) -> String {
        let sink = Sink::default();
        let writer = sink.clone();
        let (level_layer, level) = reload::Layer::new(filter(level));
        let handle = LogHandle { level, json: Arc::default() };
        handle.set_format(format);
        let line = Line { style, json: Arc::clone(&handle.json) };
        let lines = Layer::new().event_format(line).with_writer(move || writer.clone()).with_ansi(false);
        let subscriber = tracing_subscriber::registry().with(level_layer).with(lines);
        tracing::subscriber::with_default(subscriber, || log(&handle));
        let bytes = sink.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn journal_lines_begin_with_their_priority() {
        let text = logged(Style::Journal, Level::Debug, |_| {
            tracing::error!("cannot write");
            tracing::warn!(path = "/x", "odd");
            tracing::info!(entries = 3, "started");
            tracing::debug!("detail");
        });
        assert_eq!(text, "<3>cannot write\n<4>odd path=\"/x\"\n<6>started entries=3\n<7>detail\n");
    }

    #[test]
    fn plain_lines_begin_with_time_and_level() {
        let text = logged(Style::Plain, Level::Info, |_| tracing::warn!("odd"));
        let (time, rest) = text.split_once(' ').unwrap();
        assert_eq!(rest, " WARN odd\n");
        assert!(time.starts_with("20") && time.ends_with('Z') && time.len() == 27, "{time}");
    }

    #[test]
    fn an_event_is_one_line_without_control_characters() {
        let key = "a\n<3>forged\r\u{1b}[31m";
        let text = logged(Style::Journal, Level::Info, |_| {
            tracing::info!("broken key {key}");
            tracing::info!(%key, "field");
        });
        assert_eq!(text.lines().count(), 2, "{text:?}");
        assert!(
            text.lines().all(|line| line.starts_with("<6>") && !line.contains(char::is_control)),
            "{text:?}"
        );
    }

    #[test]
    fn json_has_time_level_message_and_fields() {
        let text = logged_as(Format::Json, Style::Plain, Level::Info, |_| {
            tracing::warn!(entries = 3, path = "/x", "two\nlines");
        });
        assert_eq!(text.lines().count(), 1, "{text}");
        let object: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(object["level"], "warn");
        assert_eq!(object["message"], "two\nlines");
        assert_eq!((&object["entries"], &object["path"]), (&3.into(), &"/x".into()));
        assert!(object["time"].as_str().unwrap().ends_with('Z'), "{text}");
        let text = logged_as(Format::Json, Style::Journal, Level::Info, |_| tracing::info!("x"));
        assert!(text.starts_with("<6>{\""), "{text}");
    }

    #[test]
    fn the_format_can_change() {
        let text = logged(Style::Journal, Level::Info, |handle| {
            tracing::info!("one");
            handle.set_format(Format::Json);
            tracing::info!("two");
        });
        let second = text.lines().nth(1).unwrap();
        assert!(text.starts_with("<6>one\n") && second.ends_with("\"message\":\"two\"}"), "{text}");
    }

    #[test]
    fn the_level_can_change() {
        let text = logged(Style::Journal, Level::Warn, |handle| {
            tracing::info!("one");
            handle.set_level(Level::Info);
            tracing::info!("two");
            handle.set_level(Level::Error);
            tracing::warn!("three");
        });
        assert_eq!(text, "<6>two\n");
    }

    #[test]
    fn only_the_journals_own_socket_is_the_journal() {
        let (stream, other) = UnixStream::pair().unwrap();
        let stat = rustix::fs::fstat(&stream).unwrap();
        let name = format!("{}:{}", stat.st_dev, stat.st_ino);
        assert_eq!(Style::of(&stream, Some(name.as_ref())), Style::Journal);
        assert_eq!(Style::of(&other, Some(name.as_ref())), Style::Plain);
        assert_eq!(Style::of(&stream, None), Style::Plain);
        assert_eq!(Style::of(&stream, Some("nonsense".as_ref())), Style::Plain);
    }
}
