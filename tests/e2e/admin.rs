//! Clients that look after other clients and the daemon: CLIENT, SLOWLOG, CONFIG SET, INFO, SHUTDOWN.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use crate::util::{Client, Daemon, Reply, wait_until};

#[track_caller]
fn text(client: &mut Client, request: &str) -> String {
    String::from_utf8(client.cmd(request).bytes().to_vec()).unwrap()
}

/// Waits until `client` is the only one.
#[track_caller]
fn alone(client: &mut Client) {
    wait_until("the others to be gone", || client.stats().is("connections", 1));
}

/// The fields of a line of CLIENT LIST.
fn fields(line: &str) -> BTreeMap<&str, &str> {
    line.trim().split(' ').filter_map(|field| field.split_once('=')).collect()
}

#[test]
fn everybody_is_listed_and_can_be_ended() {
    let daemon = Daemon::start(&[]);
    let (mut admin, mut other, mut listener) = (daemon.client(), daemon.client(), daemon.client());
    other.check("CLIENT SETNAME worker", "+OK");
    other.check("CLIENT SETINFO LIB-NAME lib", "+OK");
    other.check("GET k", "nil");
    listener.check("SUBSCRIBE c", "[=subscribe =c :1]");
    let list = text(&mut admin, "CLIENT LIST");
    let lines: Vec<_> = list.lines().map(fields).collect();
    assert_eq!(lines.len(), 3, "{list}");
    let worker = lines.iter().find(|line| line["name"] == "worker").expect("it has a name");
    assert_eq!((worker["cmd"], worker["lib-name"], worker["resp"]), ("get", "lib", "2"));
    assert_eq!(worker["pid"], std::process::id().to_string());
    assert_eq!(text(&mut admin, "CLIENT LIST TYPE pubsub").lines().count(), 1);
    assert_eq!(text(&mut admin, &format!("CLIENT LIST ID {} 999", worker["id"])).lines().count(), 1);
    assert_eq!(fields(&text(&mut other, "CLIENT INFO"))["id"], worker["id"]);

    assert_eq!(admin.int(&format!("CLIENT KILL ID {}", worker["id"])), 1);
    assert!(other.read().is_err(), "its connection has ended");
    assert_eq!(admin.int("CLIENT KILL TYPE pubsub"), 1);
    assert!(listener.read().is_err());
    alone(&mut admin);
    assert_eq!(admin.int("CLIENT KILL TYPE normal SKIPME yes"), 0);
    // Oneself last, after the answer.
    assert_eq!(admin.int("CLIENT KILL TYPE normal SKIPME no"), 1);
    assert!(admin.read().is_err());
    daemon.check_healthy();
}

#[test]
fn one_who_does_not_read_can_be_ended() {
    let daemon = Daemon::start(&[]);
    let (mut admin, mut stuck) = (daemon.client(), daemon.client());
    let id = stuck.int("CLIENT ID");
    assert_eq!(admin.args(&["SET", "k", &"v".repeat(1 << 20)]), Reply::ok());
    // Half of a request.
    stuck.send(b"GET ").unwrap();
    wait_until("the half of a request to arrive", || {
        let line = text(&mut admin, &format!("CLIENT LIST ID {id}"));
        if fields(&line)["qbuf"] == "4" { Ok(()) } else { Err(line) }
    });
    stuck.send(b"k\r\n").unwrap();
    // More answers than fit into the socket and the output.
    stuck.send("GET k\r\n".repeat(50).as_bytes()).unwrap();
    wait_until("the answers to pile up", || {
        let output = daemon.stats().get("output_bytes");
        if output > 0 { Ok(()) } else { Err(format!("{output}")) }
    });
    let line = text(&mut admin, &format!("CLIENT LIST ID {id}"));
    let unsent = |name| fields(&line)[name].parse::<usize>().unwrap();
    assert!(unsent("obl") > 0 && unsent("tot-mem") >= unsent("obl"), "{line}");
    assert_eq!(admin.int(&format!("CLIENT KILL ID {id}")), 1);
    alone(&mut admin);
}

#[test]
fn commands_are_held_back_while_paused() {
    let daemon = Daemon::start(&[]);
    let (mut admin, mut reader, mut writer) = (daemon.client(), daemon.client(), daemon.client());
    admin.check("CLIENT PAUSE 60000 WRITE", "+OK");
    reader.check("GET k", "nil");
    thread::scope(|scope| {
        let waiting = scope.spawn(move || {
            writer.check("SET k v", "+OK");
            writer
        });
        // Long enough for the write to arrive: it must not have been done when the pause ends.
        thread::sleep(Duration::from_millis(50));
        reader.check("GET k", "nil");
        admin.check("CLIENT UNPAUSE", "+OK");
        waiting.join().unwrap().check("GET k", "=v");
    });
    admin.check("CLIENT PAUSE 60000 WRITE", "+OK");
    thread::scope(|scope| {
        let mut flusher = daemon.client();
        let waiting = scope.spawn(move || flusher.check("FLUSHALL", "+OK"));
        thread::sleep(Duration::from_millis(50));
        reader.check("GET k", "=v");
        admin.check("CLIENT UNPAUSE", "+OK");
        waiting.join().unwrap();
    });
    reader.check("SET k v", "+OK");
    admin.check("CLIENT PAUSE 100", "+OK");
    // Held back for a tenth of a second, and then answered.
    reader.check("GET k", "=v");
    assert_eq!(admin.int("DBSIZE"), 1);
}

#[test]
fn what_is_named_very_often_is_refused() {
    let daemon = Daemon::start(&[]);
    let mut client = daemon.client();
    for (command, word) in [("LATENCY HISTOGRAM", "get"), ("CONFIG GET", "m*"), ("CLIENT LIST ID", "1")] {
        let request = |words: usize| format!("{command}{}", format!(" {word}").repeat(words));
        assert!(!matches!(client.cmd(&request(1_024)), Reply::Error(_)), "{command}");
        let refused = client.cmd(&request(1_025)).to_string();
        assert!(refused.contains("more than 1024 names"), "{refused}");
    }
}

#[test]
fn answers_can_be_left_out() {
    let daemon = Daemon::start(&[]);
    let mut client = daemon.client();
    client.send(b"CLIENT REPLY OFF\r\nSET a 1\r\nNOPE\r\nGET a\r\nCLIENT REPLY ON\r\n").unwrap();
    assert_eq!(client.read().unwrap(), Reply::ok());
    client.send(b"CLIENT REPLY SKIP\r\nSET a 2\r\nGET a\r\n").unwrap();
    assert_eq!(client.read().unwrap().bytes(), b"2");
}

#[test]
fn slow_commands_are_kept() {
    let daemon = Daemon::start(&[]);
    let mut client = daemon.client();
    client.check("CLIENT SETNAME sleeper", "+OK");
    client.check("SLOWLOG LEN", ":0");
    client.check("DEBUG SLEEP 0.05", "+OK");
    let Reply::Array(log) = client.cmd("SLOWLOG GET") else { panic!("a list") };
    let [Reply::Array(entry)] = &log[..] else { panic!("one command: {log:?}") };
    let (Reply::Integer(us), Reply::Array(words)) = (&entry[2], &entry[3]) else { panic!("{entry:?}") };
    assert!(*us >= 50_000, "{us}");
    assert_eq!(words.iter().map(Reply::bytes).collect::<Vec<_>>(), [&b"DEBUG"[..], b"SLEEP", b"0.05"]);
    assert_eq!(entry[5].bytes(), b"sleeper");
    client.check("CONFIG SET slowlog-log-slower-than -1", "+OK");
    client.check("DEBUG SLEEP 0.02", "+OK");
    client.check("SLOWLOG LEN", ":1");
    client.check("SLOWLOG RESET", "+OK");
    client.check("SLOWLOG LEN", ":0");
}

#[test]
fn settings_change_while_it_runs() {
    let daemon = Daemon::start(&[]);
    let mut client = daemon.client();
    client.check("CONFIG SET default_ttl 100s slowlog-max-len 5", "+OK");
    client.check("CONFIG GET default_ttl slowlog-max-len", "[=default_ttl =100s =slowlog-max-len =5]");
    client.check("SET k v", "+OK");
    assert!((99..=100).contains(&client.int("TTL k")));
    // All or none.
    let reply = client.cmd("CONFIG SET default_ttl 5s max_key nonsense").to_string();
    assert!(reply.contains("related to argument 'max_key'"), "{reply}");
    client.check("CONFIG GET default_ttl", "[=default_ttl =100s]");
    let reply = client.cmd("CONFIG SET memory_cap 1MiB").to_string();
    assert!(reply.contains("needs a restart"), "{reply}");
    client.check("CONFIG RESETSTAT", "+OK");
    assert!(daemon.stats().get("commands") < 5);
}

#[test]
fn settings_that_were_set_go_into_the_file() {
    let daemon = Daemon::start(&[]);
    daemon.client().check("CONFIG REWRITE", "-ERR The server is running without a config file");
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("larder.toml");
    std::fs::write(&file, "# ours\nmax_key = \"1KiB\" # short\nreaders = 2\n").unwrap();
    let mut daemon = Daemon::start(&["--config", file.to_str().unwrap()]);
    let mut client = daemon.client();
    client.check("CONFIG REWRITE", "+OK");
    client.check("CONFIG SET max_key 2KiB default_ttl 1h", "+OK");
    client.check("CONFIG REWRITE", "+OK");
    let expected = "# ours\nmax_key = \"2KiB\" # short\nreaders = 2\ndefault_ttl = \"1h\"\n";
    assert_eq!(std::fs::read_to_string(&file).unwrap(), expected);
    assert!(daemon.terminate().success());
    daemon.restart();
    daemon.client().check("CONFIG GET max_key", "[=max_key =2KiB]");
}

#[test]
fn durations_have_percentiles() {
    let daemon = Daemon::start(&[]);
    let mut client = daemon.client();
    client.send(format!("{}SET k v\r\n", "GET k\r\n".repeat(20)).as_bytes()).unwrap();
    for _ in 0..21 {
        client.read().unwrap();
    }
    client.check("DEBUG SLEEP 0.05", "+OK");
    let info = text(&mut client, "INFO latencystats larder");
    let percentiles = |name: &str| {
        let line = info.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{info}"));
        let values = line.split(',').map(|pair| pair.split_once('=').unwrap().1.parse::<f64>().unwrap());
        values.collect::<Vec<_>>()
    };
    let get = percentiles("latency_percentiles_usec_get:");
    assert!(get.len() == 3 && get[0] > 0.0 && get.is_sorted(), "{get:?}");
    assert!(percentiles("latency_percentiles_usec_debug:")[0] > 45_000.0, "{info}");
    // The write's answer waits for its commit.
    assert!(percentiles("answer_us_write:")[0] > 0.0, "{info}");
    assert!(percentiles("answer_us_other:")[2] >= 50_000.0, "{info}");
    let Reply::Array(histograms) = client.cmd("LATENCY HISTOGRAM get nope") else { panic!("a list") };
    assert_eq!((histograms.len(), histograms[0].bytes()), (2, &b"get"[..]));
    let Reply::Array(fields) = &histograms[1] else { panic!("{histograms:?}") };
    assert_eq!(fields[1], Reply::Integer(20));
    client.check("CONFIG RESETSTAT", "+OK");
    client.check("LATENCY HISTOGRAM get", "[]");
}

/// What `redis_exporter` graphs, and what client libraries look for.
#[test]
fn info_has_the_fields_that_tools_read() {
    let daemon = Daemon::start(&[]);
    let mut client = daemon.client();
    client.check("SET k v EX 100", "+OK");
    let _ = client.cmd("NOPE");
    let _ = client.cmd("INCR k");
    let info = text(&mut client, "INFO everything");
    let fields: BTreeMap<&str, &str> = info.lines().filter_map(|line| line.split_once(':')).collect();
    for name in [
        "uptime_in_seconds",
        "process_id",
        "connected_clients",
        "blocked_clients",
        "maxclients",
        "used_memory",
        "used_memory_rss",
        "used_memory_peak",
        "maxmemory",
        "mem_fragmentation_ratio",
        "loading",
        "rdb_changes_since_last_save",
        "rdb_last_save_time",
        "aof_enabled",
        "aof_current_size",
        "total_connections_received",
        "total_commands_processed",
        "total_net_input_bytes",
        "total_net_output_bytes",
        "rejected_connections",
        "expired_keys",
        "evicted_keys",
        "keyspace_hits",
        "keyspace_misses",
        "pubsub_channels",
        "pubsub_patterns",
        "latest_fork_usec",
        "connected_slaves",
        "used_cpu_sys",
        "used_cpu_user",
        "cluster_enabled",
    ] {
        let value = fields.get(name).unwrap_or_else(|| panic!("{name} is missing:\n{info}"));
        assert!(value.parse::<f64>().is_ok(), "{name}:{value}");
    }
    assert_eq!((fields["role"], fields["loading"]), ("master", "0"));
    assert_eq!(fields["db0"], "keys=1,expires=1,avg_ttl=0");
    assert_eq!(fields["errorstat_ERR"], "count=2");
    let set = fields["cmdstat_set"];
    assert!(set.starts_with("calls=1,usec=") && set.ends_with("rejected_calls=0,failed_calls=0"), "{set}");
    assert!(fields["cmdstat_incr"].ends_with("failed_calls=1"), "{}", fields["cmdstat_incr"]);
    assert!(fields["used_memory_rss"].parse::<u64>().unwrap() > 1 << 20);
    let one = text(&mut client, "INFO cpu");
    assert!(one.starts_with("# CPU") && !one.contains("role"), "{one}");
}

#[test]
fn a_client_can_stop_the_daemon() {
    let mut daemon = Daemon::start(&[]);
    let mut client = daemon.client();
    client.check("SET k v", "+OK");
    client.check("SHUTDOWN SOON", "-ERR syntax error");
    client.send(b"SHUTDOWN NOSAVE\r\n").unwrap();
    assert!(client.read().is_err(), "the connection ends without an answer");
    assert!(daemon.wait().success());
    daemon.restart();
    daemon.client().check("GET k", "=v");
}
