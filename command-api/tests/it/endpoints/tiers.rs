//! Which tier is meant, and what is said of it, when an event is changed.

use serde_json::{Value, json};

use crate::support::{Answer, Call, Client, Terms, World};

/// An event's own answer as a request.
fn told(answer: &Answer) -> Value {
    let mut body = answer.json();
    for member in ["event_id", "status", "position"] {
        body.as_object_mut().unwrap().remove(member);
    }
    body
}

async fn wrong(client: &Client, call: &Call) -> Value {
    client.send(call).await.refused(422, "INVALID").json()["details"].clone()
}

#[tokio::test]
async fn an_id_that_is_no_tier_of_the_event_is_refused() {
    let world = World::new();
    let node = world.start().await;
    let (sale, other) =
        (world.sale(&node, Terms::default()).await, world.sale(&node, Terms::default()).await);
    let organizer = &sale.organizer;
    let path = format!("/events/{}", sale.event);
    let mut body = sale.terms.clone();
    body["tiers"][0]["tier_id"] = json!(sale.floor);
    let stranger = "is no tier of this event; leave it out for a new one";
    let expected = |index| json!({"field": format!("tiers[{index}].tier_id"), "problem": stranger});
    assert_eq!(wrong(organizer, &Call::post("/events", &body)).await, expected(0));

    let mut foreign = body["tiers"][0].clone();
    foreign["name"] = json!("Another");
    foreign["tier_id"] = json!(other.floor);
    body["tiers"].as_array_mut().unwrap().push(foreign);
    assert_eq!(wrong(organizer, &Call::put(&path, &body)).await, expected(1));
    body["tiers"][1]["tier_id"] = json!(sale.floor);
    assert_eq!(wrong(organizer, &Call::put(&path, &body)).await["field"], "tiers[1].tier_id");

    // A name that its tier gave up is free for a new one.
    body["tiers"][0]["name"] = json!("Pit");
    body["tiers"][1] = sale.terms["tiers"][0].clone();
    let changed = organizer.send(&Call::put(&path, &body)).await.expect(200).json();
    assert_eq!(changed["tiers"][0]["tier_id"], json!(sale.floor));
    assert_ne!(changed["tiers"][1]["tier_id"], json!(sale.floor));
    world.verify(&node).await;
    node.stop().await;
}

#[tokio::test]
async fn the_events_limit_that_an_answer_shows_of_a_tier_does_not_become_its_own() {
    let world = World::new();
    let node = world.start().await;
    let organizer = world.organizer(&node);
    let sale = world.sale(&node, Terms { seats: 5, ..Terms::default() }).await;
    let path = format!("/events/{}", sale.event);
    let mut body = sale.terms.clone();
    body["tiers"][1]["max_per_booking"] = json!(4);
    let answer = sale.organizer.send(&Call::put(&path, &body)).await.expect(200);
    let limits = |answer: &Answer| {
        let tiers = answer.json()["tiers"].clone();
        [0, 1].map(|index: usize| tiers[index]["max_per_booking"].as_i64().unwrap())
    };
    assert_eq!(limits(&answer), [10, 4]);
    let answer = sale.organizer.send(&Call::put(&path, &told(&answer))).await.expect(200);
    let mut body = told(&answer);
    body["max_tickets_per_booking"] = json!(50);
    let answer = sale.organizer.send(&Call::put(&path, &body)).await.expect(200);
    assert_eq!(limits(&answer), [50, 4]);
    organizer.send(&sale.reserve(15)).await.expect(201);
    // Another limit than that is the tier's own.
    let mut body = told(&answer);
    body["tiers"][0]["max_per_booking"] = json!(10);
    let answer = sale.organizer.send(&Call::put(&path, &body)).await.expect(200);
    assert_eq!(limits(&answer), [10, 4]);
    let mut body = told(&answer);
    body["max_tickets_per_booking"] = json!(20);
    let answer = sale.organizer.send(&Call::put(&path, &body)).await.expect(200);
    assert_eq!(limits(&answer), [10, 4]);
    world.verify(&node).await;
    node.stop().await;
}
