//! Damaged files: the daemon starts and serves all the same, never answers a wrong or an older value, and sets aside what
//! is damaged. Absent is a right answer for anything: larder is a cache.
//!
//! What no start can notice is left out: a larder.db of an earlier time beside a newer log of its own is what SQLite takes for
//! its own.

use std::fs;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use crate::util::damage::{Bases, Last, copy_data, largest_file, write_round};
use crate::util::{Client, Daemon, Dice, Hold, Reply, larderd, run, wait_until};

const KEYS: u64 = 400;
const SETTINGS: [&str; 12] = [
    "--disk-cap",
    "64MiB",
    "--max-value",
    "1MiB",
    "--memory-cap",
    "0",
    "--merge-interval",
    "1h",
    "--compress-from",
    "0",
    "--cleanup-interval",
    "1h",
];

fn start_on(data: &Path) -> Daemon {
    let places = tempfile::tempdir().unwrap();
    let socket = places.path().join("s.sock");
    let mut arguments = vec!["--socket", socket.to_str().unwrap(), "--data", data.to_str().unwrap()];
    arguments.extend(SETTINGS);
    let arguments = arguments.into_iter().map(str::to_owned).collect();
    Daemon::start_with(places, socket, arguments, Vec::new())
}

/// A client that connects again where the daemon starts over.
struct Stubborn<'d> {
    daemon: &'d Daemon,
    client: Client,
    cut: usize,
}

impl<'d> Stubborn<'d> {
    fn new(daemon: &'d Daemon) -> Self {
        Self { daemon, client: daemon.client(), cut: 0 }
    }

    /// The answer to a request, once there is one. Requests whose answer is an error or was cut off are sent again.
    #[track_caller]
    fn ask(&mut self, request: &[&[u8]]) -> Reply {
        wait_until("an answer", || match self.client.pipeline(&[request.to_vec()]) {
            Ok(replies) => match &replies[0] {
                Reply::Error(error) => Err(error.clone()),
                reply => Ok(reply.clone()),
            },
            Err(error) => {
                self.cut += 1;
                if let Ok(client) = Client::connect(self.daemon.socket()) {
                    self.client = client;
                }
                Err(error.to_string())
            }
        })
    }
}

/// Fails where a value is found that is not the last one. How many are found.
#[track_caller]
fn check_all(daemon: &Daemon, last: &Last, what: &str) -> usize {
    let mut client = Stubborn::new(daemon);
    let mut found = 0;
    for (key, last) in last {
        match client.ask(&[b"GET", key.as_bytes()]) {
            Reply::Nil => {}
            reply => {
                found += 1;
                let right = last.as_deref() == Some(reply.bytes());
                assert!(right, "{what}: {key} is {reply}, which is not what it was given last");
            }
        }
    }
    client.ask(&[b"DBSIZE"]);
    client.ask(&[b"SET", b"health", b"1"]);
    client.ask(&[b"CLEANUP"]);
    assert_eq!(client.ask(&[b"GET", b"health"]), Reply::bulk("1"), "{what}");
    client.ask(&[b"DEL", b"health"]);
    found
}

fn overwrite(file: &Path, at: u64, bytes: &[u8]) {
    let mut file = fs::OpenOptions::new().write(true).open(file).unwrap();
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(bytes).unwrap();
}

fn flip(file: &Path, at: u64, dice: &mut Dice) {
    let mut byte = [0];
    let mut opened = fs::File::open(file).unwrap();
    opened.seek(SeekFrom::Start(at)).unwrap();
    opened.read_exact(&mut byte).unwrap();
    overwrite(file, at, &[byte[0] ^ (1 + dice.below(255) as u8)]);
}

fn set_aside(dir: &Path) -> Vec<String> {
    let names = fs::read_dir(dir).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.contains(".corrupt-2")).collect()
}

/// What is done to which file of which directory; whether a start must notice it and set something aside.
fn damage(data: &Path, older: &Path, kind: usize, target: usize, dice: &mut Dice) -> (String, bool) {
    let (name, ends) =
        [("larder.db", ".db"), ("larder.db", ".db-wal"), ("journal-", ".db-wal"), ("journal-", ".db")]
            [target];
    let file = largest_file(data, name, ends);
    let bytes = fs::metadata(&file).unwrap().len();
    let (what, noticed) = match kind {
        0 => {
            for _ in 0..=dice.below(20) {
                flip(&file, dice.below(bytes), dice);
            }
            ("some bytes flipped", target == 2)
        }
        1 => {
            fs::OpenOptions::new().write(true).open(&file).unwrap().set_len(dice.below(bytes)).unwrap();
            ("truncated", false)
        }
        2 => {
            // Not at the end of a journal: that is what a power cut leaves.
            let at = dice.below(bytes / 2);
            overwrite(&file, at / 4_096 * 4_096, &[0; 4_096][..bytes.min(4_096) as usize]);
            ("a page zeroed", false)
        }
        3 => {
            fs::write(&file, dice.bytes(bytes as usize)).unwrap();

            // Of a journal SQLite reads the log alone, where all its pages are in it.
            ("garbage", target == 0 || target == 2)
        }
        _ => {
            fs::copy(older.join("larder.db"), &file).unwrap();
            ("an older copy", false)
        }
    };
    (format!("{}: {what}", file.file_name().unwrap().to_str().unwrap()), noticed)
}

#[test]
fn damaged_files_are_survived_and_no_wrong_or_older_value_is_answered() {
    const CASES: usize = 24;
    let bases = Bases::new(|| Daemon::start(&SETTINGS), KEYS, &mut Dice::new(17));
    assert_eq!(fs::metadata(bases.path("clean").join("larder.db")).unwrap().len() % 4_096, 0);
    let mut kept = 0;
    for case in 0..CASES {
        let mut dice = Dice::new(1_000 + case as u64);
        // Every kind on every file, as far as a start can notice it.
        let (base, kind, target) = match case {
            0..4 => ("clean", case, 0),
            4 => ("clean", 4, 0),
            5..9 => ("killed", case - 5, 0),
            9..13 => ("killed", case - 9, 1),
            13..16 => ("killed", [0, 2, 3][case - 13], 2),
            16..20 => ("killed", case - 16, 3),
            _ => ("killed", 0, case % 3),
        };
        let data = bases.path(&format!("case-{case}"));
        copy_data(&bases.path(base), &data);
        let (what, noticed) = damage(&data, &bases.path("older"), kind, target, &mut dice);
        let what = format!("case {case}, {base}, {what}");
        let mut daemon = start_on(&data);
        let found = check_all(&daemon, &bases.last, &what);
        println!("{what}: {found} of {KEYS} found, aside: {:?}", set_aside(&data));
        assert!(!noticed || !set_aside(&data).is_empty(), "{what}: {}", daemon.output());
        kept += usize::from(found > 0);
        assert_eq!(daemon.terminate().code(), Some(0), "{what}");
        daemon.restart();
        assert_eq!(check_all(&daemon, &bases.last, &what), found, "{what}: {}", daemon.output());
        drop(daemon);
        fs::remove_dir_all(&data).unwrap();
    }
    assert!(kept > CASES / 4, "what can be kept is kept: in {kept} of {CASES} cases");
}

#[test]
fn a_flipped_byte_inside_a_value_is_noticed() {
    let mut daemon = Daemon::start(&SETTINGS);
    let mut client = daemon.client();
    let mut last = Last::new();
    write_round(&mut client, 1, KEYS, &mut Dice::new(3), &mut last);
    client.check("SET victim this-value-stands-here-and-nowhere-else", "+OK");
    stop_compacted(&mut daemon);
    let file = daemon.data().join("larder.db");
    let bytes = fs::read(&file).unwrap();
    let at = bytes.windows(16).position(|window| window == b"this-value-stand").expect("it is stored raw");
    overwrite(&file, at as u64 + 5, b"V");
    daemon.restart();
    let mut client = daemon.client();
    client.check("GET victim", "nil");
    assert_eq!(client.stats().get("damaged_rows"), 1);
    let there = last.values().filter(|value| value.is_some()).count();
    assert_eq!(check_all(&daemon, &last, "all the others"), there);
    client.check("SET victim new", "+OK");
    client.check("GET victim", "=new");
}

#[test]
fn a_long_value_whose_end_is_cut_off_is_damage_and_no_failure_of_the_disk() {
    let mut daemon = Daemon::start(&SETTINGS);
    let long = Dice::new(8).bytes(200_000);
    assert_eq!(daemon.client().args(&[b"SET".as_slice(), b"long", &long]), Reply::ok());
    stop_compacted(&mut daemon);
    daemon.restart();
    // From its log SQLite knows how long the file should be, and so does not notice at the start that it is not.
    let mut client = daemon.client();
    client.check("SET short 1", "+OK");
    client.check("CLEANUP", ":0");
    daemon.kill9();
    let file = daemon.data().join("larder.db");
    let bytes = fs::metadata(&file).unwrap().len();
    fs::OpenOptions::new().write(true).open(&file).unwrap().set_len(bytes - 3 * 4_096).unwrap();
    daemon.restart();
    let mut client = Stubborn::new(&daemon);
    assert_eq!(client.ask(&[b"GET", b"long"]), Reply::Nil);
    let short = client.ask(&[b"GET", b"short"]);
    assert!(short == Reply::Nil || short == Reply::bulk("1"), "{short}");
    assert!(!set_aside(&daemon.data()).is_empty(), "{}", daemon.output());
    daemon.check_healthy();
}

/// Stops a daemon and brings all entries into the main file itself: a stop may leave some of them in its log.
fn stop_compacted(daemon: &mut Daemon) {
    daemon.terminate();
    let compacted = run(&mut larderd(&["compact", "--data", daemon.data().to_str().unwrap()]));
    assert!(compacted.status.success(), "{compacted:?}");
}

/// A daemon with 12 MiB of rows in its main file, of which the middle becomes garbage while it runs.
fn damaged_while_running(last: &mut Last) -> Daemon {
    let mut daemon = Daemon::start(&SETTINGS);
    let mut client = daemon.client();
    let noise = Dice::new(4).bytes(8_000);
    for number in 0..3_000 {
        let key = format!("key:{number:04}");
        let value = [key.as_bytes(), &noise[number..number + 4_000]].concat();
        assert_eq!(client.args(&[b"SET", key.as_bytes(), &value]), Reply::ok());
        last.insert(key, Some(value));
    }
    stop_compacted(&mut daemon);
    daemon.restart();
    let file = daemon.data().join("larder.db");
    let bytes = fs::metadata(&file).unwrap().len();
    assert!(bytes > 11_000_000, "{bytes}");
    overwrite(&file, bytes / 3 / 4_096 * 4_096, &Dice::new(5).bytes(bytes as usize / 3));
    daemon
}

#[test]
fn damage_found_by_a_read_is_repaired_without_a_restart_from_outside() {
    let mut last = Last::new();
    let daemon = damaged_while_running(&mut last);
    let pid = daemon.pid();
    let found = check_all(&daemon, &last, "read while running");
    assert!((500..2_500).contains(&found), "about two thirds are whole: {found}");
    assert_eq!(set_aside(&daemon.data()).iter().filter(|name| !name.ends_with("-wal")).count(), 1);
    assert_eq!(daemon.stats().get("pid"), i64::from(pid));
    assert_eq!(check_all(&daemon, &last, "read again"), found);
}

#[test]
fn damage_found_by_a_merge_is_repaired_without_a_restart_from_outside() {
    let mut last = Last::new();
    let daemon = damaged_while_running(&mut last);
    let mut client = Stubborn::new(&daemon);
    for (number, (key, value)) in last.iter_mut().enumerate() {
        if number % 3 == 0 {
            let new = [b"new:", key.as_bytes()].concat();
            client.ask(&[b"SET", key.as_bytes(), &new]);
            *value = Some(new);
        }
    }
    client.ask(&[b"CLEANUP"]);
    let found = check_all(&daemon, &last, "merged while running");
    assert!(found >= 1_000, "what was written since is all there: {found}");
    for (key, value) in last.iter().step_by(3) {
        let reply = client.ask(&[b"GET", key.as_bytes()]);
        assert!(Some(reply.bytes()) == value.as_deref(), "{key} is {reply}");
    }
    assert!(!set_aside(&daemon.data()).is_empty(), "{}", daemon.output());
}

#[test]
fn a_repair_that_is_killed_at_its_end_is_not_done_again() {
    const SOUND: i64 = 1_000;
    let Some(hold) = Hold::compile() else { return };
    let mut daemon = hold.daemon(&SETTINGS);
    let mut client = daemon.client();
    for number in 0..SOUND {
        client.check(&format!("SET key:{number} v"), "+OK");
    }
    client.check("CLEANUP", ":0");
    daemon.terminate();
    // As a run leaves it that has found damage.
    fs::write(daemon.data().join("larder.db.damaged"), "").unwrap();
    hold.begin();
    daemon.launch();
    wait_until("the repair to come to its end", || hold.waits());
    daemon.kill9();
    hold.end();
    daemon.restart();
    assert_eq!(daemon.client().int("DBSIZE"), SOUND);
    let aside = set_aside(&daemon.data());
    assert_eq!(aside.iter().filter(|name| !name.ends_with("-wal")).count(), 1, "{aside:?}");
    let output = daemon.output();
    assert!(output.contains("a repair of the database that was cut short is ended"), "{output}");
    assert!(!output.contains("the database was damaged"), "{output}");
}
