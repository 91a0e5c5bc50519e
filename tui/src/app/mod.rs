//! The app: everything the screen shows follows from it, and it changes only by messages.
//!
//! [`update`] takes a message and may ask for an effect; views only read. Names no terminal, no socket and no clock.

pub mod bindings;
mod keys;
pub mod msg;
pub mod page;

use regex::Regex;

use crate::model::Model;
use crate::model::clean::clean;
use crate::model::tables::{Order, Row, Table};
use crate::model::zoom::Zoom;
use bindings::BINDINGS;
use msg::{Effect, LinkState, Msg};
use page::{Page, Panel};

/// How long a notice stays.
const NOTICE_MS: i64 = 5_000;

/// Samples that may be overdue before the screen says that none come.
const OVERDUE: i64 = 3;

/// What is held by Space.
#[derive(Debug)]
pub struct Frozen {
    /// What was known.
    pub model: Model,
    /// Local time when it was.
    pub at_ms: i64,
}

/// What lies over the page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overlay {
    /// Nothing.
    #[default]
    None,
    /// The keys.
    Help,
    /// The question before a clean-up.
    ConfirmCleanUp,
    /// The line that a filter is typed into.
    Filter,
}

/// What is shown at the bottom for a while.
#[derive(Clone, Debug)]
pub struct Notice {
    /// What it says.
    pub text: String,
    /// Whether it is bad news.
    pub bad: bool,
    until_ms: i64,
}

/// All there is to show.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct App {
    /// What is known, now.
    pub live: Model,
    /// What is shown instead.
    pub frozen: Option<Box<Frozen>>,
    /// Local time of the last message that told it.
    pub now_ms: i64,
    /// The connection.
    pub link: LinkState,
    /// Local time of the next attempt.
    pub retry_at_ms: i64,
    /// Local time of the first word of this connection.
    connected_ms: i64,
    /// The least time between two samples that was asked for.
    pub interval_ms: i64,
    /// The socket, as given.
    pub socket: String,
    /// Whether `c` may do what it says.
    pub allow_writes: bool,
    /// Whether a clean-up that was asked for has not ended.
    pub cleaning: bool,
    /// The page.
    pub page: Page,
    /// The window.
    pub zoom: Zoom,
    /// Whether the chosen panel is alone.
    pub maximised: bool,
    /// The chosen panel of each page.
    chosen: [usize; Page::ALL.len()],
    /// The order of each table.
    orders: [Order; Table::ALL.len()],
    /// The chosen row of each table.
    rows: [usize; Table::ALL.len()],
    /// What is typed as a filter.
    pub filter_text: String,
    /// What it means, where it means something.
    pub filter: Option<Regex>,
    /// What is wrong with what is typed.
    pub filter_error: bool,
    /// What lies over the page.
    pub overlay: Overlay,
    /// First line of the help that is shown.
    pub help_from: usize,
    /// What is shown at the bottom for a while.
    pub notice: Option<Notice>,
    /// Size of the terminal.
    pub size: (u16, u16),
}

impl App {
    /// An app that knows nothing yet.
    #[must_use]
    pub fn new(socket: &str, now_ms: i64) -> Self {
        Self {
            live: Model::default(),
            frozen: None,
            now_ms,
            link: LinkState::Connecting,
            retry_at_ms: 0,
            connected_ms: now_ms,
            interval_ms: 0,
            socket: clean(socket),
            allow_writes: false,
            cleaning: false,
            page: Page::default(),
            zoom: Zoom::default(),
            maximised: false,
            chosen: [0; Page::ALL.len()],
            orders: Table::ALL.map(Table::default_order),
            rows: [0; Table::ALL.len()],
            filter_text: String::new(),
            filter: None,
            filter_error: false,
            overlay: Overlay::None,
            help_from: 0,
            notice: None,
            size: (80, 24),
        }
    }

    /// What is shown: what is known, or what was when the picture was frozen.
    #[must_use]
    pub fn shown(&self) -> &Model {
        self.frozen.as_ref().map_or(&self.live, |frozen| &frozen.model)
    }

    /// The right end of the time axis, by the daemon's clock. It stands while frozen, and moves on without samples
    /// while there is no connection, so that the gap is seen.
    #[must_use]
    pub fn axis_ms(&self) -> i64 {
        let silent = if self.frozen.is_some() { 0 } else { self.silent_ms().unwrap_or(0) };
        self.shown().now_ms(silent)
    }

    /// For how long no sample has come, where one is overdue.
    #[must_use]
    pub fn silent_ms(&self) -> Option<i64> {
        let (since, interval) = match &self.live.sample {
            Some(sample) => (self.live.arrived_ms, sample.interval_ms.max(self.interval_ms)),
            None => (self.connected_ms, 1_000),
        };
        let silent = self.now_ms - since;
        let connected = self.link == LinkState::Connected;
        (!connected || silent > OVERDUE * interval.max(1_000)).then_some(silent.max(0))
    }

    /// The panels of the page, at the size of the terminal.
    #[must_use]
    pub fn panels(&self) -> &'static [Panel] {
        self.page.panels(self.size.0, self.size.1)
    }

    /// The chosen panel.
    #[must_use]
    pub fn panel(&self) -> Panel {
        let panels = self.panels();
        panels[self.chosen[self.page as usize].min(panels.len() - 1)]
    }

    fn choose(&mut self, panel: Panel) {
        if let Some(at) = self.panels().iter().position(|&other| other == panel) {
            self.chosen[self.page as usize] = at;
        }
    }

    /// The table that keys for tables are about: that of the chosen panel, or the first of the page.
    #[must_use]
    pub fn table(&self) -> Option<Table> {
        self.panel().table().or_else(|| self.panels().iter().find_map(|panel| panel.table()))
    }

    /// How a table is sorted.
    #[must_use]
    pub fn order(&self, table: Table) -> Order {
        self.orders[table as usize]
    }

    /// A table's rows as they are shown.
    #[must_use]
    pub fn rows(&self, table: Table) -> Vec<Row> {
        table.rows(self.shown(), self.zoom, self.filter.as_ref(), self.order(table))
    }

    /// The chosen row of a table.
    #[must_use]
    pub fn row(&self, table: Table) -> usize {
        self.rows[table as usize]
    }

    fn move_row(&mut self, by: isize) {
        if let Some(table) = self.table() {
            let last = self.rows(table).len().saturating_sub(1);
            let row = &mut self.rows[table as usize];
            *row = (*row).min(last).saturating_add_signed(by).min(last);
        }
    }

    /// The line that the last page of the help begins with, which is full.
    #[must_use]
    pub fn help_last(&self) -> usize {
        /// Header and footer of the screen, and the frame of the help.
        const AROUND: u16 = 5;
        BINDINGS.len().saturating_sub(usize::from(self.size.1.saturating_sub(AROUND)))
    }

    fn scroll_help(&mut self, by: isize) {
        let last = self.help_last();
        self.help_from = self.help_from.min(last).saturating_add_signed(by).min(last);
    }

    fn say(&mut self, text: impl Into<String>, bad: bool) {
        self.notice = Some(Notice { text: text.into(), bad, until_ms: self.now_ms + NOTICE_MS });
    }
}

/// Changes the app by a message; what it asks for in return is to be done by the caller.
pub fn update(app: &mut App, msg: Msg) -> Option<Effect> {
    match msg {
        Msg::Key(key) => return keys::pressed(app, key),
        // Views know where things are: they make a choice of it.
        Msg::Click(..) => {}
        Msg::ChoosePage(page) => app.page = page,
        Msg::ChoosePanel(panel) => app.choose(panel),
        Msg::Scroll(rows) if app.overlay == Overlay::Help => app.scroll_help(rows as isize),
        Msg::Scroll(rows) => app.move_row(rows as isize),
        Msg::Resize(width, height) => app.size = (width, height),
        Msg::Tick(now_ms) => {
            app.now_ms = now_ms;
            app.notice.take_if(|notice| notice.until_ms <= now_ms);
        }
        Msg::Link(state) => link(app, state),
        Msg::Stats(message) => {
            let restarts = app.live.restarts;
            app.live.message(*message, app.now_ms);
            if app.live.restarts > restarts {
                app.say("the daemon was restarted; charts go on, the gap is marked", true);
            }
        }
        Msg::Event(event) => app.live.event(*event),
        Msg::Unreadable(why) => {
            app.live.unread += 1;
            app.say(format!("a message could not be read: {}", clean(&why)), true);
        }
        Msg::CleanedUp(outcome) => {
            app.cleaning = false;
            match outcome {
                Ok(rows) => app.say(format!("clean-up removed {rows} entries"), false),
                Err(why) => app.say(format!("clean-up failed: {}", clean(&why)), true),
            }
        }
        Msg::Signal(number) => return Some(Effect::Quit(128_u8.saturating_add(number as u8))),
        Msg::Suspend => return Some(Effect::Suspend),
        Msg::Resumed => return Some(Effect::Redraw),
    }
    None
}

fn link(app: &mut App, state: LinkState) {
    match &state {
        LinkState::Connecting => {}
        LinkState::Connected => app.connected_ms = app.now_ms,
        LinkState::Lost { retry_in_ms, .. } => {
            app.live.interrupted();
            app.retry_at_ms = app.now_ms + *retry_in_ms as i64;
        }
    }
    app.link = match state {
        LinkState::Lost { reason, retry_in_ms } => LinkState::Lost { reason: clean(&reason), retry_in_ms },
        other => other,
    };
}
