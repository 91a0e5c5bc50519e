//! An HTTP service (axum) that lets each client make three requests in ten seconds, however many processes serve it:
//! `cargo run -p larder-protocol --example rate_limited_service`
//!
//! It sends itself some requests and ends; with `serve` behind `--` it goes on serving, to be tried with curl. Starts a daemon
//! of its own. In a program of yours there is one already: `Client::connect().await`.

use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::{Router, routing::get};
use larder_protocol::client::{Client, RateLimiter};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Counts a request of its sender, and answers 429 in place of the service where it is one too many.
async fn limit(
    State(limiter): State<RateLimiter>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    request: Request,
    next: Next,
) -> Response {
    // By key where there is one, by address otherwise.
    let key = headers.get("x-api-key").and_then(|key| key.to_str().ok());
    let who = key.map_or_else(|| peer.ip().to_string(), ToOwned::to_owned);
    let decision = match limiter.check(&who).await {
        Ok(decision) => decision,
        Err(error) => {
            // The limit is there to be fair, not to be safe: without a daemon everybody gets through.
            eprintln!("no rate limit: {error}");
            return next.run(request).await;
        }
    };
    let mut response = if decision.allowed {
        next.run(request).await
    } else {
        (StatusCode::TOO_MANY_REQUESTS, "too many requests\n").into_response()
    };
    let seconds = decision.reset_in.as_millis().div_ceil(1_000) as u64;
    let headers = response.headers_mut();
    headers.insert("ratelimit-limit", decision.limit.into());
    headers.insert("ratelimit-remaining", decision.remaining.into());
    headers.insert("ratelimit-reset", seconds.into());
    if !decision.allowed {
        headers.insert("retry-after", seconds.into());
    }
    response
}

/// Starts the service on a free port; its address.
async fn serve(client: &Client) -> Result<SocketAddr, Box<dyn Error>> {
    let limiter = RateLimiter::new(client, "service", 3, Duration::from_secs(10));
    let service = Router::new()
        .route("/", get(|| async { "good day\n" }))
        .layer(middleware::from_fn_with_state(limiter, limit))
        .into_make_service_with_connect_info::<SocketAddr>();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, service).await });
    Ok(address)
}

/// Makes a request; the whole response.
async fn ask(address: SocketAddr, api_key: &str) -> Result<String, Box<dyn Error>> {
    let mut stream = TcpStream::connect(address).await?;
    let request =
        format!("GET / HTTP/1.1\r\nhost: example\r\nx-api-key: {api_key}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut response = String::new();
    stream.read_to_string(&mut response).await?;
    Ok(response)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let daemon = larderd::fresh::Daemon::start();
    let client = Client::at(daemon.socket()).await?;
    let address = serve(&client).await?;
    println!("serving on http://{address}/");
    if std::env::args().any(|word| word == "serve") {
        std::future::pending::<()>().await;
    }
    for who in ["ann", "ann", "ann", "ann", "bob"] {
        let response = ask(address, who).await?;
        println!("{who}: {}", response.lines().next().unwrap_or_default());
    }
    Ok(())
}

#[tokio::test]
async fn the_fourth_request_is_refused_by_whichever_process_it_comes_to() {
    let daemon = larderd::fresh::Daemon::start();
    // Two services that know nothing of each other but the daemon.
    let one = serve(&Client::at(daemon.socket()).await.expect("it listens")).await.expect("there is a port");
    let other =
        serve(&Client::at(daemon.socket()).await.expect("it listens")).await.expect("there is a port");
    for (address, remaining) in [(one, 2), (other, 1), (one, 0)] {
        let response = ask(address, "ann").await.expect("it answers");
        assert!(response.starts_with("HTTP/1.1 200 OK") && response.ends_with("good day\n"), "{response}");
        assert!(response.contains(&format!("ratelimit-remaining: {remaining}")), "{response}");
    }
    let refused = ask(other, "ann").await.expect("it answers");
    assert!(refused.starts_with("HTTP/1.1 429") && refused.contains("retry-after: "), "{refused}");
    assert!(ask(other, "bob").await.expect("it answers").starts_with("HTTP/1.1 200"));
    drop(daemon);
    assert!(
        ask(one, "ann").await.expect("it answers").starts_with("HTTP/1.1 200"),
        "nobody is kept out without a daemon"
    );
}
