//! The program: options, threads, and the one loop.
//!
//! The loop waits for a message, takes all that wait, and draws once; so a burst is one picture, and a quiet second
//! too.

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use crate::app::msg::{Effect, Msg};
use crate::app::{App, update};
use crate::args::{self, Asked, Form, Options};
use crate::plain::{self, PlainError};
use crate::terminal::Screen;
use crate::view::theme::{Look, Theme};
use crate::view::{click, view};
use crate::{clock, input, link, signals};

/// Messages that wait for the loop. Threads wait where there are more.
const WAITING_MAX: usize = 256;

/// How often the screen moves on by itself: countdowns have tenths of a second.
const TICK: Duration = Duration::from_millis(250);

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    match args::parse(std::env::args_os(), args::variable) {
        Ok(Asked::Print(text)) => print(text.as_bytes()),
        Ok(Asked::Completions(shell)) => print(&args::completions(shell)),
        Ok(Asked::Show(options)) => show(&options),
        Err(message) => {
            eprintln!("{message}");
            ExitCode::from(2)
        }
    }
}

fn print(text: &[u8]) -> ExitCode {
    match io::stdout().write_all(text) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn show(options: &Options) -> ExitCode {
    if options.form != Form::Screen {
        return match plain::run(&options.socket, options.form, options.interval_ms, &mut io::stdout()) {
            Ok(()) => ExitCode::SUCCESS,
            // Who reads has enough, as `head` does.
            Err(PlainError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("larder-top: {}: {error}", options.socket.display());
                ExitCode::FAILURE
            }
        };
    }
    if !io::stdout().is_terminal() {
        eprintln!("larder-top: the output is no terminal: use --once, --json or --csv");
        return ExitCode::from(2);
    }
    match on_screen(options) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("larder-top: {error}");
            ExitCode::FAILURE
        }
    }
}

fn on_screen(options: &Options) -> io::Result<u8> {
    let look = Look { theme: Theme::new(options.palette, options.depth), symbols: options.symbols };
    let mut app = App::new(&options.socket.display().to_string(), clock::now_ms());
    app.allow_writes = options.allow_writes;
    app.interval_ms = options.interval_ms;
    let (sender, receiver) = sync_channel(WAITING_MAX);
    // Before the terminal is taken, so that no signal finds it taken and nobody listening.
    signals::listen(sender.clone())?;
    let mut screen = Screen::open(options.mouse)?;
    app.size = screen.size()?;
    input::spawn(sender.clone())?;
    link::spawn(options.socket.clone(), options.interval_ms, sender.clone())?;
    turn(&mut app, &look, &mut screen, options, &sender, &receiver)
}

fn turn(
    app: &mut App,
    look: &Look,
    screen: &mut Screen,
    options: &Options,
    sender: &SyncSender<Msg>,
    receiver: &Receiver<Msg>,
) -> io::Result<u8> {
    loop {
        screen.draw(|frame| view(app, look, frame))?;
        let first = match receiver.recv_timeout(TICK) {
            Ok(msg) => Some(msg),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return Ok(1),
        };
        update(app, Msg::Tick(clock::now_ms()));
        for msg in first.into_iter().chain(std::iter::from_fn(|| receiver.try_recv().ok())).take(WAITING_MAX)
        {
            let msg = match msg {
                Msg::Click(x, y) => match click(app, x, y) {
                    Some(msg) => msg,
                    None => continue,
                },
                msg => msg,
            };
            match update(app, msg) {
                None => {}
                Some(Effect::Quit(code)) => return Ok(code),
                Some(Effect::Copy(text)) => screen.copy(&text)?,
                Some(Effect::CleanUp) => link::clean_up(options.socket.clone(), sender.clone())?,
                Some(Effect::Redraw) => screen.redraw()?,
                Some(Effect::Suspend) => {
                    screen.suspended(signals::stop)?;
                    app.size = screen.size()?;
                    update(app, Msg::Resumed);
                }
            }
        }
    }
}
