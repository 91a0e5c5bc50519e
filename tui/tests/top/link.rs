//! The socket: subscribing, losing the daemon, finding it again, and asking for a clean-up.

use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use larder_protocol::stream::Column;
use larder_top::app::msg::{LinkState, Msg};
use larder_top::app::{App, update};
use larder_top::link;
use larder_top::model::zoom::Zoom;

use crate::fake::Fake;
use crate::fixtures::{START_MS, World};

/// Bounds a hang, and nothing else.
const HANG: Duration = Duration::from_mins(1);

/// Feeds messages to the app until it is as wanted; what the link said on the way.
fn until(app: &mut App, receiver: &Receiver<Msg>, wanted: impl Fn(&App) -> bool) -> Vec<LinkState> {
    let give_up = Instant::now() + HANG;
    let mut states = Vec::new();
    while !wanted(app) {
        let left = give_up.saturating_duration_since(Instant::now());
        let msg = receiver.recv_timeout(left).expect("a message comes before the time is up");
        if let Msg::Link(state) = &msg {
            states.push(state.clone());
        }
        update(app, msg);
    }
    states
}

#[test]
fn charts_open_filled_and_live_through_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("larder.sock");
    let (sender, receiver) = sync_channel(16);
    let mut app = App::new("/s", 0);
    link::spawn(socket.clone(), 0, sender).unwrap();
    // Nobody is there yet: it says so, and tries again with longer and longer waits.
    let states =
        until(&mut app, &receiver, |app| matches!(app.link, LinkState::Lost { retry_in_ms: 500, .. }));
    assert!(
        matches!(&states[1], LinkState::Lost { reason, retry_in_ms: 250 } if reason.contains("larder.sock")),
        "{states:?}"
    );

    let world = World::aged("first", START_MS, 600);
    let end_ms = world.time_ms();
    let fake = Fake::start(&socket, world);
    until(&mut app, &receiver, |app| {
        app.live.history.last().is_some_and(|step| step.point.time_ms >= end_ms + 3_000)
    });
    assert_eq!(app.link, LinkState::Connected);
    let known = app.live.history.known_ms(Zoom::FiveMinutes, end_ms);
    // What has come since has pushed out as much at the other end.
    assert!(known > 280_000.0, "{known}");
    assert!(app.live.history.known_ms(Zoom::HalfHour, end_ms) > 590_000.0);
    assert!(!app.live.events.is_empty());

    // The daemon goes, and another comes.
    drop(fake);
    let states = until(&mut app, &receiver, |app| matches!(app.link, LinkState::Lost { .. }));
    assert!(
        matches!(&states[..], [LinkState::Lost { retry_in_ms: 250, .. }]),
        "a success resets the waits: {states:?}"
    );
    let reads = app.live.history.sum(Zoom::FiveMinutes, end_ms, Column::ReadCalls);
    let world = World::aged("second", end_ms + 60_000, 5);
    let second_ms = world.time_ms();
    let fake = Fake::start(&socket, world);
    until(&mut app, &receiver, |app| {
        app.live.history.last().is_some_and(|step| step.point.time_ms > second_ms)
    });
    assert_eq!(app.live.restarts, 1);
    assert_eq!(app.live.history.gaps().count(), 1);
    assert!(
        app.live.history.sum(Zoom::FiveMinutes, end_ms, Column::ReadCalls) > reads * 0.5,
        "what was known stays"
    );
    assert_eq!(fake.accepted(), 1);
}

#[test]
fn a_clean_up_is_asked_on_a_connection_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("larder.sock");
    let (sender, receiver) = sync_channel(16);
    link::clean_up(socket.clone(), sender.clone()).unwrap();
    assert!(matches!(receiver.recv_timeout(HANG).unwrap(), Msg::CleanedUp(Err(_))));
    let fake = Fake::start(&socket, World::new("first", START_MS));
    link::clean_up(socket, sender).unwrap();
    assert!(matches!(receiver.recv_timeout(HANG).unwrap(), Msg::CleanedUp(Ok(812))));
    assert_eq!(fake.asked("CLEANUP"), 1);
}
