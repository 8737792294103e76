//! `GET /waitlist/position`.

use domain::{TierId, UserId, WaitlistId};
use infra::auth::Role;
use infra::log::Position;
use serde_json::json;

use crate::facts::{Story, places, standing};
use crate::rows;
use crate::world::World;

fn path(story: Story) -> String {
    format!("/api/v1/waitlist/position?event_id={}", story.0)
}

fn user(number: u128) -> UserId {
    UserId::from_u128(number)
}

#[tokio::test]
async fn a_person_finds_their_place_and_how_long_it_may_take() {
    let Some(world) = World::with_database().await else { return };
    let (story, other) = (Story::of(1), Story::of(2));
    let tier = TierId::from_u128(0x51);
    // Two were offered something in the last 20 minutes, one left, two wait before.
    let joined = [1, 2, 3, 4, 6, 7, 8].map(|number| story.joined(number));
    let mut facts = vec![story.opened(vec![standing(9)])];
    facts.extend(joined);
    facts.extend([story.offered(1, places(1)), story.offered(2, places(1)), story.left(3)]);
    world.append(&story.stream(), &facts).await;
    let facts = [other.opened(vec![standing(9)]), other.joined(5)];
    let position = world.append(&other.stream(), &facts).await;
    let offered = json!({"status": "served", "joined_at": "2027-01-10T10:00:00Z",
        "offered_at": "2027-01-10T11:40:00Z"});
    rows::waiting(&world.pool, story.0, user(1), 1, offered).await;
    let offered = json!({"status": "offered", "booking_number": -2,
        "expires_at": "2027-01-10T12:05:00Z", "offered_at": "2027-01-10T11:55:00Z"});
    rows::waiting(&world.pool, story.0, user(2), 2, offered).await;
    rows::waiting(&world.pool, other.0, user(5), 5, json!({})).await;
    let mine = json!({"tier_id": tier.as_uuid(), "joined_at": "2027-01-10T11:50:00Z"});
    rows::waiting(&world.pool, story.0, user(7), 7, mine).await;
    rows::checkpoint(&world.pool, "waitlist", position).await;

    let token = world.token(user(7), &[Role::Attendee]);
    let answer = world.get_as(&path(story), &token).await;
    assert_eq!(answer.position(), position);
    let expected = json!({
        "waitlist_id": WaitlistId::from_u128(7).to_string(), "event_id": story.0.to_string(),
        "tier_id": tier.to_string(), "quantity": 2, "position": 3, "status": "waiting",
        "estimated_wait_seconds": 30 * 60,
    });
    assert_eq!(answer.ok(), expected);

    let token = world.token(user(2), &[Role::Attendee]);
    let expected = json!({
        "waitlist_id": WaitlistId::from_u128(2).to_string(), "event_id": story.0.to_string(),
        "quantity": 2, "position": 0, "status": "offered",
        "booking_id": story.booking(2_u64.wrapping_neg()).to_string(),
        "expires_at": "2027-01-10T12:05:00.000Z", "estimated_wait_seconds": null,
    });
    assert_eq!(world.get_as(&path(story), &token).await.ok(), expected);

    // Nothing was ever offered there.
    let token = world.token(user(5), &[Role::Attendee]);
    let entry = world.get_as(&path(other), &token).await.ok();
    assert_eq!((&entry["position"], &entry["estimated_wait_seconds"]), (&json!(1), &json!(null)));
}

#[tokio::test]
async fn the_latest_entry_counts_and_it_has_to_be_ones_own() {
    let Some(world) = World::with_database().await else { return };
    let story = Story::of(1);
    let facts = [story.opened(vec![standing(9)]), story.joined(9)];
    world.append(&story.stream(), &facts).await;
    rows::waiting(&world.pool, story.0, user(1), 1, json!({"status": "left"})).await;
    rows::waiting(&world.pool, story.0, user(1), 9, json!({})).await;
    let token = world.token(user(1), &[Role::Attendee]);
    let entry = world.get_as(&path(story), &token).await.ok();
    assert_eq!((&entry["status"], &entry["position"]), (&json!("waiting"), &json!(1)));
    let admin = world.token(user(2), &[Role::Admin]);
    assert_eq!(world.get_as(&path(story), &admin).await.problem(), (404, "NOT_WAITING".into()));
    let answer = world.get_as(&path(Story::of(404)), &token).await;
    assert_eq!(answer.problem(), (404, "NOT_WAITING".into()));
}

#[tokio::test]
async fn a_view_that_is_behind_what_is_counted_is_waited_for() {
    let Some(world) = World::with_database().await else { return };
    let story = Story::of(1);
    let facts = [story.opened(vec![standing(9)]), story.joined(1), story.offered(1, places(1))];
    let position = world.append(&story.stream(), &facts).await;
    world.get_at(&story.path("availability"), position).await.ok();
    rows::waiting(&world.pool, story.0, user(1), 1, json!({})).await;
    rows::checkpoint(&world.pool, "waitlist", Position(position.0 - 1)).await;
    let token = world.token(user(1), &[Role::Attendee]);
    let place = path(story);
    let catch_up = async {
        let sql = "UPDATE waitlist.entry SET status = 'offered', booking_number = 1";
        sqlx::query(sql).execute(&world.pool).await.unwrap();
        rows::checkpoint(&world.pool, "waitlist", position).await;
    };
    let (answer, ()) = tokio::join!(world.get_as(&place, &token), catch_up);
    assert_eq!((&answer.ok()["status"], &answer.ok()["position"]), (&json!("offered"), &json!(0)));
}

#[tokio::test]
async fn bad_input_is_refused() {
    let Some(world) = World::with_database().await else { return };
    let token = world.token(user(1), &[Role::Attendee]);
    assert_eq!(world.get(&path(Story::of(1))).await.problem(), (401, "UNAUTHORIZED".into()));
    for query in ["", "?event_id=evt_1", "?event=evt_1"] {
        let answer = world.get_as(&format!("/api/v1/waitlist/position{query}"), &token).await;
        assert_eq!(answer.problem(), (400, "MALFORMED".into()), "{query}");
    }
}
