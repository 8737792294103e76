//! People who are forgotten: nowhere, in no file and in no database.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use domain::Fact;
use infra::log::embedded::EmbeddedLog;
use infra::log::{Log, Position};
use projections::feed::{Topic, of_event, of_inventory};
use reqwest::Method;
use serde_json::json;
use sqlx::{AssertSqlSafe, Row};

use crate::accounts::{PASSWORD, ada, as_owner, code, files, post};
use crate::cli::run_on;
use crate::fleet::Fleet;
use crate::server::Server;
use crate::serving::until;
use crate::shop::answer;

/// Ids of nothing.
const EVENT: &str = "evt_00000000000000000000000007";
const TIER: &str = "tier_00000000000000000000000007";
const PERSONAL: [&str; 3] = ["lovelace", "ada@example", "+44 1234"];

/// Files in which something personal can be read.
fn grep(folder: &Path) -> Vec<String> {
    PERSONAL.iter().flat_map(|text| holding(folder, text.as_bytes())).collect()
}

/// Files that hold these bytes, letters in any case.
fn holding(folder: &Path, bytes: &[u8]) -> Vec<String> {
    let bytes = bytes.to_ascii_lowercase();
    let has = |path: &Path| {
        let all = fs::read(path).unwrap_or_default().to_ascii_lowercase();
        memchr::memmem::find(&all, &bytes).is_some()
    };
    let found = files(folder).into_iter().filter(|path| has(path));
    found.map(|path| path.display().to_string()).collect()
}

/// The token of somebody who was erased soon counts nowhere: neither for what is theirs nor for more.
async fn is_refused(server: &Server, token: &str) {
    until("the token is refused", async || {
        as_owner(server, Method::GET, "/users/me/bookings", token).await.status() == 401
    })
    .await;
    let hold = json!({"event_id": EVENT, "tier_id": TIER, "quantity": 1});
    let hold = reqwest::Client::new().post(server.url("/api/v1/bookings/reserve")).json(&hold);
    let refused = answer(hold.bearer_auth(token), 401).await;
    assert_eq!(refused["detail"], "The bearer token was revoked.");
}

/// Erases somebody beside the running server and looks for them everywhere.
async fn is_forgotten_by_command(server: &Server, user: &str, token: &str) {
    assert!(!grep(&server.data()).is_empty(), "there is nothing to be forgotten");
    let erase = ["privacy", "erase", user, "--reason", "law"];
    let (status, out, err) = run_on(&server.data(), &erase).await;
    assert_eq!((status, err.as_str()), (0, ""));
    assert!(out.starts_with(user), "{out}");
    is_refused(server, token).await;
    let (status, again, _) = run_on(&server.data(), &["privacy", "erase", user]).await;
    assert_eq!((status, again), (0, out));
    let nobody = domain::UserId::from_u128(7).to_string();
    // Nor does their address lead to them any more.
    for nobody in [nobody.as_str(), "ada@example.org"] {
        let (status, _, err) = run_on(&server.data(), &["privacy", "erase", nobody]).await;
        assert_eq!((status, err.as_str()), (1, "evently: there is no such account\n"));
    }

    let (status, proof, err) = run_on(&server.data(), &["audit", "verify"]).await;
    assert_eq!(status, 0, "{proof}{err}");
    let auditor = server.token(domain::UserId::from_u128(8), &[infra::auth::Role::Auditor]);
    let path = format!("/audit/records?limit=100&user_id={user}");
    until("the audit view has the end", async || {
        let records = as_owner(server, Method::GET, &path, &auditor).await.text().await.unwrap();
        records.contains("AccountErased") && {
            assert_eq!(records.matches("ErasureOrdered").count(), 1, "{records}");
            assert!(records.contains(r#""ground":"law""#), "{records}");
            let records = records.to_lowercase();
            assert!(!PERSONAL.iter().any(|text| records.contains(text)), "{records}");
            true
        }
    })
    .await;
    assert_eq!(grep(&server.data()), [""; 0]);
    is_not_in_the_feed(server, user).await;
    let log = server.log().to_lowercase();
    assert!(!PERSONAL.iter().any(|text| log.contains(text)), "{log}");
}

/// Nothing of them is in what the feed makes of the log, not even who they are.
async fn is_not_in_the_feed(server: &Server, user: &str) {
    let log = EmbeddedLog::open_read_only(server.data().join("log.sqlite")).unwrap();
    let records = log.read_all(Position(0), usize::MAX >> 1).await.unwrap();
    log.close().await;
    let (mut messages, mut events) = (vec![], HashMap::<_, Vec<_>>::new());
    for record in &records {
        match Fact::decode(&record.stream, &record.kind, record.version, &record.data).unwrap() {
            Some(Fact::Inventory(fact)) => messages.extend(of_inventory(record, fact)),
            Some(Fact::Event(fact)) => {
                let story = events.entry(&record.stream).or_default();
                story.push(fact);
                messages.extend(of_event(record, story.clone()));
            }
            _ => {}
        }
    }
    for topic in [Topic::Booking, Topic::Event, Topic::Waitlist] {
        assert!(messages.iter().any(|message| message.topic == topic), "nothing of {topic:?}");
    }
    for message in messages {
        let data = String::from_utf8_lossy(&message.data).into_owned();
        let sent = format!("{} {:?} {data}", message.event, message.headers()).to_lowercase();
        let says = |text: &&str| sent.contains(*text);
        assert_eq!(PERSONAL.iter().chain([&user]).find(|text| says(text)), None, "{sent}");
    }
}

#[tokio::test]
async fn somebody_who_is_erased_is_nowhere_in_the_data_folder() {
    let mut server = Server::start().await;
    let (user, token) = ada(&server).await;
    is_forgotten_by_command(&server, &user, &token).await;
    assert!(server.stop().await.success());
    assert_eq!(grep(&server.data()), [""; 0]);
    // Who comes later knows it from the beginning.
    server.restart().await;
    let bookings = as_owner(&server, Method::GET, "/users/me/bookings", &token).await;
    assert_eq!(bookings.status(), 401);
}

#[tokio::test]
async fn who_has_an_address_is_erased_by_it() {
    let server = Server::start().await;
    let (user, token) = ada(&server).await;
    let (status, out, err) = run_on(&server.data(), &["privacy", "erase", "ADA@example.org"]).await;
    assert_eq!((status, err.as_str()), (0, ""));
    assert!(out.starts_with(&user), "{out}");
    // Nobody is there, and soon the token is refused too.
    let status = as_owner(&server, Method::GET, "/users/me", &token).await.status();
    assert!([401, 404].contains(&status.as_u16()), "{status}");
    assert_eq!(grep(&server.data()), [""; 0]);
}

#[tokio::test]
async fn somebody_who_is_erased_is_nowhere_in_the_database() {
    let Some(postgres) = infra::postgres::testing::server() else { return };
    let url = postgres.empty_database().await;
    let server = Server::start_with(&["--database-url", &url]).await;
    let (user, token) = ada(&server).await;
    assert!(!server.data().join("keys").join("identity.sqlite").exists());
    let pool = infra::postgres::connect(&url, 1).unwrap();
    let keys = "SELECT count(*) FROM identity.key WHERE kind = 'person' AND wrapped IS NOT NULL";
    let keys = async || sqlx::query_scalar::<_, i64>(keys).fetch_one(&pool).await.unwrap();
    assert_eq!(keys().await, 1);

    let mut command = crate::server::evently();
    command.args(["privacy", "erase", &user, "--database-url", &url, "--data"]);
    let (status, _, err) = crate::cli::said(command.arg(server.data())).await;
    assert_eq!((status, err.as_str()), (0, ""));
    is_refused(&server, &token).await;
    assert_eq!((keys().await, grep(&server.data())), (0, vec![]));
    let tables = sqlx::query(
        "SELECT format('%I.%I', table_schema, table_name) FROM information_schema.tables
         WHERE table_type = 'BASE TABLE'
           AND table_schema NOT IN ('pg_catalog', 'information_schema')",
    );
    for table in tables.fetch_all(&pool).await.unwrap() {
        let table: String = table.get(0);
        let rows = format!("SELECT coalesce(string_agg(t::text, ' '), '') FROM {table} t");
        let rows: String = sqlx::query_scalar(AssertSqlSafe(rows)).fetch_one(&pool).await.unwrap();
        let rows = rows.to_lowercase();
        assert!(!PERSONAL.iter().any(|text| rows.contains(text)), "{table}: {rows}");
    }
    // Nor in what the tables do not show: dead rows, indexes, the write-ahead log.
    until("the audit view has the end", async || {
        let erased = "SELECT count(*) FROM audit.record WHERE kind = 'AccountErased'";
        sqlx::query_scalar::<_, i64>(erased).fetch_one(&pool).await.is_ok_and(|count| count == 1)
    })
    .await;
    sqlx::raw_sql("CHECKPOINT").execute(&pool).await.unwrap();
    assert!(!holding(postgres.folder(), b"AccountErased").is_empty(), "nothing can be found");
    assert_eq!(grep(postgres.folder()), [""; 0]);
}

#[tokio::test]
async fn mails_that_one_node_wrote_are_forgotten_by_another() {
    let Some(mut fleet) = Fleet::start(2).await else { return };
    let [one, other] = &fleet.commands[..] else { panic!() };
    let body = json!({"email": "ada@example.org", "name": "Ada", "password": PASSWORD});
    post(one, "/auth/register", &body, 202).await;
    let body = json!({"code": code(one).await, "password": PASSWORD});
    let tokens = post(other, "/auth/email/verify", &body, 200).await;
    let folders = || {
        let folders = fleet.commands.iter().map(Server::data).chain([fleet.shared().to_owned()]);
        folders.flat_map(|folder| grep(&folder)).collect::<Vec<_>>()
    };
    assert_eq!(folders().len(), 1);
    let token = tokens["access_token"].as_str().unwrap();
    assert_eq!(as_owner(other, Method::DELETE, "/users/me", token).await.status(), 204);
    assert_eq!(folders(), [""; 0]);
    // Whoever of them is asked soon refuses the token.
    let projector = &fleet.projectors[0];
    for (server, path) in [
        (one, "/users/me"),
        (other, "/users/me"),
        (&fleet.queries, "/users/me/bookings"),
        (projector, "/admin/projections"),
    ] {
        until("the token is refused", async || {
            as_owner(server, Method::GET, path, token).await.status() == 401
        })
        .await;
    }
    fleet.stop().await;
}
