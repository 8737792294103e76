//! Every fact in every view.

use std::collections::BTreeSet;

use domain::inventory::{Ledger, SeatState};
use domain::{Fact, StoredFact, event, inventory, venue};
use infra::log::Record;
use serde_json::{Value, json};
use sqlx::PgPool;

use super::stage::{Stage, record};
use super::story::{self, BOB, CAY, EVE, Told, story};
use crate::views::{Audit, Availability, Bookings, Catalog, Seats, Waitlist};
use crate::{Projection, columns};

/// A stage with the story in its log.
async fn told(pool: PgPool, story: &[Told]) -> (Stage, Vec<Record>) {
    let stage = Stage::open(pool).await;
    for (at, actor, fact) in story {
        stage.append(*at, *actor, fact).await;
    }
    let records = stage.records().await;
    (stage, records)
}

/// Applies the records one by one, and says of each what the query then gives, where that changed.
async fn steps(
    stage: &Stage,
    view: &'static dyn Projection,
    records: &[Record],
    query: &str,
) -> Vec<(String, Vec<Value>)> {
    let tables = stage.tables(view, view.name());
    let (mut steps, mut before) = (Vec::new(), Vec::new());
    for record in records {
        stage.apply(&tables, std::slice::from_ref(record), 1).await;
        let found = stage.query(query).await;
        if found != before {
            steps.push((record.kind.to_string(), found.clone()));
            before = found;
        }
    }
    steps
}

fn shown(steps: &[(String, Vec<Value>)]) -> Vec<Value> {
    steps.iter().map(|(kind, rows)| json!([kind, rows])).collect()
}

/// A new kind of fact has to appear in the story, and with it in these cases.
pub async fn the_story_has_every_fact(_: PgPool) {
    let told: BTreeSet<&str> = story().iter().map(|(_, _, fact)| fact.kind()).collect();
    let all = [venue::Fact::KINDS, event::Fact::KINDS, inventory::Fact::KINDS].concat();
    let all: BTreeSet<&str> = all.into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(told, all);
}

/// Drafts, changes, the venue's city, the end.
pub async fn the_catalog_shows_venues_and_events(pool: PgPool) {
    let mut story = story();
    // The event comes before its venue: the city follows.
    story.swap(0, 1);
    let (stage, records) = told(pool, &story).await;
    let query = "SELECT status, name, city, city_key, price_max_minor FROM catalog.event";
    let steps = steps(&stage, &Catalog, &records, query).await;
    let event = |status, name, city: Option<&str>, price_max_minor| {
        let key = city.map(columns::browsing_key);
        json!([{"status": status, "name": name, "city": city, "city_key": key,
            "price_max_minor": price_max_minor}])
    };
    assert_eq!(
        shown(&steps),
        [
            json!(["EventDrafted", event("draft", "Night", None, 3_000)]),
            json!(["VenueCreated", event("draft", "Night", Some("Berlin"), 3_000)]),
            json!(["EventPublished", event("published", "Night", Some("Berlin"), 3_000)]),
            json!(["EventChanged", event("published", "Long night", Some("Berlin"), 3_000)]),
            json!(["VenueChanged", event("published", "Long night", Some("München"), 3_000)]),
            json!(["EventCancelled", event("cancelled", "Long night", Some("München"), 3_000)]),
        ]
    );
    assert_eq!(columns::browsing_key(" MÜNCHEN "), "münchen");
    catalog_rows_are_whole(&stage, &records).await;
}

async fn catalog_rows_are_whole(stage: &Stage, records: &[Record]) {
    let position =
        |kind| records.iter().rfind(|record| &*record.kind == kind).map(|record| record.position);
    let terms = story::terms("Long night", story::tiers_later());
    let event = stage.query("SELECT * FROM catalog.event").await;
    let uuid = |id: uuid::Uuid| json!(id);
    let expected = json!([{
        "event_id": uuid(story::EVENT.as_uuid()), "organizer": uuid(story::ORGANIZER.as_uuid()),
        "status": "cancelled", "name": "Long night", "description": "All night",
        "venue_id": uuid(story::VENUE.as_uuid()), "city": "München", "city_key": "münchen",
        "event_type": "Concert", "event_type_key": "concert", "genre": "Rock",
        "genre_key": "rock", "language": null, "age_group": "18+", "media_url": null,
        "tags": ["loud", "late"], "starts_at": "2027-01-15T10:46:40+00:00",
        "ends_at": "2027-01-15T13:33:20+00:00", "currency": "EUR", "price_min_minor": 500,
        "price_max_minor": 3_000, "tiers": terms.tiers, "hold_ttl_s": 300, "offer_ttl_s": 600,
        "max_per_booking": 6, "max_per_user": 8, "refund_policy": terms.refund_policy,
        "created_at": "2027-01-15T08:00:01+00:00", "updated_at": "2027-01-15T08:01:01+00:00",
        "position": position("EventCancelled"),
    }]);
    assert_eq!(json!(event), expected);
    let profile = story::profile("Great Hall", "München");
    let venue = stage.query("SELECT * FROM catalog.venue").await;
    let expected = json!([{
        "venue_id": uuid(story::VENUE.as_uuid()), "owner": uuid(story::ORGANIZER.as_uuid()),
        "name": "Great Hall", "address": "1 Main St", "city": "München", "city_key": "münchen",
        "state": null, "country": "DE", "postal_code": "10115", "latitude": 52.5,
        "longitude": 13.4, "sections": profile.sections,
        "created_at": "2027-01-15T08:00:00+00:00", "updated_at": "2027-01-15T08:01:00+00:00",
        "position": position("VenueChanged"),
    }]);
    assert_eq!(json!(venue), expected);
}

/// The domain's ledger counts the same facts; it is written by others.
pub async fn availability_and_seats_are_what_an_outsider_counts(pool: PgPool) {
    let (stage, records) = told(pool, &story()).await;
    let counts = stage.tables(&Availability, "availability");
    let map = stage.tables(&Seats, "seats");
    let mut ledger = Ledger::default();
    for record in &records {
        stage.apply(&counts, std::slice::from_ref(record), 1).await;
        stage.apply(&map, std::slice::from_ref(record), 1).await;
        if let Ok(Some(Fact::Inventory(fact))) = crate::projection::decode(record) {
            ledger.apply(&fact).expect("the story breaks no rule");
            stock_is(&stage, &ledger, &record.kind).await;
        }
    }
    let tiers = "SELECT name, ordinal, seated, section, max_per_booking, capacity, price_minor, \
                 currency FROM availability.tier ORDER BY ordinal";
    let tier = |name, ordinal, section: Option<&str>, most, capacity, price| {
        json!({"name": name, "ordinal": ordinal, "seated": section.is_some(), "section": section,
            "max_per_booking": most, "capacity": capacity, "price_minor": price,
            "currency": "EUR"})
    };
    assert_eq!(
        stage.query(tiers).await,
        [
            tier("Floor", 0, None, 6, 10, 1_200),
            tier("Stalls", 1, Some("A"), 6, 3, 3_000),
            tier("Balcony", 2, None, 2, 4, 500),
        ]
    );
    let accessible = "SELECT seat FROM seats.seat WHERE accessible";
    assert_eq!(stage.query(accessible).await, [json!({"seat": "A-1-1"})]);
    let last_seat = records.last().map(|record| record.position);
    assert_eq!(
        stage.query("SELECT position FROM seats.map").await,
        [json!({"position": last_seat})]
    );
}

async fn stock_is(stage: &Stage, ledger: &Ledger, after: &str) {
    let tier = |tier: &inventory::TierCount| {
        json!({"name": tier.terms.name, "capacity": tier.capacity, "held": tier.held,
            "sold": tier.sold})
    };
    let tiers: Vec<Value> = ledger.tiers().iter().map(tier).collect();
    let query = "SELECT name, capacity, held, sold FROM availability.tier ORDER BY ordinal";
    assert_eq!(stage.query(query).await, tiers, "after {after}");
    let status = if ledger.is_closed() { "closed" } else { "open" };
    let event = json!({"status": status, "waiting": ledger.waiting()});
    let query = "SELECT status, waiting FROM availability.inventory";
    assert_eq!(stage.query(query).await, [event], "after {after}");
    let seat = |(seat, _, state): (&str, _, SeatState)| match state {
        SeatState::Free => json!({"seat": seat, "state": "free", "booking_number": null}),
        SeatState::Held(id) => json!({"seat": seat, "state": "held", "booking_number": id.number}),
        SeatState::Sold(id) => json!({"seat": seat, "state": "sold", "booking_number": id.number}),
    };
    let seats: Vec<Value> = ledger.seats().map(seat).collect();
    let query = "SELECT seat, state, booking_number FROM seats.seat ORDER BY ordinal";
    assert_eq!(stage.query(query).await, seats, "after {after}");
}

/// Status, money, tickets and history.
pub async fn bookings_show_what_became_of_them(pool: PgPool) {
    let (stage, records) = told(pool, &story()).await;
    let query = "SELECT booking_number AS number, status, refund_minor, refund_status, \
                 json_array_length(tickets) AS tickets FROM bookings.booking ORDER BY position";
    let steps = steps(&stage, &Bookings, &records, query).await;
    let last = |(kind, rows): &(String, Vec<Value>)| {
        let row = rows.last().expect("a booking changed");
        let shown = ["number", "status", "refund_minor", "refund_status", "tickets"];
        let mut step = vec![json!(kind)];
        step.extend(shown.map(|column| row[column].clone()));
        json!(step)
    };
    let steps: Vec<Value> = steps.iter().map(last).collect();
    assert_eq!(
        steps,
        [
            json!(["Reserved", 1, "held", null, null, 0]),
            json!(["Confirmed", 1, "confirmed", null, null, 2]),
            json!(["Reserved", 2, "held", null, null, 0]),
            json!(["Expired", 2, "expired", null, null, 0]),
            json!(["Offered", 3, "held", null, null, 0]),
            json!(["Confirmed", 3, "confirmed", null, null, 2]),
            json!(["RefundDue", 2, "expired", 6_000, "pending", 0]),
            json!(["Refunded", 2, "expired", 6_000, "refunded", 0]),
            json!(["Offered", 4, "held", null, null, 0]),
            json!(["Expired", 4, "expired", null, null, 0]),
            json!(["Reserved", 5, "held", null, null, 0]),
            json!(["Expired", 5, "expired", null, null, 0]),
            json!(["Reinstated", 5, "held", null, null, 0]),
            json!(["Confirmed", 5, "confirmed", null, null, 2]),
            json!(["Cancelled", 1, "cancelled", 1_000, "pending", 2]),
            json!(["Reserved", 6, "held", null, null, 0]),
            json!(["Cancelled", 6, "cancelled", null, null, 0]),
            json!(["Cancelled", 5, "cancelled", 4_200, "pending", 2]),
            json!(["Cancelled", 3, "cancelled", 6_000, "pending", 2]),
        ]
    );
    booking_rows_are_whole(&stage, &records).await;
}

async fn booking_rows_are_whole(stage: &Stage, records: &[Record]) {
    let query = "SELECT * FROM bookings.booking WHERE booking_number IN (3, 5) \
                 ORDER BY booking_number";
    let rows = stage.query(query).await;
    let place = |kind: &str, nth: usize| {
        let found = records.iter().filter(|record| &*record.kind == kind).nth(nth);
        found.map(|record| record.position)
    };
    let happened = |happened: &[(&str, &str)]| -> Vec<Value> {
        let entry = |(kind, second): &(&str, &str)| json!({"type": kind, "at": format!("2027-01-15T08:{second}.000Z")});
        happened.iter().map(entry).collect()
    };
    let seat = |seat| {
        json!({"tier_id": story::STALLS, "seat": seat, "quantity": 1, "unit_price": 3_000,
            "amount": 3_000})
    };
    let ticket = |index, seat| {
        let ticket_id = domain::TicketId { booking: story::booking(3), index };
        json!({"ticket_id": ticket_id, "tier_id": story::STALLS, "seat": seat})
    };
    assert_eq!(
        rows[0],
        json!({
            "event_id": story::EVENT.as_uuid(), "booking_number": 3, "user_id": CAY.as_uuid(),
            "status": "cancelled", "expires_at": "2027-01-15T08:15:00+00:00",
            "line_items": [seat("A-1-1"), seat("A-1-2")],
            "tickets": [ticket(0, "A-1-1"), ticket(1, "A-1-2")],
            "subtotal_minor": 6_000, "discount_minor": 0, "total_minor": 6_000, "currency": "EUR",
            "payment_id": story::payment(4).as_uuid(), "refund_minor": 6_000,
            "refund_status": "pending", "waitlist_id": story::entry(1).as_uuid(),
            "reserved_at": "2027-01-15T08:00:30+00:00",
            "confirmed_at": "2027-01-15T08:00:32+00:00",
            "reserved_position": place("Offered", 0), "position": place("Cancelled", 3),
            "history": happened(&[
                ("Offered", "00:30"), ("PaymentStarted", "00:31"), ("Confirmed", "00:32"),
                ("Cancelled", "01:02"),
            ]),
        })
    );
    let floor = json!({"tier_id": story::FLOOR, "quantity": 1, "unit_price": 1_200,
        "amount": 1_200});
    assert_eq!(rows[1]["line_items"], json!([floor, seat("A-1-3")]));
    assert_eq!(rows[1]["user_id"], json!(BOB.as_uuid()));
    assert_eq!(rows[1]["waitlist_id"], Value::Null);
    let all = ["Reserved", "PaymentStarted", "Expired", "Reinstated", "Confirmed", "Cancelled"];
    let kinds = rows[1]["history"].as_array().expect("a list").iter();
    assert_eq!(kinds.map(|entry| entry["type"].clone()).collect::<Vec<_>>(), all);
}

/// Waiting, offered, served, left.
pub async fn the_waitlist_shows_who_waits(pool: PgPool) {
    let (stage, records) = told(pool, &story()).await;
    let query = "SELECT right(waitlist_id::text, 1)::integer AS entry, status, booking_number, \
                 expires_at IS NOT NULL AS due FROM waitlist.entry ORDER BY position";
    let steps = steps(&stage, &Waitlist, &records, query).await;
    let last = |(kind, rows): &(String, Vec<Value>)| {
        let row = rows.last().expect("an entry changed");
        json!([kind, row["entry"], row["status"], row["booking_number"], row["due"]])
    };
    let steps: Vec<Value> = steps.iter().map(last).collect();
    assert_eq!(
        steps,
        [
            json!(["WaitlistJoined", 1, "waiting", null, false]),
            json!(["WaitlistJoined", 2, "waiting", null, false]),
            json!(["WaitlistJoined", 3, "waiting", null, false]),
            json!(["Offered", 1, "offered", 3, true]),
            json!(["Confirmed", 1, "served", 3, false]),
            json!(["WaitlistLeft", 3, "left", null, false]),
            json!(["Offered", 2, "offered", 4, true]),
            json!(["Expired", 2, "left", 4, false]),
            json!(["WaitlistJoined", 4, "waiting", null, false]),
            json!(["InventoryClosed", 4, "left", null, false]),
        ]
    );
    let whole = stage.query("SELECT * FROM waitlist.entry WHERE quantity = 6").await;
    let joined = records.iter().rfind(|record| &*record.kind == "WaitlistJoined");
    let closed = records.iter().rfind(|record| &*record.kind == "InventoryClosed");
    assert_eq!(
        json!(whole),
        json!([{
            "waitlist_id": story::entry(4).as_uuid(), "event_id": story::EVENT.as_uuid(),
            "user_id": EVE.as_uuid(), "tier_id": story::FLOOR.as_uuid(), "quantity": 6,
            "status": "left", "booking_number": null, "expires_at": null,
            "joined_at": "2027-01-15T08:00:56+00:00", "offered_at": null,
            "joined_position": joined.map(|record| record.position),
            "position": closed.map(|record| record.position),
        }])
    );
}

/// Also records that this program cannot read, and those that do not say whom they are about.
pub async fn the_audit_index_finds_every_record(pool: PgPool) {
    let (stage, _) = told(pool, &story()).await;
    let mut unreadable = record(super::stage::at(99), Some(BOB), &story().remove(0).2);
    unreadable.kind = "FromTheFuture".into();
    stage.append_raw(&inventory::stream(story::EVENT), unreadable.clone()).await;
    stage.append_raw("elsewhere", unreadable).await;
    let records = stage.records().await;
    // One by one: the person is then found in the table.
    stage.apply(&stage.tables(&Audit, "audit"), &records, 1).await;
    let rows = stage.query("SELECT * FROM audit.record ORDER BY position").await;
    assert_eq!(rows.len(), records.len());
    let found = |kind: &str, booking: Option<u64>| {
        let row =
            rows.iter().find(|row| row["kind"] == kind && row["booking_number"] == json!(booking));
        let row = row.expect("it is indexed");
        (row["event_id"].clone(), row["user_id"].clone(), row["actor_id"].clone())
    };
    let (event, nobody) = (json!(story::EVENT.as_uuid()), Value::Null);
    let person = |user: domain::UserId| json!(user.as_uuid());
    let organizer = person(story::ORGANIZER);
    assert_eq!(found("VenueCreated", None), (nobody.clone(), organizer.clone(), nobody.clone()));
    assert_eq!(found("EventPublished", None), (event.clone(), organizer, nobody.clone()));
    assert_eq!(found("Reserved", Some(1)), (event.clone(), person(story::ANN), nobody.clone()));
    let ann = (event.clone(), person(story::ANN), nobody.clone());
    assert_eq!(found("PaymentFailed", Some(1)), ann, "the fact does not say whose booking it is");
    assert_eq!(found("Refunded", Some(2)), (event.clone(), person(BOB), nobody.clone()));
    assert_eq!(found("FromTheFuture", None), (event, person(BOB), nobody));
    let last = rows.last().expect("rows");
    assert_eq!((&last["stream"], &last["event_id"]), (&json!("elsewhere"), &Value::Null));
    assert_eq!(last["at"], json!("2027-01-15T08:01:39+00:00"));
}
