//! The keys, in one table: what the app acts on, what the help and the footer show, and what tui/README.md lists.

use super::msg::Key;

/// What a key does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Leaves.
    Quit,
    /// Opens or closes the help.
    Help,
    /// To the page after, or before.
    NextPage,
    /// See there.
    PreviousPage,
    /// To the page of the digit.
    Digit,
    /// Holds the picture, or lets it go.
    Freeze,
    /// A shorter window.
    ZoomIn,
    /// A longer window.
    ZoomOut,
    /// One panel alone, or all again.
    Maximise,
    /// To the panel after, or before.
    NextPanel,
    /// See there.
    PreviousPanel,
    /// Rows of a table.
    RowUp,
    /// See there.
    RowDown,
    /// See there.
    RowsUp,
    /// See there.
    RowsDown,
    /// See there.
    FirstRow,
    /// See there.
    LastRow,
    /// By the next column.
    Sort,
    /// The other way round.
    Reverse,
    /// Only rows that match.
    Filter,
    /// Has the daemon clean up.
    CleanUp,
    /// To the clipboard.
    Copy,
    /// Closes what is open, one thing at a time.
    Back,
    /// Draws everything anew.
    Redraw,
    /// Stops the process.
    Suspend,
}

/// A row of the table.
#[derive(Debug)]
pub struct Binding {
    /// The keys, any of them.
    pub keys: &'static [Key],
    /// How they are written.
    pub shown: &'static str,
    /// What they do.
    pub action: Action,
    /// What that is, for the help.
    pub help: &'static str,
    /// A word for the footer, where it is there.
    pub footer: &'static str,
}

const fn binding(
    keys: &'static [Key],
    shown: &'static str,
    action: Action,
    footer: &'static str,
    help: &'static str,
) -> Binding {
    Binding { keys, shown, action, help, footer }
}

use Key::{BackTab, Char, Ctrl, Down, End, Enter, Esc, Home, Left, PageDown, PageUp, Right, Tab, Up};

const DIGITS: &[Key] = &[Char('1'), Char('2'), Char('3'), Char('4'), Char('5')];

/// Every binding, in the order of the help.
pub const BINDINGS: &[Binding] = &[
    binding(&[Char('q'), Ctrl('c')], "q", Action::Quit, "quit", "quit"),
    binding(&[Char('?'), Char('h')], "?", Action::Help, "help", "this help"),
    binding(&[Tab], "Tab", Action::NextPage, "page", "next page"),
    binding(&[BackTab], "S-Tab", Action::PreviousPage, "", "page before"),
    binding(DIGITS, "1-5", Action::Digit, "", "the page of that number"),
    binding(&[Char(' ')], "Space", Action::Freeze, "freeze", "freeze the picture; collecting goes on"),
    binding(&[Char('+'), Char('=')], "+", Action::ZoomIn, "", "shorter window: 3 h, 30 m, 5 m, 1 m"),
    binding(&[Char('-'), Char('_')], "-", Action::ZoomOut, "window", "longer window"),
    binding(&[Right, Char('l')], "Right", Action::NextPanel, "", "choose the next panel"),
    binding(&[Left], "Left", Action::PreviousPanel, "", "choose the panel before"),
    binding(&[Enter], "Enter", Action::Maximise, "panel", "the chosen panel alone, or all again"),
    binding(&[Down, Char('j')], "Down", Action::RowDown, "", "next row of the panel's table"),
    binding(&[Up, Char('k')], "Up", Action::RowUp, "", "row before"),
    binding(&[PageDown], "PgDn", Action::RowsDown, "", "ten rows down"),
    binding(&[PageUp], "PgUp", Action::RowsUp, "", "ten rows up"),
    binding(&[Home, Char('g')], "Home", Action::FirstRow, "", "first row"),
    binding(&[End, Char('G')], "End", Action::LastRow, "", "last row"),
    binding(&[Char('s')], "s", Action::Sort, "sort", "sort by the next column"),
    binding(&[Char('S')], "S", Action::Reverse, "", "reverse the order"),
    binding(&[Char('/')], "/", Action::Filter, "filter", "only rows that match a regular expression"),
    binding(&[Char('c')], "c", Action::CleanUp, "clean up", "clean up now (asks first; with --allow-writes)"),
    binding(&[Char('y')], "y", Action::Copy, "copy", "copy the row, or a summary, to the clipboard"),
    binding(&[Esc], "Esc", Action::Back, "", "close, or undo filter, panel, freeze"),
    binding(&[Ctrl('l')], "C-l", Action::Redraw, "", "draw everything anew"),
    binding(&[Ctrl('z')], "C-z", Action::Suspend, "", "suspend; fg brings it back"),
];

/// What a key does.
#[must_use]
pub fn action(key: Key) -> Option<Action> {
    BINDINGS.iter().find(|binding| binding.keys.contains(&key)).map(|binding| binding.action)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_key_does_two_things_and_no_action_is_there_twice() {
        let keys: Vec<Key> = BINDINGS.iter().flat_map(|binding| binding.keys.iter().copied()).collect();
        assert_eq!(keys.iter().collect::<HashSet<_>>().len(), keys.len());
        for (at, binding) in BINDINGS.iter().enumerate() {
            assert!(
                BINDINGS[..at].iter().all(|other| other.action != binding.action),
                "{:?}",
                binding.action
            );
            assert!(
                !binding.help.is_empty() && binding.help.len() <= 46 && binding.shown.len() <= 5,
                "{}",
                binding.help
            );
        }
        assert_eq!(action(Key::Backspace), None);
    }

    #[test]
    fn the_page_lists_every_key() {
        let readme = include_str!("../../README.md");
        for Binding { shown, help, .. } in BINDINGS {
            let row = format!("| `{shown}` | {help} |");
            assert!(readme.contains(&row), "put this row into tui/README.md:\n{row}");
        }
    }
}
