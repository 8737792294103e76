//! Who waits for what (WL-1, WL-2).

use std::collections::HashMap;

use async_trait::async_trait;
use domain::inventory::{CATEGORY, Fact, WaitlistJoined};
use domain::{BookingId, EventId, FactError, TierId, Time, WaitlistId};
use infra::log::Record;
use sqlx::PgConnection;
use sqlx::types::Uuid;
use sqlx::types::chrono::{DateTime, Utc};

use crate::columns::{count, moment, position};
use crate::projection::{category, decode};
use crate::{Changes, Projection, WriteError};

/// One row per place in a waitlist.
#[derive(Debug, Clone, Copy)]
pub struct Waitlist;

impl Projection for Waitlist {
    fn name(&self) -> &'static str {
        "waitlist"
    }

    fn version(&self) -> i32 {
        1
    }

    fn wants(&self, record: &Record) -> bool {
        const KINDS: [&str; 7] = [
            "WaitlistJoined",
            "WaitlistLeft",
            "Offered",
            "Confirmed",
            "Expired",
            "Cancelled",
            "InventoryClosed",
        ];
        category(record) == CATEGORY && KINDS.contains(&&*record.kind)
    }

    fn apply(&self, records: &[Record]) -> Result<Box<dyn Changes>, FactError> {
        let mut changed = Changed::default();
        for record in records {
            if let Some(domain::Fact::Inventory(fact)) = decode(record)? {
                changed.take(record, &fact);
            }
        }
        Ok(Box::new(Rows::of(changed)))
    }
}

#[derive(Default)]
struct Changed {
    entries: HashMap<WaitlistId, Entry>,
    /// Events that do not take place: nobody waits for them any more.
    closed: Vec<(EventId, i64)>,
}

/// What becomes of an entry.
struct Entry {
    joined: Option<(WaitlistJoined, Time, i64)>,
    status: &'static str,
    offer: Option<(BookingId, Time)>,
    /// While it is offered.
    expires_at: Option<Time>,
    position: i64,
}

impl Changed {
    fn take(&mut self, record: &Record, fact: &Fact) {
        let at = position(record.position);
        match fact {
            Fact::WaitlistJoined(fact) => {
                let entry = self.set(fact.waitlist, "waiting", at);
                entry.joined = Some((fact.clone(), record.at, at));
            }
            Fact::WaitlistLeft(fact) => {
                self.set(fact.waitlist, "left", at);
            }
            Fact::Offered(fact) => {
                let entry = self.set(fact.waitlist, "offered", at);
                entry.offer = Some((fact.booking, record.at));
                entry.expires_at = Some(fact.expires_at);
            }
            Fact::Confirmed(fact) => self.end(fact.waitlist, "served", at),
            Fact::Expired(fact) => self.end(fact.waitlist, "left", at),
            Fact::Cancelled(fact) => self.end(fact.waitlist, "left", at),
            Fact::InventoryClosed(fact) => self.closed.push((fact.event, at)),
            Fact::InventoryOpened(_)
            | Fact::InventoryRevised(_)
            | Fact::Reserved(_)
            | Fact::Reinstated(_)
            | Fact::PaymentStarted(_)
            | Fact::PaymentFailed(_)
            | Fact::RefundDue(_)
            | Fact::Refunded(_) => {}
        }
    }

    fn end(&mut self, entry: Option<WaitlistId>, status: &'static str, at: i64) {
        if let Some(entry) = entry {
            self.set(entry, status, at);
        }
    }

    fn set(&mut self, id: WaitlistId, status: &'static str, position: i64) -> &mut Entry {
        let entry = self.entries.entry(id).or_insert(Entry {
            joined: None,
            status,
            offer: None,
            expires_at: None,
            position,
        });
        entry.status = status;
        entry.expires_at = None;
        entry.position = position;
        entry
    }
}

/// The same as columns: the table's parameters.
#[derive(Default)]
struct Rows {
    joined: JoinedRows,
    moved: MovedRows,
    closed_event: Vec<Uuid>,
    closed_position: Vec<i64>,
}

#[derive(Default)]
struct JoinedRows {
    waitlist_id: Vec<Uuid>,
    event_id: Vec<Uuid>,
    user_id: Vec<Uuid>,
    tier_id: Vec<Option<Uuid>>,
    quantity: Vec<i32>,
    joined_at: Vec<DateTime<Utc>>,
    joined_position: Vec<i64>,
}

#[derive(Default)]
struct MovedRows {
    waitlist_id: Vec<Uuid>,
    status: Vec<&'static str>,
    booking_number: Vec<Option<i64>>,
    offered_at: Vec<Option<DateTime<Utc>>>,
    expires_at: Vec<Option<DateTime<Utc>>>,
    position: Vec<i64>,
}

impl Rows {
    fn of(changed: Changed) -> Self {
        let mut rows = Self::default();
        for (id, entry) in changed.entries {
            if let Some((fact, at, position)) = &entry.joined {
                rows.joined.push(fact, *at, *position);
            }
            if entry.joined.is_none() || entry.status != "waiting" {
                rows.moved.push(id, &entry);
            }
        }
        for (event, position) in changed.closed {
            rows.closed_event.push(event.as_uuid());
            rows.closed_position.push(position);
        }
        rows
    }
}

impl JoinedRows {
    fn push(&mut self, fact: &WaitlistJoined, at: Time, position: i64) {
        self.waitlist_id.push(fact.waitlist.as_uuid());
        self.event_id.push(fact.event.as_uuid());
        self.user_id.push(fact.user.as_uuid());
        self.tier_id.push(fact.tier.map(TierId::as_uuid));
        self.quantity.push(count(fact.quantity));
        self.joined_at.push(at.as_chrono());
        self.joined_position.push(position);
    }

    async fn write(&self, connection: &mut PgConnection) -> Result<(), WriteError> {
        if self.waitlist_id.is_empty() {
            return Ok(());
        }
        sqlx::query!(
            "INSERT INTO entry (
                waitlist_id, event_id, user_id, tier_id, quantity, status, joined_at,
                joined_position, position)
             SELECT
                waitlist_id, event_id, user_id, tier_id, quantity, 'waiting', joined_at,
                joined_position, joined_position
             FROM UNNEST(
                $1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::integer[], $6::timestamptz[],
                $7::bigint[]
             ) AS new (
                waitlist_id, event_id, user_id, tier_id, quantity, joined_at, joined_position)",
            &self.waitlist_id,
            &self.event_id,
            &self.user_id,
            &self.tier_id as &[Option<Uuid>],
            &self.quantity,
            &self.joined_at,
            &self.joined_position,
        )
        .execute(connection)
        .await?;
        Ok(())
    }
}

impl MovedRows {
    fn push(&mut self, id: WaitlistId, entry: &Entry) {
        self.waitlist_id.push(id.as_uuid());
        self.status.push(entry.status);
        self.booking_number.push(entry.offer.map(|(booking, _)| booking.number.cast_signed()));
        self.offered_at.push(moment(entry.offer.map(|(_, at)| at)));
        self.expires_at.push(moment(entry.expires_at));
        self.position.push(entry.position);
    }

    async fn write(&self, connection: &mut PgConnection) -> Result<(), WriteError> {
        if self.waitlist_id.is_empty() {
            return Ok(());
        }
        let done = sqlx::query!(
            "UPDATE entry SET
                status = new.status,
                booking_number = COALESCE(new.booking_number, entry.booking_number),
                offered_at = COALESCE(new.offered_at, entry.offered_at),
                expires_at = new.expires_at,
                position = new.position
             FROM UNNEST(
                $1::uuid[], $2::text[], $3::bigint[], $4::timestamptz[], $5::timestamptz[],
                $6::bigint[]
             ) AS new (waitlist_id, status, booking_number, offered_at, expires_at, position)
             WHERE entry.waitlist_id = new.waitlist_id",
            &self.waitlist_id,
            &self.status as &[&str],
            &self.booking_number as &[Option<i64>],
            &self.offered_at as &[Option<DateTime<Utc>>],
            &self.expires_at as &[Option<DateTime<Utc>>],
            &self.position,
        )
        .execute(connection)
        .await?;
        WriteError::unless_all("entry", self.waitlist_id.len(), done.rows_affected())
    }
}

#[async_trait]
impl Changes for Rows {
    async fn write(&self, connection: &mut PgConnection) -> Result<(), WriteError> {
        self.joined.write(connection).await?;
        self.moved.write(connection).await?;
        if self.closed_event.is_empty() {
            return Ok(());
        }
        sqlx::query!(
            "UPDATE entry SET status = 'left', position = new.position
             FROM UNNEST($1::uuid[], $2::bigint[]) AS new (event_id, position)
             WHERE entry.event_id = new.event_id AND entry.status = 'waiting'",
            &self.closed_event,
            &self.closed_position,
        )
        .execute(connection)
        .await?;
        Ok(())
    }
}
