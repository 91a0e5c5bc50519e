//! Answers of a language model, cached by text and type of analysis: `cargo run -p larder-protocol --example llm_cache`
//!
//! Starts a daemon of its own. In a program of yours there is one already: `Client::connect().await`.

use std::error::Error;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use larder_protocol::client::{Client, LlmCache};
use serde::{Deserialize, Serialize};

/// What a model says about a text.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Analysis {
    verdict: String,
    tokens: usize,
}

/// A model that takes its time and is paid by the token.
#[derive(Default)]
struct Model {
    tokens: AtomicU32,
}

impl Model {
    async fn ask(&self, text: &str, analysis: &str) -> Result<Analysis, std::io::Error> {
        let tokens = text.split_whitespace().count();
        self.tokens.fetch_add(tokens as u32, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(200)).await;
        let verdict = match analysis {
            "sentiment" if text.contains("love") => "positive",
            "sentiment" => "neutral",
            _ => text.split_whitespace().next().unwrap_or_default(),
        };
        Ok(Analysis { verdict: verdict.to_owned(), tokens })
    }
}

/// Has some texts analysed, twice; the verdicts, and the tokens paid for after each round.
async fn run(client: &Client) -> Result<(Vec<String>, Vec<u32>), Box<dyn Error>> {
    let (model, answers) = (Model::default(), LlmCache::new(client).namespace("model-1"));
    let texts = ["I love larders, all of them.", "The larder is beside the kitchen."];
    let (mut verdicts, mut paid) = (Vec::new(), Vec::new());
    for round in 1..=2 {
        let began = Instant::now();
        for text in texts {
            for analysis in ["sentiment", "topic"] {
                let answer = answers.get_or_ask(text, analysis, || model.ask(text, analysis)).await?;
                if round == 1 {
                    println!("{analysis} of {text:?}: {}", answer.verdict);
                    verdicts.push(answer.verdict);
                }
            }
        }
        paid.push(model.tokens.load(Ordering::Relaxed));
        println!("round {round}: {:?}, {} tokens paid for so far", began.elapsed(), paid[paid.len() - 1]);
    }
    Ok((verdicts, paid))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let daemon = larderd::fresh::Daemon::start();
    let client = Client::at(daemon.socket()).await?;
    run(&client).await?;
    Ok(())
}

#[tokio::test]
async fn the_second_round_is_free() {
    let daemon = larderd::fresh::Daemon::start();
    let client = Client::at(daemon.socket()).await.expect("it listens");
    let (verdicts, paid) = run(&client).await.expect("it runs");
    assert_eq!(verdicts, ["positive", "I", "neutral", "The"]);
    assert_eq!(paid, [24, 24]);
}
