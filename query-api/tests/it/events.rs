//! `GET /events`.

use domain::UserId;
use infra::auth::Role;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::rows;
use crate::world::World;

const PATH: &str = "/api/v1/events";

fn names(page: &Value) -> Vec<&str> {
    page["items"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap()).collect()
}

/// Four published events of which one is past, a draft of organizer 77 and two of organizer 78.
async fn some_events(world: &World) {
    let pool = &world.pool;
    rows::event(pool, 1, json!({})).await;
    let other = json!({"city": "Hamburg", "city_key": "hamburg", "event_type": "match",
        "event_type_key": "match", "genre": null, "genre_key": null,
        "starts_at": "2027-03-01T18:00:00Z", "price_min_minor": 1000, "price_max_minor": 9000});
    rows::event(pool, 2, other).await;
    rows::event(pool, 3, json!({"starts_at": "2027-06-30T22:00:00Z"})).await;
    rows::event(pool, 4, json!({"starts_at": "2027-01-10T11:59:59Z"})).await;
    rows::event(pool, 5, json!({"status": "draft"})).await;
    let of_78 = Uuid::from_u128(78);
    rows::event(pool, 6, json!({"status": "draft", "organizer": of_78})).await;
    rows::event(pool, 7, json!({"status": "cancelled", "organizer": of_78})).await;
}

#[tokio::test]
async fn everybody_finds_what_is_published_by_what_it_is() {
    let Some(world) = World::with_database().await else { return };
    some_events(&world).await;
    for (query, expected) in [
        ("", vec!["Event 2", "Event 1", "Event 3"]),
        ("?status=published", vec!["Event 2", "Event 1", "Event 3"]),
        ("?city=%20HAMBURG", vec!["Event 2"]),
        ("?type=Concert", vec!["Event 1", "Event 3"]),
        ("?genre=rock&city=berlin", vec!["Event 1", "Event 3"]),
        ("?genre=jazz", vec![]),
        ("?date_from=2027-06-01", vec!["Event 1", "Event 3"]),
        ("?date_from=2027-06-01T19:30:01Z", vec!["Event 3"]),
        ("?date_to=2027-06-30", vec!["Event 2", "Event 1", "Event 3"]),
        ("?date_to=2027-06-29", vec!["Event 2", "Event 1"]),
        ("?date_from=2027-01-01&date_to=2027-01-31", vec!["Event 4"]),
        ("?price_max=1000", vec!["Event 2"]),
        ("?price_min=4501", vec!["Event 2"]),
        ("?price_min=9001", vec![]),
    ] {
        let page = world.get(&format!("{PATH}{query}")).await.ok();
        assert_eq!(names(&page), expected, "{query}");
    }
    let page = world.get(&format!("{PATH}?city=hamburg")).await.ok();
    let expected = json!({"items": [{
        "event_id": domain::EventId::from_u128(2).to_string(), "status": "published",
        "name": "Event 2", "event_type": "match",
        "venue_id": domain::VenueId::from_u128(1).to_string(), "city": "Hamburg",
        "starts_at": "2027-03-01T18:00:00.000Z", "ends_at": "2027-06-01T23:00:00.000Z",
        "price_min": 1000, "price_max": 9000, "currency": "EUR", "tags": ["open air"],
    }], "next_cursor": null});
    assert_eq!(page, expected);
}

#[tokio::test]
async fn pages_leave_nothing_out_when_events_begin_together() {
    let Some(world) = World::with_database().await else { return };
    for number in 1..=7 {
        rows::event(&world.pool, number, json!({})).await;
    }
    let (mut found, mut path) = (vec![], format!("{PATH}?limit=3"));
    loop {
        let page = world.get(&path).await.ok();
        found.extend(names(&page).into_iter().map(str::to_owned));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("{PATH}?limit=3&cursor={cursor}");
    }
    let expected: Vec<String> = (1..=7).map(|number| format!("Event {number}")).collect();
    assert_eq!(found, expected);

    // Of another list, though it is of events too; how many are on a page changes nothing.
    let page = world.get(&format!("{PATH}?limit=3&type=concert")).await.ok();
    let cursor = page["next_cursor"].as_str().unwrap();
    for filters in ["", "&type=match", "&type=concert&city=berlin", "&type=concert&price_min=1"] {
        let answer = world.get(&format!("{PATH}?cursor={cursor}{filters}")).await;
        assert_eq!(answer.problem(), (422, "INVALID".into()), "{filters}");
    }
    let rest = world.get(&format!("{PATH}?cursor={cursor}&type=concert&limit=100")).await.ok();
    assert_eq!(names(&rest), expected[3..]);
}

#[tokio::test]
async fn what_is_not_published_is_for_its_organizer_and_admins() {
    let Some(world) = World::with_database().await else { return };
    some_events(&world).await;
    let (of_77, of_78) = (UserId::from_u128(77), UserId::from_u128(78));
    let drafts = format!("{PATH}?status=draft");
    assert_eq!(world.get(&drafts).await.problem(), (401, "UNAUTHORIZED".into()));
    let attendee = world.token(of_77, &[Role::Attendee, Role::Auditor]);
    assert_eq!(world.get_as(&drafts, &attendee).await.problem(), (403, "FORBIDDEN".into()));
    let own = world.token(of_77, &[Role::Organizer]);
    assert_eq!(names(&world.get_as(&drafts, &own).await.ok()), ["Event 5"]);
    let other = world.token(of_78, &[Role::Organizer]);
    assert_eq!(names(&world.get_as(&drafts, &other).await.ok()), ["Event 6"]);
    let cancelled = format!("{PATH}?status=cancelled");
    assert_eq!(names(&world.get_as(&cancelled, &own).await.ok()), [""; 0]);
    assert_eq!(names(&world.get_as(&cancelled, &other).await.ok()), ["Event 7"]);
    let admin = world.token(UserId::from_u128(1), &[Role::Admin]);
    assert_eq!(names(&world.get_as(&drafts, &admin).await.ok()), ["Event 5", "Event 6"]);
}

#[tokio::test]
async fn bad_input_is_refused() {
    let Some(world) = World::with_database().await else { return };
    for (query, status, code) in [
        ("limit=0", 422, "INVALID"),
        ("limit=1000", 422, "INVALID"),
        ("cursor=x", 422, "INVALID"),
        ("status=open", 400, "MALFORMED"),
        ("date_from=soon", 400, "MALFORMED"),
        ("price_min=cheap", 400, "MALFORMED"),
        ("price_min=99999999999999999999", 422, "INVALID"),
        ("town=berlin", 400, "MALFORMED"),
        ("city=berlin&city=hamburg", 400, "MALFORMED"),
        ("city=%00", 422, "INVALID"),
    ] {
        let answer = world.get(&format!("{PATH}?{query}")).await;
        assert_eq!(answer.problem(), (status, code.into()), "{query}");
    }
    for (query, field) in [
        ("price_min=-1", "price_min"),
        ("price_max=-1", "price_max"),
        ("price_min=5&price_max=1", "price_max"),
        ("date_from=2027-06-02&date_to=2027-06-01", "date_to"),
        ("date_from=2027-06-02T00:00:00Z&date_to=2027-06-01", "date_to"),
    ] {
        let answer = world.get(&format!("{PATH}?{query}")).await;
        assert_eq!(answer.problem(), (422, "INVALID".into()), "{query}");
        let problem: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(problem["details"]["field"], field, "{query}");
    }
    for sound in ["price_min=5&price_max=5", "date_from=2027-06-01T12:00:00Z&date_to=2027-06-01"] {
        world.get(&format!("{PATH}?{sound}")).await.ok();
    }
    // A cursor of another list.
    rows::venue(&world.pool, 1).await;
    rows::venue(&world.pool, 2).await;
    let venues = world.get("/api/v1/venues?limit=1").await.ok();
    let cursor = venues["next_cursor"].as_str().unwrap();
    let answer = world.get(&format!("{PATH}?cursor={cursor}")).await;
    assert_eq!(answer.problem(), (422, "INVALID".into()));
}
