//! `GET /events/{id}/availability`.

use domain::Time;
use infra::clock::Clock;
use infra::log::Position;
use serde_json::json;

use crate::facts::{SEATED, STANDING, Story, places, seated, seats, standing};
use crate::world::World;

#[tokio::test]
async fn it_tells_what_is_left_of_every_tier() {
    let world = World::without_database().await;
    let story = Story::of(1);
    let mut limited = standing(10);
    limited.max_per_booking = Some(4);
    limited.sale_ends_at = Some("2027-05-31T00:00:00Z".parse().unwrap());
    let facts = [
        story.opened(vec![limited, seated()]),
        story.reserved(1, places(3)),
        story.confirmed(1, places(3)),
        story.reserved(2, seats(&["A-1-1", "A-2-1"])),
        story.joined(3),
    ];
    let position = world.append(&story.stream(), &facts).await;
    let answer = world.get_at(&story.path("availability"), position).await;
    let expected = json!({
        "event_id": story.0.to_string(), "status": "published",
        "capacity": 16, "available": 11, "held": 2, "sold": 3, "waitlisted": 1,
        "tiers": [
            {"tier_id": STANDING.to_string(), "name": "Standing", "price": 4500, "currency": "EUR",
             "capacity": 10, "available": 7, "held": 0, "sold": 3,
             "sale_ends_at": "2027-05-31T00:00:00.000Z", "max_per_booking": 4},
            {"tier_id": SEATED.to_string(), "name": "Seats", "price": 4500, "currency": "EUR",
             "capacity": 6, "available": 4, "held": 2, "sold": 0, "section": "A",
             "max_per_booking": 10},
        ],
        "position": position.0,
    });
    assert_eq!(answer.ok(), expected);
    assert_eq!(answer.position(), position);
}

#[tokio::test]
async fn it_sees_every_write_that_it_is_asked_to_see() {
    let world = World::without_database().await;
    let story = Story::of(1);
    world.append(&story.stream(), &[story.opened(vec![standing(100)])]).await;
    for number in 1..=50 {
        let position = world.append(&story.stream(), &[story.reserved(number, places(1))]).await;
        let answer = world.get_at(&story.path("availability"), position).await;
        assert_eq!(answer.ok()["held"], number);
        assert_eq!(answer.ok()["position"], position.0);
        assert!(answer.position() >= position);
    }
}

#[tokio::test]
async fn what_is_returned_can_be_bought_again() {
    let world = World::without_database().await;
    let story = Story::of(1);
    let facts = [
        story.opened(vec![standing(5)]),
        story.reserved(1, places(2)),
        story.confirmed(1, places(2)),
        story.reserved(2, places(3)),
        story.joined(3),
    ];
    let position = world.append(&story.stream(), &facts).await;
    assert_eq!(world.get_at(&story.path("availability"), position).await.ok()["available"], 0);
    let facts = [
        story.expired(2, places(3)),
        story.offered(3, places(1)),
        story.cancelled(1, places(2)),
        story.revised(vec![standing(7)]),
    ];
    let position = world.append(&story.stream(), &facts).await;
    let left = world.get_at(&story.path("availability"), position).await.ok();
    assert_eq!((&left["capacity"], &left["available"]), (&json!(7), &json!(6)));
    assert_eq!((&left["held"], &left["waitlisted"]), (&json!(1), &json!(0)));
}

#[tokio::test]
async fn nothing_is_left_of_a_cancelled_event() {
    let world = World::without_database().await;
    let story = Story::of(1);
    let facts = [story.opened(vec![standing(5)]), story.closed()];
    let position = world.append(&story.stream(), &facts).await;
    let left = world.get_at(&story.path("availability"), position).await.ok();
    assert_eq!((&left["status"], &left["available"]), (&json!("cancelled"), &json!(0)));
    assert_eq!(left["tiers"][0]["available"], 0);
}

#[tokio::test]
async fn an_unknown_event_is_not_found_and_leaves_nothing_behind() {
    let world = World::without_database().await;
    for number in 0..20 {
        let answer = world.get(&Story::of(number).path("availability")).await;
        assert_eq!(answer.problem(), (404, "EVENT_NOT_FOUND".into()));
    }
    assert_eq!((world.stats().events, world.stats().bytes), (0, 0));
    // Once it is published it is found.
    let story = Story::of(7);
    let position = world.append(&story.stream(), &[story.opened(vec![standing(5)])]).await;
    assert_eq!(world.get_at(&story.path("availability"), position).await.ok()["available"], 5);
}

#[tokio::test]
async fn bad_input_is_refused() {
    let world = World::without_database().await;
    let story = Story::of(1);
    let position = world.append(&story.stream(), &[story.opened(vec![standing(5)])]).await;
    let path = story.path("availability");
    for (path, status, code) in [
        ("/api/v1/events/evt_1/availability".into(), 400, "MALFORMED"),
        (format!("{path}?asof=1"), 400, "MALFORMED"),
        (format!("{path}?as_of=yesterday"), 400, "MALFORMED"),
        (format!("{path}?as_of="), 400, "MALFORMED"),
        (format!("{path}?as_of=-1"), 400, "MALFORMED"),
        (format!("{path}?as_of={}", position.0 + 1), 422, "INVALID"),
        (format!("{path}?as_of=99999999999999999999999"), 422, "INVALID"),
        (format!("{path}?as_of=2027-01-10T12:00:01Z"), 422, "INVALID"),
    ] {
        assert_eq!(world.get(&path).await.problem(), (status, code.into()), "{path}");
    }
    let request = axum::http::Request::get(&path).header("evently-min-position", "soon");
    assert_eq!(world.ask(request).await.problem(), (400, "MALFORMED".into()));
}

#[tokio::test]
async fn it_tells_what_was_left_at_an_earlier_position_or_time() {
    let world = World::without_database().await;
    let story = Story::of(1);
    let start = world.clock.now();
    let mut positions = vec![Position(0)];
    let mut facts = vec![story.opened(vec![standing(5)])];
    facts.extend((1..=3).map(|number| story.reserved(number, places(1))));
    for fact in facts {
        positions.push(world.append(&story.stream(), &[fact]).await);
        world.clock.advance_ms(1_000);
    }
    let path = story.path("availability");
    let at_position = async |at: usize| world.get(&format!("{path}?as_of={}", positions[at])).await;
    let at_time = async |ms: u64| {
        let time: Time = start.plus_ms(ms);
        world.get(&format!("{path}?as_of={time}")).await
    };
    for held in 0..=3 {
        let left = at_position(held + 1).await.ok();
        assert_eq!(left["held"], held);
        assert_eq!(left["position"], positions[held + 1].0);
        assert_eq!(at_time(held as u64 * 1_000).await.ok()["held"], held);
        assert_eq!(at_time(held as u64 * 1_000 + 999).await.ok()["held"], held);
    }
    // As of then it was not published.
    assert_eq!(at_position(0).await.problem(), (404, "EVENT_NOT_FOUND".into()));
    let before = start.plus_ms(0).as_ms() - 1;
    let path = format!("{path}?as_of={}", Time::from_ms(before));
    assert_eq!(world.get(&path).await.problem(), (404, "EVENT_NOT_FOUND".into()));
}

/// The log is not read again for what cannot become another.
#[tokio::test]
async fn a_moment_in_the_past_is_kept_when_it_is_over() {
    let world = World::without_database().await;
    let story = Story::of(1);
    world.append(&story.stream(), &[story.opened(vec![standing(5)])]).await;
    let past = world.clock.now();
    world.clock.advance_ms(1_000);
    world.append(&story.stream(), &[story.reserved(1, places(1))]).await;
    let last = world.clock.now();
    world.clock.advance_ms(1_000);
    let at =
        async |time: Time| world.get(&format!("{}?as_of={time}", story.path("availability"))).await;
    let (then, now) = (at(past).await.ok(), at(last).await.ok());
    assert_eq!((&then["held"], &now["held"]), (&0.into(), &1.into()));
    world.log.close().await;
    assert_eq!(at(past).await.ok(), then);
    // More may come at the last moment still.
    assert_eq!(at(last).await.problem(), (503, "LOG_UNAVAILABLE".into()));
    assert_eq!(at(past.plus_ms(1)).await.problem(), (503, "LOG_UNAVAILABLE".into()));
}

#[tokio::test]
async fn a_position_that_is_not_reached_is_unavailable_for_now() {
    let world = World::without_database().await;
    let story = Story::of(1);
    let position = world.append(&story.stream(), &[story.opened(vec![standing(5)])]).await;
    let answer = world.get_at(&story.path("availability"), Position(position.0 + 1)).await;
    assert_eq!(answer.problem(), (503, "NOT_YET_VISIBLE".into()));
}

#[tokio::test]
async fn without_the_log_what_is_in_memory_is_still_told() {
    let world = World::without_database().await;
    let (known, other) = (Story::of(1), Story::of(2));
    for story in [known, other] {
        world.append(&story.stream(), &[story.opened(vec![standing(5)])]).await;
    }
    assert_eq!(world.get(&known.path("availability")).await.ok()["available"], 5);
    world.log.close().await;
    assert_eq!(world.get(&known.path("availability")).await.ok()["available"], 5);
    let answer = world.get(&other.path("availability")).await;
    assert_eq!(answer.problem(), (503, "LOG_UNAVAILABLE".into()));
    let answer = world.get(&format!("{}?as_of=1", known.path("availability"))).await;
    assert_eq!(answer.problem(), (503, "LOG_UNAVAILABLE".into()));
}
