//! The Rust that README.md shows, as it stands there.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::client_of;
use crate::util::{Daemon, repository};

static ASKED: AtomicUsize = AtomicUsize::new(0);

/// What the README leaves to the reader.
async fn ask_the_api(city: &str) -> Result<String, Box<dyn std::error::Error>> {
    ASKED.fetch_add(1, Ordering::Relaxed);
    if city.is_empty() { Err("no city".into()) } else { Ok(format!("rain in {city}")) }
}

mod shown {
    use super::ask_the_api;

    // README
    use std::time::Duration;

    use larder_protocol::{client::Client, key};

    pub(super) async fn weather_in(
        client: &Client,
        city: &str,
    ) -> Result<String, Box<dyn std::error::Error>> {
        let ten_minutes = Duration::from_mins(10);
        // Computed once, however many tasks and processes want it; kept for ten minutes, whatever happens to the daemon.
        client.try_cached(ten_minutes, key!("weather", city = city), || ask_the_api(city)).await
    }
    // END
}

#[test]
fn it_is_what_this_file_runs() {
    let readme = fs::read_to_string(repository("README.md")).unwrap();
    let shown = readme.split("```rust tour\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let this = include_str!("readme.rs");
    let run = this.split("    // README\n").nth(1).and_then(|rest| rest.split("    // END").next()).unwrap();
    // Deeper in, a formatter breaks lines elsewhere.
    let plain = |code: &str| code.split_whitespace().collect::<String>().replace(",)", ")");
    assert_eq!(plain(shown), plain(&run.replace("pub(super) ", "")));
}

#[tokio::test]
async fn it_asks_once() {
    let daemon = Daemon::start(&[]);
    let client = client_of(&daemon).await;
    assert!(shown::weather_in(&client, "").await.is_err());
    for _ in 0..2 {
        assert_eq!(shown::weather_in(&client, "Bern").await.unwrap(), "rain in Bern");
    }
    assert_eq!(ASKED.load(Ordering::Relaxed), 2, "an error is not kept, an answer is");
    daemon.client().check("EXISTS weather:city=Bern", ":1");
}
