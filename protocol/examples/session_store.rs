//! Sessions of a web shop, which end after half an hour without a visit:
//! `cargo run -p larder-protocol --example session_store`
//!
//! Starts a daemon of its own. In a program of yours there is one already: `Client::connect().await`.

use std::error::Error;
use std::time::Duration;

use larder_protocol::client::{Client, SessionCache};
use serde::{Deserialize, Serialize};

/// What the shop knows of a visitor.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Visitor {
    name: Option<String>,
    cart: Vec<String>,
}

/// The shop's pages, as far as they concern sessions.
struct Shop {
    sessions: SessionCache<Visitor>,
}

impl Shop {
    fn new(client: &Client) -> Self {
        Self { sessions: SessionCache::new(client, Duration::from_mins(30)).namespace("shop").sliding(true) }
    }

    /// The session of a visitor's cookie, or a new one.
    async fn enter(&self, cookie: Option<&str>) -> Result<(String, Visitor), larder_protocol::client::Error> {
        if let Some(id) = cookie
            && let Some(visitor) = self.sessions.get(id).await?
        {
            return Ok((id.to_owned(), visitor));
        }
        let visitor = Visitor::default();
        Ok((self.sessions.create(&visitor).await?, visitor))
    }

    async fn log_in(&self, id: &str, name: &str) -> Result<String, larder_protocol::client::Error> {
        let (_, mut visitor) = self.enter(Some(id)).await?;
        visitor.name = Some(name.to_owned());
        // Another id: whoever knew the one from before the log-in must not be logged in with it.
        self.sessions.delete(id).await?;
        self.sessions.create(&visitor).await
    }

    async fn put_into_cart(&self, id: &str, article: &str) -> Result<bool, larder_protocol::client::Error> {
        let Some(mut visitor) = self.sessions.get(id).await? else { return Ok(false) };
        visitor.cart.push(article.to_owned());
        self.sessions.update(id, &visitor).await
    }
}

/// A visit; what the shop knows in the end.
async fn run(client: &Client) -> Result<Visitor, Box<dyn Error>> {
    let shop = Shop::new(client);
    let (id, _) = shop.enter(None).await?;
    println!("a new visitor, with the cookie {id}");
    shop.put_into_cart(&id, "butter").await?;
    let id = shop.log_in(&id, "ann").await?;
    println!("logged in, with the cookie {id}");
    shop.put_into_cart(&id, "jam").await?;
    let (_, visitor) = shop.enter(Some(&id)).await?;
    println!(
        "{} has {} in the cart",
        visitor.name.as_deref().unwrap_or("somebody"),
        visitor.cart.join(" and ")
    );
    shop.sessions.delete(&id).await?;
    println!("logged out; a late click gets through: {}", shop.put_into_cart(&id, "ghost").await?);
    Ok(visitor)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let daemon = larderd::fresh::Daemon::start();
    let client = Client::at(daemon.socket()).await?;
    run(&client).await?;
    Ok(())
}

#[tokio::test]
async fn a_visit_is_remembered_until_its_end_and_no_longer() {
    let daemon = larderd::fresh::Daemon::start();
    let client = Client::at(daemon.socket()).await.expect("it listens");
    let visitor = run(&client).await.expect("it runs");
    assert_eq!(
        visitor,
        Visitor { name: Some("ann".to_owned()), cart: vec!["butter".to_owned(), "jam".to_owned()] }
    );
    assert_eq!(client.size().await.expect("it answers"), 0, "nothing is left behind");
}
