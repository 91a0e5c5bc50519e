//! What can happen to the app, and what it asks for: two closed lists.

use larder_protocol::stream::{Event, Message};

use super::page::{Page, Panel};

/// A key, as far as the app tells them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// A character, with shift already in it.
    Char(char),
    /// A character with Ctrl.
    Ctrl(char),
    /// Enter.
    Enter,
    /// Escape.
    Esc,
    /// Tab.
    Tab,
    /// Shift and Tab.
    BackTab,
    /// Backspace.
    Backspace,
    /// Arrow.
    Up,
    /// Arrow.
    Down,
    /// Arrow.
    Left,
    /// Arrow.
    Right,
    /// Page up.
    PageUp,
    /// Page down.
    PageDown,
    /// Home.
    Home,
    /// End.
    End,
}

/// Something that happened.
#[derive(Debug)]
pub enum Msg {
    /// A key was pressed.
    Key(Key),
    /// The mouse was clicked; what that means follows from where things are, see `view::click`.
    Click(u16, u16),
    /// The mouse chose a page.
    ChoosePage(Page),
    /// The mouse chose a panel.
    ChoosePanel(Panel),
    /// The wheel turned: rows to move down, or up where negative.
    Scroll(i32),
    /// The terminal has another size.
    Resize(u16, u16),
    /// Local time, in unix milliseconds.
    Tick(i64),
    /// The connection's state.
    Link(LinkState),
    /// From `larder:stats`.
    Stats(Box<Message>),
    /// From `larder:events`.
    Event(Box<Event>),
    /// A message that cannot be read: why.
    Unreadable(String),
    /// The clean-up that was asked for is over: rows removed, or why not.
    CleanedUp(Result<i64, String>),
    /// The process is to end, by this signal.
    Signal(i32),
    /// The process is to stop, as by Ctrl-Z.
    Suspend,
    /// The process goes on after it.
    Resumed,
}

/// The connection's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkState {
    /// Being made.
    Connecting,
    /// Subscribed.
    Connected,
    /// Lost, or never made.
    Lost {
        /// Why.
        reason: String,
        /// Time until the next attempt.
        retry_in_ms: u64,
    },
}

/// What the app asks of whoever runs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// To leave, with this exit code.
    Quit(u8),
    /// To put this text into the terminal's clipboard.
    Copy(String),
    /// To have the daemon clean up.
    CleanUp,
    /// To give the terminal back and stop until continued.
    Suspend,
    /// To draw everything anew.
    Redraw,
}
