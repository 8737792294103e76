//! What is left of each tier (CT-4): sums of what facts take and give back.

use std::collections::HashMap;

use async_trait::async_trait;
use domain::event::{Stock, Tier};
use domain::inventory::{CATEGORY, Fact, Line, Plan};
use domain::{EventId, FactError, TierId};
use infra::log::Record;
use sqlx::PgConnection;
use sqlx::types::Uuid;
use sqlx::types::chrono::{DateTime, Utc};

use crate::columns::{count, event_of, moment, ordinal, position};
use crate::projection::{category, decode};
use crate::{Changes, Projection, WriteError};

/// One row per event and one per tier.
#[derive(Debug, Clone, Copy)]
pub struct Availability;

impl Projection for Availability {
    fn name(&self) -> &'static str {
        "availability"
    }

    fn version(&self) -> i32 {
        1
    }

    fn wants(&self, record: &Record) -> bool {
        const OTHERS: [&str; 4] = ["PaymentStarted", "PaymentFailed", "RefundDue", "Refunded"];
        category(record) == CATEGORY && !OTHERS.contains(&&*record.kind)
    }

    fn apply(&self, records: &[Record]) -> Result<Box<dyn Changes>, FactError> {
        let mut changed = Changed::default();
        for record in records {
            if let Some(domain::Fact::Inventory(fact)) = decode(record)?
                && let Some(event) = event_of(record)
            {
                changed.take(record, event, fact);
            }
        }
        Ok(Box::new(Rows::of(changed)))
    }
}

#[derive(Default)]
struct Changed {
    events: HashMap<EventId, Event>,
    tiers: HashMap<(EventId, TierId), TierChange>,
}

/// What becomes of an event's row.
#[derive(Default)]
struct Event {
    opened: bool,
    closed: bool,
    /// Added to the count; from nothing when closed, which sends everybody home.
    waiting: i32,
    position: i64,
}

/// What becomes of a tier's row.
#[derive(Default)]
struct TierChange {
    terms: Option<Terms>,
    held: i32,
    sold: i32,
}

/// A tier as last planned.
struct Terms {
    ordinal: i32,
    tier: Tier,
    currency: String,
    max_per_booking: i32,
}

/// Where places are.
#[derive(Clone, Copy)]
enum Where {
    Free,
    Held,
    Sold,
}

impl Changed {
    fn take(&mut self, record: &Record, event: EventId, fact: Fact) {
        let row = self.events.entry(event).or_default();
        row.position = position(record.position);
        match fact {
            Fact::InventoryOpened(fact) => {
                row.opened = true;
                self.plan(event, fact.plan);
            }
            Fact::InventoryRevised(fact) => self.plan(event, fact.plan),
            Fact::InventoryClosed(_) => {
                row.closed = true;
                row.waiting = 0;
            }
            Fact::Reserved(fact) => self.shift(event, &fact.lines, Where::Free, Where::Held),
            Fact::Reinstated(fact) => self.shift(event, &fact.lines, Where::Free, Where::Held),
            Fact::Offered(fact) => {
                row.waiting -= 1;
                self.shift(event, &fact.lines, Where::Free, Where::Held);
            }
            Fact::Confirmed(fact) => self.shift(event, &fact.lines, Where::Held, Where::Sold),
            Fact::Expired(fact) => self.shift(event, &fact.lines, Where::Held, Where::Free),
            Fact::Cancelled(fact) => {
                let from = if fact.was_confirmed { Where::Sold } else { Where::Held };
                self.shift(event, &fact.lines, from, Where::Free);
            }
            Fact::WaitlistJoined(_) => row.waiting += 1,
            // Who was offered something and declines is `Cancelled`; only who waits leaves.
            Fact::WaitlistLeft(_) => row.waiting -= 1,
            Fact::PaymentStarted(_)
            | Fact::PaymentFailed(_)
            | Fact::RefundDue(_)
            | Fact::Refunded(_) => {}
        }
    }

    fn plan(&mut self, event: EventId, plan: Plan) {
        for (place, tier) in plan.tiers.into_iter().enumerate() {
            let most = tier.max_per_booking.unwrap_or(u32::MAX).min(plan.max_per_booking);
            let row = self.tiers.entry((event, tier.tier)).or_default();
            row.terms = Some(Terms {
                ordinal: ordinal(place),
                tier,
                currency: plan.currency.to_string(),
                max_per_booking: count(most),
            });
        }
    }

    fn shift(&mut self, event: EventId, lines: &[Line], from: Where, to: Where) {
        for line in lines {
            let tier = self.tiers.entry((event, line.tier)).or_default();
            let places = count(line.quantity);
            tier.add(from, -places);
            tier.add(to, places);
        }
    }
}

impl TierChange {
    fn add(&mut self, place: Where, places: i32) {
        match place {
            Where::Free => {}
            Where::Held => self.held += places,
            Where::Sold => self.sold += places,
        }
    }
}

/// The same as columns: the tables' parameters.
#[derive(Default)]
struct Rows {
    events: EventRows,
    planned: TierRows,
    sums: SumRows,
}

#[derive(Default)]
struct EventRows {
    opened: Vec<Uuid>,
    event_id: Vec<Uuid>,
    closed: Vec<bool>,
    waiting: Vec<i32>,
    position: Vec<i64>,
}

/// Tiers whose terms are new.
#[derive(Default)]
struct TierRows {
    event_id: Vec<Uuid>,
    tier_id: Vec<Uuid>,
    ordinal: Vec<i32>,
    name: Vec<String>,
    price_minor: Vec<i64>,
    currency: Vec<String>,
    section: Vec<Option<String>>,
    seated: Vec<bool>,
    sale_starts_at: Vec<Option<DateTime<Utc>>>,
    sale_ends_at: Vec<Option<DateTime<Utc>>>,
    max_per_booking: Vec<i32>,
    capacity: Vec<i32>,
}

#[derive(Default)]
struct SumRows {
    event_id: Vec<Uuid>,
    tier_id: Vec<Uuid>,
    held: Vec<i32>,
    sold: Vec<i32>,
}

impl Rows {
    fn of(changed: Changed) -> Self {
        let mut rows = Self::default();
        for (event, change) in changed.events {
            rows.events.push(event, &change);
        }
        for ((event, tier), change) in changed.tiers {
            if let Some(terms) = change.terms {
                rows.planned.push(event, terms);
            }
            if change.held != 0 || change.sold != 0 {
                rows.sums.event_id.push(event.as_uuid());
                rows.sums.tier_id.push(tier.as_uuid());
                rows.sums.held.push(change.held);
                rows.sums.sold.push(change.sold);
            }
        }
        rows
    }
}

#[async_trait]
impl Changes for Rows {
    async fn write(&self, connection: &mut PgConnection) -> Result<(), WriteError> {
        self.events.write(connection).await?;
        self.planned.write(connection).await?;
        self.sums.write(connection).await
    }
}

impl EventRows {
    fn push(&mut self, event: EventId, change: &Event) {
        if change.opened {
            self.opened.push(event.as_uuid());
        }
        self.event_id.push(event.as_uuid());
        self.closed.push(change.closed);
        self.waiting.push(change.waiting);
        self.position.push(change.position);
    }

    async fn write(&self, connection: &mut PgConnection) -> Result<(), WriteError> {
        if !self.opened.is_empty() {
            sqlx::query!(
                "INSERT INTO inventory (event_id, status, waiting, position)
                 SELECT event_id, 'open', 0, 0 FROM UNNEST($1::uuid[]) AS new (event_id)",
                &self.opened,
            )
            .execute(&mut *connection)
            .await?;
        }
        let done = sqlx::query!(
            "UPDATE inventory SET
                status = CASE WHEN new.closed THEN 'closed' ELSE inventory.status END,
                waiting = CASE WHEN new.closed THEN 0 ELSE inventory.waiting END + new.waiting,
                position = new.position
             FROM UNNEST($1::uuid[], $2::boolean[], $3::integer[], $4::bigint[])
                AS new (event_id, closed, waiting, position)
             WHERE inventory.event_id = new.event_id",
            &self.event_id,
            &self.closed,
            &self.waiting,
            &self.position,
        )
        .execute(connection)
        .await?;
        WriteError::unless_all("inventory", self.event_id.len(), done.rows_affected())
    }
}

impl TierRows {
    fn push(&mut self, event: EventId, terms: Terms) {
        let Terms { ordinal, tier, currency, max_per_booking } = terms;
        self.event_id.push(event.as_uuid());
        self.tier_id.push(tier.tier.as_uuid());
        self.ordinal.push(ordinal);
        self.price_minor.push(tier.price_minor);
        self.currency.push(currency);
        self.section.push(tier.stock.section().map(str::to_owned));
        self.seated.push(matches!(tier.stock, Stock::Seated { .. }));
        self.sale_starts_at.push(moment(tier.sale_starts_at));
        self.sale_ends_at.push(moment(tier.sale_ends_at));
        self.max_per_booking.push(max_per_booking);
        self.capacity.push(count(tier.stock.capacity()));
        self.name.push(tier.name);
    }

    async fn write(&self, connection: &mut PgConnection) -> Result<(), WriteError> {
        if self.event_id.is_empty() {
            return Ok(());
        }
        sqlx::query!(
            "INSERT INTO tier (
                event_id, tier_id, ordinal, name, price_minor, currency, section, seated,
                sale_starts_at, sale_ends_at, max_per_booking, capacity, held, sold)
             SELECT
                event_id, tier_id, ordinal, name, price_minor, currency, section, seated,
                sale_starts_at, sale_ends_at, max_per_booking, capacity, 0, 0
             FROM UNNEST(
                $1::uuid[], $2::uuid[], $3::integer[], $4::text[], $5::bigint[], $6::text[],
                $7::text[], $8::boolean[], $9::timestamptz[], $10::timestamptz[], $11::integer[],
                $12::integer[]
             ) AS new (
                event_id, tier_id, ordinal, name, price_minor, currency, section, seated,
                sale_starts_at, sale_ends_at, max_per_booking, capacity)
             ON CONFLICT (event_id, tier_id) DO UPDATE SET
                ordinal = excluded.ordinal,
                name = excluded.name,
                price_minor = excluded.price_minor,
                currency = excluded.currency,
                section = excluded.section,
                seated = excluded.seated,
                sale_starts_at = excluded.sale_starts_at,
                sale_ends_at = excluded.sale_ends_at,
                max_per_booking = excluded.max_per_booking,
                capacity = excluded.capacity",
            &self.event_id,
            &self.tier_id,
            &self.ordinal,
            &self.name,
            &self.price_minor,
            &self.currency,
            &self.section as &[Option<String>],
            &self.seated,
            &self.sale_starts_at as &[Option<DateTime<Utc>>],
            &self.sale_ends_at as &[Option<DateTime<Utc>>],
            &self.max_per_booking,
            &self.capacity,
        )
        .execute(connection)
        .await?;
        Ok(())
    }
}

impl SumRows {
    async fn write(&self, connection: &mut PgConnection) -> Result<(), WriteError> {
        if self.event_id.is_empty() {
            return Ok(());
        }
        let done = sqlx::query!(
            "UPDATE tier SET held = tier.held + new.held, sold = tier.sold + new.sold
             FROM UNNEST($1::uuid[], $2::uuid[], $3::integer[], $4::integer[])
                AS new (event_id, tier_id, held, sold)
             WHERE tier.event_id = new.event_id AND tier.tier_id = new.tier_id",
            &self.event_id,
            &self.tier_id,
            &self.held,
            &self.sold,
        )
        .execute(connection)
        .await?;
        WriteError::unless_all("tier", self.event_id.len(), done.rows_affected())
    }
}
