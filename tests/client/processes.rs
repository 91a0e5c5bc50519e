//! What several processes do together. Each is this test program again, told by the environment what to do.

use std::env;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use larder_protocol::client::{Client, Options, RateLimiter};

use crate::util::{Daemon, HANG};

const MINUTE: Duration = Duration::from_mins(1);

/// What a process is to do, in words.
const JOB: &str = "LARDER_TEST_JOB";

/// Runs a job in a process of its own for each of `jobs`, all at the same time; what they said.
#[track_caller]
pub(crate) fn run(jobs: &[&str], environment: &[(String, PathBuf)]) -> Vec<String> {
    let start = |job: &&str| {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["processes::job", "--exact", "--ignored", "--nocapture", "--test-threads=1"]);
        command.env_remove("LARDER_SOCKET").env(JOB, job);
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let children: Vec<_> = jobs.iter().map(start).collect();
    let said = children.into_iter().map(|child| {
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let said = text.lines().find_map(|line| line.split_once("said: ").map(|(_, said)| said.to_owned()));
        said.unwrap_or_else(|| panic!("{text}\n{}", String::from_utf8_lossy(&output.stderr)))
    });
    said.collect()
}

#[test]
#[ignore = "other tests run it, in processes of their own"]
fn job() {
    let Ok(job) = env::var(JOB) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let words: Vec<&str> = job.split(' ').collect();
    let said = runtime.block_on(async {
        match words[..] {
            ["default-socket"] => {
                let client = Client::connect().await.unwrap();
                format!("{} answers", client.socket().display())
            }
            ["compute", socket] => compute(socket).await,
            ["die", socket] => die(socket).await,
            ["limit", socket, limit, window_ms, checks] => {
                let window = Duration::from_millis(window_ms.parse().unwrap());
                limit_checks(socket, limit.parse().unwrap(), window, checks.parse().unwrap()).await
            }
            _ => panic!("{job}: no such job"),
        }
    });
    println!("said: {said}");
}

/// Returns when the test says that all are to begin.
async fn begin(client: &Client) {
    client.incr("ready", 1).await.unwrap();
    while !client.exists("go").await.unwrap() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Lets all begin once `count` are ready.
fn go(daemon: &Daemon, count: usize) -> thread::JoinHandle<()> {
    let mut client = daemon.client();
    thread::spawn(move || {
        let give_up = Instant::now() + HANG;
        while client.cmd("GET ready").to_string() != format!("=\"{count}\"") {
            assert!(Instant::now() < give_up, "the processes did not get ready");
            thread::sleep(Duration::from_millis(2));
        }
        client.check("SET go 1", "+OK");
    })
}

/// Five tasks that ask for one key; what they got.
async fn compute(socket: &str) -> String {
    let client = Client::at(socket).await.unwrap();
    begin(&client).await;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..5 {
        let client = client.clone();
        tasks.spawn(async move {
            let computing = client.clone();
            let compute = || async move {
                tokio::time::sleep(Duration::from_millis(200)).await;
                computing.incr("computations", 1).await.unwrap()
            };
            client.cached(MINUTE, "slow", compute).await
        });
    }
    let got: Vec<String> = tasks.join_all().await.iter().map(ToString::to_string).collect();
    got.join(" ")
}

#[test]
fn twenty_processes_compute_once() {
    let daemon = Daemon::start(&[]);
    let job = format!("compute {}", daemon.socket().display());
    let going = go(&daemon, 20);
    let said = run(&[job.as_str(); 20], &[]);
    going.join().unwrap();
    assert_eq!(said, ["1 1 1 1 1"; 20]);
    daemon.client().check("GET computations", r#"="1""#);
}

/// Dies while it computes.
async fn die(socket: &str) -> String {
    let client = Client::at(socket).await.unwrap();
    let caching = client.caching().lease(Duration::from_secs(2));
    caching
        .cached(MINUTE, "slow", || async {
            println!("said: computing");
            std::process::abort()
        })
        .await
}

#[test]
fn a_process_that_dies_while_computing_is_waited_for_only_as_long_as_its_lease() {
    let daemon = Daemon::start(&[]);
    let said = run(&[&format!("die {}", daemon.socket().display())], &[]);
    assert_eq!(said, ["computing"]);
    let client = larder_protocol::client::blocking::Client::at(daemon.socket()).unwrap();
    assert!(client.exists("larder:lock:slow").unwrap(), "it has left its lock");
    assert_eq!(client.cached(MINUTE, "slow", || 1), 1);
    assert_eq!(client.get::<u32>("slow").unwrap(), Some(1), "it was taken over");
}

/// Checks a rate limit again and again; how many were allowed.
async fn limit_checks(socket: &str, limit: u64, window: Duration, checks: u32) -> String {
    let client = Client::open(Options::new().socket(socket)).await.unwrap();
    begin(&client).await;
    let limiter = RateLimiter::new(&client, "api", limit, window);
    let mut tasks = tokio::task::JoinSet::new();
    // Several under way at once in each process, too.
    for _ in 0..4 {
        let limiter = limiter.clone();
        tasks.spawn(async move {
            let mut allowed = 0;
            for _ in 0..checks / 4 {
                allowed += u32::from(limiter.check("everybody").await.unwrap().allowed);
            }
            allowed
        });
    }
    tasks.join_all().await.iter().sum::<u32>().to_string()
}

#[test]
fn eight_processes_never_get_one_more_than_the_limit() {
    let daemon = Daemon::start(&[]);
    let job = format!("limit {} 1000 3600000 400", daemon.socket().display());
    let going = go(&daemon, 8);
    let allowed: Vec<u32> = run(&[job.as_str(); 8], &[]).iter().map(|said| said.parse().unwrap()).collect();
    going.join().unwrap();
    assert_eq!(allowed.iter().sum::<u32>(), 1_000, "{allowed:?} of 3,200 requests");
}

#[test]
fn eight_processes_over_many_windows_stay_within_the_limit_of_each() {
    let daemon = Daemon::start(&[]);
    let (limit, window) = (20, Duration::from_millis(100));
    let job = format!("limit {} {limit} {} 1200", daemon.socket().display(), window.as_millis());
    let going = go(&daemon, 8);
    let began = Instant::now();
    let allowed: u128 = run(&[job.as_str(); 8], &[]).iter().map(|said| said.parse::<u128>().unwrap()).sum();
    // A window begins when the one before is over, so there cannot have been more.
    let windows = began.elapsed().as_nanos().div_ceil(window.as_nanos()) + 1;
    going.join().unwrap();
    assert!(allowed >= limit && allowed <= limit * windows, "{allowed} in {windows} windows");
}
