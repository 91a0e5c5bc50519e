//! The `redis` crate, synchronous and with tokio: larder-client-matrix SOCKET [2|3]; without a protocol the crate's
//! default. Reports as `../python/check.py` says; `CRATE_VERSION` is what `run.py` read from the lock file.

use std::collections::BTreeSet;
use std::env;
use std::process::exit;

use redis::{AsyncTypedCommands, Client, Commands, RedisResult, TypedCommands};

type Outcome = Result<(), Box<dyn std::error::Error>>;

struct Report {
    failed: bool,
}

impl Report {
    fn step(&mut self, name: &str, outcome: Outcome) {
        match outcome {
            Ok(()) => println!("ok {name}"),
            Err(error) => {
                self.failed = true;
                println!("failed {name}: {}", error.to_string().replace('\n', " "));
            }
        }
    }
}

/// What `assert_eq` checks, as an error.
fn equal<T: PartialEq + std::fmt::Debug>(got: T, want: T) -> Outcome {
    if got == want { Ok(()) } else { Err(format!("expected {want:?}, got {got:?}").into()) }
}

fn main() {
    let mut arguments = env::args().skip(1);
    let socket = arguments.next().expect("the socket's path is the first argument");
    let protocol = arguments.next().map_or(String::new(), |version| format!("?protocol=resp{version}"));
    println!("version {}", env::var("CRATE_VERSION").unwrap_or_default());
    let client = Client::open(format!("unix://{socket}{protocol}")).expect("the address is well formed");
    let mut report = Report { failed: false };
    report.step("connect", connect(&client));
    report.step("get/set", get_and_set(&client));
    report.step("expire", expire(&client));
    report.step("mget", mget(&client));
    report.step("scan_iter", scan(&client));
    report.step("pipeline(transaction)", transaction(&client));
    report.step("pubsub", pubsub(&client));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts");
    report.step("tokio", runtime.block_on(with_tokio(&client)));
    println!("end");
    exit(i32::from(report.failed));
}

fn connect(client: &Client) -> Outcome {
    let mut connection = client.get_connection()?;
    equal(TypedCommands::ping(&mut connection)?, "PONG".to_owned())
}

fn get_and_set(client: &Client) -> Outcome {
    let mut connection = client.get_connection()?;
    TypedCommands::set(&mut connection, "k", "v")?;
    equal(TypedCommands::get(&mut connection, "k")?, Some("v".to_owned()))?;
    equal(TypedCommands::get(&mut connection, "nothing")?, None)?;
    equal(TypedCommands::set_nx(&mut connection, "k", "w")?, false)?;
    let binary: Vec<u8> = (0..=255).cycle().take(10_000).collect();
    Commands::set::<_, _, ()>(&mut connection, &binary[..256], &binary)?;
    equal(Commands::get::<_, Vec<u8>>(&mut connection, &binary[..256])?, binary)?;
    equal(TypedCommands::incr(&mut connection, "n", 5)?, 5)?;
    let not_a_number: RedisResult<i64> = Commands::incr(&mut connection, "k", 1);
    let text = not_a_number.err().map(|error| error.to_string()).unwrap_or_default();
    equal(text.contains("not an integer or out of range"), true)
}

fn expire(client: &Client) -> Outcome {
    let mut connection = client.get_connection()?;
    TypedCommands::set_ex(&mut connection, "e", "v", 100)?;
    equal(TypedCommands::expire(&mut connection, "e", 200)?, true)?;
    let left: i64 = Commands::pttl(&mut connection, "e")?;
    equal((195_000..=200_000).contains(&left), true)?;
    equal(TypedCommands::persist(&mut connection, "e")?, true)?;
    equal(Commands::ttl::<_, i64>(&mut connection, "e")?, -1)
}

fn mget(client: &Client) -> Outcome {
    let mut connection = client.get_connection()?;
    TypedCommands::mset(&mut connection, &[("m1", "1"), ("m2", "2")])?;
    let got: Vec<Option<String>> = Commands::mget(&mut connection, &["m1", "nothing", "m2"])?;
    equal(got, vec![Some("1".to_owned()), None, Some("2".to_owned())])?;
    equal(TypedCommands::del(&mut connection, &["m1", "m2", "nothing"])?, 2)
}

fn scan(client: &Client) -> Outcome {
    let mut connection = client.get_connection()?;
    let pairs: Vec<(String, usize)> = (0..500).map(|n| (format!("scan:{n}"), n)).collect();
    TypedCommands::mset(&mut connection, &pairs)?;
    let found: RedisResult<BTreeSet<String>> =
        Commands::scan_match::<_, String>(&mut connection, "scan:*")?.collect();
    equal(found?.len(), 500)
}

fn transaction(client: &Client) -> Outcome {
    let mut connection = client.get_connection()?;
    let got: (i64, String) =
        redis::pipe().atomic().set("t", 1).ignore().incr("t", 1).get("t").query(&mut connection)?;
    equal(got, (2, "2".to_owned()))?;
    // WATCH: the first try is spoiled by another client, the second goes through.
    let mut other = client.get_connection()?;
    let mut tries = 0;
    let (after,): (i64,) = redis::transaction(&mut connection, &["t"], |connection, pipe| {
        tries += 1;
        let before: i64 = Commands::get(connection, "t")?;
        if tries == 1 {
            Commands::set::<_, _, ()>(&mut other, "t", 10)?;
        }
        pipe.set("t", before + 1).ignore().get("t").query(connection)
    })?;
    equal((tries, after), (2, 11))
}

fn pubsub(client: &Client) -> Outcome {
    let mut connection = client.get_connection()?;
    let mut publisher = client.get_connection()?;
    let mut sent = 0;
    let mut got = Vec::new();
    let mut subscriber = connection.as_pubsub();
    subscriber.subscribe("news")?;
    subscriber.psubscribe("new*")?;
    sent += Commands::publish::<_, _, i64>(&mut publisher, "news", "hello")?;
    for _ in 0..2 {
        let message = subscriber.get_message()?;
        got.push((message.get_channel_name().to_owned(), message.get_payload::<String>()?, message.from_pattern()));
    }
    subscriber.unsubscribe("news")?;
    drop(subscriber);
    let expected = |pattern| ("news".to_owned(), "hello".to_owned(), pattern);
    equal((sent, got), (2, vec![expected(false), expected(true)]))?;
    // Dropping the subscriber gives the connection back for ordinary commands.
    equal(TypedCommands::ping(&mut connection)?, "PONG".to_owned())
}

async fn with_tokio(client: &Client) -> Outcome {
    let mut connection = client.get_multiplexed_async_connection().await?;
    AsyncTypedCommands::set(&mut connection, "a", "v").await?;
    equal(AsyncTypedCommands::get(&mut connection, "a").await?, Some("v".to_owned()))?;
    let got: (i64, i64) = redis::pipe().atomic().incr("an", 1).incr("an", 1).query_async(&mut connection).await?;
    equal(got, (1, 2))
}
