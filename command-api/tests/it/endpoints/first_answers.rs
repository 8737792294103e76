//! The same key and body: the first answer again, to the byte, whatever happened since (BK-6).

use bytes::Bytes;
use domain::{EventId, Request, VenueId};
use infra::log::{Expected, Log as _, NewRecord, Position};
use serde_json::json;

use super::Stage;
use crate::support::{Call, World, cancel, confirm};

#[tokio::test]
async fn the_first_answer_is_given_again_whatever_happened_since() {
    let mut stage = Stage::new().await;
    for (index, mut endpoint) in stage.endpoints().into_iter().enumerate() {
        endpoint.call = endpoint.call.key(format!("k{index}"));
        let answer = endpoint.by.send(&endpoint.call).await;
        assert!(answer.status.is_success(), "{:?}: {answer:?}", endpoint.call);
        let again = endpoint.by.send(&endpoint.call).await;
        assert_eq!((again.status, &again.body), (answer.status, &answer.body));
    }
    stage.world.verify(&stage.node).await;

    // What was sold is called off, the venue loses the section, people leave.
    let other = super::venue_body()["sections"][0].clone();
    let mut venue = super::venue_body();
    venue["sections"] = json!([other]);
    let venue = Call::put(format!("/venues/{}", stage.venue), &venue);
    stage.organizer.send(&venue).await.expect(200);
    stage.buyer.send(&stage.full.leave()).await.expect(200);
    stage.organizer.send(&stage.sale.call_off()).await.expect(200);
    stage.world.verify(&stage.node).await;

    stage.node.stop().await;
    stage.node = stage.world.start().await;
    stage.world.verify(&stage.node).await;
    let elsewhere = stage.world.start_on(stage.world.open_log(), "other.json").await;
    stage.world.verify(&elsewhere).await;
    elsewhere.stop().await;
    stage.node.stop().await;
}

#[tokio::test]
async fn a_key_with_another_body_is_refused() {
    let stage = Stage::new().await;
    for (index, endpoint) in stage.endpoints().into_iter().enumerate() {
        let key = format!("k{index}");
        let answer = endpoint.by.send(&endpoint.call.key(&key)).await;
        assert!(answer.status.is_success(), "{answer:?}");
        if let Some(other) = endpoint.other {
            let answer = endpoint.by.send(&other.key(&key)).await;
            answer.refused(422, "IDEMPOTENCY_KEY_REUSED");
        }
    }
    stage.world.verify(&stage.node).await;
    stage.node.stop().await;
}

#[tokio::test]
async fn a_key_is_for_one_command_and_one_person() {
    let stage = Stage::new().await;
    let (sale, buyer) = (&stage.sale, &stage.buyer);
    let booking = buyer.hold(&sale.reserve(1).key("mine")).await;
    for call in [confirm(&booking, "tok_success"), cancel(&booking), sale.join(1), sale.leave()] {
        buyer.send(&call.key("mine")).await.refused(422, "IDEMPOTENCY_KEY_REUSED");
    }
    let other = stage.world.buyer(&stage.node);
    assert_ne!(other.hold(&sale.reserve(1).key("mine")).await, booking);
    let change = Call::put(format!("/events/{}", sale.event), &sale.terms).key("yours");
    sale.organizer.send(&change).await.expect(200);
    let call_off = sale.call_off().key("yours");
    sale.organizer.send(&call_off).await.refused(422, "IDEMPOTENCY_KEY_REUSED");
    stage.world.verify(&stage.node).await;
    stage.node.stop().await;
}

#[tokio::test]
async fn without_a_key_every_request_is_a_new_one() {
    let stage = Stage::new().await;
    let first = stage.buyer.hold(&stage.sale.reserve(1)).await;
    let second = stage.buyer.hold(&stage.sale.reserve(1)).await;
    assert_ne!(first, second);
    stage.world.verify(&stage.node).await;
    stage.node.stop().await;
}

#[tokio::test]
async fn a_refusal_is_decided_again() {
    let stage = Stage::new().await;
    let (full, buyer) = (&stage.full, stage.world.buyer(&stage.node));
    let call = full.reserve(1).key("later");
    buyer.send(&call).await.refused(409, "INSUFFICIENT_SEATS");
    full.organizer.send(&full.resize(10)).await.expect(200);
    buyer.send(&call).await.expect(201);
    stage.world.verify(&stage.node).await;
    stage.node.stop().await;
}

/// The world's log as it would be, had it been written when keys were stored as clients sent them, and
/// ids were derived from those: so many texts stand for others.
async fn written_before(world: &World, other: &[(String, String)]) -> World {
    let mut before = World::new();
    (before.clock, before.keys) = (world.clock.clone(), world.keys.clone());
    (before.vault, before.provider) = (world.vault.clone(), world.provider.clone());
    let put = |text: &str| older(text, other);
    for record in world.log.read_all(Position(0), 100_000).await.unwrap() {
        let data = std::str::from_utf8(&record.data).unwrap();
        assert!(!data.contains("@example.org"), "{data}");
        let new = NewRecord {
            id: record.id,
            kind: record.kind.to_string().into(),
            version: record.version,
            at: record.at,
            metadata: record.metadata.clone(),
            data: Bytes::from(put(data)),
        };
        let appended = before.log.append(&put(&record.stream), Expected::Any, vec![new]).await;
        assert_eq!(appended.unwrap().position, record.position);
    }
    before
}

fn older(text: &str, other: &[(String, String)]) -> String {
    other.iter().fold(text.to_owned(), |text, (now, then)| text.replace(now, then))
}

#[tokio::test]
async fn keys_are_not_stored_as_sent_and_those_that_were_are_known_again() {
    let stage = Stage::new().await;
    let secret = stage.world.vault.requests().unwrap();
    let (mut told, mut other) = (vec![], vec![]);
    for (index, endpoint) in stage.endpoints().into_iter().enumerate() {
        let (key, user) = (format!("ada{index}@example.org"), endpoint.by.user);
        let call = endpoint.call.key(&key);
        let answer = endpoint.by.send(&call).await;
        assert!(answer.status.is_success(), "{answer:?}");
        let derived = |purpose| infra::ids::derived(user, &key, purpose);
        let made = match (call.method, call.path.as_str()) {
            ("POST", "/venues") => {
                Some(("venue_id", VenueId::from_u128(derived("create-venue")).to_string()))
            }
            ("POST", "/events") => {
                Some(("event_id", EventId::from_u128(derived("draft-event")).to_string()))
            }
            _ => None,
        };
        other.extend(made.map(|(member, id)| (answer.text(member), id)));
        other.push((Request::hidden(&secret, user, &key, b"").unwrap().key, key));
        told.push((user, endpoint.roles[0], call, answer));
    }
    stage.node.stop().await;
    let before = written_before(&stage.world, &other).await;
    let node = before.start().await;
    for (user, role, call, first) in told {
        let answer = before.somebody(&node, user, &[role]).send(&call).await;
        let body = older(std::str::from_utf8(&first.body).unwrap(), &other);
        assert_eq!((answer.status, answer.body), (first.status, Bytes::from(body)), "{call:?}");
    }
    node.stop().await;
}
