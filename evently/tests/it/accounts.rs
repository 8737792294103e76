//! Accounts of the program as a whole: from the mail to a ticket, and admins from the command line.

use std::fs;
use std::path::Path;

use reqwest::Method;
use serde_json::{Value, json};

use crate::cli::run_on;
use crate::server::Server;
use crate::serving::until;
use crate::shop::{Shop, answer};

pub(crate) const PASSWORD: &str = "correct horse battery";

pub(crate) async fn post(server: &Server, path: &str, body: &Value, status: u16) -> Value {
    let url = server.url(&format!("/api/v1{path}"));
    answer(reqwest::Client::new().post(url).json(body), status).await
}

pub(crate) async fn as_owner(
    server: &Server,
    method: Method,
    path: &str,
    token: &str,
) -> reqwest::Response {
    let url = server.url(&format!("/api/v1{path}"));
    reqwest::Client::new().request(method, url).bearer_auth(token).send().await.unwrap()
}

/// What follows `Code: ` in the newest mail.
pub(crate) async fn code(server: &Server) -> String {
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

/// All files in a folder, sorted.
pub(crate) fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut all = vec![];
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() { all.extend(files(&path)) } else { all.push(path) }
    }
    all.sort();
    all
}

/// Somebody new, logged in, who holds a booking, waits for another, and had a venue and an event: all of it
/// asked for with what clients may put into headers, whoever wrote them.
pub(crate) async fn ada(server: &Server) -> (String, String) {
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
    as_ada(server, &token, Method::POST, "/bookings/reserve", hold, 201).await;
    let sold_out = Shop::open(server, 1).await;
    sold_out.reserve(2, 1).await;
    let wait = json!({"event_id": sold_out.event, "quantity": 1});
    as_ada(server, &token, Method::POST, "/waitlist/join", wait, 201).await;
    let organizer = server.token(user.parse().unwrap(), &[infra::auth::Role::Organizer]);
    had_an_event(server, &organizer).await;
    (user, token)
}

async fn as_ada(
    server: &Server,
    token: &str,
    method: Method,
    path: &str,
    body: Value,
    status: u16,
) -> Value {
    let url = server.url(&format!("/api/v1{path}"));
    let request = reqwest::Client::new().request(method.clone(), url).bearer_auth(token);
    let request = if body.is_null() { request } else { request.json(&body) };
    let key = format!("Ada@example.org/{method}{path}");
    let request = request.header("Idempotency-Key", key);
    answer(request.header("X-Request-Id", "Ada@example.org"), status).await
}

/// A venue and an event, with every command there is.
async fn had_an_event(server: &Server, token: &str) {
    let venue = json!({
        "name": "Hall", "address": "Main Street 1", "city": "Berlin", "country": "DE",
        "sections": [{"name": "Floor", "kind": "standing", "capacity": 5}],
    });
    let ask = async |method, path: &str, body, status| {
        as_ada(server, token, method, path, body, status).await
    };
    let made = ask(Method::POST, "/venues", venue.clone(), 201).await;
    let path = format!("/venues/{}", made["venue_id"].as_str().unwrap());
    ask(Method::PUT, &path, venue, 200).await;
    let event = json!({
        "name": "Day", "venue_id": made["venue_id"], "event_type": "concert",
        "starts_at": "2040-06-01T19:30:00Z", "ends_at": "2040-06-01T22:30:00Z",
        "tiers": [{"name": "Floor", "price": 4500, "currency": "EUR", "section": "Floor"}],
    });
    let made = ask(Method::POST, "/events", event.clone(), 201).await;
    let path = format!("/events/{}", made["event_id"].as_str().unwrap());
    ask(Method::POST, &format!("{path}/publish"), Value::Null, 200).await;
    ask(Method::PUT, &path, event, 200).await;
    ask(Method::DELETE, &path, Value::Null, 200).await;
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
    until("they are let in, and the views are there", async || {
        as_owner(&server, Method::GET, "/admin/projections", token).await.status() == 200
    })
    .await;

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
