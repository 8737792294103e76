//! `POST /waitlist/join`, `DELETE /waitlist/leave`, and what an offer is.

use domain::inventory::Fact;
use domain::{EventId, TierId};
use serde_json::json;

use crate::support::{Call, Terms, World, cancel};

#[tokio::test]
async fn who_waits_is_served_in_order() {
    let world = World::new();
    let node = world.start().await;
    let sale = world.sale(&node, Terms { places: 4, ..Terms::default() }).await;
    let (owner, first, second) = (world.buyer(&node), world.buyer(&node), world.buyer(&node));
    first.send(&sale.join(1)).await.refused(409, "TICKETS_AVAILABLE");
    let booking = owner.hold(&sale.reserve(4)).await;
    for (client, place) in [(&first, 1), (&second, 2)] {
        let waits = client.send(&sale.join(2)).await.expect(201).json();
        assert_eq!((&waits["status"], &waits["position"]), (&json!("waiting"), &json!(place)));
        client.send(&sale.join(2)).await.refused(409, "ALREADY_WAITING");
    }
    owner.send(&cancel(&booking)).await.expect(200);
    let story = world.story().await;
    let offers: Vec<_> = story
        .facts(sale.event)
        .into_iter()
        .filter_map(|(_, fact)| if let Fact::Offered(offer) = fact { Some(offer) } else { None })
        .collect();
    assert_eq!((offers[0].user, offers[1].user), (first.user, second.user));
    // What is offered is not for the public, and paid like any booking.
    world.buyer(&node).send(&sale.reserve(1)).await.refused(409, "INSUFFICIENT_SEATS");
    first.pay(&offers[0].booking.to_string(), "tok_success").await.expect(200);
    second.send(&sale.leave().key("no-more")).await.expect(200);
    second
        .pay(&offers[1].booking.to_string(), "tok_success")
        .await
        .refused(409, "ALREADY_CANCELLED");
    second.send(&sale.leave()).await.refused(404, "NOT_WAITING");
    world.buyer(&node).hold(&sale.reserve(2)).await;
    world.verify(&node).await;
    node.stop().await;
}

#[tokio::test]
async fn waiting_has_to_make_sense() {
    let world = World::new();
    let node = world.start().await;
    let sale = world.sale(&node, Terms { places: 2, ..Terms::default() }).await;
    let buyer = world.buyer(&node);
    world.buyer(&node).hold(&sale.reserve(2)).await;
    buyer.send(&sale.join(3)).await.refused(409, "NEVER_ENOUGH");
    let elsewhere = |event: EventId, tier: TierId| {
        let body = json!({"event_id": event, "tier_id": tier, "quantity": 1});
        Call::post("/waitlist/join", &body)
    };
    let unknown = elsewhere(EventId::from_u128(7), TierId::from_u128(7));
    buyer.send(&unknown).await.refused(404, "EVENT_NOT_FOUND");
    buyer.send(&elsewhere(sale.event, TierId::from_u128(7))).await.refused(404, "TIER_NOT_FOUND");
    buyer.send(&sale.leave()).await.refused(404, "NOT_WAITING");
    let nowhere = Call::delete(format!("/waitlist/leave?event_id={}", EventId::from_u128(7)));
    buyer.send(&nowhere).await.refused(404, "EVENT_NOT_FOUND");
    // Somebody else's place cannot be given up.
    buyer.send(&sale.join(1)).await.expect(201);
    world.buyer(&node).send(&sale.leave()).await.refused(404, "NOT_WAITING");
    world.verify(&node).await;
    node.stop().await;
}
