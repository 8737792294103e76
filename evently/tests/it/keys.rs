//! Other master keys and signing keys, from the command line.

use std::fs;
use std::path::Path;

use reqwest::Method;
use serde_json::{Value, json};

use crate::accounts::{PASSWORD, ada, as_owner, code, post};
use crate::cli::{run, run_on};
use crate::log_server::LogServer;
use crate::server::Server;
use crate::serving::until;

/// What the command says when it refuses to touch the master key, which is as before.
async fn refuses_to_rotate(data: &Path, args: &[&str]) -> String {
    let path = data.join("keys").join("master.key");
    let before = fs::read(&path).unwrap();
    let (status, out, err) = run_on(data, &[&["keys", "rotate-master"], args].concat()).await;
    assert_eq!((status, out.as_str()), (1, ""), "{err}");
    assert_eq!(fs::read(path).unwrap(), before, "{err}");
    err
}

#[tokio::test]
async fn the_master_key_is_not_replaced_where_others_need_it() {
    let Some(postgres) = infra::postgres::testing::server() else { return };
    let url = postgres.empty_database().await;
    let mut server = Server::start_with(&["--database-url", &url]).await;
    let data = server.data();
    let (user, token) = ada(&server).await;
    // Of a person whose key is in the database, a command that was not told of it destroys nothing.
    let erase = run_on(&data, &["privacy", "erase", &user]).await;
    assert_eq!(erase.0, 1, "{erase:?}");
    assert!(erase.2.contains("DATABASE_URL"), "{erase:?}");
    assert_eq!(as_owner(&server, Method::GET, "/users/me", &token).await.status(), 200);
    assert!(server.stop().await.success());
    let says = refuses_to_rotate(&data, &[]).await;
    assert!(says.contains("DATABASE_URL"), "{says}");
    let key = fs::read_to_string(data.join("keys").join("master.key")).unwrap();
    let both = format!("{}=,{key}", "A".repeat(43));
    let says = refuses_to_rotate(&data, &["--master-key", both.trim()]).await;
    assert!(says.contains("DATABASE_URL"), "{says}");

    // Nor does one that cannot know who else has it.
    for args in [["--database-url", &url], ["--shared", data.to_str().unwrap()]] {
        let says = refuses_to_rotate(&data, &args).await;
        assert!(says.contains("EVENTLY_MASTER_KEY=NEW,OLD"), "{says}");
    }
    let args = ["keys", "rotate-master", "--database-url", &url, "--master-key", both.trim()];
    let (status, out, err) = run_on(&data, &args).await;
    assert_eq!((status, out.as_str(), err.as_str()), (0, "3 keys are wrapped anew\n", ""));
    // Another database is no place for the installation's people.
    let other = postgres.empty_database().await;
    let erase = run_on(&data, &["privacy", "erase", &user, "--database-url", &other]).await;
    assert_eq!(erase.0, 1, "{erase:?}");
    assert!(erase.2.contains("holds the keys of this installation"), "{erase:?}");
}

#[tokio::test]
async fn the_master_key_is_not_replaced_if_anybody_has_no_key_here() {
    let mut server = Server::start().await;
    let data = server.data();
    ada(&server).await;
    assert!(server.stop().await.success());
    // As in a copy of the store from before she came.
    let store = data.join("keys").join("identity.sqlite");
    let store = rusqlite::Connection::open(store).unwrap();
    store.execute("DELETE FROM key WHERE kind = 'person'", []).unwrap();
    let says = refuses_to_rotate(&data, &[]).await;
    assert!(says.contains("1 of the accounts"), "{says}");
}

/// What the log in this place says of orders about the whole installation.
async fn orders(place: &[&str]) -> Vec<Value> {
    let (status, log, err) = run(&[&["audit", "export"], place].concat()).await;
    assert_eq!(status, 0, "{err}");
    let records = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let orders = records.filter(|record| record["stream"] == "admin-installation");
    orders.map(|record| json!([record["type"], record["data"]])).collect()
}

#[tokio::test]
async fn signing_keys_in_a_shared_folder_are_replaced_where_the_log_can_be_told() {
    let folder = tempfile::tempdir().unwrap();
    let (shared, nowhere) = (folder.path().join("shared"), folder.path().join("nowhere"));
    let [shared, nowhere] = [&shared, &nowhere].map(|path| path.to_str().unwrap());
    let place = ["--data", nowhere, "--shared", shared];
    let rotate = [&["keys", "rotate-signing"], &place[..]].concat();
    let (status, out, err) = run(&rotate).await;
    assert_eq!((status, out.as_str()), (1, ""), "{err}");
    assert!(err.contains("--log-url"), "{err}");
    assert!(!Path::new(shared).exists());

    let log = LogServer::start().await;
    let rotate = [&rotate[..], &["--log-url", &log.url]].concat();
    let (status, out, err) = run(&rotate).await;
    assert_eq!((status, out.as_str(), err.as_str()), (0, "2 keys verify tokens\n", ""));
    let order = json!(["SigningKeyRotationOrdered", {"forgets_old": false}]);
    assert_eq!(orders(&["--log-url", &log.url]).await, [order]);
}

#[tokio::test]
async fn another_master_key_is_taken_while_no_server_runs() {
    let mut server = Server::start().await;
    let data = server.data();
    let (_, token) = ada(&server).await;
    let (status, _, err) = run_on(&data, &["keys", "rotate-master"]).await;
    assert_eq!(status, 1);
    assert!(err.contains("already has the data folder"), "{err}");
    assert!(server.stop().await.success());
    let path = data.join("keys").join("master.key");
    let before = fs::read_to_string(&path).unwrap();
    let (status, out, err) = run_on(&data, &["keys", "rotate-master"]).await;
    assert_eq!((status, err.as_str()), (0, ""));
    // The person's, the address's, and the one that addresses are found by.
    assert_eq!(out, "3 keys are wrapped anew\n");
    let order = json!(["MasterKeyRotationOrdered", {}]);
    assert_eq!(orders(&["--data", data.to_str().unwrap()]).await, [order]);
    let after = fs::read_to_string(&path).unwrap();
    assert_eq!(after.lines().count(), 1);
    assert_ne!(after, before);
    server.restart().await;
    let me = as_owner(&server, Method::GET, "/users/me", &token).await;
    assert_eq!(me.json::<Value>().await.unwrap()["name"], "Ada Lovelace");
    let body = json!({"email": "ada@example.org", "password": PASSWORD});
    post(&server, "/auth/login", &body, 200).await;
}

#[tokio::test]
async fn another_signing_key_logs_nobody_out() {
    let server = Server::start().await;
    let body = json!({"email": "ada@example.org", "name": "Ada", "password": PASSWORD});
    post(&server, "/auth/register", &body, 202).await;
    let body = json!({"code": code(&server).await, "password": PASSWORD});
    let mut tokens = post(&server, "/auth/email/verify", &body, 200).await;
    let status = async |token: &Value| {
        let token = token["access_token"].as_str().unwrap();
        as_owner(&server, Method::GET, "/users/me", token).await.status().as_u16()
    };
    let published = async || {
        let keys = reqwest::get(server.url("/.well-known/jwks.json")).await.unwrap();
        keys.json::<Value>().await.unwrap()["keys"].as_array().unwrap().len()
    };
    let (code, out, err) = run_on(&server.data(), &["keys", "rotate-signing"]).await;
    assert_eq!((code, out.as_str(), err.as_str()), (0, "2 keys verify tokens\n", ""));
    until("both keys are published", async || published().await == 2).await;
    assert_eq!(status(&tokens).await, 200);

    let forget = ["keys", "rotate-signing", "--forget-old", "--reason", "leak"];
    let (code, out, err) = run_on(&server.data(), &forget).await;
    assert_eq!((code, out.as_str(), err.as_str()), (0, "1 key verifies tokens\n", ""));
    until("the old token is refused", async || status(&tokens).await == 401).await;
    let body = json!({"refresh_token": tokens["refresh_token"]});
    tokens = post(&server, "/auth/refresh", &body, 200).await;
    assert_eq!((status(&tokens).await, published().await), (200, 1));
    let ordered = orders(&["--data", server.data().to_str().unwrap()]).await;
    let ordered: Vec<_> = ordered.iter().map(|order| &order[1]).collect();
    let (first, second) =
        (json!({"forgets_old": false}), json!({"forgets_old": true, "reason": "leak"}));
    assert_eq!(ordered, [&first, &second]);
}

/// All that the command line tells of keys, and the files that hold them.
async fn keys(data: &Path) -> Vec<String> {
    let file = |name| fs::read_to_string(data.join("keys").join(name)).unwrap();
    let (_, listed, _) = run_on(data, &["keys", "service", "list"]).await;
    vec![file("signing.pem"), file("master.key"), listed]
}

#[tokio::test]
async fn what_is_ordered_on_the_command_line_is_not_done_if_it_cannot_be_written_down() {
    let mut server = Server::start().await;
    let data = server.data();
    let (user, token) = ada(&server).await;
    let create = ["keys", "service", "create", "--name", "it", "--scope", "audit:read"];
    let (status, _, id) = run_on(&data, &create).await;
    assert_eq!(status, 0, "{id}");
    assert!(server.stop().await.success());
    let log = rusqlite::Connection::open(data.join("log.sqlite")).unwrap();
    // Whatever is written from now on cannot be indexed. All that is there can be read.
    let head: i64 =
        log.query_row("SELECT max(position) FROM records", [], |row| row.get(0)).unwrap();
    let full = "CREATE INDEX full ON records (abs(-9223372036854775807 - 1 + 0 * revision))";
    log.execute_batch(&format!("{full} WHERE position > {head}")).unwrap();
    let before = keys(&data).await;
    for command in [
        &["keys", "rotate-signing"][..],
        &["keys", "rotate-signing", "--forget-old"],
        &["keys", "rotate-master"],
        &["keys", "service", "revoke", id.trim()],
        &create,
        &["privacy", "erase", &user],
    ] {
        let (status, out, err) = run_on(&data, command).await;
        assert_eq!((status, out.as_str()), (1, ""), "{command:?} {err}");
        assert_eq!(keys(&data).await, before, "{command:?}");
    }
    log.execute_batch("DROP INDEX full").unwrap();
    server.restart().await;
    let me = as_owner(&server, Method::GET, "/users/me", &token).await;
    assert_eq!(me.json::<Value>().await.unwrap()["name"], "Ada Lovelace");
}
