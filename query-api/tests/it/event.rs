//! `GET /events/{event_id}`.

use domain::{TierId, UserId};
use infra::auth::Role;
use infra::log::Position;
use serde_json::json;

use crate::facts::{STANDING, Story, places, standing};
use crate::rows;
use crate::world::World;

#[tokio::test]
async fn it_tells_all_about_a_published_event() {
    let Some(world) = World::with_database().await else { return };
    let story = Story::of(1);
    rows::venue(&world.pool, 1).await;
    rows::event(&world.pool, 1, json!({"max_per_user": 4, "language": "German"})).await;
    rows::checkpoint(&world.pool, "catalog", Position(2)).await;
    let facts = [story.opened(vec![standing(10)]), story.reserved(1, places(3))];
    let position = world.append(&story.stream(), &facts).await;
    let path = format!("/api/v1/events/{}", story.0);
    let answer = world.get_at(&path, position).await;
    assert_eq!(answer.position(), Position(2));
    let expected = json!({
        "event_id": story.0.to_string(), "status": "published", "name": "Event 1",
        "description": "Loud.", "event_type": "concert", "genre": "Rock", "language": "German",
        "tags": ["open air"], "starts_at": "2027-06-01T19:30:00.000Z",
        "ends_at": "2027-06-01T23:00:00.000Z", "hold_ttl_seconds": 300,
        "waitlist_offer_seconds": 600, "max_tickets_per_booking": 8, "max_tickets_per_user": 4,
        "refund_policy": [{"until_seconds_before_start": 86400, "percent": 50}],
        "venue": {"venue_id": domain::VenueId::from_u128(1).to_string(), "name": "Venue 1",
            "address": "Street 1", "city": "Berlin", "country": "Germany",
            "postal_code": "10115", "latitude": 52.5, "longitude": 13.25},
        "tiers": [{"tier_id": STANDING.to_string(), "name": "Standing", "price": 4500,
            "currency": "EUR", "capacity": 10, "max_per_booking": 10}],
        "availability": world.get(&story.path("availability")).await.ok(),
    });
    assert_eq!(answer.ok(), expected);
    assert_eq!(expected["availability"]["available"], 7);
}

#[tokio::test]
async fn a_draft_is_for_its_organizer_and_admins() {
    let Some(world) = World::with_database().await else { return };
    let story = Story::of(1);
    rows::event(&world.pool, 1, json!({"status": "draft"})).await;
    let path = format!("/api/v1/events/{}", story.0);
    assert_eq!(world.get(&path).await.problem(), (404, "EVENT_NOT_FOUND".into()));
    let other = world.token(UserId::from_u128(78), &[Role::Organizer]);
    assert_eq!(world.get_as(&path, &other).await.problem(), (404, "EVENT_NOT_FOUND".into()));
    for token in [
        world.token(UserId::from_u128(77), &[Role::Organizer]),
        world.token(UserId::from_u128(1), &[Role::Admin]),
    ] {
        let draft = world.get_as(&path, &token).await.ok();
        assert_eq!(draft["status"], "draft");
        assert_eq!(draft["availability"], json!(null));
        assert_eq!(draft["venue"], json!(null), "the view does not know it");
        let tier = json!({"tier_id": TierId::from_u128(0x51).to_string(), "name": "Standing",
            "price": 4500, "currency": "EUR", "capacity": 10, "max_per_booking": 8});
        assert_eq!(draft["tiers"], json!([tier]));
    }
    // Published since: the row that still says draft shows what never was.
    let facts = [story.opened(vec![standing(10)])];
    world.append(&story.stream(), &facts).await;
    assert_eq!(world.get(&path).await.problem(), (404, "EVENT_NOT_FOUND".into()));
    let forged = format!("{}x", world.token(UserId::from_u128(77), &[Role::Organizer]));
    assert_eq!(world.get_as(&path, &forged).await.problem(), (401, "UNAUTHORIZED".into()));
}

#[tokio::test]
async fn a_cancelled_event_is_for_everybody_if_it_was_published() {
    let Some(world) = World::with_database().await else { return };
    let (once_published, never) = (Story::of(1), Story::of(2));
    for number in [1, 2] {
        rows::event(&world.pool, number, json!({"status": "cancelled"})).await;
    }
    let facts = [once_published.opened(vec![standing(10)]), once_published.closed()];
    world.append(&once_published.stream(), &facts).await;
    let answer = world.get(&format!("/api/v1/events/{}", once_published.0)).await;
    assert_eq!(answer.ok()["availability"]["status"], "cancelled");
    let path = format!("/api/v1/events/{}", never.0);
    assert_eq!(world.get(&path).await.problem(), (404, "EVENT_NOT_FOUND".into()));
    let organizer = world.token(UserId::from_u128(77), &[Role::Organizer]);
    assert_eq!(world.get_as(&path, &organizer).await.ok()["status"], "cancelled");
}

#[tokio::test]
async fn it_goes_on_without_the_log() {
    let Some(world) = World::with_database().await else { return };
    rows::event(&world.pool, 1, json!({})).await;
    world.log.close().await;
    let event = world.get(&format!("/api/v1/events/{}", Story::of(1).0)).await.ok();
    assert_eq!((&event["status"], &event["availability"]), (&json!("published"), &json!(null)));
    assert_eq!(event["tiers"][0]["capacity"], 10);
}

#[tokio::test]
async fn an_unknown_event_and_bad_input_are_refused() {
    let Some(world) = World::with_database().await else { return };
    let answer = world.get(&format!("/api/v1/events/{}", Story::of(1).0)).await;
    assert_eq!(answer.problem(), (404, "EVENT_NOT_FOUND".into()));
    assert_eq!(world.get("/api/v1/events/1").await.problem(), (400, "MALFORMED".into()));
}
