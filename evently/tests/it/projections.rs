//! `evently projections`, with a server on the folder and without.

use std::path::Path;
use std::process::Stdio;

use infra::auth::Role;
use infra::data_folder::DataFolder;
use reqwest::Method;
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::cli::run_on;
use crate::server::{Server, evently};
use crate::serving::until;
use crate::shop::Shop;

const VIEWS: [&str; 6] = ["catalog", "availability", "seats", "bookings", "waitlist", "audit"];

async fn status(data: &Path) -> Vec<Value> {
    let (status, out, err) = run_on(data, &["projections", "status", "--json"]).await;
    assert_eq!(status, 0, "{err}");
    let out: Value = serde_json::from_str(&out).unwrap();
    out["items"].as_array().unwrap().clone()
}

/// Each up to its own order, which is the log's last record.
async fn rebuild_all(data: &Path, head: u64) -> u64 {
    for (view, head) in VIEWS.into_iter().zip(head + 1..) {
        let rebuild = ["projections", "rebuild", view, "--reason", "after-restore", "--json"];
        let (status, out, err) = run_on(data, &rebuild).await;
        assert_eq!(status, 0, "{view}: {err}");
        let out: Value = serde_json::from_str(&out).unwrap();
        assert_eq!(out["name"], view);
        assert!(out["position"].as_u64().unwrap() >= head, "{out} {head}");
    }
    head + VIEWS.len() as u64
}

/// Kind and data of every order that is about no person and no thing.
async fn orders(data: &Path) -> Vec<(String, Value)> {
    let (status, out, err) = run_on(data, &["audit", "export"]).await;
    assert_eq!(status, 0, "{err}");
    let records = out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let orders = records.filter(|record| record["stream"] == "admin-installation");
    orders.map(|it| (it["type"].as_str().unwrap().to_owned(), it["data"].clone())).collect()
}

#[tokio::test]
async fn views_are_looked_after_with_a_server_and_without() {
    let mut server = Server::start().await;
    let data = server.data();
    let shop = Shop::open(&server, 10).await;
    let booking = shop.reserve(1, 2).await;
    shop.confirm(1, &booking).await;
    let path = format!("/bookings/{booking}");
    let before = async |shop: &Shop<'_>| -> Value {
        let booking = shop.ask(Method::GET, &path, 1, &[Role::Attendee]);
        booking.send().await.unwrap().json().await.unwrap()
    };
    until("the views have caught up", async || {
        status(&data).await.iter().all(|view| view["position"] == view["head"])
    })
    .await;
    let views = status(&data).await;
    let names: Vec<_> = views.iter().map(|view| view["name"].as_str().unwrap()).collect();
    assert_eq!(names, VIEWS);
    let head = views[0]["head"].as_u64().unwrap();
    let seen = before(&shop).await;
    assert_eq!(seen["status"], "confirmed");
    let head = rebuild_all(&data, head).await + 1;
    assert_eq!(before(&shop).await, seen);
    let (code, out, err) = run_on(&data, &["projections", "retry", "bookings"]).await;
    assert_eq!((code, out.trim_end()), (0, "bookings: 0 records applied, 0 still parked"), "{err}");
    drop(shop);

    until("the views have caught up", async || {
        status(&data).await.iter().all(|view| view["position"] == head)
    })
    .await;
    server.stop().await;
    let stopped = status(&data).await;
    assert!(stopped.iter().all(|view| view["position"] == head && view["parked"] == 0));
    rebuild_all(&data, head).await;
    let (code, out, _) = run_on(&data, &["projections", "status"]).await;
    assert_eq!((code, out.lines().count()), (0, 1 + VIEWS.len()));
    let (code, _, err) = run_on(&data, &["projections", "retry", "seats"]).await;
    assert_eq!(code, 0, "{err}");

    // All of it stands in the log, and nobody is named whom there is not: with a server, and without.
    let rebuilds = VIEWS.map(|view| {
        ("ViewRebuildOrdered".to_owned(), json!({"view": view, "reason": "after-restore"}))
    });
    let retry = |view: &str| ("ViewRetryOrdered".to_owned(), json!({"view": view}));
    let expected = [&rebuilds[..], &[retry("bookings")], &rebuilds, &[retry("seats")]].concat();
    assert_eq!(orders(&data).await, expected);
    server.restart().await;
}

#[tokio::test]
async fn a_database_of_ones_own_is_looked_after_too() {
    let Some(postgres) = infra::postgres::testing::server() else { return };
    let url = postgres.empty_database().await;
    let mut server = Server::start_with(&["--database-url", &url]).await;
    let shop = Shop::open(&server, 10).await;
    shop.reserve(1, 2).await;
    drop(shop);
    let data = server.data();
    server.stop().await;
    let run =
        async |args: &[&str]| run_on(&data, &[args, &["--database-url", &url]].concat()).await;
    let (code, out, err) = run(&["projections", "rebuild", "seats", "--json"]).await;
    assert_eq!(code, 0, "{err}");
    let rebuilt: Value = serde_json::from_str(&out).unwrap();
    let (code, out, err) = run(&["projections", "status", "--json"]).await;
    assert_eq!(code, 0, "{err}");
    let status: Value = serde_json::from_str(&out).unwrap();
    let seats = status["items"].as_array().unwrap().iter().find(|view| view["name"] == "seats");
    assert_eq!(
        (&seats.unwrap()["position"], &seats.unwrap()["lag_records"]),
        (&rebuilt["position"], &0.into())
    );
    assert!(!data.join("views").exists(), "the one inside was used");

    let away = ["projections", "status", "--database-url", "postgres://me:s3cret@127.0.0.1:1/x"];
    let (code, out, err) = run_on(&data, &away).await;
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.contains("the database cannot be reached") && !err.contains("s3cret"), "{err}");
}

#[tokio::test]
async fn a_server_that_does_not_answer_can_be_left() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = DataFolder::open(temporary.path().join("data")).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut serving = folder.serve().unwrap();
    serving.at(listener.local_addr().unwrap()).unwrap();
    let asking = evently()
        .args(["projections", "rebuild", "bookings", "--data"])
        .arg(folder.path())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let _connection = listener.accept().await.unwrap();
    infra::testing::signal(asking.id().unwrap(), Signal::TERM);
    let output = asking.wait_with_output().await.unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{err}");
    assert!(err.contains("interrupted"), "{err}");
}
