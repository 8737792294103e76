//! Rows of the views, as projections would have written them.

use domain::{BookingId, EventId, Time, UserId};
use infra::log::Position;
use serde_json::{Value, json};
use sqlx::PgPool;

/// Rows of one table, written as JSON whose names are those of the columns.
async fn insert(pool: &PgPool, table: &str, rows: Value) {
    let sql =
        format!("INSERT INTO {table} SELECT * FROM jsonb_populate_recordset(NULL::{table}, $1)");
    sqlx::query(sqlx::AssertSqlSafe(sql)).bind(rows).execute(pool).await.unwrap();
}

/// The view is as far as `position`.
pub(crate) async fn checkpoint(pool: &PgPool, view: &str, position: Position) {
    let sql = "INSERT INTO projection.checkpoint (name, version, position, updated_at)
        VALUES ($1, 1, $2, now()) ON CONFLICT (name) DO UPDATE SET position = EXCLUDED.position";
    let position = position.0.cast_signed();
    sqlx::query(sql).bind(view).bind(position).execute(pool).await.unwrap();
}

/// A venue called `Venue <number>`, in Berlin.
pub(crate) async fn venue(pool: &PgPool, number: u128) {
    let sections = json!([
        {"name": "Floor", "kind": "standing", "capacity": 500},
        {"name": "A", "kind": "seated", "rows": [{"label": "1", "seats": 30}]},
    ]);
    let row = json!({
        "venue_id": uuid::Uuid::from_u128(number), "owner": uuid::Uuid::from_u128(77),
        "name": format!("Venue {number}"), "address": "Street 1", "city": "Berlin",
        "city_key": "berlin", "country": "Germany", "postal_code": "10115", "latitude": 52.5,
        "longitude": 13.25, "sections": sections, "created_at": "2027-01-01T00:00:00Z",
        "updated_at": "2027-01-01T00:00:00Z", "position": 1,
    });
    insert(pool, "catalog.venue", json!([row])).await;
}

/// An event of organizer 77 in venue 1, changed by `with`.
pub(crate) async fn event(pool: &PgPool, number: u128, with: Value) {
    let tier = json!({"tier": domain::TierId::from_u128(0x51), "name": "Standing",
        "price_minor": 4500, "stock": {"kind": "counted", "capacity": 10}});
    let mut row = json!({
        "event_id": uuid::Uuid::from_u128(number), "organizer": uuid::Uuid::from_u128(77),
        "status": "published", "name": format!("Event {number}"), "description": "Loud.",
        "venue_id": uuid::Uuid::from_u128(1), "city": "Berlin", "city_key": "berlin",
        "event_type": "concert", "event_type_key": "concert", "genre": "Rock", "genre_key": "rock",
        "tags": ["open air"], "starts_at": "2027-06-01T19:30:00Z",
        "ends_at": "2027-06-01T23:00:00Z", "currency": "EUR", "price_min_minor": 4500,
        "price_max_minor": 4500, "tiers": [tier], "hold_ttl_s": 300, "offer_ttl_s": 600,
        "max_per_booking": 8,
        "refund_policy": [{"until_s_before_start": 86400, "percent": 50}],
        "created_at": "2027-01-01T00:00:00Z", "updated_at": "2027-01-01T00:00:00Z", "position": 2,
    });
    for (name, value) in with.as_object().into_iter().flatten() {
        row[name] = value.clone();
    }
    insert(pool, "catalog.event", json!([row])).await;
}

/// A held booking of two tickets, reserved at `position`, changed by `with`.
pub(crate) async fn booking(
    pool: &PgPool,
    booking: BookingId,
    user: UserId,
    position: u64,
    with: Value,
) {
    let line = json!({"tier_id": domain::TierId::from_u128(0x51), "quantity": 2,
        "unit_price": 4500, "amount": 9000});
    let mut row = json!({
        "event_id": booking.event.as_uuid(), "booking_number": booking.number.cast_signed(),
        "user_id": user.as_uuid(), "status": "held", "expires_at": "2027-01-10T12:05:00Z",
        "line_items": [line], "tickets": [], "subtotal_minor": 9000, "discount_minor": 0,
        "total_minor": 9000, "currency": "EUR", "reserved_at": "2027-01-10T12:00:00Z",
        "reserved_position": position, "position": position,
        "history": [{"type": "Reserved", "at": "2027-01-10T12:00:00.000Z"}],
    });
    for (name, value) in with.as_object().into_iter().flatten() {
        row[name] = value.clone();
    }
    insert(pool, "bookings.booking", json!([row])).await;
}

/// An entry that waits for two tickets of any tier, joined at `position`, changed by `with`.
pub(crate) async fn waiting(
    pool: &PgPool,
    event: EventId,
    user: UserId,
    position: u64,
    with: Value,
) {
    let mut row = json!({
        "waitlist_id": uuid::Uuid::from_u128(u128::from(position)), "event_id": event.as_uuid(),
        "user_id": user.as_uuid(), "quantity": 2, "status": "waiting",
        "joined_at": "2027-01-10T11:00:00Z", "joined_position": position, "position": position,
    });
    for (name, value) in with.as_object().into_iter().flatten() {
        row[name] = value.clone();
    }
    insert(pool, "waitlist.entry", json!([row])).await;
}

/// Where in the log to look for a record.
pub(crate) struct Place<'a> {
    pub(crate) position: Position,
    pub(crate) stream: &'a str,
    pub(crate) revision: u64,
    pub(crate) at: Time,
    pub(crate) event: Option<EventId>,
    pub(crate) booking: Option<BookingId>,
    pub(crate) user: Option<UserId>,
    pub(crate) actor: Option<UserId>,
}

pub(crate) async fn places(pool: &PgPool, places: &[Place<'_>]) {
    let row = |place: &Place<'_>| {
        json!({
            "position": place.position.0, "stream": place.stream, "revision": place.revision,
            "kind": "Reserved", "at": place.at, "event_id": place.event.map(EventId::as_uuid),
            "booking_number": place.booking.map(|booking| booking.number.cast_signed()),
            "user_id": place.user.map(UserId::as_uuid),
            "actor_id": place.actor.map(UserId::as_uuid),
        })
    };
    insert(pool, "audit.record", places.iter().map(row).collect()).await;
}
