//! `POST /venues`, `PUT /venues/{id}`.

use domain::VenueId;
use infra::auth::Role;
use serde_json::json;

use crate::support::{Call, World, venue_body};

#[tokio::test]
async fn a_venue_is_added_and_changed_by_its_owner_or_an_admin() {
    let world = World::new();
    let node = world.start().await;
    let owner = world.organizer(&node);
    let added = owner.send(&Call::post("/venues", &venue_body())).await.expect(201);
    let body = added.json();
    assert_eq!(body["sections"][1]["capacity"], 52);
    assert_eq!(body["sections"][0], json!({"name": "F", "kind": "standing", "capacity": 100_000}));
    let path = format!("/venues/{}", added.text("venue_id"));

    let mut other = venue_body();
    other["name"] = json!("Hall");
    let changed = owner.send(&Call::put(&path, &other)).await.expect(200);
    assert_eq!(changed.text("name"), "Hall");
    assert!(changed.position() > added.position());
    world.organizer(&node).send(&Call::put(&path, &other)).await.refused(403, "FORBIDDEN");
    let as_admin = Call::put(&path, &other).because("why");
    world.person(&node, &[Role::Admin]).send(&as_admin).await.expect(200);

    let nowhere = VenueId::from_u128(7);
    let unknown = Call::put(format!("/venues/{nowhere}"), &other);
    owner.send(&unknown).await.refused(404, "VENUE_NOT_FOUND");
    world.verify(&node).await;
    node.stop().await;
}

#[tokio::test]
async fn a_venue_that_makes_no_sense_is_refused_with_the_place_of_the_mistake() {
    let world = World::new();
    let node = world.start().await;
    let owner = world.organizer(&node);
    for (pointer, value, field) in [
        ("/name", json!(""), "name"),
        ("/latitude", json!(91), "latitude"),
        ("/longitude", json!(-180.5), "longitude"),
        ("/sections/0/name", json!("A-B"), "sections[0].name"),
        ("/sections/0/name", json!("A"), "sections[1].name"),
        ("/sections/0/capacity", json!(0), "sections[0].capacity"),
        ("/sections/0/capacity", json!(-5), "sections[0].capacity"),
        ("/sections/0/capacity", json!(10_000_001), "sections[0].capacity"),
        ("/sections/1/capacity", json!(51), "sections[1].capacity"),
        ("/sections/1/rows", json!([]), "sections[1].rows"),
        ("/sections/1/rows/0/seats", json!(4_294_967_295_u32), "sections[1].rows[0].seats"),
        ("/sections/1/rows/0/seats", json!(-1), "sections[1].rows[0].seats"),
        ("/sections/1/rows/0/accessible", json!(["99"]), "sections[1].rows[0].accessible[0]"),
        ("/sections/1/rows/1/seats", json!(["a", "a"]), "sections[1].rows[1].seats[1]"),
        ("/sections/1/rows/1/label", json!("1"), "sections[1].rows[1].label"),
    ] {
        let mut body = venue_body();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        body.pointer_mut(parent).unwrap()[name] = value.clone();
        let answer = owner.send(&Call::post("/venues", &body)).await.refused(422, "INVALID");
        assert_eq!(answer.json()["details"]["field"], field, "{pointer} = {value}");
    }
    node.stop().await;
}
