//! Bookings with their history (BK-1 to BK-4, BK-9).

use std::collections::HashMap;

use async_trait::async_trait;
use domain::inventory::{CATEGORY, Fact, Line, Ticket};
use domain::{BookingId, FactError, PaymentId, TicketId, TierId, Time, UserId, WaitlistId};
use infra::log::Record;
use serde::Serialize;
use sqlx::PgConnection;
use sqlx::types::Uuid;
use sqlx::types::chrono::{DateTime, Utc};

use crate::columns::{moment, position};
use crate::projection::{category, decode};
use crate::{Changes, Projection, WriteError};

/// One row per booking.
#[derive(Debug, Clone, Copy)]
pub struct Bookings;

impl Projection for Bookings {
    fn name(&self) -> &'static str {
        "bookings"
    }

    fn version(&self) -> i32 {
        1
    }

    fn is_written_by_key(&self) -> bool {
        true
    }

    fn wants(&self, record: &Record) -> bool {
        const OTHERS: [&str; 5] = [
            "InventoryOpened",
            "InventoryRevised",
            "InventoryClosed",
            "WaitlistJoined",
            "WaitlistLeft",
        ];
        category(record) == CATEGORY && !OTHERS.contains(&&*record.kind)
    }

    fn apply(&self, records: &[Record]) -> Result<Box<dyn Changes>, FactError> {
        let mut changed = Changed::default();
        for record in records {
            if let Some(domain::Fact::Inventory(fact)) = decode(record)?
                && let Some(booking) = fact.booking()
            {
                changed.take(record, booking, &fact);
            }
        }
        Ok(Box::new(changed.into_rows()))
    }
}

/// Bookings that the batch is about, in the order they come up.
#[derive(Default)]
struct Changed {
    places: HashMap<BookingId, usize>,
    bookings: Vec<Change>,
}

/// What becomes of one booking.
struct Change {
    booking: BookingId,
    /// Present if the batch makes it.
    made: Option<Made>,
    status: Option<&'static str>,
    lines: Option<String>,
    tickets: Option<String>,
    payment: Option<PaymentId>,
    refund_minor: Option<i64>,
    refund_status: Option<&'static str>,
    confirmed_at: Option<Time>,
    position: i64,
    history: Vec<Happened>,
}

struct Made {
    user: UserId,
    expires_at: Time,
    subtotal_minor: i64,
    discount_minor: i64,
    total_minor: i64,
    currency: String,
    waitlist: Option<WaitlistId>,
    at: Time,
    position: i64,
}

/// An entry of a booking's history as the API shows it.
#[derive(Serialize)]
struct Happened {
    r#type: &'static str,
    at: Time,
}

/// A line as the API shows it.
#[derive(Serialize)]
struct LineItem<'a> {
    tier_id: TierId,
    #[serde(skip_serializing_if = "Option::is_none")]
    seat: Option<&'a str>,
    quantity: u32,
    unit_price: i64,
    amount: i64,
}

/// A ticket as the API shows it.
#[derive(Serialize)]
struct TicketItem<'a> {
    ticket_id: TicketId,
    tier_id: TierId,
    #[serde(skip_serializing_if = "Option::is_none")]
    seat: Option<&'a str>,
}

impl Changed {
    fn take(&mut self, record: &Record, booking: BookingId, fact: &Fact) {
        let place = *self.places.entry(booking).or_insert_with(|| {
            self.bookings.push(Change::of(booking));
            self.bookings.len() - 1
        });
        self.bookings[place].take(record, fact);
    }

    fn into_rows(self) -> Rows {
        let mut rows = Rows::default();
        for change in self.bookings {
            rows.push(change);
        }
        rows
    }
}

impl Change {
    fn of(booking: BookingId) -> Self {
        Self {
            booking,
            made: None,
            status: None,
            lines: None,
            tickets: None,
            payment: None,
            refund_minor: None,
            refund_status: None,
            confirmed_at: None,
            position: 0,
            history: Vec::with_capacity(2),
        }
    }

    fn take(&mut self, record: &Record, fact: &Fact) {
        use domain::StoredFact;
        self.position = position(record.position);
        self.history.push(Happened { r#type: fact.kind(), at: record.at });
        match fact {
            Fact::Reserved(fact) => {
                self.make(
                    &fact.lines,
                    Made {
                        user: fact.user,
                        expires_at: fact.expires_at,
                        subtotal_minor: fact.subtotal_minor,
                        discount_minor: fact.discount_minor,
                        total_minor: fact.total_minor,
                        currency: fact.currency.to_string(),
                        waitlist: None,
                        at: record.at,
                        position: self.position,
                    },
                );
            }
            Fact::Offered(fact) => {
                self.make(
                    &fact.lines,
                    Made {
                        user: fact.user,
                        expires_at: fact.expires_at,
                        subtotal_minor: fact.lines.iter().map(Line::amount_minor).sum(),
                        discount_minor: 0,
                        total_minor: fact.total_minor,
                        currency: fact.currency.to_string(),
                        waitlist: Some(fact.waitlist),
                        at: record.at,
                        position: self.position,
                    },
                );
            }
            Fact::PaymentStarted(fact) => self.payment = Some(fact.payment),
            Fact::Confirmed(fact) => {
                self.status = Some("confirmed");
                self.tickets = Some(ticket_items(&fact.tickets));
                self.confirmed_at = Some(record.at);
            }
            Fact::Reinstated(fact) => {
                self.status = Some("held");
                self.lines = Some(line_items(&fact.lines));
            }
            Fact::Expired(_) => self.status = Some("expired"),
            Fact::Cancelled(fact) => {
                self.status = Some("cancelled");
                if fact.refund_minor > 0 {
                    self.owe(fact.refund_minor, "pending");
                }
            }
            Fact::RefundDue(fact) => self.owe(fact.amount_minor, "pending"),
            Fact::Refunded(fact) => self.owe(fact.amount_minor, "refunded"),
            Fact::PaymentFailed(_)
            | Fact::InventoryOpened(_)
            | Fact::InventoryRevised(_)
            | Fact::InventoryClosed(_)
            | Fact::WaitlistJoined(_)
            | Fact::WaitlistLeft(_) => {}
        }
    }

    fn make(&mut self, lines: &[Line], made: Made) {
        self.made = Some(made);
        self.status = Some("held");
        self.lines = Some(line_items(lines));
        self.tickets = Some("[]".to_owned());
    }

    fn owe(&mut self, amount_minor: i64, status: &'static str) {
        self.refund_minor = Some(amount_minor);
        self.refund_status = Some(status);
    }
}

fn line_items(lines: &[Line]) -> String {
    let items: Vec<_> = lines
        .iter()
        .map(|line| LineItem {
            tier_id: line.tier,
            seat: line.seat.as_deref(),
            quantity: line.quantity,
            unit_price: line.unit_price_minor,
            amount: line.amount_minor(),
        })
        .collect();
    json(&items)
}

fn ticket_items(tickets: &[Ticket]) -> String {
    let items: Vec<_> = tickets
        .iter()
        .map(|ticket| TicketItem {
            ticket_id: ticket.ticket,
            tier_id: ticket.tier,
            seat: ticket.seat.as_deref(),
        })
        .collect();
    json(&items)
}

fn json<T: Serialize>(items: &[T]) -> String {
    serde_json::to_string(items).expect("text keys and whole numbers")
}

/// The same as columns: the table's parameters.
#[derive(Default)]
struct Rows {
    new: NewRows,
    old: OldRows,
}

#[derive(Default)]
struct NewRows {
    event_id: Vec<Uuid>,
    booking_number: Vec<i64>,
    user_id: Vec<Uuid>,
    status: Vec<&'static str>,
    expires_at: Vec<DateTime<Utc>>,
    line_items: Vec<String>,
    tickets: Vec<String>,
    subtotal_minor: Vec<i64>,
    discount_minor: Vec<i64>,
    total_minor: Vec<i64>,
    currency: Vec<String>,
    payment_id: Vec<Option<Uuid>>,
    refund_minor: Vec<Option<i64>>,
    refund_status: Vec<Option<&'static str>>,
    waitlist_id: Vec<Option<Uuid>>,
    reserved_at: Vec<DateTime<Utc>>,
    confirmed_at: Vec<Option<DateTime<Utc>>>,
    reserved_position: Vec<i64>,
    position: Vec<i64>,
    history: Vec<String>,
}

#[derive(Default)]
struct OldRows {
    event_id: Vec<Uuid>,
    booking_number: Vec<i64>,
    status: Vec<Option<&'static str>>,
    line_items: Vec<Option<String>>,
    tickets: Vec<Option<String>>,
    payment_id: Vec<Option<Uuid>>,
    refund_minor: Vec<Option<i64>>,
    refund_status: Vec<Option<&'static str>>,
    confirmed_at: Vec<Option<DateTime<Utc>>>,
    position: Vec<i64>,
    history: Vec<String>,
}

impl Rows {
    fn push(&mut self, mut change: Change) {
        match change.made.take() {
            Some(made) => self.new.push(change, made),
            None => self.old.push(change),
        }
    }
}

impl NewRows {
    fn push(&mut self, change: Change, made: Made) {
        self.event_id.push(change.booking.event.as_uuid());
        self.booking_number.push(change.booking.number.cast_signed());
        self.user_id.push(made.user.as_uuid());
        self.status.push(change.status.unwrap_or("held"));
        self.expires_at.push(made.expires_at.as_chrono());
        self.line_items.push(change.lines.unwrap_or_default());
        self.tickets.push(change.tickets.unwrap_or_default());
        self.subtotal_minor.push(made.subtotal_minor);
        self.discount_minor.push(made.discount_minor);
        self.total_minor.push(made.total_minor);
        self.currency.push(made.currency);
        self.payment_id.push(change.payment.map(PaymentId::as_uuid));
        self.refund_minor.push(change.refund_minor);
        self.refund_status.push(change.refund_status);
        self.waitlist_id.push(made.waitlist.map(WaitlistId::as_uuid));
        self.reserved_at.push(made.at.as_chrono());
        self.confirmed_at.push(moment(change.confirmed_at));
        self.reserved_position.push(made.position);
        self.position.push(change.position);
        self.history.push(json(&change.history));
    }

    async fn write(&self, connection: &mut PgConnection) -> Result<(), WriteError> {
        if self.event_id.is_empty() {
            return Ok(());
        }
        sqlx::query!(
            "INSERT INTO booking (
                event_id, booking_number, user_id, status, expires_at, line_items, tickets,
                subtotal_minor, discount_minor, total_minor, currency, payment_id, refund_minor,
                refund_status, waitlist_id, reserved_at, confirmed_at, reserved_position, position,
                history)
             SELECT
                event_id, booking_number, user_id, status, expires_at, line_items::json,
                tickets::json, subtotal_minor, discount_minor, total_minor, currency, payment_id,
                refund_minor, refund_status, waitlist_id, reserved_at, confirmed_at,
                reserved_position, position, history::jsonb
             FROM UNNEST(
                $1::uuid[], $2::bigint[], $3::uuid[], $4::text[], $5::timestamptz[], $6::text[],
                $7::text[], $8::bigint[], $9::bigint[], $10::bigint[], $11::text[], $12::uuid[],
                $13::bigint[], $14::text[], $15::uuid[], $16::timestamptz[], $17::timestamptz[],
                $18::bigint[], $19::bigint[], $20::text[]
             ) AS new (
                event_id, booking_number, user_id, status, expires_at, line_items, tickets,
                subtotal_minor, discount_minor, total_minor, currency, payment_id, refund_minor,
                refund_status, waitlist_id, reserved_at, confirmed_at, reserved_position, position,
                history)",
            &self.event_id,
            &self.booking_number,
            &self.user_id,
            &self.status as &[&str],
            &self.expires_at,
            &self.line_items,
            &self.tickets,
            &self.subtotal_minor,
            &self.discount_minor,
            &self.total_minor,
            &self.currency,
            &self.payment_id as &[Option<Uuid>],
            &self.refund_minor as &[Option<i64>],
            &self.refund_status as &[Option<&str>],
            &self.waitlist_id as &[Option<Uuid>],
            &self.reserved_at,
            &self.confirmed_at as &[Option<DateTime<Utc>>],
            &self.reserved_position,
            &self.position,
            &self.history,
        )
        .execute(connection)
        .await?;
        Ok(())
    }
}

impl OldRows {
    fn push(&mut self, change: Change) {
        self.event_id.push(change.booking.event.as_uuid());
        self.booking_number.push(change.booking.number.cast_signed());
        self.status.push(change.status);
        self.line_items.push(change.lines);
        self.tickets.push(change.tickets);
        self.payment_id.push(change.payment.map(PaymentId::as_uuid));
        self.refund_minor.push(change.refund_minor);
        self.refund_status.push(change.refund_status);
        self.confirmed_at.push(moment(change.confirmed_at));
        self.position.push(change.position);
        self.history.push(json(&change.history));
    }

    async fn write(&self, connection: &mut PgConnection) -> Result<(), WriteError> {
        if self.event_id.is_empty() {
            return Ok(());
        }
        let done = sqlx::query!(
            "UPDATE booking SET
                status = COALESCE(new.status, booking.status),
                line_items = COALESCE(new.line_items::json, booking.line_items),
                tickets = COALESCE(new.tickets::json, booking.tickets),
                payment_id = COALESCE(new.payment_id, booking.payment_id),
                refund_minor = COALESCE(new.refund_minor, booking.refund_minor),
                refund_status = COALESCE(new.refund_status, booking.refund_status),
                confirmed_at = COALESCE(new.confirmed_at, booking.confirmed_at),
                position = new.position,
                history = booking.history || new.history::jsonb
             FROM UNNEST(
                $1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::uuid[],
                $7::bigint[], $8::text[], $9::timestamptz[], $10::bigint[], $11::text[]
             ) AS new (
                event_id, booking_number, status, line_items, tickets, payment_id, refund_minor,
                refund_status, confirmed_at, position, history)
             WHERE booking.event_id = new.event_id
               AND booking.booking_number = new.booking_number",
            &self.event_id,
            &self.booking_number,
            &self.status as &[Option<&str>],
            &self.line_items as &[Option<String>],
            &self.tickets as &[Option<String>],
            &self.payment_id as &[Option<Uuid>],
            &self.refund_minor as &[Option<i64>],
            &self.refund_status as &[Option<&str>],
            &self.confirmed_at as &[Option<DateTime<Utc>>],
            &self.position,
            &self.history,
        )
        .execute(connection)
        .await?;
        WriteError::unless_all("booking", self.event_id.len(), done.rows_affected())
    }
}

#[async_trait]
impl Changes for Rows {
    async fn write(&self, connection: &mut PgConnection) -> Result<(), WriteError> {
        self.new.write(connection).await?;
        self.old.write(connection).await
    }
}
