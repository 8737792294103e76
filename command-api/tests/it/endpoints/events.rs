//! `POST /events`, `PUT /events/{id}`, `POST /events/{id}/publish`, `DELETE /events/{id}`.

use domain::{EventId, VenueId};
use infra::auth::Role;
use serde_json::json;

use crate::support::{Call, Terms, World, confirm, venue_body};

#[tokio::test]
async fn an_event_is_drafted_changed_published_and_called_off() {
    let world = World::new();
    let node = world.start().await;
    let organizer = world.organizer(&node);
    let venue = organizer.send(&Call::post("/venues", &venue_body())).await.expect(201);
    let mut body = Terms { seats: 52, ..Terms::default() }.body(&world, &venue.text("venue_id"));
    let drafted = organizer.send(&Call::post("/events", &body)).await.expect(201);
    let (event, draft) = (drafted.text("event_id"), drafted.json());
    assert_eq!((&draft["status"], &draft["tiers"][1]["capacity"]), (&json!("draft"), &json!(52)));

    // Nobody can buy of a draft.
    let reserve = json!({"event_id": event, "seats": ["A-1-1"]});
    let reserve = Call::post("/bookings/reserve", &reserve);
    world.buyer(&node).send(&reserve).await.refused(404, "EVENT_NOT_FOUND");

    body["name"] = json!("Big concert");
    let path = format!("/events/{event}");
    let changed = organizer.send(&Call::put(&path, &body)).await.expect(200).json();
    assert_eq!(changed["tiers"][0]["tier_id"], draft["tiers"][0]["tier_id"]);
    let publish = Call::order(format!("{path}/publish"));
    let published = organizer.send(&publish).await.expect(200);
    assert_eq!(published.text("status"), "published");
    organizer.send(&publish).await.refused(409, "ALREADY_PUBLISHED");
    // Who reads at the answer's position finds the stock open.
    let story = world.story().await;
    let opened = story.records.iter().find(|it| &*it.kind == "InventoryOpened").unwrap();
    assert_eq!(opened.position.0, published.position());
    world.buyer(&node).send(&reserve).await.expect(201);

    let gone = organizer.send(&Call::delete(&path)).await.expect(200);
    assert_eq!(gone.text("status"), "cancelled");
    organizer.send(&Call::delete(&path)).await.refused(409, "ALREADY_CANCELLED");
    organizer.send(&Call::put(&path, &body)).await.refused(409, "ALREADY_CANCELLED");
    organizer.send(&publish).await.refused(409, "ALREADY_CANCELLED");
    world.buyer(&node).send(&reserve).await.refused(409, "EVENT_CANCELLED");
    world.verify(&node).await;
    node.stop().await;
}

#[tokio::test]
async fn an_event_obeys_its_organizer_and_admins() {
    let world = World::new();
    let node = world.start().await;
    let sale = world.sale(&node, Terms::default()).await;
    let draft = sale.organizer.send(&Call::post("/events", &sale.terms)).await.expect(201);
    let draft = draft.text("event_id");
    let publish = Call::order(format!("/events/{draft}/publish"));
    let calls = [sale.resize(60), publish, sale.call_off()];
    for call in [&calls[0], &calls[2]] {
        world.organizer(&node).send(call).await.refused(403, "FORBIDDEN");
    }
    // Of a draft others learn nothing.
    for call in [&calls[1], &Call::put(format!("/events/{draft}"), &sale.terms)] {
        world.organizer(&node).send(call).await.refused(404, "EVENT_NOT_FOUND");
    }
    for call in calls {
        world.person(&node, &[Role::Admin]).send(&call.because("why")).await.expect(200);
    }
    node.stop().await;
}

#[tokio::test]
async fn what_does_not_exist_is_not_found() {
    let world = World::new();
    let node = world.start().await;
    let sale = world.sale(&node, Terms::default()).await;
    let unknown = EventId::from_u128(7);
    for call in [
        Call::put(format!("/events/{unknown}"), &sale.terms),
        Call::order(format!("/events/{unknown}/publish")),
        Call::delete(format!("/events/{unknown}")),
    ] {
        sale.organizer.send(&call).await.refused(404, "EVENT_NOT_FOUND");
    }
    let mut elsewhere = sale.terms.clone();
    elsewhere["venue_id"] = json!(VenueId::from_u128(7));
    let answer = sale.organizer.send(&Call::post("/events", &elsewhere)).await;
    assert_eq!(answer.refused(422, "INVALID").json()["details"]["field"], "venue_id");
    node.stop().await;
}

#[tokio::test]
async fn terms_that_make_no_sense_are_refused_with_the_place_of_the_mistake() {
    let world = World::new();
    let node = world.start().await;
    let sale = world.sale(&node, Terms { seats: 5, ..Terms::default() }).await;
    let past = "2001-01-01T00:00:00Z";
    for (pointer, value, field) in [
        ("/name", json!(""), "name"),
        ("/starts_at", json!(past), "starts_at"),
        ("/ends_at", json!(past), "ends_at"),
        ("/tiers", json!([]), "tiers"),
        ("/tiers/0/price", json!(-1), "tiers[0].price"),
        ("/tiers/0/capacity", json!(-1), "tiers[0].capacity"),
        ("/tiers/0/capacity", json!(10_000_001), "tiers[0].capacity"),
        ("/tiers/0/section", json!("Z"), "tiers[0].section"),
        ("/tiers/1/currency", json!("USD"), "tiers[1].currency"),
        ("/tiers/1/name", json!("Floor"), "tiers[1].name"),
        ("/tiers/0/max_per_booking", json!(0), "tiers[0].max_per_booking"),
        ("/hold_ttl_seconds", json!(0), "hold_ttl_seconds"),
        ("/hold_ttl_seconds", json!(-7), "hold_ttl_seconds"),
        ("/waitlist_offer_seconds", json!(700_000), "waitlist_offer_seconds"),
        ("/max_tickets_per_booking", json!(0), "max_tickets_per_booking"),
        ("/max_tickets_per_user", json!(1_001), "max_tickets_per_user"),
        (
            "/refund_policy",
            json!([{"until_seconds_before_start": 0, "percent": 101}]),
            "refund_policy[0].percent",
        ),
        (
            "/refund_policy",
            json!([{"until_seconds_before_start": -1, "percent": 1}]),
            "refund_policy[0].until_seconds_before_start",
        ),
    ] {
        let mut body = sale.terms.clone();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        body.pointer_mut(parent).unwrap()[name] = value.clone();
        let answer = sale.organizer.send(&Call::post("/events", &body)).await;
        let answer = answer.refused(422, "INVALID");
        assert_eq!(answer.json()["details"]["field"], field, "{pointer} = {value}");
    }
    node.stop().await;
}

#[tokio::test]
async fn capacity_goes_down_to_what_is_sold_or_held_and_a_repetition_is_no_new_wish() {
    let world = World::new();
    let node = world.start().await;
    let sale = world.sale(&node, Terms { places: 10, ..Terms::default() }).await;
    let buyer = world.buyer(&node);
    let booking = buyer.hold(&sale.reserve(4)).await;
    buyer.send(&confirm(&booking, "tok_success")).await.expect(200);
    buyer.hold(&sale.reserve(2)).await;
    let answer = sale.organizer.send(&sale.resize(5)).await.refused(409, "CAPACITY_BELOW_SOLD");
    let details = answer.json()["details"].clone();
    assert_eq!((&details["sold"], &details["held"]), (&json!(4), &json!(2)));
    sale.organizer.send(&sale.resize(6).key("six")).await.expect(200);
    buyer.send(&sale.reserve(1)).await.refused(409, "INSUFFICIENT_SEATS");
    sale.organizer.send(&sale.resize(20).key("twenty")).await.expect(200);
    buyer.hold(&sale.reserve(5)).await;
    // Six would be refused now, but it was granted then.
    world.verify(&node).await;
    node.stop().await;
}
