//! Where in the log to look for what (AU-1). Every record has a row, also one that this program
//! cannot read.

use std::collections::HashMap;

use async_trait::async_trait;
use domain::{
    BookingId, EventId, Fact, FactError, UserId, administration, email_claim, event, inventory,
    login_claim, venue,
};
use infra::log::{Metadata, Record};
use sqlx::PgConnection;
use sqlx::types::Uuid;
use sqlx::types::chrono::{DateTime, Utc};

use crate::columns::position;
use crate::projection::decode;
use crate::{Changes, Projection, WriteError};

/// One row per record.
#[derive(Debug, Clone, Copy)]
pub struct Audit;

impl Projection for Audit {
    fn name(&self) -> &'static str {
        "audit"
    }

    fn version(&self) -> i32 {
        1
    }

    fn wants(&self, _: &Record) -> bool {
        true
    }

    fn apply(&self, records: &[Record]) -> Result<Box<dyn Changes>, FactError> {
        let mut rows = Rows::default();
        let mut owners = HashMap::new();
        for record in records {
            rows.push(record, &mut owners);
        }
        Ok(Box::new(rows))
    }
}

/// The table's parameters.
#[derive(Default)]
struct Rows {
    position: Vec<i64>,
    stream: Vec<String>,
    revision: Vec<i64>,
    kind: Vec<String>,
    at: Vec<DateTime<Utc>>,
    event_id: Vec<Option<Uuid>>,
    booking_number: Vec<Option<i64>>,
    user_id: Vec<Option<Uuid>>,
    actor_id: Vec<Option<Uuid>>,
}

impl Rows {
    fn push(&mut self, record: &Record, owners: &mut HashMap<BookingId, UserId>) {
        // A record that cannot be read is found by all that does not need reading.
        let fact = decode(record).ok().flatten();
        let booking = fact.as_ref().and_then(booking_of);
        let mut user = fact.as_ref().and_then(user_of);
        if let Some(booking) = booking {
            match user {
                Some(user) => drop(owners.insert(booking, user)),
                None => user = owners.get(&booking).copied(),
            }
        }
        let metadata = serde_json::from_str::<Metadata>(&record.metadata).unwrap_or_default();
        self.position.push(position(record.position));
        self.stream.push(record.stream.to_string());
        self.revision.push(record.revision.cast_signed());
        self.kind.push(record.kind.to_string());
        self.at.push(record.at.as_chrono());
        self.event_id.push(event_of(&record.stream).map(EventId::as_uuid));
        self.booking_number.push(booking.map(|booking| booking.number.cast_signed()));
        self.user_id.push(user.map(UserId::as_uuid));
        self.actor_id.push(metadata.actor.map(UserId::as_uuid));
    }
}

fn event_of(stream: &str) -> Option<EventId> {
    stream.split_once('-')?.1.parse().ok()
}

fn booking_of(fact: &Fact) -> Option<BookingId> {
    use administration::Fact as A;
    match fact {
        Fact::Inventory(fact) => fact.booking(),
        Fact::Admin(A::BookingCancellationOrdered(fact)) => Some(fact.booking),
        // All others are of no booking.
        _ => None,
    }
}

/// The person a fact says it is about.
fn user_of(fact: &Fact) -> Option<UserId> {
    use {email_claim::Fact as C, event::Fact as E, inventory::Fact as I};
    use {login_claim::Fact as L, venue::Fact as V};
    match fact {
        Fact::Venue(V::VenueCreated(fact)) => Some(fact.owner),
        Fact::Venue(V::VenueChanged(fact)) => Some(fact.by),
        Fact::Event(E::EventDrafted(fact)) => Some(fact.organizer),
        Fact::Event(E::EventChanged(fact)) => Some(fact.by),
        Fact::Event(E::EventPublished(fact)) => Some(fact.by),
        Fact::Event(E::EventCancelled(fact)) => Some(fact.by),
        Fact::Account(fact) => Some(fact.user()),
        Fact::Email(C::EmailClaimed(fact)) => Some(fact.user),
        Fact::Email(C::EmailReleased(fact)) => Some(fact.user),
        Fact::Login(L::LoginClaimed(fact)) => Some(fact.user),
        Fact::Login(L::LoginReleased(fact)) => Some(fact.user),
        // Where it does not say so of a booking, that one's own record does.
        Fact::Admin(fact) => fact.person(),
        Fact::Attempt(_) => None,
        Fact::Inventory(I::Reserved(fact)) => Some(fact.user),
        Fact::Inventory(I::Offered(fact)) => Some(fact.user),
        Fact::Inventory(I::Confirmed(fact)) => Some(fact.user),
        Fact::Inventory(I::Reinstated(fact)) => Some(fact.user),
        Fact::Inventory(I::Expired(fact)) => Some(fact.user),
        Fact::Inventory(I::Cancelled(fact)) => Some(fact.user),
        Fact::Inventory(I::RefundDue(fact)) => Some(fact.user),
        Fact::Inventory(I::WaitlistJoined(fact)) => Some(fact.user),
        Fact::Inventory(I::WaitlistLeft(fact)) => Some(fact.user),
        Fact::Inventory(
            I::InventoryOpened(_)
            | I::InventoryRevised(_)
            | I::InventoryClosed(_)
            | I::PaymentStarted(_)
            | I::PaymentFailed(_)
            | I::Refunded(_),
        ) => None,
    }
}

#[async_trait]
impl Changes for Rows {
    async fn write(&self, connection: &mut PgConnection) -> Result<(), WriteError> {
        if self.position.is_empty() {
            return Ok(());
        }
        // What a fact does not say of a booking's owner, the record that made the booking does.
        sqlx::query!(
            "INSERT INTO record (
                position, stream, revision, kind, at, event_id, booking_number, user_id, actor_id)
             SELECT
                position, stream, revision, kind, at, event_id, booking_number, person,
                NULLIF(actor_id, person)
             FROM (
                SELECT new.*, COALESCE(
                    new.user_id,
                    CASE WHEN new.booking_number IS NOT NULL THEN (
                        SELECT made.user_id FROM record AS made
                        WHERE made.event_id = new.event_id
                          AND made.booking_number = new.booking_number
                          AND made.user_id IS NOT NULL
                        ORDER BY made.position LIMIT 1)
                    END,
                    new.actor_id) AS person
                FROM UNNEST(
                    $1::bigint[], $2::text[], $3::bigint[], $4::text[], $5::timestamptz[],
                    $6::uuid[], $7::bigint[], $8::uuid[], $9::uuid[]
                ) AS new (
                    position, stream, revision, kind, at, event_id, booking_number, user_id,
                    actor_id)
             ) AS new",
            &self.position,
            &self.stream,
            &self.revision,
            &self.kind,
            &self.at,
            &self.event_id as &[Option<Uuid>],
            &self.booking_number as &[Option<i64>],
            &self.user_id as &[Option<Uuid>],
            &self.actor_id as &[Option<Uuid>],
        )
        .execute(connection)
        .await?;
        Ok(())
    }
}
