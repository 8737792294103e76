//! `GET /events/{id}/seats`.

use axum::http::{Request, StatusCode};
use serde_json::json;

use crate::facts::{SEATED, Story, places, seated, seats, standing};
use crate::world::{Answer, World};

async fn get_unless(world: &World, story: Story, tag: &str) -> Answer {
    world.ask(Request::get(story.path("seats")).header("if-none-match", tag)).await
}

#[tokio::test]
async fn it_tells_what_became_of_every_seat() {
    let world = World::without_database().await;
    let story = Story::of(1);
    let facts = [
        story.opened(vec![standing(9), seated()]),
        story.reserved(1, seats(&["A-1-1", "A-1-2"])),
        story.confirmed(1, seats(&["A-1-1", "A-1-2"])),
        story.reserved(2, seats(&["A-2-1", "A-2-3"])),
        story.expired(2, seats(&["A-2-1", "A-2-3"])),
        story.reserved(3, seats(&["A-2-3"])),
    ];
    let position = world.append(&story.stream(), &facts).await;
    let answer = world.get_at(&story.path("seats"), position).await;
    let seat = |name: &str, state: &str| json!({"seat": name, "state": state});
    let expected = json!({
        "event_id": story.0.to_string(), "position": position.0,
        "tiers": [{"tier_id": SEATED.to_string(), "section": "A", "rows": [
            {"label": "1", "seats":
                [seat("A-1-1", "sold"), seat("A-1-2", "sold"), seat("A-1-3", "free")]},
            {"label": "2", "seats": [
                {"seat": "A-2-1", "state": "free", "accessible": true},
                seat("A-2-2", "free"), seat("A-2-3", "held")]}]}],
    });
    assert_eq!(answer.ok(), expected);
    assert_eq!(answer.position(), position);
}

#[tokio::test]
async fn a_map_at_hand_is_not_sent_again_until_a_seat_changes() {
    let world = World::without_database().await;
    let story = Story::of(1);
    let facts = [story.opened(vec![standing(9), seated()])];
    world.append(&story.stream(), &facts).await;
    let first = world.get(&story.path("seats")).await;
    let tag = first.header("etag").to_owned();
    assert!(tag.starts_with('"') && tag.ends_with('"'), "{tag}");
    // Something else changed.
    let position = world.append(&story.stream(), &[story.reserved(1, places(1))]).await;
    world.get_at(&story.path("availability"), position).await.ok();
    let again = get_unless(&world, story, &tag).await;
    assert_eq!((again.status, again.body.len()), (StatusCode::NOT_MODIFIED, 0));
    assert_eq!(again.header("etag"), tag);
    assert_eq!(again.position(), position);
    // The same tag stands for the same bytes.
    assert_eq!(world.get(&story.path("seats")).await.body, first.body);
    // A seat changed.
    let position = world.append(&story.stream(), &[story.reserved(2, seats(&["A-1-1"]))]).await;
    world.get_at(&story.path("seats"), position).await.ok();
    let changed = get_unless(&world, story, &tag).await;
    assert_eq!(changed.ok()["tiers"][0]["rows"][0]["seats"][0]["state"], "held");
    assert_ne!(changed.header("etag"), tag);
}

#[tokio::test]
async fn an_event_without_seats_has_an_empty_map() {
    let world = World::without_database().await;
    let story = Story::of(1);
    world.append(&story.stream(), &[story.opened(vec![standing(9)])]).await;
    let answer = world.get(&story.path("seats")).await;
    assert_eq!(answer.ok()["tiers"], json!([]));
    assert_eq!(get_unless(&world, story, answer.header("etag")).await.status, 304);
}

#[tokio::test]
async fn an_unknown_event_and_bad_input_are_refused() {
    let world = World::without_database().await;
    let answer = world.get(&Story::of(1).path("seats")).await;
    assert_eq!(answer.problem(), (404, "EVENT_NOT_FOUND".into()));
    let answer = world.get("/api/v1/events/ven_1/seats").await;
    assert_eq!(answer.problem(), (400, "MALFORMED".into()));
}
