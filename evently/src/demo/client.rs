//! Requests over kept-alive connections, counted and measured.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use parking_lot::Mutex;
use reqwest::header::RETRY_AFTER;
use reqwest::{Method, Response};
use serde_json::Value;

use super::DemoError;

/// How often a request is sent again that the server was too busy for.
const ATTEMPTS: u32 = 30;
/// The longest pause before that.
const LONGEST_PAUSE_S: u64 = 2;

/// Longer than a server that is well takes for an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// What a request asks for.
pub(super) struct Ask<'a> {
    /// The command, for the report.
    pub(super) command: &'static str,
    pub(super) method: Method,
    /// Below `/api/v1`.
    pub(super) path: &'a str,
    pub(super) token: &'a str,
    pub(super) key: Option<String>,
    pub(super) body: Option<Value>,
}

/// What came of it.
#[derive(Debug)]
pub(super) enum Answer {
    /// It was done.
    Done(Value),
    /// It was refused, with a code.
    Refused(String),
    /// There was no answer, or one that should never be given.
    Failed(String),
}

/// Counts of a command.
#[derive(Debug, Clone)]
pub(super) struct Measured {
    /// Microseconds until the whole answer was there.
    pub(super) latency_us: Histogram<u64>,
}

#[derive(Debug, Default)]
struct Counts {
    commands: BTreeMap<&'static str, Measured>,
    refused: BTreeMap<String, u64>,
    failed: Vec<String>,
}

/// Sends requests to one server.
pub(super) struct Client {
    http: reqwest::Client,
    base: String,
    counts: Mutex<Counts>,
}

impl Client {
    pub(super) fn new(url: &str) -> Self {
        let (http, base) = (reqwest::Client::new(), format!("{url}/api/v1"));
        Self { http, base, counts: Mutex::default() }
    }

    /// Sends a request, again if the server is too busy, and takes note of what came of it.
    pub(super) async fn send(&self, ask: Ask<'_>) -> Answer {
        let answer = self.send_until_answered(&ask).await;
        let mut counts = self.counts.lock();
        match &answer {
            Answer::Done(_) => {}
            Answer::Refused(code) => *counts.refused.entry(code.clone()).or_default() += 1,
            Answer::Failed(why) => counts.failed.push(format!("{}: {why}", ask.command)),
        }
        answer
    }

    /// The same, for what has to succeed.
    pub(super) async fn must(&self, ask: Ask<'_>) -> Result<Value, DemoError> {
        let doing = ask.command;
        loop {
            let answer = self.exchange(&ask).await;
            let url = || self.base.clone();
            match answer.map_err(|source| DemoError::Unreachable { url: url(), source })? {
                (200..300, body, _) => return Ok(body),
                // Asked too often: there is time.
                (429, _, Some(seconds)) => pause(seconds).await,
                (status, body, _) => {
                    return Err(DemoError::Refused { doing, status, code: code(&body) });
                }
            }
        }
    }

    async fn send_until_answered(&self, ask: &Ask<'_>) -> Answer {
        for _ in 0..ATTEMPTS {
            let began = Instant::now();
            let (status, body, retry_after) = match self.exchange(ask).await {
                Ok(answer) => answer,
                Err(error) => return Answer::Failed(error.without_url().to_string()),
            };
            self.measure(ask.command, began.elapsed());
            match (status, retry_after) {
                (200..300, _) => return Answer::Done(body),
                (429 | 503, Some(seconds)) => pause(seconds).await,
                (400..500, _) => return Answer::Refused(code(&body)),
                _ => return Answer::Failed(format!("{status} {}", code(&body))),
            }
        }
        Answer::Failed("the server stays too busy".to_owned())
    }

    async fn exchange(&self, ask: &Ask<'_>) -> reqwest::Result<(u16, Value, Option<u64>)> {
        let url = format!("{}{}", self.base, ask.path);
        let request = self.http.request(ask.method.clone(), url).bearer_auth(ask.token);
        let mut request = request.timeout(ANSWER_TIMEOUT);
        if let Some(key) = &ask.key {
            request = request.header("Idempotency-Key", key);
        }
        if let Some(body) = &ask.body {
            request = request.json(body);
        }
        let response = request.send().await?;
        let (status, retry_after) = (response.status().as_u16(), retry_after_s(&response));
        let bytes = response.bytes().await?;
        Ok((status, serde_json::from_slice(&bytes).unwrap_or_default(), retry_after))
    }

    fn measure(&self, command: &'static str, latency: Duration) {
        let us = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        let mut counts = self.counts.lock();
        let measured = counts.commands.entry(command).or_insert_with(|| {
            // It grows as needed.
            Measured { latency_us: Histogram::new(3).expect("three digits are few enough") }
        });
        // Refused only by one that does not grow.
        let _ = measured.latency_us.record(us);
    }

    /// Latencies by command.
    pub(super) fn measured(&self) -> BTreeMap<&'static str, Measured> {
        self.counts.lock().commands.clone()
    }

    /// How often the server refused, by code.
    pub(super) fn refused(&self) -> BTreeMap<String, u64> {
        self.counts.lock().refused.clone()
    }

    /// What should never have happened.
    pub(super) fn failed(&self) -> Vec<String> {
        self.counts.lock().failed.clone()
    }

    /// Takes note of something that should never have happened.
    pub(super) fn complain(&self, what: String) {
        self.counts.lock().failed.push(what);
    }
}

async fn pause(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds.min(LONGEST_PAUSE_S))).await;
}

fn retry_after_s(response: &Response) -> Option<u64> {
    response.headers().get(RETRY_AFTER)?.to_str().ok()?.parse().ok()
}

fn code(body: &Value) -> String {
    body["code"].as_str().unwrap_or("without a code").to_owned()
}
