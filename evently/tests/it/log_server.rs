//! `evently log-server`, and the product on the log at its other end.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use infra::auth::Role;
use reqwest::Method;
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Child;
use tokio::time::timeout;

use crate::cli::{run, run_on, said};
use crate::feed::figure;
use crate::server::{Server, evently};
use crate::serving::{dependency_is, get, until};
use crate::shop::{Shop, answer};

const DEADLINE: Duration = Duration::from_secs(60);

/// A log server in a folder of its own.
pub(crate) struct LogServer {
    folder: TempDir,
    process: Child,
    pub(crate) url: String,
    /// Where it tells how it is.
    figures: String,
}

impl LogServer {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (process, url, figures) = Self::spawn(folder.path().join("data"), "127.0.0.1:0").await;
        Self { folder, process, url, figures }
    }

    async fn spawn(data: PathBuf, listen: &str) -> (Child, String, String) {
        let mut command = evently();
        command.args(["log-server", "--listen", listen, "--http", "127.0.0.1:0", "--data"]);
        command.arg(data);
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let line = timeout(DEADLINE, lines.next_line()).await.expect("it starts in time");
        let line = line.unwrap().expect("it says where it listens");
        let address = |scheme: &str| {
            let found = line.split_whitespace().find(|word| word.starts_with(scheme));
            found.unwrap_or_else(|| panic!("no address in {line:?}")).to_owned()
        };
        let (url, figures) = (address("esdb://"), address("http://"));
        (process, url, figures)
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// What it answers at `path` over HTTP.
    pub(crate) async fn tells(&self, path: &str) -> (u16, String) {
        let answer = reqwest::get(format!("{}{path}", self.figures)).await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        infra::testing::signal(self.process.id().expect("it runs"), signal);
    }

    /// `kill -9`
    pub(crate) async fn kill(&mut self) {
        self.process.kill().await.unwrap();
    }

    /// At the same address.
    pub(crate) async fn restart(&mut self) {
        let address = self.url.trim_start_matches("esdb://").trim_end_matches("?tls=false");
        let (process, url, figures) = Self::spawn(self.data(), address).await;
        assert_eq!(url, self.url);
        (self.process, self.figures) = (process, figures);
    }
}

#[tokio::test]
async fn a_sale_on_a_log_server_is_proven_over_the_network_and_from_the_file() {
    let log = LogServer::start().await;
    let server = Server::start_with(&["--log-url", &log.url]).await;
    let sale = ["demo", "--buyers", "300", "--seats", "50", "--json", "--log-url", &log.url];
    let (status, out, err) = run_on(&server.data(), &sale).await;
    assert_eq!(status, 0, "{err}");
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(report["failed"], 0, "{report:#}");
    assert_eq!(report["audit"]["intact"], true, "{report:#}");
    let verify = ["audit", "verify", "--json"];
    let mut verdicts = vec![];
    let distant = run(&[&verify[..], &["--log-url", &log.url]].concat()).await;
    for (status, out, err) in [distant, run_on(&log.data(), &verify).await] {
        assert_eq!(status, 0, "{err}");
        verdicts.push(serde_json::from_str::<Value>(&out).unwrap());
    }
    assert_eq!(verdicts[0]["log"], "the log at esdb://***");
    assert_eq!(verdicts[1]["log"], format!("the log in the folder {}", log.data().display()));
    for part in ["intact", "proven", "seal", "not_proven"] {
        assert_eq!(verdicts[0][part], verdicts[1][part], "{part}");
    }
    assert_eq!(verdicts[0]["proven"], report["audit"]["proven"]);
    // All of it is there, and nothing in the folder of the server that sold.
    assert!(!server.data().join("log.sqlite").exists());
}

/// Nothing can be decided on the stream any more, which whoever asks is told, who operates it, and who
/// audits it.
#[tokio::test]
async fn what_somebody_else_writes_to_a_stream_of_ours_is_found() {
    let log = LogServer::start().await;
    let server = Server::start_with(&["--log-url", &log.url]).await;
    let (shop, other) = (Shop::open(&server, 10).await, Shop::open(&server, 10).await);
    shop.reserve(1, 1).await;
    dependency_is(&server, "streams", "up").await;
    let verify = ["audit", "verify", "--log-url", &log.url];
    let (status, _, err) = run(&verify).await;
    assert_eq!(status, 0, "{err}");
    let client = eventstore::Client::new(log.url.parse().unwrap()).unwrap();
    let options = eventstore::AppendToStreamOptions::default();
    for (stream, expected) in [("notes".to_owned(), 0), (format!("inventory-{}", shop.event), 1)] {
        let note = eventstore::EventData::json("Note", &json!({"by": "hand"})).unwrap();
        client.append_to_stream(stream.as_str(), &options, note).await.unwrap();
        let (status, _, err) = run(&verify).await;
        assert_eq!(status, expected, "{err}");
        assert_eq!(
            err.contains(&format!("of {stream} was not written by this product")),
            status == 1
        );
    }
    let body = json!({"event_id": shop.event, "tier_id": shop.tier, "quantity": 1});
    let reserve = shop.ask(Method::POST, "/bookings/reserve", 2, &[Role::Attendee]).json(&body);
    assert_eq!(answer(reserve, 503).await["code"], "HISTORY_DAMAGED");
    dependency_is(&server, "streams", "down").await;
    let ready = get(&server, "/health/ready").await.to_string();
    assert!(ready.contains(&format!("inventory-{}", shop.event)), "{ready}");
    assert!(ready.contains("was not written by this product"), "{ready}");
    assert_eq!(figure(&server, "evently_damaged_streams").await, 1.0);
    other.sell(2).await;
}

#[tokio::test]
async fn without_its_log_server_nothing_is_sold_and_then_it_goes_on() {
    let mut log = LogServer::start().await;
    let server = Server::start_with(&["--log-url", &log.url]).await;
    let shop = Shop::open(&server, 10).await;
    let first = shop.reserve(1, 1).await;
    let ready = async || {
        let answer = reqwest::get(server.url("/health/ready")).await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    };
    assert_eq!(ready().await.0, 200);
    log.kill().await;
    timeout(DEADLINE, async { while ready().await.0 != 503 {} }).await.expect("it is told");
    let (_, said) = ready().await;
    assert!(!said.contains(&log.url), "{said}");
    log.restart().await;
    timeout(DEADLINE, async { while ready().await.0 != 200 {} }).await.expect("it is over");
    shop.confirm(1, &first).await;
    assert_ne!(shop.reserve(2, 1).await, first);
}

#[tokio::test]
async fn a_log_server_tells_how_it_is_and_how_much_it_does() {
    let log = LogServer::start().await;
    assert_eq!(log.tells("/health/live").await, (200, r#"{"status":"live"}"#.to_owned()));
    let of = |figures: &str, name: &str| {
        let line = figures.lines().find(|line| line.starts_with(&format!("{name} ")));
        let value = line.unwrap_or_else(|| panic!("no {name} in {figures}")).rsplit(' ').next();
        value.unwrap().parse::<f64>().unwrap()
    };
    let (_, idle) = log.tells("/metrics").await;
    for name in ["connections", "subscriptions", "records", "reads_total"] {
        assert_eq!(of(&idle, &format!("evently_log_{name}")), 0.0, "{idle}");
    }
    let mut server = Server::start_with(&["--log-url", &log.url]).await;
    let shop = Shop::open(&server, 10).await;
    shop.reserve(1, 1).await;
    let (_, busy) = log.tells("/metrics").await;
    assert!(of(&busy, "evently_log_connections") >= 1.0, "{busy}");
    assert!(of(&busy, "evently_log_subscriptions") >= 1.0, "{busy}");
    assert!(of(&busy, "evently_log_reads_total") >= 1.0, "{busy}");
    assert!(of(&busy, "evently_log_records") >= 4.0, "{busy}");
    assert_eq!(of(&busy, "evently_log_writable"), 1.0);
    assert!(of(&busy, "evently_append_duration_seconds_count{outcome=\"written\"}") >= 3.0);
    assert!(busy.contains("evently_info{role=\"log-server\""), "{busy}");
    let (status, ready) = log.tells("/health/ready").await;
    let ready: Value = serde_json::from_str(&ready).unwrap();
    assert_eq!((status, &ready["status"]), (200, &"ready".into()));
    assert_eq!(
        (&ready["role"], &ready["dependencies"][0]["state"]),
        (&"log-server".into(), &"up".into())
    );
    assert_eq!(log.tells("/api/v1/events").await.0, 404);
    drop(shop);
    assert!(server.stop().await.success());
    until("its connections are closed", async || {
        let (_, idle) = log.tells("/metrics").await;
        of(&idle, "evently_log_connections") == 0.0 && of(&idle, "evently_log_subscriptions") == 0.0
    })
    .await;
}

#[tokio::test]
async fn one_process_serves_a_folder() {
    let log = LogServer::start().await;
    for command in [&["serve"][..], &["log-server", "--listen", "127.0.0.1:0"]] {
        let (status, _, err) = run_on(&log.data(), command).await;
        assert_eq!(status, 1, "{err}");
        assert!(err.contains("already has the data folder"), "{err}");
    }
}

#[tokio::test]
async fn who_starts_it_wrongly_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let missing = folder.path().join("missing.pem");
    let missing = missing.to_str().unwrap();
    let wrong: [(&[&str], i32, &str); 4] = [
        (&["--credentials", "ops"], 2, "expected credentials like user:password"),
        (&["--tls-cert", missing], 2, "--tls-key"),
        (&["--tls-cert", missing, "--tls-key", missing], 1, "missing.pem cannot be read"),
        (&["--log-url", "esdb://log"], 2, "is for those who use a log server"),
    ];
    for (args, expected, says) in wrong {
        let (status, out, err) = run_on(&data, &[&["log-server"], args].concat()).await;
        assert_eq!((status, out.as_str()), (expected, ""), "{args:?}: {err}");
        assert!(err.contains(says), "{args:?}: {err}");
    }
    assert!(!data.exists());
    let mut secret = evently();
    secret.args(["log-server", "--help"]).env("EVENTLY_LOG_SERVER_CREDENTIALS", "ops:hunter2");
    let (status, out, _) = said(&mut secret).await;
    assert!(status == 0 && !out.contains("hunter2"), "{out}");
}
