//! Responses of a slow API, cached: `cargo run -p larder-protocol --example api_cache`
//!
//! Starts a daemon of its own. In a program of yours there is one already: `Client::connect().await`.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use larder_protocol::client::{Client, Pattern};
use larder_protocol::key;
use serde::{Deserialize, Serialize};

/// What the API answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Weather {
    city: String,
    degrees: f64,
}

/// The API, at which one does not want to ask the same twice.
#[derive(Clone, Default)]
struct Api {
    asked: Arc<AtomicU32>,
}

impl Api {
    async fn weather(&self, city: &str) -> Result<Option<Weather>, Box<dyn Error + Send + Sync>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(150)).await;
        match city {
            "" => Err("the API wants a city".into()),
            "Atlantis" => Ok(None),
            city => Ok(Some(Weather { city: city.to_owned(), degrees: 7.5 })),
        }
    }
}

/// The same, by way of the cache. That a city is unknown is remembered as well, for a minute.
async fn weather(
    client: &Client,
    api: &Api,
    city: &str,
) -> Result<Option<Weather>, Box<dyn Error + Send + Sync>> {
    let caching = client.caching().jitter(0.1).null_ttl(Duration::from_mins(1));
    caching.try_cached(Duration::from_mins(10), key!("weather", city = city), || api.weather(city)).await
}

/// Asks in several ways; how often the API was asked after each.
async fn run(client: &Client) -> Result<Vec<u32>, Box<dyn Error + Send + Sync>> {
    let api = Api::default();
    let mut asked = Vec::new();
    for (what, city, times) in [("first", "Bern", 1), ("again", "Bern", 50), ("unknown", "Atlantis", 2)] {
        let began = Instant::now();
        // All at once: one of them asks the API, the others wait for it.
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..times {
            let (client, api) = (client.clone(), api.clone());
            tasks.spawn(async move { weather(&client, &api, city).await });
        }
        for answer in tasks.join_all().await {
            answer?;
        }
        asked.push(api.asked.load(Ordering::Relaxed));
        println!(
            "{what}: {times} x {city}, {:?}, the API was asked {} times so far",
            began.elapsed(),
            asked[asked.len() - 1]
        );
    }
    if let Err(error) = weather(client, &api, "").await {
        println!("an error is given and not kept: {error}");
    }
    // Somebody has moved the thermometers.
    let deleted = client.invalidate_pattern(Pattern::prefix("weather:")).await?;
    weather(client, &api, "Bern").await?;
    asked.push(api.asked.load(Ordering::Relaxed));
    println!("{deleted} responses deleted, and Bern was asked for anew");
    Ok(asked)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let daemon = larderd::fresh::Daemon::start();
    let client = Client::at(daemon.socket()).await?;
    run(&client).await?;
    Ok(())
}

#[tokio::test]
async fn the_api_is_asked_as_rarely_as_can_be() {
    let daemon = larderd::fresh::Daemon::start();
    let client = Client::at(daemon.socket()).await.expect("it listens");
    // Once for Bern, once for Atlantis; then the error, and Bern anew.
    assert_eq!(run(&client).await.expect("it runs"), [1, 1, 2, 4]);
    assert_eq!(client.went_without(), 0);
}
