//! The same key and body: the first answer again, to the byte, whatever happened since (BK-6).

use serde_json::json;

use super::Stage;
use crate::support::{Call, cancel, confirm};

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
