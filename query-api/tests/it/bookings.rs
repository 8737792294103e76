//! `GET /bookings/{booking_id}` and `GET /users/me/bookings`.

use std::time::Duration;

use axum::http::Request;
use domain::{EventId, TicketId, TierId, UserId};
use infra::auth::Role;
use infra::log::Position;
use query_api::LiveLimits;
use serde_json::{Value, json};

use crate::facts::Story;
use crate::rows;
use crate::world::World;

const MINE: &str = "/api/v1/users/me/bookings";

fn me() -> UserId {
    UserId::from_u128(1)
}

#[tokio::test]
async fn a_booking_is_told_as_it_stands() {
    let Some(world) = World::with_database().await else { return };
    let story = Story::of(1);
    let (held, cancelled) = (story.booking(u64::MAX), story.booking(2));
    let confirmed = story.booking(3);
    rows::booking(&world.pool, held, me(), 5, json!({})).await;
    let tier = TierId::from_u128(0x51).to_string();
    let ticket = TicketId { booking: cancelled, index: 0 }.to_string();
    let tickets = json!([{"ticket_id": ticket, "tier_id": tier, "seat": "A-1-1"}]);
    let ended = json!({"status": "cancelled", "tickets": tickets, "refund_minor": 4500,
        "refund_status": "pending"});
    rows::booking(&world.pool, cancelled, me(), 6, ended).await;
    let sold = json!({"status": "confirmed", "tickets": tickets});
    rows::booking(&world.pool, confirmed, me(), 6, sold).await;
    rows::checkpoint(&world.pool, "bookings", Position(6)).await;
    let token = world.token(me(), &[Role::Attendee]);
    let answer = world.get_as(&format!("/api/v1/bookings/{held}"), &token).await;
    assert_eq!(answer.position(), Position(6));
    let expected = json!({
        "booking_id": held.to_string(), "reference": held.reference(),
        "event_id": story.0.to_string(), "user_id": me().to_string(), "status": "held",
        "expires_at": "2027-01-10T12:05:00.000Z",
        "line_items": [{"tier_id": tier, "quantity": 2, "unit_price": 4500, "amount": 9000}],
        "subtotal": 9000, "discount": 0, "total": 9000, "currency": "EUR", "tickets": [],
        "history": [{"type": "Reserved", "at": "2027-01-10T12:00:00.000Z"}],
    });
    assert_eq!(answer.ok(), expected);
    let answer = world.get_as(&format!("/api/v1/bookings/{cancelled}"), &token).await.ok();
    assert_eq!(answer["refund"], json!({"amount": 4500, "currency": "EUR", "status": "pending"}));
    assert_eq!((&answer["tickets"], &answer["expires_at"]), (&json!([]), &Value::Null));
    let answer = world.get_as(&format!("/api/v1/bookings/{confirmed}"), &token).await.ok();
    assert_eq!((&answer["tickets"], &answer["expires_at"]), (&tickets, &Value::Null));
}

#[tokio::test]
async fn only_its_owner_and_those_who_have_to_find_a_booking() {
    let Some(world) = World::with_database().await else { return };
    let booking = Story::of(1).booking(1);
    rows::booking(&world.pool, booking, me(), 5, json!({})).await;
    let path = format!("/api/v1/bookings/{booking}");
    assert_eq!(world.get(&path).await.problem(), (401, "UNAUTHORIZED".into()));
    let other = UserId::from_u128(2);
    for role in [Role::Admin, Role::BoxOffice, Role::Auditor] {
        world.get_as(&path, &world.token(other, &[role])).await.ok();
    }
    for role in [Role::Attendee, Role::Organizer] {
        let answer = world.get_as(&path, &world.token(other, &[role])).await;
        assert_eq!(answer.problem(), (404, "BOOKING_NOT_FOUND".into()));
    }
    // What is not there looks the same as what is not theirs.
    let nobody = format!("/api/v1/bookings/{}", Story::of(1).booking(2));
    let token = world.token(me(), &[Role::Attendee]);
    assert_eq!(world.get_as(&nobody, &token).await.problem(), (404, "BOOKING_NOT_FOUND".into()));
    let answer = world.get_as("/api/v1/bookings/bkg_1", &token).await;
    assert_eq!(answer.problem(), (400, "MALFORMED".into()));
    // A token that has run out.
    world.clock.advance_ms(901_000);
    assert_eq!(world.get_as(&path, &token).await.problem(), (401, "UNAUTHORIZED".into()));
}

#[tokio::test]
async fn a_person_finds_their_own_bookings_the_latest_first() {
    let Some(world) = World::with_database().await else { return };
    for number in 1..=9 {
        let story = Story(EventId::from_u128(u128::from(number % 2)));
        let user = if number == 5 { UserId::from_u128(2) } else { me() };
        let status = if number % 3 == 0 { "expired" } else { "confirmed" };
        let with = json!({"status": status});
        rows::booking(&world.pool, story.booking(number), user, 100 + number, with).await;
    }
    let token = world.token(me(), &[Role::Attendee]);
    let all = async |query: &str| {
        let (mut found, mut path) = (vec![], format!("{MINE}?limit=3{query}"));
        loop {
            let page = world.get_as(&path, &token).await.ok();
            for item in page["items"].as_array().unwrap() {
                let id: domain::BookingId = item["booking_id"].as_str().unwrap().parse().unwrap();
                assert!(item["history"].is_array());
                found.push(id.number);
            }
            let Some(cursor) = page["next_cursor"].as_str() else { return found };
            path = format!("{MINE}?limit=3{query}&cursor={cursor}");
        }
    };
    assert_eq!(all("").await, [9, 8, 7, 6, 4, 3, 2, 1]);
    assert_eq!(all("&status=expired").await, [9, 6, 3]);
    assert_eq!(all("&status=cancelled").await, [0; 0]);
}

#[tokio::test]
async fn bad_input_is_refused() {
    let Some(world) = World::with_database().await else { return };
    assert_eq!(world.get(MINE).await.problem(), (401, "UNAUTHORIZED".into()));
    let token = world.token(me(), &[]);
    for (query, status, code) in [
        ("status=draft", 400, "MALFORMED"),
        ("user_id=usr_1", 400, "MALFORMED"),
        ("limit=0", 422, "INVALID"),
        ("cursor=x", 422, "INVALID"),
    ] {
        let answer = world.get_as(&format!("{MINE}?{query}"), &token).await;
        assert_eq!(answer.problem(), (status, code.into()), "{query}");
    }
}

#[tokio::test]
async fn a_read_waits_for_the_view_to_get_there() {
    let Some(world) = World::with_database().await else { return };
    let booking = Story::of(1).booking(1);
    rows::checkpoint(&world.pool, "bookings", Position(4)).await;
    rows::checkpoint(&world.pool, "waitlist", Position(99)).await;
    let bearer = format!("Bearer {}", world.token(me(), &[Role::Attendee]));
    let ask = |position: u64| {
        let path = format!("/api/v1/bookings/{booking}");
        let request = Request::get(path).header("authorization", &bearer);
        world.ask(request.header("evently-min-position", position))
    };
    let write = async {
        rows::booking(&world.pool, booking, me(), 5, json!({})).await;
        rows::checkpoint(&world.pool, "bookings", Position(5)).await;
    };
    let (answer, ()) = tokio::join!(ask(5), write);
    assert_eq!(answer.position(), Position(5));
    answer.ok();
    // Another view is further; this one is not.
    assert_eq!(ask(6).await.problem(), (503, "NOT_YET_VISIBLE".into()));
    assert_eq!(ask(5).await.position(), Position(5));
}

#[tokio::test]
async fn without_the_tables_it_is_unavailable_for_now() {
    for schemas in ["bookings", "projection, bookings"] {
        let Some(world) = World::with_database().await else { return };
        let token = world.token(me(), &[Role::Attendee]);
        let drop = sqlx::AssertSqlSafe(format!("DROP SCHEMA {schemas} CASCADE"));
        sqlx::raw_sql(drop).execute(&world.pool).await.unwrap();
        let answer = world.get_as(MINE, &token).await;
        assert_eq!(answer.problem(), (503, "DATABASE_UNAVAILABLE".into()));
    }
}

#[tokio::test]
async fn without_the_database_it_is_unavailable_for_now() {
    let world = World::without_database().await;
    let token = world.token(me(), &[Role::Attendee]);
    let booking = format!("/api/v1/bookings/{}", Story::of(1).booking(1));
    for path in [&booking, MINE] {
        let answer = world.get_as(path, &token);
        let answer = tokio::time::timeout(Duration::from_secs(20), answer).await.unwrap();
        assert_eq!(answer.problem(), (503, "DATABASE_UNAVAILABLE".into()));
    }
}

/// Nobody is told that a booking does not exist because the view of it is still being built.
#[tokio::test]
async fn a_view_that_is_built_is_not_read_before_it_has_what_was_there() {
    let Some(server) = infra::postgres::testing::server() else { return };
    let pool = server.pool(4).await;
    let world = World::begun_at(Position(7), pool, LiveLimits::default()).await;
    let token = world.token(UserId::from_u128(1), &[Role::Attendee]);
    rows::checkpoint(&world.pool, "bookings", Position(6)).await;
    let answer = world.get_as("/api/v1/users/me/bookings", &token).await;
    assert_eq!(answer.problem(), (503, "NOT_YET_VISIBLE".into()));
    assert_eq!(answer.header("retry-after"), "1");
    rows::checkpoint(&world.pool, "bookings", Position(7)).await;
    world.get_as("/api/v1/users/me/bookings", &token).await.ok();
}
