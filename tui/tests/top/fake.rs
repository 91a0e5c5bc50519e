//! A daemon that only has the stream: a socket, and a [`World`] that goes by as fast as a test wants.

use std::collections::HashMap;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use larder_protocol::stream::{EVENTS_CHANNEL, STATS_CHANNEL};

use crate::fixtures::World;

/// What a second of the world takes here.
const SECOND: Duration = Duration::from_millis(40);

/// What was asked of it, by command.
type Asked = Arc<Mutex<HashMap<String, usize>>>;

/// A running fake.
pub(crate) struct Fake {
    socket: PathBuf,
    stop: Arc<AtomicBool>,
    accepted: Arc<AtomicUsize>,
    asked: Asked,
    acceptor: Option<JoinHandle<()>>,
}

impl Fake {
    /// Starts on a socket.
    pub(crate) fn start(socket: &Path, world: World) -> Self {
        let listener = UnixListener::bind(socket).unwrap();
        let world = Arc::new(Mutex::new(world));
        let (stop, accepted) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let asked = Asked::default();
        let acceptor = {
            let (stop, accepted, asked) = (Arc::clone(&stop), Arc::clone(&accepted), Arc::clone(&asked));
            let mut served = Vec::new();
            thread::spawn(move || {
                for stream in listener.incoming() {
                    if stop.load(Ordering::SeqCst) {
                        break;
                    }
                    let Ok(stream) = stream else { continue };
                    accepted.fetch_add(1, Ordering::SeqCst);
                    let (stop, asked, world) = (Arc::clone(&stop), Arc::clone(&asked), Arc::clone(&world));
                    // A client that goes away ends its connection, and nothing else.
                    served.push(thread::spawn(move || drop(serve(stream, &world, &asked, &stop))));
                }
                for thread in served {
                    thread.join().unwrap();
                }
            })
        };
        Self { socket: socket.to_owned(), stop, accepted, asked, acceptor: Some(acceptor) }
    }

    /// Connections so far.
    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    /// How often a command was asked.
    pub(crate) fn asked(&self, command: &str) -> usize {
        self.asked.lock().unwrap().get(command).copied().unwrap_or(0)
    }
}

impl Drop for Fake {
    /// Closes every connection and removes the socket, as a daemon that stops.
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // The one that is waited for.
        drop(UnixStream::connect(&self.socket));
        if let Some(acceptor) = self.acceptor.take() {
            acceptor.join().unwrap();
        }
        let _ = std::fs::remove_file(&self.socket);
    }
}

fn serve(mut stream: UnixStream, world: &Mutex<World>, asked: &Asked, stop: &AtomicBool) -> io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let words = request(&mut reader)?;
    let command = words.first().cloned().unwrap_or_default();
    *asked.lock().unwrap().entry(command.clone()).or_default() += 1;
    match command.as_str() {
        "CLEANUP" => return stream.write_all(b":812\r\n"),
        "SUBSCRIBE" => {}
        _ => return stream.write_all(b"-ERR unknown command\r\n"),
    }
    for (at, channel) in words[1..].iter().enumerate() {
        stream.write_all(
            format!("*3\r\n$9\r\nsubscribe\r\n${}\r\n{channel}\r\n:{}\r\n", channel.len(), at + 1).as_bytes(),
        )?;
    }
    let events = words.iter().any(|word| word == EVENTS_CHANNEL);
    let mut told = 0;
    for backlog in world.lock().unwrap().backlogs() {
        message(&mut stream, STATS_CHANNEL, &backlog.to_json())?;
    }
    while !stop.load(Ordering::SeqCst) {
        let (sample, happened) = {
            let mut world = world.lock().unwrap();
            world.advance();
            let happened = world.events[told..].to_vec();
            told = world.events.len();
            (world.sample.to_json(), happened)
        };
        message(&mut stream, STATS_CHANNEL, &sample)?;
        for event in happened.iter().filter(|_| events) {
            message(&mut stream, EVENTS_CHANNEL, &event.to_json())?;
        }
        thread::sleep(SECOND);
    }
    Ok(())
}

fn message(stream: &mut UnixStream, channel: &str, text: &str) -> io::Result<()> {
    let head = format!("*3\r\n$7\r\nmessage\r\n${}\r\n{channel}\r\n${}\r\n", channel.len(), text.len());
    stream.write_all(format!("{head}{text}\r\n").as_bytes())
}

/// One request of bulk strings.
fn request(reader: &mut BufReader<UnixStream>) -> io::Result<Vec<String>> {
    let number = |reader: &mut BufReader<UnixStream>| -> io::Result<usize> {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        line.trim_end()
            .get(1..)
            .and_then(|digits| digits.parse().ok())
            .ok_or(io::ErrorKind::InvalidData.into())
    };
    let count = number(reader)?;
    let mut words = Vec::new();
    for _ in 0..count {
        let mut word = vec![0; number(reader)? + 2];
        reader.read_exact(&mut word)?;
        word.truncate(word.len() - 2);
        words.push(String::from_utf8_lossy(&word).into_owned());
    }
    Ok(words)
}
