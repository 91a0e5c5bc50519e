//! The caps: all files together stay below `disk_cap` whatever is written, and memory below its caps; what has expired
//! goes first, what is read stays, and no entry that is gone comes back as an older one.

use std::collections::HashMap;
use std::fs;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::util::{Client, Daemon, Dice, Reply, wait_for_clock, wait_until};

const MIB: u64 = 1 << 20;
const CAP: u64 = 64 * MIB;
const MEMORY_CAP: i64 = 4 << 20;
const BUFFER_CAP: i64 = 24 << 20;
const WRITERS: usize = 3;
const KEYS_A_WRITER: u64 = 3_000;

/// Bytes that do not compress, to cut values from.
struct Noise(Vec<u8>);

impl Noise {
    fn new() -> Self {
        Self(Dice::new(99).bytes(1 << 18))
    }

    /// A value that is like no other: its number, then noise.
    fn value(&self, number: u64, length: usize) -> Vec<u8> {
        let mut value = format!("{number}:").into_bytes();
        let from = number as usize * 97 % (self.0.len() - length);
        value.extend_from_slice(&self.0[from..from + length]);
        value
    }
}

/// Sizes of all files in a directory by name. Some may go or be renamed meanwhile.
fn sizes_in(dir: &Path) -> Vec<(String, u64)> {
    let size = |file: fs::DirEntry| {
        let metadata = file.metadata().ok()?;
        Some((file.file_name().into_string().unwrap(), metadata.len()))
    };
    fs::read_dir(dir).into_iter().flatten().flatten().filter_map(size).collect()
}

fn bytes_in(dir: &Path) -> u64 {
    sizes_in(dir).iter().map(|(_, bytes)| bytes).sum()
}

/// Looks at the sizes in a directory while `work` goes on; fails where they come to more than `cap` at any moment. The
/// most they came to.
#[track_caller]
fn below_cap(dir: &Path, cap: u64, work: impl FnOnce()) -> u64 {
    let stop = AtomicBool::new(false);
    let (most, sizes) = thread::scope(|scope| {
        let watching = scope.spawn(|| {
            let mut most = (0, Vec::new());
            while !stop.load(Ordering::Relaxed) {
                let sizes = sizes_in(dir);
                let bytes = sizes.iter().map(|(_, bytes)| bytes).sum();
                if bytes > most.0 {
                    most = (bytes, sizes);
                }
                thread::sleep(Duration::from_millis(1));
            }
            most
        });
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        stop.store(true, Ordering::Relaxed);
        if let Err(panic) = ended {
            std::panic::resume_unwind(panic);
        }
        watching.join().unwrap()
    });
    println!("at most {most} of {cap} bytes on disk");
    assert!(most <= cap, "{most} bytes on disk, with a cap of {cap}: {sizes:?}");
    most
}

/// One client's writes, to keys of its own, with what each key was given last.
struct Writer {
    name: usize,
    dice: Dice,
    numbers: Range<u64>,
    last: HashMap<u64, Option<Vec<u8>>>,
    written: u64,
    found: u64,
}

impl Writer {
    fn new(name: usize) -> Self {
        let first = name as u64 * 1_000_000;
        Self {
            name,
            dice: Dice::new(name as u64 + 1),
            numbers: first..first + 1_000_000,
            last: HashMap::new(),
            written: 0,
            found: 0,
        }
    }

    fn key(&self, number: u64) -> String {
        format!("{}:{}", self.name, number.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    /// One command at random; every answer is checked.
    fn step(&mut self, client: &mut Client, noise: &Noise) {
        let number = self.dice.below(KEYS_A_WRITER);
        let key = self.key(number);
        let length = match self.dice.below(10) {
            0..5 => 100,
            5..8 => 4_000,
            _ => 100 << 10,
        };
        match self.dice.below(20) {
            0 => {
                let reply = client.args(&["DEL", &key]);
                assert!(matches!(reply, Reply::Integer(0 | 1)), "{reply}");
                self.last.insert(number, None);
            }
            1..5 => self.read(number, client),
            kind => {
                let value = noise.value(self.numbers.next().unwrap(), length);
                let mut arguments = vec![b"SET".to_vec(), key.into_bytes(), value.clone()];
                if kind < 9 {
                    let lifetime = if kind == 5 { "50" } else { "3600000" };
                    arguments.extend([b"PX".to_vec(), lifetime.into()]);
                }
                assert_eq!(client.args(&arguments), Reply::ok(), "writes are answered at the cap too");
                self.written += value.len() as u64;
                self.last.insert(number, Some(value));
            }
        }
    }

    /// What is found is what was written last; it may be gone.
    fn read(&mut self, number: u64, client: &mut Client) {
        match client.args(&["GET", &self.key(number)]) {
            Reply::Nil => {}
            reply => {
                self.found += 1;
                let last = self.last.get(&number).cloned().flatten();
                let right = last.as_deref() == Some(reply.bytes());
                assert!(right, "{} has {reply}, not what was written last", self.key(number));
            }
        }
    }

    fn read_all(&mut self, client: &mut Client) {
        self.found = 0;
        for number in 0..KEYS_A_WRITER {
            self.read(number, client);
        }
    }
}

/// Fails where memory is above its caps.
#[track_caller]
fn check_memory(client: &mut Client) {
    let stats = client.stats();
    let (memory, buffer) = (stats.get("memory_bytes"), stats.get("buffer_bytes"));
    assert!(memory <= MEMORY_CAP && buffer <= BUFFER_CAP, "{memory} bytes in memory, {buffer} in the buffer");
}

/// Writes beyond the cap from several clients at once, until `bytes` are written in all.
fn write_beyond(daemon: &Daemon, writers: &mut [Writer], noise: &Noise, bytes: u64) {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let busy: Vec<_> = writers
            .iter_mut()
            .map(|writer| {
                let mut client = daemon.client();
                let enough = writer.written + bytes / WRITERS as u64;
                scope.spawn(move || {
                    while writer.written < enough {
                        writer.step(&mut client, noise);
                    }
                })
            })
            .collect();
        let mut client = daemon.client();
        let stop = &stop;
        let checking = scope.spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                check_memory(&mut client);
                thread::sleep(Duration::from_millis(5));
            }
        });
        let ended: Vec<_> = busy.into_iter().map(thread::ScopedJoinHandle::join).collect();
        stop.store(true, Ordering::Relaxed);
        checking.join().unwrap();
        for ended in ended {
            ended.unwrap();
        }
    });
}

const ARGUMENTS: [&str; 14] = [
    "--disk-cap",
    "64MiB",
    "--max-value",
    "1MiB",
    "--memory-cap",
    "4MiB",
    "--buffer-cap",
    "24MiB",
    "--merge-bytes",
    "8MiB",
    "--merge-interval",
    "50ms",
    "--cleanup-interval",
    "300ms",
];

#[test]
fn all_files_stay_below_the_cap_and_no_read_is_wrong() {
    let noise = Noise::new();
    let mut daemon = Daemon::start(&ARGUMENTS);
    let mut writers: Vec<_> = (0..WRITERS).map(Writer::new).collect();
    let data = daemon.data();
    let most = below_cap(&data, CAP, || {
        write_beyond(&daemon, &mut writers, &noise, 2 * CAP);
        let stats = daemon.stats();
        assert!(stats.get("evictions") > 0 && stats.get("evicted_bytes") > 0, "{stats:?}");
        assert_eq!(stats.get("write_errors"), 0, "{stats:?}");
        for kill in [false, true] {
            if kill {
                daemon.kill9();
            } else {
                daemon.terminate();
            }
            daemon.restart();
            let mut client = daemon.client();
            for writer in &mut writers {
                writer.read_all(&mut client);
            }
            let found: u64 = writers.iter().map(|writer| writer.found).sum();
            assert!(found > 100, "the cap is no reason to lose everything: {found} entries");
            write_beyond(&daemon, &mut writers, &noise, CAP / 2);
        }
    });
    assert!(most > CAP * 2 / 3, "the test came near the cap: {most} bytes");
}

#[test]
fn files_shrink_to_a_lowered_cap_beside_the_traffic() {
    let noise = Noise::new();
    let mut daemon = Daemon::start(&ARGUMENTS);
    daemon.terminate();
    daemon.set("--disk-cap", "128MiB");
    daemon.restart();
    let mut writers: Vec<_> = (0..WRITERS).map(Writer::new).collect();
    write_beyond(&daemon, &mut writers, &noise, 140 * MIB);
    let data = daemon.data();
    assert!(bytes_in(&data) > 70 * MIB, "{:?}", sizes_in(&data));
    daemon.terminate();
    daemon.set("--disk-cap", "64MiB");
    daemon.restart();
    write_beyond(&daemon, &mut writers, &noise, 12 * MIB);
    let main = data.join("larder.db");
    wait_until("the main file to shrink to its share of the lowered cap", || {
        match fs::metadata(&main).unwrap().len() {
            bytes if bytes <= 42 * MIB => Ok(()),
            bytes => Err(format!("{bytes} bytes")),
        }
    });
    below_cap(&data, CAP, || write_beyond(&daemon, &mut writers, &noise, 40 * MIB));
    let mut client = daemon.client();
    for writer in &mut writers {
        writer.read_all(&mut client);
    }
}

#[test]
fn a_lowered_cap_holds_for_what_the_start_finds_in_the_journals() {
    let noise = Noise::new();
    let mut daemon =
        Daemon::start(&["--disk-cap", "512MiB", "--max-value", "4MiB", "--merge-interval", "10s"]);
    let mut client = daemon.client();
    for number in 0..600_u64 {
        let reply =
            client.args(&[b"SET".as_slice(), number.to_string().as_bytes(), &noise.value(number, 100 << 10)]);
        assert_eq!(reply, Reply::ok());
    }
    daemon.kill9();
    daemon.set("--disk-cap", "64MiB");
    daemon.restart();
    let stats = wait_until("the journals to be merged", || {
        let stats = daemon.stats();
        stats.is("buffer_entries", 0).map(|()| stats)
    });
    let main = fs::metadata(daemon.data().join("larder.db")).unwrap().len();
    assert!(main <= 43 * MIB, "the main file has {main} bytes, where its share is 42 MiB at most: {stats:?}");
    assert!(stats.get("evictions") > 0, "{stats:?}");
}

#[test]
fn what_has_expired_goes_before_what_has_not() {
    let noise = Noise::new();
    let daemon = Daemon::start(&[
        "--disk-cap",
        "64MiB",
        "--max-value",
        "4MiB",
        "--merge-interval",
        "50ms",
        "--cleanup-interval",
        "1h",
    ]);
    let mut client = daemon.client();
    wait_until("the clean-up at start", || match client.stats().get("cleanup_runs") {
        0 => Err("none yet".to_owned()),
        _ => Ok(()),
    });
    let mut set = |key: String, number: u64, lifetime: &str| {
        let value = noise.value(number, 100 << 10);
        let arguments = [b"SET".to_vec(), key.into_bytes(), value, b"PX".to_vec(), lifetime.into()];
        assert_eq!(client.args(&arguments), Reply::ok());
    };
    // Three fifths of the main file's share. They expire in the file, not on their way to it.
    for number in 0..240 {
        set(format!("gone:{number}"), number, "3000");
    }
    let over = Instant::now() + Duration::from_millis(3_010);
    let mut client = daemon.client();
    wait_until("all to be merged", || client.stats().is("buffer_entries", 0));
    wait_for_clock(over);
    let mut client = daemon.client();
    let mut set = |key: String, number: u64| {
        assert_eq!(
            client.args(&[b"SET".to_vec(), key.into_bytes(), noise.value(number, 100 << 10)]),
            Reply::ok()
        );
    };
    for number in 0..270 {
        set(format!("live:{number}"), number);
    }
    let mut client = daemon.client();
    wait_until("all to be merged", || client.stats().is("buffer_entries", 0));
    let stats = client.stats();
    assert!(stats.get("expirations") > 50, "they had to make room: {stats:?}");
    assert_eq!(stats.get("evictions"), 0, "{stats:?}");
    for number in 0..270 {
        let reply = client.args(&["GET", &format!("live:{number}")]);
        assert!(reply == Reply::bulk(noise.value(number, 100 << 10)), "live:{number} is {reply}");
    }
}

#[test]
fn what_is_read_all_the_time_stays() {
    const HOT: u64 = 50;
    let noise = Noise::new();
    let mut daemon = Daemon::start(&[
        "--disk-cap",
        "64MiB",
        "--max-value",
        "4MiB",
        "--memory-cap",
        "2MiB",
        "--merge-interval",
        "20ms",
    ]);
    let mut client = daemon.client();
    for number in 0..HOT {
        let reply = client.args(&[
            b"SET".as_slice(),
            format!("hot:{number}").as_bytes(),
            &noise.value(number, 1_000),
        ]);
        assert_eq!(reply, Reply::ok());
    }
    let stop = AtomicBool::new(false);
    let read = |client: &mut Client| {
        for number in 0..HOT {
            let reply = client.args(&["GET", &format!("hot:{number}")]);
            assert!(reply == Reply::bulk(noise.value(number, 1_000)), "hot:{number} is {reply}");
        }
    };
    thread::scope(|scope| {
        let mut reader = daemon.client();
        let (stop, read) = (&stop, &read);
        let reading = scope.spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                read(&mut reader);
            }
        });
        for number in HOT..2_000 {
            let value = noise.value(number, 40_000);
            // On both sides of the hot keys.
            let key = format!("{}:{number}", ["cold", "other"][number as usize % 2]);
            if client.args(&[b"SET".as_slice(), key.as_bytes(), &value]) != Reply::ok()
                || reading.is_finished()
            {
                break;
            }
        }
        stop.store(true, Ordering::Relaxed);
        reading.join().unwrap();
    });
    let stats = client.stats();
    assert!(stats.get("evictions") > 300, "{stats:?}");
    read(&mut client);
    // Memory alone would have answered so far.
    daemon.terminate();
    daemon.restart();
    read(&mut daemon.client());
}
