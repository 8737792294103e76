//! `POST /bookings/reserve`, `POST /bookings/confirm`, `DELETE /bookings/{id}`.

use domain::{BookingId, EventId, TierId};
use infra::auth::Role;
use serde_json::{Value, json};

use crate::support::{Call, Terms, World, cancel, confirm};

#[tokio::test]
async fn places_and_seats_are_held_paid_and_given_back() {
    let world = World::new();
    let node = world.start().await;
    let sale = world.sale(&node, Terms { seats: 10, ..Terms::default() }).await;
    let buyer = world.buyer(&node);
    let held = buyer.send(&sale.reserve(3)).await.expect(201);
    let body = held.json();
    assert_eq!(body["status"], "held");
    assert_eq!((&body["subtotal"], &body["total"]), (&json!(7_500), &json!(7_500)));
    assert_eq!((&body["currency"], &body["discount"]), (&json!("EUR"), &json!(0)));
    assert_eq!(body["line_items"][0]["quantity"], 3);
    assert_eq!((&body["tickets"], &body["history"]), (&json!([]), &Value::Null));

    let seats = buyer.send(&sale.seats(&["A-1-7", "A-1-3"])).await.expect(201).json();
    assert_eq!(seats["line_items"][0]["seat"], "A-1-7");
    assert_eq!(
        (&seats["total"], &seats["line_items"][1]["amount"]),
        (&json!(5_000), &json!(2_500))
    );
    let taken = world.buyer(&node).send(&sale.seats(&["A-1-2", "A-1-3"])).await;
    assert_eq!(taken.refused(409, "SEAT_TAKEN").json()["details"]["seat"], "A-1-3");

    let booking = held.text("booking_id");
    let paid = buyer.pay(&booking, "tok_success").await.expect(200).json();
    assert_eq!((&paid["status"], &paid["expires_at"]), (&json!("confirmed"), &Value::Null));
    assert_eq!(paid["tickets"].as_array().unwrap().len(), 3);
    let history: Vec<_> =
        paid["history"].as_array().unwrap().iter().map(|entry| &entry["type"]).collect();
    assert_eq!(history, ["Reserved", "PaymentStarted", "Confirmed"]);
    buyer.pay(&booking, "tok_success").await.refused(409, "ALREADY_CONFIRMED");

    let back = buyer.send(&cancel(&booking)).await.expect(200).json();
    let refund = json!({"amount": 7_500, "currency": "EUR", "status": "pending"});
    assert_eq!((&back["status"], &back["refund"]), (&json!("cancelled"), &refund));
    buyer.send(&cancel(&booking)).await.refused(409, "ALREADY_CANCELLED");
    buyer.pay(&booking, "tok_success").await.refused(409, "ALREADY_CANCELLED");
    let released = seats["booking_id"].as_str().unwrap();
    let released = buyer.send(&cancel(released)).await.expect(200).json();
    assert_eq!(released["refund"], json!({"amount": 0, "currency": "EUR", "status": "none"}));
    world.until_kind("Refunded", 1).await;
    world.verify(&node).await.agrees_with(&world.provider).await;
    node.stop().await;
}

#[tokio::test]
async fn what_costs_nothing_is_confirmed_without_a_charge() {
    let world = World::new();
    let node = world.start().await;
    let sale = world.sale(&node, Terms { price: 0, ..Terms::default() }).await;
    let buyer = world.buyer(&node);
    let booking = buyer.hold(&sale.reserve(2)).await;
    let call = confirm(&booking, "tok_declined").key("free");
    assert_eq!(buyer.send(&call).await.expect(200).json()["total"], 0);
    buyer.send(&cancel(&booking)).await.expect(200);
    world.verify(&node).await.agrees_with(&world.provider).await;
    assert_eq!(world.provider.ledger().await.unwrap().charges, []);
    node.stop().await;
}

#[tokio::test]
async fn nobody_touches_the_booking_of_another() {
    let world = World::new();
    let node = world.start().await;
    let sale = world.sale(&node, Terms::default()).await;
    let (owner, other) = (world.buyer(&node), world.buyer(&node));
    let booking = owner.hold(&sale.reserve(1)).await;
    let id: BookingId = booking.parse().unwrap();
    let unknown = BookingId { number: id.number ^ 1, ..id }.to_string();
    let elsewhere = BookingId { event: EventId::from_u128(9), ..id }.to_string();
    for (client, booking) in [(&other, &booking), (&owner, &unknown), (&owner, &elsewhere)] {
        client.pay(booking, "tok_success").await.refused(404, "BOOKING_NOT_FOUND");
        client.send(&cancel(booking)).await.refused(404, "BOOKING_NOT_FOUND");
    }
    // The organizer of the event has no right to it either; an admin may give it back.
    sale.organizer.send(&cancel(&booking)).await.refused(404, "BOOKING_NOT_FOUND");
    let admin = world.person(&node, &[Role::Admin]);
    admin.pay(&booking, "tok_success").await.refused(404, "BOOKING_NOT_FOUND");
    admin.send(&cancel(&booking).because("why").key("for-them")).await.expect(200);
    world.verify(&node).await;
    node.stop().await;
}

#[tokio::test]
async fn what_is_not_on_sale_is_not_sold() {
    let world = World::new();
    let node = world.start().await;
    let sale = world.sale(&node, Terms { seats: 3, ..Terms::default() }).await;
    let buyer = world.buyer(&node);
    let with = |member: &str, id: Value| {
        let mut body = json!({"event_id": sale.event, "tier_id": sale.floor, "quantity": 1});
        body[member] = id;
        Call::post("/bookings/reserve", &body)
    };
    let nothing = with("event_id", json!(EventId::from_u128(7)));
    buyer.send(&nothing).await.refused(404, "EVENT_NOT_FOUND");
    let nothing = with("tier_id", json!(TierId::from_u128(7)));
    buyer.send(&nothing).await.refused(404, "TIER_NOT_FOUND");
    buyer.send(&sale.seats(&["A-9-1"])).await.refused(404, "SEAT_NOT_FOUND");
    buyer.send(&sale.seats(&["Ü-☃-\u{0}"])).await.refused(404, "SEAT_NOT_FOUND");
    for (count, status, code) in [
        (1_000, 409, "LIMIT_PER_BOOKING"),
        (1_001, 422, "INVALID"),
        (20_000, 413, "PAYLOAD_TOO_LARGE"),
    ] {
        let many: Vec<String> = (0..count).map(|seat| format!("A-1-{seat}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        buyer.send(&sale.seats(&many)).await.refused(status, code);
    }

    let mut terms = sale.terms.clone();
    terms["tiers"][0]["sale_starts_at"] = json!("2999-01-01T00:00:00Z");
    terms["starts_at"] = json!("3000-01-01T00:00:00Z");
    terms["ends_at"] = json!("3000-01-02T00:00:00Z");
    terms["max_tickets_per_user"] = json!(2);
    let path = format!("/events/{}", sale.event);
    sale.organizer.send(&Call::put(&path, &terms)).await.expect(200);
    buyer.send(&sale.reserve(1)).await.refused(409, "SALE_NOT_OPEN");
    buyer.hold(&sale.seats(&["A-1-1", "A-1-2"])).await;
    buyer.send(&sale.seats(&["A-1-3"])).await.refused(409, "LIMIT_PER_USER");
    terms["tiers"][0]["sale_starts_at"] = json!("2001-01-01T00:00:00Z");
    terms["tiers"][0]["sale_ends_at"] = json!("2002-01-01T00:00:00Z");
    sale.organizer.send(&Call::put(&path, &terms)).await.expect(200);
    buyer.send(&sale.reserve(1)).await.refused(409, "SALE_CLOSED");
    node.stop().await;
}

#[tokio::test]
async fn an_event_that_began_is_not_sold_and_one_that_ended_gives_nothing_back() {
    let world = World::new();
    let node = world.start().await;
    let terms = Terms { starts_in_s: 3 * 86_400, hold_s: 600_000, ..Terms::default() };
    let sale = world.sale(&node, terms).await;
    let buyer = world.buyer(&node);
    let mut bookings = vec![];
    for _ in 0..3 {
        let booking = buyer.hold(&sale.reserve(2)).await;
        buyer.pay(&booking, "tok_success").await.expect(200);
        bookings.push(booking);
    }
    let held = buyer.hold(&sale.reserve(1)).await;
    let half = buyer.send(&cancel(&bookings[0])).await.expect(200).json();
    assert_eq!(half["refund"]["amount"], 2_500);
    world.clock.skip_s(3 * 86_400);
    buyer.send(&sale.reserve(1)).await.refused(409, "EVENT_STARTED");
    buyer.send(&sale.join(1)).await.refused(409, "EVENT_STARTED");
    buyer.send(&cancel(&bookings[1])).await.expect(200);
    world.clock.skip_s(7_200);
    buyer.send(&sale.reserve(1)).await.refused(409, "EVENT_ENDED");
    buyer.send(&cancel(&bookings[2])).await.refused(409, "EVENT_ENDED");
    buyer.pay(&held, "tok_success").await.refused(409, "EVENT_ENDED");
    world.until_kind("Refunded", 1).await;
    world.verify(&node).await.agrees_with(&world.provider).await;
    node.stop().await;
}
