//! The terminal: taken at the start, given back at every end, also that of a panic in any thread.

use std::io::{self, Write as _};
use std::panic;

use crossterm::clipboard::CopyToClipboard;
use crossterm::cursor::Show;
use crossterm::event::{DisableMouseCapture, EnableMouseCapture};
use crossterm::execute;
use crossterm::terminal::{BeginSynchronizedUpdate, EndSynchronizedUpdate};
use ratatui::layout::{Position, Rect};
use ratatui::{DefaultTerminal, Frame};

/// Exit code after a panic, as Rust's own.
const PANICKED: i32 = 101;

/// The terminal, for as long as this lives.
pub struct Screen {
    terminal: DefaultTerminal,
    mouse: bool,
}

impl Screen {
    /// Takes the terminal: raw, on the alternate screen, with the mouse if asked for.
    ///
    /// # Errors
    /// If there is no terminal, or it refuses.
    pub fn open(mouse: bool) -> io::Result<Self> {
        // From here on what was taken is given back, also where more cannot be had.
        let terminal = ratatui::try_init().inspect_err(|_| drop(ratatui::try_restore()))?;
        let screen = Self { terminal, mouse };
        // Ratatui's hook gives the terminal back and says why. No thread of this program can be missed, so that is
        // the end.
        let hook = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let _ = execute!(io::stdout(), DisableMouseCapture, EndSynchronizedUpdate, Show);
            hook(info);
            std::process::exit(PANICKED);
        }));
        if mouse {
            execute!(io::stdout(), EnableMouseCapture)?;
        }
        Ok(screen)
    }

    /// Draws a picture at once, for terminals that can.
    ///
    /// # Errors
    /// If the terminal refuses.
    pub fn draw(&mut self, view: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        execute!(io::stdout(), BeginSynchronizedUpdate)?;
        self.terminal.draw(view)?;
        execute!(io::stdout(), EndSynchronizedUpdate)
    }

    /// Size in columns and rows.
    ///
    /// # Errors
    /// If the terminal does not say.
    pub fn size(&self) -> io::Result<(u16, u16)> {
        let size = self.terminal.size()?;
        Ok((size.width, size.height))
    }

    /// Has the next picture drawn whole.
    ///
    /// # Errors
    /// If the terminal refuses.
    pub fn redraw(&mut self) -> io::Result<()> {
        // `clear` asks the terminal where its cursor is, and the thread that reads keys would get the answer.
        let size = self.terminal.size()?;
        self.terminal.resize(Rect::from((Position::ORIGIN, size)))
    }

    /// Puts a text into the terminal's clipboard (OSC 52).
    ///
    /// # Errors
    /// If the terminal refuses.
    pub fn copy(&mut self, text: &str) -> io::Result<()> {
        execute!(io::stdout(), CopyToClipboard::to_clipboard_from(text))?;
        io::stdout().flush()
    }

    /// Gives the terminal back while `stopped` runs, and takes it again.
    ///
    /// # Errors
    /// If the terminal refuses.
    pub fn suspended(&mut self, stopped: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        self.give_back();
        stopped()?;
        crossterm::terminal::enable_raw_mode()?;
        execute!(io::stdout(), crossterm::terminal::EnterAlternateScreen)?;
        if self.mouse {
            execute!(io::stdout(), EnableMouseCapture)?;
        }
        self.terminal.hide_cursor()?;
        self.redraw()
    }

    fn give_back(&mut self) {
        // There is nothing to be done about a terminal that is gone.
        if self.mouse {
            let _ = execute!(io::stdout(), DisableMouseCapture);
        }
        let _ = self.terminal.show_cursor();
        let _ = ratatui::try_restore();
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.give_back();
    }
}
