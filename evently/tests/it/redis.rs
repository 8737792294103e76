//! A Redis that comes and goes makes nothing but speed (OP-5).

use infra::auth::Role;
use infra::redis::testing::Redis;
use reqwest::{Client, Method};
use serde_json::{Value, json};

use crate::server::Server;
use crate::serving::{dependency_is, get, until};
use crate::shop::{Shop, answer, user};

/// The organizer gives the event another name; where in the log that is.
async fn rename(shop: &Shop<'_>, name: &str) -> String {
    let path = format!("/events/{}", shop.event);
    // What was published may be so new that the view does not have it.
    until("the event is there", async || {
        let details = shop.ask(Method::GET, &path, 1, &[Role::Organizer]).send().await.unwrap();
        details.status() == 200
    })
    .await;
    let event = answer(shop.ask(Method::GET, &path, 1, &[Role::Organizer]), 200).await;
    let tier = json!({"tier_id": shop.tier, "name": "Floor", "price": 4500, "currency": "EUR",
        "section": "Floor"});
    let body = json!({
        "name": name, "venue_id": event["venue"]["venue_id"], "event_type": "concert",
        "starts_at": "2040-06-01T19:30:00Z", "ends_at": "2040-06-01T22:30:00Z", "tiers": [tier],
    });
    let change = shop.ask(Method::PUT, &path, 1, &[Role::Organizer]).json(&body);
    let change = change.send().await.unwrap();
    let (status, headers) = (change.status(), change.headers().clone());
    assert!(status.is_success(), "{}", change.text().await.unwrap());
    headers["evently-position"].to_str().unwrap().to_owned()
}

/// What somebody finds who demands to see the log up to `position`.
async fn browse(server: &Server, path: &str, position: &str) -> Value {
    let ask = Client::new().get(server.url(path)).header("evently-min-position", position);
    answer(ask, 200).await
}

/// A new name is shown at once, in details and lists, to those who demand it, and then to all.
async fn shows(server: &Server, shop: &Shop<'_>, name: &str) {
    let position = rename(shop, name).await;
    let details = format!("/api/v1/events/{}", shop.event);
    for _ in 0..3 {
        assert_eq!(browse(server, &details, &position).await["name"], name);
        let list = browse(server, "/api/v1/events", &position).await;
        assert_eq!(list["items"][0]["name"], name);
    }
    assert_eq!(get(server, &details).await["name"], name);
    assert_eq!(get(server, "/api/v1/events").await["items"][0]["name"], name);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_shown_is_the_same_whatever_becomes_of_redis() {
    let Some(mut redis) = Redis::start() else { return };
    let server = Server::start_with(&["--redis-url", &redis.url()]).await;
    let shop = Shop::open(&server, 10).await;
    dependency_is(&server, "redis", "up").await;
    shows(&server, &shop, "With it").await;
    until("it is in Redis", async || redis.tell(&["DBSIZE"]) != "0").await;

    redis.process.freeze();
    shows(&server, &shop, "It stands still").await;
    dependency_is(&server, "redis", "down").await;
    shows(&server, &shop, "And stands still").await;
    redis.process.thaw();
    dependency_is(&server, "redis", "up").await;
    // It has what was shown before.
    shows(&server, &shop, "It goes on").await;

    redis.process.kill();
    shows(&server, &shop, "It is gone").await;
    dependency_is(&server, "redis", "down").await;
    let booking = shop.reserve(2, 1).await;
    shop.confirm(2, &booking).await;
    redis.restart();
    dependency_is(&server, "redis", "up").await;
    assert_eq!(redis.tell(&["DBSIZE"]), "0");
    shows(&server, &shop, "It is back").await;
    until("it is in Redis again", async || redis.tell(&["DBSIZE"]) != "0").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_used_up_a_budget_is_refused_by_the_next_node_until_redis_is_gone() {
    let Some(mut redis) = Redis::start() else { return };
    // Ten come back in a second.
    let args = ["--redis-url", &redis.url(), "--rate-limits", "general=600"];
    let (one, other) = (Server::start_with(&args).await, Server::start_with(&args).await);
    for node in [&one, &other] {
        dependency_is(node, "redis", "up").await;
    }
    // Each signs for itself, and both mean the same person.
    let ask = async |server: &Server, number| {
        let token = server.token(user(number), &[]);
        let ask = Client::new().get(server.url("/api/v1/users/me/bookings")).bearer_auth(token);
        ask.send().await.unwrap().status().as_u16()
    };
    until("the first has nothing left", async || ask(&one, 7).await == 429).await;
    let mut granted = 0;
    until("the other knows", async || {
        let refused = ask(&other, 7).await == 429;
        granted += u32::from(!refused);
        refused
    })
    .await;
    assert!(granted < 300, "{granted}");
    assert_eq!(ask(&other, 8).await, 200);

    redis.process.kill();
    for node in [&one, &other] {
        dependency_is(node, "redis", "down").await;
    }
    // Each for itself.
    assert_eq!(ask(&one, 9).await, 200);
    until("the first has nothing left", async || ask(&one, 9).await == 429).await;
    assert_eq!(ask(&other, 9).await, 200);
}

/// Changes what is kept in Redis: what it is called, and up to where it claims to be true.
fn forge(redis: &Redis, name: &str, upto: u64) {
    for key in redis.tell(&["KEYS", "*"]).lines() {
        let mut kept: Value = serde_json::from_str(&redis.tell(&["GET", key])).unwrap();
        kept["upto"] = upto.into();
        // Young, however long the test takes.
        kept["read_at_ms"] = 4_000_000_000_000_u64.into();
        match &mut kept["value"] {
            Value::Array(list) => list.iter_mut().for_each(|event| event["name"] = name.into()),
            event => event["name"] = name.into(),
        }
        assert_eq!(redis.tell(&["SET", key, &kept.to_string()]), "OK");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_process_read_another_takes_unless_it_was_changed_since() {
    let Some(redis) = Redis::start() else { return };
    let mut server = Server::start_with(&["--redis-url", &redis.url()]).await;
    let shop = Shop::open(&server, 10).await;
    dependency_is(&server, "redis", "up").await;
    shows(&server, &shop, "As it is").await;
    until("both are in Redis", async || redis.tell(&["DBSIZE"]) == "2").await;
    let details = format!("/api/v1/events/{}", shop.event);
    drop(shop);
    for (upto, shown) in [(u64::from(u32::MAX), "Forged"), (1, "As it is")] {
        assert!(server.stop().await.success());
        forge(&redis, "Forged", upto);
        // With nothing in its memory.
        server.restart().await;
        dependency_is(&server, "redis", "up").await;
        assert_eq!(get(&server, &details).await["name"], shown);
        assert_eq!(get(&server, "/api/v1/events").await["items"][0]["name"], shown);
    }
}
