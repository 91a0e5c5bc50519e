//! Answers arrive whole and in order, whatever the sizes, and whoever closes first.

use crate::util::{Daemon, Reply};

#[test]
fn an_answer_arrives_whole_whatever_the_length_of_the_input() {
    let daemon = Daemon::start(&[]);
    let value = "v".repeat(400_000);
    assert_eq!(daemon.client().args(&["SET", "big", &value]), Reply::ok());
    // Sizes around those of the buffers: a read that fills one exactly leaves the socket's readiness as it was.
    for length in [16_383, 16_384, 16_385, 32_768, 65_536, 131_072] {
        let mut client = daemon.client();
        let mut input = b"GET big\n".to_vec();
        input.resize(length, b'\n');
        client.send(&input).unwrap();
        let line = client.read_line().unwrap();
        assert_eq!(line.trim_end().len(), 1 + value.len(), "{length} bytes of input");
    }
}

#[test]
fn who_closes_the_sending_side_first_still_gets_every_answer() {
    let daemon = Daemon::start(&[]);
    for bytes in [100, 300_000, 900_000, 2_000_000] {
        assert_eq!(daemon.client().args(&["SET", "big", &"v".repeat(bytes)]), Reply::ok());
        let mut client = daemon.client();
        client.send(b"GET big\nPING\n").unwrap();
        client.finish_sending();
        let answers = client.read_to_end();
        assert_eq!(answers.len(), 1 + bytes + 2 + "+PONG\r\n".len(), "{bytes}");
    }
}

#[test]
fn a_request_cut_short_is_answered_and_not_run() {
    let daemon = Daemon::start(&[]);
    daemon.client().check("MSET user:1 a user:12 b", "+OK");
    for half in ["DEL user:1", "*2\r\n$3\r\nDEL\r\n$7\r\nuser:1"] {
        let mut client = daemon.client();
        client.send(half.as_bytes()).unwrap();
        client.finish_sending();
        let answer = String::from_utf8(client.read_to_end()).unwrap();
        assert!(answer.starts_with("-ERR Protocol error: the connection ended inside a request"), "{answer}");
    }
    daemon.client().check("EXISTS user:1 user:12", ":2");
}
