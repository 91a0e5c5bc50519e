//! Keys, mouse and size, from the terminal's events: the only place that knows what they are called there.

use std::io;
use std::sync::mpsc::SyncSender;
use std::thread;

use crossterm::event::{
    self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers, MouseButton, MouseEvent, MouseEventKind,
};

use crate::app::msg::{Key, Msg};

/// What an event means, if anything. Only presses and repeats of keys do; releases do not.
#[must_use]
pub fn translate(event: &Event) -> Option<Msg> {
    match event {
        Event::Key(key) if key.kind != KeyEventKind::Release => pressed(key).map(Msg::Key),
        Event::Mouse(mouse) => moused(*mouse),
        Event::Resize(width, height) => Some(Msg::Resize(*width, *height)),
        _ => None,
    }
}

fn pressed(key: &KeyEvent) -> Option<Key> {
    let ctrl = key.modifiers.contains(KeyModifiers::CONTROL);
    if key.modifiers.contains(KeyModifiers::ALT) {
        return None;
    }
    Some(match key.code {
        KeyCode::Char(c) if ctrl => Key::Ctrl(c.to_ascii_lowercase()),
        KeyCode::Char(c) => Key::Char(c),
        KeyCode::Enter => Key::Enter,
        KeyCode::Esc => Key::Esc,
        KeyCode::Tab => Key::Tab,
        KeyCode::BackTab => Key::BackTab,
        KeyCode::Backspace => Key::Backspace,
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        KeyCode::Left => Key::Left,
        KeyCode::Right => Key::Right,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown => Key::PageDown,
        KeyCode::Home => Key::Home,
        KeyCode::End => Key::End,
        _ => return None,
    })
}

fn moused(mouse: MouseEvent) -> Option<Msg> {
    match mouse.kind {
        MouseEventKind::ScrollDown => Some(Msg::Scroll(3)),
        MouseEventKind::ScrollUp => Some(Msg::Scroll(-3)),
        MouseEventKind::Down(MouseButton::Left) => Some(Msg::Click(mouse.column, mouse.row)),
        _ => None,
    }
}

/// A signal that ends, for when the terminal is gone.
const HANGUP: i32 = 1;

/// Starts the thread that waits for events and passes them on, for as long as there is a terminal.
///
/// # Errors
/// If the thread cannot be started.
pub fn spawn(sender: SyncSender<Msg>) -> io::Result<()> {
    let run = move || {
        loop {
            let Ok(event) = event::read() else {
                // The terminal is gone, and nobody can press a key any more; nor may anybody listen.
                let _ = sender.send(Msg::Signal(HANGUP));
                return;
            };
            if let Some(msg) = translate(&event)
                && sender.send(msg).is_err()
            {
                return;
            }
        }
    };
    thread::Builder::new().name("input".to_owned()).spawn(run).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(code: KeyCode, modifiers: KeyModifiers, kind: KeyEventKind) -> Option<Key> {
        let event = Event::Key(KeyEvent::new_with_kind(code, modifiers, kind));
        match translate(&event) {
            Some(Msg::Key(key)) => Some(key),
            None => None,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn presses_count_and_releases_do_not() {
        let none = KeyModifiers::NONE;
        assert_eq!(key(KeyCode::Char('q'), none, KeyEventKind::Press), Some(Key::Char('q')));
        assert_eq!(key(KeyCode::Down, none, KeyEventKind::Repeat), Some(Key::Down));
        assert_eq!(key(KeyCode::Char('q'), none, KeyEventKind::Release), None);
        assert_eq!(key(KeyCode::Char('S'), KeyModifiers::SHIFT, KeyEventKind::Press), Some(Key::Char('S')));
        assert_eq!(key(KeyCode::Char('Z'), KeyModifiers::CONTROL, KeyEventKind::Press), Some(Key::Ctrl('z')));
        assert_eq!(key(KeyCode::Char('q'), KeyModifiers::ALT, KeyEventKind::Press), None);
        assert_eq!(key(KeyCode::F(1), none, KeyEventKind::Press), None);
    }

    #[test]
    fn the_wheel_moves_rows_and_the_left_button_clicks() {
        let mouse = |kind| {
            translate(&Event::Mouse(MouseEvent { kind, column: 3, row: 4, modifiers: KeyModifiers::NONE }))
        };
        assert!(matches!(mouse(MouseEventKind::ScrollDown), Some(Msg::Scroll(3))));
        assert!(matches!(mouse(MouseEventKind::ScrollUp), Some(Msg::Scroll(-3))));
        assert!(matches!(mouse(MouseEventKind::Down(MouseButton::Left)), Some(Msg::Click(3, 4))));
        assert!(mouse(MouseEventKind::Moved).is_none());
        assert!(matches!(translate(&Event::Resize(5, 6)), Some(Msg::Resize(5, 6))));
    }
}
