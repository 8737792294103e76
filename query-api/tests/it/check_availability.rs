//! `POST /bookings/check-availability`.

use domain::TierId;
use serde_json::json;

use crate::facts::{SEATED, STANDING, Story, places, seated, standing};
use crate::world::World;

const PATH: &str = "/api/v1/bookings/check-availability";

#[tokio::test]
async fn it_compares_what_is_wanted_with_what_is_left() {
    let world = World::without_database().await;
    let story = Story::of(1);
    let facts = [story.opened(vec![standing(5), seated()]), story.reserved(1, places(2))];
    world.append(&story.stream(), &facts).await;
    for (tier, quantity, available, left) in [
        (Some(STANDING), 3, true, 3),
        (Some(STANDING), 4, false, 3),
        (Some(SEATED), 6, true, 6),
        (None, 9, true, 9),
        (None, 10, false, 9),
        (None, i64::MAX, false, 9),
    ] {
        let wanted = json!({"event_id": story.0.to_string(), "quantity": quantity,
            "tier_id": tier.map(|tier| tier.to_string())});
        let answer = world.post(PATH, &wanted.to_string()).await;
        assert_eq!(answer.ok(), json!({"available": available, "available_seats": left}));
    }
}

#[tokio::test]
async fn unknown_ids_are_not_found() {
    let world = World::without_database().await;
    let (story, other) = (Story::of(1), Story::of(2));
    world.append(&story.stream(), &[story.opened(vec![standing(5)])]).await;
    let wanted = json!({"event_id": other.0.to_string(), "quantity": 1});
    let answer = world.post(PATH, &wanted.to_string()).await;
    assert_eq!(answer.problem(), (404, "EVENT_NOT_FOUND".into()));
    let tier = TierId::from_u128(99).to_string();
    let wanted = json!({"event_id": story.0.to_string(), "tier_id": tier, "quantity": 1});
    let answer = world.post(PATH, &wanted.to_string()).await;
    assert_eq!(answer.problem(), (404, "TIER_NOT_FOUND".into()));
}

#[tokio::test]
async fn bad_input_is_refused() {
    let world = World::without_database().await;
    let event = Story::of(1).0.to_string();
    for (body, status, code) in [
        ("{".to_owned(), 400, "MALFORMED"),
        (json!({"event_id": event}).to_string(), 400, "MALFORMED"),
        (json!({"event_id": "evt_1", "quantity": 1}).to_string(), 400, "MALFORMED"),
        (json!({"event_id": event, "quantity": "1"}).to_string(), 400, "MALFORMED"),
        (json!({"event_id": event, "quantity": -1}).to_string(), 422, "INVALID"),
        (json!({"event_id": event, "quantity": 1.5}).to_string(), 400, "MALFORMED"),
        (json!({"event_id": event, "quantity": 1, "x": 1}).to_string(), 400, "MALFORMED"),
        (json!({"event_id": event, "quantity": 0}).to_string(), 422, "INVALID"),
    ] {
        assert_eq!(world.post(PATH, &body).await.problem(), (status, code.into()), "{body}");
    }
}
