//! The server as a process: starting, answering, stopping.

use infra::auth::Role;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::server::{Server, evently};

fn user(number: u128) -> domain::UserId {
    domain::UserId::from_u128(number)
}

#[tokio::test]
async fn it_answers_until_told_to_stop_and_again_after_a_start() {
    let mut server = Server::start().await;
    let client = reqwest::Client::new();
    let live: Value =
        client.get(server.url("/health/live")).send().await.unwrap().json().await.unwrap();
    assert_eq!(live, json!({"status": "live"}));
    let token = server.token(user(1), &[Role::Organizer]);
    let venue = json!({
        "name": "Arena", "address": "Main Street 1", "city": "Berlin", "country": "DE",
        "sections": [{"name": "Floor", "kind": "standing", "capacity": 10}],
    });
    let create = client
        .post(server.url("/api/v1/venues"))
        .bearer_auth(&token)
        .header("Idempotency-Key", "venue-1")
        .json(&venue);
    let first: Value = create.try_clone().unwrap().send().await.unwrap().json().await.unwrap();
    assert!(first["venue_id"].as_str().unwrap().starts_with("ven_"), "{first}");
    assert!(server.stop().await.success());

    server.restart().await;
    let again = client
        .post(server.url("/api/v1/venues"))
        .bearer_auth(&token)
        .header("Idempotency-Key", "venue-1")
        .json(&venue);
    let again: Value = again.send().await.unwrap().json().await.unwrap();
    assert_eq!(again["venue_id"], first["venue_id"]);

    server.kill().await;
    server.restart().await;
    server.signal(Signal::INT);
    assert!(server.ended().await.success());
}

#[tokio::test]
async fn a_folder_has_one_server() {
    let server = Server::start().await;
    let second = evently().arg("serve").arg("--data").arg(server.data()).output().await.unwrap();
    assert_eq!(second.status.code(), Some(1));
    let said = String::from_utf8(second.stderr).unwrap();
    assert!(said.contains(&format!("process {}", server.pid())), "{said}");
    assert!(second.stdout.is_empty());
}
