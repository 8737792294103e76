//! Other programs of the operator, and what they may ask with which key.

use domain::Scope;
use infra::auth::RULES;
use reqwest::{Client, Method};
use serde_json::Value;

use crate::cli::run_on;
use crate::routes;
use crate::server::Server;
use crate::serving::until;

const RECORDS: &str = "/internal/audit/records";
const VIEWS: &str = "/internal/projections";
const REBUILD: &str = "/internal/projections/bookings/rebuild";

/// The key's id and the key.
async fn create(server: &Server, scopes: &[&str]) -> (String, String) {
    let mut args = vec!["keys", "service", "create", "--name", "archive"];
    args.extend(scopes.iter().flat_map(|scope| ["--scope", scope]));
    let (status, key, id) = run_on(&server.data(), &args).await;
    assert_eq!(status, 0, "{id}");
    (id.trim().to_owned(), key.trim().to_owned())
}

/// Status and body of the answer.
async fn ask(server: &Server, method: Method, path: &str, header: &str) -> (u16, Value) {
    let mut request = Client::new().request(method, server.url(path));
    if !header.is_empty() {
        request = request.header("authorization", header);
    }
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

#[tokio::test]
async fn a_service_may_do_what_its_key_says_until_it_is_revoked() {
    let mut server = Server::start().await;
    let (reader, reads) = create(&server, &["audit:read"]).await;
    let (_, watches) = create(&server, &["projections:read", "projections:run"]).await;
    let (reads, watches) = (format!("Bearer {reads}"), format!("Bearer {watches}"));
    let get = async |server: &Server, path, key: &str| ask(server, Method::GET, path, key).await.0;
    until("the server knows the keys", async || get(&server, VIEWS, &watches).await == 200).await;
    assert_eq!(get(&server, RECORDS, &reads).await, 200);
    until("the view can be built again", async || {
        ask(&server, Method::POST, REBUILD, &watches).await.0 == 202
    })
    .await;
    for (path, key, scope) in
        [(RECORDS, &watches, "audit:read"), (VIEWS, &reads, "projections:read")]
    {
        let (status, problem) = ask(&server, Method::GET, path, key).await;
        assert_eq!((status, &problem["code"]), (403, &"FORBIDDEN".into()), "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains(scope), "{problem}");
    }
    // The key is for these endpoints alone.
    for path in ["/api/v1/users/me", "/api/v1/audit/records", "/api/v1/admin/projections"] {
        assert_eq!(get(&server, path, &reads).await, 401, "{path}");
    }

    let data = server.data();
    let (status, out, err) = run_on(&data, &["keys", "service", "revoke", &reader]).await;
    assert_eq!((status, out, err.as_str()), (0, format!("{reader} is revoked\n"), ""));
    until("the key is refused", async || get(&server, RECORDS, &reads).await == 401).await;
    assert_eq!(get(&server, VIEWS, &watches).await, 200);
    let (_, listed, _) = run_on(&data, &["keys", "service", "list"]).await;
    let lines: Vec<_> = listed.lines().collect();
    assert!(lines[0].contains(&reader) && lines[0].contains("revoked"), "{listed}");
    assert!(lines[1].contains("projections:read projections:run"), "{listed}");
    assert_eq!(lines.len(), 2, "{listed}");
    assert!(!listed.contains("evently_svc_"), "{listed}");

    // What was ordered stands in the log, where auditors find it.
    let auditor = server.token(domain::UserId::from_u128(8), &[infra::auth::Role::Auditor]);
    let bearer = format!("Bearer {auditor}");
    let (_, records) = ask(&server, Method::GET, "/api/v1/audit/records", &bearer).await;
    let records = records["items"].as_array().unwrap().iter();
    let orders = records.filter(|it| it["stream"].as_str().unwrap().starts_with("admin-svc_"));
    let orders: Vec<_> = orders.map(|it| (it["type"].as_str().unwrap(), &it["data"])).collect();
    let kinds: Vec<_> = orders.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds, ["ServiceKeyOrdered", "ServiceKeyOrdered", "ServiceKeyRevocationOrdered"]);
    assert_eq!(orders[0].1["name"], "archive", "{orders:?}");
    assert_eq!(orders[2].1["key"], *reader, "{orders:?}");

    // As long as the product is there; and only its hash is kept.
    assert!(server.stop().await.success());
    server.restart().await;
    assert_eq!(get(&server, VIEWS, &watches).await, 200);
    assert_eq!(get(&server, RECORDS, &reads).await, 401);
    for file in ["keys/identity.sqlite", "keys/identity.sqlite-wal"] {
        let kept = std::fs::read(data.join(file)).unwrap_or_default();
        assert!(memchr::memmem::find(&kept, b"evently_svc_").is_none(), "{file}");
    }
}

#[tokio::test]
async fn every_internal_route_takes_keys_of_its_own_scope_alone() {
    let server = Server::start().await;
    let mut keys = vec![];
    for scope in Scope::ALL {
        let bearer = format!("Bearer {}", create(&server, &[scope.name()]).await.1);
        until("the server knows the key", async || {
            ask(&server, Method::GET, RECORDS, &bearer).await.0 != 401
        })
        .await;
        keys.push((scope, bearer));
    }
    for (route, needed) in routes::services() {
        let (method, path) = route.split_once(' ').unwrap();
        let (method, path) = (method.parse::<Method>().unwrap(), path.replace("{name}", "nothing"));
        for (scope, bearer) in &keys {
            let (status, problem) = ask(&server, method.clone(), &path, bearer).await;
            if *scope == needed {
                assert!(![401, 403].contains(&status), "{route} with {scope}: {problem}");
                continue;
            }
            assert_eq!((status, &problem["code"]), (403, &"FORBIDDEN".into()), "{route} {scope}");
            assert!(problem["detail"].as_str().unwrap().contains(needed.name()), "{problem}");
        }
    }
    // Whatever is there is in the table, as a test of it sees to, and for services.
    let internal = RULES.iter().filter(|rule| rule.path.starts_with("/internal/")).count();
    assert_eq!(routes::services().count(), internal);
}

#[tokio::test]
async fn what_is_no_service_key_is_refused_whoever_shows_it() {
    let server = Server::start().await;
    let (_, key) = create(&server, &["audit:read"]).await;
    let bearer = format!("Bearer {key}");
    until("the server knows the key", async || {
        ask(&server, Method::GET, RECORDS, &bearer).await.0 == 200
    })
    .await;
    let admin = server.token(domain::UserId::from_u128(1), &infra::auth::Role::ALL);
    let mut other = key.clone();
    let last = if other.ends_with('A') { 'Q' } else { 'A' };
    other.pop();
    for wrong in [
        String::new(),
        format!("Bearer {other}{last}"),
        format!("Bearer {other}"),
        format!("Bearer {key}A"),
        format!("Bearer {admin}"),
        format!("Basic {key}"),
        format!("Basic eDp5{key}"),
        key.clone(),
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
    ] {
        let (status, problem) = ask(&server, Method::GET, RECORDS, &wrong).await;
        assert_eq!((status, &problem["code"]), (401, &"UNAUTHORIZED".into()), "{wrong}");
    }
    for args in [
        &["create", "--name", "x"][..],
        &["create", "--scope", "audit:read"],
        &["create", "--name", "x", "--scope", "everything"],
        &["create", "--name", "a b", "--scope", "audit:read"],
        &["revoke", "svc_1"],
    ] {
        let (status, out, _) = run_on(&server.data(), &[&["keys", "service"], args].concat()).await;
        assert_eq!((status, out.as_str()), (2, ""), "{args:?}");
    }
    let nobodys = ["keys", "service", "revoke", "svc_00000000000000000000000007"];
    assert_eq!(run_on(&server.data(), &nobodys).await.0, 1);
}
