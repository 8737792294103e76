//! The state of every seat (CT-4): the last thing that happened to it.

use std::collections::HashMap;

use async_trait::async_trait;
use domain::event::{Stock, Tier};
use domain::inventory::{CATEGORY, Fact, Line, Plan};
use domain::{BookingId, EventId, FactError};
use infra::log::Record;
use sqlx::PgConnection;
use sqlx::types::Uuid;

use crate::columns::{event_of, position};
use crate::projection::{category, decode};
use crate::{Changes, Projection, WriteError};

/// One row per seat, and one per event that has any.
#[derive(Debug, Clone, Copy)]
pub struct Seats;

impl Projection for Seats {
    fn name(&self) -> &'static str {
        "seats"
    }

    fn version(&self) -> i32 {
        1
    }

    fn wants(&self, record: &Record) -> bool {
        const OTHERS: [&str; 7] = [
            "InventoryClosed",
            "PaymentStarted",
            "PaymentFailed",
            "RefundDue",
            "Refunded",
            "WaitlistJoined",
            "WaitlistLeft",
        ];
        category(record) == CATEGORY && !OTHERS.contains(&&*record.kind)
    }

    fn apply(&self, records: &[Record]) -> Result<Box<dyn Changes>, FactError> {
        let mut rows = Rows::default();
        for record in records {
            if let Some(domain::Fact::Inventory(fact)) = decode(record)?
                && let Some(event) = event_of(record)
            {
                rows.take(event, position(record.position), fact);
            }
        }
        Ok(Box::new(rows.settled()))
    }
}

/// The tables' parameters.
#[derive(Default)]
struct Rows {
    /// Last position at which an event's map changed.
    maps: HashMap<EventId, i64>,
    new: NewSeats,
    last: HashMap<(EventId, String), (&'static str, Option<BookingId>)>,
    changed: ChangedSeats,
}

/// Seats of tiers as planned; many may be there already.
#[derive(Default)]
struct NewSeats {
    event_id: Vec<Uuid>,
    seat: Vec<String>,
    tier_id: Vec<Uuid>,
    ordinal: Vec<i32>,
    accessible: Vec<bool>,
}

#[derive(Default)]
struct ChangedSeats {
    event_id: Vec<Uuid>,
    seat: Vec<String>,
    state: Vec<&'static str>,
    booking_number: Vec<Option<i64>>,
}

impl Rows {
    fn take(&mut self, event: EventId, at: i64, fact: Fact) {
        match fact {
            Fact::InventoryOpened(fact) => self.plan(event, at, &fact.plan),
            Fact::InventoryRevised(fact) => self.plan(event, at, &fact.plan),
            Fact::Reserved(fact) => self.set(at, fact.booking, fact.lines, "held"),
            Fact::Offered(fact) => self.set(at, fact.booking, fact.lines, "held"),
            Fact::Reinstated(fact) => self.set(at, fact.booking, fact.lines, "held"),
            Fact::Confirmed(fact) => self.set(at, fact.booking, fact.lines, "sold"),
            Fact::Expired(fact) => self.set(at, fact.booking, fact.lines, "free"),
            Fact::Cancelled(fact) => self.set(at, fact.booking, fact.lines, "free"),
            Fact::InventoryClosed(_)
            | Fact::PaymentStarted(_)
            | Fact::PaymentFailed(_)
            | Fact::RefundDue(_)
            | Fact::Refunded(_)
            | Fact::WaitlistJoined(_)
            | Fact::WaitlistLeft(_) => {}
        }
    }

    fn plan(&mut self, event: EventId, at: i64, plan: &Plan) {
        let mut ordinal = 0;
        for tier in &plan.tiers {
            if matches!(tier.stock, Stock::Seated { .. }) {
                self.new.plan(event, tier, &mut ordinal);
                self.maps.insert(event, at);
            }
        }
    }

    fn set(&mut self, at: i64, booking: BookingId, lines: Vec<Line>, state: &'static str) {
        let owner = (state != "free").then_some(booking);
        for seat in lines.into_iter().filter_map(|line| line.seat) {
            self.maps.insert(booking.event, at);
            self.last.insert((booking.event, seat), (state, owner));
        }
    }

    /// As columns, in the order of the table's key: rows that lie together are written together.
    fn settled(mut self) -> Self {
        let mut last: Vec<_> = std::mem::take(&mut self.last).into_iter().collect();
        last.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        for ((event, seat), (state, owner)) in last {
            self.changed.event_id.push(event.as_uuid());
            self.changed.seat.push(seat);
            self.changed.state.push(state);
            self.changed.booking_number.push(owner.map(|booking| booking.number.cast_signed()));
        }
        self
    }
}

impl NewSeats {
    fn plan(&mut self, event: EventId, tier: &Tier, ordinal: &mut i32) {
        let Stock::Seated { section, rows } = &tier.stock else { return };
        for row in rows {
            for place in 0..row.seats.len() {
                let label = row.seats.label(place);
                self.event_id.push(event.as_uuid());
                self.seat.push(format!("{section}-{}-{label}", row.label));
                self.tier_id.push(tier.tier.as_uuid());
                self.ordinal.push(*ordinal);
                self.accessible.push(row.accessible.contains(&label));
                *ordinal += 1;
            }
        }
    }

    async fn write(&self, connection: &mut PgConnection) -> Result<(), WriteError> {
        if self.event_id.is_empty() {
            return Ok(());
        }
        // A published seat keeps its place: what is there stays as it is.
        sqlx::query!(
            "INSERT INTO seat (event_id, seat, tier_id, ordinal, accessible, state)
             SELECT event_id, seat, tier_id, ordinal, accessible, 'free'
             FROM UNNEST($1::uuid[], $2::text[], $3::uuid[], $4::integer[], $5::boolean[])
                AS new (event_id, seat, tier_id, ordinal, accessible)
             ON CONFLICT (event_id, seat) DO NOTHING",
            &self.event_id,
            &self.seat,
            &self.tier_id,
            &self.ordinal,
            &self.accessible,
        )
        .execute(connection)
        .await?;
        Ok(())
    }
}

impl ChangedSeats {
    async fn write(&self, connection: &mut PgConnection) -> Result<(), WriteError> {
        if self.event_id.is_empty() {
            return Ok(());
        }
        let done = sqlx::query!(
            "UPDATE seat SET state = new.state, booking_number = new.booking_number
             FROM UNNEST($1::uuid[], $2::text[], $3::text[], $4::bigint[])
                AS new (event_id, seat, state, booking_number)
             WHERE seat.event_id = new.event_id AND seat.seat = new.seat",
            &self.event_id,
            &self.seat,
            &self.state as &[&str],
            &self.booking_number as &[Option<i64>],
        )
        .execute(connection)
        .await?;
        WriteError::unless_all("seat", self.event_id.len(), done.rows_affected())
    }
}

#[async_trait]
impl Changes for Rows {
    async fn write(&self, connection: &mut PgConnection) -> Result<(), WriteError> {
        if self.maps.is_empty() {
            return Ok(());
        }
        let events: Vec<Uuid> = self.maps.keys().map(|event| event.as_uuid()).collect();
        let positions: Vec<i64> = self.maps.values().copied().collect();
        sqlx::query!(
            "INSERT INTO map (event_id, position)
             SELECT event_id, position FROM UNNEST($1::uuid[], $2::bigint[])
                AS new (event_id, position)
             ON CONFLICT (event_id) DO UPDATE SET position = excluded.position",
            &events,
            &positions,
        )
        .execute(&mut *connection)
        .await?;
        self.new.write(connection).await?;
        self.changed.write(connection).await
    }
}
