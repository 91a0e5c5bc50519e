//! Looking after the data where no daemon is running: check, compact, export and import.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::util::{Daemon, Dice, Outcome, Reply, binary, encode, larderd, run, succeeds, tool, wait_until};

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

pub(crate) fn data_of(daemon: &Daemon) -> PathBuf {
    daemon.dir().join("data")
}

/// Runs a subcommand on `data`; its status and what it printed.
#[track_caller]
fn look_after(subcommand: &str, data: &Path, more: &[&str]) -> (i32, Outcome) {
    let outcome = run(larderd(&[subcommand, "--data", text(data)]).args(more));
    assert!(!outcome.stderr.contains("panicked"), "{subcommand}: {outcome:?}");
    (outcome.status.code().expect("it exits"), outcome)
}

/// Runs a subcommand that should succeed.
#[track_caller]
pub(crate) fn done(subcommand: &str, data: &Path, more: &[&str]) -> Outcome {
    let (status, outcome) = look_after(subcommand, data, more);
    assert_eq!(status, 0, "{subcommand}: {outcome:?}");
    outcome
}

/// Runs a subcommand that should fail; what it said.
#[track_caller]
pub(crate) fn refused(subcommand: &str, data: &Path, more: &[&str]) -> String {
    let (status, outcome) = look_after(subcommand, data, more);
    assert_ne!(status, 0, "{subcommand}: {outcome:?}");
    outcome.stderr
}

/// A daemon that has a bit of everything: merged and unmerged, overwritten, deleted, expired, large, binary.
#[track_caller]
pub(crate) fn furnished() -> Daemon {
    let daemon = Daemon::start(&["--cleanup-interval", "1h", "--merge-interval", "1h"]);
    let mut client = daemon.client();
    client.check("MSET merged 1 overwritten old deleted v", "+OK");
    client.check("SET timed v PX 10000000", "+OK");
    // Merges what there is so far.
    client.check("CLEANUP", ":0");
    client.check("SET overwritten new", "+OK");
    client.check("DEL deleted", ":1");
    client.check("SET empty \"\"", "+OK");
    client.check("SET \"\" \"under the empty key\"", "+OK");
    client.check("SET expired v PX 1", "+OK");
    let binary: Vec<u8> = (0..=255).collect();
    assert_eq!(client.args(&[b"SET", binary.as_slice(), &binary]), Reply::ok());
    assert_eq!(client.args(&[b"SET", b"large".as_slice(), &Dice::new(3).bytes(1 << 20)]), Reply::ok());
    assert_eq!(client.args(&["SET", "compressed", &"again and ".repeat(100_000)]), Reply::ok());
    wait_until("the deadline", || client.stats().is("entries_expired", 1));
    daemon
}

/// All files of a directory but the lock, with their contents and times.
fn files(dir: &Path) -> Vec<(PathBuf, SystemTime, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|path| !path.ends_with("larder.lock"))
        .map(|path| {
            let modified = fs::metadata(&path).unwrap().modified().unwrap();
            let content = fs::read(&path).unwrap();
            (path, modified, content)
        })
        .collect();
    files.sort();
    files
}

#[test]
fn a_check_of_sound_data_says_so_and_changes_nothing() {
    let mut daemon = furnished();
    let data = data_of(&daemon);
    // What a kill leaves: a log and journals that are not merged. Then what an orderly stop leaves.
    for orderly in [false, true] {
        if orderly {
            daemon.terminate();
        } else {
            daemon.kill9();
        }
        let before = files(&data);
        let outcome = done("check", &data, &[]);
        assert!(outcome.stdout.ends_with("\nsound\n"), "{outcome:?}");
        done("export", &data, &[]);
        let after = files(&data);
        let names = |files: &[(PathBuf, SystemTime, Vec<u8>)]| -> Vec<_> {
            files.iter().map(|(path, modified, content)| (path.clone(), *modified, content.len())).collect()
        };
        assert!(before == after, "before {:#?}\nafter {:#?}", names(&before), names(&after));
        daemon.restart();
    }
}

/// Flips a bit of the first place in the database where `content` stands.
#[track_caller]
fn damage(data: &Path, content: &[u8]) {
    let path = data.join("larder.db");
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes.windows(content.len()).position(|window| window == content).expect("it is in the file");
    bytes[at + content.len() / 2] ^= 1;
    fs::write(&path, bytes).unwrap();
}

#[test]
fn a_flipped_bit_in_a_value_is_found_and_left_out() {
    let mut daemon = Daemon::start(&[]);
    let mut client = daemon.client();
    client.check("MSET sound \"this one is fine\" damaged \"this one will not be\"", "+OK");
    client.check("CLEANUP", ":0");
    daemon.terminate();
    let data = data_of(&daemon);
    damage(&data, b"this one will not be");
    let (status, outcome) = look_after("check", &data, &[]);
    assert_eq!(status, 1, "{outcome:?}");
    assert!(outcome.stdout.contains("the checksum of \"damaged\" is wrong"), "{outcome:?}");
    assert!(outcome.stdout.ends_with("not sound: 1 problem\n"), "{outcome:?}");

    let (status, outcome) = look_after("export", &data, &[]);
    assert_eq!(status, 1, "{outcome:?}");
    assert_eq!(outcome.stdout.as_bytes(), encode(&["SET", "sound", "this one is fine"]));
    assert!(outcome.stderr.contains("1 entry with a wrong checksum left out"), "{outcome:?}");
}

#[test]
fn foreign_hands_on_the_database_are_noticed() {
    let Some(sqlite3) = tool("sqlite3") else { return };
    let mut daemon = Daemon::start(&[]);
    let mut client = daemon.client();
    client.check("SET greeting \"good day\" EX 1000", "+OK");
    client.check("CLEANUP", ":0");
    daemon.terminate();
    let data = data_of(&daemon);
    let sql = |statement: &str| {
        succeeds(std::process::Command::new(&sqlite3).arg(data.join("larder.db")).arg(statement))
    };
    // The view for people, with the tool they have.
    let row = sql("SELECT key, value_bytes, value_start FROM entries_readable");
    assert_eq!(row, "greeting|8|good day\n");
    done("check", &data, &[]);
    sql("UPDATE accounting SET rows = 7");
    let (status, outcome) = look_after("check", &data, &[]);
    assert_eq!(status, 1, "{outcome:?}");
    assert!(outcome.stdout.contains("accounting: it says 7 entries, and there are 1"), "{outcome:?}");
}

#[test]
fn a_journal_that_is_none_is_reported_and_left_to_a_start() {
    let mut daemon = furnished();
    let data = data_of(&daemon);
    daemon.terminate();
    let last = fs::read_dir(&data)
        .unwrap()
        .filter_map(|file| {
            let name = file.unwrap().file_name().into_string().unwrap();
            name.strip_prefix("journal-")?.strip_suffix(".db")?.parse::<u64>().ok()
        })
        .max()
        .unwrap();
    let garbage = data.join(format!("journal-{:012}.db", last + 1));
    fs::write(&garbage, "this is no journal, however long it goes on. ".repeat(200)).unwrap();
    let before = files(&data);
    let (status, outcome) = look_after("check", &data, &[]);
    assert_eq!(status, 1, "{outcome:?}");
    assert!(outcome.stdout.contains(text(&garbage)), "{outcome:?}");
    let copy = daemon.dir().join("copy.db");
    let input = daemon.dir().join("input");
    fs::write(&input, "SET k v\n").unwrap();
    for (subcommand, more) in
        [("compact", None), ("export", None), ("backup", Some(&copy)), ("import", Some(&input))]
    {
        let more: Vec<_> = more.map(|path| text(path)).into_iter().collect();
        let said = refused(subcommand, &data, &more);
        assert!(said.contains(text(&garbage)) && said.contains("larderd check"), "{subcommand}: {said}");
    }
    assert!(before == files(&data), "nothing was touched");
    assert!(!copy.exists());
    // A missing one is as bad.
    fs::rename(&garbage, data.join(format!("journal-{:012}.db", last + 5))).unwrap();
    let (status, outcome) = look_after("check", &data, &[]);
    assert_eq!(status, 1, "{outcome:?}");
    assert!(outcome.stdout.contains("are missing"), "{outcome:?}");
}

#[test]
fn an_export_imported_elsewhere_is_the_same() {
    let mut daemon = furnished();
    let data = data_of(&daemon);
    // Unmerged writes are exported as well.
    daemon.kill9();
    let file = daemon.dir().join("entries.resp");
    let outcome = done("export", &data, &["--output", text(&file)]);
    assert!(outcome.stdout.is_empty() && outcome.stderr.contains("exported 8 entries, "), "{outcome:?}");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(refused("export", &data, &["--output", text(&file)]).contains(text(&file)));
    // To standard output the same comes, byte by byte.
    let stdout = daemon.dir().join("stdout");
    let status = larderd(&["export", "--data", text(&data)]).stdout(File::create(&stdout).unwrap()).status();
    assert!(status.unwrap().success());
    assert!(fs::read(&stdout).unwrap() == fs::read(&file).unwrap());

    let other = daemon.dir().join("other");
    let outcome = done("import", &other, &[text(&file)]);
    assert!(outcome.stdout.contains("imported 8 requests"), "{outcome:?}");
    assert!(done("check", &other, &[]).stdout.ends_with("\nsound\n"));
    let again = done("export", &other, &["--output", text(&daemon.dir().join("again.resp"))]);
    assert!(again.stderr.contains("exported 8 entries"), "{again:?}");
    assert!(fs::read(daemon.dir().join("again.resp")).unwrap() == fs::read(&file).unwrap());

    // And that is what daemons on the two serve.
    daemon.restart();
    let (dir, socket) = (tempfile::tempdir().unwrap(), daemon.dir().join("other.sock"));
    let arguments = ["--socket", text(&socket), "--data", text(&other)].map(str::to_owned).to_vec();
    let copy = Daemon::start_with(dir, socket.clone(), arguments, Vec::new());
    let (mut one, mut two) = (daemon.client(), copy.client());
    let binary: Vec<u8> = (0..=255).collect();
    let keys = ["", "merged", "overwritten", "deleted", "timed", "expired", "empty", "large", "compressed"];
    for key in keys.iter().map(|key| key.as_bytes()).chain([binary.as_slice()]) {
        assert!(one.args(&[b"GET", key]) == two.args(&[b"GET", key]), "{}", key.escape_ascii());
    }
    two.check("GET \"\"", "=\"under the empty key\"");
    two.check("MGET empty overwritten deleted expired", "[=\"\" =new nil nil]");
    assert_eq!(two.args(&[b"GET", binary.as_slice()]), Reply::bulk(&binary));
    let left = two.int("PTTL timed");
    assert!((1..=10_000_000).contains(&left), "{left}");
}

#[test]
fn an_import_takes_lines_and_requests_and_deletions() {
    let dir = tempfile::tempdir().unwrap();
    let (data, file) = (dir.path().join("data"), dir.path().join("input"));
    let mut input = b"SET a 1\r\nset b \"two words\" ex 1000\n\nMSET c 3 d 4\nSET gone v PXAT 1\n".to_vec();
    input.extend(encode(&["DEL", "c", "nothing"]));
    input.extend(encode(&[b"SET".as_slice(), b"\r\n\0", b"\xff"]));
    fs::write(&file, &input).unwrap();
    done("import", &data, &[text(&file)]);
    let exported = |data: &Path| done("export", data, &[]).stdout;
    let all = exported(&data);
    assert!(all.contains("two words\r\n$4\r\nPXAT"), "{all}");
    for (key, there) in [("a", true), ("b", true), ("c", false), ("d", true), ("gone", false)] {
        assert_eq!(all.contains(&format!("SET\r\n${}\r\n{key}\r\n", key.len())), there, "{key}: {all}");
    }
    // On top of what is there, and from standard input.
    fs::write(&file, "SET a 2\nDEL b\n").unwrap();
    let command = &mut larderd(&["import", "-", "--data", text(&data)]);
    succeeds(command.stdin(File::open(&file).unwrap()));
    let all = exported(&data);
    assert!(all.contains("\r\na\r\n$1\r\n2\r\n") && !all.contains("two words"), "{all}");
}

#[test]
fn an_import_keeps_to_the_longest_ttl_and_gives_none_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let (data, file) = (dir.path().join("data"), dir.path().join("input"));
    fs::write(&file, "SET none v\nSET long v EX 1000000\nSET short v EX 1000\nMSET more v\n").unwrap();
    let ttls = |settings: &[&str]| {
        let data = data.join(settings.join("="));
        let mut arguments = vec![text(&file)];
        arguments.extend(settings);
        fs::create_dir_all(dir.path().join("data")).unwrap();
        done("import", &data, &arguments);
        let daemon = Daemon::start_on(tempfile::tempdir().unwrap(), &data, binary(), Vec::new(), &[]);
        let mut client = daemon.client();
        ["none", "long", "short", "more"].map(|key| client.int(&format!("TTL {key}")))
    };
    let about = |ttl: i64| ttl - 100..=ttl;
    let [none, long, short, more] = ttls(&[]);
    assert!(none == -1 && about(1_000_000).contains(&long) && about(1_000).contains(&short) && more == -1);
    let [none, long, short, more] = ttls(&["--max-ttl", "5000s"]);
    for ttl in [none, long, more] {
        assert!(about(5_000).contains(&ttl), "{ttl}");
    }
    assert!(about(1_000).contains(&short), "{short}");
}

#[test]
fn an_import_stops_at_the_first_wrong_request_and_says_where() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("input");
    let good = "SET a 1\nSET b 2\n";
    for (number, (bad, words)) in [
        ("SET c\nSET d 4\n", &["wrong number of arguments for 'set'"][..]),
        ("SET c 3 NX\n", &["NX"]),
        ("SET c 3 KEEPTTL\n", &["KEEPTTL"]),
        ("SET c 3 EX 0\n", &["invalid expire time"]),
        ("SET c 3 EX soon\n", &["not an integer"]),
        ("SET c 3 EX\n", &["syntax error"]),
        ("MSET c 3 d\n", &["wrong number of arguments for 'mset'"]),
        ("INCR a\n", &["INCR", "SET, MSET, DEL"]),
        ("FLUSHALL\n", &["FLUSHALL"]),
        ("NONSENSE\n", &["unknown command 'NONSENSE'"]),
        ("SET c \"3\n", &["unbalanced quotes"]),
        ("*1\r\n$3\r\nSET", &["ends inside"]),
        ("SET c 3", &["ends inside"]),
        ("*3\r\n$x\r\n", &["invalid bulk length"]),
    ]
    .into_iter()
    .enumerate()
    {
        let data = dir.path().join(format!("data{number}"));
        fs::write(&file, format!("{good}{bad}")).unwrap();
        let said = refused("import", &data, &[text(&file)]);
        for word in ["request 3 at byte 16: ", "the 2 requests before it were applied"].iter().chain(words) {
            assert!(said.contains(word), "{bad:?}: {word}: {said}");
        }
        let exported = done("export", &data, &[]).stdout.into_bytes();
        let expected = [encode(&["SET", "a", "1"]), encode(&["SET", "b", "2"])].concat();
        assert_eq!(exported, expected, "{bad:?}");
    }
    // A file that is not there makes no directory.
    let data = dir.path().join("never");
    assert!(refused("import", &data, &["/nonexistent/file"]).contains("/nonexistent/file"));
    assert!(!data.exists());
}

#[test]
fn an_import_of_many_entries_goes_in_batches() {
    let dir = tempfile::tempdir().unwrap();
    let (data, file) = (dir.path().join("data"), dir.path().join("input"));
    let mut input = Vec::new();
    for number in 0..20_000_u32 {
        // Every key twice, out of order: the later one counts.
        let key = format!("key:{:05}", number.wrapping_mul(7_919) % 10_000);
        input.extend(encode(&["SET", &key, &number.to_string()]));
    }
    fs::write(&file, &input).unwrap();
    let outcome = done("import", &data, &[text(&file), "--merge-bytes", "64KiB"]);
    assert!(outcome.stdout.contains("imported 20000 requests"), "{outcome:?}");
    assert!(done("check", &data, &[]).stdout.contains("entries   10000 with a right checksum"));
    let exported = done("export", &data, &[]).stdout;
    // 19,999 * 7,919 mod 10,000 = 2,081.
    assert!(exported.contains("key:02081\r\n$5\r\n19999\r\n"));
}

#[test]
fn an_import_stays_below_the_disk_cap() {
    let dir = tempfile::tempdir().unwrap();
    let (data, file) = (dir.path().join("data"), dir.path().join("input"));
    let mut out = File::create(&file).unwrap();
    let mut dice = Dice::new(8);
    for number in 0..1_500 {
        out.write_all(&encode(&[b"SET".as_slice(), format!("key:{number}").as_bytes(), &dice.bytes(50_000)]))
            .unwrap();
    }
    drop(out);
    let outcome = done(
        "import",
        &data,
        &[text(&file), "--disk-cap", "64MiB", "--merge-bytes", "4MiB", "--max-value", "1MiB"],
    );
    assert!(outcome.stdout.contains("to stay below disk_cap"), "{outcome:?}");
    let bytes: usize = files(&data).iter().map(|(_, _, content)| content.len()).sum();
    assert!(bytes <= 64 << 20, "{bytes}");
    assert!(done("check", &data, &[]).stdout.ends_with("\nsound\n"));
}

#[test]
fn compacting_gives_back_what_deletions_left() {
    let mut daemon = Daemon::start(&["--compress-from", "0"]);
    let mut client = daemon.client();
    let mut dice = Dice::new(5);
    for number in 0..100 {
        assert_eq!(
            client.args(&[b"SET".as_slice(), format!("key:{number}").as_bytes(), &dice.bytes(20_000)]),
            Reply::ok()
        );
    }
    client.check("CLEANUP", ":0");
    client.check("DELPAT key:?", ":10");
    client.check("DELPAT key:?5", ":9");
    client.check("DELPAT key:?2", ":9");
    // The deletions are in the journal only.
    daemon.kill9();
    let data = data_of(&daemon);
    let size = || {
        fs::metadata(data.join("larder.db")).unwrap().len()
            + fs::metadata(data.join("larder.db-wal")).map_or(0, |log| log.len())
    };
    let before = size();
    let outcome = done("compact", &data, &[]);
    assert!(outcome.stdout.starts_with("72 entries in the database\nbefore: "), "{outcome:?}");
    assert!(size() < before && size() < 1_700_000, "{before} {}", size());
    assert!(done("check", &data, &[]).stdout.ends_with("\nsound\n"));
    daemon.restart();
    let mut client = daemon.client();
    client.check("DBSIZE", ":72");
    assert_eq!(client.args(&["GET", "key:10"]).bytes().len(), 20_000);
}

#[test]
fn where_a_daemon_runs_each_says_what_to_do_instead() {
    let daemon = furnished();
    let data = data_of(&daemon);
    let input = daemon.dir().join("input");
    fs::write(&input, "SET k v\n").unwrap();
    let process = format!("process {}", daemon.pid());
    for (subcommand, more, hint) in [
        ("check", None, "backup"),
        ("compact", None, "gives room back by itself"),
        ("export", None, "larderd backup"),
        ("import", Some(text(&input)), "redis-cli -s SOCKET --pipe"),
    ] {
        let more: Vec<_> = more.into_iter().collect();
        let (status, outcome) = look_after(subcommand, &data, &more);
        assert_eq!(status, if subcommand == "check" { 2 } else { 1 }, "{subcommand}: {outcome:?}");
        for word in [process.as_str(), text(&data), hint] {
            assert!(outcome.stderr.contains(word), "{subcommand}: {word}: {outcome:?}");
        }
    }
    daemon.check_healthy();
}

#[test]
fn slips_on_the_command_line_are_explained() {
    let Outcome { status, stderr, .. } = run(&mut larderd(&["chek"]));
    assert_eq!(status.code(), Some(64));
    assert!(stderr.contains("'check'"), "{stderr}");
    let Outcome { status, stdout, .. } = run(&mut larderd(&["check", "--help"]));
    assert!(status.success() && stdout.contains("status 0 where all is sound"), "{stdout}");
    // No directory is made for a look.
    let dir = tempfile::tempdir().unwrap();
    let nowhere = dir.path().join("nowhere");
    let (status, outcome) = look_after("check", &nowhere, &[]);
    assert_eq!(status, 2, "{outcome:?}");
    assert!(outcome.stderr.contains("--data") && !nowhere.exists(), "{outcome:?}");
    // A timer has no session, and a check needs no socket.
    let data = dir.path().join("data");
    done("import", &data, &[]);
    let mut command = larderd(&["check", "--data", text(&data)]);
    command.env_remove("XDG_RUNTIME_DIR").env_remove("HOME");
    assert!(run(&mut command).status.success());
}
