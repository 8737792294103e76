//! `POST /bookings/check-availability`.

use std::collections::HashSet;

use domain::inventory::{Command, Fact, Inventory, Plan, Refusal, Wanted};
use domain::{TierId, Time, UserId};
use serde_json::json;

use crate::facts::{SEATED, STANDING, Story, places, plan, seated, standing};
use crate::world::World;

const PATH: &str = "/api/v1/bookings/check-availability";

#[tokio::test]
async fn it_compares_what_is_wanted_with_what_is_left() {
    let world = World::without_database().await;
    let story = Story::of(1);
    let facts = [story.opened(vec![standing(5), seated()]), story.reserved(1, places(2))];
    world.append(&story.stream(), &facts).await;
    let short = Some("INSUFFICIENT_SEATS");
    for (tier, quantity, left, reason) in [
        (Some(STANDING), 3, 3, None),
        (Some(STANDING), 4, 3, short),
        (Some(SEATED), 6, 6, None),
        // One booking has places of one tier.
        (None, 6, 9, None),
        (None, 7, 9, short),
        (None, 11, 9, Some("LIMIT_PER_BOOKING")),
        (None, 1_000, 9, Some("LIMIT_PER_BOOKING")),
    ] {
        let wanted = json!({"event_id": story.0.to_string(), "quantity": quantity,
            "tier_id": tier.map(|tier| tier.to_string())});
        let answer = world.post(PATH, &wanted.to_string()).await.ok();
        let mut expected = json!({"available": reason.is_none(), "available_seats": left});
        if let Some(reason) = reason {
            expected["reason"] = reason.into();
        }
        assert_eq!(answer, expected);
    }
    for quantity in [0, -1, 1_001, i64::MAX] {
        let wanted = json!({"event_id": story.0.to_string(), "quantity": quantity});
        let answer = world.post(PATH, &wanted.to_string()).await;
        assert_eq!(answer.problem(), (422, "INVALID".into()), "{quantity}");
    }
}

/// What a reservation of somebody who has nothing comes to.
fn reserve(facts: &[Fact], now: Time, wanted: Wanted) -> Option<&'static str> {
    let mut inventory = Inventory::default();
    facts.iter().for_each(|fact| inventory.evolve(Time::from_ms(0), fact));
    let (event, user) = (Story::of(1), UserId::from_u128(99));
    let booking = event.booking(99);
    let (patience, request) = (None, None);
    let command = Command::Reserve { booking, user, wanted, patience, request };
    Some(match inventory.execute(&command, now).decided.err()? {
        Refusal::EventCancelled => "EVENT_CANCELLED",
        Refusal::EventEnded { .. } => "EVENT_ENDED",
        Refusal::EventStarted { .. } => "EVENT_STARTED",
        Refusal::SaleNotOpen { .. } => "SALE_NOT_OPEN",
        Refusal::SaleClosed { .. } => "SALE_CLOSED",
        Refusal::LimitPerBooking { .. } => "LIMIT_PER_BOOKING",
        Refusal::LimitPerUser { .. } => "LIMIT_PER_USER",
        Refusal::InsufficientSeats { .. } => "INSUFFICIENT_SEATS",
        other => panic!("{other:?}"),
    })
}

/// Facts of an event with two tiers, `closed` or not.
fn facts(change: fn(&mut Plan), closed: bool) -> Vec<Fact> {
    let story = Story::of(1);
    let mut terms = plan(vec![standing(7), seated()]);
    change(&mut terms);
    let sold = [story.reserved(1, places(2)), story.confirmed(1, places(2))];
    let mut facts = [&[story.opened_on(terms)], &sold[..]].concat();
    if closed {
        facts.push(story.closed());
    }
    facts
}

#[tokio::test]
async fn it_says_what_a_reservation_would_come_to() {
    let mut seen = HashSet::new();
    type Change = fn(&mut Plan);
    let plans: [(Change, bool); 6] = [
        (|_| (), false),
        (|_| (), true),
        (|plan| plan.max_per_booking = 4, false),
        (|plan| plan.max_per_user = Some(3), false),
        (|plan| plan.tiers.iter_mut().for_each(|tier| tier.max_per_booking = Some(2)), false),
        (
            |plan| {
                plan.tiers[0].sale_starts_at = "2027-02-01T00:00:00Z".parse().ok();
                plan.tiers[1].sale_ends_at = "2027-03-01T00:00:00Z".parse().ok();
            },
            false,
        ),
    ];
    let times = ["2027-01-15", "2027-02-15", "2027-04-15", "2027-06-01", "2027-06-02"];
    for (change, closed) in plans {
        let world = World::without_database().await;
        let facts = facts(change, closed);
        world.append(&Story::of(1).stream(), &facts).await;
        for day in times {
            let now = format!("{day}T20:00:00Z").parse().unwrap();
            world.clock.set(now);
            for quantity in 1..=12 {
                let refused = async |tier: Option<TierId>| {
                    let wanted = json!({"event_id": Story::of(1).0.to_string(),
                        "quantity": quantity, "tier_id": tier.map(|tier| tier.to_string())});
                    let answer = world.post(PATH, &wanted.to_string()).await.ok();
                    assert_eq!(answer["available"], answer["reason"].is_null());
                    answer["reason"].as_str().map(str::to_owned)
                };
                let mut any = false;
                for tier in [STANDING, SEATED] {
                    let decided = reserve(&facts, now, Wanted::Quantity { tier, quantity });
                    assert_eq!(
                        refused(Some(tier)).await.as_deref(),
                        decided,
                        "{quantity} at {day}"
                    );
                    any |= decided.is_none();
                    seen.insert(decided);
                }
                assert_eq!(refused(None).await.is_none(), any, "{quantity} at {day}");
            }
        }
    }
    assert_eq!(seen.len(), 9, "not every refusal came up: {seen:?}");
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
