//! Who may ask at all, and in which form: alike for all endpoints.

use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use infra::auth::{Keys, Role};
use infra::log::Log;

use super::Stage;
use crate::support::{Call, World};

#[tokio::test]
async fn without_a_valid_token_nothing_is_done() {
    let stage = Stage::new().await;
    let head = stage.world.log.head().await.unwrap();
    let user = stage.buyer.user;
    let everything = Role::ALL.as_slice();
    let short = stage.world.keys.issue(user, everything, Duration::from_secs(1)).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let foreign = Keys::load_or_create(elsewhere.path(), stage.world.clock.clone()).unwrap();
    let foreign = foreign.issue(user, everything, Duration::from_secs(900)).unwrap();
    let forged = {
        // The claims of one token under the signature of another.
        let ours = stage.world.keys.issue(user, everything, Duration::from_secs(900)).unwrap();
        let (claims, _) = ours.rsplit_once('.').unwrap();
        format!("{claims}.{}", foreign.rsplit_once('.').unwrap().1)
    };
    stage.world.clock.skip_s(2);
    for endpoint in stage.endpoints() {
        for token in [None, Some("x"), Some(&*short), Some(&*foreign), Some(&*forged)] {
            let client = endpoint.by.with_token(token.map(str::to_owned));
            let answer = client.send(&endpoint.call).await.refused(401, "UNAUTHORIZED");
            assert!(answer.headers.contains_key("www-authenticate"));
        }
    }
    assert_eq!(stage.world.log.head().await.unwrap(), head);
    stage.node.stop().await;
}

#[tokio::test]
async fn a_role_does_only_what_is_its_own() {
    let stage = Stage::new().await;
    let head = stage.world.log.head().await.unwrap();
    for endpoint in stage.endpoints() {
        for role in Role::ALL.iter().filter(|role| !endpoint.roles.contains(role)) {
            let client = stage.world.somebody(&stage.node, endpoint.by.user, &[*role]);
            client.send(&endpoint.call).await.refused(403, "FORBIDDEN");
        }
    }
    assert_eq!(stage.world.log.head().await.unwrap(), head);
    stage.node.stop().await;
}

#[tokio::test]
async fn a_body_that_cannot_be_read_is_the_clients_fault() {
    let stage = Stage::new().await;
    let head = stage.world.log.head().await.unwrap();
    let with_body = stage.endpoints().into_iter().filter(|endpoint| endpoint.call.body.is_some());
    for endpoint in with_body {
        let (by, call) = (&endpoint.by, &endpoint.call);
        for body in ["", "{", "[]", "null", "\"x\"", "7", "{}", "{\"a\":1}", "\u{feff}{}", "{}{}"] {
            by.send(&call.clone().raw(body)).await.refused(400, "MALFORMED");
        }
        by.send(&call.clone().raw(vec![0xff, 0xfe, b'{'])).await.refused(400, "MALFORMED");
        let deep = format!("{{\"a\":{}", "[".repeat(50_000));
        by.send(&call.clone().raw(deep)).await.refused(400, "MALFORMED");
        let huge = format!("{{\"name\":\"{}\"}}", "x".repeat(2 << 20));
        by.send(&call.clone().raw(huge)).await.refused(413, "PAYLOAD_TOO_LARGE");
        let text = Call { content_type: "text/plain", ..call.clone() };
        by.send(&text).await.refused(415, "UNSUPPORTED_MEDIA_TYPE");
    }
    assert_eq!(stage.world.log.head().await.unwrap(), head);
    stage.node.stop().await;
}

#[tokio::test]
async fn a_path_that_names_nothing_is_refused() {
    let stage = Stage::new().await;
    let event = stage.sale.event.to_string();
    let overlong = format!("{event}0");
    let body = super::venue_body();
    for id in ["x", "1", "..", "%00", "%ff", "evt_", &overlong, &event.to_uppercase()] {
        for call in [
            Call::put(format!("/venues/{id}"), &body),
            Call::put(format!("/events/{id}"), &body),
            Call::order(format!("/events/{id}/publish")),
            Call::delete(format!("/events/{id}")),
            Call::delete(format!("/bookings/{id}")),
            Call::delete(format!("/waitlist/leave?event_id={id}")),
        ] {
            let admin = stage.world.person(&stage.node, &[Role::Admin]);
            admin.send(&call).await.refused(400, "MALFORMED");
        }
    }
    for query in ["", "?", "?event_id=", "?other=1", &format!("?event_id={event}&x=1")] {
        let call = Call::delete(format!("/waitlist/leave{query}"));
        stage.buyer.send(&call).await.refused(400, "MALFORMED");
    }
    stage.node.stop().await;
}

#[tokio::test]
async fn a_key_that_cannot_be_used_is_refused() {
    let stage = Stage::new().await;
    let head = stage.world.log.head().await.unwrap();
    for endpoint in stage.endpoints() {
        for key in ["", "with space", "t\tb", &"k".repeat(256)] {
            let call = endpoint.call.clone().key(key);
            endpoint.by.send(&call).await.refused(400, "MALFORMED");
        }
    }
    assert_eq!(stage.world.log.head().await.unwrap(), head);
    stage.node.stop().await;
}

#[tokio::test]
async fn a_key_is_given_once() {
    let world = World::new();
    let node = world.start().await;
    let organizer = world.organizer(&node);
    let token = world.keys.issue(organizer.user, &[Role::Organizer], Duration::from_secs(60));
    let request = Request::post("/api/v1/venues")
        .header("authorization", format!("Bearer {}", token.unwrap()))
        .header("content-type", "application/json")
        .header("idempotency-key", "a")
        .header("idempotency-key", "b")
        .body(Body::from(super::venue_body().to_string()));
    organizer.ask(request.unwrap()).await.refused(400, "MALFORMED");
    node.stop().await;
}
