//! Malformed frames over the socket: whole and cut, of nonsense and of almost sense. No exit, no connection that hangs on,
//! memory returns, and a client that behaves is served all along.

use crate::process::{mib, resident_bytes};
use crate::report::{Plan, Report, Subject};
use crate::util::{Client, Dice, encode, wait_until};

/// Frames on one connection, as long as it lasts.
const FRAMES: u64 = 20;

const WORDS: &[&str] = &[
    "GET",
    "SET",
    "DEL",
    "MGET",
    "EXPIRE",
    "INCR",
    "SCAN",
    "DELPAT",
    "EVAL",
    "CLIENT",
    "CONFIG",
    "HELLO",
    "MULTI",
    "EXEC",
    "SUBSCRIBE",
    "COMMAND",
    "STATS",
    "HELP",
    "k",
    "*",
    "0",
    "-1",
    "9223372036854775808",
    "EX",
    "PX",
    "MATCH",
    "[a-",
    "\\",
    "GETRANGE",
    "SETRANGE",
    "APPEND",
    "INCRBYFLOAT",
    "nan",
    "1e400",
    "LIKE",
    "IFEQ",
    "LIST",
    "KILL",
    "NOSUCH",
    "",
];

#[test]
fn gate() {
    run(&Subject::larderd(), Plan::from_environment(20_000)).end();
}

pub(crate) fn run(subject: &Subject, plan: Plan) -> Report {
    let mut report = Report::new("abuse", plan);
    // What is cut short is not waited for long, and nothing that is large is kept.
    let mut daemon = subject.start(&[
        "--half-request-timeout",
        "200ms",
        "--output-stall",
        "500ms",
        "--max-value",
        "64KiB",
        "--disk-cap",
        "64MiB",
    ]);
    let mut dice = Dice::new(plan.seed);
    let mut good = daemon.client();
    let before = resident_bytes(daemon.pid());
    let (mut sent, mut connections, mut bytes_sent, mut most) = (0, 0, 0, before);
    while sent < plan.count && !report.is_red() {
        let Ok(mut client) = Client::connect(daemon.socket()) else {
            report.fail(format!("it does not accept: {}", daemon.output()));
            break;
        };
        connections += 1;
        for _ in 0..FRAMES {
            let frame = frame(&mut dice);
            sent += 1;
            bytes_sent += frame.len();
            if client.send(&frame).is_err() {
                // Closed by the daemon, which has seen enough.
                break;
            }
        }
        if connections % 16 == 0 {
            // Ends inside a request, if it is in one; what comes is read to the end.
            client.finish_sending();
            client.read_to_end();
            good.check("SET good 1", "+OK");
            good.check("GET good", "=1");
        }
        if connections % 200 == 0 {
            most = most.max(resident_bytes(daemon.pid()));
        }
        if let Some(status) = daemon.ended() {
            report.fail(format!("it ended with {status}: {}", daemon.output()));
        }
    }
    let stats = good.stats();
    report.count("frames", sent);
    report.count("bytes", bytes_sent);
    report.count("connections", connections);
    report.count("ended by a broken frame", stats.get("protocol_errors"));
    if stats.get("connections_failed") > 0 {
        report.fail(format!(
            "{} connections ended in a panic: {}",
            stats.get("connections_failed"),
            daemon.output()
        ));
    }
    wait_until("all other connections to be gone", || good.stats().is("connections", 1));
    good.check("FLUSHALL", "+OK");
    let after = resident_bytes(daemon.pid());
    report.count("resident before", mib(before));
    report.count("at most", mib(most));
    report.count("afterwards", mib(after));
    // Room for what allocators keep; growth with every frame would be far beyond it.
    if after > before + (64 << 20) {
        report.fail(format!("memory does not return: {} before, {} afterwards", mib(before), mib(after)));
    }
    report
}

fn frame(dice: &mut Dice) -> Vec<u8> {
    let count = dice.below(6);
    let words: Vec<Vec<u8>> = (0..count)
        .map(|_| match dice.below(12) {
            0 => {
                let length = dice.below(200) as usize;
                dice.bytes(length)
            }
            1 => vec![b'x'; dice.below(5_000) as usize],
            _ => WORDS[dice.below(WORDS.len() as u64) as usize].as_bytes().to_vec(),
        })
        .collect();
    let mut bytes = match dice.below(4) {
        0 => {
            let mut line = words.join(&b' ');
            line.extend_from_slice(b"\r\n");
            line
        }
        1 => {
            let length = dice.below(60) as usize;
            dice.bytes(length)
        }
        _ => encode(&words),
    };
    // SHUTDOWN and DEBUG SLEEP are not among the words; mutations of single bytes do not make them.
    for _ in 0..dice.below(4) {
        if bytes.is_empty() {
            break;
        }
        let at = dice.below(bytes.len() as u64) as usize;
        match dice.below(5) {
            0 => bytes[at] = dice.below(256) as u8,
            1 => bytes.truncate(at),
            2 => bytes.insert(at, b"*$:+-\r\n\"'0"[dice.below(10) as usize]),
            3 => {
                bytes.remove(at);
            }
            _ => {
                let digits = (dice.below(1 << 40)).to_string();
                bytes.splice(at..at, digits.into_bytes());
            }
        }
    }
    bytes
}
