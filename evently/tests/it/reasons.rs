//! Why admins did something to others: auditors read it as long as the others are there, and nobody else does.

use infra::auth::Role;
use reqwest::Method;
use serde_json::{Value, json};

use crate::accounts::{as_owner, post};
use crate::cli::run_on;
use crate::fleet::Fleet;
use crate::server::Server;
use crate::serving::until;
use crate::shop::{Shop, answer, user};

const WHY: &str = "Lovelace phoned";

/// Somebody with an account; who they are, and their token.
async fn ada(server: &Server) -> (String, String) {
    let body =
        json!({"email": "ada@example.org", "name": "Ada", "password": crate::accounts::PASSWORD});
    post(server, "/auth/register", &body, 202).await;
    let code = crate::accounts::code(server).await;
    let body = json!({"code": code, "password": crate::accounts::PASSWORD});
    let verified = post(server, "/auth/email/verify", &body, 200).await;
    let text = |name: &str| verified[name].as_str().unwrap().to_owned();
    (text("user_id"), text("access_token"))
}

/// The orders of admins with the reasons that stand beside them, as an auditor is shown them.
async fn orders(server: &Server) -> Vec<Value> {
    let auditor = server.token(user(8), &[Role::Auditor]);
    let page = as_owner(server, Method::GET, "/audit/records?limit=100", &auditor).await;
    let page: Value = page.json().await.unwrap();
    let items = page["items"].as_array().unwrap().iter();
    items.filter(|it| it["stream"].as_str().unwrap().starts_with("admin-")).cloned().collect()
}

async fn export(server: &Server, args: &[&str]) -> String {
    let (status, out, err) = run_on(&server.data(), &[&["audit", "export"], args].concat()).await;
    assert_eq!(status, 0, "{err}");
    out
}

#[tokio::test]
async fn auditors_read_who_did_what_to_whom_and_why() {
    let server = Server::start().await;
    let shop = Shop::open(&server, 10).await;
    let (who, token) = ada(&server).await;
    let hold = json!({"event_id": shop.event, "tier_id": shop.tier, "quantity": 1});
    let held = post_as(&server, &token, "/bookings/reserve", &hold).await;
    let booking = held["booking_id"].as_str().unwrap();
    let cancel = format!("/bookings/{booking}?reason=Lovelace%20phoned");
    answer(shop.ask(Method::DELETE, &cancel, 5, &[Role::Admin]), 200).await;
    let grant = json!({"grant": ["box_office"], "reason": WHY});
    let roles = format!("/admin/users/{who}/roles");
    answer(shop.ask(Method::POST, &roles, 5, &[Role::Admin]).json(&grant), 200).await;

    let shown = orders(&server).await;
    let kinds: Vec<_> = shown.iter().map(|it| it["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["BookingCancellationOrdered", "RolesOrdered"]);
    assert_eq!(shown[0]["data"]["booking"], booking);
    for order in &shown {
        assert_eq!((&order["data"]["by"], &order["reason"]), (&json!(user(5)), &json!(WHY)));
        assert!(!order["data"].to_string().contains("Lovelace"), "{order}");
    }
    assert_eq!((&shown[0]["data"]["owner"], &shown[1]["data"]["user"]), (&json!(who), &json!(who)));

    // What others keep outlives the keys: it has no reasons, unless somebody says that it shall.
    let (status, key, _) = run_on(
        &server.data(),
        &["keys", "service", "create", "--name", "copy", "--scope", "audit:read"],
    )
    .await;
    assert_eq!(status, 0);
    let copied = async || {
        let copy = reqwest::Client::new().get(server.url("/internal/audit/records?limit=100"));
        copy.bearer_auth(key.trim()).send().await.unwrap()
    };
    until("the server knows the key", async || copied().await.status() == 200).await;
    let copied = copied().await.text().await.unwrap();
    assert!(copied.contains("RolesOrdered") && !copied.contains("Lovelace"), "{copied}");
    for format in ["ndjson", "csv"] {
        assert!(!export(&server, &["--format", format]).await.contains("Lovelace"));
        let opened = export(&server, &["--format", format, "--reasons"]).await;
        // In the stream of orders, and in that of the account.
        assert_eq!(opened.matches(WHY).count(), 3, "{opened}");
    }
    let kept = server.data().join("export.ndjson");
    std::fs::write(&kept, export(&server, &["--reasons"]).await).unwrap();
    let verify = ["audit", "verify", "--export", kept.to_str().unwrap()];
    let (status, _, err) = run_on(&server.data(), &verify).await;
    assert_eq!(status, 0, "{err}");
    std::fs::remove_file(kept).unwrap();

    assert_eq!(as_owner(&server, Method::DELETE, "/users/me", &token).await.status(), 204);
    let shown = orders(&server).await;
    for order in &shown[..2] {
        assert_eq!(order.get("reason"), Some(&Value::Null), "{order}");
    }
    assert!(!export(&server, &["--reasons"]).await.contains("Lovelace"));
}

#[tokio::test]
async fn a_node_that_only_reads_opens_them_too() {
    let Some(mut fleet) = Fleet::start(1).await else { return };
    let node = &fleet.commands[0];
    let (who, _) = ada(node).await;
    let admin = node.token(user(5), &[Role::Admin]);
    let grant = json!({"grant": ["box_office"], "reason": WHY});
    post_as(node, &admin, &format!("/admin/users/{who}/roles"), &grant).await;
    until("it is opened", async || {
        orders(&fleet.queries).await.iter().any(|order| order["reason"] == WHY)
    })
    .await;
    fleet.stop().await;
}

async fn post_as(server: &Server, token: &str, path: &str, body: &Value) -> Value {
    let url = server.url(&format!("/api/v1{path}"));
    let answer = reqwest::Client::new().post(url).bearer_auth(token).json(body).send().await;
    let answer = answer.unwrap();
    assert!(answer.status().is_success(), "{}", answer.status());
    answer.json().await.unwrap()
}
