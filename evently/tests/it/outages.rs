//! What the server depends on fails: its disk, its database, whoever reads its log lines.

use std::time::Duration;

use infra::auth::Role;
use reqwest::{Client, Method, Response};
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::server::{Circumstances, Server};
use crate::serving::{Freeze, forward, free_port, get, name_of, socket_of, until};
use crate::shop::{Shop, answer};

#[tokio::test]
async fn it_goes_on_when_nobody_reads_what_it_logs() {
    let mut server = Server::start_in(Circumstances::Unheard, &["--log", "debug"]).await;
    let shop = Shop::open(&server, 10).await;
    let booking = shop.reserve(1, 2).await;
    shop.confirm(1, &booking).await;
    drop(shop);
    assert!(server.stop().await.success());
}

/// From now on no file of the server can grow beyond so many bytes.
fn limit_files(server: &Server, bytes: Option<u64>) {
    let pid = i32::try_from(server.pid()).ok().and_then(Pid::from_raw);
    prlimit(pid, Resource::Fsize, Rlimit { current: bytes, maximum: None }).unwrap();
}

async fn log_state(server: &Server) -> (u16, Value) {
    let answer = Client::new().get(server.url("/health/ready")).send().await.unwrap();
    let (status, body) = (answer.status().as_u16(), answer.json::<Value>().await.unwrap());
    (status, body["dependencies"][0].clone())
}

#[tokio::test]
async fn a_log_that_cannot_be_written_is_down_until_it_can_and_told_of_once() {
    // The database inside would not survive the limit.
    let nowhere = format!("postgres://postgres@127.0.0.1:{}/none", free_port());
    let args = ["--database-url", &nowhere];
    let mut server = Server::start_in(Circumstances::SmallFiles, &args).await;
    let shop = Shop::open(&server, 10).await;
    shop.reserve(1, 1).await;
    assert_eq!(log_state(&server).await.0, 200);

    let wal = std::fs::metadata(server.data().join("log.sqlite-wal")).unwrap().len();
    limit_files(&server, Some(wal));
    let body = json!({"event_id": shop.event, "tier_id": shop.tier, "quantity": 1});
    for number in 2..6 {
        let ask = shop.ask(Method::POST, "/bookings/reserve", number, &[Role::Attendee]);
        let problem = answer(ask.json(&body), 503).await;
        assert_eq!(problem["code"], "LOG_UNAVAILABLE");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("cannot be written: the log's file failed"), "{detail}");
    }
    let (status, log) = log_state(&server).await;
    assert_eq!((status, &log["state"]), (503, &json!("down")), "{log}");
    assert_eq!(log["reason"], "the log's folder cannot be written");

    limit_files(&server, None);
    until("it is ready again, though nobody buys", async || log_state(&server).await.0 == 200)
        .await;
    shop.reserve(2, 1).await;
    drop(shop);
    assert!(server.stop().await.success());
    let lines = server.log();
    let told = |what: &str| lines.lines().filter(|line| line.contains(what)).count();
    assert_eq!(told("the log cannot be written"), 1, "{lines}");
    assert_eq!(told("the log can be written again"), 1, "{lines}");
    assert_eq!(told(" ERROR "), 1, "{lines}");
    assert_eq!(told("unknown"), 0, "{lines}");
}

/// Whether the server said that it has no place left, and when to come again.
fn is_full(answer: &Response) -> bool {
    answer.status() == 503 && answer.headers()["retry-after"] == "5"
}

#[tokio::test]
async fn who_only_watches_keeps_nobody_from_buying_and_too_many_are_told_so() {
    // 256 are kept, 24 for connections, half of them for those who watch.
    let mut server = Server::start_in(Circumstances::FewFiles(280), &[]).await;
    let shop = Shop::open(&server, 10).await;
    let ask = async |path: &str| Client::new().get(server.url(path)).send().await.unwrap();
    let stream = format!("/api/v1/events/{}/stream", shop.event);
    let mut watching = vec![];
    for _ in 0..12 {
        watching.push(ask(&stream).await);
    }
    assert!(watching.iter().all(|answer| answer.status() == 200));
    assert!(is_full(&ask(&stream).await));
    shop.reserve(1, 1).await;

    let mut silent = vec![];
    for _ in 0..24 {
        silent.push(TcpStream::connect(server.address()).await.unwrap());
    }
    let refused = ask("/health/live").await;
    assert!(is_full(&refused));
    assert_eq!(refused.json::<Value>().await.unwrap()["code"], "OVERLOADED");
    drop(silent);
    until("there is a place again", async || ask("/health/live").await.status() == 200).await;
    shop.reserve(2, 1).await;
    drop((shop, watching));
    assert!(server.stop().await.success());
    assert!(!server.log().contains("cannot accept connections"), "{}", server.log());
}

#[tokio::test]
async fn a_database_that_is_not_there_is_no_fault_of_each_request() {
    let Some(postgres) = infra::postgres::testing::server() else { return };
    let nobody = postgres.url("postgres").replace("//postgres@", "//nobody_known@");
    for (url, why) in [
        (postgres.url("no_such_database"), "database \"no_such_database\" does not exist"),
        (nobody, "role \"nobody_known\" does not exist"),
    ] {
        let mut server = Server::start_with(&["--database-url", &url]).await;
        for _ in 0..3 {
            let shown = Client::new().get(server.url("/api/v1/events")).send().await.unwrap();
            assert_eq!(shown.status(), 503);
            assert_eq!(shown.json::<Value>().await.unwrap()["code"], "DATABASE_UNAVAILABLE");
        }
        let ready = get(&server, "/health/ready").await;
        assert_eq!(ready["status"], "degraded");
        let reason = ready["dependencies"][1]["reason"].as_str().unwrap();
        assert!(reason.contains(why), "{reason}");
        assert!(server.stop().await.success());
        let lines = server.log();
        let told = |what: &str| lines.lines().filter(|line| line.contains(what)).count();
        assert_eq!(told(" ERROR "), 0, "{lines}");
        assert_eq!(told("reads of views are refused"), 1, "{lines}");
    }
}

/// A database that answers questions and takes nothing in.
#[tokio::test]
async fn a_database_whose_disk_is_full_is_down_until_it_takes_what_is_new() {
    let Some(postgres) = infra::postgres::testing::server() else { return };
    let url = postgres.empty_database().await;
    let mut server = Server::start_with(&["--database-url", &url]).await;
    let database = async || get(&server, "/health/ready").await["dependencies"][1].clone();
    assert_eq!(database().await["state"], "up");
    let pool = infra::postgres::connect(&url, 1).unwrap();
    let run = async |sql: &'static str| sqlx::raw_sql(sql).execute(&pool).await.unwrap();
    run("CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS
         $$ BEGIN RAISE EXCEPTION 'no space left' USING ERRCODE = '53100'; END $$;
         CREATE TRIGGER full_disk BEFORE INSERT ON catalog.venue
         FOR EACH ROW EXECUTE FUNCTION full_disk()")
    .await;
    let shop = Shop::open(&server, 10).await;
    until("it is seen", async || database().await["state"] == "down").await;
    let reason = database().await["reason"].as_str().unwrap().to_owned();
    assert_eq!(reason, "its disk is full: what is new is not in catalog yet");
    assert_eq!(get(&server, "/health/ready").await["status"], "degraded");
    shop.reserve(1, 1).await;
    run("DROP TRIGGER full_disk ON catalog.venue").await;
    until("it is up again", async || database().await["state"] == "up").await;
    assert_eq!(database().await["reason"], Value::Null);
    drop(shop);
    assert!(server.stop().await.success());
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_database_that_stands_still() {
    let Some(postgres) = infra::postgres::testing::server() else { return };
    let socket = postgres.empty_database().await;
    let (port, freeze) = (free_port(), Freeze::default());
    let _forwarding = forward(port, socket_of(&socket), freeze.clone()).await;
    let url = format!("postgres://postgres@127.0.0.1:{port}/{}", name_of(&socket));
    let mut server = Server::start_with(&["--database-url", &url]).await;
    let shop = Shop::open(&server, 10).await;
    until("the event is shown", async || {
        let shown = Client::new().get(server.url(&format!("/api/v1/events/{}", shop.event)));
        shown.send().await.unwrap().status() == 200
    })
    .await;
    freeze.ordered.cancel();
    shop.reserve(1, 1).await;
    let waits = freeze.somebody_waits.cancelled();
    tokio::time::timeout(Duration::from_secs(30), waits).await.expect("the views are written to");
    drop(shop);
    assert!(server.stop().await.success());
    assert!(server.log().contains("does not answer and is left as it is"), "{}", server.log());
}
