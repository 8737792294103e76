//! Accounts of the program as a whole: from the mail to a ticket, admins from the command line, and
//! people who are forgotten.

use std::fs;
use std::path::Path;

use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Row};

use crate::cli::run_on;
use crate::fleet::Fleet;
use crate::server::Server;
use crate::serving::until;
use crate::shop::{Shop, answer};

const PASSWORD: &str = "correct horse battery";
/// Ids of nothing.
const EVENT: &str = "evt_00000000000000000000000007";
const TIER: &str = "tier_00000000000000000000000007";
const PERSONAL: [&str; 3] = ["lovelace", "ada@example", "+44 1234"];

async fn post(server: &Server, path: &str, body: &Value, status: u16) -> Value {
    let url = server.url(&format!("/api/v1{path}"));
    answer(reqwest::Client::new().post(url).json(body), status).await
}

async fn as_owner(server: &Server, method: Method, path: &str, token: &str) -> reqwest::Response {
    let url = server.url(&format!("/api/v1{path}"));
    reqwest::Client::new().request(method, url).bearer_auth(token).send().await.unwrap()
}

/// What follows `Code: ` in the newest mail.
async fn code(server: &Server) -> String {
    let mails = || {
        let mut mails = files(&server.shared().join("mail"));
        // One that is being written is about to have another name.
        mails.retain(|path| path.extension().is_some_and(|kind| kind == "eml"));
        mails.sort();
        mails.pop().and_then(|path| fs::read_to_string(path).ok())
    };
    until("a mail is there", async || mails().is_some()).await;
    mails().unwrap().split("Code: ").nth(1).unwrap().trim().to_owned()
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut all = vec![];
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() { all.extend(files(&path)) } else { all.push(path) }
    }
    all
}

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

/// Somebody new, logged in, who holds a booking.
async fn ada(server: &Server) -> (String, String) {
    let body = json!({
        "email": "Ada@example.org", "name": "Ada Lovelace", "password": PASSWORD,
        "phone": "+44 1234",
    });
    post(server, "/auth/register", &body, 202).await;
    let body = json!({"code": code(server).await, "password": PASSWORD});
    let verified = post(server, "/auth/email/verify", &body, 200).await;
    let text = |name: &str| verified[name].as_str().unwrap().to_owned();
    let (user, token) = (text("user_id"), text("access_token"));
    let shop = Shop::open(server, 10).await;
    let hold = json!({"event_id": shop.event, "tier_id": shop.tier, "quantity": 1});
    let url = server.url("/api/v1/bookings/reserve");
    let held = reqwest::Client::new().post(url).bearer_auth(&token).json(&hold);
    answer(held, 201).await;
    (user, token)
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
    let erase = ["privacy", "erase", user, "--reason", "Ada Lovelace wrote"];
    let (status, out, err) = run_on(&server.data(), &erase).await;
    assert_eq!((status, err.as_str()), (0, ""));
    assert!(out.starts_with(user), "{out}");
    is_refused(server, token).await;
    let (status, again, _) = run_on(&server.data(), &["privacy", "erase", user]).await;
    assert_eq!((status, again), (0, out));
    let nobody = domain::UserId::from_u128(7).to_string();
    let (status, _, err) = run_on(&server.data(), &["privacy", "erase", &nobody]).await;
    assert_eq!((status, err.as_str()), (1, "evently: there is no such account\n"));

    let (status, proof, err) = run_on(&server.data(), &["audit", "verify"]).await;
    assert_eq!(status, 0, "{proof}{err}");
    let auditor = server.token(domain::UserId::from_u128(8), &[infra::auth::Role::Auditor]);
    let path = format!("/audit/records?limit=100&user_id={user}");
    until("the audit view has the end", async || {
        let records = as_owner(server, Method::GET, &path, &auditor).await.text().await.unwrap();
        records.contains("AccountErased") && {
            assert_eq!(records.matches("ErasureOrdered").count(), 1, "{records}");
            let records = records.to_lowercase();
            assert!(!PERSONAL.iter().any(|text| records.contains(text)), "{records}");
            true
        }
    })
    .await;
    assert_eq!(grep(&server.data()), [""; 0]);
    let log = server.log().to_lowercase();
    assert!(!PERSONAL.iter().any(|text| log.contains(text)), "{log}");
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

#[tokio::test]
async fn the_first_admin_is_made_from_the_command_line_with_and_without_a_server() {
    let mut server = Server::start().await;
    let data = server.data();
    let create = ["admin", "create", "--email", "root@example.org"];
    let (status, out, err) = run_on(&data, &create).await;
    assert_eq!((status, err.as_str()), (0, ""));
    let [user, password] = out.lines().collect::<Vec<_>>()[..] else { panic!("{out}") };
    let body = json!({"email": "root@example.org", "password": password});
    let tokens = post(&server, "/auth/login", &body, 200).await;
    assert_eq!(tokens["user_id"], user);
    let token = tokens["access_token"].as_str().unwrap();
    let me: Value = as_owner(&server, Method::GET, "/users/me", token).await.json().await.unwrap();
    assert_eq!(me["roles"], json!(["attendee", "admin"]));
    let list = as_owner(&server, Method::GET, "/admin/projections", token).await;
    assert_eq!(list.status(), 200);

    // Asked again, also without a server, it is so already.
    assert!(server.stop().await.success());
    let (status, again, err) = run_on(&data, &create).await;
    assert_eq!((status, again, err.as_str()), (0, format!("{user}\n"), ""));
    server.restart().await;
    post(&server, "/auth/login", &body, 200).await;
}

#[tokio::test]
async fn an_admin_whose_address_a_stranger_registered_first_logs_in_and_the_stranger_does_not() {
    let server = Server::start().await;
    let stranger = json!({"email": "root@example.org", "name": "Eve", "password": PASSWORD});
    post(&server, "/auth/register", &stranger, 202).await;
    let code = code(&server).await;
    let create = ["admin", "create", "--email", "root@example.org"];
    let (status, out, err) = run_on(&server.data(), &create).await;
    assert_eq!((status, err.as_str()), (0, ""));
    let [user, password] = out.lines().collect::<Vec<_>>()[..] else { panic!("{out}") };
    let body = json!({"email": "root@example.org", "password": password});
    assert_eq!(post(&server, "/auth/login", &body, 200).await["user_id"], user);
    let body = json!({"email": "root@example.org", "password": PASSWORD});
    post(&server, "/auth/login", &body, 401).await;
    let body = json!({"code": code, "password": PASSWORD});
    post(&server, "/auth/email/verify", &body, 409).await;
}

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

#[tokio::test]
async fn signing_keys_in_a_shared_folder_need_no_data_folder() {
    let folder = tempfile::tempdir().unwrap();
    let shared = folder.path().join("shared");
    let mut command = crate::server::evently();
    command.args(["keys", "rotate-signing", "--data"]).arg(folder.path().join("nowhere"));
    let (status, out, err) = crate::cli::said(command.arg("--shared").arg(&shared)).await;
    assert_eq!((status, out.as_str(), err.as_str()), (0, "2 keys verify tokens\n", ""));
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
    let (status, log, _) = run_on(&data, &["audit", "export"]).await;
    assert_eq!((status, log.matches("MasterKeyRotationOrdered").count()), (0, 1), "{log}");
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

    let forget = ["keys", "rotate-signing", "--forget-old"];
    let (code, out, err) = run_on(&server.data(), &forget).await;
    assert_eq!((code, out.as_str(), err.as_str()), (0, "1 key verifies tokens\n", ""));
    until("the old token is refused", async || status(&tokens).await == 401).await;
    let body = json!({"refresh_token": tokens["refresh_token"]});
    tokens = post(&server, "/auth/refresh", &body, 200).await;
    assert_eq!((status(&tokens).await, published().await), (200, 1));
}
