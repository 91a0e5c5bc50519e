//! What one client, one request or the system's own limits can take, and that it is not more.

use std::process::{Command, Stdio};
use std::thread;

use crate::util::{Client, Daemon, Reply, encode, tool, wait_until};

#[test]
fn one_request_cannot_ask_for_an_answer_without_end() {
    let daemon = Daemon::start(&["--max-value", "1MiB"]);
    let mut client = daemon.client();
    assert_eq!(client.args(&["SET", "m", &"v".repeat(1 << 20)]), Reply::ok());
    let reply = client.args(&[vec!["MGET"], vec!["m"; 1_000]].concat());
    let Reply::Error(text) = &reply else { panic!("{reply:?}") };
    assert!(text.contains("more than the limit"), "{text}");
    let reply = client.args(&["CLIENT", "SETNAME", &"n".repeat(10_000)]);
    let Reply::Error(text) = &reply else { panic!("{reply:?}") };
    assert!(text.contains("longer than the limit of 256"), "{text}");
    let reply = client.args(&["DELPAT", &"?".repeat(4_097)]);
    let Reply::Error(text) = &reply else { panic!("{reply:?}") };
    assert!(text.contains("pattern of 4097 bytes is longer than the limit of 4096"), "{text}");
    let reply = client.args(&[vec!["COMMAND", "INFO"], vec!["get"; 1_025]].concat());
    let Reply::Error(text) = &reply else { panic!("{reply:?}") };
    assert!(text.contains("more than 1024 names"), "{text}");
    client.check("PING", "+PONG");
}

#[test]
fn one_client_cannot_subscribe_without_end() {
    let daemon = Daemon::start(&[]);
    let mut client = daemon.client();
    let channels: Vec<String> = (0..=65_536).map(|number| format!("c{number}")).collect();
    let request: Vec<&str> =
        std::iter::once("SUBSCRIBE").chain(channels.iter().map(String::as_str)).collect();
    let Reply::Error(text) = client.args(&request) else { panic!("too many") };
    assert!(text.contains("more than 65536 subscriptions"), "{text}");
    client.check("PUBSUB NUMSUB c0", "[=c0 :0]");
    client.check("SUBSCRIBE c0", "[=subscribe =c0 :1]");
}

#[test]
fn large_requests_that_do_not_fit_together_all_succeed() {
    let daemon = Daemon::start(&["--buffer-budget", "1MiB", "--max-value", "4MiB"]);
    thread::scope(|scope| {
        for number in 0..8 {
            let mut client = daemon.client();
            scope.spawn(move || {
                let key = format!("large:{number}");
                let value = vec![b'v'; 4 << 20];
                assert_eq!(client.args(&[b"SET".as_slice(), key.as_bytes(), &value]), Reply::ok());
                assert_eq!(client.args(&["GET", &key]).bytes().len(), value.len());
            });
        }
    });
    daemon.check_healthy();
}

#[test]
fn a_large_request_that_does_not_go_on_gives_way_to_others() {
    let daemon =
        Daemon::start(&["--buffer-budget", "64KiB", "--max-value", "4MiB", "--half-request-timeout", "1h"]);
    let request = encode(&[b"SET".as_slice(), b"slow", &vec![b'v'; 4 << 20]]);
    let mut slow = daemon.client();
    slow.send(&request[..1 << 20]).unwrap();
    let mut other = daemon.client();
    assert_eq!(other.args(&[b"SET".as_slice(), b"large", &vec![b'v'; 4 << 20]]), Reply::ok());
    let Ok(Reply::Error(text)) = slow.read() else { panic!("it is told why") };
    assert!(text.contains("too slow while buffer_budget (65536 bytes) is used up"), "{text}");
    assert_eq!(slow.read_to_end(), b"");
    // One that goes on may take its time as long as there is room.
    let mut steady = daemon.client();
    let request = encode(&[b"SET".as_slice(), b"steady", &vec![b'v'; 4 << 20]]);
    for part in request.chunks(1 << 20) {
        steady.send(part).unwrap();
    }
    assert_eq!(steady.read().unwrap(), Reply::ok());
    daemon.check_healthy();
}

#[test]
fn what_is_kept_for_clients_has_a_bound() {
    let daemon = Daemon::start(&["--max-user-buffer", "1MiB"]);
    let (mut hoarder, mut other) = (daemon.client(), daemon.client());
    let value = "v".repeat(300_000);
    let refused = |reply: Reply| match reply {
        Reply::Error(text) => assert!(text.contains("no room to keep this for the client"), "{text}"),
        other => panic!("{other}"),
    };
    hoarder.check("MULTI", "+OK");
    for _ in 0..3 {
        assert_eq!(hoarder.args(&["SET", "k", &value]), Reply::Simple(b"QUEUED".to_vec()));
    }
    refused(hoarder.args(&["SET", "k", &value]));
    hoarder.check("EXEC", "-EXECABORT Transaction discarded because of previous errors.");
    // It is given back, whatever became of it.
    let names: Vec<String> = (0..1_000).map(|number| format!("{number}:{}", "n".repeat(300))).collect();
    let all = |command: &'static str| -> Vec<&str> {
        std::iter::once(command).chain(names.iter().map(String::as_str)).collect()
    };
    assert_eq!(hoarder.args(&all("WATCH")), Reply::ok());
    refused(other.args(&all("WATCH")));
    // Those it watches already take no more.
    assert_eq!(hoarder.args(&all("WATCH")[..101]), Reply::ok());
    refused(other.args(&all("SUBSCRIBE")));
    hoarder.check("UNWATCH", "+OK");
    other.send(&encode(&all("SUBSCRIBE"))).unwrap();
    for _ in &names {
        assert!(matches!(other.read().unwrap(), Reply::Array(_)));
    }
    refused(hoarder.args(&all("WATCH")));
    // What is small always fits.
    hoarder.check("MULTI", "+OK");
    hoarder.check("SET k v", "+QUEUED");
    hoarder.check("EXEC", "[+OK]");
    drop(other);
    wait_until("its subscriptions to be gone", || {
        let stats = hoarder.stats();
        if stats.get("connections") == 1 { Ok(()) } else { Err(format!("{stats:?}")) }
    });
    assert_eq!(hoarder.args(&all("WATCH")), Reply::ok());
    daemon.check_healthy();
}

#[test]
fn few_file_descriptors_mean_few_connections_and_nothing_worse() {
    let Some(bash) = tool("bash") else { return };
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("s.sock");
    let script = format!(
        "ulimit -n 80; exec {} --socket {} --data {} --merge-interval 5ms",
        crate::util::binary().display(),
        socket.display(),
        dir.path().join("data").display()
    );
    let mut child = Command::new(bash).args(["-c", &script]).stderr(Stdio::null()).spawn().unwrap();
    let mut client =
        wait_until("the daemon to listen", || Client::connect(&socket).map_err(|e| e.to_string()));
    let others: Vec<_> = (0..100).filter_map(|_| Client::connect(&socket).ok()).collect();
    for number in 0..200 {
        client.check(&format!("SET k{number} v"), "+OK");
    }
    drop(others);
    wait_until("merges to have gone on", || {
        let stats = client.stats();
        if stats.get("merges") > 0 { Ok(()) } else { Err(format!("{stats:?}")) }
    });
    client.check("DBSIZE", ":200");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_pipeline_of_large_rewrites_is_more_than_one_commit() {
    // Together they would be more than one journal row should hold, though the requests are small.
    const VALUES: usize = 6;
    let daemon = Daemon::start(&["--merge-interval", "1h"]);
    let mut client = daemon.client();
    let value = "v".repeat(4 << 20);
    for number in 0..VALUES {
        assert_eq!(client.args(&["SET", &format!("large:{number}"), &value]), Reply::ok());
    }
    let before = client.stats().get("commits");
    let requests: Vec<_> = (0..VALUES)
        .map(|number| ["EXPIRE".to_owned(), format!("large:{number}"), "1000".into()].to_vec())
        .collect();
    assert_eq!(client.pipeline(&requests).unwrap(), vec![Reply::Integer(1); VALUES]);
    let commits = client.stats().get("commits") - before;
    assert!(commits >= 2, "{commits} commits for 24 MiB");
}

#[test]
fn half_a_request_is_not_waited_for_without_end() {
    let daemon = Daemon::start(&["--half-request-timeout", "100ms"]);
    let mut idle = daemon.client();
    let mut half = daemon.client();
    half.send(b"*2\r\n$3\r\nGET\r\n").unwrap();
    half.expect_closed();
    // Between requests there is no such limit.
    idle.check("PING", "+PONG");
}
